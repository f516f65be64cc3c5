//! Coupons: pools of codes, who was given which, and what came back. A code is given once: by one statement of one
//! transaction of the one writer.

use model::{ProfileId, Timestamp, WorkspaceId};
use serde_json::{Value, json};

use crate::sql::{Row, query};
use crate::{CouponRow, Error, PoolRow, PoolUse, Redeemed, Store};

/// Who asks for a code, and for what.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The pool.
    pub pool: &'a str,
    /// What makes the code theirs: the same owner is given the same code.
    pub owner: &'a str,
    /// The profile.
    pub profile: ProfileId,
    /// The message it stands in.
    pub message: &'a str,
    /// When.
    pub now: Timestamp,
}

/// A statement with the columns of a code between its two parts.
macro_rules! with_columns {
    ($before:literal, $after:literal) => {
        concat!($before, " pool, code, owner, profile, message, assigned_at, redeemed_at, order_id ", $after)
    };
}

impl Store {
    /// Makes a pool or changes it.
    ///
    /// # Errors
    /// `Unavailable` when nothing was written.
    pub async fn put_pool(&self, workspace: WorkspaceId, pool: &PoolRow) -> Result<(), Error> {
        let mut writer = self.write().await?;
        query(
            "INSERT INTO coupon_pool (workspace, id, pattern, most, low_at, expires_at, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (workspace, id) DO UPDATE SET pattern = excluded.pattern, \
             most = excluded.most, low_at = excluded.low_at, expires_at = excluded.expires_at",
        )
        .bind(workspace.0)
        .bind(&pool.id)
        .bind(pool.pattern.as_deref())
        .bind(pool.most)
        .bind(pool.low_at)
        .bind(pool.expires_at.map(Timestamp::micros))
        .bind(pool.created_at.micros())
        .execute(&mut *writer)
        .await?;
        Ok(())
    }

