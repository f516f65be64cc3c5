//! The workers: step, timers, relay, archive, send. Each can stop and start anywhere; what they have not finished is
//! found again in the log, the store or the lake.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use model::{Position, ProfileId, Timestamp, WorkspaceId};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::platform::Platform;
use crate::step::{STEP_DUE_MAX, STEP_EVENTS_MAX, Step};
use crate::{Error, codec, emit};

/// How long a worker rests after an error.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(500);
/// How often timers are looked at.
const TIMER_BEAT: Duration = Duration::from_millis(100);
/// Events read for the archive at once.
const ARCHIVE_EVENTS_MAX: usize = 5_000;
/// Events of ours relayed at once.
const RELAY_EVENTS_MAX: i64 = 2_000;

/// The work of one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Events of the log through profile, segment and journey.
    Events,
    /// Profiles whose time has come.
    Timers,
    /// Events of ours to the log.
    Relay,
    /// Events to the lake.
    Archive,
    /// Due messages through the gate to the transport.
    Send,
    /// Queries of segments whose schedule has come round.
    Refresh,
}

/// Running workers.
pub struct Workers {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Stops all workers at their next resting place and writes what the lake holds in memory.
    pub async fn stop(self) {
        self.stop.cancel();
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a worker died");
            }
        }
    }
}

impl Platform {
    /// Starts all workers.
    pub fn start(self: &Arc<Platform>) -> Workers {
        self.start_some(true)
    }

    /// Starts all workers but the sender: for commands on a data directory.
    pub fn start_without_sending(self: &Arc<Platform>) -> Workers {
        self.start_some(false)
    }

    fn start_some(self: &Arc<Platform>, sending: bool) -> Workers {
        let stop = CancellationToken::new();
        let mut tasks = vec![
            tokio::spawn(step_events(self.clone(), stop.clone())),
            tokio::spawn(step_timers(self.clone(), stop.clone())),
            tokio::spawn(relay(self.clone(), stop.clone())),
            tokio::spawn(archive(self.clone(), stop.clone())),
            tokio::spawn(crate::recommend::run(self.clone(), stop.clone())),
            tokio::spawn(crate::lists::run(self.clone(), stop.clone())),
        ];
        if sending {
            tasks.push(tokio::spawn(crate::send::run(self.clone(), stop.clone())));
            tasks.push(tokio::spawn(crate::rfm::run(self.clone(), stop.clone())));
        }
        Workers { stop, tasks }
    }

    /// One round of one worker; how much was done. The workers do nothing but call it in a loop.
    ///
    /// # Errors
    /// What the log, the store or the lake say; the same work is found again.
    pub async fn round(&self, work: Work) -> Result<usize, Error> {
        match work {
            Work::Events => self.step_next().await,
            Work::Timers => self.step_due().await,
            Work::Relay => relay_once(self).await,
            Work::Archive => self.archive_next().await,
            Work::Send => self.send_due().await,
            Work::Refresh => self.refresh_due().await,
        }
    }

    /// Does everything that is due as of now, in this task: for tests, and for commands on a data directory.
    ///
    /// # Errors
    /// What the log, the store or the lake say.
    pub async fn work_off(&self) -> Result<(), Error> {
        loop {
            let mut done = 0;
            for work in [Work::Events, Work::Timers, Work::Relay, Work::Archive, Work::Send, Work::Refresh] {
                done += self.round(work).await?;
            }
            if done == 0 {
                return Ok(());
            }
        }
    }

    /// Steps the next events of the log. The number stepped is returned.
    ///
    /// # Errors
    /// When the log or the store does not answer; the same events are stepped again then.
    pub(crate) async fn step_next(&self) -> Result<usize, Error> {
        let _one = self.wake.step.lock().await;
        let from = self.stepped.load(Ordering::Acquire);
        let records = self.log.read(Position(from + 1), STEP_EVENTS_MAX).await?;
        if records.is_empty() {
            return Ok(0);
        }
        let mut events = records
            .iter()
            .map(|(position, bytes)| codec::decode_event(*position, bytes))
            .collect::<Result<Vec<_>, _>>()?;
        // What splits a profile needs everything before it committed: it is a step of its own.
        if let Some(at) = events.iter().position(crate::split::splits) {
            events.truncate(at.max(1));
        }
        let last = Position(from + events.len() as i64);
        let next = self.store.max_profile_id().await?;
        let mut step = Step::new(self, Position(from), last, next);
        if crate::split::splits(&events[0]) {
            step.apart = self.apart(&events[0], Position(from)).await?;
        }
        step.events(&events).await?;
        step.commit().await?;
        let now = self.clock.now();
        self.live.stepped_batch(&events, now);
        self.stepped.store(last.0, Ordering::Release);
        Ok(events.len())
    }

