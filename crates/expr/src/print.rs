//! From tree to text: one canonical spelling per tree, which parses to the same tree.

use std::fmt::{self, Display, Formatter, Write};

use crate::ast::*;
use crate::parse::RESERVED;

impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Condition::And { all } => {
                join(f, all, " and ", |part| matches!(part, Condition::And { .. } | Condition::Or { .. }))
            }
            Condition::Or { any } => join(f, any, " or ", |part| matches!(part, Condition::Or { .. })),
            Condition::Not { condition } => {
                let grouped = matches!(**condition, Condition::And { .. } | Condition::Or { .. });
                if grouped { write!(f, "not ({condition})") } else { write!(f, "not {condition}") }
            }
            Condition::Attribute { path, test } => write!(f, "{path} {test}"),
            Condition::Did { event, window } => write!(f, "did {event}{}", Spaced(window)),
            Condition::Count { event, window, test } => write!(f, "count {event}{} {test}", Spaced(window)),
            Condition::Aggregate { function, property, event, window, test } => {
                write!(f, "{}({property}) of {event}{} {test}", function.word(), Spaced(window))
            }
            Condition::Periods { period, event, window, test } => {
                write!(f, "{} with {event}{} {test}", period.word(), Spaced(window))
            }
            Condition::Since { which, event, op, span } => {
                write!(f, "time since {} {event} {} {span}", which.word(), op.sign())
            }
            Condition::Order { left, comparison, right } => {
                let (left_which, right_which) = (left.which.word(), right.which.word());
                write!(f, "{left_which} {} {} {right_which} {}", left.event, comparison.word(), right.event)
            }
            Condition::InSegment { segment } => write!(f, "in segment {}", Quoted(segment)),
            Condition::Passed { passage, segment, window } => {
                write!(f, "{} segment {}{}", passage.word(), Quoted(segment), Spaced(window))
            }
            Condition::Sequence { first, then, whole, same, window } => {
                write!(f, "{first}")?;
                for step in then {
                    write!(f, " then {}{}", if step.not { "not " } else { "" }, step.event)?;
                    if let Some(within) = &step.within {
                        write!(f, " within {within}")?;
                    }
                }
                if let Some(span) = whole {
                    write!(f, " all within {span}")?;
                }
                if let Some(path) = same {
                    write!(f, " with same {path}")?;
                }
                write!(f, "{}", Spaced(window))
            }
            Condition::FirstTime { event, window } => write!(f, "did {event} for the first time {window}"),
            Condition::Stopped { event, quiet, times, before } => {
                write!(f, "stopped {event} for {quiet} after {} in {before}", Times(*times))
            }
            Condition::Resumed { event, window, pause } => {
                write!(f, "resumed {event}{} after a pause of {pause}", Spaced(window))
            }
            Condition::Regularly { event, times, periods, last } => {
                write!(f, "regularly {event}")?;
                if *times != 1 {
                    write!(f, " {}", Times(*times))?;
                }
                write!(f, " in {periods} of last {last}")
            }
            Condition::Held { path, test, span } => write!(f, "{path} {test} for {span}"),
            Condition::Elements { quantifier, path, filter } => {
                write!(f, "{} {path} ({filter})", quantifier.word())
            }
            Condition::Consent { says, about, by, window } => {
                let words = match says {
                    Says::Consents => "consents to",
                    Says::Withdrew => "withdrew consent to",
                    Says::Subscribed => "subscribed to topic",
                    Says::Unsubscribed => "unsubscribed from topic",
                };
                write!(f, "{words} {}", Quoted(about))?;
                if let Some(by) = by {
                    write!(f, " by {}", Quoted(by))?;
                }
                write!(f, "{}", Spaced(window))
            }
            Condition::Random { from, to, name } => {
                f.write_str("in random ")?;
                if *from != 0.0 {
                    write!(f, "{from}% to ")?;
                }
                write!(f, "{to}% of {}", Quoted(name))
            }
            Condition::Everyone => f.write_str("everyone"),
        }
    }
}

fn join<T: Display>(
    f: &mut Formatter<'_>,
    parts: &[T],
    word: &str,
    grouped: impl Fn(&T) -> bool,
) -> fmt::Result {
    for (number, part) in parts.iter().enumerate() {
        if number > 0 {
            f.write_str(word)?;
        }
        if grouped(part) { write!(f, "({part})")? } else { write!(f, "{part}")? }
    }
    Ok(())
}

struct Times(u32);

impl Display for Times {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, if self.0 == 1 { "time" } else { "times" })
    }
}

struct Spaced<'a>(&'a Option<Window>);

impl Display for Spaced<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |window| write!(f, " {window}"))
    }
}

impl Display for EventPattern {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Quoted(&self.name))?;
        match &self.filter {
            None => Ok(()),
            Some(filter @ (Filter::And { .. } | Filter::Or { .. })) => write!(f, " where ({filter})"),
            Some(filter) => write!(f, " where {filter}"),
        }
    }
}

