//! Ranks catalogue items for a profile, with reasons; asked when a mail is composed.
//!
//! A model is fitted from what profiles did with items: which items follow each other closely in people's histories,
//! which share buyers, visits or properties, what is in demand, what is new. Ranking adds these signals by weights that
//! were picked on held-out items, then walks down a ladder: the trend of the profile's segments → the trend of all → the
//! newest. Pure and deterministic: the same interactions in any order give the same model, the same history the same
//! list.
//!
//! ```
//! use recommend::{Action, Interaction, Item, Model, Request, Seen};
//! let now = model::Timestamp::from_secs(1_000_000);
//! let item = |id: &str| Item { name: id.to_uppercase(), created_at: now, ..Item::bare(id) };
//! let step = |profile, item, at| Interaction { profile, item, action: Action::Viewed, at: now - at };
//! let model = Model::fit(
//!     [step(1, "tea", 20), step(1, "cup", 10), step(2, "tea", 9), step(2, "cup", 8)],
//!     [item("tea"), item("cup")],
//!     now,
//! );
//! let history = [Seen::new("tea", Action::Viewed, now)];
//! let found = model.recommend(&Request::new(&history, 3), &|_| true);
//! assert_eq!((found[0].item.as_str(), found[0].reason.as_str()), ("cup", "Because you viewed TEA"));
//! ```

mod content;
pub mod evaluate;
mod fit;
mod history;
mod neighbour;
mod rank;
pub mod read;
mod score;
mod session;
mod tune;

use model::Timestamp;
use serde::{Deserialize, Serialize};

pub use fit::{Group, Model};
pub use history::{BOUGHT_MAX, History, ITEM_BYTES_MAX, SHOWN_MAILS_MAX, Touch};
pub use tune::{Aim, Tuned, tune};

/// Interactions further apart than this in a profile's history say nothing about each other.
pub const GAP_MAX: usize = 8;
/// Neighbours kept of one item.
pub const NEIGHBOURS_MAX: usize = 300;
/// Items with the same people that are kept of one item.
pub const KNN_MAX: usize = 100;
/// Interactions of one profile that are read, newest first; more is a robot or a shared till.
pub const SEQUENCE_MAX: usize = 2_000;
/// Items of a profile's history that speak for a recommendation, newest first.
pub const HISTORY_MAX: usize = 50;
/// Items answered at most.
pub const LIMIT_MAX: usize = 100;
/// How far back demand is counted. Units: microseconds.
pub const TRENDING_MICROS: i64 = 30 * model::time::DAY;

/// What a profile did with an item, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Looked at it.
    Viewed,
    /// Put it into the cart or on a wish list.
    Added,
    /// Bought it.
    Bought,
}

impl Action {
    /// The action that an event of the default tracking plan stands for.
    pub fn of_event(name: &str) -> Option<Action> {
        match name {
            "Product Viewed" | "Product Clicked" => Some(Action::Viewed),
            "Product Added" | "Product Added to Wishlist" => Some(Action::Added),
            "Order Completed" => Some(Action::Bought),
            _ => None,
        }
    }

    /// The events that `of_event` knows.
    pub const EVENTS: [&str; 5] = [
        "Product Viewed",
        "Product Clicked",
        "Product Added",
        "Product Added to Wishlist",
        "Order Completed",
    ];

    /// How much of demand it is.
    fn weight(self) -> f32 {
        match self {
            Action::Viewed => 1.0,
            Action::Added => 2.0,
            Action::Bought => 3.0,
        }
    }
}

/// One interaction of a profile with an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interaction<'a> {
    /// The profile.
    pub profile: i64,
    /// The item's id.
    pub item: &'a str,
    /// What was done.
    pub action: Action,
    /// When.
    pub at: Timestamp,
}

/// A catalogue item as far as ranking needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its id.
    pub id: String,
    /// What people call it; used in reasons.
    pub name: String,
    /// Its category; lists are kept mixed by it.
    pub category: Option<String>,
    /// What else it shares with others: its brand, further categories.
    pub attributes: Vec<String>,
    /// When it came into the catalogue.
    pub created_at: Timestamp,
}

impl Item {
    /// An item of which the id alone is known.
    pub fn bare(id: &str) -> Item {
        Item {
            id: id.to_owned(),
            name: id.to_owned(),
            category: None,
            attributes: Vec::new(),
            created_at: Timestamp::from_secs(0),
        }
    }
}

