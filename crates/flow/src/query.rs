//! SQL over the lake and the tables of present state; intake, quarantine, catalogue.

use model::{ProfileId, Timestamp, Trust, Value, WorkspaceId};
use serde_json::json;

use crate::Error;
use crate::hot::Hot;
use crate::live::{Fate, Reason, Recent};
use crate::platform::Platform;

/// Rows of a table of present state that a query may see.
const TABLE_ROWS_MAX: usize = 1_000_000;

impl Platform {
    /// Answers one SELECT.
    ///
    /// # Errors
    /// `Invalid` for SQL that is not read-only or names what is not there; `Limited` at its limits.
    pub async fn query(&self, workspace: WorkspaceId, sql: &str) -> Result<lake::Answer, Error> {
        self.query_within(workspace, sql, &lake::QueryLimits::default()).await
    }

    /// The same with limits of the caller's.
    pub(crate) async fn query_within(
        &self,
        workspace: WorkspaceId,
        sql: &str,
        limits: &lake::QueryLimits,
    ) -> Result<lake::Answer, Error> {
        let names = lake::table_names_in(sql)?;
        self.lake_caught_up().await;
        let mut tables = Vec::new();
        for name in names {
            if let Some(table) = self.table(workspace, &name).await? {
                tables.push(table);
            }
        }
        Ok(self.lake.query(workspace.0, sql, tables, limits).await?)
    }

