//! Conditions over history: counted for all profiles over the lake's columns, explained for one.

use model::{ProfileId, Timestamp, WorkspaceId};
use serde::Serialize;

use crate::Error;
use crate::hot::Facts;
use crate::platform::Platform;
use crate::registry::Registry;
use crate::segments::parse;

/// Profiles of a sample.
const SAMPLE_MAX: usize = 10;

/// The answer to "how many, and who".
#[derive(Clone, Debug, Serialize)]
pub struct Preview {
    /// Profiles for whom it holds.
    pub count: usize,
    /// Profiles asked.
    pub total: usize,
    /// Some of them.
    pub sample: Vec<ProfileId>,
    /// How long it took.
    pub took_ms: u64,
    /// In plain English.
    pub sentence: String,
}

impl Platform {
    /// Counts for whom a condition holds, over all history.
    ///
    /// # Errors
    /// `Invalid` with the place of each fault.
    pub async fn preview(&self, workspace: WorkspaceId, text: &str) -> Result<Preview, Error> {
        let timer = tokio::time::Instant::now();
        let condition = parse(text)?;
        let sentence = expr::describe(&condition);
        let found = self.found(workspace, &condition, self.clock.now(), SAMPLE_MAX).await?;
        Ok(Preview {
            count: found.count,
            total: found.total,
            sample: found.ids.into_iter().map(ProfileId).collect(),
            took_ms: timer.elapsed().as_millis() as u64,
            sentence,
        })
    }

    /// For whom a condition held at an instant: by the events up to then and the attributes of now.
    pub(crate) async fn found(
        &self,
        workspace: WorkspaceId,
        condition: &expr::Condition,
        at: Timestamp,
        ids_max: usize,
    ) -> Result<segment::Found, Error> {
        let registry = self.registry(workspace);
        let preview = prepared(condition, &registry, at)?;
        let needs = preview.needs();
        if !needs.is_empty() {
            self.lake_caught_up().await;
        }
        let people = self.people.of(self, workspace, &preview.asks()).await?;
        let (lake, zone) = (self.lake.clone(), registry.zone.clone());
        tokio::task::spawn_blocking(move || {
            let rows = lake.columns(workspace.0, &needs)?;
            let owners = lake.owners(people.present.size());
            Ok(preview.over(&rows, owners.as_deref(), &people, &zone, ids_max))
        })
        .await
        .map_err(|error| Error::Bug(error.to_string()))?
    }

    /// Everybody for whom a condition holds.
    pub(crate) async fn who(
        &self,
        workspace: WorkspaceId,
        text: &str,
    ) -> Result<std::collections::BTreeSet<i64>, Error> {
        let found = self.found(workspace, &parse(text)?, self.clock.now(), usize::MAX).await?;
        Ok(found.ids.into_iter().collect())
    }

    /// Why a condition holds, or does not, for one profile.
    ///
    /// # Errors
    /// `Invalid` for a condition that cannot be read, `Missing` for an unknown profile.
    pub async fn explain(
        &self,
        workspace: WorkspaceId,
        text: &str,
        profile: ProfileId,
    ) -> Result<segment::Explanation, Error> {
        let condition = parse(text)?;
        let registry = self.registry(workspace);
        let (row, hot) = self.hot(workspace, profile).await?;
        let mut preview = prepared(&condition, &registry, self.clock.now())?;
        let names: Vec<String> = preview.needs().into_iter().map(|need| need.event).collect();
        if !names.is_empty() {
            self.lake_caught_up().await;
            let (lake, id) = (self.lake.clone(), row.id.0);
            let fed = move || -> Result<segment::Preview, Error> {
                lake.scan(workspace.0, &names, i64::MAX, true, &mut |row| {
                    if row.profile_id == id {
                        preview.feed(id, row.name, row.timestamp, row.properties);
                    }
                })?;
                Ok(preview)
            };
            preview =
                tokio::task::spawn_blocking(fed).await.map_err(|error| Error::Bug(error.to_string()))??;
        }
        Ok(preview.explain(row.id.0, &Facts { profile: &hot.profile, zone: &registry.zone }))
    }
}

fn prepared(
    condition: &expr::Condition,
    registry: &Registry,
    at: Timestamp,
) -> Result<segment::Preview, Error> {
    let segments: Vec<segment::Definition> = registry.engine.segments().cloned().collect();
    let traits = crate::traits::compiled(&registry.traits);
    segment::Preview::with_traits(condition, &segments, &traits, at)
        .map_err(|error| Error::invalid("invalid_condition", "/where", error.to_string()))
}
