//! The platform: what the workers and the HTTP side share, and how it is opened.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use model::{Clock, Timestamp, WorkspaceId};
use tokio::sync::Notify;

use crate::live::Live;
use crate::recommend::Recommender;
use crate::registry::Registry;

/// Connections at once, where descriptors are plenty.
const CONNECTIONS_MAX: usize = 4_096;

/// Limits of the collector; defaults are those of `model::limit`.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of one event.
    pub event_bytes_max: usize,
    /// Bytes of one batch after decompression.
    pub batch_bytes_max: usize,
    /// Events of one batch.
    pub batch_events_max: usize,
    /// Bytes of requests that may be in work at once; more are answered 429.
    pub ingest_inflight_bytes_max: usize,
    /// Connections that may be open at once; more wait for one to end.
    pub connections_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            event_bytes_max: model::limit::EVENT_BYTES_MAX,
            batch_bytes_max: model::limit::BATCH_BYTES_MAX,
            batch_events_max: model::limit::BATCH_EVENTS_MAX,
            ingest_inflight_bytes_max: 64 << 20,
            connections_max: connections_default(),
        }
    }
}

/// Half of the descriptors this process may have: files, the store and the mail server want theirs as well.
fn connections_default() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let descriptors = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let descriptors = descriptors.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    descriptors.map_or(CONNECTIONS_MAX, |most| (most / 2).clamp(1, CONNECTIONS_MAX))
}

/// How a platform is opened.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Directory for everything that is stored.
    pub data_dir: PathBuf,
    /// `postgres://…`; SQLite in the data directory otherwise.
    pub store_url: Option<String>,
    /// Stands in every link of a mail; no slash at the end.
    pub base_url: String,
    /// Nothing may leave the machine.
    pub demo: bool,
    /// The SMTP server; the built-in inbox otherwise.
    pub smtp_url: Option<String>,
    /// `Name <address>`.
    pub from: Option<String>,
    /// A write key to create at the first start.
    pub bootstrap_write_key: Option<String>,
    /// An API key to create at the first start.
    pub bootstrap_api_key: Option<String>,
    /// Limits of the collector.
    pub limits: Limits,
}

/// Signals that there may be work.
#[derive(Default)]
pub(crate) struct Wake {
    pub relay: Notify,
    pub send: Notify,
    pub step: tokio::sync::Mutex<()>,
    /// A profile was split.
    pub split: Notify,
}

/// What workers and requests share. Everything durable lies behind `log`, `store` and `lake`.
pub struct Platform {
    /// The clock.
    pub clock: Clock,
    /// The durable order of events.
    pub log: store::Log,
    /// Present state.
    pub store: store::Store,
    /// Events as columns.
    pub lake: Arc<lake::Lake>,
    /// Seals and opens links.
    pub tokens: mail::Tokens,
    /// What is happening now.
    pub live: Live,
    /// How it was opened.
    pub options: Options,
    pub(crate) wake: Wake,
    pub(crate) faults: crate::health::Faults,
    pub(crate) brake: crate::brake::Brake,
    pub(crate) registries: RwLock<HashMap<WorkspaceId, Arc<Registry>>>,
    pub(crate) fills: crate::fill::Fills,
    pub(crate) lists: crate::lists::Lists,
    pub(crate) recommender: Recommender,
    pub(crate) warm: crate::warm::Warm,
    pub(crate) people: crate::people::Known,
    pub(crate) set_back: crate::step::set_back::SetBack,
    pub(crate) refreshing: tokio::sync::Mutex<()>,
    pub(crate) stepped: AtomicI64,
    pub(crate) started_at: Timestamp,
    pub(crate) secret: String,
    pub(crate) transport: crate::transport::Switch,
    pub(crate) signers: tokio::sync::Mutex<HashMap<String, Arc<mail::Signer>>>,
    pub(crate) _lock: store::DirectoryLock,
}

impl Platform {
    /// The definitions in force.
    pub fn registry(&self, workspace: WorkspaceId) -> Arc<Registry> {
        let all = self.registries.read().unwrap_or_else(PoisonError::into_inner);
        all.get(&workspace).cloned().unwrap_or_default()
    }

    /// The workspaces there are.
    pub(crate) fn workspaces_in_force(&self) -> Vec<WorkspaceId> {
        self.registries.read().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    /// When this process opened it.
    pub fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// Accepted events that have not been stepped yet.
    pub fn lag_events(&self) -> i64 {
        (self.log.head().0 - self.stepped.load(Ordering::Acquire)).max(0)
    }
}
