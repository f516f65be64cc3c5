//! Puts definitions in force: what they newly need is filled from history while the stream flows, then switched over
//! between two steps, without a gap or a double count.
//!
//! History up to a position is scanned from the lake; what is stepped meanwhile is read from the log; the switch is
//! made when both have met. From then on a profile gets its filled features when it is next touched, by the stream,
//! by a timer or by the sweep that goes over all of them. What is being filled is noted in the store first, so that
//! a start after a crash takes it up again.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use model::{Position, ProfileId, WorkspaceId};
use segment::{EventView, State};
use serde::Serialize;

use crate::Error;
use crate::filling::{AtWork, LOOK_EVENTS, Running};
use crate::platform::Platform;
use crate::registry::{self, Edit, Registry};
use crate::segments::DefinitionKind;
use crate::step::Step;

/// Profiles of one sweep; the stream waits for no more.
const SWEEP_PROFILES: i64 = 1_000;
/// Events read at once to catch up with the stream.
const CATCH_UP_EVENTS_MAX: usize = 5_000;
/// Rounds of catching up before the stream has to wait for the last one.
const CATCH_UP_ROUNDS_MAX: usize = 1_000;

/// What a step after an edit decides anew.
#[derive(Clone, Debug)]
pub(crate) enum Rebuilt {
    /// Everything.
    All,
    /// What follows from these segments or journeys.
    Of(Vec<String>),
}

struct Inner {
    states: HashMap<i64, State>,
    /// Profiles up to this one are swept.
    swept: i64,
    /// Profiles beyond it that the stream or a timer has touched.
    touched: HashSet<i64>,
}

/// Features that were filled from history and have not reached every profile.
pub(crate) struct Fill {
    features: Vec<u32>,
    rebuilt: Rebuilt,
    /// Profiles made later know the new features from their first event on.
    last: i64,
    inner: Mutex<Inner>,
}

impl Fill {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a profile has yet to get its filled features.
    pub fn awaits(&self, id: ProfileId) -> bool {
        let inner = self.inner();
        id.0 > inner.swept && id.0 <= self.last && !inner.touched.contains(&id.0)
    }

    /// Gives a profile's state what was filled for it. It counts only once the state is committed.
    pub fn pour(&self, id: ProfileId, into: &mut State) {
        // A fill that was cut short has reached some profiles already.
        for feature in &self.features {
            into.forget(*feature);
        }
        match self.inner().states.get(&id.0) {
            Some(state) => into.merge(state.clone()),
            None => into.unsettle(),
        }
    }

    /// Notes profiles whose state was committed.
    pub fn poured(&self, ids: impl Iterator<Item = ProfileId>) {
        let mut inner = self.inner();
        for id in ids {
            inner.states.remove(&id.0);
            inner.touched.insert(id.0);
        }
    }

    fn swept(&self, to: ProfileId) {
        let mut inner = self.inner();
        inner.swept = to.0;
        inner.touched.retain(|id| *id > to.0);
    }

    /// Whether a membership changed because of the edit, rather than by what people did or by time.
    pub fn explains(&self, change: &segment::Change) -> bool {
        match &self.rebuilt {
            Rebuilt::All => true,
            Rebuilt::Of(ids) => {
                ids.contains(&change.segment)
                    || matches!(change.cause, segment::Cause::Definition | segment::Cause::Segment(_))
            }
        }
    }
}

/// How far a definition that is being put in force has got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Events of history that were read.
    pub history_events: u64,
    /// Profiles whose memberships were decided.
    pub profiles_done: u64,
    /// Profiles there are.
    pub profiles_total: u64,
}

/// What is at work, for those who look.
#[derive(Default)]
pub(crate) struct Shared {
    pub running: RwLock<HashMap<WorkspaceId, Arc<Running>>>,
}

/// The fills of all workspaces. One edit at a time.
#[derive(Default)]
pub(crate) struct Fills {
    edit: tokio::sync::Mutex<()>,
    open: RwLock<HashMap<WorkspaceId, Arc<Fill>>>,
    pub shared: Arc<Shared>,
    /// Profiles that were split while history was read: what was read of them is of both.
    split: Mutex<BTreeSet<(WorkspaceId, ProfileId)>>,
}

