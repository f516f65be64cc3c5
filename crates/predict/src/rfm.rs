//! RFM: how recently, how often and for how much, each from 1 to 5 beside all other customers; and names for the mix.

use serde::{Deserialize, Serialize};

use crate::customer::Customer;

/// Scores from 1 (lowest fifth) to 5 (highest).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rfm {
    /// How recently; 5 is the most recent fifth.
    pub recency: u8,
    /// How often.
    pub frequency: u8,
    /// For how much altogether.
    pub monetary: u8,
}

/// A name for recency and frequency together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it; docs/predictions.md says what each stands for")]
pub enum Group {
    Champions,
    Loyal,
    PotentialLoyalist,
    New,
    Promising,
    NeedsAttention,
    AboutToSleep,
    AtRisk,
    CannotLose,
    Hibernating,
    Lost,
}

impl Group {
    /// All groups, the best first.
    pub const ALL: [Group; 11] = [
        Group::Champions,
        Group::Loyal,
        Group::PotentialLoyalist,
        Group::New,
        Group::Promising,
        Group::NeedsAttention,
        Group::AboutToSleep,
        Group::AtRisk,
        Group::CannotLose,
        Group::Hibernating,
        Group::Lost,
    ];

    /// What the attribute `rfm_group` says.
    pub const fn name(self) -> &'static str {
        match self {
            Group::Champions => "champions",
            Group::Loyal => "loyal",
            Group::PotentialLoyalist => "potential loyalist",
            Group::New => "new",
            Group::Promising => "promising",
            Group::NeedsAttention => "needs attention",
            Group::AboutToSleep => "about to sleep",
            Group::AtRisk => "at risk",
            Group::CannotLose => "cannot lose",
            Group::Hibernating => "hibernating",
            Group::Lost => "lost",
        }
    }
}

/// The group of a recency and a frequency.
pub const fn group_of(recency: u8, frequency: u8) -> Group {
    match (recency, frequency) {
        (5, 4 | 5) => Group::Champions,
        (3 | 4, 4 | 5) => Group::Loyal,
        (4 | 5, 2 | 3) => Group::PotentialLoyalist,
        (5, _) => Group::New,
        (4, _) => Group::Promising,
        (3, 3) => Group::NeedsAttention,
        (3, _) => Group::AboutToSleep,
        (1 | 2, 5) => Group::CannotLose,
        (1 | 2, 3 | 4) => Group::AtRisk,
        (2, _) => Group::Hibernating,
        _ => Group::Lost,
    }
}

/// The scores of each customer, in their order.
///
/// A score is 1 + ⌊5 · (customers with a strictly lower value) / (customers)⌋: equal values have equal scores, and a
/// fifth may be empty when many share a value.
pub fn scores(customers: &[Customer]) -> Vec<Rfm> {
    let recency = fifths(customers, |one| one.last_at.micros() as f64);
    let frequency = fifths(customers, |one| f64::from(one.orders));
    let monetary = fifths(customers, |one| one.total);
    let one = |at: usize| Rfm { recency: recency[at], frequency: frequency[at], monetary: monetary[at] };
    (0..customers.len()).map(one).collect()
}

fn fifths(customers: &[Customer], value: impl Fn(&Customer) -> f64) -> Vec<u8> {
    let mut sorted: Vec<f64> = customers.iter().map(&value).collect();
    sorted.sort_by(f64::total_cmp);
    let score = |one: &Customer| {
        let own = value(one);
        let below = sorted.partition_point(|each| *each < own);
        (1 + 5 * below / customers.len()).min(5) as u8
    };
    customers.iter().map(score).collect()
}