impl Display for Filter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Filter::And { all } => {
                join(f, all, " and ", |part| matches!(part, Filter::And { .. } | Filter::Or { .. }))
            }
            Filter::Or { any } => join(f, any, " or ", |part| matches!(part, Filter::Or { .. })),
            Filter::Not { filter } => {
                let grouped = matches!(**filter, Filter::And { .. } | Filter::Or { .. });
                if grouped { write!(f, "not ({filter})") } else { write!(f, "not {filter}") }
            }
            Filter::Property { path, test } => write!(f, "{path} {test}"),
            Filter::Elements { quantifier, path, filter } => {
                write!(f, "{} {path} ({filter})", quantifier.word())
            }
        }
    }
}

impl Display for Window {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Window::InLast { span } => write!(f, "in last {span}"),
            Window::BeforeLast { span } => write!(f, "before last {span}"),
            Window::Ago { from, to } => write!(f, "between {from} ago and {to} ago"),
            Window::Since { when } => write!(f, "since {when}"),
            Window::Before { when } => write!(f, "before {when}"),
            Window::Between { from, to } => write!(f, "between {from} and {to}"),
            Window::Today => f.write_str("today"),
        }
    }
}

impl Display for Test {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Test::Compare { op, value } => write!(f, "{} {value}", op.sign()),
            Test::Between { low, high } => write!(f, "between {low} and {high}"),
            Test::In { values } => write!(f, "in {}", List(values)),
            Test::NotIn { values } => write!(f, "not in {}", List(values)),
            Test::Missing => f.write_str("is missing"),
            Test::Present => f.write_str("is present"),
            Test::StartsWith { text } => write!(f, "starts with {}", Quoted(text)),
            Test::EndsWith { text } => write!(f, "ends with {}", Quoted(text)),
            Test::Contains { value } => write!(f, "contains {value}"),
            Test::ContainsAny { values } => write!(f, "contains any of {}", List(values)),
            Test::ContainsAll { values } => write!(f, "contains all of {}", List(values)),
            Test::Matches { pattern } => {
                f.write_str("matches /")?;
                let mut chars = pattern.source().chars();
                while let Some(c) = chars.next() {
                    match c {
                        '/' => f.write_str("\\/")?,
                        '\\' => {
                            f.write_char('\\')?;
                            chars.next().map_or(Ok(()), |next| f.write_char(next))?;
                        }
                        c => f.write_char(c)?,
                    }
                }
                f.write_char('/')
            }
            Test::InLast { span } => write!(f, "in last {span}"),
            Test::InNext { span } => write!(f, "in next {span}"),
            Test::BeforeLast { span } => write!(f, "before last {span}"),
            Test::AfterNext { span } => write!(f, "after next {span}"),
            Test::BetweenDates { from, to } => write!(f, "between {from} and {to}"),
            Test::Length { op, number } => write!(f, "length {} {number}", op.sign()),
            Test::Before { when } => write!(f, "before {when}"),
            Test::After { when } => write!(f, "after {when}"),
            Test::On { when } => write!(f, "on {when}"),
            Test::Today => f.write_str("is today"),
            Test::AnniversaryToday => f.write_str("is anniversary today"),
            Test::AnniversaryInNext { span } => write!(f, "is anniversary in next {span}"),
            Test::AnniversaryInLast { span } => write!(f, "is anniversary in last {span}"),
            Test::InMonth { month } => write!(f, "in {}", month.word()),
            Test::OnWeekday { weekday } => write!(f, "on {}", weekday.word()),
        }
    }
}

struct List<'a>(&'a [Literal]);

impl Display for List<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('(')?;
        join(f, self.0, ", ", |_| false)?;
        f.write_char(')')
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Bool(value) => write!(f, "{value}"),
            // Scientific beyond what a person reads; both forms parse to the same number.
            Literal::Number(value) if value.abs() >= 1e16 || (*value != 0.0 && value.abs() < 1e-6) => {
                write!(f, "{value:e}")
            }
            Literal::Number(value) => write!(f, "{value}"),
            Literal::Text(text) => write!(f, "{}", Quoted(text)),
        }
    }
}

pub(crate) struct Quoted<'a>(pub &'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        escaped(f, self.0, '"')
    }
}

fn escaped(f: &mut Formatter<'_>, text: &str, end: char) -> fmt::Result {
    f.write_char(end)?;
    for c in text.chars() {
        match c {
            '\n' => f.write_str("\\n")?,
            '\t' => f.write_str("\\t")?,
            '\r' => f.write_str("\\r")?,
            '\\' => f.write_str("\\\\")?,
            c if c == end => write!(f, "\\{c}")?,
            c => f.write_char(c)?,
        }
    }
    f.write_char(end)
}

impl Display for Path {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (number, name) in self.names().iter().enumerate() {
            if number > 0 {
                f.write_char('.')?;
            }
            let first = name.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_' || c == '$');
            let plain = first && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '$'));
            if plain && !(number == 0 && RESERVED.contains(&name.to_ascii_lowercase().as_str())) {
                f.write_str(name)?;
            } else {
                escaped(f, name, '`')?;
            }
        }
        Ok(())
    }
}
