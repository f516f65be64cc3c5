//! From orders to what the models ask of a customer.

use model::Timestamp;
use model::time::DAY;

/// An order of somebody.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Order {
    /// When.
    pub at: Timestamp,
    /// The day of the workspace's calendar it falls on, counted from any day.
    pub day: i64,
    /// What it was worth.
    pub value: f64,
}

/// What the models know of a customer. Units: days, or whatever a caller counts time in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Purchases {
    /// Times somebody bought again: distinct days with orders, less the first.
    pub repeats: u32,
    /// From the first to the last of them.
    pub last: f64,
    /// From the first of them to now.
    pub age: f64,
    /// What a repeated one was worth on average; 0 without any.
    pub mean: f64,
}

/// A customer with orders.
#[derive(Clone, Debug, PartialEq)]
pub struct Customer {
    /// Whoever it is, to the caller.
    pub id: i64,
    /// Orders.
    pub orders: u32,
    /// The first one.
    pub first_at: Timestamp,
    /// The last one.
    pub last_at: Timestamp,
    /// What all were worth.
    pub total: f64,
    /// What the models know.
    pub purchases: Purchases,
}

/// Sums up the orders of one customer as of an instant; `None` without orders.
pub fn summarise(id: i64, mut orders: Vec<Order>, now: Timestamp) -> Option<Customer> {
    orders.retain(|order| order.at <= now);
    orders.sort_by(|one, two| one.at.cmp(&two.at).then(one.value.total_cmp(&two.value)));
    let (first, last) = (orders.first()?, orders.last()?);
    let mut days: Vec<(i64, f64)> = Vec::new();
    for order in &orders {
        match days.last_mut() {
            Some((day, sum)) if *day == order.day => *sum += order.value,
            _ => days.push((order.day, order.value)),
        }
    }
    let (first_day, last_day) = (days.first()?.0, days.last()?.0);
    let repeats = days.len() as u32 - 1;
    let again: f64 = days[1..].iter().map(|(_, sum)| sum).sum();
    // Whole days of the calendar up to the last order, so that two orders a day apart are; the present goes on.
    let span = (last_day - first_day) as f64;
    let since_last = (now - last.at) as f64 / DAY as f64;
    let purchases = Purchases {
        repeats,
        last: span,
        age: span + since_last.max(0.0),
        mean: if repeats > 0 { (again / f64::from(repeats)).max(0.0) } else { 0.0 },
    };
    let total = orders.iter().map(|order| (order.value * 1e6).round()).sum::<f64>() / 1e6;
    Some(Customer { id, orders: orders.len() as u32, first_at: first.at, last_at: last.at, total, purchases })
}
