//! The demo's shoppers: openly synthetic, decided by the seed alone. Who they are; `visit` says what they do.

use model::time::DAY;
use model::{Timestamp, Value};
use serde_json::json;

use super::places::{self, COUNTRIES, Country, DOMAINS, Place};
use super::random::Random;
use super::shop::Item;

/// What people may be interested in, and the shelf that goes with it.
const INTERESTS: &[(&str, &str)] = &[
    ("fitness", "Fitness"),
    ("running", "Shoes"),
    ("cooking", "Kitchen"),
    ("travel", "Outdoor"),
    ("reading", "Books"),
    ("fashion", "Luxury"),
];

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
    /// When the shopper stopped coming and reading, for those who did.
    pub lapsed_at: Option<Timestamp>,
    /// Where names come from.
    pub country: &'static Country,
    /// Where the shopper lives.
    pub place: &'static Place,
}

/// The shoppers' own ids: `shopper-00042`.
pub fn user_id(number: usize) -> String {
    format!("shopper-{number:05}")
}

/// The browser of a shopper.
pub fn anonymous_id(number: usize) -> String {
    format!("demo-browser-{number:05}")
}

/// The shopper with this number.
pub fn shopper(seed: u64, number: usize, items: &[Item], now: Timestamp) -> Shopper {
    let mut random = Random::new(seed, 1_000 + number as u64);
    let mut share = random.below(100);
    let country = COUNTRIES
        .iter()
        .find(|country| {
            let here = share < country.share;
            share = share.saturating_sub(country.share);
            here
        })
        .unwrap_or(&COUNTRIES[0]);
    let joined_at = now - (random.unit() * 365.0 * DAY as f64) as i64;
    let stayed = random.exponential(80.0).max(10.0);
    let lapsed_at = random.chance(0.3).then(|| joined_at + (stayed * DAY as f64) as i64);
    Shopper {
        number,
        activity: random.exponential(1.0).clamp(0.1, 6.0),
        openness: random.unit(),
        favourite: random.pick(items).category,
        joined_at,
        lapsed_at,
        country,
        place: random.pick(country.places),
    }
}

/// The shopper's `identify` call.
pub fn identify(seed: u64, shopper: &Shopper) -> Value {
    let mut random = Random::new(seed, 2_000_000 + shopper.number as u64);
    let Shopper { country, place, .. } = shopper;
    let (first, last) = (*random.pick(country.first), *random.pick(country.last));
    let id = user_id(shopper.number);
    let address = format!(
        "{}.{}.{:05}@{}",
        places::ascii(first),
        places::ascii(last),
        shopper.number,
        random.pick(DOMAINS)
    );
    let interests: Vec<&str> = INTERESTS
        .iter()
        .filter(|(_, shelf)| random.chance(if *shelf == shopper.favourite { 0.85 } else { 0.25 }))
        .map(|(name, _)| *name)
        .collect();
    let mut traits = json!({
        "email": address, "age": 18 + (random.unit().powf(1.3) * 60.0) as i64,
        "address": {"city": place.name, "country": country.code}, "country": country.code,
        "timezone": place.zone, "locale": country.locale, "interests": interests, "urban": place.urban,
        "created_at": shopper.joined_at,
    });
    // Not everybody said yes to mail, and some never told their name: the gate and templates must cope.
    traits["marketing"] = json!(random.chance(0.92));
    if random.chance(0.9) {
        traits["first_name"] = json!(first);
        traits["last_name"] = json!(last);
    }
    json!({
        "type": "identify", "userId": id, "anonymousId": anonymous_id(shopper.number), "traits": traits,
        "messageId": format!("demo-{seed}-{id}-identify"), "timestamp": shopper.joined_at,
    })
}

#[cfg(test)]
mod tests {
    use super::super::shop;
    use super::*;

    #[test]
    fn people_are_of_many_countries_and_no_address_can_belong_to_anybody() {
        let now = Timestamp::parse("2026-11-01T00:00:00Z").unwrap();
        let items = shop::catalogue(7);
        let mut countries = std::collections::BTreeMap::new();
        let mut addresses = std::collections::BTreeSet::new();
        for number in 0..2_000 {
            let shopper = shopper(7, number, &items, now);
            *countries.entry(shopper.country.code).or_insert(0) += 1;
            let call = identify(7, &shopper);
            let address = call["traits"]["email"].as_str().unwrap().to_owned();
            let (local, domain) = address.split_once('@').unwrap();
            assert!(
                local.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.'),
                "{address}"
            );
            assert!(domain.ends_with(".example") || domain.starts_with("example."), "{address}");
            assert!(addresses.insert(address));
        }
        assert_eq!(countries.len(), COUNTRIES.len(), "{countries:?}");
    }
}
