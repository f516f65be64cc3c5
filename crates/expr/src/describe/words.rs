//! The parts of sentences: events, windows, tests and numbers.

use super::describe_filter;
use crate::ast::*;
use crate::calendar::Span;

/// A path as it is read aloud.
pub(crate) fn path_words(path: &Path) -> String {
    path.names().join(" ").replace('_', " ")
}

/// "in the last day", "in the last 30 days".
pub(crate) fn last_words(before: &str, span: &Span) -> String {
    format!("{before} last {}", bare(span))
}

/// A span whose one is not counted.
fn bare(span: &Span) -> String {
    let text = span.to_string();
    if span.amount == 1 { text[2..].to_owned() } else { text }
}

/// How often, before "times" or a plural.
pub(super) fn many_words(test: &Test) -> String {
    let list = |values: &[Literal]| values.iter().map(Literal::to_string).collect::<Vec<_>>().join(" or ");
    match test {
        Test::Compare { op, value } => {
            let words = match op {
                Op::Equal => "exactly",
                Op::NotEqual => "other than",
                Op::Less => "fewer than",
                Op::LessOrEqual => "at most",
                Op::Greater => "more than",
                Op::GreaterOrEqual => "at least",
            };
            format!("{words} {value}")
        }
        Test::Between { low, high } => format!("from {low} to {high}"),
        Test::In { values } => list(values),
        Test::NotIn { values } => format!("other than {}", list(values)),
        Test::Missing => "no number of".to_owned(),
        _ => "any number of".to_owned(),
    }
}

pub(super) fn times_words(times: u32) -> String {
    if times == 1 { "once".to_owned() } else { format!("{times} times") }
}

pub(crate) fn event_words(event: &EventPattern) -> String {
    match &event.filter {
        None => format!("“{}”", event.name),
        Some(filter) => format!("“{}” where {}", event.name, describe_filter(filter)),
    }
}

pub(crate) fn window_words(window: &Option<Window>) -> String {
    match window {
        None => String::new(),
        Some(Window::InLast { span }) => format!(" {}", last_words("in the", span)),
        Some(Window::BeforeLast { span }) => format!(" at least {span} ago"),
        Some(Window::Ago { from, to }) => format!(" between {from} ago and {to} ago"),
        Some(Window::Since { when }) => format!(" since {when}"),
        Some(Window::Before { when }) => format!(" before {when}"),
        Some(Window::Between { from, to }) => format!(" from {from} to {to}"),
        Some(Window::Today) => " today".to_owned(),
    }
}

pub(super) fn literal_words(literal: &Literal) -> String {
    match literal {
        Literal::Text(text) => format!("“{text}”"),
        literal => literal.to_string(),
    }
}

pub(super) fn test_words(test: &Test) -> String {
    let list = |values: &[Literal]| values.iter().map(literal_words).collect::<Vec<_>>().join(", ");
    match test {
        Test::Compare { op, value } => {
            let words = match op {
                Op::Equal => "is",
                Op::NotEqual => "is something other than",
                Op::Less => "is below",
                Op::LessOrEqual => "is at most",
                Op::Greater => "is above",
                Op::GreaterOrEqual => "is at least",
            };
            format!("{words} {}", literal_words(value))
        }
        Test::Between { low, high } => format!("is from {} to {}", literal_words(low), literal_words(high)),
        Test::In { values } => format!("is one of {}", list(values)),
        Test::NotIn { values } => format!("is none of {}", list(values)),
        Test::Missing => "is not known".to_owned(),
        Test::Present => "is known".to_owned(),
        Test::StartsWith { text } => format!("starts with “{text}”"),
        Test::EndsWith { text } => format!("ends with “{text}”"),
        Test::Contains { value } => format!("contains {}", literal_words(value)),
        Test::ContainsAny { values } => format!("contains any of {}", list(values)),
        Test::ContainsAll { values } => format!("contains all of {}", list(values)),
        Test::Matches { pattern } => format!("matches the pattern {}", pattern.source()),
        Test::InLast { span } => format!("lies {}", last_words("in the", span)),
        Test::InNext { span } => format!("lies in the next {}", bare(span)),
        Test::BeforeLast { span } => format!("lies at least {span} back"),
        Test::AfterNext { span } => format!("lies more than {span} ahead"),
        Test::BetweenDates { from, to } => format!("is from {from} to {to}"),
        Test::Length { op, number } => {
            let words = match op {
                Op::Equal => "has exactly",
                Op::NotEqual => "does not have",
                Op::Less => "has fewer than",
                Op::LessOrEqual => "has at most",
                Op::Greater => "has more than",
                Op::GreaterOrEqual => "has at least",
            };
            format!("{words} {number} elements or characters")
        }
        Test::Before { when } => format!("is before {when}"),
        Test::After { when } => format!("is after {when}"),
        Test::On { when } => format!("is on {when}"),
        Test::Today => "is today".to_owned(),
        Test::AnniversaryToday => "has its anniversary today".to_owned(),
        Test::AnniversaryInNext { span } => {
            format!("has its anniversary today or in the next {}", bare(span))
        }
        Test::AnniversaryInLast { span } => format!("had its anniversary {}", last_words("in the", span)),
        Test::InMonth { month } => format!("is in {}", month.word()),
        Test::OnWeekday { weekday } => format!("is on a {}", weekday.word()),
    }
}
