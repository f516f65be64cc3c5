//! The tree of a condition: what the text form and the JSON form both carry.

use serde::{Deserialize, Serialize};

mod value;

pub use value::*;

use crate::calendar::{Span, Unit, When};
pub use crate::name::{Path, Pattern};

/// Who or when: holds or does not hold for a profile at an instant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// Every one holds.
    And {
        /// At least two.
        all: Vec<Condition>,
    },
    /// At least one holds.
    Or {
        /// At least two.
        any: Vec<Condition>,
    },
    /// It does not hold.
    Not {
        /// What must not hold.
        condition: Box<Condition>,
    },
    /// An attribute passes a test.
    Attribute {
        /// The attribute.
        path: Path,
        /// What its value must be.
        test: Test,
    },
    /// An event happened at least once.
    Did {
        /// Which events.
        event: EventPattern,
        /// When; ever, without.
        window: Option<Window>,
    },
    /// How often an event happened.
    Count {
        /// Which events.
        event: EventPattern,
        /// When; ever, without.
        window: Option<Window>,
        /// What the number must be.
        test: Test,
    },
    /// A figure over a property of events.
    Aggregate {
        /// Which figure.
        function: Aggregate,
        /// Over which property.
        property: Path,
        /// Of which events.
        event: EventPattern,
        /// When; ever, without.
        window: Option<Window>,
        /// What the figure must be.
        test: Test,
    },
    /// In how many distinct hours, days, weeks or months an event happened.
    Periods {
        /// Which calendar period.
        period: Period,
        /// Which events.
        event: EventPattern,
        /// When; ever, without.
        window: Option<Window>,
        /// What the number must be.
        test: Test,
    },
    /// How long ago an event happened. False when it never did.
    Since {
        /// The first or the last time.
        which: Which,
        /// Which events.
        event: EventPattern,
        /// Compared how.
        op: Op,
        /// With how long.
        span: Span,
    },
    /// One occasion lies before or after another. After (before) an event that never happened holds (does not).
    Order {
        /// The occasion that must have happened.
        left: Occasion,
        /// Before or after.
        comparison: Comparison,
        /// The other occasion.
        right: Occasion,
    },
    /// The profile is a member of a segment.
    InSegment {
        /// The segment's name or id.
        segment: String,
    },
    /// The profile entered or left a segment, by the events that say so.
    Passed {
        /// In or out.
        passage: Passage,
        /// The segment's name or id.
        segment: String,
        /// When; ever, without.
        window: Option<Window>,
    },
    /// One event after another. Each `within` counts from the step before.
    Sequence {
        /// The event it begins with.
        first: EventPattern,
        /// What follows; at least one.
        then: Vec<Then>,
        /// In how long a time after the first event all others happen.
        #[serde(default)]
        whole: Option<Span>,
        /// A property that has one value in all of its events.
        same: Option<Path>,
        /// Where its events lie; ever, without.
        window: Option<Window>,
    },
    /// The first of all such events lies in the window.
    FirstTime {
        /// Which events.
        event: EventPattern,
        /// When.
        window: Window,
    },
    /// It happened so often in the time before, and then no more.
    Stopped {
        /// Which events.
        event: EventPattern,
        /// How long it has not happened.
        quiet: Span,
        /// How often at least it happened before; from 1.
        times: u32,
        /// In how long a time before the silence.
        before: Span,
    },
    /// It happened again after a pause.
    Resumed {
        /// Which events.
        event: EventPattern,
        /// When it happened again; ever, without.
        window: Option<Window>,
        /// How long at least it had not happened.
        pause: Span,
    },
    /// It happened in so many of the last periods. Periods are counted back from now.
    Regularly {
        /// Which events.
        event: EventPattern,
        /// How often at least in a period; from 1.
        times: u32,
        /// In how many periods at least; from 1.
        periods: u32,
        /// Of how many periods.
        last: Span,
    },
    /// An attribute has passed a test without a break.
    Held {
        /// The attribute.
        path: Path,
        /// What its value must have been.
        test: Test,
        /// For how long at least.
        span: Span,
    },
    /// Elements of an attribute that is a list pass.
    Elements {
        /// How many of them.
        quantifier: Quantifier,
        /// The list.
        path: Path,
        /// What an element must be.
        filter: Filter,
    },
    /// What the profile said of a purpose or topic, and it has not said otherwise since.
    Consent {
        /// What.
        says: Says,
        /// The purpose or topic.
        about: String,
        /// How; any way, without.
        by: Option<String>,
        /// When; ever, without.
        window: Option<Window>,
    },
    /// The profile falls into a share of all profiles, always the same ones for one name.
    Random {
        /// Percent at which the share begins.
        from: f64,
        /// Percent at which it ends, excluded.
        to: f64,
        /// The name that the draw belongs to.
        name: String,
    },
    /// Every profile.
    Everyone,
}

/// A later step of a sequence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Then {
    /// It must not happen.
    #[serde(default)]
    pub not: bool,
    /// Which events.
    pub event: EventPattern,
    /// In how long a time after the step before.
    #[serde(default)]
    pub within: Option<Span>,
}

/// A first or last event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Occasion {
    /// The first or the last time.
    pub which: Which,
    /// Which events.
    pub event: EventPattern,
}

