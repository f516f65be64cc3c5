//! Traits: named figures of a profile, computed from features at the very instant they are asked for.

use expr::{Attributes, Condition, Figure, Literal, Test, Which, bucket, test_value};
use jiff::tz::TimeZone;
use model::time::DAY;
use model::{Timestamp, Value};

use crate::engine::Engine;
use crate::evaluate::{EMPTY, Found, answer, count, figure_of};
use crate::feature::{Feature, Keep, Listener};
use crate::score;
use crate::state::{Entry, Series, State};
use crate::view::{View, earlier};

/// A named figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Trait {
    /// What conditions and templates call it.
    pub name: String,
    /// What its value is.
    pub figure: Figure,
}

/// A trait's value for one profile at an instant.
#[derive(Clone, Debug, PartialEq)]
pub struct TraitValue {
    /// The trait.
    pub name: String,
    /// Its value; `None` when it is missing.
    pub value: Option<Value>,
    /// The next instant at which it can change without an event; `None` when there is none, and for scores, which
    /// fall all the time.
    pub changes_at: Option<Timestamp>,
}

/// The half-life of a score. Units: microseconds.
fn half_life(figure: &Figure) -> i64 {
    match figure {
        Figure::Score { half_life, .. } => half_life.micros_max().max(1),
        _ => score::HALF_LIFE,
    }
}

impl Engine {
    pub(crate) fn trait_of(&self, name: &str) -> Option<&(Trait, u32)> {
        self.traits.iter().find(|(each, _)| each.name == name)
    }

    pub(crate) fn has_trait(&self, name: &str) -> bool {
        self.trait_of(name).is_some()
    }

    /// The traits in force.
    pub fn traits(&self) -> impl Iterator<Item = &Trait> {
        self.traits.iter().map(|(each, _)| each)
    }

    /// The value of every trait now, in the order of their definitions; numbers to two decimals.
    pub fn trait_values(
        &self,
        state: &State,
        attributes: &dyn Attributes,
        now: Timestamp,
    ) -> Vec<TraitValue> {
        let zone = attributes.zone();
        let value = |(each, feature): &(Trait, u32)| {
            let series = state.features.get(feature).unwrap_or(EMPTY);
            TraitValue { name: each.name.clone(), ..shown(&each.figure, series, &zone, now) }
        };
        self.traits.iter().map(value).collect()
    }
}

impl Feature {
    /// The feature that a figure is computed from.
    pub(crate) fn of_figure(figure: &Figure) -> Feature {
        let none = || Condition::Everyone;
        let leaf = match figure {
            Figure::Count { event, window: None } => return Feature::new(event, None, Keep::Total, None),
            Figure::Count { event, window } => return Feature::new(event, window.clone(), Keep::All, None),
            Figure::Score { terms, .. } => return Feature::scored(figure, terms),
            Figure::DaysSince { which, event } | Figure::TimeOf { which, event } => {
                let keep = if *which == Which::Last { Keep::Latest(1) } else { Keep::Earliest(1) };
                return Feature::new(event, None, keep, None);
            }
            other => other.conditions().into_iter().next().unwrap_or_else(none),
        };
        let first = Feature::of(&leaf).and_then(|features| features.into_iter().next());
        first.unwrap_or_else(|| Feature::scored(figure, &[]))
    }

    fn scored(figure: &Figure, terms: &[expr::Term]) -> Feature {
        let listener = |term: &expr::Term| Listener {
            name: term.event.name.clone(),
            filter: term.event.filter.clone(),
            people_only: !term.event.filter.as_ref().is_some_and(|filter| filter.mentions("actor")),
            weight: term.weight,
        };
        // The scale is no part of what is kept.
        let kept = match figure {
            Figure::Score { terms, half_life, .. } => {
                Figure::Score { terms: terms.clone(), half_life: *half_life, fifty: None }
            }
            other => other.clone(),
        };
        Feature {
            id: 0,
            text: kept.to_string(),
            listeners: terms.iter().map(listener).collect(),
            property: None,
            keep: Keep::Score(half_life(figure)),
            window: None,
            beyond: None,
            test: None,
            mark: None,
        }
    }
}

