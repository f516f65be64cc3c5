//! What a rule did: its firings over time, and whether those it fired for did afterwards what was hoped for, beside
//! those who came just short of it. A comparison of two groups, not a proof that the rule caused the difference.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use expr::{Aggregate, Condition, Literal, Op, Test};
use model::time::DAY;
use model::{ProfileId, Timestamp, Value, WorkspaceId};
use segment::{EventView, FeatureIds, State};

use crate::Error;
use crate::hot::Facts;
use crate::platform::Platform;
use crate::rules::RuleInForce;

/// Days that a report looks back on.
pub const DAYS_MAX: i64 = 366;
/// How far below a sum or an average still counts as just below. A share of the threshold.
const BELOW: f64 = 0.2;
/// The 97.5th percentile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;
const KEY: &str = "near";

/// A firing of a rule.
#[derive(Clone, Debug)]
pub struct Firing {
    /// The rule.
    pub rule: String,
    /// Its id.
    pub id: String,
    /// For whom.
    pub profile: ProfileId,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub cause: String,
    /// What was done. Shape: a JSON list.
    pub actions: Value,
}

/// How many of a group did what was hoped for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Likely {
    /// Those whose time is over.
    pub people: u64,
    /// Those of them who did it.
    pub did: u64,
    /// Those whose time is not over yet; they are not counted.
    pub open: u64,
}

/// What a rule did.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Firings.
    pub firings: u64,
    /// People it fired for.
    pub people: u64,
    /// The last firing.
    pub last_at: Option<Timestamp>,
    /// Firings by the day of the workspace, oldest first, without gaps.
    pub by_day: Vec<(String, u64)>,
    /// Those it fired for, from their first firing on.
    pub fired: Likely,
    /// Those who came just short of it, from then on.
    pub near: Option<Likely>,
    /// Who they are, or why there are none such.
    pub near_is: String,
    /// The difference of the shares and its 95 % interval: (difference, low, high).
    pub difference: Option<(f64, f64, f64)>,
    /// In plain English.
    pub sentence: String,
}

/// The difference of two shares with its interval of 95 %: Newcombe's hybrid score interval.
///
/// Source: R. G. Newcombe, Interval estimation for the difference between independent proportions, Statistics in
/// Medicine 17 (1998), method 10.
pub fn newcombe(did: u64, of: u64, other_did: u64, other_of: u64) -> Option<(f64, f64, f64)> {
    if of == 0 || other_of == 0 {
        return None;
    }
    let (share, low, high) = wilson(did, of);
    let (other, other_low, other_high) = wilson(other_did, other_of);
    let difference = share - other;
    let below = ((share - low).powi(2) + (other_high - other).powi(2)).sqrt();
    let above = ((high - share).powi(2) + (other - other_low).powi(2)).sqrt();
    Some((difference, difference - below, difference + above))
}

/// A share with Wilson's score interval.
fn wilson(did: u64, of: u64) -> (f64, f64, f64) {
    let (n, p) = (of as f64, did as f64 / of as f64);
    let centre = 2.0 * n * p + Z * Z;
    let spread = Z * (Z * Z + 4.0 * n * p * (1.0 - p)).sqrt();
    let below = 2.0 * (n + Z * Z);
    (p, ((centre - spread) / below).max(0.0), ((centre + spread) / below).min(1.0))
}

/// The condition of those just below a rule's threshold, and who they are; or why there are none such.
fn near(rule: &str) -> Result<(Condition, String), String> {
    let none = || {
        "The rule's condition is not one count or figure with a threshold: nobody is just below it."
            .to_owned()
    };
    let condition = expr::parse(rule).map_err(|_| none())?;
    let with = |test: Test| match &condition {
        Condition::Count { event, window, .. } => {
            Condition::Count { event: event.clone(), window: window.clone(), test }
        }
        Condition::Aggregate { function, property, event, window, .. } => Condition::Aggregate {
            function: *function,
            property: property.clone(),
            event: event.clone(),
            window: window.clone(),
            test,
        },
        other => other.clone(),
    };
    let (whole, test) = match &condition {
        Condition::Count { test, .. } => (true, test),
        Condition::Aggregate { function: Aggregate::Distinct, test, .. } => (true, test),
        Condition::Aggregate { function: Aggregate::First | Aggregate::Last | Aggregate::Top, .. } => {
            return Err(none());
        }
        Condition::Aggregate { test, .. } => (false, test),
        _ => return Err(none()),
    };
    let (op, threshold) = match test {
        Test::Compare { op, value: Literal::Number(number) } => (*op, *number),
        _ => return Err(none()),
    };
    let compare = |op: Op, number: f64| Test::Compare { op, value: Literal::Number(number) };
    if whole {
        let least = match op {
            Op::Greater => threshold.floor(),
            Op::GreaterOrEqual | Op::Equal => threshold.ceil() - 1.0,
            _ => return Err(none()),
        };
        if least < 1.0 {
            return Err("One less than the rule asks for is none at all: nobody is just below it.".to_owned());
        }
        let near = with(compare(Op::Equal, least));
        return Ok((near, format!("Those who reached {least}, one less than the rule asks for.")));
    }
    if !matches!(op, Op::Greater | Op::GreaterOrEqual) || threshold <= 0.0 {
        return Err(none());
    }
    let from = threshold * (1.0 - BELOW);
    let below = if op == Op::Greater { Op::LessOrEqual } else { Op::Less };
    let near = Condition::And {
        all: vec![with(compare(Op::GreaterOrEqual, from)), with(compare(below, threshold))],
    };
    Ok((
        near,
        format!(
            "Those who reached between {from} and {threshold}, up to a fifth less than the rule asks for."
        ),
    ))
}

