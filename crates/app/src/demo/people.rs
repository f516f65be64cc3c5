//! The demo's shoppers and what they do: openly synthetic, decided by the seed alone.

use model::time::{DAY, HOUR, MINUTE, SECOND};
use model::{Timestamp, Value};
use serde_json::json;

use super::random::Random;
use super::shop::{self, Item};

const PLANTS: &[&str] = &[
    "Alder", "Basil", "Cedar", "Clover", "Fennel", "Hazel", "Heather", "Iris", "Juniper", "Laurel", "Linden",
    "Maple", "Olive", "Poppy", "Rowan", "Sage", "Sorrel", "Tansy", "Willow", "Yarrow",
];
const CITIES: &[(&str, &str, &str)] = &[
    ("Berlin", "DE", "Europe/Berlin"),
    ("Dhaka", "BD", "Asia/Dhaka"),
    ("Lisbon", "PT", "Europe/Lisbon"),
    ("London", "GB", "Europe/London"),
    ("Mumbai", "IN", "Asia/Kolkata"),
    ("New York", "US", "America/New_York"),
    ("Paris", "FR", "Europe/Paris"),
    ("Tokyo", "JP", "Asia/Tokyo"),
];
const INTERESTS: &[&str] = &["fitness", "cooking", "travel", "reading", "fashion", "gardening"];

/// One synthetic shopper.
#[derive(Clone, Debug)]
pub struct Shopper {
    /// From 0.
    pub number: usize,
    /// How much the shopper does: 1 is the average.
    pub activity: f64,
    /// How readily mails are opened.
    pub openness: f64,
    /// The favourite shelf.
    pub favourite: &'static str,
    /// When the shopper signed up.
    pub joined_at: Timestamp,
}

/// The shoppers' own ids: `shopper-00042`.
pub fn user_id(number: usize) -> String {
    format!("shopper-{number:05}")
}

/// The shopper with this number.
pub fn shopper(seed: u64, number: usize, items: &[Item], now: Timestamp) -> Shopper {
    let mut random = Random::new(seed, 1_000 + number as u64);
    Shopper {
        number,
        activity: random.exponential(1.0).clamp(0.1, 6.0),
        openness: random.unit(),
        favourite: random.pick(items).category,
        joined_at: now - (random.unit() * 365.0 * DAY as f64) as i64,
    }
}

/// The shopper's `identify` call.
pub fn identify(seed: u64, shopper: &Shopper) -> Value {
    let mut random = Random::new(seed, 2_000_000 + shopper.number as u64);
    let first = random.pick(PLANTS);
    let (city, country, timezone) = random.pick(CITIES);
    let id = user_id(shopper.number);
    let interests: Vec<&str> = INTERESTS.iter().filter(|_| random.chance(0.35)).copied().collect();
    let mut traits = json!({
        "email": format!("{id}@shop.example"), "last_name": "Sample",
        "age": 18 + random.below(55), "address": {"city": city, "country": country}, "country": country,
        "timezone": timezone, "interests": interests, "marketing": true,
        "urban": random.chance(0.7), "created_at": shopper.joined_at,
    });
    // Some never told their name: templates must cope.
    if random.chance(0.9) {
        traits["first_name"] = json!(first);
    }
    json!({
        "type": "identify", "userId": id, "anonymousId": anonymous_id(shopper.number), "traits": traits,
        "messageId": format!("demo-{seed}-{id}-identify"), "timestamp": shopper.joined_at,
    })
}

fn anonymous_id(number: usize) -> String {
    format!("demo-browser-{number:05}")
}

/// Makes the calls of one visit that begins at `start`; ids derive from `visit`.
pub struct Visit<'a> {
    /// The seed of the shop.
    pub seed: u64,
    /// Who visits.
    pub shopper: &'a Shopper,
    /// The catalogue.
    pub items: &'a [Item],
    /// Where the shop's pages are.
    pub base: &'a str,
}

