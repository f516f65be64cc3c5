//! Sequences: each step a table of the places that chains have reached.

use crate::Span;
use crate::ast::{EventPattern, Path, Then, Window};
use crate::sql::{SqlError, Statement};

impl Statement<'_> {
    /// Rows of a table of reached places: spans count from `base`, the next event is at `since` or later, the chain
    /// began at `origin`. Of chains that reach one event the one that began latest serves best.
    pub(super) fn sequence(
        &mut self,
        first: &EventPattern,
        then: &[Then],
        whole: Option<Span>,
        same: Option<&Path>,
        window: &Option<Window>,
    ) -> Result<String, SqlError> {
        let begin = self.step(first, same, window)?;
        let mut reached = self.part(format!(
            "SELECT DISTINCT profile_id, timezone, k, at AS base, at + 1 AS since, at AS origin FROM {begin}"
        ))?;
        let mut forbidden: Vec<String> = Vec::new();
        for step in then {
            let events = self.step(&step.event, same, if step.not { &None } else { window })?;
            reached = match (step.not, step.within) {
                (true, None) => {
                    forbidden.push(events);
                    continue;
                }
                (true, Some(span)) => {
                    let end = self.dialect.after("base", span, "timezone");
                    forbidden.push(events);
                    let quiet = quiet(&forbidden, "r.since", "r.ends");
                    forbidden.clear();
                    self.part(format!(
                        "SELECT DISTINCT r.profile_id AS profile_id, r.timezone AS timezone, r.k AS k, r.ends AS base, \
                         r.ends AS since, r.origin AS origin FROM (SELECT *, {end} AS ends FROM {reached}) r \
                         WHERE r.ends <= {}{quiet}",
                        self.now.micros()
                    ))?
                }
                (false, within) => {
                    let mut tests = String::new();
                    if let Some(span) = within {
                        tests += &format!(" AND s.at < {}", self.dialect.after("r.base", span, "r.timezone"));
                    }
                    if let Some(span) = whole {
                        tests +=
                            &format!(" AND s.at < {}", self.dialect.after("r.origin", span, "r.timezone"));
                    }
                    let quiet = quiet(&forbidden, "r.since", "r.at");
                    forbidden.clear();
                    self.part(format!(
                        "SELECT r.profile_id AS profile_id, r.timezone AS timezone, r.k AS k, r.at AS base, \
                         r.at + 1 AS since, MAX(r.origin) AS origin FROM (SELECT r.profile_id AS profile_id, \
                         r.timezone AS timezone, r.k AS k, r.since AS since, r.origin AS origin, s.at AS at \
                         FROM {reached} r JOIN {events} s ON s.profile_id = r.profile_id AND s.k = r.k \
                         WHERE s.at >= r.since{tests}) r WHERE TRUE{quiet} \
                         GROUP BY r.profile_id, r.timezone, r.k, r.at"
                    ))?
                }
            };
        }
        let quiet = quiet(&forbidden, "r.since", &self.now.micros().saturating_add(1).to_string());
        let part = self.joined(format!(
            "SELECT DISTINCT r.profile_id AS profile_id FROM {reached} r WHERE TRUE{quiet}"
        ))?;
        Ok(format!("({part}.profile_id IS NOT NULL)"))
    }

    /// The instants of a step's events, with the value that all steps share.
    fn step(
        &mut self,
        event: &EventPattern,
        same: Option<&Path>,
        window: &Option<Window>,
    ) -> Result<String, SqlError> {
        let at = self.dialect.micros("e.timestamp");
        let key = same.map_or("''".to_owned(), |path| {
            let json = self.dialect.json("e.properties", &path.to_string());
            self.dialect.scalar(&json, true)
        });
        let columns =
            format!("DISTINCT e.profile_id AS profile_id, p.timezone AS timezone, {at} AS at, {key} AS k");
        let rows = self.events(&columns, event, window);
        self.part(format!("SELECT * FROM ({rows}) r WHERE k IS NOT NULL"))
    }
}

/// No event of these tables lies in [from, until).
fn quiet(forbidden: &[String], from: &str, until: &str) -> String {
    let each = forbidden.iter().map(|events| {
        format!(
            " AND NOT EXISTS (SELECT 1 FROM {events} n WHERE n.profile_id = r.profile_id AND n.k = r.k AND \
             n.at >= {from} AND n.at < {until})"
        )
    });
    each.collect()
}
