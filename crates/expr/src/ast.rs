//! The tree of a condition: what the text form and the JSON form both carry.

use serde::{Deserialize, Serialize};

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
    /// The profile consents to a purpose or channel.
    Consents {
        /// The purpose.
        purpose: String,
    },
    /// The profile is subscribed to a topic.
    Subscribed {
        /// The topic.
        topic: String,
    },
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
    /// At least one element of a list passes.
    AnyOf {
        /// The list.
        path: Path,
        /// What the element must be.
        filter: Box<Filter>,
    },
    /// The list has elements and every one passes.
    AllOf {
        /// The list.
        path: Path,
        /// What each element must be.
        filter: Box<Filter>,
    },
}

/// What a value must be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case", deny_unknown_fields)]
pub enum Test {
    /// Compares with one value.
    Compare {
        /// How.
        op: Op,
        /// With what.
        value: Literal,
    },
    /// Lies between two numbers or texts, both included.
    Between {
        /// The lowest.
        low: Literal,
        /// The highest.
        high: Literal,
    },
    /// Is one of.
    In {
        /// At least one.
        values: Vec<Literal>,
    },
    /// Is present and none of.
    NotIn {
        /// At least one.
        values: Vec<Literal>,
    },
    /// Is absent or null.
    Missing,
    /// Is there.
    Present,
    /// Text that begins with.
    StartsWith {
        /// The beginning.
        text: String,
    },
    /// Text that ends with.
    EndsWith {
        /// The end.
        text: String,
    },
    /// A list with this element, or text with this part.
    Contains {
        /// The element or part.
        value: Literal,
    },
    /// Contains at least one of.
    ContainsAny {
        /// At least one.
        values: Vec<Literal>,
    },
    /// Contains all of.
    ContainsAll {
        /// At least one.
        values: Vec<Literal>,
    },
    /// Text in which a regular expression is found.
    Matches {
        /// The expression.
        pattern: Pattern,
    },
    /// An instant in (now − span, now].
    InLast {
        /// How long.
        span: Span,
    },
    /// An instant in (now, now + span].
    InNext {
        /// How long.
        span: Span,
    },
    /// An instant before.
    Before {
        /// What.
        when: When,
    },
    /// An instant after; after a date means after that day has ended.
    After {
        /// What.
        when: When,
    },
    /// An instant on this day.
    On {
        /// The day.
        when: When,
    },
    /// An instant today.
    Today,
    /// A date whose anniversary is today.
    AnniversaryToday,
    /// A date whose anniversary is today or at most that far ahead.
    AnniversaryInNext {
        /// How far; whole days, weeks or months.
        span: Span,
    },
    /// A date in this month of any year.
    InMonth {
        /// The month.
        month: Month,
    },
    /// A date on this weekday.
    OnWeekday {
        /// The weekday.
        weekday: Weekday,
    },
}

/// How two values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Op {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Op {
    /// The sign in the text form.
    pub const fn sign(self) -> &'static str {
        match self {
            Op::Equal => "=",
            Op::NotEqual => "!=",
            Op::Less => "<",
            Op::LessOrEqual => "<=",
            Op::Greater => ">",
            Op::GreaterOrEqual => ">=",
        }
    }

    /// Whether an ordering satisfies it.
    pub fn accepts(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Op::Equal => ordering.is_eq(),
            Op::NotEqual => ordering.is_ne(),
            Op::Less => ordering.is_lt(),
            Op::LessOrEqual => ordering.is_le(),
            Op::Greater => ordering.is_gt(),
            Op::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

/// A constant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Literal {
    /// True or false.
    Bool(bool),
    /// A finite number.
    Number(f64),
    /// Text.
    Text(String),
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[expect(missing_docs, reason = "the names say it")]
        pub enum $name { $(#[serde(rename = $word)] $variant),+ }

        impl $name {
            /// All of them, in order.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The word in the text form and in JSON.
            pub const fn word(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }

            /// Reads the word; case does not matter.
            pub fn from_word(word: &str) -> Option<$name> {
                Self::ALL.iter().copied().find(|each| each.word().eq_ignore_ascii_case(word))
            }
        }
    };
}

words!(
    /// A figure over a property of events.
    Aggregate {
        Sum = "sum", Average = "avg", Minimum = "min", Maximum = "max", Distinct = "distinct", Top = "top",
        First = "first", Last = "last",
    }
);
words!(
    /// A calendar period in the profile's time zone; weeks begin on Monday.
    Period { Hours = "hours", Days = "days", Weeks = "weeks", Months = "months" }
);
words!(
    /// The first or the last event.
    Which { First = "first", Last = "last" }
);
words!(
    /// Before or after.
    Comparison { Before = "before", After = "after" }
);
words!(
    /// A month of any year.
    Month {
        January = "January", February = "February", March = "March", April = "April", May = "May", June = "June",
        July = "July", August = "August", September = "September", October = "October",
        November = "November", December = "December",
    }
);
words!(
    /// A day of the week.
    Weekday {
        Monday = "Monday", Tuesday = "Tuesday", Wednesday = "Wednesday", Thursday = "Thursday",
        Friday = "Friday", Saturday = "Saturday", Sunday = "Sunday",
    }
);

/// When the events of a condition happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Window {
    /// In (now − span, now].
    InLast {
        /// How long.
        span: Span,
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
            | Condition::Since { event, .. } => vec![event],
            Condition::Order { left, right, .. } => vec![&left.event, &right.event],
            _ => Vec::new(),
        }
    }

    /// The segments it refers to.
    pub fn segments(&self) -> Vec<&str> {
        let leaves = self.leaves().into_iter();
        let names = leaves.filter_map(|leaf| match leaf {
            Condition::InSegment { segment } => Some(segment.as_str()),
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
            Filter::Property { path, .. } | Filter::AnyOf { path, .. } | Filter::AllOf { path, .. } => {
                path.names()[0] == name
            }
        }
    }

    /// The properties it reads, as paths from the event's properties.
    pub fn paths(&self) -> Vec<&Path> {
        match self {
            Filter::And { all: parts } | Filter::Or { any: parts } => {
                parts.iter().flat_map(|part| part.paths()).collect()
            }
            Filter::Not { filter } => filter.paths(),
            Filter::Property { path, .. } | Filter::AnyOf { path, .. } | Filter::AllOf { path, .. } => {
                vec![path]
            }
        }
    }
}
