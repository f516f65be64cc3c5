//! What membership and its history say of a segment as a whole: by day and cause, and how segments overlap.

use model::{Timestamp, WorkspaceId};

use crate::sql::query;
use crate::{Error, Store};

impl Store {
    /// Entries and exits of a segment since an instant, by steps of `grain` microseconds: (when the step began, entered,
    /// cause, how many).
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn membership_causes(
        &self,
        workspace: WorkspaceId,
        segment: &str,
        since: Timestamp,
        grain: i64,
    ) -> Result<Vec<(Timestamp, bool, String, i64)>, Error> {
        let rows = query(
            "SELECT at / $4 AS step, entered, cause, count(*) FROM membership_history \
             WHERE workspace = $1 AND segment = $2 AND at >= $3 GROUP BY step, entered, cause ORDER BY step, entered, cause",
        )
        .bind(workspace.0)
        .bind(segment)
        .bind(since.micros())
        .bind(grain)
        .fetch_all(&self.readers)
        .await?;
        rows.iter()
            .map(|row| {
                let at = Timestamp::from_micros(row.get::<i64>(0)? * grain);
                Ok((at, row.get::<i64>(1)? != 0, row.get(2)?, row.get(3)?))
            })
            .collect()
    }

    /// How members are shared among two or three segments: (which, how many), where bit n of `which` says that they are in
    /// `segments[n]`. Regions without members are left out.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn overlap(
        &self,
        workspace: WorkspaceId,
        segments: [&str; 3],
    ) -> Result<Vec<(i64, i64)>, Error> {
        let rows = query(
            "SELECT which, count(*) FROM (SELECT profile, CAST(sum(CASE segment WHEN $2 THEN 1 WHEN $3 THEN 2 ELSE 4 END) AS BIGINT) AS which \
             FROM membership WHERE workspace = $1 AND segment IN ($2, $3, $4) GROUP BY profile) AS shared GROUP BY which ORDER BY which",
        )
        .bind(workspace.0)
        .bind(segments[0])
        .bind(segments[1])
        .bind(segments[2])
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
    }
}
