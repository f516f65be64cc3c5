//! Telling two people apart who were taken for one: which events are whose, from the identifiers they carry.
//!
//! An event that carries identifiers of one is that one's. What carries those of both stays where it is. What the platform
//! itself noted is whose profile it speaks of; what was done with a mail is of the person it was sent to.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use model::{Call, Event, IdentifierKind, Position, ProfileId, Timestamp, Trust, Value, WorkspaceId};
use profile::Identifier;
use serde_json::json;
use store::{Emitted, SplitRow};

use crate::hot::Hot;
use crate::platform::Platform;
use crate::step::entry_id;
use crate::{Error, codec, emit};

/// The event's name.
const NAME: &str = "Profiles Split";
/// Why memberships change by it.
pub(crate) const CAUSE: &str = "the profile was split";
/// Events of a profile that can be split: all of them are held in memory for it.
const EVENTS_MAX: usize = 200_000;
/// Entries that are looked at, the latest.
const ENTRIES_MAX: i64 = 10_000;
/// How long a caller waits for the step.
const WAIT: Duration = Duration::from_secs(20);

/// Whether an event splits a profile.
pub(crate) fn splits(event: &Event) -> bool {
    event.trust == Trust::Internal && event.name == NAME
}

fn properties(event: &Event) -> Value {
    serde_json::from_str(&event.properties).unwrap_or_default()
}

/// Why somebody wanted it.
pub(crate) fn reason(event: &Event) -> String {
    properties(event)["reason"].as_str().unwrap_or_default().to_owned()
}

fn named(event: &Event) -> BTreeSet<Identifier> {
    let properties = properties(event);
    let list = properties["identifiers"].as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|each| identifier(each["kind"].as_str()?, each["value"].as_str()?)).collect()
}

/// An identifier as people write it; none when there is no such kind.
pub fn identifier(kind: &str, value: &str) -> Option<Identifier> {
    let kind = (0..=u8::MAX).filter_map(IdentifierKind::from_number).find(|each| each.name() == kind)?;
    let normal = match kind {
        IdentifierKind::Email => profile::identity::email(value),
        IdentifierKind::Phone => profile::identity::phone(value),
        _ => None,
    };
    Some(Identifier { kind, value: normal.unwrap_or_else(|| value.to_owned()) })
}

/// An event of the profile, and whose it is.
pub(crate) struct Told {
    pub event: Event,
    position: i64,
    /// The profile that its row in the lake names.
    stored: i64,
}

impl Told {
    pub fn is_internal(&self) -> bool {
        self.event.trust == Trust::Internal
    }

    /// A text among its properties.
    pub fn property(&self, name: &str) -> Option<String> {
        properties(&self.event)[name].as_str().map(str::to_owned)
    }

    fn subject(&self) -> Option<ProfileId> {
        emit::subject(&self.event)
    }
}

/// Two people who were one profile.
pub(crate) struct Apart {
    /// The profile that keeps what was not named.
    pub source: ProfileId,
    /// The former profile that comes back.
    pub former: Option<ProfileId>,
    /// Other former profiles that are part of it.
    pub repointed: Vec<ProfileId>,
    /// All profiles that became part of the source.
    merged: Vec<ProfileId>,
    /// Events of the one that leaves, in the order of the log.
    pub theirs: Vec<Told>,
    /// Events of the one that stays.
    pub ours: Vec<Told>,
    /// Of those, events that carry identifiers of both.
    pub shared: i64,
    /// Addresses of the one that leaves.
    pub addresses: Vec<String>,
    /// Entries of the one that leaves.
    pub entries: BTreeSet<String>,
    named: BTreeSet<Identifier>,
    known: HashSet<Identifier>,
    /// All entries: (id, journey, when).
    passages: Vec<(String, String, Timestamp)>,
    given: HashMap<i64, i64>,
}

/// What a split would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitPreview {
    /// Events that would go.
    pub moved: i64,
    /// Events that would stay.
    pub kept: i64,
    /// Of those, events that carry identifiers of both.
    pub shared: i64,
    /// The former profile that would come back; a new one is made otherwise.
    pub former: Option<ProfileId>,
}

