//! A condition in plain English, for the console and for explanations.

mod words;

use std::fmt::Write;

use crate::ast::*;
pub(crate) use words::{event_words, last_words, path_words, window_words};
use words::{many_words, test_words, times_words};

/// A sentence that says who meets the condition.
pub fn describe(condition: &Condition) -> String {
    let mut out = String::new();
    say(condition, false, &mut out);
    let mut chars = out.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect::<String>() + ".",
        None => out,
    }
}

/// What an event's properties must be, in plain English.
pub fn describe_filter(filter: &Filter) -> String {
    let group = |part: &Filter| match part {
        Filter::And { .. } | Filter::Or { .. } => format!("({})", describe_filter(part)),
        part => describe_filter(part),
    };
    match filter {
        Filter::And { all } => all.iter().map(group).collect::<Vec<_>>().join(" and "),
        Filter::Or { any } => any.iter().map(group).collect::<Vec<_>>().join(" or "),
        Filter::Not { filter } => format!("it is not so that {}", group(filter)),
        Filter::Property { path, test } => format!("{} {}", path_words(path), test_words(test)),
        Filter::Elements { quantifier, path, filter } => elements_words(*quantifier, path, filter),
    }
}

fn elements_words(quantifier: Quantifier, path: &Path, filter: &Filter) -> String {
    let which = match quantifier {
        Quantifier::Any => "at least one of",
        Quantifier::All => "every one of",
        Quantifier::None => "none of",
    };
    format!("{which} the {} fits ({})", path_words(path), describe_filter(filter))
}

