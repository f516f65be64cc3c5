//! What the neighbours' languages can say, said in ours: their form, our text, events in, memberships out.
//!
//! The data is our own. Where a neighbour means something else by the same form, the row says so.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod rows;
mod story;

use rows::Row;
use story::story;

fn play(rows: &[Row]) {
    for (theirs, ours, attributes, lines) in rows {
        println!("{theirs}: {ours}");
        story(ours, attributes, lines);
    }
}

#[test]
fn every_node_and_operator_of_dittofeed_can_be_said() {
    play(rows::dittofeed::DITTOFEED);
}

#[test]
fn every_condition_and_filter_of_klaviyo_can_be_said() {
    play(rows::klaviyo::KLAVIYO);
}

#[test]
fn every_behavioural_criterion_of_posthog_can_be_said() {
    play(rows::posthog::POSTHOG);
}

#[test]
fn the_forms_of_the_others_can_be_said() {
    play(rows::others::OTHERS);
}

#[test]
fn a_share_of_profiles_is_as_large_as_it_says_and_stays_the_same() {
    let inside = |name: &str, seed: usize| expr::draw(name, &format!("profile-{seed}")) < 20.0;
    let chosen: Vec<usize> = (0..20_000).filter(|seed| inside("spring", *seed)).collect();
    assert!((3_800..4_200).contains(&chosen.len()), "{}", chosen.len());
    let both = chosen.iter().filter(|seed| inside("autumn", **seed)).count();
    assert!((700..900).contains(&both), "{both} of {} are in the other draw too", chosen.len());
    assert!(chosen.iter().all(|seed| inside("spring", *seed)));
}

/// What cannot be said yet, and how one comes near it.
const NOT_YET: [(&str, &str); 6] = [
    ("Distance to a postal code (Klaviyo)", "write the distance to an attribute: `distance_km < 50`"),
    (
        "A property of an element against one of its event (Segment)",
        "tests compare with constants; `with same` compares across steps",
    ),
    (
        "All or none of an account's people (Segment)",
        "a group's figures are asked like attributes once a source writes them",
    ),
    (
        "Times at most within every sliding period (Mautic points)",
        "`count` looks at windows that end now, a date, or so long ago",
    ),
    ("A list filled by hand (Dittofeed Manual)", "keep it as a list attribute: `lists contains \"beta\"`"),
    (
        "The most of one event per value of a key",
        "`count` with a filter asks for one known value, `distinct` for how many values",
    ),
];

#[test]
fn what_cannot_be_said_yet_stands_in_the_documentation() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/conditions.md");
    let document = std::fs::read_to_string(path).unwrap();
    for (what, instead) in NOT_YET {
        let line = format!("- **{what}**: {instead}.\n");
        assert!(document.contains(&line), "docs/conditions.md lacks the line\n{line}");
    }
}
