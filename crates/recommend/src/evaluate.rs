//! Judging: what was held out is asked for, beside popularity and plain item-kNN.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::fit::strongest_first;
use crate::score::Scores;
use crate::tune::seen;
use crate::{Interaction, Model, Request, Seen};

/// Places that are looked at.
pub const PLACES_MAX: usize = 20;
const HIT_PLACES: usize = 5;

/// One question: what comes after this history.
#[derive(Clone, Debug)]
pub struct Case<'a> {
    /// What was known.
    pub history: Vec<Seen<'a>>,
    /// What came.
    pub later: BTreeSet<&'a str>,
    /// Whether known items may be answered.
    pub repeat: bool,
}

/// What a model may be fitted from, and what is asked of it.
#[derive(Clone, Debug)]
pub struct Split<'a> {
    /// What it is fitted from.
    pub train: Vec<Interaction<'a>>,
    /// As of when.
    pub at: Timestamp,
    /// Questions, by what they ask for.
    pub cases: Vec<(&'static str, Vec<Case<'a>>)>,
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ranker {
    /// All signals by the model's weights.
    Rapport,
    /// What most profiles have.
    Popularity,
    /// The cosine of who has what, every known item equally loud.
    ItemKnn,
}

impl Ranker {
    /// All, the one of interest first.
    pub const ALL: [Ranker; 3] = [Ranker::Rapport, Ranker::Popularity, Ranker::ItemKnn];

    /// As tables name it.
    pub fn name(self) -> &'static str {
        match self {
            Ranker::Rapport => "rapport",
            Ranker::Popularity => "popularity",
            Ranker::ItemKnn => "item-kNN",
        }
    }
}

/// How well the questions were answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Questions.
    pub cases: usize,
    /// Share with something that came among the first five.
    pub hit_rate_5: f64,
    /// Normalised discounted gain of the first five.
    pub ndcg_5: f64,
    /// Mean of one over the place of the first that came, among the first twenty.
    pub mrr_20: f64,
    /// Share of all items that anybody was offered among the first twenty.
    pub coverage: f64,
}

fn by_profile<'a, 'b>(interactions: &'b [Interaction<'a>]) -> BTreeMap<i64, Vec<&'b Interaction<'a>>> {
    let mut out: BTreeMap<i64, Vec<&Interaction<'a>>> = BTreeMap::new();
    for interaction in interactions {
        out.entry(interaction.profile).or_default().push(interaction);
    }
    for own in out.values_mut() {
        own.sort_by_key(|interaction| interaction.at);
    }
    out
}

/// The last item of each sequence is asked for; the one before is known then, and not trained on.
///
/// Source: the protocol of SASRec and S3-Rec, all unseen items ranked.
pub fn last_out<'a>(interactions: &[Interaction<'a>]) -> Split<'a> {
    let (mut train, mut cases) = (Vec::new(), Vec::new());
    for own in by_profile(interactions).values() {
        train.extend(own[..own.len().saturating_sub(2)].iter().map(|one| **one));
        if let Some((last, before)) = own.split_last().filter(|(_, before)| !before.is_empty()) {
            let history = seen(before.iter().copied());
            cases.push(Case { history, later: BTreeSet::from([last.item]), repeat: false });
        }
    }
    let at = interactions.iter().map(|one| one.at).max().unwrap_or(Timestamp::from_secs(0));
    Split { train, at, cases: vec![("last item", cases)] }
}

/// What came before an instant is trained on, what came then is asked for: of profiles that are in both parts, any item
/// and items that are new to them.
pub fn at<'a>(interactions: &[Interaction<'a>], at: Timestamp) -> Split<'a> {
    let train: Vec<Interaction<'a>> = interactions.iter().filter(|one| one.at < at).copied().collect();
    let (mut any, mut new) = (Vec::new(), Vec::new());
    for own in by_profile(interactions).values() {
        let (before, after) = own.split_at(own.partition_point(|one| one.at < at));
        if before.is_empty() || after.is_empty() {
            continue;
        }
        let history = seen(before.iter().copied());
        let later: BTreeSet<&str> = after.iter().map(|one| one.item).collect();
        let known: HashSet<&str> = history.iter().map(|seen| seen.item).collect();
        let fresh: BTreeSet<&str> = later.iter().copied().filter(|item| !known.contains(item)).collect();
        if !fresh.is_empty() {
            new.push(Case { history: history.clone(), later: fresh, repeat: false });
        }
        any.push(Case { history, later, repeat: true });
    }
    Split { train, at, cases: vec![("any item", any), ("new item", new)] }
}