    /// The pools and how far they are used, by id.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn pools(&self, workspace: WorkspaceId) -> Result<Vec<PoolUse>, Error> {
        let rows = query(
            "SELECT p.id, p.pattern, p.most, p.low_at, p.expires_at, p.created_at, count(c.code), count(c.owner), \
             count(c.redeemed_at) FROM coupon_pool AS p LEFT JOIN coupon AS c ON c.workspace = p.workspace AND c.pool = p.id \
             WHERE p.workspace = $1 GROUP BY p.id, p.pattern, p.most, p.low_at, p.expires_at, p.created_at ORDER BY p.id",
        )
        .bind(workspace.0)
        .fetch_all(&self.readers)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(PoolUse {
                    pool: pool_row(row)?,
                    codes: row.get(6)?,
                    assigned: row.get(7)?,
                    redeemed: row.get(8)?,
                })
            })
            .collect()
    }

    /// One pool.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn pool(&self, workspace: WorkspaceId, id: &str) -> Result<Option<PoolRow>, Error> {
        let row = query(
            "SELECT id, pattern, most, low_at, expires_at, created_at FROM coupon_pool WHERE workspace = $1 AND id = $2",
        )
        .bind(workspace.0)
        .bind(id)
        .fetch_optional(&self.readers)
        .await?;
        row.as_ref().map(pool_row).transpose()
    }

    /// Removes a pool with its codes. False when there was none.
    ///
    /// # Errors
    /// `Unavailable` when nothing was written.
    pub async fn delete_pool(&self, workspace: WorkspaceId, id: &str) -> Result<bool, Error> {
        let mut writer = self.write().await?;
        let mut transaction = writer.begin().await?;
        query("DELETE FROM coupon WHERE workspace = $1 AND pool = $2")
            .bind(workspace.0)
            .bind(id)
            .execute(&mut transaction)
            .await?;
        let gone = query("DELETE FROM coupon_pool WHERE workspace = $1 AND id = $2")
            .bind(workspace.0)
            .bind(id)
            .execute(&mut transaction)
            .await?;
        transaction.commit().await?;
        Ok(gone == 1)
    }

    /// Adds codes to a pool, in order; how many were new.
    ///
    /// # Errors
    /// `Unavailable` when nothing was written.
    pub async fn add_codes(
        &self,
        workspace: WorkspaceId,
        pool: &str,
        codes: &[String],
    ) -> Result<u64, Error> {
        let mut writer = self.write().await?;
        let mut transaction = writer.begin().await?;
        let last: Option<i64> = query("SELECT max(position) FROM coupon WHERE workspace = $1 AND pool = $2")
            .bind(workspace.0)
            .bind(pool)
            .scalar(&mut transaction)
            .await?;
        let from = last.unwrap_or(0) + 1;
        let list: Vec<Value> = codes
            .iter()
            .enumerate()
            .map(|(n, code)| json!([workspace.0, pool, code, from + n as i64]))
            .collect();
        let added = query(
            "INSERT INTO coupon (workspace, pool, code, position) \
             SELECT j.int(0), j.text(1), j.text(2), j.int(3) FROM list($1) AS j WHERE true ON CONFLICT DO NOTHING",
        )
        .bind(list)
        .execute(&mut transaction)
        .await?;
        transaction.commit().await?;
        Ok(added)
    }

    /// The code of an owner: the one it has, or the next free one. An owner whose code was redeemed gets another in
    /// another message. Nothing when no code is free.
    ///
    /// # Errors
    /// `Unavailable` when nothing was written.
    pub async fn claim_coupon(
        &self,
        workspace: WorkspaceId,
        claim: &Claim<'_>,
    ) -> Result<Option<CouponRow>, Error> {
        self.claim(workspace, claim, None, &[]).await
    }

    /// The same of a pool whose codes are made: the first of `made` that nobody has, as long as fewer than `most` exist.
    ///
    /// # Errors
    /// `Unavailable` when nothing was written.
    pub async fn claim_made(
        &self,
        workspace: WorkspaceId,
        claim: &Claim<'_>,
        most: Option<i64>,
        made: &[String],
    ) -> Result<Option<CouponRow>, Error> {
        self.claim(workspace, claim, most, made).await
    }

    async fn claim(
        &self,
        workspace: WorkspaceId,
        claim: &Claim<'_>,
        most: Option<i64>,
        made: &[String],
    ) -> Result<Option<CouponRow>, Error> {
        let mut writer = self.write().await?;
        let mut transaction = writer.begin().await?;
        let owned =
            query(with_columns!("SELECT", "FROM coupon WHERE workspace = $1 AND pool = $2 AND owner = $3"))
                .bind(workspace.0)
                .bind(claim.pool)
                .bind(claim.owner)
                .fetch_optional(&mut transaction)
                .await?;
        if let Some(owned) = owned.as_ref().map(coupon_row).transpose()? {
            if owned.redeemed_at.is_none() || owned.message.as_deref() == Some(claim.message) {
                transaction.commit().await?;
                return Ok(Some(owned));
            }
            query("UPDATE coupon SET owner = $4 WHERE workspace = $1 AND pool = $2 AND code = $3")
                .bind(workspace.0)
                .bind(claim.pool)
                .bind(&owned.code)
                .bind(format!("{}#{}", claim.owner, owned.code))
                .execute(&mut transaction)
                .await?;
        }
        if let Some(most) = most {
            let many: i64 = query("SELECT count(*) FROM coupon WHERE workspace = $1 AND pool = $2")
                .bind(workspace.0)
                .bind(claim.pool)
                .scalar(&mut transaction)
                .await?;
            if many >= most {
                transaction.commit().await?;
                return Ok(None);
            }
        }
        for code in made {
            let new = query(
                "INSERT INTO coupon (workspace, pool, code, position) VALUES ($1, $2, $3, 0) ON CONFLICT DO NOTHING",
            )
            .bind(workspace.0)
            .bind(claim.pool)
            .bind(code)
            .execute(&mut transaction)
            .await?;
            if new == 1 {
                break;
            }
        }
        let given = query(with_columns!(
            "UPDATE coupon SET owner = $3, profile = $4, message = $5, assigned_at = $6 \
             WHERE workspace = $1 AND pool = $2 AND code = (SELECT code FROM coupon WHERE workspace = $1 AND pool = $2 \
             AND owner IS NULL ORDER BY position, code LIMIT 1) RETURNING",
            ""
        ))
            .bind(workspace.0)
            .bind(claim.pool)
            .bind(claim.owner)
            .bind(claim.profile.0)
            .bind(claim.message)
            .bind(claim.now.micros())
            .fetch_optional(&mut transaction)
            .await?;
        let given = given.as_ref().map(coupon_row).transpose()?;
        transaction.commit().await?;
        Ok(given)
    }

    /// A code that is free now, without giving it to anybody.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn sample_coupon(&self, workspace: WorkspaceId, pool: &str) -> Result<Option<String>, Error> {
        query(
            "SELECT code FROM coupon WHERE workspace = $1 AND pool = $2 AND owner IS NULL ORDER BY position, code LIMIT 1",
        )
        .bind(workspace.0)
        .bind(pool)
        .scalar_optional(&self.readers)
        .await
    }

    /// Codes of a pool that were given, by code after one.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn coupons_after(
        &self,
        workspace: WorkspaceId,
        pool: &str,
        after: &str,
        limit: i64,
    ) -> Result<Vec<CouponRow>, Error> {
        let rows = query(with_columns!(
            "SELECT",
            "FROM coupon WHERE workspace = $1 AND pool = $2 AND owner IS NOT NULL AND code > $3 ORDER BY code LIMIT $4"
        ))
            .bind(workspace.0)
            .bind(pool)
            .bind(after)
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(coupon_row).collect()
    }

    /// What is known of codes, in any pool.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn coupons_of(
        &self,
        codes: &[(WorkspaceId, String)],
    ) -> Result<Vec<(WorkspaceId, CouponRow)>, Error> {
        let list: Vec<Value> = codes.iter().map(|(workspace, code)| json!([workspace.0, code])).collect();
        let rows = query(
            "SELECT c.pool, c.code, c.owner, c.profile, c.message, c.assigned_at, c.redeemed_at, c.order_id, c.workspace \
             FROM list($1) AS j CROSS JOIN coupon AS c WHERE c.workspace = j.int(0) AND c.code = j.text(1) ORDER BY c.pool",
        )
        .bind(list)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(|row| Ok((WorkspaceId(row.get(8)?), coupon_row(row)?))).collect()
    }
}

