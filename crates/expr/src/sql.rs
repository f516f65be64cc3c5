//! Conditions as SQL: one SELECT over events and profiles that answers for all profiles, as of one instant.
//!
//! For warehouses and for those who think in SQL: the same condition, the same answer. What databases spell differently
//! stands in a [`Dialect`]; everything else is plain SQL (common table expressions, joins, window functions). Windows
//! become half-open intervals of instants that are computed here, one for each time zone, so that no database has to know
//! what a month after 30 January is.
//!
//! Expected tables: `events (profile_id, name, timestamp, properties)` and `profiles (profile_id, attributes,
//! timezone, consents, seed)`; properties, attributes and consents are JSON, a consent is
//! `{"given": bool, "at": microseconds, "by": text}`.

mod dialect;
mod leaf;
mod sequence;
mod value;

use std::collections::HashMap;

use jiff::tz::TimeZone;
use model::Timestamp;

pub use dialect::{DataFusion, Dialect};

use crate::ast::{Condition, EventPattern, Window};
use crate::{Figure, Span};

/// What a condition's names mean.
pub trait Names {
    /// A segment's key and condition, by its name or id.
    fn segment(&self, name: &str) -> Option<(String, Condition)>;

    /// What a trait's value is, by its name; conditions ask for it as for an attribute.
    fn figure(&self, name: &str) -> Option<Figure>;
}

/// Why a condition cannot be put into SQL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SqlError {
    /// A name that is not there.
    #[error("there is no segment \"{0}\"")]
    UnknownSegment(String),
    /// Segments that refer to each other.
    #[error("the segment \"{0}\" refers to itself")]
    Circle(String),
    /// A trait that tells an instant.
    #[error("the trait \"{0}\" tells an instant: ask for the time since that event instead")]
    Instant(String),
    /// Statements would become too long.
    #[error("the condition has more parts than a statement may have")]
    TooLarge,
}

/// Common table expressions of one statement.
const PARTS_MAX: usize = 2_000;

/// Several conditions as one SELECT: `profile_id` and a boolean column `c0`, `c1`, … for each.
///
/// `zones` are the values of `profiles.timezone`; a profile of another zone is not answered for.
/// Cost: each leaf reads the events of its name once.
///
/// # Errors
/// When a name is unknown or the statement would be too long.
pub fn select(
    conditions: &[&Condition],
    names: &dyn Names,
    now: Timestamp,
    zones: &[&str],
    dialect: &dyn Dialect,
) -> Result<String, SqlError> {
    let zones: Vec<(String, TimeZone)> =
        zones.iter().map(|name| ((*name).to_owned(), TimeZone::get(name).unwrap_or(TimeZone::UTC))).collect();
    let mut statement = Statement {
        names,
        now,
        zones,
        dialect,
        edges: Vec::new(),
        parts: Vec::new(),
        joins: Vec::new(),
        known: HashMap::new(),
        path: Vec::new(),
    };
    let mut columns = Vec::new();
    for (number, condition) in conditions.iter().enumerate() {
        columns.push(format!("{} AS c{number}", statement.condition(condition)?));
    }
    Ok(statement.finish(&columns))
}

/// The profiles for whom a condition holds: one column `profile_id`.
///
/// # Errors
/// As [`select`].
pub fn members(
    condition: &Condition,
    names: &dyn Names,
    now: Timestamp,
    zones: &[&str],
    dialect: &dyn Dialect,
) -> Result<String, SqlError> {
    let all = select(&[condition], names, now, zones, dialect)?;
    Ok(format!("SELECT profile_id FROM (\n{all}\n) answers WHERE c0"))
}

/// A statement in the making.
struct Statement<'a> {
    names: &'a dyn Names,
    now: Timestamp,
    zones: Vec<(String, TimeZone)>,
    dialect: &'a dyn Dialect,
    /// Instants that differ between zones: a column of `zones` each.
    edges: Vec<Vec<Timestamp>>,
    /// (name, query) of each common table expression, in order.
    parts: Vec<(String, String)>,
    /// Those that the outer query joins by profile.
    joins: Vec<String>,
    /// Parts by their text: equal ones are read once.
    known: HashMap<String, String>,
    /// The segments that are being put in place.
    path: Vec<String>,
}

/// The events in (from, to): expressions in microseconds.
struct Interval {
    from: Option<String>,
    to: String,
}

