//! What a list of recommendations may hold, in which order and why.

use model::{Timestamp, time::DAY};
use proptest::prelude::*;
use recommend::{
    Action, Aim, Group, Interaction, Item, Model, Recommendation, Request, Seen, Signal, Source, Weights,
    tune,
};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn item(number: u32) -> Item {
    Item {
        id: format!("p{number}"),
        name: format!("Product {number}"),
        category: Some(format!("c{}", number % 3)),
        attributes: Vec::new(),
        created_at: NOW - i64::from(number) * DAY,
    }
}

fn viewed(profile: i64, item: &str, days_ago: i64) -> Interaction<'_> {
    Interaction { profile, item, action: Action::Viewed, at: NOW - days_ago * DAY }
}

fn seen(item: &str, action: Action) -> Seen<'_> {
    Seen::new(item, action, NOW - DAY)
}

fn ids(list: &[Recommendation]) -> Vec<&str> {
    list.iter().map(|entry| entry.item.as_str()).collect()
}

/// A model by which one signal alone speaks.
fn alone(signal: Signal, model: Model) -> Model {
    let mut weights = [0.0; 6];
    weights[signal as usize] = 1.0;
    model.with_weights(Weights::from_values(weights))
}

#[test]
fn what_follows_counts_more_than_what_came_before() {
    let model =
        Model::fit([viewed(1, "p0", 50), viewed(1, "p1", 49), viewed(1, "p2", 48)], (0..3).map(item), NOW);
    let model = alone(Signal::Follows, model);
    let history = [seen("p1", Action::Viewed)];
    let found = model.recommend(&Request::new(&history, 2), &|_| true);
    assert_eq!(ids(&found), ["p2", "p0"]);
    assert!((found[1].score / found[0].score - 0.6).abs() < 1e-6, "backward is worth 0.6 of forward");
    assert!(found.iter().all(|entry| entry.source == Source::History));
}

#[test]
fn weights_are_one_over_gap_held_back_by_popularity() {
    let model =
        Model::fit([viewed(1, "p0", 50), viewed(1, "p1", 49), viewed(1, "p2", 48)], (0..3).map(item), NOW);
    let following = model.following("p0");
    assert_eq!(following.iter().map(|(item, _)| *item).collect::<Vec<_>>(), ["p1", "p2"]);
    assert!((following[0].1 - 0.5).abs() < 1e-6, "1/1 over (1·1)^0.3 + 1");
    assert!((following[1].1 - 0.25).abs() < 1e-6, "1/2 over (1·1)^0.3 + 1");
}

#[test]
fn every_signal_speaks_for_what_it_knows_and_says_so() {
    let bought = |profile, item, days| Interaction { action: Action::Bought, ..viewed(profile, item, days) };
    let close = |profile, item, minutes: i64| Interaction {
        at: NOW - 40 * DAY + minutes * model::time::MINUTE,
        ..viewed(profile, item, 0)
    };
    let steps =
        [viewed(1, "p0", 90), viewed(1, "p4", 60), close(2, "p0", 1), close(2, "p5", 2), bought(3, "p1", 3)];
    let model = Model::fit(steps, (0..7).map(item), NOW);
    let check = |signal, expected: &str, source, reason: &str| {
        let history = [seen("p0", Action::Bought)];
        let request = Request { repeat_bought: signal == Signal::Repeat, ..Request::new(&history, 1) };
        let found = alone(signal, model.clone()).recommend(&request, &|_| true);
        assert_eq!((found[0].item.as_str(), found[0].source), (expected, source), "{signal:?}");
        assert_eq!(found[0].reason, reason, "{signal:?}");
        assert_eq!(found[0].signals, [(signal, 1.0)]);
    };
    check(Signal::Session, "p5", Source::Session, "Others who looked at Product 0 went on to this");
    check(Signal::Content, "p3", Source::Content, "Similar to Product 0");
    check(Signal::Trending, "p1", Source::Trending, "Popular in the last 30 days");
    check(Signal::Repeat, "p0", Source::Repeat, "You bought this before");
    check(Signal::Knn, "p4", Source::History, "Because you bought Product 0");
}

