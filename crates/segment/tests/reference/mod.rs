//! A slow evaluator that scans all events for every question: what the engine must agree with.

pub mod draw;

use std::collections::BTreeMap;

use expr::{
    Aggregate, Attributes, Comparison, Condition, Consented, EventPattern, Op, Passage, Quantifier, Says,
    Span, Test, Which, Window, bucket, day_of,
};
use model::{Map, Timestamp, Value};
use segment::Definition;

/// A profile whose attributes and zone are fixed.
#[derive(Clone)]
pub struct Person(pub Map, pub jiff::tz::TimeZone);

impl Attributes for Person {
    fn get(&self, path: &str) -> Option<std::borrow::Cow<'_, Value>> {
        Attributes::get(&self.0, path)
    }
    fn zone(&self) -> jiff::tz::TimeZone {
        self.1.clone()
    }
    fn consents(&self, purpose: &str) -> bool {
        purpose == "email_marketing"
    }
    fn seed(&self) -> Option<std::borrow::Cow<'_, str>> {
        Some("seventh".into())
    }
    fn consent(&self, about: &str) -> Option<Consented> {
        let at = Timestamp::parse("2026-02-10T09:30:00Z");
        let by = Some("form".to_owned());
        (about != "nothing").then_some(Consented { given: about == "email_marketing", at, by })
    }
}

#[derive(Clone, Debug)]
pub struct Happened {
    pub name: &'static str,
    pub at: Timestamp,
    pub arrives: Timestamp,
    pub properties: Value,
}

pub fn start() -> Timestamp {
    Timestamp::parse("2026-01-20T10:00:00Z").unwrap()
}

fn inside(window: &Option<Window>, at: Timestamp, now: Timestamp, zone: &jiff::tz::TimeZone) -> bool {
    at <= now
        && match window {
            None => true,
            Some(Window::InLast { span }) => now < span.after(at, zone),
            Some(Window::BeforeLast { span }) => span.after(at, zone) <= now,
            Some(Window::Ago { from, to }) => to.after(at, zone) <= now && now < from.after(at, zone),
            Some(Window::Since { when }) => at >= when.start(zone),
            Some(Window::Before { when }) => at < when.start(zone),
            Some(Window::Between { from, to }) => at >= from.start(zone) && at < to.end(zone),
            Some(Window::Today) => day_of(at, zone) == day_of(now, zone),
        }
}

