//! The step: takes a batch of events, or profiles whose time has come, through profile → segment → journey and
//! commits everything that follows, with the consumed position, in one transaction.

mod interact;
mod merge;
mod row;
pub(crate) mod set_back;
mod split;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use model::{Event, IdentifierKind, Position, ProfileId, Timestamp, Value, WorkspaceId};
use segment::EventView;
use serde_json::json;

use crate::fill::Fill;
use crate::hot::{Facts, Hot};
use crate::platform::Platform;
use crate::registry::{Registry, branch_key};
use crate::warm::Kept;
use crate::{Error, codec, emit};

/// Events of one step.
pub const STEP_EVENTS_MAX: usize = 2_000;
/// Due profiles of one step.
pub const STEP_DUE_MAX: usize = 1_000;
/// Open entries of one profile; more are refused.
const ENTRIES_MAX: usize = 100;

pub use row::message_id;
pub(crate) use row::{entry_id, entry_row};

pub(crate) type Key = (WorkspaceId, ProfileId);

pub(crate) struct Working {
    pub(crate) hot: Hot,
    created_at: Timestamp,
    /// Bytes of the stored state.
    bytes: usize,
}

/// One step in the making: everything it read and everything it will write.
pub struct Step<'a> {
    pub(crate) platform: &'a Platform,
    pub(crate) now: Timestamp,
    index: HashMap<(WorkspaceId, IdentifierKind, String), ProfileId>,
    pub(crate) profiles: HashMap<Key, Working>,
    pub(crate) dirty: BTreeSet<Key>,
    gone: HashMap<Key, ProfileId>,
    next_profile_id: i64,
    registries: HashMap<WorkspaceId, Arc<Registry>>,
    pub(crate) emitted: Vec<Event>,
    interactions: HashMap<WorkspaceId, u64>,
    fills: HashMap<WorkspaceId, Option<Arc<Fill>>>,
    filled: HashSet<Key>,
    /// The clock was set back: memberships that change by it were told before.
    undoes: bool,
    /// The cause that a change of a list carries, while that event is taken.
    listing: Option<String>,
    /// History is taken: rules rest.
    quiet: bool,
    /// What tells two people apart, when the one event of this step splits a profile.
    pub(crate) apart: Option<Result<crate::split::Apart, String>>,
    /// Of whom former profiles are a part after a split.
    parted: Vec<(i64, i64)>,
    /// Memberships change as a profile was split: nothing is done about it.
    splitting: bool,
    /// Coupons that events of this step name, by code.
    coupons: HashMap<(WorkspaceId, String), store::CouponRow>,
    pub(crate) commit: store::StepCommit,
}

