//! What is offered to one person: the ladder of the recommender under the catalogue's and the asker's filters, and why.

use std::collections::{BTreeMap, HashSet};

use model::{ProfileId, Timestamp, Value, WorkspaceId};
use recommend::{History, Recommendation, Request, Signal, Source};
use serde_json::json;

use crate::Error;
use crate::catalogue::{Barred, Catalogue, Goods};
use crate::hot::Hot;
use crate::platform::Platform;
use crate::recommend::Stock;
use crate::registry::Registry;

/// Mails whose offers do not come again at once.
const SHOWN_MAILS: usize = 3;
/// Candidates behind the offered ones that the trace keeps with their scores.
const CANDIDATES_MAX: usize = 14;

/// What is wished of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wish {
    /// How many items.
    pub limit: usize,
    /// Of this category alone.
    pub category: Option<String>,
    /// With this tag alone.
    pub tag: Option<String>,
    /// At least so dear.
    pub price_min: Option<f64>,
    /// At most so dear.
    pub price_max: Option<f64>,
    /// Of this collection alone.
    pub collection: Option<String>,
    /// Never these.
    pub exclude: Vec<String>,
    /// At most so many of one category; two otherwise.
    pub per_category_max: Option<usize>,
    /// Also what was bought before.
    pub repeat: bool,
    /// How many mails back an offer does not come again; three otherwise.
    pub shown_mails: Option<usize>,
}

impl Wish {
    /// So many of anything.
    pub fn of(limit: usize) -> Wish {
        Wish { limit, ..Wish::default() }
    }

    /// From named arguments, as a template's tag and an address have them.
    ///
    /// # Errors
    /// Says which argument is unknown or has no such value.
    pub fn from_arguments(limit: usize, arguments: &[(String, String)]) -> Result<Wish, String> {
        let mut wish = Wish::of(limit);
        for (name, value) in arguments {
            let number = || {
                let found: Option<f64> = value.trim().parse().ok();
                found.ok_or_else(|| format!("'{name}' is a number, not '{value}'."))
            };
            let text = || Some(value.clone()).filter(|text| !text.is_empty());
            match name.as_str() {
                "category" => wish.category = text(),
                "tag" => wish.tag = text(),
                "collection" => wish.collection = text(),
                "price_min" => wish.price_min = Some(number()?),
                "price_max" => wish.price_max = Some(number()?),
                "exclude" => {
                    let ids = value.split(',').map(str::trim).filter(|id| !id.is_empty());
                    wish.exclude.extend(ids.map(str::to_owned));
                }
                "per_category" => wish.per_category_max = Some(number()?.max(0.0) as usize),
                "shown_mails" => wish.shown_mails = Some(number()?.max(0.0) as usize),
                "repeat" => wish.repeat = !matches!(value.as_str(), "false" | "no" | "0" | ""),
                _ => {
                    return Err(format!(
                        "There is no argument '{name}': limit, category, tag, collection, price_min, price_max, \
                         exclude, per_category, repeat or shown_mails."
                    ));
                }
            }
        }
        Ok(wish)
    }

    /// Why an item is not what is wished; nothing when it is.
    fn refuses(
        &self,
        id: &str,
        goods: &Goods,
        catalogue: &Catalogue,
        now: Timestamp,
    ) -> Option<&'static str> {
        let other = |wished: &Option<String>, has: Option<&str>| {
            wished.as_deref().is_some_and(|wished| has.is_none_or(|has| !has.eq_ignore_ascii_case(wished)))
        };
        if self.exclude.iter().any(|excluded| excluded == id) {
            return Some("excluded");
        }
        if other(&self.category, goods.category.as_deref()) {
            return Some("another_category");
        }
        if let Some(tag) = &self.tag
            && !goods.tags.iter().any(|own| own.eq_ignore_ascii_case(tag))
        {
            return Some("without_the_tag");
        }
        if let Some(name) = &self.collection
            && !catalogue.is_in(name, goods, now)
        {
            return Some("outside_the_collection");
        }
        let price = goods.price.unwrap_or(0.0);
        if self.price_min.is_some_and(|least| price < least) {
            return Some("too_cheap");
        }
        self.price_max.is_some_and(|most| price > most).then_some("too_dear")
    }
}

/// For whom a list is.
#[derive(Clone, Debug, Default)]
pub struct Person {
    /// What it did with items.
    pub history: History,
    /// Its segments whose demand is known, the smallest first.
    pub groups: Vec<String>,
}