impl Apart {
    pub fn is_named(&self, kind: IdentifierKind, value: &str) -> bool {
        self.named.iter().any(|named| named.kind == kind && named.value == value)
    }

    /// The named identifiers, for people.
    pub fn names(&self) -> String {
        let names = self.named.iter().map(|named| format!("{} {}", named.kind.name(), named.value));
        names.collect::<Vec<_>>().join(", ")
    }

    fn returns(&self, id: ProfileId) -> bool {
        self.former == Some(id) || self.repointed.contains(&id)
    }

    /// Of whom each profile that was merged is a part now: chains in memory may lead over the one that is somebody again.
    pub fn aliases(&self, target: ProfileId) -> Vec<(i64, i64)> {
        let others = self.merged.iter().filter(|id| **id != target);
        others.map(|id| (id.0, if self.returns(*id) { target.0 } else { self.source.0 })).collect()
    }

    /// Where the archive would look for an event's owner, were it to write it anew: true for the one that leaves.
    fn by_default(&self, told: &Told) -> Option<bool> {
        if let Some(subject) = told.subject() {
            return Some(self.returns(subject));
        }
        let first = profile::identifiers(&told.event).into_iter().next()?;
        self.known.contains(&first).then(|| self.named.contains(&first))
    }

    /// Events whose owner follows from nothing else.
    pub fn given(&self, target: ProfileId) -> Vec<store::Given> {
        let all =
            self.theirs.iter().map(|told| (told, true)).chain(self.ours.iter().map(|told| (told, false)));
        all.filter(|(told, leaves)| {
            let now = ProfileId(self.given.get(&told.position).copied().unwrap_or(told.stored));
            let by_alias = now == target || self.returns(now);
            by_alias != *leaves || self.by_default(told) != Some(*leaves)
        })
        .map(|(told, leaves)| (told.position, told.stored, if leaves { target.0 } else { self.source.0 }))
        .collect()
    }

    /// When each entered a journey last.
    pub fn entered(
        &self,
        one: &BTreeMap<String, Timestamp>,
    ) -> (BTreeMap<String, Timestamp>, BTreeMap<String, Timestamp>) {
        let (mut ours, mut theirs) = (BTreeMap::new(), BTreeMap::new());
        for (journey, last) in one {
            let passages = self.passages.iter().filter(|(_, of, _)| of == journey);
            let (gone, stayed): (Vec<_>, Vec<_>) = passages.partition(|(id, ..)| self.entries.contains(id));
            let latest = |all: &[&(String, String, Timestamp)]| all.iter().map(|(.., at)| *at).max();
            if let Some(at) = latest(&gone) {
                theirs.insert(journey.clone(), at);
            }
            match (latest(&stayed), gone.is_empty()) {
                (Some(at), false) => drop(ours.insert(journey.clone(), at)),
                (_, true) => drop(ours.insert(journey.clone(), *last)),
                (None, false) => {}
            }
        }
        (ours, theirs)
    }

