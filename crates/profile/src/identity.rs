//! Identity resolution: which profile an event belongs to, and which profiles turn out to be one person.
//!
//! Identifiers have priorities, limits and blocked values; on a conflict the identifier of lowest priority is dropped.
//! Every decision is explained. An identifier from a browser's key alone never takes over a known person.

use model::{Call, Event, IdentifierKind, ProfileId, Timestamp, Trust, Value, limit};

use crate::intake::object;
use crate::state::{Decision, Profile};

/// Identifiers of one kind a profile may have, all time (anonymous ids: within a week).
const LIMIT_OTHERS: usize = 5;
const ANONYMOUS_WINDOW: i64 = 7 * model::time::DAY;

/// Values that name nobody. Compared in lower case.
const BLOCKED: &[&str] =
    &["null", "undefined", "none", "nil", "nan", "-1", "0", "anonymous", "unknown", "guest", "test", "true", "false"];

/// One identifier, normalised.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identifier {
    /// Its kind; the order of kinds is their priority.
    pub kind: IdentifierKind,
    /// Its value.
    pub value: String,
}

impl Identifier {
    fn new(kind: IdentifierKind, value: impl Into<String>) -> Identifier {
        Identifier { kind, value: value.into() }
    }
}

/// What follows from an event's identifiers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resolution {
    /// The profile; a new one is to be made when absent.
    pub profile: Option<ProfileId>,
    /// Profiles that become part of it.
    pub merge: Vec<(ProfileId, String)>,
    /// Identifiers to give it.
    pub add: Vec<Identifier>,
    /// Why, for the profile's page.
    pub decisions: Vec<Decision>,
}

/// The identifiers an event carries, by priority, without blocked values.
pub fn identifiers(event: &Event) -> Vec<Identifier> {
    let mut out = Vec::new();
    let mut push = |kind, value: Option<String>| {
        if let Some(value) = value
            && !is_blocked(&value)
        {
            let identifier = Identifier::new(kind, value);
            if !out.contains(&identifier) {
                out.push(identifier);
            }
        }
    };
    push(IdentifierKind::UserId, event.user_id.clone());
    if event.call == Call::Identify && (event.properties.contains("mail") || event.properties.contains("phone")) {
        let traits = object(&event.properties);
        push(IdentifierKind::Email, traits.get("email").and_then(Value::as_str).and_then(email));
        push(IdentifierKind::Phone, traits.get("phone").and_then(Value::as_str).and_then(phone));
    }
    if event.context.contains("\"externalIds\"") {
        for external in object(&event.context).get("externalIds").and_then(Value::as_array).into_iter().flatten().take(10) {
            if let (Some(kind), Some(id)) = (external["type"].as_str(), external["id"].as_str())
                && kind.len() + id.len() < limit::IDENTIFIER_BYTES_MAX
            {
                push(IdentifierKind::External, Some(format!("{kind}:{id}")));
            }
        }
    }
    push(IdentifierKind::AnonymousId, event.anonymous_id.clone());
    if event.call == Call::Alias && event.other_id != event.user_id {
        push(IdentifierKind::AnonymousId, event.other_id.clone());
    }
    out.sort();
    out
}

/// For an alias: the previous id as a known person's id, to be looked up as well.
pub fn aliased(event: &Event) -> Option<Identifier> {
    let previous = event.other_id.clone().filter(|_| event.call == Call::Alias && event.other_id != event.user_id)?;
    (!is_blocked(&previous)).then(|| Identifier::new(IdentifierKind::UserId, previous))
}

/// Whether a value names nobody.
pub fn is_blocked(value: &str) -> bool {
    let value = value.trim().to_lowercase();
    value.is_empty()
        || BLOCKED.contains(&value.as_str())
        || value.chars().all(|c| c == '0' || c == '-')
}

/// A normalised address, when it is one.
pub fn email(text: &str) -> Option<String> {
    let text = text.trim().to_lowercase();
    let plain = text.len() <= limit::IDENTIFIER_BYTES_MAX
        && !text.chars().any(|c| c.is_control() || c == '\u{2028}' || c == '\u{2029}');
    (plain && text.contains('@') && email_address::EmailAddress::is_valid(&text)).then_some(text)
}

/// A number in E.164, when it is an international one.
pub fn phone(text: &str) -> Option<String> {
    if text.len() > 40 || !text.trim_start().starts_with('+') {
        return None;
    }
    let number = phonenumber::parse(None, text).ok()?;
    phonenumber::is_valid(&number).then(|| number.format().mode(phonenumber::Mode::E164).to_string())
}

