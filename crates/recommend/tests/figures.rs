//! Quality on published data sets and speed on a large catalogue. The data stays outside the repository.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use model::Timestamp;
use recommend::evaluate::{Figures, Ranker, Split, at, judge, last_out, next_steps};
use recommend::{Action, Aim, Interaction, Item, Model, Request, Seen, read, tune};

fn elapsed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    #[expect(clippy::disallowed_methods, reason = "a measurement")]
    let started = std::time::Instant::now();
    (work(), started.elapsed())
}

/// The bytes of a published file, or nothing where it is not there.
fn published(name: &str) -> Option<Vec<u8>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    let bytes = std::fs::read(&path).ok();
    if bytes.is_none() {
        println!("skipped: {} is not there", path.display());
    }
    bytes
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("text")
}

/// Fits with picked weights, and answers each kind of question by each ranker.
fn judged(
    name: &str,
    split: &Split<'_>,
    aim: Aim,
    items: &BTreeSet<&str>,
    attributes: &BTreeMap<String, Vec<u64>>,
) -> BTreeMap<(&'static str, Ranker), Figures> {
    let item = |id: &&str| Item {
        attributes: attributes.get(*id).into_iter().flatten().map(ToString::to_string).collect(),
        ..Item::bare(id)
    };
    let catalogue: Vec<Item> = items.iter().map(item).collect();
    let (tuned, tuning) =
        elapsed(|| tune(&split.train, catalogue.clone(), split.at, aim).expect("enough profiles"));
    let (model, fit) = elapsed(|| Model::fit(split.train.iter().copied(), catalogue, split.at));
    println!("{name}: fit of {} in {fit:?}; weights in {tuning:?}: {tuned:?}", split.train.len());
    let model = model.with_weights(tuned.weights);
    let mut out = BTreeMap::new();
    for (what, cases) in &split.cases {
        for ranker in Ranker::ALL {
            let figures = judge(&model, ranker, cases);
            println!(
                "{name}, {what}, {:<10}: HR@5 {:.4} NDCG@5 {:.4} MRR@20 {:.4} coverage {:.3} of {}",
                ranker.name(),
                figures.hit_rate_5,
                figures.ndcg_5,
                figures.mrr_20,
                figures.coverage,
                figures.cases
            );
            out.insert((*what, ranker), figures);
        }
    }
    out
}

#[test]
fn held_out_last_items_of_beauty_are_found_as_often_as_promised() {
    let Some(bytes) = published("s3rec-sequences/Beauty.txt") else { return };
    let Some(attributes) = published("s3rec-sequences/Beauty_item2attributes.json") else { return };
    let attributes = serde_json::from_slice(&attributes).expect("attributes");
    let text = text(bytes);
    let found = read::read(&text).unwrap();
    let items = found.interactions.iter().map(|one| one.item).collect();
    let figures = judged("Beauty", &last_out(&found.interactions), Aim::New, &items, &attributes);
    let ours = figures[&("last item", Ranker::Rapport)];
    assert!(ours.hit_rate_5 >= 0.060, "HR@5 is {}", ours.hit_rate_5);
    assert!(ours.ndcg_5 >= 0.044, "NDCG@5 is {}", ours.ndcg_5);
    assert!(ours.hit_rate_5 > figures[&("last item", Ranker::ItemKnn)].hit_rate_5);
}

/// The files of a ZIP archive that has no more than its directory needs.
fn unzip(bytes: &[u8]) -> BTreeMap<String, String> {
    let number = |at: usize, size: usize| {
        (0..size).rev().fold(0_usize, |all, n| all << 8 | usize::from(bytes[at + n]))
    };
    let end = bytes.windows(4).rposition(|window| window == b"PK\x05\x06").expect("a ZIP archive");
    let mut at = number(end + 16, 4);
    let mut out = BTreeMap::new();
    for _ in 0..number(end + 10, 2) {
        let (packed, local) = (number(at + 20, 4), number(at + 42, 4));
        let (name, extra, comment) = (number(at + 28, 2), number(at + 30, 2), number(at + 32, 2));
        let named = String::from_utf8_lossy(&bytes[at + 46..at + 46 + name]).into_owned();
        let from = local + 30 + number(local + 26, 2) + number(local + 28, 2);
        let mut text = String::new();
        if number(at + 10, 2) == 8 {
            flate2::read::DeflateDecoder::new(&bytes[from..from + packed])
                .read_to_string(&mut text)
                .expect("text");
        }
        out.insert(named, text);
        at += 46 + name + extra + comment;
    }
    out
}

