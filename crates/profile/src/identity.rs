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

/// Values that name nobody. Compared in lower case; zeros are known by their shape.
const BLOCKED: &[&str] = &["null", "undefined", "none", "nil", "nan", "-1", "anonymous", "unknown", "guest"];

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
    if event.call == Call::Identify
        && (event.properties.contains("mail") || event.properties.contains("phone"))
    {
        let traits = object(&event.properties);
        push(IdentifierKind::Email, traits.get("email").and_then(Value::as_str).and_then(email));
        push(IdentifierKind::Phone, traits.get("phone").and_then(Value::as_str).and_then(phone));
    }
    if event.context.contains("\"externalIds\"") {
        for external in
            object(&event.context).get("externalIds").and_then(Value::as_array).into_iter().flatten().take(10)
        {
            if let (Some(kind), Some(id)) = (external["type"].as_str(), external["id"].as_str())
                && kind.len() + id.len() < limit::IDENTIFIER_BYTES_MAX
                && !is_blocked(id)
                && !id.contains(char::is_control)
                && !kind.contains(char::is_control)
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
    let previous =
        event.other_id.clone().filter(|_| event.call == Call::Alias && event.other_id != event.user_id)?;
    (!is_blocked(&previous)).then(|| Identifier::new(IdentifierKind::UserId, previous))
}

/// Whether a value names nobody.
pub fn is_blocked(value: &str) -> bool {
    let value = value.trim().to_lowercase();
    value.is_empty() || BLOCKED.contains(&value.as_str()) || value.chars().all(|c| c == '0' || c == '-')
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
///
/// `wanted` is what [`identifiers`] gave. Cost: a merge list never longer than the event's identifiers.
pub fn resolve<'a>(
    event: &Event,
    wanted: &[Identifier],
    found: &dyn Fn(&Identifier) -> Option<ProfileId>,
    profile: &dyn Fn(ProfileId) -> Option<&'a Profile>,
    now: Timestamp,
) -> Resolution {
    let mut resolution = Resolution { decisions: blocked(event, now), ..Resolution::default() };
    let mut fresh: Vec<Identifier> = Vec::new();
    let mut person = Person::default();
    for identifier in wanted {
        let Some((owner, state)) = found(identifier).and_then(|owner| Some((owner, profile(owner)?))) else {
            // One user id for ever: a new one is the profile's only if no merge brings another.
            person.has_user |= identifier.kind == IdentifierKind::UserId;
            fresh.push(identifier.clone());
            continue;
        };
        if resolution.profile == Some(owner) || resolution.merge.iter().any(|(from, _)| *from == owner) {
            continue;
        }
        let verdict = match resolution.profile {
            None => adoptable(event, &fresh, state, identifier),
            Some(_) => mergeable(event, &person, state),
        };
        match verdict {
            Ok(()) => {
                person.take(state, event.timestamp);
                if resolution.profile.is_some() {
                    let reason = format!(
                        "Profile {owner} was the same person: the {} {} names both.",
                        identifier.kind.name(),
                        identifier.value
                    );
                    resolution.decisions.push(Decision::new(now, "merged", reason.clone()));
                    resolution.merge.push((owner, reason));
                } else {
                    resolution.profile = Some(owner);
                }
            }
            Err(why) => drop_identifier(&mut resolution, identifier, owner, why, now),
        }
    }
    let aliased = alias(event, &mut resolution, &mut person, found, profile, now);
    let target = resolution.profile.and_then(profile);
    for identifier in fresh {
        let verdict = match target {
            _ if aliased && identifier.kind == IdentifierKind::UserId => Ok(()),
            Some(state) => room(event, state, &identifier),
            None => Ok(()),
        };
        match verdict {
            Ok(()) => resolution.add.push(identifier),
            Err(why) => {
                let sentence =
                    format!("The {} {} was left out: {why}.", identifier.kind.name(), identifier.value);
                resolution.decisions.push(Decision::new(now, "identifier_dropped", sentence));
            }
        }
    }
    resolution
}

/// What the profile in the making has so far, over all that is merged into it.
#[derive(Default)]
struct Person {
    has_user: bool,
    identifiers: usize,
    emails: usize,
    phones: usize,
    externals: usize,
    anonymous_recent: usize,
}

impl Person {
    fn of(state: &Profile, at: Timestamp) -> Person {
        let mut person = Person { identifiers: state.identifiers.len(), ..Person::default() };
        for known in &state.identifiers {
            match known.kind {
                IdentifierKind::UserId => person.has_user = true,
                IdentifierKind::Email => person.emails += 1,
                IdentifierKind::Phone => person.phones += 1,
                IdentifierKind::External => person.externals += 1,
                IdentifierKind::AnonymousId => {
                    person.anonymous_recent += usize::from(within_window(known.first_seen_at, at));
                }
            }
        }
        person
    }

    fn take(&mut self, state: &Profile, at: Timestamp) {
        let other = Person::of(state, at);
        self.has_user |= other.has_user;
        self.identifiers += other.identifiers;
        self.emails += other.emails;
        self.phones += other.phones;
        self.externals += other.externals;
        self.anonymous_recent += other.anonymous_recent;
    }
}

fn within_window(first_seen_at: Timestamp, at: Timestamp) -> bool {
    (at - first_seen_at).abs() < ANONYMOUS_WINDOW
}

/// A server says in so many words that two are one: then even two user ids come together.
fn alias<'a>(
    event: &Event,
    resolution: &mut Resolution,
    person: &mut Person,
    found: &dyn Fn(&Identifier) -> Option<ProfileId>,
    profile: &dyn Fn(ProfileId) -> Option<&'a Profile>,
    now: Timestamp,
) -> bool {
    let Some(previous) = aliased(event).filter(|_| event.trust != Trust::Browser) else { return false };
    let Some((owner, state)) = found(&previous).and_then(|owner| Some((owner, profile(owner)?))) else {
        return false;
    };
    if resolution.profile == Some(owner) || resolution.merge.iter().any(|(from, _)| *from == owner) {
        return resolution.profile == Some(owner);
    }
    if person.identifiers + state.identifiers.len() > limit::PROFILE_IDENTIFIERS_MAX {
        drop_identifier(resolution, &previous, owner, TOO_MANY, now);
        return false;
    }
    let reason = format!("Profile {owner} was merged by an alias from {}.", previous.value);
    resolution.decisions.push(Decision::new(now, "aliased", reason.clone()));
    person.take(state, event.timestamp);
    match resolution.profile {
        None => resolution.profile = Some(owner),
        Some(_) => resolution.merge.push((owner, reason)),
    }
    true
}