    /// Waits until the lake has what has been stepped: an answer shows the last second, also right after a restart,
    /// when the lake reads its tail from the log again. Gives up after a while; the answer is then older, not wrong.
    pub(crate) async fn lake_caught_up(&self) {
        let wanted = self.stepped.load(std::sync::atomic::Ordering::Acquire);
        for _ in 0..1_000 {
            if self.lake.position() >= wanted {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    /// The tables and their columns: (table, column, type).
    pub fn tables() -> Vec<(&'static str, Vec<(String, String)>)> {
        let plain = |columns: &[(&str, &str)]| {
            columns.iter().map(|(name, kind)| ((*name).to_owned(), (*kind).to_owned())).collect()
        };
        vec![
            ("events", lake::events_columns()),
            ("profiles", plain(PROFILES)),
            ("memberships", plain(&[("segment", "text"), ("profile_id", "integer"), ("since", "timestamp")])),
            (
                "messages",
                plain(&[
                    ("id", "text"),
                    ("profile_id", "integer"),
                    ("state", "text"),
                    ("reason", "text"),
                    ("journey", "text"),
                    ("template", "text"),
                    ("subject", "text"),
                    ("created_at", "timestamp"),
                    ("sent_at", "timestamp"),
                ]),
            ),
        ]
    }

    async fn table(&self, workspace: WorkspaceId, name: &str) -> Result<Option<lake::Table>, Error> {
        let mut rows = Vec::new();
        match name {
            "profiles" => {
                let zone = self.registry(workspace).zone.clone();
                let mut after = ProfileId(0);
                while rows.len() < TABLE_ROWS_MAX {
                    let chunk = self.store.scan_profiles(workspace, after, 5_000).await?;
                    let Some(last) = chunk.last() else { break };
                    after = last.id;
                    for row in &chunk {
                        let hot = Hot::decode(&row.state)?;
                        let mut attributes = hot.profile.values();
                        // Conditions see identifiers as attributes where no attribute has the name.
                        for name in ["email", "phone", "user_id", "anonymous_id"] {
                            if let Some(value) =
                                hot.profile.get(name).filter(|_| !attributes.contains_key(name))
                            {
                                attributes.insert(name.to_owned(), value.into_owned());
                            }
                        }
                        let attributes = Value::Object(attributes).to_string();
                        let [zone, consents, seed] = crate::statement::columns(&hot, &zone);
                        rows.push(vec![
                            json!(row.id.0),
                            json!(row.id.0),
                            json!(row.user_id),
                            json!(row.email),
                            json!(row.name),
                            json!(row.created_at.micros()),
                            json!(row.last_seen_at.micros()),
                            json!(attributes),
                            zone,
                            consents,
                            seed,
                        ]);
                    }
                }
            }
            "memberships" => {
                for (segment, profile, since) in
                    self.store.all_memberships(workspace, TABLE_ROWS_MAX as i64).await?
                {
                    rows.push(vec![json!(segment), json!(profile.0), json!(since.micros())]);
                }
            }
            "messages" => {
                let found = self
                    .store
                    .messages(workspace, i64::MAX, TABLE_ROWS_MAX as i64, None, None, None, None)
                    .await?;
                for row in found {
                    rows.push(vec![
                        json!(row.id),
                        json!(row.profile.0),
                        json!(row.state),
                        json!(row.reason),
                        json!(row.journey),
                        json!(row.template),
                        json!(row.subject),
                        json!(row.created_at.micros()),
                        json!(row.sent_at.map(Timestamp::micros)),
                    ]);
                }
            }
            _ => return Ok(None),
        }
        let columns = Platform::tables()
            .into_iter()
            .find(|(table, _)| *table == name)
            .map(|(_, columns)| {
                columns.into_iter().map(|(column, kind)| (column, column_type(&kind))).collect()
            })
            .unwrap_or_default();
        Ok(Some(lake::Table { name: name.to_owned(), columns, rows }))
    }

    /// Reads a body as the collector does.
    pub fn intake(
        &self,
        workspace: WorkspaceId,
        body: &[u8],
        route: Option<model::Call>,
        trust: Trust,
    ) -> profile::intake::Batch {
        let limits = &self.options.limits;
        let new_id = || format!("rapport-{}", model::clock::random_hex::<16>());
        let context = profile::intake::Context {
            workspace,
            route,
            trust,
            received_at: self.clock.now(),
            backfill: false,
            event_bytes_max: if trust == Trust::Import {
                4 * limits.event_bytes_max
            } else {
                limits.event_bytes_max
            },
            batch_events_max: limits.batch_events_max,
            new_id: &new_id,
        };
        profile::intake::batch(body, &context)
    }

    pub(crate) async fn quarantine(
        &self,
        workspace: WorkspaceId,
        refused: Vec<(profile::intake::Rejection, Vec<Reason>)>,
        source: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut rows = Vec::with_capacity(refused.len());
        self.live.count(Fate::Rejected, refused.len() as u64, now);
        for (rejection, reasons) in refused {
            if self.live.wants_row(now) {
                self.live.push(refused_row(workspace, &rejection, &reasons, now));
            }
            rows.push((json!(reasons).to_string(), rejection.body));
        }
        self.store.quarantine(workspace, now, source, &rows).await?;
        Ok(())
    }

    /// Writes pictures that `/media/` serves. Shape: (name, SVG).
    ///
    /// # Errors
    /// When nothing was written.
    pub async fn put_pictures(
        &self,
        workspace: WorkspaceId,
        pictures: Vec<(String, String)>,
    ) -> Result<(), Error> {
        Ok(self.store.put_assets(workspace, "image/svg+xml", &pictures).await?)
    }
}

const PROFILES: &[(&str, &str)] = &[
    ("id", "integer"),
    ("profile_id", "integer"),
    ("user_id", "text"),
    ("email", "text"),
    ("name", "text"),
    ("created_at", "timestamp"),
    ("last_seen_at", "timestamp"),
    ("attributes", "text"),
    ("timezone", "text"),
    ("consents", "text"),
    ("seed", "text"),
];

fn column_type(kind: &str) -> lake::ColumnType {
    match kind {
        "integer" => lake::ColumnType::Integer,
        "timestamp" => lake::ColumnType::Timestamp,
        _ => lake::ColumnType::Text,
    }
}

fn refused_row(
    workspace: WorkspaceId,
    rejection: &profile::intake::Rejection,
    reasons: &[Reason],
    now: Timestamp,
) -> Recent {
    let body: Value = serde_json::from_str(&rejection.body).unwrap_or(Value::Null);
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    Recent {
        sequence: 0,
        workspace,
        position: None,
        message_id: rejection.message_id.clone().unwrap_or_default(),
        at: now,
        received_at: now,
        call: text("type"),
        name: text("event"),
        profile_id: None,
        who: text("userId"),
        properties: body["properties"].clone(),
        context: body["context"].clone(),
        outcome: Fate::Rejected,
        reasons: reasons.to_vec(),
    }
}
