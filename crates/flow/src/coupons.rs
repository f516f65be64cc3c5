//! Coupons: pools of uploaded codes or of codes made by a pattern; one code for each person, campaign and step.
//! See `docs/coupons.md`.

use model::{Timestamp, Value, WorkspaceId};
use serde_json::json;
use store::{Claim, CouponRow, PoolRow, PoolUse};

use crate::Error;
use crate::compose::Order;
use crate::data::Fetched;
use crate::health::{Part, Status};
use crate::platform::Platform;

/// Bytes of a code.
const CODE_BYTES_MAX: usize = 64;
/// Codes of one upload.
pub const CODES_MAX: usize = 100_000;
/// Places of a pattern that vary at least: fewer could be guessed.
const VARYING_MIN: usize = 6;
/// Codes that are tried before a pattern counts as used up.
const TRIES: u32 = 20;
/// A pool that ends within this deserves a look. Units: microseconds.
const ENDS_SOON: i64 = 7 * model::time::DAY;

const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// What became of an upload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CodesTaken {
    /// Codes that are new in the pool.
    pub added: u64,
    /// Codes it had already.
    pub known: u64,
    /// Lines that are no code: empty, too long, or with spaces.
    pub refused: u64,
}

/// Fills a pattern: `?` a letter, `#` a digit, `*` either; the rest stands as it is.
fn filled(pattern: &str, mut hash: u128) -> String {
    let mut next = |among: &[u8]| {
        let many = among.len() as u128;
        let letter = among[(hash % many) as usize];
        hash /= many;
        char::from(letter)
    };
    pattern
        .chars()
        .map(|place| match place {
            '?' => next(&LETTERS[..24]),
            '#' => next(b"0123456789"),
            '*' => next(LETTERS),
            other => other,
        })
        .collect()
}

fn check_pool(pool: &PoolRow) -> Result<(), Error> {
    let wrong = |path: &str, why: &str| Err(Error::invalid("invalid_pool", path, why.to_owned()));
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if pool.id.is_empty() || pool.id.len() > 100 || !pool.id.chars().all(plain) {
        return wrong("/id", "A pool's id has 1 to 100 letters, digits, hyphens and underscores.");
    }
    if pool.low_at < 0 {
        return wrong("/low_at", "The number of free codes that deserves a look is 0 or more.");
    }
    if pool.most.is_some_and(|most| most < 1) {
        return wrong("/most", "A pool makes at least one code.");
    }
    let Some(pattern) = &pool.pattern else { return Ok(()) };
    if pattern.len() > CODE_BYTES_MAX || !pattern.chars().all(|c| plain(c) || matches!(c, '?' | '#' | '*')) {
        return wrong(
            "/pattern",
            "A pattern has at most 64 letters, digits, hyphens, and ?, # or * where codes vary.",
        );
    }
    if pattern.chars().filter(|c| matches!(c, '?' | '#' | '*')).count() < VARYING_MIN {
        return wrong(
            "/pattern",
            "A pattern has at least six places that vary (?, # or *): fewer could be guessed.",
        );
    }
    Ok(())
}

impl Platform {
    /// A discount code that follows from the message, or a rule's firing: a retry shows the same one.
    pub(crate) fn code(&self, message_id: &str) -> String {
        let hash = xxhash_rust::xxh3::xxh3_64(format!("{}{message_id}", self.secret).as_bytes());
        (0..8).map(|at| char::from(LETTERS[(hash >> (at * 5)) as usize & 31])).collect()
    }

    /// The code that a step of a journey asks for: of the pool of that name, or one made for the message alone.
    pub(crate) async fn node_coupon(
        &self,
        workspace: WorkspaceId,
        order: &Order<'_>,
        name: &str,
        trace: &mut Vec<Value>,
    ) -> Result<String, Error> {
        if self.store.pool(workspace, name).await?.is_some() {
            return match self.pool_coupon(workspace, order, name, trace).await? {
                Fetched::Ready(coupon) => Ok(coupon["code"].as_str().unwrap_or_default().to_owned()),
                Fetched::Nothing(why) | Fetched::Refused(why) => {
                    Err(Error::invalid("no_coupon", "/coupon", why))
                }
            };
        }
        let code = format!("{name}-{}", self.code(order.message_id));
        trace.push(json!({
            "step": "coupon", "title": "Discount code", "at": order.now,
            "sentence": format!("The code {code} was made for this message alone."), "data": {"code": code},
        }));
        Ok(code)
    }

