//! Ingest: what the collector and imports hand over becomes durable here, before anybody is told so.

use std::sync::atomic::Ordering;

use model::{Event, Position, Timestamp, Trust, Value, WorkspaceId};
use serde::Serialize;

use crate::live::{self, Fate, Reason};
use crate::platform::Platform;
use crate::{Error, codec};

/// What became of one item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ItemOutcome {
    /// The sender's id of the event; empty when it had none.
    pub message_id: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// Stored, seen before, or refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Outcome {
    /// Stored durably.
    Accepted,
    /// Seen before; the first one counts.
    Duplicate {
        /// The first one had another body.
        conflict: bool,
    },
    /// Refused, with reasons; kept in quarantine.
    Rejected(Vec<Reason>),
}

impl Platform {
    /// Stores a batch: accepted events in the log, refused ones in quarantine. Durable when it returns.
    ///
    /// # Errors
    /// `Limited` or `Unavailable` when nothing was stored and the sender should try again.
    pub async fn ingest(
        &self,
        batch: profile::intake::Batch,
        workspace: WorkspaceId,
        source: &str,
    ) -> Result<Vec<ItemOutcome>, Error> {
        let now = self.clock.now();
        let mut outcomes = Vec::with_capacity(batch.items.len());
        let mut events: Vec<(usize, Event)> = Vec::new();
        let mut refused = Vec::new();
        for (number, item) in batch.items.into_iter().enumerate() {
            match item {
                Ok(event) => {
                    outcomes.push(ItemOutcome {
                        message_id: event.message_id.clone(),
                        outcome: Outcome::Accepted,
                    });
                    events.push((number, event));
                }
                Err(rejection) => {
                    let reasons: Vec<Reason> = rejection
                        .reasons
                        .iter()
                        .map(|r| Reason {
                            code: r.code.to_string(),
                            message: r.message.clone(),
                            path: r.path.clone(),
                        })
                        .collect();
                    let message_id = rejection.message_id.clone().unwrap_or_default();
                    outcomes.push(ItemOutcome { message_id, outcome: Outcome::Rejected(reasons.clone()) });
                    refused.push((rejection, reasons));
                }
            }
        }
        if !events.is_empty() {
            self.append(&events, &mut outcomes, now).await?;
        }
        if !refused.is_empty() {
            self.quarantine(workspace, refused, source, now).await?;
        }
        Ok(outcomes)
    }

    /// The same for calls that are JSON values already: imports and the demo.
    ///
    /// # Errors
    /// As [`Platform::ingest`].
    pub async fn ingest_calls(
        &self,
        workspace: WorkspaceId,
        calls: &[Value],
        trust: Trust,
        source: &str,
    ) -> Result<Vec<ItemOutcome>, Error> {
        let body = serde_json::to_vec(calls).map_err(|error| Error::Bug(error.to_string()))?;
        let batch = self.intake(workspace, &body, None, trust);
        self.ingest(batch, workspace, source).await
    }

    async fn append(
        &self,
        events: &[(usize, Event)],
        outcomes: &mut [ItemOutcome],
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut appends = Vec::with_capacity(events.len());
        for (_, event) in events {
            appends.push(store::Append {
                workspace: event.workspace,
                message_id: event.message_id.clone(),
                body_hash: profile::intake::body_hash(event),
                payload: codec::encode_event(event)?,
            });
        }
        let answers = self.log.append(appends).await?;
        let (mut accepted, mut duplicates) = (0, 0);
        for ((number, event), answer) in events.iter().zip(answers) {
            let (fate, position) = match answer {
                store::Outcome::Accepted(position) => {
                    accepted += 1;
                    (Fate::Accepted, Some(position))
                }
                store::Outcome::Duplicate { conflict } => {
                    duplicates += 1;
                    if conflict {
                        self.live.conflicts.fetch_add(1, Ordering::Relaxed);
                    }
                    outcomes[*number].outcome = Outcome::Duplicate { conflict };
                    (Fate::Duplicate, None)
                }
            };
            if self.live.wants_row(now) {
                self.live.push(live::row(event, fate, position.map(|Position(p)| p)));
            }
        }
        if accepted > 0 {
            self.live.count(Fate::Accepted, accepted, now);
        }
        if duplicates > 0 {
            self.live.count(Fate::Duplicate, duplicates, now);
        }
        Ok(())
    }
}