/// Scans all events for every leaf; shares with the engine only the tests of single values and the calendar.
pub fn reference(
    condition: &Condition,
    events: &[Happened],
    person: &Person,
    now: Timestamp,
    segments: &[Definition],
) -> bool {
    let zone = person.zone();
    let matching = |event: &EventPattern, window: &Option<Window>| {
        let mut found: Vec<&Happened> = events
            .iter()
            .filter(|each| match event.name.strip_suffix('*') {
                Some(beginning) => each.name.starts_with(beginning),
                None => each.name == event.name,
            })
            .filter(|each| inside(window, each.at, now, &zone))
            .filter(|each| {
                let person = each.properties.get("actor").is_none_or(|actor| actor == "person");
                person
                    || each.name != "Email Opened"
                    || event.filter.as_ref().is_some_and(|filter| filter.mentions("actor"))
            })
            .filter(|each| event.filter.as_ref().is_none_or(|filter| filter.matches(&each.properties)))
            .collect();
        found.sort_by_key(|each| each.at);
        found
    };
    let tested = |test: &Test, value: Option<Value>| expr::test_value(test, value.as_ref(), now, &zone).holds;
    let occasion = |which: Which, event: &EventPattern| {
        let found = matching(event, &None);
        if which == Which::First {
            found.first().map(|each| each.at)
        } else {
            found.last().map(|each| each.at)
        }
    };
    match condition {
        Condition::And { all } => all.iter().all(|part| reference(part, events, person, now, segments)),
        Condition::Or { any } => any.iter().any(|part| reference(part, events, person, now, segments)),
        Condition::Not { condition } => !reference(condition, events, person, now, segments),
        Condition::Attribute { path, test } if path.dotted() == segment::score::NAME => {
            let mut points = 0.0;
            for (name, weight) in segment::score::WEIGHTS {
                let event = EventPattern { name: name.to_owned(), filter: None };
                for each in matching(&event, &None) {
                    points += segment::score::decayed(weight, now - each.at);
                }
            }
            tested(test, Some(segment::score::scaled(points).into()))
        }
        Condition::Attribute { path, test } => {
            tested(test, person.get(&path.dotted()).map(|value| value.into_owned()))
        }
        Condition::Did { event, window } => !matching(event, window).is_empty(),
        Condition::Count { event, window, test } => tested(test, Some(matching(event, window).len().into())),
        Condition::Aggregate { function, property, event, window, test } => {
            let numeric = matches!(
                function,
                Aggregate::Sum | Aggregate::Average | Aggregate::Minimum | Aggregate::Maximum
            );
            let mut found: Vec<(Timestamp, Value)> = matching(event, window)
                .into_iter()
                .filter_map(|each| Some((each.at, expr::lookup(&each.properties, property)?.clone())))
                .filter(|(_, value)| {
                    value.is_number() || !numeric && (value.is_string() || value.is_boolean())
                })
                .collect();
            let rank = |value: &Value| (value.is_string(), !value.is_boolean(), value.to_string());
            found.sort_by_key(|(at, value)| (*at, rank(value)));
            let numbers: Vec<f64> = found.iter().filter_map(|(_, value)| value.as_f64()).collect();
            let sum = numbers.iter().map(|number| (number * 1e6).round() as i128).sum::<i128>() as f64 / 1e6;
            let mut tally: BTreeMap<(bool, bool, String), (u64, Value)> = BTreeMap::new();
            for (_, value) in &found {
                tally.entry(rank(value)).or_insert((0, value.clone())).0 += 1;
            }
            let most = tally.values().map(|(many, _)| *many).max();
            let value = match function {
                Aggregate::Sum => Some(sum.into()),
                Aggregate::Average => (!numbers.is_empty()).then(|| (sum / numbers.len() as f64).into()),
                Aggregate::Minimum => numbers.iter().copied().reduce(f64::min).map(Value::from),
                Aggregate::Maximum => numbers.iter().copied().reduce(f64::max).map(Value::from),
                Aggregate::Distinct => Some(tally.len().into()),
                Aggregate::Top => {
                    tally.into_values().find(|(many, _)| Some(*many) == most).map(|(_, value)| value)
                }
                Aggregate::First => found.first().map(|(_, value)| value.clone()),
                Aggregate::Last => found.last().map(|(_, value)| value.clone()),
            };
            tested(test, value)
        }
        Condition::Periods { period, event, window, test } => {
            let mut periods: Vec<i64> =
                matching(event, window).iter().map(|each| bucket(*period, each.at, &zone)).collect();
            periods.sort_unstable();
            periods.dedup();
            tested(test, Some(periods.len().into()))
        }
        Condition::Since { which, event, op, span } => occasion(*which, event).is_some_and(|at| {
            let turn = span.after(at, &zone);
            match op {
                Op::Greater => now > turn,
                Op::GreaterOrEqual => now >= turn,
                Op::Less => now < turn,
                _ => now <= turn,
            }
        }),
        Condition::Order { left, comparison, right } => {
            match (occasion(left.which, &left.event), occasion(right.which, &right.event), comparison) {
                (Some(left), Some(right), Comparison::After) => left > right,
                (Some(left), Some(right), Comparison::Before) => left < right,
                (Some(_), None, Comparison::After) => true,
                _ => false,
            }
        }
        Condition::InSegment { segment } => {
            let named = segments.iter().find(|each| each.key == *segment || each.name == *segment).unwrap();
            reference(&named.condition, events, person, now, segments)
        }
        Condition::Passed { passage, segment, window } => {
            let named = segments.iter().find(|each| each.key == *segment || each.name == *segment).unwrap();
            let name = if *passage == Passage::Entered { "Segment Entered" } else { "Segment Exited" };
            events.iter().any(|each| {
                each.name == name
                    && each.properties["segment"] == *named.key
                    && inside(window, each.at, now, &zone)
            })
        }
        Condition::Sequence { first, then, whole, same, window } => {
            let begins = matching(first, window);
            begins.iter().any(|begin| {
                let key = same.as_ref().map(|path| (path, scalar(begin, path)));
                if matches!(key, Some((_, None))) {
                    return false;
                }
                let of_key =
                    |each: &&Happened| key.as_ref().is_none_or(|(path, key)| scalar(each, path) == *key);
                let instants = |event: &EventPattern, window: &Option<Window>| {
                    matching(event, window)
                        .into_iter()
                        .filter(|e| of_key(e))
                        .map(|e| e.at)
                        .collect::<Vec<_>>()
                };
                let steps: Vec<Step> = then
                    .iter()
                    .map(|step| Step {
                        not: step.not,
                        at: instants(&step.event, if step.not { &None } else { window }),
                        within: step.within,
                    })
                    .collect();
                let end = whole.map_or(Timestamp::MAX, |span| span.after(begin.at, &zone));
                follows(&steps, begin.at, begin.at + 1, &[], end, now, &zone)
            })
        }
        Condition::FirstTime { event, window } => matching(event, &None)
            .first()
            .is_some_and(|first| inside(&Some(window.clone()), first.at, now, &zone)),
        Condition::Stopped { event, quiet, times, before } => {
            let all = matching(event, &None);
            let old = |each: &&&Happened| quiet.after(each.at, &zone) <= now;
            all.iter().all(|each| old(&each))
                && all.iter().filter(|e| now < before.after(quiet.after(e.at, &zone), &zone)).count()
                    >= *times as usize
        }
        Condition::Resumed { event, window, pause } => {
            let all = matching(event, &None);
            all.iter().any(|each| {
                let former = all.iter().filter(|other| other.at < each.at).map(|other| other.at).max();
                inside(window, each.at, now, &zone)
                    && former.is_some_and(|former| pause.after(former, &zone) <= each.at)
            })
        }
        Condition::Regularly { event, times, periods, last } => {
            let all = matching(event, &None);
            let back = |number: u32, at: Timestamp| {
                if number == 0 { at } else { Span { amount: number, ..*last }.after(at, &zone) }
            };
            let full = |number: &u32| {
                let inside =
                    |each: &&&Happened| back(*number, each.at) <= now && now < back(number + 1, each.at);
                all.iter().filter(inside).count() >= *times as usize
            };
            (0..last.amount).filter(full).count() >= *periods as usize
        }
        Condition::Held { path, test, span } => {
            let stated = matching(&EventPattern { name: "identify".to_owned(), filter: None }, &None);
            let name = path.dotted();
            let mut said: Vec<(Timestamp, bool)> = stated
                .iter()
                .filter_map(|each| {
                    Some((each.at, tested(test, Some(each.properties.get(name.as_ref())?.clone()))))
                })
                .collect();
            said.sort_by_key(|(at, passes)| (*at, !passes));
            let now_passes = tested(test, person.get(&name).map(|value| value.into_owned()));
            let run = said.iter().rev().take_while(|(_, passes)| *passes).map(|(at, _)| *at);
            // At one instant a failing value outweighs a passing one.
            let failed = said.iter().filter(|(_, passes)| !passes).map(|(at, _)| *at).max();
            let since = run.filter(|at| failed.is_none_or(|failed| *at > failed)).min();
            now_passes && since.is_some_and(|since| span.after(since, &zone) <= now)
        }
        Condition::Elements { quantifier, path, filter } => {
            let value = person.get(&path.dotted()).map(|value| value.into_owned());
            let Some(Value::Array(list)) = value else { return false };
            let many = list.iter().filter(|each| filter.matches(each)).count();
            match quantifier {
                Quantifier::Any => many > 0,
                Quantifier::All => many > 0 && many == list.len(),
                Quantifier::None => many == 0,
            }
        }
        Condition::Consent { says, about, by, window } => {
            let yes = matches!(says, Says::Consents | Says::Subscribed);
            match (says, by, window) {
                (Says::Consents, None, None) => person.consents(about),
                (Says::Subscribed, None, None) => person.subscribed(about),
                _ => person.consent(about).is_some_and(|said| {
                    said.given == yes
                        && by.as_ref().is_none_or(|by| said.by.as_ref() == Some(by))
                        && (window.is_none() || said.at.is_some_and(|at| inside(window, at, now, &zone)))
                }),
            }
        }
        Condition::Random { from, to, name } => {
            let place = expr::draw(name, &person.seed().unwrap());
            *from <= place && place < *to
        }
        Condition::Everyone => true,
    }
}