/// An item that is offered.
#[derive(Clone, Debug, PartialEq)]
pub struct Pick {
    /// Its id.
    pub id: String,
    /// Why, for the reader.
    pub reason: String,
    /// The rung it came from.
    pub source: Source,
    /// Its score.
    pub score: f64,
    /// The rule that had to give way.
    pub fallback: Option<&'static str>,
    /// What each signal said.
    pub signals: Vec<(Signal, f64)>,
}

/// A list for one profile.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    /// What is offered, best first.
    pub picks: Vec<Pick>,
    /// The items as the catalogue has them, with `reason`, `source` and, where one was needed, `fallback`.
    pub items: Vec<Value>,
    /// Its step of the decision trace; none when there is no catalogue.
    pub trace: Option<Value>,
}

impl Platform {
    /// Items to offer somebody: from what they looked at and bought, then what is in demand, then the newest. Never
    /// what is sold out or has no price, and what they bought only where a category is bought again and again.
    ///
    /// Cost: one read of the profile; ranking is in memory.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn recommendations(
        &self,
        workspace: WorkspaceId,
        profile: ProfileId,
        limit: usize,
    ) -> Result<Vec<Value>, Error> {
        Ok(self.recommend(workspace, profile, &Wish::of(limit)).await?.items)
    }

    /// Items to offer somebody of whom nothing is known.
    pub(crate) async fn offered_to_anybody(
        &self,
        workspace: WorkspaceId,
        limit: usize,
    ) -> Result<Vec<Value>, Error> {
        let stock = self.stock(workspace).await?;
        Ok(offer(&stock, &Person::default(), &Wish::of(limit), self.clock.now()).items)
    }

    /// The same under a wish, with the trace that says why.
    ///
    /// # Errors
    /// When the store does not answer, and for a collection that is not there.
    pub async fn recommend(
        &self,
        workspace: WorkspaceId,
        profile: ProfileId,
        wish: &Wish,
    ) -> Result<Offer, Error> {
        let stock = self.stock(workspace).await?;
        let person = match self.hot(workspace, profile).await {
            Ok((_, hot)) => person(&self.registry(workspace), &hot, &stock),
            Err(Error::Missing(_)) => Person::default(),
            Err(error) => return Err(error),
        };
        if let Some(name) = &wish.collection
            && !stock.products().is_some_and(|products| products.has_collection(name))
        {
            return Err(Error::invalid(
                "unknown_collection",
                "/collection",
                format!("There is no collection '{name}' in the catalogue."),
            ));
        }
        Ok(offer(&stock, &person, wish, self.clock.now()))
    }
}

/// What ranking has to know of a profile.
pub(crate) fn person(registry: &Registry, hot: &Hot, stock: &Stock) -> Person {
    let own: HashSet<&str> =
        registry.engine.memberships(&hot.segments).map(|(segment, _)| segment.key.as_str()).collect();
    let groups = stock.fitted.groups.iter().filter(|group| own.contains(group.as_str())).cloned();
    Person { history: hot.history.clone(), groups: groups.collect() }
}