impl Visit<'_> {
    /// The calls of visit number `visit`, oldest first. Times spread over some minutes, or seconds when `quick`.
    pub fn calls(&self, visit: u64, start: Timestamp, quick: bool) -> Vec<Value> {
        let mut random =
            Random::new(self.seed ^ 0xA11CE, ((self.shopper.number as u64) << 24) | (visit & 0xFF_FFFF));
        let step = if quick { 2 * SECOND } else { MINUTE };
        let mut out = Vec::new();
        let mut at = start;
        let mut push = |event: Option<&str>, properties: Value, at: &mut Timestamp| {
            *at = *at + (1 + (step as f64 * 0.9) as i64);
            let id = user_id(self.shopper.number);
            let message_id = format!("demo-{}-{id}-{visit}-{}", self.seed, out.len());
            let common = json!({
                "userId": id, "anonymousId": anonymous_id(self.shopper.number), "messageId": message_id,
                "timestamp": *at, "properties": properties,
            });
            let mut call = common;
            match event {
                Some(name) => {
                    call["type"] = json!("track");
                    call["event"] = json!(name);
                }
                None => {
                    call["type"] = json!("page");
                    call["name"] = json!("Shop");
                }
            }
            out.push(call);
        };
        push(None, json!({"url": format!("{}/demo", self.base), "path": "/demo", "title": "Shop"}), &mut at);
        let mut cart: Vec<(&Item, u32)> = Vec::new();
        for _ in 0..=random.below(4) {
            let item = self.choose(&mut random);
            push(Some("Product Viewed"), shop::row(item, self.base), &mut at);
            if random.chance(0.35) {
                let quantity = 1 + random.below(2) as u32;
                push(Some("Product Added"), self.added(item, quantity, visit), &mut at);
                cart.push((item, quantity));
            }
        }
        if !cart.is_empty() && random.chance(0.6) {
            let value = total(&cart);
            push(Some("Checkout Started"), json!({"cart_id": self.cart_id(visit), "value": value}), &mut at);
            if random.chance(0.65) {
                push(Some("Order Completed"), self.order(&cart, visit), &mut at);
            }
        }
        out
    }

    /// A cart that is filled and left: what the abandoned-cart journey waits for.
    pub fn abandoned(&self, visit: u64, start: Timestamp) -> Vec<Value> {
        let mut calls = self.calls(visit, start, true);
        let mut random = Random::new(self.seed, visit);
        let item = self.choose(&mut random);
        calls.retain(|call| {
            !matches!(call["event"].as_str(), Some("Product Added" | "Checkout Started" | "Order Completed"))
        });
        let mut call = calls.first().cloned().unwrap_or_default();
        call["type"] = json!("track");
        call["event"] = json!("Product Added");
        call["properties"] = self.added(item, 1, visit);
        call["messageId"] =
            json!(format!("demo-{}-{}-{visit}-cart", self.seed, user_id(self.shopper.number)));
        calls.push(call);
        calls
    }

    fn choose(&self, random: &mut Random) -> &Item {
        let favourite = random.chance(0.6);
        for _ in 0..20 {
            let item = random.pick(self.items);
            if !favourite || item.category == self.shopper.favourite {
                return item;
            }
        }
        random.pick(self.items)
    }

    fn cart_id(&self, visit: u64) -> String {
        format!("cart-{}-{visit}", self.shopper.number)
    }

    fn added(&self, item: &Item, quantity: u32, visit: u64) -> Value {
        let mut properties = shop::product(item, quantity, self.base);
        properties["cart_id"] = json!(self.cart_id(visit));
        properties
    }

    fn order(&self, cart: &[(&Item, u32)], visit: u64) -> Value {
        let products: Vec<Value> = cart.iter().map(|(item, n)| shop::product(item, *n, self.base)).collect();
        let revenue = total(cart);
        json!({
            "order_id": format!("order-{}-{visit}", self.shopper.number), "cart_id": self.cart_id(visit),
            "revenue": revenue, "total": revenue, "currency": "EUR", "products": products,
        })
    }
}

fn total(cart: &[(&Item, u32)]) -> f64 {
    let cents: f64 = cart.iter().map(|(item, n)| (item.price * 100.0).round() * f64::from(*n)).sum();
    cents / 100.0
}

/// The shopper's history before `now`: identify, then visits at the shopper's own pace; oldest first.
pub fn history(seed: u64, shopper: &Shopper, items: &[Item], base: &str, now: Timestamp) -> Vec<Value> {
    let mut random = Random::new(seed, 3_000_000 + shopper.number as u64);
    let mut out = vec![identify(seed, shopper)];
    let visit = Visit { seed, shopper, items, base };
    let gap = 45.0 / shopper.activity;
    let mut at = shopper.joined_at;
    for number in 1.. {
        at = at + (random.exponential(gap).max(0.1) * DAY as f64) as i64;
        if at > now - HOUR {
            break;
        }
        out.extend(visit.calls(number, at, false));
        if random.chance(0.5 * shopper.openness) {
            out.extend(engagement(seed, shopper, number, at + 3 * HOUR, random.chance(0.4)));
        }
    }
    for call in &mut out {
        call["context"] = json!({"backfill": true, "library": {"name": "rapport-demo"}});
    }
    out
}

fn engagement(seed: u64, shopper: &Shopper, visit: u64, at: Timestamp, clicked: bool) -> Vec<Value> {
    let id = user_id(shopper.number);
    let call = |event: &str, at: Timestamp| {
        json!({
            "type": "track", "event": event, "userId": id, "timestamp": at,
            "messageId": format!("demo-{seed}-{id}-{visit}-{event}"),
            "properties": {"campaign": "Demo newsletter", "actor": "person"},
        })
    };
    let mut out = vec![call("Email Opened", at)];
    if clicked {
        out.push(call("Email Link Clicked", at + MINUTE));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_lies_in_the_past_and_repeats_with_the_seed() {
        let now = Timestamp::parse("2026-11-01T00:00:00Z").unwrap();
        let items = shop::catalogue(7);
        let one = shopper(7, 42, &items, now);
        let calls = history(7, &one, &items, "http://localhost", now);
        assert_eq!(calls, history(7, &shopper(7, 42, &items, now), &items, "http://localhost", now));
        let ids: std::collections::BTreeSet<_> = calls.iter().map(|c| c["messageId"].to_string()).collect();
        assert_eq!(ids.len(), calls.len());
        for call in &calls {
            assert!(Timestamp::parse(call["timestamp"].as_str().unwrap()).unwrap() <= now);
        }
    }
}