const TOO_MANY: &str = "the merged profile would have too many identifiers";
const BROWSER: &str = "a browser's key alone may not take over a known person";

/// Ids that name nobody, for the profile's page.
fn blocked(event: &Event, now: Timestamp) -> Vec<Decision> {
    let given = [("user_id", &event.user_id), ("anonymous_id", &event.anonymous_id)];
    given
        .into_iter()
        .filter_map(|(kind, value)| {
            let value = value.as_deref().filter(|value| is_blocked(value))?;
            let sentence = format!("The {kind} {value} was left out: it names nobody.");
            Some(Decision::new(now, "identifier_blocked", sentence))
        })
        .collect()
}

fn drop_identifier(
    resolution: &mut Resolution,
    identifier: &Identifier,
    owner: ProfileId,
    why: &str,
    now: Timestamp,
) {
    let sentence = format!(
        "The {} {} belongs to profile {owner} and was left out here: {why}.",
        identifier.kind.name(),
        identifier.value
    );
    resolution.decisions.push(Decision::new(now, "identifier_dropped", sentence));
}

/// Whether the owner of `identifier` may be the profile of an event that also carries `fresh`, all of higher priority.
fn adoptable(
    event: &Event,
    fresh: &[Identifier],
    owner: &Profile,
    identifier: &Identifier,
) -> Result<(), &'static str> {
    let brings_user = fresh.iter().any(|id| id.kind == IdentifierKind::UserId);
    if brings_user && owner.has(IdentifierKind::UserId) {
        return Err("that profile has another user id, and a profile has one for ever");
    }
    let names_person =
        matches!(identifier.kind, IdentifierKind::Email | IdentifierKind::Phone | IdentifierKind::External);
    if event.trust == Trust::Browser && names_person && owner.is_known() {
        return Err(BROWSER);
    }
    Ok(())
}

fn mergeable(event: &Event, person: &Person, other: &Profile) -> Result<(), &'static str> {
    let theirs = Person::of(other, event.timestamp);
    if person.has_user && theirs.has_user {
        return Err("both have a user id, and a profile has one for ever");
    }
    if event.trust == Trust::Browser && other.is_known() {
        return Err(BROWSER);
    }
    if person.identifiers + theirs.identifiers > limit::PROFILE_IDENTIFIERS_MAX {
        return Err(TOO_MANY);
    }
    let most = |ours: usize, theirs: usize| theirs > 0 && ours + theirs > LIMIT_OTHERS;
    if most(person.anonymous_recent, theirs.anonymous_recent) {
        return Err("the merged profile would have more than five anonymous ids of one week");
    }
    if most(person.emails, theirs.emails)
        || most(person.phones, theirs.phones)
        || most(person.externals, theirs.externals)
    {
        return Err("the merged profile would have more than five identifiers of a kind");
    }
    Ok(())
}

fn room(event: &Event, profile: &Profile, identifier: &Identifier) -> Result<(), &'static str> {
    let of_kind = || profile.identifiers.iter().filter(|known| known.kind == identifier.kind);
    if profile.identifiers.len() >= limit::PROFILE_IDENTIFIERS_MAX {
        return Err("the profile has too many identifiers");
    }
    match identifier.kind {
        IdentifierKind::UserId if profile.has(IdentifierKind::UserId) => {
            Err("a profile has one user id for ever")
        }
        IdentifierKind::UserId => Ok(()),
        IdentifierKind::AnonymousId => {
            let recent =
                of_kind().filter(|known| within_window(known.first_seen_at, event.timestamp)).count();
            if recent >= LIMIT_OTHERS { Err("more than five anonymous ids within a week") } else { Ok(()) }
        }
        // Mail would go to whoever reads a page's source and knows somebody's user id.
        IdentifierKind::Email | IdentifierKind::Phone
            if event.trust == Trust::Browser && profile.has(identifier.kind) =>
        {
            Err("a browser's key alone may not change the address of a known person")
        }
        _ if of_kind().count() >= LIMIT_OTHERS => Err("more than five identifiers of this kind"),
        _ => Ok(()),
    }
}
