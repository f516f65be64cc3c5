//! What the demo's shoppers do: visits with views, carts, orders and returns, and newsletters opened and clicked.

use model::time::{DAY, HOUR, MINUTE, SECOND};
use model::{Timestamp, Value};
use serde_json::json;

use super::people::{Shopper, anonymous_id, identify, user_id};
use super::random::Random;
use super::season;
use super::shop::{self, Item};

/// Days between two visits of the average shopper.
const VISIT_GAP_DAYS: f64 = 38.0;
/// Days between two newsletters.
const NEWSLETTER_DAYS: i64 = 14;
/// Orders below this pay for shipping. Units: cents.
const FREE_SHIPPING_CENTS: i64 = 5_000;
const SHIPPING_CENTS: i64 = 490;

/// Makes the calls of a shopper's visits; ids derive from the visit's number.
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

/// The calls of one visit while they are made.
struct Calls<'a> {
    visit: &'a Visit<'a>,
    number: u64,
    at: Timestamp,
    step: i64,
    out: Vec<Value>,
}

impl Calls<'_> {
    fn push(&mut self, kind: &str, name: &str, properties: Value) {
        self.at = self.at + (1 + self.step * 9 / 10);
        let mut call = self.visit.call(kind, name, properties, self.at);
        let id = user_id(self.visit.shopper.number);
        call["messageId"] =
            json!(format!("demo-{}-{id}-{}-{}", self.visit.seed, self.number, self.out.len()));
        self.out.push(call);
    }
}

