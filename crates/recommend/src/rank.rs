//! Ranking: what all signals say for a profile, then demand, then the newest, under the filters of the one who asks.

use std::collections::{BinaryHeap, HashMap, HashSet};

use model::Timestamp;

use crate::score::{Mixed, Said, Scores};
use crate::session::{LAST_MAX, PAUSE_MICROS};
use crate::{Action, HISTORY_MAX, LIMIT_MAX, Model, Recommendation, Request, SIGNALS, Seen, Signal, Source};

/// How much less each older instant of the history says than the one after it. Picked on held-out items of Amazon
/// Beauty: 0.5 to 0.7 are alike, 0.9 finds a tenth fewer.
const RECENCY: f32 = 0.6;
/// The same where tastes are asked, which last longer: the same people, properties.
const TASTE_RECENCY: f32 = 0.9;
/// What is not as loud as this is not heard: it changes no place and costs as much as the loudest.
const LOUDNESS_MIN: f32 = 0.001;
/// What a purchase says of the next one halves with this age. Units: days.
const REPEAT_HALF_LIFE_DAYS: f64 = 120.0;
/// Items in demand that take part in the ranking; the others wait on their rung.
const TRENDING_MIXED_MAX: usize = 200;

/// A line of the history: the item, what was done, when.
#[derive(Clone, Copy)]
pub(crate) struct Line {
    pub item: u32,
    pub action: Action,
    pub at: Timestamp,
}

/// A candidate in the heap: the strongest first, then the lowest number.
#[derive(PartialEq)]
struct Candidate {
    score: f32,
    item: u32,
    place: usize,
}

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Candidate) -> std::cmp::Ordering {
        self.score.total_cmp(&other.score).then(other.item.cmp(&self.item))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Candidate) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

struct List<'m> {
    model: &'m Model,
    limit: usize,
    per_category_max: usize,
    excluded: HashSet<u32>,
    in_category: HashMap<u32, usize>,
    out: Vec<Recommendation>,
}

impl List<'_> {
    fn is_full(&self) -> bool {
        self.out.len() >= self.limit
    }

    /// Takes an item that is free; `why` makes its reason and what each signal said.
    fn offer(
        &mut self,
        item: u32,
        score: f32,
        source: Source,
        allowed: &dyn Fn(&str) -> bool,
        why: impl FnOnce() -> (String, Vec<(Signal, f64)>),
    ) {
        let id = &self.model.items[item as usize].id;
        let category = self.model.categories[item as usize];
        let full = category != u32::MAX
            && self.in_category.get(&category).is_some_and(|count| *count >= self.per_category_max);
        if full || self.excluded.contains(&item) || !allowed(id) {
            return;
        }
        self.excluded.insert(item);
        *self.in_category.entry(category).or_default() += 1;
        let (reason, signals) = why();
        self.out.push(Recommendation { item: id.clone(), score: f64::from(score), source, reason, signals });
    }

    /// Takes from a rung until the list is full.
    fn fill(&mut self, rung: &[(u32, f32)], source: Source, allowed: &dyn Fn(&str) -> bool, reason: &str) {
        for (item, score) in rung {
            if self.is_full() {
                return;
            }
            self.offer(*item, *score, source, allowed, || (reason.to_owned(), Vec::new()));
        }
    }
}

impl Model {
    /// Ranks items for a history. `allowed` decides what the catalogue may offer now: stock, price, tags.
    ///
    /// Fewer than asked come back only when the filters leave no more.
    /// Cost: 400 additions for each item of the history, at most 50, and 288 visits.
    pub fn recommend(&self, request: &Request<'_>, allowed: &dyn Fn(&str) -> bool) -> Vec<Recommendation> {
        let history = self.newest_first(request.history);
        let mut list = List {
            model: self,
            limit: request.limit.min(LIMIT_MAX),
            per_category_max: request.per_category_max.unwrap_or(usize::MAX),
            excluded: self.excluded(request),
            in_category: HashMap::new(),
            out: Vec::new(),
        };
        if list.limit == 0 || list.per_category_max == 0 {
            return list.out;
        }
        let mixed = self.said(&history, request);
        let weights = self.weights.values();
        let mut candidates: BinaryHeap<Candidate> = mixed
            .iter()
            .enumerate()
            .map(|(place, said)| Candidate { score: said.total(&weights), item: said.item, place })
            .filter(|candidate| candidate.score > 0.0)
            .collect();
        while !list.is_full()
            && let Some(Candidate { score, item, place }) = candidates.pop()
        {
            let said = &mixed[place];
            let signal = loudest(said, &weights);
            list.offer(item, score, signal.source(), allowed, || {
                (self.reason(signal, said, &history), shares(said, &weights))
            });
        }
        for group in request.groups {
            if let Some((name, rung)) = self.groups.get(*group) {
                list.fill(rung, Source::Segment, allowed, &format!("Popular with {name}"));
            }
        }
        list.fill(&self.trending, Source::Trending, allowed, "Popular in the last 30 days");
        for item in &self.newest {
            if list.is_full() {
                break;
            }
            list.fill(&[(*item, 0.0)], Source::Newest, allowed, "New in the shop");
        }
        list.out
    }

