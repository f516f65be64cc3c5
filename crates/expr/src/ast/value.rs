//! What a single value must be: tests, operators, constants and the words of the language.

use serde::{Deserialize, Serialize};

use super::Pattern;
use crate::calendar::{Span, When};

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
    /// An instant at least that long ago.
    BeforeLast {
        /// How long.
        span: Span,
    },
    /// An instant further ahead than that.
    AfterNext {
        /// How long.
        span: Span,
    },
    /// From the beginning of one day or instant to the end of the other.
    BetweenDates {
        /// The first.
        from: When,
        /// The last, included.
        to: When,
    },
    /// A list of so many elements, or a text of so many characters.
    Length {
        /// Compared how.
        op: Op,
        /// With what.
        number: u32,
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
    /// A date whose anniversary is today or was at most that long ago.
    AnniversaryInLast {
        /// How far back; whole days, weeks or months.
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
    /// How many elements of a list must pass.
    Quantifier { Any = "any", All = "all", None = "none" }
);
words!(
    /// Into or out of a segment.
    Passage { Entered = "entered", Left = "left" }
);
words!(
    /// What a profile said of a purpose or a topic.
    Says {
        Consents = "consents", Withdrew = "withdrew", Subscribed = "subscribed", Unsubscribed = "unsubscribed",
    }
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

impl Test {
    /// Whether its answer for one value can change as time passes.
    pub fn is_relative(&self) -> bool {
        matches!(
            self,
            Test::InLast { .. }
                | Test::InNext { .. }
                | Test::BeforeLast { .. }
                | Test::AfterNext { .. }
                | Test::Today
                | Test::AnniversaryToday
                | Test::AnniversaryInNext { .. }
                | Test::AnniversaryInLast { .. }
        )
    }

    /// Whether it asks for a date.
    pub fn is_of_dates(&self) -> bool {
        self.is_relative()
            || matches!(
                self,
                Test::Before { .. }
                    | Test::After { .. }
                    | Test::On { .. }
                    | Test::BetweenDates { .. }
                    | Test::InMonth { .. }
                    | Test::OnWeekday { .. }
            )
    }
}
