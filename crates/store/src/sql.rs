//! One way to speak to both databases. A statement is written once; the few words that differ are tokens:
//!
//! | token | meaning |
//! | --- | --- |
//! | `list($1) AS j` | the elements of a JSON list, themselves lists |
//! | `j.int(3)`, `j.text(3)` | the third value of an element |
//! | `j.bytes($2, 3, 4)` | a piece of a blob; start (from 1) and length are values of the element |
//! | `has(a, b)` | the text `a` contains `b` |
//! | `least(a, b)`, `greatest(a, b)` | of two values |

use std::borrow::Cow;
use std::future::Future;

use serde_json::Value;
use sqlx::postgres::{PgArguments, PgPool, PgRow};
use sqlx::sqlite::{SqliteArguments, SqlitePool, SqliteRow};
use sqlx::{
    AssertSqlSafe, Connection as _, Decode, PgConnection, Postgres, Row as _, Sqlite, SqliteConnection, Type,
};

use crate::Error;

/// The database in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

/// A pool of readers.
#[derive(Clone)]
pub(crate) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// One connection.
pub(crate) enum Session {
    Sqlite(Box<Lite>),
    Postgres(Box<PgConnection>),
}

/// A connection to SQLite that keeps account of its transaction itself: SQLite ends one of its own accord when the disk
/// is full or fails, and the driver's count would stay wrong for ever.
pub(crate) struct Lite {
    one: SqliteConnection,
    /// A transaction was begun and not committed.
    open: bool,
}

/// An open transaction; rolled back when dropped.
pub(crate) enum Transaction<'a> {
    Sqlite(&'a mut Lite),
    Postgres(sqlx::Transaction<'a, Postgres>),
}

impl Lite {
    pub fn new(one: SqliteConnection) -> Lite {
        Lite { one, open: false }
    }

    /// Ends what a dropped transaction left open; comes before everything else that is done here.
    async fn settle(&mut self) {
        if std::mem::take(&mut self.open) {
            // An error says that SQLite has ended it already.
            let _ = sqlx::raw_sql("ROLLBACK").execute(&mut self.one).await;
        }
    }

    async fn begin(&mut self) -> Result<(), Error> {
        self.settle().await;
        self.open = true;
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut self.one).await?;
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), Error> {
        sqlx::raw_sql("COMMIT").execute(&mut self.one).await?;
        self.open = false;
        Ok(())
    }
}

impl Session {
    /// Begins a transaction that may write.
    pub async fn begin(&mut self) -> Result<Transaction<'_>, Error> {
        Ok(match self {
            Session::Sqlite(one) => {
                one.begin().await?;
                Transaction::Sqlite(one)
            }
            Session::Postgres(one) => Transaction::Postgres(one.begin().await?),
        })
    }

    /// Runs a script of several statements.
    pub async fn script(&mut self, script: String) -> Result<(), Error> {
        match self {
            Session::Sqlite(lite) => {
                lite.settle().await;
                sqlx::raw_sql(AssertSqlSafe(script)).execute(&mut lite.one).await?;
            }
            Session::Postgres(one) => {
                sqlx::raw_sql(AssertSqlSafe(script)).execute(&mut **one).await?;
            }
        }
        Ok(())
    }
}

impl Transaction<'_> {
    pub async fn commit(self) -> Result<(), Error> {
        match self {
            Transaction::Sqlite(one) => one.commit().await?,
            Transaction::Postgres(one) => one.commit().await?,
        }
        Ok(())
    }
}