impl Fills {
    /// The fill that has not reached every profile of a workspace.
    pub fn of(&self, workspace: WorkspaceId) -> Option<Arc<Fill>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).get(&workspace).cloned()
    }

    /// Notes the two that one profile became.
    pub fn note_split(&self, workspace: WorkspaceId, ids: [ProfileId; 2]) {
        let mut split = self.split.lock().unwrap_or_else(PoisonError::into_inner);
        split.extend(ids.into_iter().map(|id| (workspace, id)));
    }

    /// The profiles of a workspace that were split since this was asked last.
    fn take_split(&self, workspace: WorkspaceId) -> Vec<ProfileId> {
        let mut split = self.split.lock().unwrap_or_else(PoisonError::into_inner);
        let (theirs, others) = std::mem::take(&mut *split).into_iter().partition(|(of, _)| *of == workspace);
        *split = others;
        let theirs: BTreeSet<(WorkspaceId, ProfileId)> = theirs;
        theirs.into_iter().map(|(_, id)| id).collect()
    }

    fn set(&self, workspace: WorkspaceId, fill: Option<Fill>) {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        match fill {
            Some(fill) => open.insert(workspace, Arc::new(fill)),
            None => open.remove(&workspace),
        };
    }
}

/// Features as of a position.
#[derive(Default)]
struct Past {
    states: HashMap<i64, State>,
    position: i64,
}

impl Platform {
    /// Writes a version and switches over to it; nothing is written when it cannot be compiled.
    pub(crate) async fn put_in_force(
        &self,
        workspace: WorkspaceId,
        mut row: store::DefinitionRow,
    ) -> Result<store::DefinitionRow, Error> {
        if let Some(other) = self.fills(workspace).into_iter().find(|fill| fill.is_paused) {
            return Err(Error::Conflict(format!(
                "The {} '{}' is being filled and rests: resume or cancel that first.",
                other.kind, other.name
            )));
        }
        let _one = self.fills.edit.lock().await;
        let former = self.store.versions(workspace, &row.kind, &row.id).await?;
        let is_new = former.first().is_none_or(|former| former.status == "deleted");
        let mut work =
            AtWork::begin(&self.fills.shared, workspace, Running::new(&row, is_new, self.clock.now()));
        // An edit that an error cut short is finished first.
        self.finish_former(workspace, &work.running).await?;
        let outcome = self.switch_over(workspace, &mut row, &work.running, &BTreeSet::new()).await;
        if outcome.is_err() && work.running.is_given_up() && work.running.is_in_force() {
            self.go_back(workspace, &row).await?;
        }
        work.is_done = outcome.is_ok();
        outcome.map(|()| row)
    }

    async fn finish_former(&self, workspace: WorkspaceId, running: &Arc<Running>) -> Result<(), Error> {
        self.sweep(workspace, running).await?;
        self.take_up(workspace, running).await
    }

    /// Puts the former version of a definition in force again whose fill was given up half-way, or none.
    async fn go_back(&self, workspace: WorkspaceId, row: &store::DefinitionRow) -> Result<(), Error> {
        let versions = self.store.versions(workspace, &row.kind, &row.id).await?;
        let former = versions.into_iter().find(|former| former.version < row.version);
        let former = former.filter(|former| former.status != "deleted");
        let is_gone = former.is_none();
        let mut back = match former {
            Some(former) => former,
            None => store::DefinitionRow { status: "deleted".to_owned(), ..row.clone() },
        };
        (back.author, back.at) = (row.author.clone(), self.clock.now());
        // What has not reached everybody is filled anew where something else needs it.
        let unfilled = self.fills.of(workspace).map(|fill| fill.features.iter().copied().collect());
        let running = Arc::new(Running::nameless(self.clock.now()));
        self.switch_over(workspace, &mut back, &running, &unfilled.unwrap_or_default()).await?;
        if is_gone && back.kind == DefinitionKind::Segment.name() {
            self.end_memberships(workspace, &back.id).await?;
        }
        Ok(())
    }