#[test]
fn a_segments_demand_is_asked_before_that_of_all() {
    let steps = [viewed(1, "p3", 2), viewed(2, "p4", 2), viewed(3, "p4", 2)];
    let group = Group { id: "vip".into(), name: "VIPs".into(), members: vec![1] };
    let model = Model::fit_groups(steps, (0..6).map(item), &[group], NOW);
    let request = Request { groups: &["vip"], ..Request::new(&[], 2) };
    let found = model.recommend(&request, &|_| true);
    assert_eq!(ids(&found), ["p3", "p4"]);
    assert_eq!((found[0].source, found[0].reason.as_str()), (Source::Segment, "Popular with VIPs"));
    assert_eq!(found[1].source, Source::Trending);
}

#[test]
fn weights_are_picked_by_what_finds_held_out_items_and_from_too_few_not_at_all() {
    // Who bought an even item goes on to the next; nothing else is to be learnt.
    let names: Vec<String> = (0..40).map(|n| format!("p{n}")).collect();
    let steps: Vec<Interaction<'_>> = (0..400_i64)
        .flat_map(|profile| {
            let first = (profile % 20) as usize * 2;
            [(first, 20), (first + 1, 10)].map(|(item, days)| viewed(profile, &names[item], days))
        })
        .collect();
    let tuned = tune(&steps, (0..40).map(item), NOW, Aim::New).unwrap();
    assert_eq!(tuned.cases, 200);
    assert!(tuned.tuned >= tuned.usual && tuned.tuned > 0.9, "{tuned:?}");
    assert!(tune(&steps[..20], (0..40).map(item), NOW, Aim::New).is_none());
}

#[test]
fn the_reason_names_the_item_and_the_action_that_said_most() {
    let model = Model::fit([viewed(1, "p0", 50), viewed(1, "p1", 49)], (0..2).map(item), NOW);
    let check = |action, expected: &str| {
        let history = [seen("p0", action)];
        assert_eq!(model.recommend(&Request::new(&history, 1), &|_| true)[0].reason, expected);
    };
    check(Action::Viewed, "Because you viewed Product 0");
    check(Action::Added, "Because you added Product 0 to your cart");
    check(Action::Bought, "Because you bought Product 0");
}

#[test]
fn without_history_demand_speaks_and_then_the_newest() {
    let interactions = [viewed(1, "p5", 3), viewed(2, "p5", 2), viewed(1, "p4", 1), viewed(1, "p3", 31)];
    let model = Model::fit(interactions, (0..6).map(item), NOW);
    let found = model.recommend(&Request { per_category_max: None, ..Request::new(&[], 6) }, &|_| true);
    assert_eq!(ids(&found), ["p5", "p4", "p0", "p1", "p2", "p3"]);
    assert_eq!(found[1].source, Source::Trending);
    assert_eq!(found[2].source, Source::Newest);
}

#[test]
fn one_profile_alone_makes_no_trend() {
    let robot = (0..1_000).map(|n| viewed(1, "p1", n % 3));
    let people = [viewed(2, "p2", 1), viewed(3, "p2", 1)];
    let model = Model::fit(robot.chain(people), (0..6).map(item), NOW);
    assert_eq!(model.recommend(&Request::new(&[], 1), &|_| true)[0].item, "p2");
}

#[test]
fn what_is_bought_never_comes_back_and_what_was_seen_only_when_asked() {
    let model =
        Model::fit([viewed(1, "p0", 9), viewed(1, "p1", 8), viewed(1, "p2", 7)], (0..3).map(item), NOW);
    let history = [seen("p0", Action::Viewed), seen("p1", Action::Bought)];
    assert_eq!(ids(&model.recommend(&Request::new(&history, 9), &|_| true)), ["p2"]);
    let request = Request { repeat_seen: true, ..Request::new(&history, 9) };
    let again = model.recommend(&request, &|_| true);
    assert!(ids(&again).contains(&"p0") && !ids(&again).contains(&"p1"));
}

