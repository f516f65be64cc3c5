//! Steps an entry through a journey: (position, event | timer, now) → effects.
//!
//! Pure: conditions are asked of the caller, effects are returned to it. A stored entry names its version and node, so
//! that it goes on where it was, whatever happened in between.

mod definition;
mod step;

pub use definition::{Compiled, Definition, Error, Exit, Node, Problem, Reentry, Trigger};
pub use step::{ENTRIES_MAX, Effect, Entry, Step, enter, event, merge, start, tick};