    pub(crate) fn excluded(&self, request: &Request<'_>) -> HashSet<u32> {
        let stays_away = |seen: &&Seen<'_>| {
            if seen.action == Action::Bought { !request.repeat_bought } else { !request.repeat_seen }
        };
        let known = request.history.iter().filter(stays_away);
        known.filter_map(|seen| self.index.get(seen.item).copied()).collect()
    }

    /// Known items, newest first, each once with its strongest action.
    pub(crate) fn newest_first(&self, history: &[Seen<'_>]) -> Vec<Line> {
        let mut seen: Vec<(&Seen<'_>, u32)> =
            history.iter().filter_map(|seen| Some((seen, *self.index.get(seen.item)?))).collect();
        seen.sort_by_key(|(seen, item)| (std::cmp::Reverse(seen.at), std::cmp::Reverse(seen.action), *item));
        let mut places: HashMap<u32, usize> = HashMap::new();
        let mut out: Vec<Line> = Vec::new();
        for (seen, item) in seen {
            match places.get(&item) {
                Some(place) => out[*place].action = out[*place].action.max(seen.action),
                None if out.len() < HISTORY_MAX => {
                    places.insert(item, out.len());
                    out.push(Line { item, action: seen.action, at: seen.at });
                }
                None => {}
            }
        }
        out
    }

    /// What every signal says, of the items that the request leaves.
    pub(crate) fn said(&self, history: &[Line], request: &Request<'_>) -> Vec<Said> {
        let excluded = self.excluded(request);
        let keep = |item: u32| !excluded.contains(&item);
        let mut mixed = Mixed::new(self.items.len());
        let mut scores = Scores::new(self.items.len());
        if !history.is_empty() {
            for (place, loudness) in loudness(history, RECENCY).enumerate() {
                for (other, weight) in self.follows.row(history[place].item) {
                    scores.add(*other, weight * loudness, place as u32);
                }
            }
            scores.close(Signal::Follows, &mut mixed, keep);
            for (place, loudness) in loudness(history, TASTE_RECENCY).enumerate() {
                for (other, weight) in self.knn.row(history[place].item) {
                    scores.add(*other, weight * loudness, place as u32);
                }
            }
            scores.close(Signal::Knn, &mut mixed, keep);
            self.visits.speak(&last_visit(history), &mut scores);
            scores.close(Signal::Session, &mut mixed, keep);
            let lines = history.iter().map(|line| line.item);
            self.content.speak(lines.zip(loudness(history, TASTE_RECENCY)), &mut scores);
            scores.close(Signal::Content, &mut mixed, keep);
        }
        if request.repeat_bought {
            for seen in request.history.iter().filter(|seen| seen.times > 0) {
                if let Some(item) = self.index.get(seen.item) {
                    let days = (self.at - seen.at).max(0) as f64 / model::time::DAY as f64;
                    let fresh = 0.5_f64.powf(days / REPEAT_HALF_LIFE_DAYS);
                    scores.add(*item, (f64::from(seen.times) * fresh) as f32, 0);
                }
            }
            scores.close(Signal::Repeat, &mut mixed, keep);
        }
        if !mixed.items.is_empty() {
            for (item, demand) in self.trending.iter().take(TRENDING_MIXED_MAX) {
                scores.add(*item, *demand, 0);
            }
            scores.close(Signal::Trending, &mut mixed, keep);
        }
        mixed.items
    }

    fn reason(&self, signal: Signal, said: &Said, history: &[Line]) -> String {
        let line = history.get(said.by[signal as usize] as usize);
        let Some(line) = line else { return "Popular in the last 30 days".to_owned() };
        let name = &self.items[line.item as usize].name;
        match signal {
            Signal::Follows | Signal::Knn => because(line.action, name),
            Signal::Session => format!("Others who looked at {name} went on to this"),
            Signal::Content => format!("Similar to {name}"),
            Signal::Trending => "Popular in the last 30 days".to_owned(),
            Signal::Repeat => "You bought this before".to_owned(),
        }
    }
}

/// How loud each line of a history is: what was done at the same instant is equally loud.
fn loudness(history: &[Line], recency: f32) -> impl Iterator<Item = f32> + '_ {
    let mut loudness = 1.0;
    let mut last = history.first().map(|line| line.at);
    let louder = history.iter().map(move |line| {
        if Some(line.at) != last {
            loudness *= recency;
            last = Some(line.at);
        }
        loudness
    });
    louder.take_while(|loudness| *loudness >= LOUDNESS_MIN)
}

fn last_visit(history: &[Line]) -> Vec<u32> {
    let pauses = history.windows(2).take_while(|pair| pair[0].at - pair[1].at <= PAUSE_MICROS).count();
    history.iter().take((pauses + 1).min(LAST_MAX)).map(|line| line.item).collect()
}

fn loudest(said: &Said, weights: &[f32; SIGNALS]) -> Signal {
    let mut loudest = Signal::Follows;
    for signal in Signal::ALL {
        let much = |signal: Signal| said.parts[signal as usize] * weights[signal as usize];
        if much(signal) > much(loudest) {
            loudest = signal;
        }
    }
    loudest
}

fn shares(said: &Said, weights: &[f32; SIGNALS]) -> Vec<(Signal, f64)> {
    let all = Signal::ALL.into_iter();
    all.map(|signal| (signal, f64::from(said.parts[signal as usize] * weights[signal as usize])))
        .filter(|(_, much)| *much > 0.0)
        .collect()
}

fn because(action: Action, name: &str) -> String {
    match action {
        Action::Viewed => format!("Because you viewed {name}"),
        Action::Added => format!("Because you added {name} to your cart"),
        Action::Bought => format!("Because you bought {name}"),
    }
}