#[test]
fn what_lies_ahead_of_now_or_outside_the_catalogue_is_left_out() {
    let model = Model::fit([viewed(1, "p1", -1), viewed(1, "gone", 2)], (0..2).map(item), NOW);
    let history = [seen("gone", Action::Viewed)];
    let found = model.recommend(&Request::new(&history, 5), &|_| true);
    assert_eq!(ids(&found), ["p0", "p1"]);
    assert!(found.iter().all(|entry| entry.source == Source::Newest));
    assert!(Model::fit([], [], NOW).recommend(&Request::new(&history, 5), &|_| true).is_empty());
}

fn interactions() -> impl Strategy<Value = Vec<(i64, u32, Action, i64)>> {
    let action = prop_oneof![Just(Action::Viewed), Just(Action::Added), Just(Action::Bought)];
    proptest::collection::vec((0_i64..6, 0_u32..24, action, 0_i64..60), 0..120)
}

proptest! {
    #[test]
    fn any_order_of_arrival_gives_the_same_model(mut given in interactions(), seed in any::<u64>()) {
        let names: Vec<String> = (0..24).map(|n| format!("p{n}")).collect();
        let fit = |given: &[(i64, u32, Action, i64)]| {
            let steps = given.iter().map(|(profile, number, action, days)| Interaction {
                profile: *profile, item: &names[*number as usize], action: *action, at: NOW - days * DAY,
            });
            Model::fit(steps, (0..24).map(item), NOW)
        };
        let first = fit(&given);
        let length = given.len().max(1);
        for n in 0..given.len() {
            given.swap(n, (seed as usize).wrapping_mul(n + 1) % length);
        }
        prop_assert_eq!(first, fit(&given));
    }

    #[test]
    fn every_list_obeys_its_filters(given in interactions(), limit in 0_usize..30, divisor in 2_usize..5) {
        let names: Vec<String> = (0..24).map(|n| format!("p{n}")).collect();
        let steps: Vec<Interaction<'_>> = given.iter().map(|(profile, number, action, days)| Interaction {
            profile: *profile, item: &names[*number as usize], action: *action, at: NOW - days * DAY,
        }).collect();
        let history: Vec<Seen<'_>> = steps.iter().filter(|step| step.profile == 0)
            .map(|step| Seen::new(step.item, step.action, step.at)).collect();
        let model = Model::fit(steps.iter().copied(), (0..24).map(item), NOW);
        let allowed = |id: &str| !id[1..].parse::<usize>().unwrap().is_multiple_of(divisor);
        let found = model.recommend(&Request::new(&history, limit), &allowed);
        prop_assert!(found.len() <= limit);
        let mut unique = ids(&found);
        unique.sort_unstable();
        unique.dedup();
        prop_assert_eq!(unique.len(), found.len());
        for category in 0..3_u32 {
            let inside = found.iter().filter(|e| e.item[1..].parse::<u32>().unwrap() % 3 == category);
            prop_assert!(inside.count() <= 2);
        }
        for entry in &found {
            prop_assert!(allowed(&entry.item));
            prop_assert!(!history.iter().any(|seen| seen.item == entry.item));
        }
        // Nothing that could still be offered is held back.
        if found.len() < limit {
            for number in 0..24_u32 {
                let id = &names[number as usize];
                let free = allowed(id) && !history.iter().any(|seen| seen.item == id) && !ids(&found).contains(&id.as_str());
                let inside = found.iter().filter(|e| e.item[1..].parse::<u32>().unwrap() % 3 == number % 3).count();
                prop_assert!(!free || inside >= 2, "{id} was held back");
            }
        }
    }
}