    /// A code of a pool for a mail: the same one for the same person, campaign and step. A preview shows what one looks
    /// like and gives none away.
    pub(crate) async fn pool_coupon(
        &self,
        workspace: WorkspaceId,
        order: &Order<'_>,
        id: &str,
        trace: &mut Vec<Value>,
    ) -> Result<Fetched, Error> {
        let Some(pool) = self.store.pool(workspace, id).await? else {
            return Ok(Fetched::Refused(format!("There is no pool of coupons '{id}'.")));
        };
        if pool.expires_at.is_some_and(|end| end <= order.now) {
            return Ok(Fetched::Refused(format!("The coupons of '{id}' have expired.")));
        }
        let shape = |code: &str| json!({"code": code, "pool": id, "expires_at": pool.expires_at});
        let profile = order.hot.filter(|_| !order.message_id.is_empty());
        let Some((row, _)) = profile else {
            let code = match &pool.pattern {
                Some(pattern) => filled(pattern, 0),
                None => self.store.sample_coupon(workspace, id).await?.map_or_else(
                    || "SAMPLE".to_owned(),
                    |code| {
                        code.chars().take(code.len() / 2).chain("XXXXXXXX".chars()).take(code.len()).collect()
                    },
                ),
            };
            return Ok(Fetched::Ready(shape(&code)));
        };
        let owner = format!("{}/{}/{}", row.id.0, order.campaign, order.step);
        let claim =
            Claim { pool: id, owner: &owner, profile: row.id, message: order.message_id, now: order.now };
        let given = match &pool.pattern {
            None => self.store.claim_coupon(workspace, &claim).await?,
            Some(pattern) => {
                let made: Vec<String> = (0..TRIES)
                    .map(|attempt| {
                        let text = format!("{}/{id}/{owner}/{}/{attempt}", self.secret, order.message_id);
                        filled(pattern, xxhash_rust::xxh3::xxh3_128(text.as_bytes()))
                    })
                    .collect();
                self.store.claim_made(workspace, &claim, pool.most, &made).await?
            }
        };
        let Some(given) = given else {
            return Ok(Fetched::Refused(format!("The pool of coupons '{id}' is empty: add codes.")));
        };
        trace.push(json!({
            "step": "coupon", "title": "Discount code", "at": order.now,
            "sentence": format!("The code {} of '{id}' was given.", given.code),
            "data": {"code": given.code, "pool": id, "owner": owner},
        }));
        Ok(Fetched::Ready(shape(&given.code)))
    }

    /// The pools of a workspace.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn coupon_pools(&self, workspace: WorkspaceId) -> Result<Vec<PoolUse>, Error> {
        Ok(self.store.pools(workspace).await?)
    }

    /// Makes a pool or changes it.
    ///
    /// # Errors
    /// `Invalid` names what is wrong; `Conflict` for a pool that would change from uploaded codes to made ones or back.
    pub async fn put_coupon_pool(&self, workspace: WorkspaceId, pool: PoolRow) -> Result<(), Error> {
        check_pool(&pool)?;
        if let Some(former) = self.store.pool(workspace, &pool.id).await?
            && former.pattern.is_some() != pool.pattern.is_some()
        {
            return Err(Error::Conflict(format!(
                "The pool '{}' holds {} codes, which cannot change: make another pool.",
                pool.id,
                if former.pattern.is_some() { "made" } else { "uploaded" }
            )));
        }
        Ok(self.store.put_pool(workspace, &pool).await?)
    }

    /// Adds codes to a pool, one a line.
    ///
    /// # Errors
    /// `Missing` without such a pool, `Conflict` for one whose codes are made, `Invalid` for too many at once.
    pub async fn add_coupons(
        &self,
        workspace: WorkspaceId,
        id: &str,
        text: &str,
    ) -> Result<CodesTaken, Error> {
        let pool = self.store.pool(workspace, id).await?;
        let pool = pool.ok_or_else(|| Error::Missing(format!("There is no pool of coupons '{id}'.")))?;
        if pool.pattern.is_some() {
            return Err(Error::Conflict(format!("The codes of '{id}' are made by its pattern.")));
        }
        let mut taken = CodesTaken::default();
        let mut codes: Vec<String> = Vec::new();
        for line in text.lines() {
            let code = line.trim().trim_matches('"');
            if code.is_empty()
                || code.len() > CODE_BYTES_MAX
                || code.chars().any(|c| c.is_whitespace() || c.is_control())
            {
                taken.refused += u64::from(!line.trim().is_empty());
                continue;
            }
            codes.push(code.to_owned());
        }
        if codes.len() > CODES_MAX {
            let detail = format!("An upload has at most {CODES_MAX} codes: send them in parts.");
            return Err(Error::invalid("too_many_codes", "", detail));
        }
        let given = codes.len() as u64;
        for some in codes.chunks(5_000) {
            taken.added += self.store.add_codes(workspace, id, some).await?;
        }
        taken.known = given - taken.added;
        Ok(taken)
    }

    /// Removes a pool with its codes. False when there was none.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn delete_coupon_pool(&self, workspace: WorkspaceId, id: &str) -> Result<bool, Error> {
        Ok(self.store.delete_pool(workspace, id).await?)
    }

    /// Codes that were given, by code after one.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn coupons_given(
        &self,
        workspace: WorkspaceId,
        pool: &str,
        after: &str,
        limit: i64,
    ) -> Result<Vec<CouponRow>, Error> {
        Ok(self.store.coupons_after(workspace, pool, after, limit).await?)
    }

    /// How the pools are; nothing where there are none.
    pub(crate) async fn coupon_health(&self, workspace: WorkspaceId) -> Result<Option<Part>, Error> {
        let pools = self.store.pools(workspace).await?;
        if pools.is_empty() {
            return Ok(None);
        }
        let now = self.clock.now();
        let faults: Vec<String> = pools.iter().filter_map(|pool| alert(pool, now)).collect();
        let (status, detail) = if faults.is_empty() {
            (Status::Ok, format!("{} pools have codes", pools.len()))
        } else {
            (Status::Warn, faults.join("; "))
        };
        Ok(Some(Part { name: "Coupons", status, detail }))
    }
}