impl Statement<'_> {
    fn condition(&mut self, condition: &Condition) -> Result<String, SqlError> {
        let mut all = |parts: &[Condition], word: &str| -> Result<String, SqlError> {
            let parts = parts.iter().map(|part| self.condition(part)).collect::<Result<Vec<_>, _>>()?;
            Ok(format!("({})", parts.join(word)))
        };
        match condition {
            Condition::And { all: parts } => all(parts, " AND "),
            Condition::Or { any: parts } => all(parts, " OR "),
            Condition::Not { condition } => Ok(format!("(NOT {})", self.condition(condition)?)),
            Condition::InSegment { segment } => {
                let (key, inner) = self.segment(segment)?;
                if self.path.contains(&key) {
                    return Err(SqlError::Circle(segment.clone()));
                }
                self.path.push(key);
                let text = self.condition(&inner);
                self.path.pop();
                text
            }
            leaf => self.leaf(leaf),
        }
    }

    fn segment(&self, name: &str) -> Result<(String, Condition), SqlError> {
        self.names.segment(name).ok_or_else(|| SqlError::UnknownSegment(name.to_owned()))
    }

    /// A common table expression; its name.
    fn part(&mut self, query: String) -> Result<String, SqlError> {
        if let Some(name) = self.known.get(&query) {
            return Ok(name.clone());
        }
        if self.parts.len() == PARTS_MAX {
            return Err(SqlError::TooLarge);
        }
        let name = format!("f{}", self.parts.len());
        self.known.insert(query.clone(), name.clone());
        self.parts.push((name.clone(), query));
        Ok(name)
    }

    /// A common table expression with one row for a profile, for the outer query to read from.
    fn joined(&mut self, query: String) -> Result<String, SqlError> {
        let name = self.part(query)?;
        if !self.joins.contains(&name) {
            self.joins.push(name.clone());
        }
        Ok(name)
    }

    /// The smallest instant for which something is true that stays true: microseconds, as an expression.
    fn edge(&mut self, reach: i64, holds: &dyn Fn(Timestamp, &TimeZone) -> bool) -> String {
        let low = Timestamp::from_micros(self.now.micros().saturating_sub(reach));
        let find = |zone: &TimeZone| {
            let (mut low, mut high) = (low.micros(), self.now.micros().saturating_add(1));
            while low < high {
                let middle = low + (high - low) / 2;
                if holds(Timestamp::from_micros(middle), zone) { high = middle } else { low = middle + 1 }
            }
            Timestamp::from_micros(low)
        };
        let instants = self.zones.iter().map(|(_, zone)| find(zone)).collect();
        self.instants(instants)
    }

    /// An instant for each zone, as an expression.
    fn instants(&mut self, instants: Vec<Timestamp>) -> String {
        match instants.first() {
            None => "0".to_owned(),
            Some(first) if instants.iter().all(|each| each == first) => first.micros().to_string(),
            Some(_) => {
                let known = self.edges.iter().position(|each| *each == instants);
                let place = known.unwrap_or_else(|| {
                    self.edges.push(instants);
                    self.edges.len() - 1
                });
                format!("z.e{place}")
            }
        }
    }

    /// The first instant that is not a whole span ago: an event from then on is younger than the span.
    fn young(&mut self, span: Span) -> String {
        let now = self.now;
        self.edge(reach(span), &|at, zone| span.after(at, zone) > now)
    }

    fn interval(&mut self, window: &Option<Window>) -> Interval {
        let now = self.now;
        let end = now.micros().saturating_add(1).to_string();
        let starts = |statement: &Self, when: &crate::When, last: bool| -> Vec<Timestamp> {
            let edge = |zone: &TimeZone| if last { when.end(zone) } else { when.start(zone) };
            statement.zones.iter().map(|(_, zone)| edge(zone)).collect()
        };
        let until = |instants: Vec<Timestamp>| instants.into_iter().map(|at| at.min(now + 1)).collect();
        match window {
            None => Interval { from: None, to: end },
            Some(Window::InLast { span }) => Interval { from: Some(self.young(*span)), to: end },
            Some(Window::BeforeLast { span }) => Interval { from: None, to: self.young(*span) },
            Some(Window::Ago { from, to }) => Interval { from: Some(self.young(*from)), to: self.young(*to) },
            Some(Window::Since { when }) => {
                let from = starts(self, when, false);
                Interval { from: Some(self.instants(from)), to: end }
            }
            Some(Window::Before { when }) => {
                let to = until(starts(self, when, false));
                Interval { from: None, to: self.instants(to) }
            }
            Some(Window::Between { from, to }) => {
                let (from, to) = (starts(self, from, false), until(starts(self, to, true)));
                Interval { from: Some(self.instants(from)), to: self.instants(to) }
            }
            Some(Window::Today) => {
                let days = self.zones.iter().map(|(_, zone)| crate::When::Date(crate::day_of(now, zone)));
                let from = days.zip(&self.zones).map(|(day, (_, zone))| day.start(zone)).collect();
                Interval { from: Some(self.instants(from)), to: end }
            }
        }
    }

    /// `SELECT` of matching events inside a window; `columns` may speak of `e`, `p` and `z`.
    fn events(&mut self, columns: &str, event: &EventPattern, window: &Option<Window>) -> String {
        let interval = self.interval(window);
        let mut tests = Vec::new();
        match event.name.strip_suffix('*') {
            Some("") => {}
            Some(beginning) => tests.push(value::begins("e.name", beginning)),
            None => tests.push(format!("e.name = {}", value::quoted(&event.name))),
        }
        tests.extend(interval.from.map(|from| self.dialect.not_before("e.timestamp", &from)));
        tests.push(self.dialect.before("e.timestamp", &interval.to));
        if !event.filter.as_ref().is_some_and(|filter| filter.mentions("actor")) {
            tests.extend(self.by_people(&event.name));
        }
        if let Some(filter) = &event.filter {
            tests.push(value::filter(filter, "e.properties", self.dialect));
        }
        let tests = tests.join(" AND ");
        let speaks = |of: &str| columns.contains(of) || tests.contains(of);
        let tables = if speaks("z.e") {
            "events e JOIN profiles p ON p.profile_id = e.profile_id JOIN zones z ON z.timezone = p.timezone"
        } else if speaks("p.timezone") {
            "events e JOIN profiles p ON p.profile_id = e.profile_id"
        } else {
            "events e"
        };
        format!("SELECT {columns} FROM {tables} WHERE {tests}")
    }

    /// Opens and clicks by machines do not count.
    fn by_people(&self, name: &str) -> Option<String> {
        let covered = BY_PEOPLE.iter().any(|known| match name.strip_suffix('*') {
            Some(beginning) => known.starts_with(beginning),
            None => *known == name,
        });
        let names: Vec<String> = BY_PEOPLE.iter().map(|name| value::quoted(name)).collect();
        let actor = self.dialect.json("e.properties", "actor");
        let text = self.dialect.text(&actor);
        covered.then(|| {
            format!(
                "(e.name NOT IN ({}) OR {actor} IS NULL OR COALESCE({text} = 'person', FALSE))",
                names.join(", ")
            )
        })
    }

    fn finish(self, columns: &[String]) -> String {
        let mut parts = Vec::new();
        let names: Vec<String> = (0..self.edges.len()).map(|place| format!(", e{place}")).collect();
        let rows: Vec<String> = self
            .zones
            .iter()
            .enumerate()
            .map(|(row, (zone, _))| {
                let edges: Vec<String> =
                    self.edges.iter().map(|edge| format!(", {}", edge[row].micros())).collect();
                format!("({}{})", value::quoted(zone), edges.concat())
            })
            .collect();
        let rows = if rows.is_empty() { vec!["('UTC')".to_owned()] } else { rows };
        parts.push(format!("zones (timezone{}) AS (VALUES {})", names.concat(), rows.join(", ")));
        parts.extend(self.parts.into_iter().map(|(name, query)| format!("{name} AS ({query})")));
        let joins: Vec<String> = self
            .joins
            .iter()
            .map(|name| format!("\nLEFT JOIN {name} ON {name}.profile_id = p.profile_id"))
            .collect();
        format!(
            "WITH {}\nSELECT p.profile_id, {}\nFROM profiles p JOIN zones z ON z.timezone = p.timezone{}",
            parts.join(",\n"),
            columns.join(", "),
            joins.concat()
        )
    }
}

/// Events that machines cause too; those by people count unless a filter speaks of the actor.
const BY_PEOPLE: [&str; 2] = ["Email Opened", "Email Link Clicked"];

/// How far back a span can reach. Units: microseconds.
fn reach(span: Span) -> i64 {
    span.micros_max().saturating_add(62 * model::time::DAY)
}