impl Visit<'_> {
    fn call(&self, kind: &str, name: &str, properties: Value, at: Timestamp) -> Value {
        let number = self.shopper.number;
        let mut call = json!({
            "type": kind, "userId": user_id(number), "anonymousId": anonymous_id(number), "timestamp": at,
            "properties": properties,
        });
        call[if kind == "track" { "event" } else { "name" }] = json!(name);
        call
    }

    /// The calls of visit number `number`, oldest first. Times spread over some minutes, or seconds when `quick`.
    pub fn calls(&self, number: u64, start: Timestamp, quick: bool) -> Vec<Value> {
        let mut random =
            Random::new(self.seed ^ 0xA11CE, ((self.shopper.number as u64) << 24) | (number & 0xFF_FFFF));
        let step = if quick { 2 * SECOND } else { MINUTE };
        let mut calls = Calls { visit: self, number, at: start, step, out: Vec::new() };
        let home = json!({"url": format!("{}/demo", self.base), "path": "/demo", "title": "Shop"});
        calls.push("page", "Shop", home);
        if random.chance(0.5) {
            calls.push("track", "Product List Viewed", json!({"category": self.shopper.favourite}));
        }
        let mut cart: Vec<(&Item, u32)> = Vec::new();
        for _ in 0..=random.below(4) {
            let item = self.choose(&mut random);
            calls.push("track", "Product Viewed", shop::row(item, self.base));
            if random.chance(0.35) {
                let quantity = 1 + u32::from(random.chance(0.2));
                calls.push("track", "Product Added", self.added(item, quantity, number));
                cart.push((item, quantity));
            }
        }
        if cart.len() > 1
            && random.chance(0.15)
            && let Some((item, quantity)) = cart.pop()
        {
            calls.push("track", "Product Removed", self.added(item, quantity, number));
        }
        if !cart.is_empty() && random.chance(0.7) {
            let order = self.order(&cart, number, start, &mut random);
            let started =
                json!({"cart_id": self.cart_id(number), "value": order["subtotal"], "currency": "EUR"});
            calls.push("track", "Checkout Started", started);
            if random.chance(0.72) {
                if order["coupon"].is_string() {
                    let applied = json!({"order_id": order["order_id"], "coupon_id": order["coupon"], "discount": order["discount"]});
                    calls.push("track", "Coupon Applied", applied);
                }
                calls.push("track", "Order Completed", order);
            }
        }
        calls.out
    }

    /// A cart that is filled and left: what the abandoned-cart journey waits for.
    pub fn abandoned(&self, number: u64, start: Timestamp) -> Vec<Value> {
        let mut random = Random::new(self.seed, number);
        let mut calls = Calls { visit: self, number, at: start, step: 2 * SECOND, out: Vec::new() };
        let home = json!({"url": format!("{}/demo", self.base), "path": "/demo", "title": "Shop"});
        calls.push("page", "Shop", home);
        let (seen, item) = (self.choose(&mut random), self.choose(&mut random));
        calls.push("track", "Product Viewed", shop::row(seen, self.base));
        calls.push("track", "Product Viewed", shop::row(item, self.base));
        calls.push("track", "Product Added", self.added(item, 1, number));
        calls.out
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

    fn cart_id(&self, number: u64) -> String {
        format!("cart-{}-{number}", self.shopper.number)
    }

    fn added(&self, item: &Item, quantity: u32, number: u64) -> Value {
        let mut properties = shop::product(item, quantity, self.base);
        properties["cart_id"] = json!(self.cart_id(number));
        properties
    }

    /// `revenue` is what the goods bring after the discount, without shipping.
    fn order(&self, cart: &[(&Item, u32)], number: u64, at: Timestamp, random: &mut Random) -> Value {
        let products: Vec<Value> = cart.iter().map(|(item, n)| shop::product(item, *n, self.base)).collect();
        let subtotal: i64 =
            cart.iter().map(|(item, n)| (item.price * 100.0).round() as i64 * i64::from(*n)).sum();
        let (month, _) = season::month_and_day(at);
        let (coupon, percent) = match () {
            () if month == 11 && random.chance(0.4) => (Some("NOVEMBER20"), 20),
            () if number == 1 && random.chance(0.5) => (Some("WELCOME10"), 10),
            () if random.chance(0.06) => (Some("THANKS5"), 5),
            () => (None, 0),
        };
        let discount = subtotal * percent / 100;
        let shipping = if subtotal - discount >= FREE_SHIPPING_CENTS { 0 } else { SHIPPING_CENTS };
        let mut order = json!({
            "order_id": format!("order-{}-{number}", self.shopper.number), "cart_id": self.cart_id(number),
            "subtotal": euros(subtotal), "discount": euros(discount), "revenue": euros(subtotal - discount),
            "shipping": euros(shipping), "total": euros(subtotal - discount + shipping), "currency": "EUR",
            "products": products,
        });
        if let Some(coupon) = coupon {
            order["coupon"] = json!(coupon);
        }
        order
    }

    /// Some of what was ordered comes back after a while.
    fn returned(&self, order: &Value, random: &mut Random) -> Option<Value> {
        if order["event"] != "Order Completed" || !random.chance(0.08) {
            return None;
        }
        let ordered_at = Timestamp::parse(order["timestamp"].as_str()?)?;
        let at = ordered_at + (4 + random.below(16) as i64) * DAY;
        let (order_id, product) = (&order["properties"]["order_id"], order["properties"]["products"].get(0)?);
        let properties = json!({
            "order_id": order_id, "currency": "EUR", "total": product["price"], "products": [product],
            "reason": *random.pick(&["does not fit", "changed my mind", "arrived damaged"]),
        });
        let mut call = self.call("track", "Order Refunded", properties, at);
        call["messageId"] = json!(format!("demo-{}-{}-refund", self.seed, order_id.as_str()?));
        Some(call)
    }

    fn newsletters(&self, now: Timestamp, random: &mut Random, out: &mut Vec<Value>) {
        let first = self.shopper.joined_at.micros().div_euclid(NEWSLETTER_DAYS * DAY) + 1;
        let id = user_id(self.shopper.number);
        for issue in first..=now.micros().div_euclid(NEWSLETTER_DAYS * DAY) {
            let sent_at = Timestamp::from_micros(issue * NEWSLETTER_DAYS * DAY + 9 * HOUR);
            let opened = random.chance(0.75 * self.shopper.openness);
            let at = season::hour_of_day(random, sent_at + DAY / 2, self.shopper.place.offset_h);
            if !opened || at >= now - HOUR || at < sent_at {
                continue;
            }
            let mut push = |event: &str, at: Timestamp, extra: Option<String>| {
                let mut properties = json!({"campaign": "Newsletter", "issue": issue, "actor": "person"});
                if let Some(url) = extra {
                    properties["link_url"] = json!(url);
                }
                let mut call = self.call("track", event, properties, at);
                call["messageId"] = json!(format!("demo-{}-{id}-letter-{issue}-{event}", self.seed));
                out.push(call);
            };
            push("Email Opened", at, None);
            if random.chance(0.3) {
                push("Email Link Clicked", at + MINUTE, Some(format!("{}/demo", self.base)));
            }
        }
    }
}