/// Each next step of other sequences is asked for, known what came before it in the same sequence.
///
/// Source: the protocol of session-based recommendation; what was seen may come again.
pub fn next_steps<'a>(train: Vec<Interaction<'a>>, test: &[Interaction<'a>]) -> Split<'a> {
    let mut cases = Vec::new();
    for own in by_profile(test).values() {
        for at in 1..own.len() {
            let history = seen(own[..at].iter().copied());
            cases.push(Case { history, later: BTreeSet::from([own[at].item]), repeat: true });
        }
    }
    let at = train.iter().map(|one| one.at).max().unwrap_or(Timestamp::from_secs(0));
    Split { train, at, cases: vec![("next step", cases)] }
}

/// Answers one question: ids, best first.
fn answer(model: &Model, ranker: Ranker, case: &Case<'_>) -> Vec<u32> {
    let request = Request {
        per_category_max: None,
        repeat_seen: case.repeat,
        repeat_bought: case.repeat,
        ..Request::new(&case.history, PLACES_MAX)
    };
    let of_id = |id: &String| model.index.get(id).copied();
    match ranker {
        Ranker::Rapport => {
            let list = model.recommend(&request, &|_| true);
            list.iter().filter_map(|entry| of_id(&entry.item)).collect()
        }
        Ranker::Popularity => {
            let excluded = model.excluded(&request);
            let mut all: Vec<(u32, f32)> =
                model.wanted.iter().enumerate().map(|(item, many)| (item as u32, *many as f32)).collect();
            all.retain(|(item, _)| !excluded.contains(item));
            best(all)
        }
        Ranker::ItemKnn => {
            let excluded = model.excluded(&request);
            let mut scores = Scores::new(model.len());
            for item in case.history.iter().filter_map(|seen| model.index.get(seen.item)) {
                for (other, weight) in model.knn.row(*item) {
                    scores.add(*other, *weight, 0);
                }
            }
            best(scores.all().filter(|(item, _)| !excluded.contains(item)).collect())
        }
    }
}

fn best(mut all: Vec<(u32, f32)>) -> Vec<u32> {
    if all.len() > PLACES_MAX {
        all.select_nth_unstable_by(PLACES_MAX, strongest_first);
        all.truncate(PLACES_MAX);
    }
    all.sort_unstable_by(strongest_first);
    all.into_iter().map(|(item, _)| item).collect()
}

/// Asks every question.
pub fn judge(model: &Model, ranker: Ranker, cases: &[Case<'_>]) -> Figures {
    let mut figures = Figures { cases: cases.len(), ..Figures::default() };
    let mut offered: HashSet<u32> = HashSet::new();
    for case in cases {
        let answered = answer(model, ranker, case);
        let came = |item: &u32| case.later.contains(model.items[*item as usize].id.as_str());
        let gain = |place: usize| 1.0 / (place as f64 + 2.0).log2();
        let found: f64 = answered
            .iter()
            .take(HIT_PLACES)
            .enumerate()
            .filter(|(_, item)| came(item))
            .map(|(place, _)| gain(place))
            .sum();
        let most: f64 = (0..case.later.len().min(HIT_PLACES)).map(gain).sum();
        figures.ndcg_5 += if most > 0.0 { found / most } else { 0.0 };
        if let Some(place) = answered.iter().position(came) {
            figures.mrr_20 += 1.0 / (place as f64 + 1.0);
            figures.hit_rate_5 += f64::from(u8::from(place < HIT_PLACES));
        }
        offered.extend(answered);
    }
    let asked = figures.cases.max(1) as f64;
    figures.hit_rate_5 /= asked;
    figures.ndcg_5 /= asked;
    figures.mrr_20 /= asked;
    figures.coverage = offered.len() as f64 / model.len().max(1) as f64;
    figures
}