fn scalar(event: &Happened, path: &expr::Path) -> Option<Value> {
    let value = expr::lookup(&event.properties, path)?;
    (value.is_number() || value.is_string() || value.is_boolean()).then(|| value.clone())
}

/// A later step of a sequence with the instants of its events.
struct Step {
    not: bool,
    at: Vec<Timestamp>,
    within: Option<Span>,
}

/// Tries every way to go on from a step.
fn follows(
    steps: &[Step],
    base: Timestamp,
    from: Timestamp,
    forbidden: &[&Step],
    whole_end: Timestamp,
    now: Timestamp,
    zone: &jiff::tz::TimeZone,
) -> bool {
    let quiet =
        |until: Timestamp| forbidden.iter().all(|step| !step.at.iter().any(|at| *at >= from && *at < until));
    let Some((step, rest)) = steps.split_first() else { return quiet(now + 1) };
    match (step.not, step.within) {
        (true, None) => {
            let forbidden: Vec<&Step> = forbidden.iter().copied().chain([step]).collect();
            follows(rest, base, from, &forbidden, whole_end, now, zone)
        }
        (true, Some(span)) => {
            let end = span.after(base, zone);
            let empty = !step.at.iter().any(|at| *at >= from && *at < end);
            end <= now && empty && quiet(end) && follows(rest, end, end, &[], whole_end, now, zone)
        }
        (false, within) => step.at.iter().any(|at| {
            *at >= from
                && *at < whole_end
                && within.is_none_or(|span| *at < span.after(base, zone))
                && quiet(*at)
                && follows(rest, *at, *at + 1, &[], whole_end, now, zone)
        }),
    }
}