/// What about a pool deserves a look.
pub fn alert(pool: &PoolUse, now: Timestamp) -> Option<String> {
    let id = &pool.pool.id;
    if let Some(end) = pool.pool.expires_at {
        if end <= now {
            return Some(format!("'{id}' has expired"));
        }
        if end - now < ENDS_SOON {
            return Some(format!("'{id}' expires on {}", end.to_string().get(..10).unwrap_or_default()));
        }
    }
    let free = free_codes(pool)?;
    match free {
        0 => Some(format!("'{id}' is empty")),
        free if free <= pool.pool.low_at => Some(format!("'{id}' has {free} codes left")),
        _ => None,
    }
}

/// Codes that can still be given; nothing where there is no end to them.
pub fn free_codes(pool: &PoolUse) -> Option<i64> {
    match (&pool.pool.pattern, pool.pool.most) {
        (None, _) => Some(pool.codes - pool.assigned),
        (Some(_), most) => most.map(|most| (most - pool.assigned).max(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(pattern: Option<&str>) -> PoolRow {
        PoolRow {
            id: "spring".into(),
            pattern: pattern.map(str::to_owned),
            most: None,
            low_at: 10,
            expires_at: None,
            created_at: Timestamp::from_secs(0),
        }
    }

    #[test]
    fn a_pattern_is_filled_place_by_place_and_keeps_what_is_fixed() {
        let code = filled("SPRING-??##**", 123_456_789_012_345);
        assert!(code.starts_with("SPRING-") && code.len() == 13, "{code}");
        let places: Vec<char> = code.chars().skip(7).collect();
        assert!(places[0].is_ascii_uppercase() && places[2].is_ascii_digit(), "{code}");
        assert_ne!(filled("******", 1), filled("******", 2));
    }

    #[test]
    fn a_pattern_that_could_be_guessed_or_holds_odd_letters_is_refused() {
        assert!(check_pool(&pool(Some("SPRING-******"))).is_ok());
        for odd in ["SPRING-***", "a b ******", &"*".repeat(65)] {
            assert!(check_pool(&pool(Some(odd))).is_err(), "{odd}");
        }
        assert!(check_pool(&PoolRow { id: "no spaces".into(), ..pool(None) }).is_err());
    }

    #[test]
    fn a_pool_that_ends_or_runs_low_is_told() {
        let now = Timestamp::from_secs(1_000);
        let with = |codes, assigned| PoolUse { pool: pool(None), codes, assigned, redeemed: 0 };
        assert_eq!(alert(&with(100, 0), now), None);
        assert_eq!(alert(&with(100, 91), now).as_deref(), Some("'spring' has 9 codes left"));
        assert_eq!(alert(&with(100, 100), now).as_deref(), Some("'spring' is empty"));
        let mut ending = with(100, 0);
        ending.pool.expires_at = Some(now + model::time::DAY);
        assert_eq!(alert(&ending, now).as_deref(), Some("'spring' expires on 1970-01-02"));
        ending.pool.expires_at = Some(now);
        assert_eq!(alert(&ending, now).as_deref(), Some("'spring' has expired"));
    }
}
