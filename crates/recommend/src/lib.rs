//! Ranks catalogue items for a profile, with reasons; asked when a mail is composed.
//!
//! A model is fitted from what profiles did with items: which items follow each other closely in people's histories,
//! what is in demand, what is new. Ranking walks down a ladder: history → trending → newest. Pure and deterministic:
//! the same interactions in any order give the same model, the same history the same list.
//!
//! ```
//! use recommend::{Action, Interaction, Item, Model, Request, Seen};
//! let now = model::Timestamp::from_secs(1_000_000);
//! let item = |id: &str| Item { id: id.into(), name: id.to_uppercase(), category: None, created_at: now };
//! let step = |profile, item, at| Interaction { profile, item, action: Action::Viewed, at: now - at };
//! let model = Model::fit(
//!     [step(1, "tea", 20), step(1, "cup", 10), step(2, "tea", 9), step(2, "cup", 8)],
//!     [item("tea"), item("cup")],
//!     now,
//! );
//! let history = [Seen { item: "tea", action: Action::Viewed, at: now }];
//! let found = model.recommend(&Request::new(&history, 3), &|_| true);
//! assert_eq!((found[0].item.as_str(), found[0].reason.as_str()), ("cup", "Because you viewed TEA"));
//! ```

mod fit;
mod history;
mod rank;

use model::Timestamp;
use serde::{Deserialize, Serialize};

pub use fit::Model;
pub use history::{BOUGHT_MAX, History, ITEM_BYTES_MAX, Touch};

/// Interactions further apart than this in a profile's history say nothing about each other.
pub const GAP_MAX: usize = 8;
/// Neighbours kept of one item.
pub const NEIGHBOURS_MAX: usize = 300;
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

    fn word(self) -> &'static str {
        match self {
            Action::Viewed => "viewed",
            Action::Added => "added",
            Action::Bought => "bought",
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
    /// When it came into the catalogue.
    pub created_at: Timestamp,
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
    /// Whether items that were looked at or put into the cart may come back. Bought ones never do.
    pub repeat_seen: bool,
}

impl<'a> Request<'a> {
    /// The usual request: at most two of a category, nothing that the profile knows already.
    pub fn new(history: &'a [Seen<'a>], limit: usize) -> Request<'a> {
        Request { history, limit, per_category_max: Some(2), repeat_seen: false }
    }
}

/// The rung of the ladder an item came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The profile's own history.
    History,
    /// Demand of the last 30 days.
    Trending,
    /// The catalogue's newest.
    Newest,
}

/// One ranked item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recommendation {
    /// The item's id.
    pub item: String,
    /// Its score; comparable within one source only.
    pub score: f64,
    /// Where it came from.
    pub source: Source,
    /// Why, for the recipient and the marketer.
    pub reason: String,
}