impl Platform {
    /// Firings of a workspace since an instant, oldest first.
    ///
    /// # Errors
    /// When the lake does not answer.
    pub async fn firings(&self, workspace: WorkspaceId, since: Timestamp) -> Result<Vec<Firing>, Error> {
        self.lake_caught_up().await;
        let lake = self.lake.clone();
        tokio::task::spawn_blocking(move || {
            let mut out = Vec::new();
            lake.scan(workspace.0, &["Rule Fired".to_owned()], i64::MAX, true, &mut |row| {
                if row.timestamp < since {
                    return;
                }
                let properties: Value = serde_json::from_str(row.properties).unwrap_or_default();
                let text = |name: &str| properties[name].as_str().unwrap_or_default().to_owned();
                out.push(Firing {
                    rule: text("rule"),
                    id: text("firing"),
                    profile: ProfileId(row.profile_id),
                    at: row.timestamp,
                    cause: text("cause"),
                    actions: properties["actions"].clone(),
                });
            })?;
            out.sort_by(|left, right| (left.at, &left.id).cmp(&(right.at, &right.id)));
            Ok(out)
        })
        .await
        .map_err(|error| Error::Bug(error.to_string()))?
    }

    /// What a rule did in so many days.
    ///
    /// # Errors
    /// `Missing` when there is no such rule.
    pub async fn rule_report(&self, workspace: WorkspaceId, id: &str, days: i64) -> Result<Report, Error> {
        let registry = self.registry(workspace);
        let rule =
            registry.rules.get(id).ok_or_else(|| Error::Missing(format!("There is no rule '{id}'.")))?;
        let now = self.clock.now();
        let days = days.clamp(1, DAYS_MAX);
        let since = now - days * DAY;
        let mut firings = self.firings(workspace, since).await?;
        firings.retain(|firing| firing.rule == id);
        let mut report = Report {
            firings: firings.len() as u64,
            last_at: firings.last().map(|firing| firing.at),
            ..Report::default()
        };
        let date = |at: Timestamp| at.to_jiff().to_zoned_datetime(registry.zone.clone()).date().to_string();
        let mut counts: BTreeMap<String, u64> = (0..days).map(|ago| (date(now - ago * DAY), 0)).collect();
        let mut first: HashMap<i64, Timestamp> = HashMap::new();
        for firing in &firings {
            *counts.entry(date(firing.at)).or_default() += 1;
            first.entry(firing.profile.0).or_insert(firing.at);
        }
        report.people = first.len() as u64;
        report.by_day = counts.into_iter().collect();
        let goal = self.instants(workspace, &rule.rule.goal.event).await?;
        let window = rule.rule.goal.days * DAY;
        report.fired = likely(&first, &goal, window, now);
        match near(&rule.rule.condition) {
            Err(why) => report.near_is = why,
            Ok((condition, who)) => {
                // The same time for both: from the first firing of the period on.
                let from = firings.first().map_or(now, |firing| firing.at).max(since);
                let reached = self.reached(workspace, &condition, from).await?;
                report.near = Some(likely(&reached, &goal, window, now));
                report.near_is = who;
            }
        }
        let (fired, near) = (report.fired, report.near.unwrap_or_default());
        report.difference = newcombe(fired.did, fired.people, near.did, near.people);
        report.sentence = sentence(rule, &report);
        Ok(report)
    }

    async fn instants(
        &self,
        workspace: WorkspaceId,
        event: &str,
    ) -> Result<HashMap<i64, Vec<Timestamp>>, Error> {
        let (lake, names) = (self.lake.clone(), vec![event.to_owned()]);
        tokio::task::spawn_blocking(move || {
            let mut out: HashMap<i64, Vec<Timestamp>> = HashMap::new();
            lake.scan(workspace.0, &names, i64::MAX, false, &mut |row| {
                out.entry(row.profile_id).or_default().push(row.timestamp);
            })?;
            for all in out.values_mut() {
                all.sort_unstable();
            }
            Ok(out)
        })
        .await
        .map_err(|error| Error::Bug(error.to_string()))?
    }

