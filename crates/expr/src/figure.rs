//! A figure: the value part of the language standing alone. Traits are made of it.

use std::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};

use crate::ast::{Aggregate, Condition, EventPattern, Literal, Path, Period, Test, Which, Window};
use crate::calendar::Span;
use crate::check::{Problem, Schema, check};
use crate::describe::{event_words, last_words, path_words, window_words};
use crate::forms::Form;
use crate::{Error, parse_figure};

/// Terms of one score.
pub const TERMS_MAX: usize = 50;

/// A value computed from the events of a profile at an instant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Figure {
    /// How often an event happened.
    Count {
        /// Which events.
        event: EventPattern,
        /// When; ever, without.
        #[serde(default)]
        window: Option<Window>,
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
        #[serde(default)]
        window: Option<Window>,
    },
    /// In how many distinct hours, days, weeks or months an event happened.
    Periods {
        /// Which calendar period.
        period: Period,
        /// Which events.
        event: EventPattern,
        /// When; ever, without.
        #[serde(default)]
        window: Option<Window>,
    },
    /// How many whole days have passed since an event.
    DaysSince {
        /// The first or the last time.
        which: Which,
        /// Which events.
        event: EventPattern,
    },
    /// When an event happened.
    TimeOf {
        /// The first or the last time.
        which: Which,
        /// Which events.
        event: EventPattern,
    },
    /// Weights of events, each halved as time passes, added up.
    Score {
        /// What each event adds; at least one.
        terms: Vec<Term>,
        /// How long a weight takes to halve.
        half_life: Span,
        /// The points that make a score of 50 on a scale from 0 to 100; the points themselves, without.
        #[serde(default)]
        fifty: Option<f64>,
    },
}

/// What an event adds to a score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Term {
    /// Points; above 0.
    pub weight: f64,
    /// Of which events.
    pub event: EventPattern,
}

/// The outcome of checking a figure's text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CheckedFigure {
    /// The tree, when the text can be read.
    pub figure: Option<Figure>,
    /// What must be corrected.
    pub errors: Vec<Error>,
    /// What deserves a look.
    pub warnings: Vec<Error>,
}

impl Figure {
    /// From the JSON tree, with the same limits as the text form.
    ///
    /// # Errors
    /// Says what is wrong with the tree.
    pub fn from_json(json: &str) -> Result<Figure, Error> {
        let refuse = |message: String| Error::at("", 0, message);
        let figure: Figure = serde_json::from_str(json)
            .map_err(|error| refuse(format!("the tree is not understood: {error}")))?;
        let parsed = parse_figure(&figure.to_string())?;
        if parsed != figure {
            return Err(refuse(format!("the tree could read: {parsed}")));
        }
        Ok(figure)
    }

    /// The JSON tree.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The events it listens to.
    pub fn events(&self) -> Vec<&EventPattern> {
        match self {
            Figure::Count { event, .. }
            | Figure::Aggregate { event, .. }
            | Figure::Periods { event, .. }
            | Figure::DaysSince { event, .. }
            | Figure::TimeOf { event, .. } => vec![event],
            Figure::Score { terms, .. } => terms.iter().map(|term| &term.event).collect(),
        }
    }

    /// The type of its value as an attribute: `number`, `date`, or empty when the property decides.
    pub fn value_type(&self) -> &'static str {
        match self {
            Figure::Aggregate { function: Aggregate::Top | Aggregate::First | Aggregate::Last, .. } => "",
            Figure::TimeOf { .. } => "date",
            _ => "number",
        }
    }

    /// Conditions that ask for the same events and properties.
    pub fn conditions(&self) -> Vec<Condition> {
        match self {
            Figure::Aggregate { function, property, event, window } => vec![Condition::Aggregate {
                function: *function,
                property: property.clone(),
                event: event.clone(),
                window: window.clone(),
                test: Test::Present,
            }],
            Figure::Periods { period, event, window } => vec![Condition::Periods {
                period: *period,
                event: event.clone(),
                window: window.clone(),
                test: Test::Present,
            }],
            other => {
                let did = |event: &EventPattern| Condition::Did { event: event.clone(), window: None };
                other.events().into_iter().map(did).collect()
            }
        }
    }
}

/// Checks a figure against what a workspace knows.
pub fn check_figure(figure: &Figure, schema: &Schema) -> Vec<Problem> {
    figure.conditions().iter().flat_map(|condition| check(condition, schema)).collect()
}

/// Parses and checks a figure's text; every problem carries its place.
pub fn check_figure_text(text: &str, schema: &Schema) -> CheckedFigure {
    let figure = match parse_figure(text) {
        Ok(figure) => figure,
        Err(error) => return CheckedFigure { errors: vec![error], ..CheckedFigure::default() },
    };
    let (errors, warnings) = crate::check::placed(text, check_figure(&figure, schema));
    CheckedFigure { figure: Some(figure), errors, warnings }
}

