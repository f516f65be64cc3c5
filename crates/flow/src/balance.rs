//! The conservation of messages: every planned one is somewhere, and each has ended in exactly one way.

use std::collections::BTreeMap;

use model::{Value, WorkspaceId};
use store::MessageRow;

use crate::Error;
use crate::platform::Platform;

/// States in which something is still to happen.
const OPEN: [&str; 3] = ["planned", "intent", "deferred"];
/// States in which a message can end. Those in doubt may still be resolved.
const ENDED: [&str; 6] = ["accepted", "rejected", "skipped", "expired", "in_doubt", "unknown"];
/// Messages read at once.
const PAGE: i64 = 500;

/// Where the messages of a workspace have got to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// All that were ever planned.
    pub planned: i64,
    /// Still open.
    pub open: i64,
    /// Ended, by state; those that were skipped by `skipped: reason`.
    pub ended: BTreeMap<String, i64>,
    /// What does not add up, one sentence for each.
    pub faults: Vec<String>,
}

impl Balance {
    /// How many ended in this way.
    pub fn ended(&self, way: &str) -> i64 {
        self.ended.get(way).copied().unwrap_or_default()
    }

    fn add(&mut self, message: &MessageRow) {
        self.planned += 1;
        let mut fault =
            |text: &str| self.faults.push(format!("the {} message {} {text}", message.state, message.id));
        let reason = message.reason.as_deref().unwrap_or_default();
        match message.state.as_str() {
            "accepted" if message.sent_at.is_none() => fault("has no instant at which it was sent"),
            "skipped" | "expired" if reason.is_empty() => fault("has no reason"),
            "skipped" | "expired" if traced_reason(message) != reason => {
                fault("has another reason in its trace");
            }
            "intent" | "accepted" | "rejected" | "deferred" | "in_doubt" | "unknown"
                if message.attempt == 0 =>
            {
                fault("was never handed over");
            }
            state if message.sent_at.is_some() && state != "accepted" => {
                fault("has an instant at which it was sent");
            }
            state if !OPEN.contains(&state) && !ENDED.contains(&state) => fault("is in no known state"),
            _ => {}
        }
        if OPEN.contains(&message.state.as_str()) {
            self.open += 1;
        } else {
            let way = match message.state.as_str() {
                "skipped" => format!("skipped: {reason}"),
                state => state.to_owned(),
            };
            *self.ended.entry(way).or_default() += 1;
        }
    }
}

fn traced_reason(message: &MessageRow) -> String {
    let trace: Vec<Value> = serde_json::from_str(&message.trace).unwrap_or_default();
    let reason = trace.last().map(|step| step["data"]["reason"].as_str().unwrap_or_default().to_owned());
    reason.unwrap_or_default()
}

impl Platform {
    /// Counts every message of a workspace once and looks for what does not add up. Cost: reads them all.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn balance(&self, workspace: WorkspaceId) -> Result<Balance, Error> {
        let mut balance = Balance::default();
        let mut before = i64::MAX;
        loop {
            let page = self.store.messages(workspace, before, PAGE, None, None, None, None).await?;
            let Some(last) = page.last() else { break };
            before = last.number;
            for message in &page {
                balance.add(message);
            }
        }
        let counted: i64 = self.store.message_counts(workspace).await?.iter().map(|(_, count)| count).sum();
        let found = balance.open + balance.ended.values().sum::<i64>();
        if found != balance.planned || (balance.open == 0 && counted != balance.planned) {
            let planned = balance.planned;
            balance
                .faults
                .push(format!("{planned} were planned, {found} are open or ended, {counted} are counted"));
        }
        Ok(balance)
    }
}
