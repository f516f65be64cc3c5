//! The profiles for whom a condition holds now, page by page.

use model::{ProfileId, WorkspaceId};

use crate::Error;
use crate::hot::Facts;
use crate::platform::Platform;

/// Profiles for whom a condition holds.
#[derive(Clone, Debug, Default)]
pub struct Matching {
    /// How many.
    pub count: usize,
    /// The first of them, in the order in which they became known.
    pub ids: Vec<ProfileId>,
}

impl Platform {
    /// The profiles for whom a condition holds now; the first `ids_max` of them by id.
    ///
    /// # Errors
    /// `Invalid` with the place of each fault.
    pub async fn matching(
        &self,
        workspace: WorkspaceId,
        text: &str,
        ids_max: usize,
    ) -> Result<Matching, Error> {
        let condition = crate::segments::parse(text)?;
        let registry = self.registry(workspace);
        let preview = self.fed(workspace, &condition, &registry).await?;
        let rows = self.all_profiles(workspace).await?;
        tokio::task::spawn_blocking(move || {
            let facts = |hot| Facts { profile: hot, zone: &registry.zone };
            let found = preview.finish(rows.iter().map(|(id, hot)| (id.0, facts(&hot.profile))), ids_max);
            Matching { count: found.count, ids: found.ids.into_iter().map(ProfileId).collect() }
        })
        .await
        .map_err(|error| Error::Bug(error.to_string()))
    }
}