/// Events by name and, perhaps, by their properties.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventPattern {
    /// The event's name.
    pub name: String,
    /// What its properties must be.
    #[serde(rename = "where", default)]
    pub filter: Option<Filter>,
}

/// What the properties of one event must be; also a mapping's test of one row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Filter {
    /// Every one holds.
    And {
        /// At least two.
        all: Vec<Filter>,
    },
    /// At least one holds.
    Or {
        /// At least two.
        any: Vec<Filter>,
    },
    /// It does not hold.
    Not {
        /// What must not hold.
        filter: Box<Filter>,
    },
    /// A property passes a test.
    Property {
        /// The property.
        path: Path,
        /// What its value must be.
        test: Test,
    },
    /// Elements of a list pass.
    Elements {
        /// How many of them.
        quantifier: Quantifier,
        /// The list.
        path: Path,
        /// What an element must be.
        filter: Box<Filter>,
    },
}

/// When the events of a condition happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Window {
    /// In (now − span, now].
    InLast {
        /// How long.
        span: Span,
    },
    /// At least that long ago.
    BeforeLast {
        /// How long.
        span: Span,
    },
    /// In (now − from, now − to].
    Ago {
        /// The longer.
        from: Span,
        /// The shorter.
        to: Span,
    },
    /// From its beginning on.
    Since {
        /// The first instant.
        when: When,
    },
    /// Before its beginning.
    Before {
        /// The first instant that is too late.
        when: When,
    },
    /// From the beginning of one to the end of the other.
    Between {
        /// The first day or instant.
        from: When,
        /// The last day or instant, included.
        to: When,
    },
    /// On the profile's present day.
    Today,
}

impl Window {
    /// `in last <amount> <unit>`.
    pub fn in_last(amount: u32, unit: Unit) -> Window {
        Window::InLast { span: Span { amount, unit } }
    }
}

impl Condition {
    /// From the JSON tree, with the same limits as the text form.
    ///
    /// # Errors
    /// Says what is wrong with the tree.
    pub fn from_json(json: &str) -> Result<Condition, crate::Error> {
        let refuse = |message: String| crate::Error::at("", 0, message);
        let condition: Condition = serde_json::from_str(json)
            .map_err(|error| refuse(format!("the tree is not understood: {error}")))?;
        // The printed form is parsed again: one set of rules decides what a condition may be.
        let text = condition.to_string();
        let parsed = crate::parse(&text)?;
        if parsed != condition {
            return Err(refuse(format!(
                "the tree has empty groups or groups of one; it could read: {parsed}"
            )));
        }
        Ok(condition)
    }

    /// The JSON tree.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Every leaf, in the order of the text.
    pub fn leaves(&self) -> Vec<&Condition> {
        fn walk<'a>(condition: &'a Condition, out: &mut Vec<&'a Condition>) {
            match condition {
                Condition::And { all: parts } | Condition::Or { any: parts } => {
                    for part in parts {
                        walk(part, out);
                    }
                }
                Condition::Not { condition } => walk(condition, out),
                leaf => out.push(leaf),
            }
        }
        let mut out = Vec::new();
        walk(self, &mut out);
        out
    }

    /// The events a leaf listens to.
    pub fn events(&self) -> Vec<&EventPattern> {
        match self {
            Condition::Did { event, .. }
            | Condition::Count { event, .. }
            | Condition::Aggregate { event, .. }
            | Condition::Periods { event, .. }
            | Condition::Since { event, .. }
            | Condition::FirstTime { event, .. }
            | Condition::Stopped { event, .. }
            | Condition::Resumed { event, .. }
            | Condition::Regularly { event, .. } => vec![event],
            Condition::Sequence { first, then, .. } => {
                std::iter::once(first).chain(then.iter().map(|step| &step.event)).collect()
            }
            Condition::Order { left, right, .. } => vec![&left.event, &right.event],
            _ => Vec::new(),
        }
    }

    /// The segments it refers to.
    pub fn segments(&self) -> Vec<&str> {
        let leaves = self.leaves().into_iter();
        let names = leaves.filter_map(|leaf| match leaf {
            Condition::InSegment { segment } | Condition::Passed { segment, .. } => Some(segment.as_str()),
            _ => None,
        });
        names.collect()
    }
}

impl Filter {
    /// Whether it speaks of a top-level property of this name.
    pub fn mentions(&self, name: &str) -> bool {
        match self {
            Filter::And { all: parts } | Filter::Or { any: parts } => {
                parts.iter().any(|part| part.mentions(name))
            }
            Filter::Not { filter } => filter.mentions(name),
            Filter::Property { path, .. } | Filter::Elements { path, .. } => path.names()[0] == name,
        }
    }

    /// The properties it reads, as paths from the event's properties.
    pub fn paths(&self) -> Vec<&Path> {
        match self {
            Filter::And { all: parts } | Filter::Or { any: parts } => {
                parts.iter().flat_map(|part| part.paths()).collect()
            }
            Filter::Not { filter } => filter.paths(),
            Filter::Property { path, .. } | Filter::Elements { path, .. } => {
                vec![path]
            }
        }
    }
}