fn euros(cents: i64) -> f64 {
    cents as f64 / 100.0
}

/// The shopper's history before `now`: identify, then visits at the shopper's own pace; oldest visit first.
pub fn history(seed: u64, shopper: &Shopper, items: &[Item], base: &str, now: Timestamp) -> Vec<Value> {
    let mut random = Random::new(seed, 3_000_000 + shopper.number as u64);
    let visit = Visit { seed, shopper, items, base };
    let mut out = vec![identify(seed, shopper)];
    let busiest = 1.8;
    let mut day = shopper.joined_at;
    let mut number = 0;
    let end = shopper.lapsed_at.map_or(now, |at| at.min(now)) - HOUR;
    loop {
        // More days than are wanted are drawn, and the quiet ones are left out: seasons and weekdays show.
        day = day
            + (random.exponential(VISIT_GAP_DAYS / shopper.activity / busiest).max(0.05) * DAY as f64) as i64;
        if day > end {
            break;
        }
        if !random.chance(season::day_factor(day) / busiest) {
            continue;
        }
        let at = season::hour_of_day(&mut random, day, shopper.place.offset_h);
        if at < shopper.joined_at || at > end {
            continue;
        }
        number += 1;
        let calls = visit.calls(number, at, false);
        let returned = calls.last().and_then(|order| visit.returned(order, &mut random));
        out.extend(calls);
        out.extend(returned.filter(|call| {
            call["timestamp"].as_str().and_then(Timestamp::parse).is_some_and(|at| at < now - HOUR)
        }));
    }
    visit.newsletters(end + HOUR, &mut random, &mut out);
    for call in &mut out {
        call["context"] = json!({"backfill": true, "library": {"name": "rapport-demo"}});
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::people::shopper;
    use super::*;

    #[test]
    fn a_history_lies_in_the_past_and_repeats_with_the_seed() {
        let now = Timestamp::parse("2026-11-01T00:00:00Z").unwrap();
        let items = shop::catalogue(7);
        for number in 0..200 {
            let one = shopper(7, number, &items, now);
            let calls = history(7, &one, &items, "http://localhost", now);
            assert_eq!(calls, history(7, &shopper(7, number, &items, now), &items, "http://localhost", now));
            let ids: std::collections::BTreeSet<_> =
                calls.iter().map(|c| c["messageId"].to_string()).collect();
            assert_eq!(ids.len(), calls.len());
            for call in &calls {
                assert!(Timestamp::parse(call["timestamp"].as_str().unwrap()).unwrap() <= now);
            }
        }
    }

    #[test]
    fn an_order_adds_up_to_the_cent() {
        let now = Timestamp::parse("2026-11-01T00:00:00Z").unwrap();
        let items = shop::catalogue(7);
        let mut orders = 0;
        for number in 0..300 {
            for call in history(7, &shopper(7, number, &items, now), &items, "", now) {
                if call["event"] != "Order Completed" {
                    continue;
                }
                orders += 1;
                let cents = |name: &str| (call["properties"][name].as_f64().unwrap() * 100.0).round() as i64;
                assert_eq!(cents("subtotal") - cents("discount"), cents("revenue"), "{call}");
                assert_eq!(cents("revenue") + cents("shipping"), cents("total"), "{call}");
            }
        }
        assert!(orders > 100, "{orders}");
    }
}