    async fn step_due(&self) -> Result<usize, Error> {
        let now = self.clock.now();
        self.mind_clock(now).await?;
        let due = self.store.due_profiles(now, STEP_DUE_MAX as i64).await?;
        if due.is_empty() {
            return Ok(0);
        }
        let _one = self.wake.step.lock().await;
        self.step_profiles(&due).await
    }

    /// Steps every profile that is due as of now. The caller holds the step.
    pub(crate) async fn step_all_due(&self) -> Result<(), Error> {
        let now = self.clock.now();
        let rounds = self.store.max_profile_id().await? / STEP_DUE_MAX as i64 + 1;
        for _ in 0..rounds {
            let due = self.store.due_profiles(now, STEP_DUE_MAX as i64).await?;
            if due.is_empty() || self.step_profiles(&due).await? < STEP_DUE_MAX {
                break;
            }
        }
        Ok(())
    }

    async fn step_profiles(&self, due: &[(WorkspaceId, ProfileId)]) -> Result<usize, Error> {
        let at = Position(self.stepped.load(Ordering::Acquire));
        let mut step = Step::new(self, at, at, self.store.max_profile_id().await?);
        step.due(due).await?;
        step.commit().await?;
        Ok(due.len())
    }

    /// Brings the lake up to what has been stepped.
    ///
    /// # Errors
    /// When the log, the store or the lake does not answer.
    pub(crate) async fn archive_next(&self) -> Result<usize, Error> {
        let from = self.lake.position();
        let stepped = self.stepped.load(Ordering::Acquire);
        let many = usize::try_from(stepped - from).unwrap_or(0).min(ARCHIVE_EVENTS_MAX);
        if many == 0 {
            return Ok(0);
        }
        let rows: Vec<lake::Row> = self
            .owned_events(Position(from + 1), many)
            .await?
            .into_iter()
            .map(|(position, event, owner)| lake::Row {
                position: position.0,
                workspace: event.workspace.0,
                profile_id: owner.map_or(0, |id| id.0),
                message_id: event.message_id,
                call: event.call.name().to_owned(),
                name: event.name,
                user_id: event.user_id,
                anonymous_id: event.anonymous_id,
                timestamp: event.timestamp,
                original_timestamp: event.original_timestamp,
                received_at: event.received_at,
                properties: event.properties,
                context: event.context,
                trust: format!("{:?}", event.trust).to_lowercase(),
                backfill: event.backfill,
            })
            .collect();
        let many = rows.len();
        self.lake.append(rows)?;
        Ok(many)
    }

    /// Events of the log with the profile each belongs to, as things are now.
    pub(crate) async fn owned_events(
        &self,
        from: Position,
        many: usize,
    ) -> Result<Vec<(Position, model::Event, Option<ProfileId>)>, Error> {
        let records = self.log.read(from, many).await?;
        let mut events = Vec::with_capacity(records.len());
        let mut wanted = Vec::new();
        for (position, bytes) in &records {
            let event = codec::decode_event(*position, bytes)?;
            let identifiers = profile::identifiers(&event);
            wanted.extend(identifiers.iter().map(|id| (event.workspace, id.kind, id.value.clone())));
            events.push((*position, event, identifiers));
        }
        wanted.sort_unstable();
        wanted.dedup();
        let index = self.store.lookup_identifiers(&wanted).await?;
        let owned = |(position, event, identifiers): (Position, model::Event, Vec<profile::Identifier>)| {
            let known = identifiers
                .into_iter()
                .find_map(|id| index.get(&(event.workspace, id.kind, id.value)).copied());
            let owner = match self.lake.moved(position.0) {
                Some(given) => Some(ProfileId(given)),
                None => emit::subject(&event).or(known),
            };
            (position, event, owner.map(|id| ProfileId(self.lake.alias(id.0).unwrap_or(id.0))))
        };
        Ok(events.into_iter().map(owned).collect())
    }

