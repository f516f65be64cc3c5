//! What a template asks its host for while it renders: recommendations, items of catalogues, feeds, coupons.
//!
//! Rendering is pure and does not wait. A host answers from memory, or says that the answer has to be fetched: the ask
//! is then kept in `Trace::pending`, its tag prints nothing, and the host renders again once it has the answer. Only
//! what stands in a branch that is taken is ever asked for.

use std::fmt;

use crate::value::Val;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Ask {
    /// Items for the person.
    Recommend {
        /// How many at most.
        limit: usize,
        /// Named arguments as the tag has them (`category`, `tag`, `price_max`, …), by name.
        arguments: Vec<(String, String)>,
    },
    /// One item of a catalogue.
    Item {
        /// The catalogue.
        catalog: String,
        /// The item's id.
        id: String,
    },
    /// The answer of a declared feed.
    Feed {
        /// The feed.
        name: String,
        /// What its address is filled with, by name.
        arguments: Vec<(String, String)>,
    },
    /// A code of a pool of coupons: the same one however often it is asked for in one message.
    Coupon {
        /// The pool.
        pool: String,
    },
}

/// What a host answers.
#[derive(Clone)]
pub enum Supplied<'a> {
    /// The value.
    Ready(Val<'a>),
    /// It has to be fetched first.
    Pending,
    /// There is none, and why: one sentence. The tag's `fallback`, else nothing, is printed.
    Nothing(String),
    /// The message must not be sent without it, and why: ends the render as `abort` does.
    Refused(String),
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ask::Recommend { limit, .. } => write!(f, "{limit} recommendations"),
            Ask::Item { catalog, id } => write!(f, "the item '{id}' of '{catalog}'"),
            Ask::Feed { name, .. } => write!(f, "the feed '{name}'"),
            Ask::Coupon { pool } => write!(f, "a code of '{pool}'"),
        }
    }
}