    /// When each profile came to fulfil a condition by an event for the first time since an instant.
    async fn reached(
        &self,
        workspace: WorkspaceId,
        condition: &Condition,
        since: Timestamp,
    ) -> Result<HashMap<i64, Timestamp>, Error> {
        let definition = segment::Definition {
            key: KEY.to_owned(),
            name: KEY.to_owned(),
            condition: condition.clone(),
            watched: true,
        };
        let invalid =
            |error: segment::Error| Error::invalid("invalid_condition", "/where", error.to_string());
        let engine = segment::Engine::build(&[definition], &mut FeatureIds::default()).map_err(invalid)?;
        let names: BTreeSet<String> =
            engine.features().into_iter().flat_map(|feature| feature.events).collect();
        let (lake, names) = (self.lake.clone(), names.into_iter().collect::<Vec<_>>());
        let zone = self.registry(workspace).zone.clone();
        tokio::task::spawn_blocking(move || {
            let mut events: HashMap<i64, Vec<(Timestamp, String, String)>> = HashMap::new();
            lake.scan(workspace.0, &names, i64::MAX, true, &mut |row| {
                let event = (row.timestamp, row.name.to_owned(), row.properties.to_owned());
                events.entry(row.profile_id).or_default().push(event);
            })?;
            let nobody = profile::Profile::default();
            let facts = Facts { profile: &nobody, zone: &zone };
            let mut out = HashMap::new();
            for (profile, mut all) in events {
                all.sort();
                let mut state = State::default();
                for (at, name, properties) in all {
                    engine.apply(&mut state, &EventView::new(&name, at, &properties), &facts, at);
                    let entered = engine.settle(&mut state, &facts, at).iter().any(|change| change.entered);
                    if entered && at >= since {
                        out.insert(profile, at);
                        break;
                    }
                }
            }
            Ok(out)
        })
        .await
        .map_err(|error| Error::Bug(error.to_string()))?
    }
}

fn likely(
    from: &HashMap<i64, Timestamp>,
    goal: &HashMap<i64, Vec<Timestamp>>,
    window: i64,
    now: Timestamp,
) -> Likely {
    let mut out = Likely::default();
    for (profile, at) in from {
        if *at + window > now {
            out.open += 1;
            continue;
        }
        out.people += 1;
        let instants = goal.get(profile).map(Vec::as_slice).unwrap_or_default();
        let next = instants.partition_point(|there| there <= at);
        out.did += u64::from(instants.get(next).is_some_and(|there| *there <= *at + window));
    }
    out
}

fn sentence(rule: &RuleInForce, report: &Report) -> String {
    let goal = &rule.rule.goal;
    let fired = report.fired;
    if fired.people == 0 {
        return match fired.open {
            0 => "It fired for nobody in this time: there is nothing to compare.".to_owned(),
            many => format!(
                "The {} days after the firing are not over for any of the {many} it fired for: there is nothing to \
                 compare yet.",
                goal.days
            ),
        };
    }
    let mut out = format!(
        "Within {} days of the firing, {} of {} did \u{201c}{}\u{201d}",
        goal.days, fired.did, fired.people, goal.event
    );
    match (report.near, report.difference) {
        (Some(near), Some((difference, low, high))) => {
            out += &format!(
                "; of those just below the threshold, {} of {} did. The difference is {:.1} points, between {:.1} and \
                 {:.1} with 95 % confidence. It compares two groups that differ in more than the rule: it does not show \
                 what the rule caused.",
                near.did,
                near.people,
                100.0 * difference,
                100.0 * low,
                100.0 * high
            );
        }
        (Some(near), None) if near.open > 0 => {
            out +=
                ". The days of those just below the threshold are not over yet: there is nothing to compare.";
        }
        _ => out += ". There is nobody to compare them with.",
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_that_of_the_paper() {
        // Newcombe 1998, table II, method 10.
        for (a, m, b, n, low, high) in
            [(56, 70, 48, 80, 0.0524, 0.3339), (9, 10, 3, 10, 0.1705, 0.8090), (10, 10, 0, 20, 0.6791, 1.0)]
        {
            let (_, found_low, found_high) = newcombe(a, m, b, n).unwrap();
            assert!(
                (found_low - low).abs() < 6e-5 && (found_high - high).abs() < 6e-5,
                "{found_low} {found_high}"
            );
        }
        assert_eq!(newcombe(1, 1, 0, 0), None);
    }

    #[test]
    fn those_just_below_are_one_short_of_a_count_and_a_fifth_short_of_a_sum() {
        let text = |rule: &str| near(rule).map(|(condition, _)| condition.to_string());
        assert_eq!(
            text("count \"Order Completed\" in last 60 days > 3").unwrap(),
            "count \"Order Completed\" in last 60 days = 3"
        );
        assert_eq!(text("count \"Order Completed\" >= 2").unwrap(), "count \"Order Completed\" = 1");
        assert!(text("sum(revenue) of \"Order Completed\" >= 500").unwrap().contains("400"));
        for rule in ["count \"Order Completed\" >= 1", "country = \"BD\"", "count \"A\" < 3", "did \"A\""] {
            assert!(text(rule).is_err(), "{rule}");
        }
    }
}