/// What the figure is, in plain English.
pub fn describe_figure(figure: &Figure) -> String {
    match figure {
        Figure::Count { event, window } => {
            format!("How often {} happened{}.", event_words(event), window_words(window))
        }
        Figure::Aggregate { function, property, event, window } => {
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
            let (event, window) = (event_words(event), window_words(window));
            format!("The {name} {} of {event}{window}.", path_words(property))
        }
        Figure::Periods { period, event, window } => {
            let (event, window) = (event_words(event), window_words(window));
            format!("In how many different {} {event} happened{window}.", period.word())
        }
        Figure::DaysSince { which, event } => {
            format!("How many days ago the {} {} was.", which.word(), event_words(event))
        }
        Figure::TimeOf { which, event } => format!("When the {} {} was.", which.word(), event_words(event)),
        Figure::Score { terms, half_life, fifty } => {
            let term = |term: &Term| {
                format!("{} for each {}", Literal::Number(term.weight), event_words(&term.event))
            };
            let terms = terms.iter().map(term).collect::<Vec<_>>().join(", ");
            let scale = fifty.map_or(String::new(), |fifty| {
                format!(", on a scale from 0 to 100 with 50 at {}", Literal::Number(fifty))
            });
            let every = last_words("", half_life).trim_start_matches(" last ").to_owned();
            format!("Points: {terms}; halved every {every}{scale}.")
        }
    }
}

struct Spaced<'a>(&'a Option<Window>);

impl Display for Spaced<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |window| write!(f, " {window}"))
    }
}

impl Display for Figure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Figure::Count { event, window } => write!(f, "count {event}{}", Spaced(window)),
            Figure::Aggregate { function, property, event, window } => {
                write!(f, "{}({property}) of {event}{}", function.word(), Spaced(window))
            }
            Figure::Periods { period, event, window } => {
                write!(f, "{} with {event}{}", period.word(), Spaced(window))
            }
            Figure::DaysSince { which, event } => write!(f, "days since {} {event}", which.word()),
            Figure::TimeOf { which, event } => write!(f, "time of {} {event}", which.word()),
            Figure::Score { terms, half_life, fifty } => {
                f.write_str("score(")?;
                for (number, term) in terms.iter().enumerate() {
                    let plus = if number > 0 { " + " } else { "" };
                    write!(f, "{plus}{} * {}", Literal::Number(term.weight), term.event)?;
                }
                write!(f, ", half-life {half_life}")?;
                if let Some(fifty) = fifty {
                    write!(f, ", 50 at {} points", Literal::Number(*fifty))?;
                }
                f.write_str(")")
            }
        }
    }
}

/// All forms of figures.
pub const FIGURES: &[Form] = &[
    Form {
        family: "Figures",
        syntax: "count <event> [window]",
        example: r#"count "Order Completed" in last 90 days"#,
        sentence: "How often “Order Completed” happened in the last 90 days.",
        note: "0 for who never did.",
        words: &[],
    },
    Form {
        family: "Figures",
        syntax: "sum | avg | min | max | distinct | top | first | last(<property>) of <event> [window]",
        example: r#"sum(revenue) of "Order Completed" where currency = "EUR""#,
        sentence: "The total revenue of “Order Completed” where currency is “EUR”.",
        note: "As in conditions: the sum of nothing is 0, distinct values of nothing are 0, the others of nothing are missing.",
        words: &[],
    },
    Form {
        family: "Figures",
        syntax: "hours | days | weeks | months with <event> [window]",
        example: r#"weeks with "Email Link Clicked" in last 6 months"#,
        sentence: "In how many different weeks “Email Link Clicked” happened in the last 6 months.",
        note: "Periods of the calendar of the profile.",
        words: &[],
    },
    Form {
        family: "Figures",
        syntax: "days since last | first <event>",
        example: r#"days since last "Order Completed""#,
        sentence: "How many days ago the last “Order Completed” was.",
        note: "Whole days of 24 hours, counted from the event; missing for who never did.",
        words: &[],
    },
    Form {
        family: "Figures",
        syntax: "time of last | first <event>",
        example: r#"time of first "Order Completed""#,
        sentence: "When the first “Order Completed” was.",
        note: "A date: `first_order in last 7 days`, `first_order is anniversary today`.",
        words: &[],
    },
    Form {
        family: "Figures",
        syntax: "score(<weight> * <event> [+ …], half-life <span> [, 50 at <number> points])",
        example: r#"score(3 * "Email Link Clicked" + 1 * "Email Opened" + 0.5 * "Page Viewed", half-life 14 days)"#,
        sentence: "Points: 3 for each “Email Link Clicked”, 1 for each “Email Opened”, 0.5 for each “Page Viewed”; halved every 14 days.",
        note: "Each event adds its weight, which halves every half-life: exact at every instant. With `50 at 4 points` the score goes from 0 to 100: `100 · (1 − 2^(−points / 4))`. A half-life is at most some weeks long, not months or years.",
        words: &["score", "half-life", "points"],
    },
];