#[test]
fn next_steps_of_sessions_are_found_as_soon_as_promised() {
    let Some(bytes) = published("serenade-example/example.zip") else { return };
    let files = unzip(&bytes);
    let of = |name: &str| files.iter().find(|(path, _)| path.ends_with(name)).map(|(_, text)| text.as_str());
    let train = read::read(of("train.txt").unwrap()).unwrap().interactions;
    let test = read::read(of("test.txt").unwrap()).unwrap().interactions;
    let items = train.iter().map(|one| one.item).collect();
    let figures = judged("Sessions", &next_steps(train, &test), Aim::Any, &items, &BTreeMap::new());
    let ours = figures[&("next step", Ranker::Rapport)];
    assert!(ours.mrr_20 >= 0.338, "MRR@20 is {}", ours.mrr_20);
}

#[test]
fn what_a_shop_sold_after_a_day_is_found_as_often_as_promised() {
    let Some(bytes) = published("online-retail/online_retail.csv.gz") else { return };
    let mut text = String::new();
    flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).expect("text");
    let found = read::read(&text).unwrap();
    assert_eq!(found.interactions.len(), 397_884, "the cleaned rows that its description counts");
    let split = at(&found.interactions, Timestamp::parse("2011-11-01").unwrap());
    let items = split.train.iter().map(|one| one.item).collect();
    let figures = judged("Shop", &split, Aim::New, &items, &BTreeMap::new());
    let (any, new) = (figures[&("any item", Ranker::Rapport)], figures[&("new item", Ranker::Rapport)]);
    assert!(any.hit_rate_5 >= 0.66, "HR@5 of any item is {}", any.hit_rate_5);
    assert!(new.hit_rate_5 >= 0.28, "HR@5 of new items is {}", new.hit_rate_5);
}

#[test]
fn a_list_from_twenty_thousand_items_is_full_and_its_time_is_printed() {
    let names: Vec<String> = (0..20_000).map(|n| format!("p{n}")).collect();
    let mut state = 1_u64;
    let mut draw = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let steps: Vec<(i64, usize)> = (0..200_000)
        .map(|n| {
            let item = draw(20_000).min(draw(20_000)).min(draw(20_000));
            (n / 20, item as usize)
        })
        .collect();
    let interactions = steps.iter().enumerate().map(|(n, (profile, item))| Interaction {
        profile: *profile,
        item: &names[*item],
        action: Action::Viewed,
        at: Timestamp::from_secs(n as i64),
    });
    let catalogue = names.iter().map(|id| Item {
        category: Some(format!("c{}", id.len() * 7 + id.as_bytes()[1] as usize)),
        ..Item::bare(id)
    });
    let (model, fit) = elapsed(|| Model::fit(interactions, catalogue, Timestamp::from_secs(1_000_000)));
    let mut took: Vec<Duration> = (0..500)
        .map(|_| {
            // The most read items have the most neighbours: the worst history there is.
            let history: Vec<Seen<'_>> = (0..50)
                .map(|n| Seen::new(&names[draw(500) as usize], Action::Viewed, Timestamp::from_secs(n)))
                .collect();
            let (list, took) = elapsed(|| model.recommend(&Request::new(&history, 5), &|_| true));
            assert_eq!(list.len(), 5);
            took
        })
        .collect();
    took.sort_unstable();
    // The figure to reach is a p99 of 2 ms, optimised.
    println!("20,000 items: fit of 200,000 in {fit:?}; a list p50 {:?}, p99 {:?}", took[250], took[495]);
}