/// Notes what came back; the first time stands.
pub(crate) async fn put_redeemed(
    connection: &mut crate::sql::Transaction<'_>,
    rows: &[Redeemed],
) -> Result<(), Error> {
    for row in rows {
        query(
            "UPDATE coupon SET redeemed_at = $3, order_id = $4 WHERE workspace = $1 AND code = $2 AND redeemed_at IS NULL",
        )
        .bind(row.workspace.0)
        .bind(&row.code)
        .bind(row.at.micros())
        .bind(row.order_id.as_deref())
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

fn pool_row(row: &Row) -> Result<PoolRow, Error> {
    Ok(PoolRow {
        id: row.get(0)?,
        pattern: row.get(1)?,
        most: row.get(2)?,
        low_at: row.get(3)?,
        expires_at: row.get::<Option<i64>>(4)?.map(Timestamp::from_micros),
        created_at: Timestamp::from_micros(row.get(5)?),
    })
}

fn coupon_row(row: &Row) -> Result<CouponRow, Error> {
    Ok(CouponRow {
        pool: row.get(0)?,
        code: row.get(1)?,
        owner: row.get(2)?,
        profile: row.get::<Option<i64>>(3)?.map(ProfileId),
        message: row.get(4)?,
        assigned_at: row.get::<Option<i64>>(5)?.map(Timestamp::from_micros),
        redeemed_at: row.get::<Option<i64>>(6)?.map(Timestamp::from_micros),
        order_id: row.get(7)?,
    })
}