    async fn flush(&self) -> Result<(), Error> {
        let lake = self.lake.clone();
        tokio::task::spawn_blocking(move || lake.flush())
            .await
            .map_err(|error| Error::Bug(format!("the archive's writer died: {error}")))??;
        Ok(())
    }
}

async fn rest(stop: &CancellationToken, duration: Duration) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(duration) => {}
    }
}

async fn step_events(platform: Arc<Platform>, stop: CancellationToken) {
    let mut head = platform.log.watch();
    while !stop.is_cancelled() {
        match platform.step_next().await {
            Ok(0) => {
                tokio::select! {
                    () = stop.cancelled() => {}
                    changed = head.changed() => {
                        if changed.is_err() {
                            return;
                        }
                    }
                }
            }
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%error, "events could not be stepped");
                platform.faults.note("Step", platform.clock.now(), &error);
                rest(&stop, PAUSE_AFTER_ERROR).await;
            }
        }
    }
}

async fn step_timers(platform: Arc<Platform>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match platform.step_due().await {
            Ok(many) if many == STEP_DUE_MAX => {}
            Ok(_) => rest(&stop, TIMER_BEAT).await,
            Err(error) => {
                tracing::error!(%error, "timers could not be stepped");
                platform.faults.note("Step", platform.clock.now(), &error);
                rest(&stop, PAUSE_AFTER_ERROR).await;
            }
        }
    }
}

async fn relay_once(platform: &Platform) -> Result<usize, Error> {
    let waiting = platform.store.emitted(RELAY_EVENTS_MAX).await?;
    if waiting.is_empty() {
        return Ok(0);
    }
    let mut appends = Vec::with_capacity(waiting.len());
    for (_, emitted) in &waiting {
        let event = codec::decode_event(Position(0), &emitted.payload)?;
        appends.push(store::Append {
            workspace: event.workspace,
            message_id: event.message_id.clone(),
            body_hash: profile::intake::body_hash(&event),
            payload: emitted.payload.clone(),
        });
    }
    platform.log.append(appends).await?;
    let ids: Vec<i64> = waiting.iter().map(|(id, _)| *id).collect();
    platform.store.forget_emitted(&ids).await?;
    Ok(ids.len())
}

async fn relay(platform: Arc<Platform>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match relay_once(&platform).await {
            Ok(0) => {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = platform.wake.relay.notified() => {}
                    () = tokio::time::sleep(Duration::from_secs(1)) => {}
                }
            }
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%error, "events of ours could not be relayed");
                platform.faults.note("Relay", platform.clock.now(), &error);
                rest(&stop, PAUSE_AFTER_ERROR).await;
            }
        }
    }
}

async fn archive(platform: Arc<Platform>, stop: CancellationToken) {
    let mut compacted_at = Timestamp::MIN;
    while !stop.is_cancelled() {
        let done = match platform.archive_next().await {
            Ok(many) if platform.lake.needs_flush(platform.clock.now()) => {
                platform.flush().await.map(|()| many)
            }
            other => other,
        };
        match done {
            Ok(0) => {
                let now = platform.clock.now();
                if now - compacted_at > 10 * model::time::MINUTE {
                    compacted_at = now;
                    let lake = platform.lake.clone();
                    if let Ok(Err(error)) = tokio::task::spawn_blocking(move || lake.compact()).await {
                        tracing::warn!(%error, "files of the lake could not be merged");
                    }
                }
                rest(&stop, Duration::from_millis(50)).await;
            }
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%error, "events could not be archived");
                platform.faults.note("Lake", platform.clock.now(), &error);
                rest(&stop, PAUSE_AFTER_ERROR).await;
            }
        }
    }
    if let Err(error) = platform.flush().await {
        tracing::error!(%error, "the lake's memory could not be written; it is read from the log again");
    }
}
