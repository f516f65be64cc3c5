//! A platform in a directory of its own, with a clock that a test moves and the built-in inbox. No worker runs: a test
//! does their work itself, in the order it wants.
#![allow(dead_code, reason = "each test file uses its part")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use flow::{DefinitionKind, Draft, Options, Outcome, Platform};
use model::{Clock, ProfileId, Timestamp, Trust, Value, WorkspaceId};
use serde_json::json;
use store::{EntryRow, MessageRow};
use tempfile::TempDir;

pub const W: WorkspaceId = WorkspaceId(1);
/// 2026-01-05T12:00:00Z, a Monday.
const START: i64 = 1_767_614_400;

pub struct Shop {
    pub platform: Arc<Platform>,
    dir: Arc<TempDir>,
    clock: Arc<AtomicI64>,
    sequence: AtomicI64,
}

async fn open(dir: &Path, clock: &Arc<AtomicI64>, smtp_url: Option<&str>) -> Arc<Platform> {
    let options = Options {
        data_dir: dir.to_owned(),
        base_url: "http://shop.example".to_owned(),
        demo: smtp_url.is_none(),
        smtp_url: smtp_url.map(str::to_owned),
        ..Options::default()
    };
    let hand = clock.clone();
    let clock = Clock::from_fn(move || Timestamp::from_micros(hand.load(Ordering::SeqCst)));
    Platform::open(options, clock).await.expect("the platform opens")
}

impl Shop {
    pub async fn open() -> Shop {
        Shop::opened(None).await
    }

    /// Mail goes to this server.
    pub async fn open_with_smtp(url: &str) -> Shop {
        Shop::opened(Some(url)).await
    }

    async fn opened(smtp_url: Option<&str>) -> Shop {
        let dir = Arc::new(tempfile::tempdir().expect("a directory"));
        let clock = Arc::new(AtomicI64::new(Timestamp::from_secs(START).micros()));
        let platform = open(dir.path(), &clock, smtp_url).await;
        Shop { platform, dir, clock, sequence: AtomicI64::new(0) }
    }

    /// As after a crash: what was not committed is gone, and the same directory is opened again.
    pub async fn crashed(self) -> Shop {
        let Shop { platform, dir, clock, sequence } = self;
        drop(platform);
        let platform = open(dir.path(), &clock, None).await;
        Shop { platform, dir, clock, sequence }
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.clock.load(Ordering::SeqCst))
    }

    pub fn pass(&self, seconds: i64) {
        self.clock.fetch_add(seconds * model::time::SECOND, Ordering::SeqCst);
    }

    pub async fn work(&self) {
        self.platform.work_off().await.expect("the work is done");
    }

    pub async fn pass_and_work(&self, seconds: i64) {
        self.pass(seconds);
        self.work().await;
    }

    /// Sends one call as a server would, now; it must be accepted or a duplicate.
    pub async fn call(&self, body: Value) -> Outcome {
        let batch = self.platform.intake(W, body.to_string().as_bytes(), None, Trust::Server);
        let mut outcomes = self.platform.ingest(batch, W, "test").await.expect("stored");
        outcomes.pop().expect("an outcome").outcome
    }

    fn id(&self) -> String {
        format!("m-{}", self.sequence.fetch_add(1, Ordering::SeqCst))
    }

    pub async fn identify(&self, user: &str, mut traits: Value) {
        traits["email"] = json!(format!("{user}@example.com"));
        let body = json!({
            "type": "identify", "messageId": self.id(), "userId": user, "traits": traits, "timestamp": self.now(),
        });
        assert_eq!(self.call(body).await, Outcome::Accepted);
    }

    pub async fn track(&self, user: &str, event: &str, properties: Value) {
        let id = self.id();
        assert_eq!(self.track_as(&id, user, event, properties).await, Outcome::Accepted);
    }

    pub async fn track_as(&self, id: &str, user: &str, event: &str, properties: Value) -> Outcome {
        let body = json!({
            "type": "track", "messageId": id, "userId": user, "event": event, "properties": properties,
            "timestamp": self.now(),
        });
        self.call(body).await
    }

    pub async fn save(&self, kind: DefinitionKind, id: &str, body: Value) -> Result<i64, flow::Error> {
        let draft = Draft { id: Some(id.to_owned()), name: id.to_owned(), body };
        self.platform.save_definition(W, kind, draft, "test").await.map(|row| row.version)
    }

    pub async fn template(&self, id: &str, body: &str) {
        let waivers = json!([{"path": "*", "reason": "the test is about something else"}]);
        let body = json!({
            "subject": format!("Subject of {id}"), "format": "html", "body": body, "waivers": waivers,
        });
        self.save(DefinitionKind::Template, id, body).await.expect("a sound template");
    }

    pub async fn journey(&self, id: &str, body: Value) -> i64 {
        self.save(DefinitionKind::Journey, id, body).await.expect("a sound journey")
    }

    pub async fn segment(&self, id: &str, condition: &str) {
        self.save(DefinitionKind::Segment, id, json!({"where": condition})).await.expect("a sound segment");
    }

    pub async fn set_journey(&self, id: &str, status: &str) {
        self.platform
            .set_definition_status(W, DefinitionKind::Journey, id, status, "test")
            .await
            .expect("the status is set");
    }

    pub async fn profile(&self, user: &str) -> ProfileId {
        let key = (W, model::IdentifierKind::UserId, user.to_owned());
        let found =
            self.platform.store.lookup_identifiers(std::slice::from_ref(&key)).await.expect("answered");
        *found.get(&key).expect("a known user")
    }

    /// Messages in the order they were planned.
    pub async fn messages(&self) -> Vec<MessageRow> {
        let mut rows = self
            .platform
            .store
            .messages(W, i64::MAX, 10_000, None, None, None, None)
            .await
            .expect("answered");
        rows.reverse();
        rows
    }

    /// (template, state) of each message, in the order they were planned.
    pub async fn mails(&self) -> Vec<(String, String)> {
        self.messages().await.into_iter().map(|row| (row.template, row.state)).collect()
    }

    pub async fn entries(&self) -> Vec<EntryRow> {
        self.platform.store.entries(W, None, None, 10_000).await.expect("answered")
    }

    /// How often an event of this name is in the lake.
    pub async fn count(&self, event: &str) -> usize {
        let mut many = 0;
        self.platform
            .lake
            .scan(W.0, &[event.to_owned()], i64::MAX, false, &mut |_| many += 1)
            .expect("the lake answers");
        many
    }
}

pub fn accepted(template: &str) -> (String, String) {
    (template.to_owned(), "accepted".to_owned())
}

/// A journey: on `Go`, wait, send `template`, end; `Stop` ends it.
pub fn wait_then_send(seconds: u64, template: &str) -> Value {
    json!({
        "trigger": {"event": "Go"}, "start": "wait",
        "nodes": {
            "wait": {"type": "wait", "seconds": seconds, "next": "send"},
            "send": {"type": "send", "template": template, "next": "end"},
            "end": {"type": "exit"},
        },
        "exits": [{"event": "Stop", "reason": "stopped"}],
    })
}