    async fn switch_over(
        &self,
        workspace: WorkspaceId,
        row: &mut store::DefinitionRow,
        running: &Arc<Running>,
        unfilled: &BTreeSet<u32>,
    ) -> Result<(), Error> {
        // Splits until now are in whatever is read from here on.
        self.fills.take_split(workspace);
        let versions = self.store.versions(workspace, &row.kind, &row.id).await?;
        row.version = 1 + versions.first().map_or(0, |former| former.version);
        let mut ids = registry::ids(&self.store, workspace).await?;
        let edit = Edit { row, keeps_former: true };
        let settings = self.settings(workspace).await?;
        let next = Registry::load(&self.store, workspace, settings, &mut ids, Some(&edit)).await?;
        let mut features: BTreeSet<u32> = next.engine.fresh().iter().copied().collect();
        let known: BTreeSet<u32> = next.engine.features().iter().map(|feature| feature.id).collect();
        features.extend(unfilled.intersection(&known));
        let mut past = Past::default();
        if !features.is_empty() {
            let next = Arc::new(next);
            past = self.history(workspace, &next, &features, running).await?;
            for _ in 0..CATCH_UP_ROUNDS_MAX {
                running.go_on().await?;
                if self.catch_up(workspace, &next, &features, &mut past).await? < CATCH_UP_EVENTS_MAX {
                    break;
                }
            }
        }
        running.go_on().await?;
        let step = self.wake.step.lock().await;
        let rebuilds = row.kind != DefinitionKind::Template.name();
        if rebuilds {
            // What time has decided already is decided by the former definitions.
            self.step_all_due().await?;
        }
        // Entries may have begun or ended meanwhile: which former versions somebody is inside of is asked again.
        let edit = Edit { row, keeps_former: false };
        let settings = self.settings(workspace).await?;
        let next = Registry::load(&self.store, workspace, settings, &mut ids, Some(&edit)).await?;
        let next = Arc::new(next);
        if !features.is_empty() {
            while self.catch_up(workspace, &next, &features, &mut past).await? > 0 {}
        }
        let late: BTreeSet<u32> = next.engine.fresh().iter().copied().collect();
        if !late.is_empty() {
            // The stream waits: this part is neither rested in nor given up.
            let hurried = Arc::new(Running::nameless(self.clock.now()));
            let mut more = self.history(workspace, &next, &late, &hurried).await?;
            while self.catch_up(workspace, &next, &late, &mut more).await? > 0 {}
            for (id, state) in more.states {
                past.states.entry(id).or_default().merge(state);
            }
            features.extend(late);
        }
        if rebuilds {
            registry::set_filling(&self.store, workspace, Some(&features)).await?;
        }
        row.version = self.store.put_definition(workspace, row).await?;
        registry::put_ids(&self.store, workspace, &ids).await?;
        self.install(workspace, next);
        if rebuilds {
            let mut ids = vec![registry::edited_key(row)];
            if row.kind == DefinitionKind::Trait.name() {
                ids.extend(self.trait_used_by(workspace, &row.id).into_iter().map(|(_, id, _)| id));
            }
            self.begin(workspace, features, Rebuilt::Of(ids), past, running).await?;
        }
        running.came_in_force();
        drop(step);
        self.sweep(workspace, running).await
    }

    /// Fills what a crash or an error left unfilled.
    pub(crate) async fn take_up_filling(&self, workspace: WorkspaceId) -> Result<(), Error> {
        self.take_up(workspace, &Arc::new(Running::nameless(self.clock.now()))).await
    }

    async fn take_up(&self, workspace: WorkspaceId, running: &Arc<Running>) -> Result<(), Error> {
        let Some(features) = registry::filling(&self.store, workspace).await? else { return Ok(()) };
        let registry = self.registry(workspace);
        let mut past = self.history(workspace, &registry, &features, running).await?;
        let step = self.wake.step.lock().await;
        while self.catch_up(workspace, &registry, &features, &mut past).await? > 0 {}
        self.begin(workspace, features, Rebuilt::All, past, running).await?;
        drop(step);
        self.sweep(workspace, running).await
    }

    async fn begin(
        &self,
        workspace: WorkspaceId,
        features: BTreeSet<u32>,
        rebuilt: Rebuilt,
        past: Past,
        running: &Running,
    ) -> Result<(), Error> {
        let mut states: HashMap<i64, State> = HashMap::with_capacity(past.states.len());
        for (id, state) in past.states {
            // Profiles may have become one since their events were read.
            let id = self.lake.alias(id).unwrap_or(id);
            match states.entry(id) {
                std::collections::hash_map::Entry::Occupied(mut known) => known.get_mut().merge(state),
                std::collections::hash_map::Entry::Vacant(place) => drop(place.insert(state)),
            }
        }
        self.tell_apart_again(workspace, &features, &mut states).await?;
        let total = self.store.count_profiles(workspace).await?;
        running.profiles_total.store(total as u64, Ordering::Relaxed);
        running.profiles_done.store(0, Ordering::Relaxed);
        let fill = Fill {
            features: features.into_iter().collect(),
            rebuilt,
            last: self.store.max_profile_id().await?,
            inner: Mutex::new(Inner { states, swept: 0, touched: HashSet::new() }),
        };
        self.fills.set(workspace, Some(fill));
        Ok(())
    }