impl<'a> Step<'a> {
    /// A step that moves the position from `expected` to `position`.
    pub fn new(
        platform: &'a Platform,
        expected: Position,
        position: Position,
        next_profile_id: i64,
    ) -> Step<'a> {
        Step {
            platform,
            now: platform.clock.now(),
            index: HashMap::new(),
            profiles: HashMap::new(),
            dirty: BTreeSet::new(),
            gone: HashMap::new(),
            next_profile_id,
            registries: HashMap::new(),
            emitted: Vec::new(),
            interactions: HashMap::new(),
            fills: HashMap::new(),
            filled: HashSet::new(),
            undoes: false,
            listing: None,
            quiet: false,
            apart: None,
            parted: Vec::new(),
            splitting: false,
            coupons: HashMap::new(),
            commit: store::StepCommit::new("step", expected, position),
        }
    }

    /// Takes events, in order.
    ///
    /// # Errors
    /// When the store does not answer; nothing has been written then.
    pub async fn events(&mut self, events: &[Event]) -> Result<(), Error> {
        let wanted: Vec<Vec<profile::Identifier>> = events.iter().map(profile::identifiers).collect();
        self.look_up(events, &wanted).await?;
        self.look_up_coupons(events).await?;
        for (event, identifiers) in events.iter().zip(&wanted) {
            self.event(event, identifiers);
        }
        Ok(())
    }

    /// Takes profiles whose time has come.
    ///
    /// # Errors
    /// When the store does not answer; nothing has been written then.
    pub async fn due(&mut self, due: &[(WorkspaceId, ProfileId)]) -> Result<(), Error> {
        self.load(due.iter().map(|(_, id)| *id).collect()).await?;
        for key in due {
            if self.profiles.contains_key(key) {
                self.settle(*key);
                self.dirty.insert(*key);
            }
        }
        Ok(())
    }

    /// Takes profiles that await features filled from history; decides their memberships anew.
    ///
    /// # Errors
    /// `Corrupt` when a state is damaged.
    pub fn sweep(&mut self, rows: Vec<store::ProfileRow>) -> Result<(), Error> {
        for row in rows {
            let key = (row.workspace, row.id);
            self.read(row)?;
            let registry = self.registry(key.0);
            if let Some(working) = self.profiles.get_mut(&key) {
                working.hot.entered.retain(|journey, _| registry.journeys.contains_key(journey));
                crate::rules::forget(&mut working.hot.fired, &registry);
            }
            self.settle(key);
            self.decide(key, &registry);
            self.dirty.insert(key);
        }
        Ok(())
    }

    /// Writes everything. The number of the last profile made is returned.
    ///
    /// # Errors
    /// When the store does not answer or another worker has moved the position; nothing has been written then.
    pub async fn commit(mut self) -> Result<i64, Error> {
        for key in &self.dirty {
            let registry = self.registries.entry(key.0).or_insert_with(|| self.platform.registry(key.0));
            let Some(working) = self.profiles.get_mut(key) else { continue };
            let state = working.hot.encode()?;
            working.bytes = state.len();
            let profile = &working.hot.profile;
            self.commit.profiles.push(store::ProfileRow {
                workspace: key.0,
                id: key.1,
                due_at: working.hot.due_at(registry),
                created_at: working.created_at,
                last_seen_at: profile.last_seen_at.unwrap_or(working.created_at),
                email: profile.email(),
                name: profile.display(),
                user_id: profile.identifier(IdentifierKind::UserId).map(str::to_owned),
                state,
            });
        }
        for event in &self.emitted {
            self.commit.emitted.push(store::Emitted {
                message_id: event.message_id.clone(),
                payload: codec::encode_event(event)?,
            });
        }
        let (sends, emits) = (!self.commit.messages.is_empty(), !self.commit.emitted.is_empty());
        self.platform.store.commit_step(&self.commit).await?;
        self.platform.recommender.count(&self.interactions);
        self.platform.warm.know(self.index.drain());
        self.platform.warm.give_back(self.profiles.drain().map(|((workspace, id), working)| {
            let Working { hot, created_at, bytes } = working;
            (id, Kept { workspace, hot, created_at, bytes })
        }));
        self.platform.people.note(self.dirty.iter(), self.gone.keys());
        for (workspace, fill) in &self.fills {
            let written = self.filled.iter().filter(|key| key.0 == *workspace && self.dirty.contains(key));
            if let Some(fill) = fill {
                fill.poured(written.map(|key| key.1));
            }
        }
        self.platform.took_splits(&self.commit.splits, &self.parted);
        if !self.gone.is_empty() {
            self.platform.lake.add_aliases(self.gone.iter().map(|((_, from), into)| (from.0, into.0)));
        }
        if sends {
            self.platform.wake.send.notify_one();
        }
        if emits {
            self.platform.wake.relay.notify_one();
        }
        Ok(self.next_profile_id)
    }

    fn registry(&mut self, workspace: WorkspaceId) -> Arc<Registry> {
        let platform = self.platform;
        self.registries.entry(workspace).or_insert_with(|| platform.registry(workspace)).clone()
    }

    async fn look_up(&mut self, events: &[Event], wanted: &[Vec<profile::Identifier>]) -> Result<(), Error> {
        let mut keys = HashSet::new();
        let mut ids = HashSet::new();
        for (event, identifiers) in events.iter().zip(wanted) {
            for identifier in identifiers {
                keys.insert((event.workspace, identifier.kind, identifier.value.clone()));
            }
            if let Some(previous) = profile::identity::aliased(event) {
                keys.insert((event.workspace, previous.kind, previous.value));
            }
            ids.extend(emit::subject(event));
            ids.extend(merge::other(event));
        }
        let mut keys: Vec<_> = keys.into_iter().collect();
        self.index = self.platform.warm.identify(&mut keys, |id| self.platform.lake.alias(id));
        if !keys.is_empty() {
            self.index.extend(self.platform.store.lookup_identifiers(&keys).await?);
        }
        ids.extend(self.index.values().copied());
        let ids: Vec<ProfileId> = ids.into_iter().collect();
        self.load(ids.clone()).await?;
        // An event of ours may speak of a profile that has been merged since.
        let known: HashSet<ProfileId> = self.profiles.keys().map(|(_, id)| *id).collect();
        let lost: Vec<i64> = ids.iter().filter(|id| !known.contains(id)).map(|id| id.0).collect();
        for id in lost {
            if let Some(into) = self.platform.lake.alias(id) {
                self.load(vec![ProfileId(into)]).await?;
                let found = self.profiles.keys().find(|(_, known)| known.0 == into).copied();
                if let Some((workspace, into)) = found {
                    self.gone.insert((workspace, ProfileId(id)), into);
                }
            }
        }
        Ok(())
    }

    async fn load(&mut self, mut ids: Vec<ProfileId>) -> Result<(), Error> {
        for (id, kept) in self.platform.warm.take(&mut ids) {
            self.take(id, kept);
        }
        if !ids.is_empty() {
            for row in self.platform.store.load_profiles(&ids).await? {
                self.read(row)?;
            }
        }
        Ok(())
    }

    fn read(&mut self, row: store::ProfileRow) -> Result<(), Error> {
        // What is kept of it is the same; two would differ once this step is committed.
        self.platform.warm.forget(row.id);
        let (hot, bytes) = (Hot::decode(&row.state)?, row.state.len());
        self.take(row.id, Kept { workspace: row.workspace, hot, created_at: row.created_at, bytes });
        Ok(())
    }

    fn take(&mut self, id: ProfileId, kept: Kept) {
        let Kept { workspace, mut hot, created_at, bytes } = kept;
        let platform = self.platform;
        let fill = self.fills.entry(workspace).or_insert_with(|| platform.fills.of(workspace));
        if let Some(fill) = fill.as_ref().filter(|fill| fill.awaits(id)) {
            fill.pour(id, &mut hot.segments);
            self.filled.insert((workspace, id));
        }
        self.profiles.insert((workspace, id), Working { hot, created_at, bytes });
    }

    fn event(&mut self, event: &Event, identifiers: &[profile::Identifier]) {
        let key = match emit::subject(event) {
            Some(id) => {
                let id = self.gone.get(&(event.workspace, id)).copied().unwrap_or(id);
                if !self.profiles.contains_key(&(event.workspace, id)) {
                    return;
                }
                (event.workspace, id)
            }
            None => self.resolve(event, identifiers),
        };
        self.merge_by_hand(key, event);
        self.split(key, event);
        let registry = self.registry(event.workspace);
        let Some(working) = self.profiles.get_mut(&key) else { return };
        let folded = working.hot.profile.fold(event);
        if folded.attributes_changed {
            working.hot.segments.attributes_changed();
        }
        if !event.backfill && !folded.changed.is_empty() && !registry.types.is_empty() {
            let of_event = |problem: &profile::Problem| {
                folded.changed.iter().any(|name| {
                    problem
                        .attribute
                        .strip_prefix(name.as_str())
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
                })
            };
            let problems = profile::problems(&working.hot.profile, &registry.types);
            let told = problems.iter().filter(|problem| of_event(problem));
            self.emitted.extend(told.map(|problem| emit::attribute_problem(key.0, key.1, event, problem)));
        }
        self.interact(key, event);
        let Some(working) = self.profiles.get_mut(&key) else { return };
        let facts = Facts { profile: &working.hot.profile, zone: &registry.zone };
        registry.engine.apply(&mut working.hot.segments, &EventView::of(event), &facts, self.now);
        for (topic, subscribed) in folded.consents {
            self.commit.consents.push(store::ConsentRow {
                workspace: key.0,
                profile: key.1,
                topic,
                subscribed,
                at: event.timestamp,
                source: event.name.clone(),
            });
        }
        self.dirty.insert(key);
        if !event.backfill {
            self.journeys(key, event, &registry);
        }
        self.listing = crate::lists::cause(event);
        self.quiet = event.backfill;
        self.settle(key);
        (self.listing, self.quiet, self.splitting) = (None, false, false);
        if !event.backfill {
            self.rules_on(key, event, &registry);
        }
    }

    fn resolve(&mut self, event: &Event, identifiers: &[profile::Identifier]) -> Key {
        let workspace = event.workspace;
        let resolution = {
            let found =
                |id: &profile::Identifier| self.index.get(&(workspace, id.kind, id.value.clone())).copied();
            let state =
                |id: ProfileId| self.profiles.get(&(workspace, id)).map(|working| &working.hot.profile);
            profile::identity::resolve(event, identifiers, &found, &state, self.now)
        };
        let id = resolution.profile.unwrap_or_else(|| {
            self.next_profile_id += 1;
            ProfileId(self.next_profile_id)
        });
        let key = (workspace, id);
        let now = self.now;
        self.profiles.entry(key).or_insert_with(|| Working {
            hot: Hot::default(),
            created_at: now,
            bytes: 0,
        });
        for (other, reason) in resolution.merge {
            self.merge(key, other, reason);
        }
        for identifier in &resolution.add {
            self.index.insert((workspace, identifier.kind, identifier.value.clone()), id);
            self.commit.identifiers.push(store::IdentifierRow {
                workspace,
                kind: identifier.kind,
                value: identifier.value.clone(),
                profile: id,
            });
        }
        let is_known_by_more = !resolution.add.is_empty();
        let mut seen = resolution.add;
        let owned = |identifier: &&profile::Identifier| {
            self.index.get(&(workspace, identifier.kind, identifier.value.clone())) == Some(&id)
        };
        seen.extend(identifiers.iter().filter(owned).cloned());
        if let Some(working) = self.profiles.get_mut(&key) {
            working.hot.profile.see(&seen, event);
            if is_known_by_more {
                working.hot.segments.attributes_changed();
            }
            working.hot.profile.decide(resolution.decisions);
        }
        key
    }

    fn journeys(&mut self, key: Key, event: &Event, registry: &Registry) {
        if !registry.journeys.values().any(|journey| journey.concerns(&event.name)) {
            return;
        }
        let properties: Value = serde_json::from_str(&event.properties).unwrap_or(Value::Null);
        let Some(working) = self.profiles.get_mut(&key) else { return };
        let hot = &mut working.hot;
        let mut ended = Vec::new();
        hot.entries.retain(|entry| {
            let journey = registry.journeys.get(&entry.journey);
            let reason = journey.and_then(|journey| journey.version(entry.version)).and_then(|journey| {
                journey::event(journey, entry, &event.name, &properties, event.timestamp)
            });
            if let Some(reason) = &reason {
                ended.push((entry.clone(), reason.clone()));
            }
            reason.is_none()
        });
        let mut begun = Vec::new();
        // A new or edited definition moves people in and out of segments; it does not write to them.
        let by_definition = set_back::tells_nothing_new(event, &properties["cause"]);
        for journey in registry.journeys.values().filter(|journey| journey.live && !by_definition) {
            if hot.entries.len() >= ENTRIES_MAX {
                break;
            }
            let id = |entry_key: &str| entry_id(key, &journey.compiled.id, entry_key, &event.message_id);
            let entry = journey::enter(
                &journey.compiled,
                &event.name,
                &properties,
                &hot.entries,
                hot.entered.get(&journey.compiled.id).copied(),
                event.timestamp,
                &id,
            );
            if let Some(entry) = entry {
                let last = hot.entered.entry(entry.journey.clone()).or_insert(entry.entered_at);
                *last = entry.entered_at.max(*last);
                begun.push(entry.clone());
                hot.entries.push(entry);
            }
        }
        for (mut entry, reason) in ended {
            entry.due_at = None;
            self.end(key, &entry, &reason, Vec::new());
        }
        for entry in begun {
            self.commit.entries.push(entry_row(key, &entry, None, Vec::new(), self.now));
            let properties = json!({"journey": entry.journey, "entry": entry.id, "version": entry.version});
            let id = format!("jny-in-{}", entry.id);
            self.emitted.push(emit::event(key.0, key.1, "Journey Entered", id, self.now, properties));
        }
    }

    fn end(&mut self, key: Key, entry: &journey::Entry, reason: &str, passed: Vec<String>) {
        self.commit.entries.push(entry_row(key, entry, Some(reason), passed, self.now));
        let properties =
            json!({"journey": entry.journey, "entry": entry.id, "version": entry.version, "reason": reason});
        let id = format!("jny-out-{}", entry.id);
        self.emitted.push(emit::event(key.0, key.1, "Journey Exited", id, self.now, properties));
    }

    /// Decides memberships and moves journeys as of now.
    fn settle(&mut self, key: Key) {
        let registry = self.registry(key.0);
        let now = self.now;
        let Some(working) = self.profiles.get_mut(&key) else { return };
        let Hot { profile, segments, entries, .. } = &mut working.hot;
        let facts = Facts { profile, zone: &registry.zone };
        let changes = registry.engine.settle(segments, &facts, now);
        let mut moved = Vec::new();
        entries.retain_mut(|entry| {
            let in_force = registry.journeys.get(&entry.journey);
            let journey = match in_force.map(|journey| (journey.live, journey.version(entry.version))) {
                Some((false, _)) => return true,
                Some((true, Some(journey))) => journey,
                lost => {
                    let reason = if lost.is_none() { "journey_deleted" } else { "version_missing" };
                    entry.due_at = None;
                    let step =
                        journey::Step { ended: Some(reason.to_owned()), moved: true, ..Default::default() };
                    moved.push((entry.clone(), step));
                    return false;
                }
            };
            let mut holds = |node: &str, _: &str| {
                registry.engine.evaluate(&branch_key(journey, node), segments, &facts, now)
            };
            let step = journey::tick(journey, entry, now, &mut holds);
            let open = step.ended.is_none();
            if step.moved {
                moved.push((entry.clone(), step));
            }
            open
        });
        let recipient = profile.email();
        let fill = self.fills.get(&key.0).and_then(Option::as_ref).filter(|_| self.filled.contains(&key));
        let (mut ruled, mut tabled) = (Vec::new(), false);
        for change in changes {
            let edited = fill.as_ref().is_some_and(|fill| fill.explains(&change));
            let repeats = self.platform.set_back.repeats(key, &change.segment, self.undoes);
            let listed = self.listing.clone().filter(|_| crate::lists::explains(&change.cause));
            let cause = match (edited, repeats) {
                (true, _) => segment::Cause::Definition.to_string(),
                (false, true) => set_back::CAUSE.to_owned(),
                (false, false) => change.cause.to_string(),
            };
            let cause = if self.splitting { crate::split::CAUSE.to_owned() } else { listed.unwrap_or(cause) };
            if let Some(rule) = change.segment.strip_prefix(segment::RULE_PREFIX) {
                if change.entered && !self.quiet && !repeats && !self.splitting {
                    ruled.push((rule.to_owned(), cause, edited));
                }
                continue;
            }
            if change.segment.starts_with(segment::TABLE_PREFIX) {
                tabled = true;
                continue;
            }
            self.emitted.push(emit::segment_change(
                key.0,
                key.1,
                &change.segment,
                change.entered,
                now,
                &cause,
            ));
            self.commit.memberships.push(store::MembershipChange {
                workspace: key.0,
                segment: change.segment,
                profile: key.1,
                entered: change.entered,
                at: now,
                cause,
            });
        }
        for (entry, step) in moved {
            self.effects(key, &entry, &step, recipient.as_deref());
            match step.ended {
                Some(reason) => self.end(key, &entry, &reason, step.passed),
                None => self.commit.entries.push(entry_row(key, &entry, None, step.passed, now)),
            }
        }
        self.fire_all(key, ruled, &registry);
        if tabled {
            self.decide(key, &registry);
        }
    }

    fn effects(&mut self, key: Key, entry: &journey::Entry, step: &journey::Step, recipient: Option<&str>) {
        let mut decisions = vec![json!({
            "step": "trigger", "title": "Why this mail", "at": entry.entered_at,
            "sentence": format!("The journey '{}' was entered.", entry.journey), "data": {"entry": entry.id, "key": entry.key},
        })];
        for effect in &step.effects {
            match effect {
                journey::Effect::Decided { node, condition, held } => {
                    let word = if *held { "holds" } else { "does not hold" };
                    decisions.push(json!({
                        "step": "conditions", "title": "Why now", "at": self.now,
                        "sentence": format!("At '{node}', the condition {condition} {word}."), "data": {"node": node, "held": held},
                    }));
                }
                journey::Effect::Send { node, visit, template, topic, kind, coupon } => {
                    let send_key = format!(
                        "{}/journey/{}/{}/{node}/{visit}/{}/email",
                        key.0, entry.journey, entry.id, key.1
                    );
                    let data = json!({
                        "event": serde_json::from_str::<Value>(&entry.event).unwrap_or_default(),
                        "journey": {"id": entry.journey, "entry": entry.id, "version": entry.version}, "coupon": coupon,
                    });
                    self.commit.messages.push(store::NewMessage {
                        workspace: key.0,
                        id: message_id(&send_key),
                        send_key,
                        profile: key.1,
                        kind: kind.clone(),
                        topic: topic.clone(),
                        source: Some((entry.journey.clone(), entry.id.clone(), node.clone())),
                        template: template.clone(),
                        recipient: recipient.unwrap_or_default().to_owned(),
                        due_at: self.now,
                        created_at: self.now,
                        data: data.to_string(),
                        trace: Value::Array(decisions.clone()).to_string(),
                    });
                }
            }
        }
    }
}
