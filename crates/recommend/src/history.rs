//! A profile's own interactions, kept small enough to lie beside its other state: each item once.

use std::collections::HashSet;

use model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Action, HISTORY_MAX, Seen};

/// Bought items that are remembered, newest first: as long as one is, it is never offered again.
pub const BOUGHT_MAX: usize = 500;
/// Mails whose offers are remembered.
pub const SHOWN_MAILS_MAX: usize = 5;
/// Items that are remembered of one mail.
const SHOWN_ITEMS_MAX: usize = 30;
/// Bytes of an item's id; a longer one names no item of a catalogue.
pub const ITEM_BYTES_MAX: usize = 100;

/// An item that a profile did something with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touch {
    /// The item's id.
    pub item: String,
    /// The strongest thing that was done.
    pub action: Action,
    /// When something was last done.
    pub at: Timestamp,
    /// How often it was bought.
    pub times: u32,
}

/// What a profile did with items: the last 50 that were looked at or put into a cart, the last 500 that were bought.
///
/// The order of arrival does not matter until something has to be forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    items: Vec<Touch>,
    /// What its last mails offered, the newest last.
    shown: Vec<(Timestamp, Vec<String>)>,
}

impl History {
    /// Notes an interaction.
    pub fn note(&mut self, item: &str, action: Action, at: Timestamp) {
        self.take(item, action, at, u32::from(action == Action::Bought));
    }

    fn take(&mut self, item: &str, action: Action, at: Timestamp, times: u32) {
        if item.is_empty() || item.len() > ITEM_BYTES_MAX {
            return;
        }
        match self.items.iter_mut().find(|touch| touch.item == item) {
            Some(touch) => {
                touch.action = touch.action.max(action);
                touch.at = touch.at.max(at);
                touch.times = touch.times.saturating_add(times);
            }
            None => self.items.push(Touch { item: item.to_owned(), action, at, times }),
        }
        self.forget();
    }

    /// Notes what a mail offered.
    pub fn show(&mut self, mut items: Vec<String>, at: Timestamp) {
        items.truncate(SHOWN_ITEMS_MAX);
        self.shown.push((at, items));
        self.shown.sort();
        let old = self.shown.len().saturating_sub(SHOWN_MAILS_MAX);
        self.shown.drain(..old);
    }

    /// What the last so many mails offered.
    pub fn shown_in_last(&self, mails: usize) -> HashSet<&str> {
        let last = self.shown.iter().rev().take(mails);
        last.flat_map(|(_, items)| items.iter().map(String::as_str)).collect()
    }

    /// Takes in the history of a profile that turned out to be the same person.
    pub fn merge(&mut self, other: History) {
        for touch in other.items {
            self.take(&touch.item, touch.action, touch.at, touch.times);
        }
        for (at, items) in other.shown {
            self.show(items, at);
        }
    }

    /// Whether an item was bought.
    pub fn bought(&self, item: &str) -> bool {
        self.items.iter().any(|touch| touch.item == item && touch.action == Action::Bought)
    }

    /// Every item, in no order.
    pub fn items(&self) -> &[Touch] {
        &self.items
    }

    /// As a request wants it.
    pub fn seen(&self) -> Vec<Seen<'_>> {
        self.items
            .iter()
            .map(|touch| Seen { item: &touch.item, action: touch.action, at: touch.at, times: touch.times })
            .collect()
    }

    fn forget(&mut self) {
        for (bought, most) in [(false, HISTORY_MAX), (true, BOUGHT_MAX)] {
            let of_kind = |touch: &Touch| (touch.action == Action::Bought) == bought;
            if self.items.iter().filter(|touch| of_kind(touch)).count() <= most {
                continue;
            }
            let oldest = self
                .items
                .iter()
                .enumerate()
                .filter(|(_, touch)| of_kind(touch))
                .min_by(|(_, a), (_, b)| (a.at, &a.item).cmp(&(b.at, &b.item)));
            if let Some((place, _)) = oldest {
                self.items.remove(place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    #[test]
    fn an_item_is_kept_once_with_its_strongest_action_and_latest_time_in_any_order() {
        let steps = [(Action::Viewed, 1), (Action::Bought, 2), (Action::Viewed, 3)];
        let mut forwards = History::default();
        let mut backwards = History::default();
        for (action, second) in steps {
            forwards.note("p", action, at(second));
        }
        for (action, second) in steps.into_iter().rev() {
            backwards.note("p", action, at(second));
        }
        assert_eq!(forwards, backwards);
        assert_eq!(forwards.items, [Touch { item: "p".into(), action: Action::Bought, at: at(3), times: 1 }]);
    }

    #[test]
    fn a_thousand_views_push_out_the_oldest_views_and_no_purchase() {
        let mut history = History::default();
        history.note("bought", Action::Bought, at(0));
        for n in 0..1_000 {
            history.note(&format!("p{n}"), Action::Viewed, at(n));
        }
        assert!(history.bought("bought"));
        assert_eq!(history.items.len(), HISTORY_MAX + 1);
        assert!(history.items.iter().any(|touch| touch.item == "p999"));
        assert!(!history.items.iter().any(|touch| touch.item == "p949"));
    }

    #[test]
    fn a_merged_profile_keeps_what_both_did() {
        let (mut ours, mut theirs) = (History::default(), History::default());
        ours.note("a", Action::Viewed, at(1));
        theirs.note("a", Action::Bought, at(0));
        theirs.note("b", Action::Added, at(2));
        ours.merge(theirs);
        assert!(ours.bought("a") && !ours.bought("b"));
        assert_eq!(ours.items.len(), 2);
    }

    #[test]
    fn the_last_mails_are_remembered_in_any_order_of_arrival() {
        let mut history = History::default();
        for n in [3, 1, 2, 7, 5, 6, 4] {
            history.show(vec![format!("p{n}")], at(n));
        }
        let last = |mails| {
            let mut found: Vec<&str> = history.shown_in_last(mails).into_iter().collect();
            found.sort_unstable();
            found
        };
        assert_eq!(last(2), ["p6", "p7"]);
        assert_eq!(last(99), ["p3", "p4", "p5", "p6", "p7"]);
        assert!(last(0).is_empty());
    }

    #[test]
    fn an_id_that_no_catalogue_can_have_is_not_kept() {
        let mut history = History::default();
        history.note("", Action::Viewed, at(1));
        history.note(&"x".repeat(101), Action::Viewed, at(1));
        assert!(history.items.is_empty());
    }
}