/// A figure's value now, the next instant at which it can change, and the events behind it.
fn value_of<'a>(
    figure: &Figure,
    series: &'a Series,
    zone: &TimeZone,
    now: Timestamp,
) -> (Option<Value>, Option<Timestamp>, &'a [Entry]) {
    match figure {
        Figure::Count { window, .. } => {
            let view = View::of(series, window, zone, now);
            let folded = series.folded.as_ref().map_or(0, |folded| folded.count);
            (Some((folded + view.inside.len() as u64).into()), view.changes_at(0), view.inside)
        }
        Figure::Aggregate { function, window, .. } => {
            let view = View::of(series, window, zone, now);
            (figure_of(*function, &view), view.changes_at(0), view.inside)
        }
        Figure::Periods { period, window, .. } => {
            let view = View::of(series, window, zone, now);
            let mut numbers: Vec<_> = view
                .inside
                .iter()
                .map(|entry| bucket(*period, Timestamp::from_micros(entry.at), zone))
                .collect();
            numbers.dedup();
            (Some((numbers.len() as u64).into()), view.changes_at(0), view.inside)
        }
        Figure::DaysSince { which, .. } => {
            let view = View::of(series, &None, zone, now);
            let Some(entry) = view.occasion(*which) else { return (None, view.changes_at(0), &[]) };
            let days = (now.micros() - entry[0].at).div_euclid(DAY);
            let next = Timestamp::from_micros(entry[0].at) + (days + 1) * DAY;
            (Some(days.into()), earlier(Some(next), view.changes_at(0)), entry)
        }
        Figure::TimeOf { which, .. } => {
            let view = View::of(series, &None, zone, now);
            let Some(entry) = view.occasion(*which) else { return (None, view.changes_at(0), &[]) };
            let at = Timestamp::from_micros(entry[0].at).to_string();
            (Some(at.into()), view.changes_at(0), entry)
        }
        Figure::Score { fifty, .. } => {
            let points = points(series, half_life(figure), now);
            let score = fifty.map_or(points, |fifty| score::scaled_by(points, fifty));
            let ahead =
                series.entries.iter().map(|entry| Timestamp::from_micros(entry.at)).find(|at| *at > now);
            (Some(score.into()), ahead, &[])
        }
    }
}

/// A trait's value as people see it: scores and averages without the noise of their last digits.
pub(crate) fn shown(figure: &Figure, series: &Series, zone: &TimeZone, now: Timestamp) -> TraitValue {
    let (value, changes_at, _) = value_of(figure, series, zone, now);
    let changes_at = if matches!(figure, Figure::Score { .. }) { None } else { changes_at };
    TraitValue { name: String::new(), value: value.map(rounded), changes_at }
}

fn rounded(value: Value) -> Value {
    match value.as_f64() {
        Some(number) if value.is_f64() => {
            let rounded = (number * 100.0).round() / 100.0;
            if rounded.fract() == 0.0 && rounded.abs() < 9e15 {
                (rounded as i64).into()
            } else {
                rounded.into()
            }
        }
        _ => value,
    }
}

/// Tests a trait. The answer changes at the latest when it is said to.
pub(crate) fn tested<'a>(
    figure: &Figure,
    series: &'a Series,
    test: &Test,
    zone: &TimeZone,
    now: Timestamp,
) -> Found<'a> {
    if let (Figure::Count { window, .. }, false) = (figure, matches!(test, Test::Missing | Test::Present)) {
        return count(series, window, test, zone, now);
    }
    let (value, next, events) = value_of(figure, series, zone, now);
    let leaf = test_value(test, value.as_ref(), now, zone);
    let ahead = || series.entries.iter().map(|entry| Timestamp::from_micros(entry.at)).find(|at| *at > now);
    let changes_at = match figure {
        Figure::DaysSince { .. } => {
            earlier(events.first().and_then(|entry| turn(test, entry.at, now)), ahead())
        }
        Figure::Score { fifty, .. } => {
            let points = points(series, half_life(figure), now);
            let fall = thresholds(test)
                .into_iter()
                .filter_map(|limit| score::falls_to(points, now, limit, *fifty, half_life(figure)));
            // A crossing just reached is asked again a moment later, for the rounding of the exponential.
            earlier(fall.min().map(|at| at.max(now + 1_000)), ahead())
        }
        _ => earlier(leaf.changes_at, next),
    };
    answer((leaf.holds, changes_at), value.map(rounded), events)
}

/// The numbers that a test compares with.
fn thresholds(test: &Test) -> Vec<f64> {
    let literals: Vec<&Literal> = match test {
        Test::Compare { value, .. } => vec![value],
        Test::Between { low, high } => vec![low, high],
        Test::In { values } | Test::NotIn { values } => values.iter().collect(),
        _ => Vec::new(),
    };
    literals
        .into_iter()
        .filter_map(|each| if let Literal::Number(n) = each { Some(*n) } else { None })
        .collect()
}

/// When the days since an event reach the next number at which the answer of a test can turn.
fn turn(test: &Test, at: i64, now: Timestamp) -> Option<Timestamp> {
    let days = (now.micros() - at).div_euclid(DAY);
    let reached = thresholds(test).into_iter().flat_map(|limit| [limit.ceil(), limit.floor() + 1.0]);
    let next = reached.filter(|limit| *limit > days as f64 && *limit < 1e6).min_by(f64::total_cmp)?;
    Some(Timestamp::from_micros(at) + next as i64 * DAY)
}

/// The decayed points of a score's series now.
fn points(series: &Series, half_life: i64, now: Timestamp) -> f64 {
    let decayed = |points: f64, at: i64| score::decayed_by(points, now.micros() - at, half_life);
    let folded = series.folded.as_ref().filter(|folded| folded.points > 0.0);
    let old = folded.map_or(0.0, |folded| decayed(folded.points, folded.points_at));
    let passed = series.entries.iter().take_while(|entry| entry.at <= now.micros());
    passed.fold(old, |sum, entry| sum + decayed(entry.value.number(), entry.at))
}