/// One line of the history of the profile that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen<'a> {
    /// The item's id.
    pub item: &'a str,
    /// What was done.
    pub action: Action,
    /// When.
    pub at: Timestamp,
    /// How often it was bought.
    pub times: u32,
}

impl<'a> Seen<'a> {
    /// A line of something done once.
    pub fn new(item: &'a str, action: Action, at: Timestamp) -> Seen<'a> {
        Seen { item, action, at, times: u32::from(action == Action::Bought) }
    }
}

/// What is asked of the model.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The profile's interactions, in any order.
    pub history: &'a [Seen<'a>],
    /// Items wanted; at most [`LIMIT_MAX`].
    pub limit: usize,
    /// Items of one category in the list; `None` for no bound.
    pub per_category_max: Option<usize>,
    /// Whether items that were looked at or put into the cart may come back.
    pub repeat_seen: bool,
    /// Whether bought items may come back; which of them, the one who asks decides by its filter.
    pub repeat_bought: bool,
    /// Groups the profile belongs to, the most telling first: their demand is asked before that of all.
    pub groups: &'a [&'a str],
}

impl<'a> Request<'a> {
    /// The usual request: at most two of a category, nothing that the profile knows already.
    pub fn new(history: &'a [Seen<'a>], limit: usize) -> Request<'a> {
        Request {
            history,
            limit,
            per_category_max: Some(2),
            repeat_seen: false,
            repeat_bought: false,
            groups: &[],
        }
    }
}

/// The rung of the ladder an item came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The profile bought it before.
    Repeat,
    /// The profile's own history.
    History,
    /// Visits of others that were like its last one.
    Session,
    /// Properties of what it knows.
    Content,
    /// Demand of one of its segments.
    Segment,
    /// Demand of the last 30 days.
    Trending,
    /// The catalogue's newest.
    Newest,
}

/// What speaks for an item; signals are added by weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// It follows closely on items of the history.
    Follows,
    /// The same people have it and items of the history.
    Knn,
    /// Visits like the last one contain it.
    Session,
    /// It shares a category or another property with items of the history.
    Content,
    /// It is in demand.
    Trending,
    /// It was bought before.
    Repeat,
}

/// How many signals there are.
pub(crate) const SIGNALS: usize = 6;

impl Signal {
    /// All, in the order of [`Weights`].
    pub const ALL: [Signal; SIGNALS] =
        [Signal::Follows, Signal::Knn, Signal::Session, Signal::Content, Signal::Trending, Signal::Repeat];

    /// The rung an item stands on when this signal speaks loudest.
    fn source(self) -> Source {
        match self {
            Signal::Follows | Signal::Knn => Source::History,
            Signal::Session => Source::Session,
            Signal::Content => Source::Content,
            Signal::Trending => Source::Trending,
            Signal::Repeat => Source::Repeat,
        }
    }
}

/// What each signal counts, each signal's strongest item being 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weights {
    /// [`Signal::Follows`].
    pub follows: f32,
    /// [`Signal::Knn`].
    pub knn: f32,
    /// [`Signal::Session`].
    pub session: f32,
    /// [`Signal::Content`].
    pub content: f32,
    /// [`Signal::Trending`].
    pub trending: f32,
    /// [`Signal::Repeat`].
    pub repeat: f32,
}

impl Default for Weights {
    /// What stands until weights are picked: alike on the sequences they were first picked on.
    fn default() -> Weights {
        Weights { follows: 1.0, knn: 0.1, session: 0.1, content: 0.2, trending: 0.05, repeat: 2.0 }
    }
}

impl Weights {
    /// In the order of [`Signal::ALL`].
    pub fn values(&self) -> [f32; SIGNALS] {
        [self.follows, self.knn, self.session, self.content, self.trending, self.repeat]
    }

    /// From the order of [`Signal::ALL`].
    pub fn from_values([follows, knn, session, content, trending, repeat]: [f32; SIGNALS]) -> Weights {
        Weights { follows, knn, session, content, trending, repeat }
    }
}

/// One ranked item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recommendation {
    /// The item's id.
    pub item: String,
    /// Its score; comparable within one list only, and on the last rungs (demand, newest) within one rung only.
    pub score: f64,
    /// Where it came from.
    pub source: Source,
    /// Why, for the recipient and the marketer.
    pub reason: String,
    /// What each signal said for it, weighted; empty on the rungs below.
    pub signals: Vec<(Signal, f64)>,
}