/// Ranks.
pub(crate) fn offer(stock: &Stock, person: &Person, wish: &Wish, now: Timestamp) -> Offer {
    let Some(catalogue) = stock.products().filter(|products| !products.goods.is_empty()) else {
        return Offer::default();
    };
    let fitted = &stock.fitted;
    let limit = wish.limit.min(recommend::LIMIT_MAX);
    let history = &person.history;
    let (seen, groups) = (history.seen(), person.groups.iter().map(String::as_str).collect::<Vec<_>>());
    let shown = history.shown_in_last(wish.shown_mails.unwrap_or(SHOWN_MAILS));
    let may_repeat = |goods: &Goods| wish.repeat || catalogue.declared.repeats(goods.category.as_deref());
    let bought: HashSet<&str> = history
        .items()
        .iter()
        .filter(|touch| touch.action == recommend::Action::Bought)
        .map(|touch| touch.item.as_str())
        .collect();
    let usual = Request {
        per_category_max: Some(wish.per_category_max.unwrap_or(2)),
        repeat_bought: wish.repeat || !catalogue.declared.repeat_categories.is_empty(),
        groups: &groups,
        ..Request::new(&seen, limit)
    };
    // A bound on categories means nothing where one category is all that is wished.
    let usual = if wish.category.is_some() { Request { per_category_max: None, ..usual } } else { usual };
    let free = Request { per_category_max: None, ..usual };
    let rungs = [
        (None, usual, false),
        (Some("category_bound_lifted"), free, false),
        (Some("shown_lately"), free, true),
        (Some("seen_before"), Request { repeat_seen: true, ..free }, true),
    ];
    let mut found: Vec<(Recommendation, Option<&'static str>)> = Vec::new();
    let mut behind: Vec<Recommendation> = Vec::new();
    let mut taken: HashSet<String> = HashSet::new();
    for (fallback, request, again) in rungs {
        let missing = limit - found.len();
        if missing == 0 {
            break;
        }
        // The list of a longer wish begins with that of a shorter one: what follows are the candidates behind.
        let asked = if fallback.is_none() { missing + CANDIDATES_MAX } else { missing };
        let mut more = fitted.model.recommend(&Request { limit: asked, ..request }, &|id| {
            catalogue.goods.get(id).is_some_and(|goods| {
                goods.barred.is_none()
                    && (!bought.contains(id) || may_repeat(goods))
                    && wish.refuses(id, goods, catalogue, now).is_none()
            }) && !taken.contains(id)
                && (again || !shown.contains(id))
        });
        if more.len() > missing {
            behind = more.split_off(missing);
        }
        taken.extend(more.iter().map(|entry| entry.item.clone()));
        found.extend(more.into_iter().map(|entry| (entry, fallback)));
    }
    let picks: Vec<Pick> = found
        .into_iter()
        .map(|(entry, fallback)| Pick {
            id: entry.item,
            reason: entry.reason,
            source: entry.source,
            score: entry.score,
            fallback,
            signals: entry.signals,
        })
        .collect();
    let candidates: Vec<Value> = behind
        .iter()
        .map(|entry| json!({"product_id": entry.item, "score": entry.score, "source": entry.source}))
        .collect();
    let trace = trace(stock, catalogue, person, wish, &picks, candidates, now);
    let items = picks.iter().filter_map(|pick| item(catalogue, pick)).collect();
    Offer { picks, items, trace: Some(trace) }
}

fn item(catalogue: &Catalogue, pick: &Pick) -> Option<Value> {
    let mut item = catalogue.goods.get(&pick.id)?.body.clone();
    item["reason"] = json!(pick.reason);
    item["source"] = json!(pick.source);
    if let Some(fallback) = pick.fallback {
        item["fallback"] = json!(fallback);
    }
    Some(item)
}

/// The step of the decision trace, which is what `explain` answers as well.
fn trace(
    stock: &Stock,
    catalogue: &Catalogue,
    person: &Person,
    wish: &Wish,
    picks: &[Pick],
    candidates: Vec<Value>,
    now: Timestamp,
) -> Value {
    let fitted = &stock.fitted;
    let limit = wish.limit.min(recommend::LIMIT_MAX);
    let name = |id: &str| {
        let goods = catalogue.goods.get(id);
        goods.map_or_else(|| id.to_owned(), |goods| goods.item(id, &catalogue.declared).name)
    };
    let sentences: Vec<String> =
        picks.iter().map(|pick| format!("{} ({})", name(&pick.id), lowered(&pick.reason))).collect();
    let said: Vec<Value> = picks
        .iter()
        .map(|pick| {
            let signals: BTreeMap<String, f64> = pick
                .signals
                .iter()
                .map(|(signal, much)| (format!("{signal:?}").to_lowercase(), *much))
                .collect();
            json!({
                "product_id": pick.id, "name": name(&pick.id), "reason": pick.reason, "source": pick.source,
                "score": pick.score, "fallback": pick.fallback, "signals": signals,
            })
        })
        .collect();
    let filtered = filtered(catalogue, person, wish, fitted.model.len(), now);
    let fewer = (picks.len() < limit).then(|| fewer(catalogue, &filtered, limit, picks.len()));
    let mut sentence = if sentences.is_empty() {
        "Nothing was offered.".to_owned()
    } else {
        format!("Offered: {}.", sentences.join("; "))
    };
    if let Some(fewer) = &fewer {
        sentence = format!("{sentence} {fewer}");
    }
    let filtered: BTreeMap<&str, usize> = filtered.into_iter().filter(|(_, many)| *many > 0).collect();
    json!({
        "step": "recommendations", "title": "Recommended products", "at": now, "sentence": sentence,
        "data": {
            "items": said, "candidates": candidates, "asked": limit, "fewer": fewer, "filtered": filtered,
            "model": {
                "variant": fitted.variant(), "weights": fitted.model.weights(), "fitted_at": fitted.at,
                "interactions": fitted.interactions, "history": person.history.items().len(),
                "segments": person.groups,
            },
        },
    })
}

/// How many items each filter kept back; an item counts for the first that does.
fn filtered(
    catalogue: &Catalogue,
    person: &Person,
    wish: &Wish,
    ranked: usize,
    now: Timestamp,
) -> Vec<(&'static str, usize)> {
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    for (id, goods) in &catalogue.goods {
        let repeats = wish.repeat || catalogue.declared.repeats(goods.category.as_deref());
        let why = match goods.barred {
            Some(Barred::SoldOut) => Some("sold_out"),
            Some(Barred::NoPrice) => Some("no_price"),
            None => wish
                .refuses(id, goods, catalogue, now)
                .or_else(|| (!repeats && person.history.bought(id)).then_some("bought")),
        };
        if let Some(why) = why {
            *counts.entry(why).or_default() += 1;
        }
    }
    let mut out: Vec<(&'static str, usize)> = counts.into_iter().collect();
    out.push(("too_new", catalogue.goods.len().saturating_sub(ranked)));
    out
}

fn fewer(catalogue: &Catalogue, filtered: &[(&str, usize)], asked: usize, given: usize) -> String {
    const WORDS: [(&str, &str); 11] = [
        ("bought", "bought already"),
        ("sold_out", "sold out"),
        ("no_price", "without a price"),
        ("excluded", "excluded"),
        ("another_category", "of another category"),
        ("without_the_tag", "without the tag"),
        ("outside_the_collection", "outside the collection"),
        ("too_cheap", "too cheap"),
        ("too_dear", "too dear"),
        ("too_new", "too new to be ranked"),
        ("shown", "shown lately"),
    ];
    let many = |code: &str| filtered.iter().find(|(known, _)| *known == code).map_or(0, |(_, many)| *many);
    let parts: Vec<String> = WORDS
        .iter()
        .map(|(code, words)| (many(code), words))
        .filter(|(many, _)| *many > 0)
        .map(|(many, words)| format!("{many} {words}"))
        .collect();
    let why = if parts.is_empty() { "no more there".to_owned() } else { parts.join(", ") };
    format!("{given} of {asked} asked, for the catalogue has {} items: {why}.", catalogue.goods.len())
}

fn lowered(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// Tells in a mail's event what its trace says was offered.
pub(crate) fn tell_shown(properties: &mut Value, trace: &[Value]) {
    let steps = trace.iter().filter(|step| step["step"] == "recommendations");
    let items = steps.flat_map(|step| step["data"]["items"].as_array().into_iter().flatten());
    let shown: Vec<Value> = items.map(|item| item["product_id"].clone()).collect();
    if !shown.is_empty() {
        properties["recommended"] = json!(shown);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Declared;
    use crate::recommend::{CATALOGUE, Fitted};
    use recommend::{Action, Interaction, Model};
    use std::sync::Arc;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    fn stock(bodies: &[Value], declared: Value, steps: &[(i64, &str, i64)]) -> Stock {
        let declared: Declared = serde_json::from_value(declared).unwrap();
        let mut catalogue = Catalogue::new(declared);
        for body in bodies {
            catalogue.put(body["product_id"].as_str().unwrap(), body.clone());
        }
        let steps = steps.iter().map(|(profile, item, second)| Interaction {
            profile: *profile,
            item,
            action: Action::Viewed,
            at: at(*second),
        });
        let model = Model::fit(steps, catalogue.items(), at(1_000));
        let fitted = Fitted { model, interactions: 1, at: Some(at(1_000)), tuned: None, groups: Vec::new() };
        let catalogues = BTreeMap::from([(CATALOGUE.to_owned(), Arc::new(catalogue))]);
        Stock { catalogues: Arc::new(catalogues), fitted: Arc::new(fitted) }
    }

    fn product(id: &str, price: Value) -> Value {
        json!({"product_id": id, "name": id.to_uppercase(), "category": "c", "price": price})
    }

    fn ids(offer: &Offer) -> Vec<&str> {
        offer.picks.iter().map(|pick| pick.id.as_str()).collect()
    }

    #[test]
    fn what_is_bought_sold_out_or_without_a_price_is_never_offered_and_the_list_says_so() {
        let mut sold_out = product("b", json!(1));
        sold_out["stock"] = json!(0);
        let bodies =
            [product("a", json!(1)), sold_out, product("c", Value::Null), product("d", json!("9.90"))];
        let stock = stock(&bodies, json!({}), &[(1, "a", 1), (1, "b", 2), (1, "c", 3), (1, "d", 4)]);
        let mut person = Person::default();
        person.history.note("a", Action::Bought, at(5));
        let offered = offer(&stock, &person, &Wish::of(4), at(1_000));
        assert_eq!(ids(&offered), ["d"]);
        let trace = offered.trace.unwrap();
        assert_eq!(
            trace["data"]["fewer"],
            "1 of 4 asked, for the catalogue has 4 items: 1 bought already, 1 sold out, 1 without a price."
        );
        assert_eq!(trace["data"]["items"][0]["reason"], "Because you bought A");
        assert_eq!(trace["data"]["model"]["variant"], "usual");
    }

    #[test]
    fn a_shelf_of_one_category_is_offered_in_full_and_each_fallback_is_declared() {
        let bodies: Vec<Value> = (0..5).map(|n| product(&format!("p{n}"), json!(1))).collect();
        let stock = stock(&bodies, json!({}), &[]);
        let mut person = Person::default();
        person.history.note("p0", Action::Viewed, at(5));
        person.history.show(vec!["p1".to_owned()], at(6));
        let offered = offer(&stock, &person, &Wish::of(5), at(1_000));
        assert_eq!(ids(&offered), ["p2", "p3", "p4", "p1", "p0"]);
        let fallbacks: Vec<Option<&str>> = offered.picks.iter().map(|pick| pick.fallback).collect();
        let expected = [None, None, Some("category_bound_lifted"), Some("shown_lately"), Some("seen_before")];
        assert_eq!(fallbacks, expected);
    }

    #[test]
    fn a_wish_narrows_the_list_and_an_unknown_argument_is_named() {
        let mut bodies: Vec<Value> = (0..6).map(|n| product(&format!("p{n}"), json!(n))).collect();
        bodies[3]["tags"] = json!(["new"]);
        bodies[4]["tags"] = json!(["new"]);
        bodies[5]["category"] = json!("d");
        let declared = json!({"collections": {"cheap": "price <= 1"}});
        let stock = stock(&bodies, declared, &[]);
        let check = |arguments: &[(&str, &str)], expected: &[&str]| {
            let arguments: Vec<(String, String)> =
                arguments.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let wish = Wish::from_arguments(9, &arguments).unwrap();
            let offered = offer(&stock, &Person::default(), &wish, at(1_000));
            assert_eq!(ids(&offered), expected, "{arguments:?}");
        };
        check(&[("tag", "new")], &["p3", "p4"]);
        check(&[("tag", "new"), ("exclude", "p3")], &["p4"]);
        check(&[("category", "D")], &["p5"]);
        check(&[("price_min", "2"), ("price_max", "3")], &["p2", "p3"]);
        check(&[("collection", "cheap")], &["p0", "p1"]);
        let wrong = Wish::from_arguments(1, &[("colour".to_owned(), "red".to_owned())]).unwrap_err();
        assert!(wrong.contains("'colour'") && wrong.contains("price_max"), "{wrong}");
        assert!(Wish::from_arguments(1, &[("price_max".to_owned(), "cheap".to_owned())]).is_err());
    }

    #[test]
    fn what_is_bought_comes_again_only_in_categories_that_are_bought_again_and_again() {
        let mut bodies: Vec<Value> = (0..2).map(|n| product(&format!("p{n}"), json!(n))).collect();
        bodies[1]["category"] = json!("coffee");
        let mut person = Person::default();
        person.history.note("p0", Action::Bought, at(5));
        person.history.note("p1", Action::Bought, at(5));
        let offered = |declared| offer(&stock(&bodies, declared, &[]), &person, &Wish::of(2), at(1_000));
        assert!(offered(json!({})).picks.is_empty());
        let again = offered(json!({"repeat_categories": ["coffee"]}));
        assert_eq!(ids(&again), ["p1"]);
        assert_eq!(again.picks[0].reason, "You bought this before");
        assert_eq!(ids(&offered(json!({"repeat_categories": ["*"]}))).len(), 2);
    }
}