/// Resolves an event. `found` gives the profile of an identifier, `profile` its state.
pub fn resolve<'a>(
    event: &Event,
    wanted: &[Identifier],
    found: &dyn Fn(&Identifier) -> Option<ProfileId>,
    profile: &dyn Fn(ProfileId) -> Option<&'a Profile>,
    now: Timestamp,
) -> Resolution {
    let mut resolution = Resolution::default();
    let mut fresh: Vec<Identifier> = Vec::new();
    for identifier in wanted {
        let Some(owner) = found(identifier) else {
            fresh.push(identifier.clone());
            continue;
        };
        let Some(state) = profile(owner) else { continue };
        match resolution.profile {
            Some(target) if target == owner => {}
            Some(target) => {
                let target_state = profile(target);
                match target_state.map_or(Err("its state is not at hand"), |t| mergeable(event, t, state)) {
                    Ok(()) if !resolution.merge.iter().any(|(from, _)| *from == owner) => {
                        let reason = format!(
                            "Profile {owner} was the same person: the {} {} names both.",
                            identifier.kind.name(),
                            identifier.value
                        );
                        resolution.decisions.push(Decision::new(now, "merged", reason.clone()));
                        resolution.merge.push((owner, reason));
                    }
                    Ok(()) => {}
                    Err(why) => drop_identifier(&mut resolution, identifier, owner, why, now),
                }
            }
            None => match adoptable(event, &fresh, state, identifier) {
                Ok(()) => resolution.profile = Some(owner),
                Err(why) => drop_identifier(&mut resolution, identifier, owner, why, now),
            },
        }
    }
    if let Some(previous) = aliased(event)
        && let Some(owner) = found(&previous)
        && resolution.profile != Some(owner)
        && event.trust != Trust::Browser
    {
        // A server says in so many words that the two are one.
        let reason = format!("Profile {owner} was merged by an alias from {}.", previous.value);
        resolution.decisions.push(Decision::new(now, "aliased", reason.clone()));
        match resolution.profile {
            None => resolution.profile = Some(owner),
            Some(_) => resolution.merge.push((owner, reason)),
        }
    }
    let target = resolution.profile.and_then(profile);
    for identifier in fresh {
        match target.map_or(Ok(()), |state| room(state, &identifier, event.timestamp)) {
            Ok(()) => resolution.add.push(identifier),
            Err(why) => {
                let sentence = format!("The {} {} was left out: {why}.", identifier.kind.name(), identifier.value);
                resolution.decisions.push(Decision::new(now, "identifier_dropped", sentence));
            }
        }
    }
    resolution
}

fn drop_identifier(resolution: &mut Resolution, identifier: &Identifier, owner: ProfileId, why: &str, now: Timestamp) {
    let sentence = format!(
        "The {} {} belongs to profile {owner} and was left out here: {why}.",
        identifier.kind.name(),
        identifier.value
    );
    resolution.decisions.push(Decision::new(now, "identifier_dropped", sentence));
}

/// Whether the owner of `identifier` may be the profile of an event that also carries `fresh`, all of higher priority.
fn adoptable(event: &Event, fresh: &[Identifier], owner: &Profile, identifier: &Identifier) -> Result<(), &'static str> {
    let brings_user = fresh.iter().any(|id| id.kind == IdentifierKind::UserId);
    if brings_user && owner.has(IdentifierKind::UserId) {
        return Err("that profile has another user id, and a profile has one for ever");
    }
    if event.trust == Trust::Browser
        && brings_user
        && identifier.kind < IdentifierKind::AnonymousId
        && owner.is_known()
    {
        return Err("a browser's key alone may not take over a known person");
    }
    if event.trust == Trust::Browser && matches!(identifier.kind, IdentifierKind::Email | IdentifierKind::Phone) {
        return Err("a browser's key alone may not speak for a known person");
    }
    Ok(())
}

fn mergeable(event: &Event, target: &Profile, other: &Profile) -> Result<(), &'static str> {
    if target.has(IdentifierKind::UserId) && other.has(IdentifierKind::UserId) {
        return Err("both have a user id, and a profile has one for ever");
    }
    if event.trust == Trust::Browser && other.is_known() {
        return Err("a browser's key alone may not take over a known person");
    }
    if target.identifiers.len() + other.identifiers.len() > limit::PROFILE_IDENTIFIERS_MAX {
        return Err("the merged profile would have too many identifiers");
    }
    Ok(())
}

fn room(profile: &Profile, identifier: &Identifier, at: Timestamp) -> Result<(), &'static str> {
    let of_kind = || profile.identifiers.iter().filter(|known| known.kind == identifier.kind);
    if profile.identifiers.len() >= limit::PROFILE_IDENTIFIERS_MAX {
        return Err("the profile has too many identifiers");
    }
    match identifier.kind {
        IdentifierKind::UserId if of_kind().count() >= 1 => Err("a profile has one user id for ever"),
        IdentifierKind::AnonymousId => {
            let recent = of_kind().filter(|known| known.first_seen_at > at - ANONYMOUS_WINDOW).count();
            if recent >= LIMIT_OTHERS { Err("more than five anonymous ids within a week") } else { Ok(()) }
        }
        IdentifierKind::UserId => Ok(()),
        _ if of_kind().count() >= LIMIT_OTHERS => Err("more than five identifiers of this kind"),
        _ => Ok(()),
    }
}
