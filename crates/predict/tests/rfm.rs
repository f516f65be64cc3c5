//! Fifths, groups and what is made of orders.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use model::Timestamp;
use model::time::DAY;
use predict::{Customer, Group, Order, Purchases, group_of, scores, summarise};
use proptest::prelude::*;

fn customer(id: i64, last: i64, orders: u32, total: f64) -> Customer {
    let last_at = Timestamp::from_micros(last * DAY);
    let purchases = Purchases { repeats: 0, last: 0.0, age: 0.0, mean: 0.0 };
    Customer { id, orders, first_at: last_at, last_at, total, purchases }
}

proptest! {
    #[test]
    fn equal_values_have_equal_scores_and_a_higher_value_never_a_lower_one(
        all in proptest::collection::vec((0..30i64, 1..6u32, 0..40u32), 1..200)
    ) {
        let customers: Vec<Customer> =
            all.iter().map(|(last, orders, total)| customer(0, *last, *orders, f64::from(*total))).collect();
        let found = scores(&customers);
        for (one, left) in customers.iter().zip(&found) {
            for (two, right) in customers.iter().zip(&found) {
                prop_assert!(one.last_at > two.last_at || left.recency <= right.recency);
                prop_assert!(one.last_at != two.last_at || left.recency == right.recency);
                prop_assert!(one.orders != two.orders || left.frequency == right.frequency);
                prop_assert!(one.orders > two.orders || left.frequency <= right.frequency);
                prop_assert!(one.total != two.total || left.monetary == right.monetary);
            }
            prop_assert!((1..=5).contains(&left.recency) && (1..=5).contains(&left.monetary));
        }
    }
}

#[test]
fn a_hundred_different_values_fall_into_five_fifths_of_twenty() {
    let customers: Vec<Customer> = (0..100).map(|n| customer(n, n, n as u32, n as f64)).collect();
    let found = scores(&customers);
    for fifth in 1..=5 {
        assert_eq!(found.iter().filter(|each| each.recency == fifth).count(), 20);
        assert_eq!(found.iter().filter(|each| each.frequency == fifth).count(), 20);
    }
    assert_eq!(scores(&customers[..1])[0].recency, 1);
    assert!(scores(&[]).is_empty());
}

#[test]
fn every_place_of_the_grid_has_the_documented_group_and_every_group_a_place() {
    let rows = [
        "lost lost at_risk at_risk cannot_lose",
        "hibernating hibernating at_risk at_risk cannot_lose",
        "about_to_sleep about_to_sleep needs_attention loyal loyal",
        "promising potential_loyalist potential_loyalist loyal loyal",
        "new potential_loyalist potential_loyalist champions champions",
    ];
    let mut seen = Vec::new();
    for (row, names) in rows.iter().enumerate() {
        for (column, name) in names.split(' ').enumerate() {
            let group = group_of(row as u8 + 1, column as u8 + 1);
            assert_eq!(group.name().replace(' ', "_"), name, "recency {}, frequency {}", row + 1, column + 1);
            seen.push(group);
        }
    }
    assert!(Group::ALL.iter().all(|group| seen.contains(group)));
}

#[test]
fn orders_of_one_day_are_one_purchase_to_the_models_and_each_an_order_to_rfm() {
    let order = |day: i64, hour: i64, value: f64| Order {
        at: Timestamp::from_micros(day * DAY + hour * DAY / 24),
        day,
        value,
    };
    let now = Timestamp::from_micros(40 * DAY);
    let orders = vec![
        order(30, 12, 5.0),
        order(10, 9, 20.0),
        order(10, 18, 30.0),
        order(20, 12, 7.0),
        order(99, 0, 1.0),
    ];
    let found = summarise(7, orders, now).unwrap();
    assert_eq!((found.orders, found.total), (4, 62.0));
    assert_eq!(found.purchases, Purchases { repeats: 2, last: 20.0, age: 29.5, mean: 6.0 });
    assert_eq!(summarise(7, vec![order(41, 0, 1.0)], now), None, "what is ahead has not happened");
}
