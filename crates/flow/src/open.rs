//! Opening a platform: the data directory, secrets, the first workspace and its keys.

use std::collections::HashMap;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, PoisonError, RwLock};

use model::{Clock, Map, Value, WorkspaceId};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::error::{Error, Problem};
use crate::live::Live;
use crate::platform::{Options, Platform, Wake};
use crate::registry::{self, Registry};

/// The workspace of a fresh installation.
pub const FIRST_WORKSPACE: WorkspaceId = WorkspaceId(1);

/// What is kept of a key: enough to recognise it, never enough to use it.
pub fn key_hash(key: &str) -> String {
    Sha256::digest(key.as_bytes()).iter().fold(String::new(), |mut out, byte| {
        use std::fmt::Write;
        let _ = write!(out, "{byte:02x}");
        out
    })
}

impl Platform {
    /// Opens the data directory, creating what is missing.
    ///
    /// # Errors
    /// `Conflict` when another process has the directory; otherwise what the store, the log or the lake say.
    pub async fn open(options: Options, clock: Clock) -> Result<Arc<Platform>, Error> {
        let lock = store::DirectoryLock::take(&options.data_dir)?;
        let location = match &options.store_url {
            None => store::Location::Directory(options.data_dir.clone()),
            Some(url) if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                store::Location::Postgres(url.clone())
            }
            Some(_) => {
                return Err(Error::invalid(
                    "unknown_store",
                    "/store",
                    "The store's address begins with postgres://; without one, SQLite in the data directory is used.",
                ));
            }
        };
        let log = store::Log::open(&location).await?;
        let store = store::Store::open(&location).await?;
        let lake = lake::Lake::open(&options.data_dir)?;
        let secret = store.meta_once("secret", &model::clock::random_hex::<32>()).await?;
        let transport = crate::transport::first(&options, &store).await?;
        let platform = Platform {
            started_at: clock.now(),
            clock,
            log,
            store,
            lake: Arc::new(lake),
            tokens: mail::Tokens::new(secret.as_bytes()),
            secret,
            transport,
            signers: tokio::sync::Mutex::default(),
            live: Live::default(),
            options,
            wake: Wake::default(),
            faults: crate::health::Faults::default(),
            brake: crate::brake::Brake::default(),
            registries: RwLock::new(HashMap::new()),
            fills: crate::fill::Fills::default(),
            lists: crate::lists::Lists::default(),
            recommender: crate::recommend::Recommender::default(),
            warm: crate::warm::Warm::default(),
            people: crate::people::Known::default(),
            set_back: crate::step::set_back::SetBack::default(),
            refreshing: tokio::sync::Mutex::default(),
            stepped: AtomicI64::new(0),
            _lock: lock,
        };
        platform.prepare().await?;
        Ok(Arc::new(platform))
    }

    async fn prepare(&self) -> Result<(), Error> {
        let now = self.clock.now();
        if self.store.workspaces().await?.is_empty() {
            let settings = json!({
                "attribute_types": {}, "name": "My workspace", "timezone": "UTC", "brand_color": "#1f6f78", "postal_address": "",
                "from_name": "Rapport", "from_email": "hello@localhost.example", "reply_to": "",
                "large_mails": false, (crate::brake::LIMIT): crate::brake::LIMIT_USUAL,
            });
            self.store.put_workspace(FIRST_WORKSPACE, &settings.to_string(), now).await?;
        }
        for (key, kind) in
            [(&self.options.bootstrap_write_key, "server"), (&self.options.bootstrap_api_key, "api")]
        {
            if let Some(key) = key {
                if key.len() < 24 {
                    return Err(Error::invalid(
                        "weak_key",
                        "/bootstrap",
                        "A bootstrap key has at least 24 characters.",
                    ));
                }
                self.store
                    .put_key(FIRST_WORKSPACE, "Bootstrap", kind, &key_hash(key), "set at start", now)
                    .await?;
            }
        }
        for (workspace, _, _) in self.store.workspaces().await? {
            self.reload(workspace).await?;
            let pairs: Vec<_> =
                self.store.merges(workspace).await?.into_iter().map(|m| (m.source.0, m.target.0)).collect();
            self.lake.add_aliases(pairs.into_iter());
        }
        let given = self.store.given_events().await?.into_iter();
        let given = given.map(|(position, stored, profile)| lake::Moved { position, stored, profile });
        self.lake.split(std::iter::empty(), std::iter::empty(), given);
        self.remember_clock().await?;
        let position = self.store.position("step").await?;
        self.stepped.store(position.0, std::sync::atomic::Ordering::Release);
        for workspace in self.workspaces_in_force() {
            self.take_up_filling(workspace).await?;
        }
        Ok(())
    }

    /// Compiles the definitions in force anew.
    ///
    /// # Errors
    /// `Invalid` when one of them cannot be compiled; the former ones stay in force.
    pub async fn reload(&self, workspace: WorkspaceId) -> Result<(), Error> {
        let settings = self.settings(workspace).await?;
        let mut ids = registry::ids(&self.store, workspace).await?;
        let registry = Registry::load(&self.store, workspace, settings, &mut ids, None).await?;
        // Told before the numbers are kept: features that a crash left unfilled are filled at the next start.
        if !registry.engine.fresh().is_empty() {
            let mut filling = registry::filling(&self.store, workspace).await?.unwrap_or_default();
            filling.extend(registry.engine.fresh());
            registry::set_filling(&self.store, workspace, Some(&filling)).await?;
        }
        registry::put_ids(&self.store, workspace, &ids).await?;
        self.install(workspace, Arc::new(registry));
        Ok(())
    }

    pub(crate) fn install(&self, workspace: WorkspaceId, registry: Arc<Registry>) {
        self.registries.write().unwrap_or_else(PoisonError::into_inner).insert(workspace, registry);
    }

    /// A workspace's settings.
    ///
    /// # Errors
    /// `Missing` when there is no such workspace.
    pub async fn settings(&self, workspace: WorkspaceId) -> Result<Map, Error> {
        let all = self.store.workspaces().await?;
        let (_, text, _) = all
            .into_iter()
            .find(|(id, _, _)| *id == workspace)
            .ok_or_else(|| Error::Missing(format!("There is no workspace {workspace}.")))?;
        match serde_json::from_str(&text) {
            Ok(Value::Object(map)) => Ok(map),
            _ => Err(Error::Corrupt("a workspace's settings".to_owned())),
        }
    }

    /// Changes settings; what is not named stays.
    ///
    /// # Errors
    /// `Invalid` for an unknown time zone or sender.
    pub async fn set_workspace(&self, workspace: WorkspaceId, changes: Value) -> Result<Map, Error> {
        let _one = self.wake.step.lock().await;
        let mut settings = self.settings(workspace).await?;
        for (name, value) in changes.as_object().into_iter().flatten() {
            if let Some(zone) = value.as_str().filter(|_| name == "timezone")
                && jiff::tz::TimeZone::get(zone).is_err()
            {
                return Err(Error::invalid(
                    "unknown_timezone",
                    "/timezone",
                    format!("The time zone '{zone}' is unknown."),
                ));
            }
            if name == "from_email"
                && value.as_str().is_none_or(|text| mail::normalise_address(text).is_err())
            {
                return Err(Error::invalid(
                    "invalid_address",
                    "/from_email",
                    "The sender is not an address.",
                ));
            }
            if name == crate::brake::LIMIT && value.as_u64().is_none_or(|percent| percent > 100) {
                let message =
                    "Give the share of failures above which a journey is paused as 0 to 100 per cent.";
                return Err(Error::invalid("invalid_share", &format!("/{name}"), message));
            }
            if !settings.contains_key(name) && name != registry::TYPES && name != crate::brake::LIMIT {
                return Err(Error::invalid(
                    "unknown_setting",
                    &format!("/{name}"),
                    format!("There is no setting '{name}'."),
                ));
            }
            if name == registry::TYPES {
                self.check_types(workspace, registry::types_of(value)?)?;
            }
            settings.insert(name.clone(), value.clone());
        }
        let text = Value::Object(settings.clone()).to_string();
        self.store.put_workspace(workspace, &text, self.clock.now()).await?;
        self.reload(workspace).await?;
        Ok(settings)
    }

    /// A declaration that a condition in force contradicts is refused: the condition would never hold.
    fn check_types(&self, workspace: WorkspaceId, types: profile::Types) -> Result<(), Error> {
        let registry = self.registry(workspace);
        let declared = types.into_iter().map(|(name, declared)| (name, declared.name().to_owned()));
        let schema = expr::Schema { attributes: declared.collect(), ..registry.schema() };
        let problems: Vec<Problem> = registry
            .misfits(&schema)
            .into_iter()
            .flat_map(|(name, errors)| errors.into_iter().map(move |error| (name.clone(), error)))
            .map(|(name, error)| Problem {
                path: "/attribute_types".to_owned(),
                message: format!("In {name}: {}. Change the condition or the declaration.", error.message),
                ..Problem::default()
            })
            .collect();
        match problems.first() {
            None => Ok(()),
            Some(first) => {
                let detail = first.message.clone();
                Err(Error::Invalid { code: "attribute_type_in_use", detail, problems })
            }
        }
    }

    /// When the workspace was made.
    ///
    /// # Errors
    /// `Missing` when there is no such workspace.
    pub async fn first_started_at(&self, workspace: WorkspaceId) -> Result<model::Timestamp, Error> {
        let all = self.store.workspaces().await?;
        let found = all.into_iter().find(|(id, _, _)| *id == workspace);
        found
            .map(|(_, _, at)| at)
            .ok_or_else(|| Error::Missing(format!("There is no workspace {workspace}.")))
    }

    /// The token printed once, with which somebody signs in at the console. New at each start.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn setup_token(&self) -> Result<String, Error> {
        let token = model::clock::random_hex::<16>();
        self.store.put_meta("setup_token", &key_hash(&token)).await?;
        Ok(token)
    }
}
