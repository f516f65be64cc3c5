//! The profiles for whom a condition holds now, page by page.

use model::{ProfileId, WorkspaceId};

use crate::Error;
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
        let found = self.found(workspace, &condition, self.clock.now(), ids_max).await?;
        Ok(Matching { count: found.count, ids: found.ids.into_iter().map(ProfileId).collect() })
    }
}