fn say(condition: &Condition, negated: bool, out: &mut String) {
    let list = |parts: &[Condition], word: &str, out: &mut String| {
        for (number, part) in parts.iter().enumerate() {
            if number > 0 {
                let _ = write!(out, ", {word} ");
            }
            let grouped = matches!(part, Condition::And { .. } | Condition::Or { .. });
            if grouped {
                out.push_str(if matches!(part, Condition::Or { .. }) { "either (" } else { "both (" });
            }
            say(part, false, out);
            if grouped {
                out.push(')');
            }
        }
    };
    let is = if negated { "is not" } else { "is" };
    let not = if negated { "it is not so that " } else { "" };
    let did = if negated { "did not do" } else { "did" };
    match condition {
        Condition::And { all } if negated => {
            out.push_str("not all of (");
            list(all, "and", out);
            out.push(')');
        }
        Condition::Or { any } if negated => {
            out.push_str("none of (");
            list(any, "or", out);
            out.push(')');
        }
        Condition::And { all } => list(all, "and", out),
        Condition::Or { any } => list(any, "or", out),
        Condition::Not { condition } => say(condition, !negated, out),
        Condition::Attribute { path, test } => {
            let _ = write!(out, "{not}{} {}", path_words(path), test_words(test));
        }
        Condition::Did { event, window } => {
            let _ = write!(out, "{did} {}{}", event_words(event), window_words(window));
        }
        Condition::Count { event, window, test } => {
            let (event, window) = (event_words(event), window_words(window));
            let _ = write!(out, "{not}{event} happened {} times{window}", many_words(test));
        }
        Condition::Aggregate { function, property, event, window, test } => {
            let name = match function {
                Aggregate::Sum => "total",
                Aggregate::Average => "average",
                Aggregate::Minimum => "lowest",
                Aggregate::Maximum => "highest",
                Aggregate::Distinct => "number of different values of",
                Aggregate::Top => "most frequent",
                Aggregate::First => "first",
                Aggregate::Last => "last",
            };
            let (event, window, test) = (event_words(event), window_words(window), test_words(test));
            let _ = write!(out, "{not}the {name} {} of {event}{window} {test}", path_words(property));
        }
        Condition::Periods { period, event, window, test } => {
            let (event, window, many) = (event_words(event), window_words(window), many_words(test));
            let _ = write!(out, "{not}{event} happened in {many} different {}{window}", period.word());
        }
        Condition::Since { which, event, op, span } => {
            let than = match op {
                Op::Greater => "more than",
                Op::GreaterOrEqual => "at least",
                Op::LessOrEqual => "at most",
                _ => "less than",
            };
            let _ = write!(out, "{not}the {} {} was {than} {span} ago", which.word(), event_words(event));
        }
        Condition::Order { left, comparison, right } => {
            let never = if *comparison == Comparison::After { " (or there was none)" } else { "" };
            let (first, second) = (event_words(&left.event), event_words(&right.event));
            let (left, word, right) = (left.which.word(), comparison.word(), right.which.word());
            let _ = write!(out, "{not}the {left} {first} came {word} the {right} {second}{never}");
        }
        Condition::InSegment { segment } => {
            let _ = write!(out, "{is} in the segment “{segment}”");
        }
        Condition::Passed { passage, segment, window } => {
            let word = match (passage, negated) {
                (Passage::Entered, false) => "entered",
                (Passage::Entered, true) => "did not enter",
                (Passage::Left, false) => "left",
                (Passage::Left, true) => "did not leave",
            };
            let _ = write!(out, "{word} the segment “{segment}”{}", window_words(window));
        }
        Condition::Sequence { first, then, whole, same, window } => {
            let _ = write!(out, "{not}{} happened", event_words(first));
            for step in then {
                let _ = match (step.not, &step.within) {
                    (false, None) => write!(out, ", then {}", event_words(&step.event)),
                    (false, Some(span)) => write!(out, ", then within {span} {}", event_words(&step.event)),
                    (true, None) => write!(out, ", then no {}", event_words(&step.event)),
                    (true, Some(span)) => write!(out, ", then for {span} no {}", event_words(&step.event)),
                };
            }
            if let Some(span) = whole {
                let _ = write!(out, ", all of them within {span}");
            }
            if let Some(path) = same {
                let _ = write!(out, ", all with the same {}", path_words(path));
            }
            if let Some(window) = window {
                let _ = write!(out, ", all of it{}", window_words(&Some(window.clone())));
            }
        }
        Condition::FirstTime { event, window } => {
            let window = window_words(&Some(window.clone()));
            let _ = write!(out, "{did} {} for the first time ever{window}", event_words(event));
        }
        Condition::Stopped { event, quiet, times, before } => {
            let (event, often) = (event_words(event), times_words(*times));
            let _ = write!(
                out,
                "{not}{event} happened {often} or more in {before} and then not at all {}",
                last_words("in the", quiet)
            );
        }
        Condition::Resumed { event, window, pause } => {
            let (event, window) = (event_words(event), window_words(window));
            let _ = write!(out, "{did} {event} again{window} after {pause} or more without it");
        }
        Condition::Regularly { event, times, periods, last } => {
            let (event, often) = (event_words(event), times_words(*times));
            let _ =
                write!(out, "{did} {event} {often} or more in each of at least {periods} of the last {last}");
        }
        Condition::Held { path, test, span } => {
            let _ = write!(out, "{not}for {span} or longer {} {}", path_words(path), test_words(test));
        }
        Condition::Elements { quantifier, path, filter } => {
            let _ = write!(out, "{not}{}", elements_words(*quantifier, path, filter));
        }
        Condition::Consent { says, about, by, window } => {
            let words = match (says, negated) {
                (Says::Consents, false) => "consents to",
                (Says::Consents, true) => "does not consent to",
                (Says::Withdrew, false) => "withdrew consent to",
                (Says::Withdrew, true) => "did not withdraw consent to",
                (Says::Subscribed, false) => "is subscribed to the topic",
                (Says::Subscribed, true) => "is not subscribed to the topic",
                (Says::Unsubscribed, false) => "unsubscribed from the topic",
                (Says::Unsubscribed, true) => "did not unsubscribe from the topic",
            };
            let _ = write!(out, "{words} “{about}”");
            if by.is_some() || window.is_some() {
                let by = by.as_ref().map_or(String::new(), |by| format!(" by “{by}”"));
                let _ = write!(out, ", said{by}{}", window_words(window));
            }
        }
        Condition::Random { from, to, name } => {
            let _ = if *from == 0.0 {
                write!(out, "{is} among the first {to}% of the draw “{name}”")
            } else {
                write!(out, "{is} between {from}% and {to}% of the draw “{name}”")
            };
        }
        Condition::Everyone => out.push_str(if negated { "is nobody" } else { "is anybody" }),
    }
}