    /// Divides the events of the profile.
    fn divide(
        &mut self,
        workspace: WorkspaceId,
        all: Vec<Told>,
        mails: &[(String, String)],
        rows: &[store::EntryRow],
    ) {
        let address = |recipient: &String| {
            let id = Identifier { kind: IdentifierKind::Email, value: recipient.to_lowercase() };
            self.known.contains(&id).then(|| self.named.contains(&id))
        };
        let mails: HashMap<&str, Option<bool>> =
            mails.iter().map(|(id, recipient)| (id.as_str(), address(recipient))).collect();
        let mut leaves = vec![false; all.len()];
        let mut of_id: HashMap<&str, bool> = HashMap::new();
        let mut shared = 0;
        for (told, leaves) in all.iter().zip(&mut leaves).filter(|(told, _)| !told.is_internal()) {
            let mut carried = profile::identifiers(&told.event);
            carried.extend(profile::identity::aliased(&told.event));
            carried.retain(|id| self.known.contains(id));
            let theirs = carried.iter().filter(|id| self.named.contains(id)).count();
            *leaves = theirs > 0 && theirs == carried.len();
            shared += i64::from(theirs > 0 && theirs < carried.len());
            of_id.insert(&told.event.message_id, *leaves);
        }
        let is_passage =
            |told: &Told| matches!(told.event.name.as_str(), "Journey Entered" | "Journey Exited");
        let mut entries = BTreeSet::new();
        for (told, leaves) in all.iter().zip(&mut leaves).filter(|(told, _)| told.is_internal()) {
            let mut is_theirs = told.subject().is_some_and(|id| self.returns(id));
            if is_passage(told) {
                entries.extend(told.property("entry").filter(|_| is_theirs));
            } else if let Some(about) = told.property("message_id") {
                let known = mails
                    .get(about.as_str())
                    .copied()
                    .flatten()
                    .or_else(|| of_id.get(about.as_str()).copied());
                is_theirs = known.unwrap_or(is_theirs);
            }
            *leaves = is_theirs;
        }
        // An entry is of the one whose event began it, whatever the profile was called then.
        let names: BTreeSet<ProfileId> =
            all.iter().map(|told| ProfileId(told.stored)).chain([self.source]).chain(self.former).collect();
        let mut begun: HashMap<Timestamp, Vec<&store::EntryRow>> = HashMap::new();
        for row in rows {
            begun.entry(row.entered_at).or_default().push(row);
        }
        for (told, _) in all.iter().zip(&leaves).filter(|(_, leaves)| **leaves) {
            for row in begun.get(&told.event.timestamp).into_iter().flatten() {
                let id = |name: &ProfileId| {
                    entry_id((workspace, *name), &row.journey, &row.key, &told.event.message_id)
                };
                if names.iter().any(|name| id(name) == row.id) {
                    entries.insert(row.id.clone());
                }
            }
        }
        for (told, leaves) in all.iter().zip(&mut leaves).filter(|(told, _)| told.is_internal()) {
            if is_passage(told)
                && let Some(entry) = told.property("entry")
            {
                *leaves = entries.contains(&entry);
            }
        }
        self.shared = shared;
        self.entries = entries;
        self.passages =
            rows.iter().map(|row| (row.id.clone(), row.journey.clone(), row.entered_at)).collect();
        for (told, leaves) in all.into_iter().zip(leaves) {
            if leaves { self.theirs.push(told) } else { self.ours.push(told) }
        }
    }
}

