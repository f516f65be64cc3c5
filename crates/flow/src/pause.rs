//! Why a journey stands still: paused by a person, because a receiver refused its mail for a fault of the sender, or by the
//! brake.
//! What it had planned is held meanwhile, and goes out after the resume.

use model::WorkspaceId;
use model::time::HOUR;
use store::MessageRow;

use crate::Error;
use crate::platform::Platform;
use crate::segments::DefinitionKind;

/// The reason of a message that is held.
pub(crate) const HELD: &str = "journey_paused";
/// How long a call is remembered under its idempotency key.
const CALLS_REMEMBERED: i64 = 24 * HOUR;

fn name(workspace: WorkspaceId, journey: &str) -> String {
    format!("paused/{workspace}/{journey}")
}

impl Platform {
    /// Pauses the journey that sends: a receiver says that the fault is ours, and would say so of the next mail too.
    pub(crate) async fn pause_for(&self, message: &MessageRow, answer: &str) -> Result<(), Error> {
        let reason = format!(
            "A receiver refused a mail for a fault of the sender: {answer}. Mend SPF, DKIM, DMARC or the reverse name of the \
             sending address, then resume."
        );
        self.faults.note("Mail", self.clock.now(), &Error::Unavailable(reason.clone()));
        let Some(id) = &message.journey else { return Ok(()) };
        self.pause_because(message.workspace, id, &reason, "sender fault").await
    }

    /// Pauses a journey that is live, and keeps why.
    pub(crate) async fn pause_because(
        &self,
        workspace: WorkspaceId,
        id: &str,
        reason: &str,
        author: &str,
    ) -> Result<(), Error> {
        if !self.registry(workspace).journeys.get(id).is_some_and(|journey| journey.live) {
            return Ok(());
        }
        tracing::warn!(journey = %id, %reason, "the journey is paused");
        self.set_definition_status(workspace, DefinitionKind::Journey, id, "paused", author).await?;
        self.store.put_meta(&name(workspace, id), reason).await?;
        Ok(())
    }

    /// The journeys that the server paused, with reasons.
    pub(crate) async fn paused_by_server(
        &self,
        workspace: WorkspaceId,
    ) -> Result<Vec<(String, String)>, Error> {
        let registry = self.registry(workspace);
        let mut out = Vec::new();
        for (id, journey) in registry.journeys.iter().filter(|(_, journey)| !journey.live) {
            if let Some(reason) = self.paused_because(workspace, id).await? {
                out.push((journey.name.clone(), reason));
            }
        }
        Ok(out)
    }

    /// Why the server paused a journey; nothing when a person did.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn paused_because(
        &self,
        workspace: WorkspaceId,
        journey: &str,
    ) -> Result<Option<String>, Error> {
        Ok(self.store.meta(&name(workspace, journey)).await?.filter(|reason| !reason.is_empty()))
    }

    /// After a journey's status was set: what was held goes out, or the former reason is history.
    pub(crate) async fn status_was_set(&self, workspace: WorkspaceId, journey: &str) -> Result<(), Error> {
        if self.paused_because(workspace, journey).await?.is_some() {
            self.store.put_meta(&name(workspace, journey), "").await?;
        }
        if self.store.release_messages(self.clock.now()).await? > 0 {
            self.wake.send.notify_one();
        }
        Ok(())
    }

    /// What a crash between a resume and its release left held is released; old calls are forgotten.
    pub(crate) async fn release_held(&self) {
        let now = self.clock.now();
        match self.store.release_messages(now).await {
            Ok(0) => {}
            Ok(messages) => tracing::info!(messages, "what was held for a pause is due"),
            Err(error) => tracing::error!(%error, "held messages could not be looked for"),
        }
        if let Err(error) = self.store.forget_calls(now - CALLS_REMEMBERED).await {
            tracing::error!(%error, "old calls could not be forgotten");
        }
    }
}
