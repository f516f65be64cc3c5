//! `cargo bench -p recommend`: how long one list takes, usual and at worst, and a fit; percentiles over five rounds.

use std::time::{Duration, Instant};

use model::Timestamp;
use recommend::{Action, Interaction, Item, Model, Request, Seen};

const ITEMS: u64 = 20_000;
const STEPS: usize = 200_000;
const LISTS: usize = 2_000;
const ROUNDS: usize = 5;

/// Draws of a linear congruential generator: the same in every run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

#[expect(clippy::disallowed_methods, reason = "a measurement")]
fn elapsed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    let out = work();
    (out, started.elapsed())
}

fn main() {
    // `cargo test --benches` runs this without `--bench`: once, to see that it works.
    let rounds = if std::env::args().any(|argument| argument == "--bench") { ROUNDS } else { 1 };
    let names: Vec<String> = (0..ITEMS).map(|n| format!("p{n}")).collect();
    let mut draw = Draw(1);
    let steps: Vec<(i64, usize)> = (0..STEPS)
        .map(|n| {
            let item = draw.below(ITEMS).min(draw.below(ITEMS)).min(draw.below(ITEMS));
            (n as i64 / 20, item as usize)
        })
        .collect();
    let fit = || {
        let interactions = steps.iter().enumerate().map(|(n, (profile, item))| Interaction {
            profile: *profile,
            item: &names[*item],
            action: Action::Viewed,
            at: Timestamp::from_secs(60 * n as i64),
        });
        let catalogue = names.iter().enumerate().map(|(n, id)| Item {
            category: Some(format!("c{}", n % 40)),
            attributes: vec![format!("b{}", n % 300)],
            ..Item::bare(id)
        });
        Model::fit(interactions, catalogue, Timestamp::from_secs(60 * STEPS as i64))
    };
    for round in 1..=rounds {
        let (model, fitting) = elapsed(fit);
        println!("round {round}: fit of {STEPS} interactions with {ITEMS} items in {fitting:.2?}");
        // Drawn from the most wanted items, which have the most neighbours.
        for (what, length, from) in
            [("a usual profile, 15 items", 15, ITEMS / 4), ("the worst, 50 of the most wanted", 50, 500)]
        {
            let mut took: Vec<Duration> = (0..LISTS)
                .map(|_| {
                    let history: Vec<Seen<'_>> = (0..length)
                        .map(|n| {
                            let item = &names[draw.below(from) as usize];
                            Seen::new(item, Action::Viewed, Timestamp::from_secs(600 * n))
                        })
                        .collect();
                    let (list, took) = elapsed(|| model.recommend(&Request::new(&history, 5), &|_| true));
                    assert_eq!(list.len(), 5);
                    took
                })
                .collect();
            took.sort_unstable();
            println!("  {what}: p50 {:.2?}, p99 {:.2?}", took[LISTS / 2], took[LISTS * 99 / 100]);
        }
    }
}