impl Platform {
    /// What tells apart the two people that an event says a profile is; why not, when it cannot be split. None when there is
    /// no such profile. The caller holds the step; everything before the event is stepped.
    pub(crate) async fn apart(
        &self,
        event: &Event,
        up_to: Position,
    ) -> Result<Option<Result<Apart, String>>, Error> {
        let Some(id) = emit::subject(event) else { return Ok(None) };
        while self.archive_next().await? > 0 {}
        let (row, hot) = match self.hot(event.workspace, id).await {
            Ok(found) => found,
            Err(Error::Missing(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        match self.tell_apart(event.workspace, row.id, &hot, named(event), up_to).await {
            Err(Error::Lake(error)) if error.kind() == model::Kind::Limited => {
                Ok(Some(Err(error.to_string())))
            }
            other => other.map(Some),
        }
    }

    async fn tell_apart(
        &self,
        workspace: WorkspaceId,
        source: ProfileId,
        hot: &Hot,
        mut named: BTreeSet<Identifier>,
        up_to: Position,
    ) -> Result<Result<Apart, String>, Error> {
        let identifiers = hot.profile.identifiers.iter();
        let known: HashSet<Identifier> =
            identifiers.map(|known| Identifier { kind: known.kind, value: known.value.clone() }).collect();
        named.retain(|id| known.contains(id));
        if named.is_empty() {
            return Ok(Err(
                "None of the identifiers is this profile's any more: nothing was split.".to_owned()
            ));
        }
        if named.len() == known.len() {
            return Ok(
                Err("All identifiers were named, so nobody would stay: nothing was split.".to_owned()),
            );
        }
        let mut brought: BTreeMap<ProfileId, Vec<Identifier>> = BTreeMap::new();
        for (id, kind, value) in self.store.merged_identifiers(source).await? {
            brought.entry(id).or_default().push(Identifier { kind, value });
        }
        // Who was wholly named was this person before. The largest comes back, the others stay part of it.
        brought.retain(|_, ids| ids.iter().all(|id| named.contains(id)));
        let former =
            brought.iter().max_by_key(|(id, ids)| (ids.len(), std::cmp::Reverse(**id))).map(|(id, _)| *id);
        let merges = self.store.merges(workspace).await?.into_iter().filter(|merge| merge.target == source);
        let all = self.events_of(workspace, source, up_to).await?;
        let given =
            all.iter().map(|told| (told.position, self.lake.given(told.stored, told.position))).collect();
        let mails = self.store.recipients_of(source).await?;
        let rows = self.store.entries(workspace, None, Some(source), ENTRIES_MAX).await?;
        let addresses = named.iter().filter(|id| id.kind == IdentifierKind::Email);
        let mut apart = Apart {
            source,
            former,
            merged: merges.map(|merge| merge.source).collect(),
            repointed: brought.into_keys().filter(|id| Some(*id) != former).collect(),
            theirs: Vec::new(),
            ours: Vec::new(),
            shared: 0,
            addresses: addresses.map(|id| id.value.clone()).collect(),
            entries: BTreeSet::new(),
            named,
            known,
            passages: Vec::new(),
            given,
        };
        apart.divide(workspace, all, &mails, &rows);
        Ok(Ok(apart))
    }

    /// Every event of a profile up to a position, in the order of the log.
    pub(crate) async fn events_of(
        &self,
        workspace: WorkspaceId,
        profile: ProfileId,
        up_to: Position,
    ) -> Result<Vec<Told>, Error> {
        let lake = self.lake.clone();
        let rows =
            tokio::task::spawn_blocking(move || lake.rows_of(workspace.0, profile.0, up_to.0, EVENTS_MAX))
                .await
                .map_err(|error| Error::Bug(error.to_string()))??;
        let mut out = Vec::with_capacity(rows.len());
        for row in rows {
            let (position, stored) = (row.position, row.profile_id);
            let event = match event_of(row) {
                Some(event) => event,
                // Its row does not say whom or what it speaks of.
                None => {
                    let read = self.log.read(Position(position), 1).await?;
                    let found = read.first().filter(|(at, _)| at.0 == position);
                    let (at, bytes) = found.ok_or_else(|| {
                        Error::Corrupt(format!("the log has no event at position {position}"))
                    })?;
                    codec::decode_event(*at, bytes)?
                }
            };
            out.push(Told { event, position, stored });
        }
        Ok(out)
    }

    /// What a split would do as things are.
    ///
    /// # Errors
    /// `Missing` and `Invalid` as [`Platform::split_profile`].
    pub async fn preview_split(
        &self,
        workspace: WorkspaceId,
        id: ProfileId,
        identifiers: &[Identifier],
    ) -> Result<SplitPreview, Error> {
        let (row, hot) = self.hot(workspace, id).await?;
        check(&hot, identifiers)?;
        let up_to = Position(self.stepped.load(Ordering::Acquire));
        self.lake_caught_up().await;
        let named = identifiers.iter().cloned().collect();
        match self.tell_apart(workspace, row.id, &hot, named, up_to).await? {
            Ok(apart) => Ok(SplitPreview {
                moved: apart.theirs.len() as i64,
                kept: apart.ours.len() as i64,
                shared: apart.shared,
                former: apart.former,
            }),
            Err(why) => Err(Error::invalid("nothing_to_split", "/identifiers", why)),
        }
    }

    /// Says that some identifiers of a profile are another person's. It is done when the event has been stepped; its message
    /// id is returned. Said twice, it is done once.
    ///
    /// # Errors
    /// `Missing` when there is no such profile, `Invalid` when it does not have them, or has no others.
    pub async fn split_profile(
        &self,
        workspace: WorkspaceId,
        id: ProfileId,
        identifiers: &[Identifier],
        reason: &str,
    ) -> Result<String, Error> {
        let (row, hot) = self.hot(workspace, id).await?;
        check(&hot, identifiers)?;
        let named: BTreeSet<&Identifier> = identifiers.iter().collect();
        let list: Vec<Value> =
            named.iter().map(|id| json!({"kind": id.kind.name(), "value": id.value})).collect();
        let before = self.store.splits(workspace, row.id).await?.len();
        let print = xxhash_rust::xxh3::xxh3_64(json!(list).to_string().as_bytes());
        // Who was merged again after a split is split by another event than the first time.
        let message_id = format!("split-{}-{print:016x}-{before}", row.id);
        let properties = json!({"identifiers": list, "reason": reason});
        let now = self.clock.now();
        let event = emit::event(workspace, row.id, NAME, message_id.clone(), now, properties);
        let payload = codec::encode_event(&event)?;
        self.store.emit(&[Emitted { message_id: event.message_id, payload }]).await?;
        self.wake.relay.notify_one();
        Ok(message_id)
    }

    /// Waits for a split to be stepped; none when that takes longer than 20 seconds.
    ///
    /// # Errors
    /// `Conflict` when there was nothing to be split any more.
    pub async fn split_done(
        &self,
        workspace: WorkspaceId,
        message_id: &str,
    ) -> Result<Option<SplitRow>, Error> {
        let found = async {
            loop {
                let mut next = std::pin::pin!(self.wake.split.notified());
                next.as_mut().enable();
                if let Some(row) = self.store.split(workspace, message_id).await? {
                    return Ok::<SplitRow, Error>(row);
                }
                next.await;
            }
        };
        match tokio::time::timeout(WAIT, found).await {
            Err(_) => Ok(None),
            Ok(row) => match row? {
                row if row.target.is_none() => Err(Error::Conflict(row.reason)),
                row => Ok(Some(row)),
            },
        }
    }

    /// What readers of the lake, fills and callers have to know of splits that were committed.
    pub(crate) fn took_splits(&self, splits: &[SplitRow], aliases: &[(i64, i64)]) {
        for split in splits {
            if let Some(target) = split.target {
                let given = split.given.iter();
                let given = given.map(|(position, stored, profile)| lake::Moved {
                    position: *position,
                    stored: *stored,
                    profile: *profile,
                });
                self.lake.split([target.0].into_iter(), aliases.iter().copied(), given);
                self.fills.note_split(split.workspace, [split.source, target]);
            }
        }
        if !splits.is_empty() {
            self.wake.split.notify_waiters();
        }
    }
}

/// An event from its row; none when the row does not hold all of it.
fn event_of(row: lake::Row) -> Option<Event> {
    let calls = [Call::Identify, Call::Track, Call::Page, Call::Screen];
    let call = calls.into_iter().find(|call| call.name() == row.call)?;
    let trust = match row.trust.as_str() {
        "browser" => Trust::Browser,
        "server" => Trust::Server,
        "import" => Trust::Import,
        _ => return None,
    };
    Some(Event {
        workspace: WorkspaceId(row.workspace),
        message_id: row.message_id,
        call,
        name: row.name,
        user_id: row.user_id,
        anonymous_id: row.anonymous_id,
        other_id: None,
        timestamp: row.timestamp,
        original_timestamp: row.original_timestamp,
        received_at: row.received_at,
        properties: row.properties,
        context: row.context,
        trust,
        backfill: row.backfill,
    })
}

fn check(hot: &Hot, identifiers: &[Identifier]) -> Result<(), Error> {
    let has = |id: &Identifier| {
        hot.profile.identifiers.iter().any(|known| known.kind == id.kind && known.value == id.value)
    };
    if let Some((at, lost)) = identifiers.iter().enumerate().find(|(_, id)| !has(id)) {
        let message = format!("The profile is not known by the {} {}.", lost.kind.name(), lost.value);
        return Err(Error::invalid("unknown_identifier", &format!("/identifiers/{at}"), message));
    }
    let different: BTreeSet<&Identifier> = identifiers.iter().collect();
    if different.is_empty() {
        let message = "Name the identifiers that belong to the other person.";
        return Err(Error::invalid("nothing_to_split", "/identifiers", message));
    }
    if different.len() == hot.profile.identifiers.len() {
        let message = "All identifiers are named, so nobody would stay: leave out those of the person who keeps this profile.";
        return Err(Error::invalid("nothing_to_split", "/identifiers", message));
    }
    Ok(())
}