/// Where a statement runs.
pub(crate) enum Target<'a> {
    SqlitePool(&'a SqlitePool),
    PostgresPool(&'a PgPool),
    /// Outside a transaction.
    Lite(&'a mut Lite),
    /// Within one.
    Sqlite(&'a mut SqliteConnection),
    Postgres(&'a mut PgConnection),
}

impl<'a> From<&'a Pool> for Target<'a> {
    fn from(pool: &'a Pool) -> Target<'a> {
        match pool {
            Pool::Sqlite(pool) => Target::SqlitePool(pool),
            Pool::Postgres(pool) => Target::PostgresPool(pool),
        }
    }
}

impl<'a> From<&'a mut Session> for Target<'a> {
    fn from(session: &'a mut Session) -> Target<'a> {
        match session {
            Session::Sqlite(one) => Target::Lite(one),
            Session::Postgres(one) => Target::Postgres(one),
        }
    }
}

impl<'a> From<&'a mut Transaction<'_>> for Target<'a> {
    fn from(transaction: &'a mut Transaction<'_>) -> Target<'a> {
        match transaction {
            Transaction::Sqlite(lite) => Target::Sqlite(&mut lite.one),
            Transaction::Postgres(one) => Target::Postgres(&mut *one),
        }
    }
}

impl Target<'_> {
    fn dialect(&self) -> Dialect {
        match self {
            Target::SqlitePool(_) | Target::Lite(_) | Target::Sqlite(_) => Dialect::Sqlite,
            Target::PostgresPool(_) | Target::Postgres(_) => Dialect::Postgres,
        }
    }
}

/// A JSON list of lists that is written by hand, where many are.
pub(crate) struct List(pub String);

/// A value bound to a statement.
#[derive(Debug)]
pub(crate) enum Arg {
    Int(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
    /// A JSON list for `list($n)`.
    List(String),
}

macro_rules! arg_from {
    ($($kind:ty => |$value:ident| $arg:expr),+ $(,)?) => {
        $(impl From<$kind> for Arg {
            fn from($value: $kind) -> Arg { $arg }
        })+
    };
}
arg_from! {
    i64 => |v| Arg::Int(Some(v)),
    Option<i64> => |v| Arg::Int(v),
    &str => |v| Arg::Text(Some(v.to_owned())),
    &String => |v| Arg::Text(Some(v.clone())),
    String => |v| Arg::Text(Some(v)),
    Option<&str> => |v| Arg::Text(v.map(str::to_owned)),
    Option<&String> => |v| Arg::Text(v.cloned()),
    Option<String> => |v| Arg::Text(v),
    &Option<String> => |v| Arg::Text(v.clone()),
    &[u8] => |v| Arg::Bytes(Some(v.to_vec())),
    &Vec<u8> => |v| Arg::Bytes(Some(v.clone())),
    Vec<u8> => |v| Arg::Bytes(Some(v)),
    Option<Vec<u8>> => |v| Arg::Bytes(v),
    Vec<Value> => |v| Arg::List(Value::Array(v).to_string()),
    List => |v| Arg::List(v.0),
}

/// PostgreSQL keeps no NUL in a text; it becomes U+FFFD there.
fn without_nul(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

/// The same for the escape in a JSON text; an escaped backslash before `u0000` is not an escape.
fn list_without_nul(text: String) -> String {
    if !text.contains("\\u0000") {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let length = if rest.starts_with("\\u0000") {
            out.push_str("\\ufffd");
            6
        } else {
            // A serialised JSON text has at least one ASCII character after a backslash.
            out.push_str(&rest[..2]);
            2
        };
        rest = &rest[length..];
    }
    out.push_str(rest);
    out
}

/// A statement of one of the two dialects.
fn translate(sql: &'static str, dialect: Dialect) -> Cow<'static, str> {
    const TOKENS: [&str; 6] = ["list(", ".int(", ".bytes(", "has(", "least(", "greatest("];
    if !TOKENS.iter().any(|token| sql.contains(token)) && !sql.contains(".text(") {
        return Cow::Borrowed(sql);
    }
    let mut out = String::with_capacity(sql.len() + 128);
    let mut rest = sql;
    while let Some(open) = rest.find('(') {
        let Some(close) = rest[open..].find(')').map(|at| open + at) else { break };
        let inner = &rest[open + 1..close];
        let head = &rest[..open];
        let postgres = dialect == Dialect::Postgres;
        let replaced = if let Some(before) = head.strip_suffix("list") {
            // `list($1) AS j`
            let after = rest[close + 1..].strip_prefix(" AS j").unwrap_or(&rest[close + 1..]);
            out.push_str(before);
            out.push_str(&if postgres {
                format!("jsonb_array_elements(CAST({inner} AS jsonb)) WITH ORDINALITY AS j(value, key)")
            } else {
                format!("json_each({inner}) AS j")
            });
            rest = after;
            true
        } else if let Some(before) = head.strip_suffix("j.int") {
            out.push_str(before);
            out.push_str(&if postgres {
                format!("CAST(j.value ->> {inner} AS BIGINT)")
            } else {
                format!("(j.value ->> {inner})")
            });
            rest = &rest[close + 1..];
            true
        } else if let Some(before) = head.strip_suffix("j.text") {
            out.push_str(before);
            out.push_str(&format!("(j.value ->> {inner})"));
            rest = &rest[close + 1..];
            true
        } else if let Some(before) = head.strip_suffix("j.bytes") {
            out.push_str(before);
            let mut parts = inner.split(',').map(str::trim);
            let (blob, start, length) = (
                parts.next().unwrap_or_default(),
                parts.next().unwrap_or_default(),
                parts.next().unwrap_or_default(),
            );
            out.push_str(&if postgres {
                format!("substr({blob}, CAST(j.value ->> {start} AS INT), CAST(j.value ->> {length} AS INT))")
            } else {
                format!("substr({blob}, j.value ->> {start}, j.value ->> {length})")
            });
            rest = &rest[close + 1..];
            true
        } else {
            false
        };
        if replaced {
            continue;
        }
        let renamed =
            [("has", "0 < strpos", "0 < instr"), ("least", "least", "min"), ("greatest", "greatest", "max")]
                .into_iter()
                .find_map(|(token, pg, lite)| {
                    head.strip_suffix(token).map(|before| (before, if postgres { pg } else { lite }, token))
                });
        if let Some((before, name, _)) = renamed {
            out.push_str(before);
            out.push_str(name);
        } else {
            out.push_str(head);
        }
        out.push('(');
        rest = &rest[open + 1..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// One statement with its values.
pub(crate) struct Query {
    sql: &'static str,
    args: Vec<Arg>,
}

/// Begins a statement.
pub(crate) fn query(sql: &'static str) -> Query {
    Query { sql, args: Vec::new() }
}

macro_rules! bound {
    ($query:expr, $args:expr, $text:expr, $list:expr) => {{
        let mut query = $query;
        for arg in $args {
            query = match arg {
                Arg::Int(value) => query.bind(value),
                Arg::Text(value) => query.bind(value.map($text)),
                Arg::Bytes(value) => query.bind(value),
                Arg::List(value) => query.bind($list(value)),
            };
        }
        query
    }};
}

fn sqlite(text: Cow<'static, str>, args: Vec<Arg>) -> sqlx::query::Query<'static, Sqlite, SqliteArguments> {
    bound!(sqlx::query::<Sqlite>(AssertSqlSafe(text.into_owned())), args, |text| text, |list| list)
}

fn postgres(text: Cow<'static, str>, args: Vec<Arg>) -> sqlx::query::Query<'static, Postgres, PgArguments> {
    bound!(sqlx::query::<Postgres>(AssertSqlSafe(text.into_owned())), args, without_nul, list_without_nul)
}

impl Query {
    pub fn bind(mut self, value: impl Into<Arg>) -> Query {
        self.args.push(value.into());
        self
    }

    /// Rows changed.
    pub fn execute<'a>(
        self,
        target: impl Into<Target<'a>>,
    ) -> impl Future<Output = Result<u64, Error>> + Send {
        let target = target.into();
        async move {
            let text = translate(self.sql, target.dialect());
            Ok(match target {
                Target::SqlitePool(to) => sqlite(text, self.args).execute(to).await?.rows_affected(),
                Target::Lite(to) => {
                    to.settle().await;
                    sqlite(text, self.args).execute(&mut to.one).await?.rows_affected()
                }
                Target::Sqlite(to) => sqlite(text, self.args).execute(to).await?.rows_affected(),
                Target::PostgresPool(to) => postgres(text, self.args).execute(to).await?.rows_affected(),
                Target::Postgres(to) => postgres(text, self.args).execute(to).await?.rows_affected(),
            })
        }
    }

    pub fn fetch_all<'a>(
        self,
        target: impl Into<Target<'a>>,
    ) -> impl Future<Output = Result<Vec<Row>, Error>> + Send {
        let target = target.into();
        async move {
            let text = translate(self.sql, target.dialect());
            Ok(match target {
                Target::SqlitePool(to) => lite_rows(sqlite(text, self.args).fetch_all(to).await?),
                Target::Lite(to) => {
                    to.settle().await;
                    lite_rows(sqlite(text, self.args).fetch_all(&mut to.one).await?)
                }
                Target::Sqlite(to) => lite_rows(sqlite(text, self.args).fetch_all(to).await?),
                Target::PostgresPool(to) => pg_rows(postgres(text, self.args).fetch_all(to).await?),
                Target::Postgres(to) => pg_rows(postgres(text, self.args).fetch_all(to).await?),
            })
        }
    }

    pub async fn fetch_optional<'a>(self, target: impl Into<Target<'a>>) -> Result<Option<Row>, Error> {
        Ok(self.fetch_all(target).await?.into_iter().next())
    }

    pub async fn fetch_one<'a>(self, target: impl Into<Target<'a>>) -> Result<Row, Error> {
        let sql = self.sql;
        self.fetch_optional(target)
            .await?
            .ok_or_else(|| Error::Corrupt(format!("a statement that always answers did not: {sql}")))
    }

    /// The first value of the only row.
    pub async fn scalar<'a, T: Cell>(self, target: impl Into<Target<'a>>) -> Result<T, Error> {
        self.fetch_one(target).await?.get(0)
    }

    /// The first value of the first row, if there is one.
    pub async fn scalar_optional<'a, T: Cell>(
        self,
        target: impl Into<Target<'a>>,
    ) -> Result<Option<T>, Error> {
        self.fetch_optional(target).await?.map(|row| row.get(0)).transpose()
    }
}

fn lite_rows(rows: Vec<SqliteRow>) -> Vec<Row> {
    rows.into_iter().map(Row::Sqlite).collect()
}

fn pg_rows(rows: Vec<PgRow>) -> Vec<Row> {
    rows.into_iter().map(Row::Postgres).collect()
}

/// A row of an answer.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// What a column can hold.
pub(crate) trait Cell:
    for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>
{
}

impl<T> Cell for T where
    T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>
{
}

impl Row {
    /// The value of a column, from 0.
    pub fn get<T: Cell>(&self, column: usize) -> Result<T, Error> {
        Ok(match self {
            Row::Sqlite(row) => row.try_get(column)?,
            Row::Postgres(row) => row.try_get(column)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_become_the_words_of_each_dialect() {
        let sql = "SELECT j.int(0), j.text(1), j.bytes($2, 2, 3), least(a, b) FROM list($1) AS j WHERE has(lower(c), $3)";
        assert_eq!(
            translate(sql, Dialect::Sqlite),
            "SELECT (j.value ->> 0), (j.value ->> 1), substr($2, j.value ->> 2, j.value ->> 3), min(a, b) \
             FROM json_each($1) AS j WHERE 0 < instr(lower(c), $3)"
        );
        assert_eq!(
            translate(sql, Dialect::Postgres),
            "SELECT CAST(j.value ->> 0 AS BIGINT), (j.value ->> 1), \
             substr($2, CAST(j.value ->> 2 AS INT), CAST(j.value ->> 3 AS INT)), least(a, b) \
             FROM jsonb_array_elements(CAST($1 AS jsonb)) WITH ORDINALITY AS j(value, key) WHERE 0 < strpos(lower(c), $3)"
        );
        assert_eq!(translate("SELECT count(*) FROM x", Dialect::Sqlite), "SELECT count(*) FROM x");
    }

    #[test]
    fn a_nul_is_replaced_and_an_escaped_backslash_is_not_touched() {
        let text = serde_json::json!(["a\0b", "c\\u0000", "é\\\0"]).to_string();
        let cleaned: Value = serde_json::from_str(&list_without_nul(text)).unwrap();
        assert_eq!(cleaned, serde_json::json!(["a\u{fffd}b", "c\\u0000", "é\\\u{fffd}"]));
    }
}