    /// Profiles that were split while their history was read get each its own. The caller holds the step.
    async fn tell_apart_again(
        &self,
        workspace: WorkspaceId,
        features: &BTreeSet<u32>,
        states: &mut HashMap<i64, State>,
    ) -> Result<(), Error> {
        let split = self.fills.take_split(workspace);
        if split.is_empty() {
            return Ok(());
        }
        while self.archive_next().await? > 0 {}
        let (registry, now) = (self.registry(workspace), self.clock.now());
        let features: Vec<u32> = features.iter().copied().collect();
        let up_to = Position(self.stepped.load(Ordering::Acquire));
        for id in split {
            let id = ProfileId(self.lake.alias(id.0).unwrap_or(id.0));
            let mut state = State::default();
            for told in self.events_of(workspace, id, up_to).await? {
                registry.engine.apply_only(&mut state, &features, &EventView::of(&told.event), now);
            }
            states.insert(id.0, state);
        }
        Ok(())
    }

    /// Takes every profile that awaits its filled features through a step, some at a time.
    async fn sweep(&self, workspace: WorkspaceId, running: &Running) -> Result<(), Error> {
        let Some(fill) = self.fills.of(workspace) else { return Ok(()) };
        loop {
            running.go_on().await?;
            let step = self.wake.step.lock().await;
            let after = ProfileId(fill.inner().swept);
            let rows = self.store.scan_profiles(workspace, after, SWEEP_PROFILES).await?;
            let Some(last) = rows.last().map(|row| row.id) else { break };
            let many = rows.len() as u64;
            let at = Position(self.stepped.load(Ordering::Acquire));
            let mut sweep = Step::new(self, at, at, self.store.max_profile_id().await?);
            sweep.sweep(rows.into_iter().filter(|row| fill.awaits(row.id)).collect())?;
            sweep.commit().await?;
            fill.swept(last);
            running.profiles_done.fetch_add(many, Ordering::Relaxed);
            drop(step);
        }
        registry::set_filling(&self.store, workspace, None).await?;
        self.fills.set(workspace, None);
        Ok(())
    }

    /// What the lake knows of some features.
    async fn history(
        &self,
        workspace: WorkspaceId,
        registry: &Arc<Registry>,
        features: &BTreeSet<u32>,
        running: &Arc<Running>,
    ) -> Result<Past, Error> {
        let mut names: Vec<String> = registry
            .engine
            .features()
            .into_iter()
            .filter(|feature| features.contains(&feature.id))
            .flat_map(|feature| feature.events)
            .collect();
        names.sort_unstable();
        names.dedup();
        let position = self.lake.position();
        if names.is_empty() {
            return Ok(Past { states: HashMap::new(), position });
        }
        let (lake, registry, now) = (self.lake.clone(), registry.clone(), self.clock.now());
        let features: Vec<u32> = features.iter().copied().collect();
        running.history_events_max.fetch_add(lake.rows_at_most(workspace.0, &names), Ordering::Relaxed);
        let running = running.clone();
        let handle = tokio::runtime::Handle::current();
        tokio::task::spawn_blocking(move || {
            let mut states: HashMap<i64, State> = HashMap::new();
            let mut given_up = None;
            lake.scan(workspace.0, &names, position, true, &mut |row| {
                let read = running.history_events.fetch_add(1, Ordering::Relaxed);
                if given_up.is_none() && read.is_multiple_of(LOOK_EVENTS) {
                    given_up = handle.block_on(running.go_on()).err();
                }
                if given_up.is_some() {
                    return;
                }
                let event = EventView::new(row.name, row.timestamp, row.properties);
                let state = states.entry(row.profile_id).or_default();
                registry.engine.apply_only(state, &features, &event, now);
            })?;
            given_up.map_or(Ok(Past { states, position }), Err)
        })
        .await
        .map_err(|error| Error::Bug(error.to_string()))?
    }

    /// Adds events that were stepped since; how many were read.
    async fn catch_up(
        &self,
        workspace: WorkspaceId,
        registry: &Registry,
        features: &BTreeSet<u32>,
        past: &mut Past,
    ) -> Result<usize, Error> {
        let stepped = self.stepped.load(Ordering::Acquire);
        let many = usize::try_from(stepped - past.position).unwrap_or(0).min(CATCH_UP_EVENTS_MAX);
        if many == 0 {
            return Ok(0);
        }
        let features: Vec<u32> = features.iter().copied().collect();
        let now = self.clock.now();
        let events = self.owned_events(Position(past.position + 1), many).await?;
        for (position, event, owner) in &events {
            past.position = position.0;
            if event.workspace == workspace
                && let Some(owner) = owner
                && registry.engine.listens_to(&event.name)
            {
                let state = past.states.entry(owner.0).or_default();
                registry.engine.apply_only(state, &features, &EventView::of(event), now);
            }
        }
        Ok(events.len())
    }
}
