//! What a template sees: borrowed from the profile, the event and the catalogues in memory; nothing is ranked, parsed or
//! copied before a template touches it.

use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use model::{Map, Value};
use template::{Ask, Object, Supplied, Val};

use crate::catalogue::Catalogue;
use crate::compose::Order;
use crate::offer::{self, Person, Pick, Wish};
use crate::recommend::Stock;
use crate::registry::Registry;

/// Recommendations of `site.recommendations`.
const RECOMMENDED_MAX: usize = 6;
/// Items of a catalogue or a collection that a loop goes over.
const LOOPED_MAX: usize = 1_000;

/// An answer that had to be fetched.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fetched {
    /// The value.
    Ready(Value),
    /// There is none, and why.
    Nothing(String),
    /// The message must not be sent without it, and why.
    Refused(String),
}

/// Answers by what was asked.
pub(crate) type Answers = BTreeMap<Ask, Fetched>;

/// A list that was ranked, and its step of the trace.
type Ranked = (Wish, Rc<[Pick]>, Option<Value>);

struct Core<'a> {
    registry: &'a Registry,
    order: &'a Order<'a>,
    stock: Stock,
    fetched: &'a Answers,
    person: OnceCell<Person>,
    lists: RefCell<Vec<Ranked>>,
}

impl Core<'_> {
    fn person(&self) -> &Person {
        self.person.get_or_init(|| match self.order.hot {
            Some((_, hot)) => offer::person(self.registry, hot, &self.stock),
            None => Person::default(),
        })
    }

    /// Ranks, once for a wish.
    fn ranked(&self, wish: &Wish) -> Rc<[Pick]> {
        if let Some((_, picks, _)) = self.lists.borrow().iter().find(|(known, ..)| known == wish) {
            return picks.clone();
        }
        let offered = offer::offer(&self.stock, self.person(), wish, self.order.now);
        let picks: Rc<[Pick]> = offered.picks.into();
        self.lists.borrow_mut().push((wish.clone(), picks.clone(), offered.trace));
        picks
    }

    /// The items of a list, borrowed from the catalogue, with what says why.
    fn offered(&self, picks: &[Pick]) -> Val<'_> {
        let Some(catalogue) = self.stock.products() else { return Val::Array(Rc::from([])) };
        let item = |pick: &Pick| {
            let goods = catalogue.goods.get(&pick.id)?;
            let mut parts: Vec<(Cow<'_, str>, Val<'_>)> = goods.body.as_object().map(Object::entries)?;
            parts.retain(|(name, _)| !matches!(name.as_ref(), "reason" | "source" | "fallback"));
            parts.push(("reason".into(), Val::text(pick.reason.clone())));
            parts.push(("source".into(), Val::from_owned(serde_json::json!(pick.source))));
            if let Some(fallback) = pick.fallback {
                parts.push(("fallback".into(), Val::Str(Cow::Borrowed(fallback))));
            }
            Some(Val::Record(parts.into()))
        };
        Val::Array(picks.iter().filter_map(item).collect())
    }
}

/// `customer`: attributes, traits, id, segments.
struct Customer<'a> {
    core: Rc<Core<'a>>,
    traits: OnceCell<BTreeMap<String, Option<Value>>>,
}

impl Customer<'_> {
    fn traits(&self) -> &BTreeMap<String, Option<Value>> {
        self.traits.get_or_init(|| match self.core.order.hot {
            Some((_, hot)) if !self.core.registry.traits.is_empty() => {
                crate::traits::values(self.core.registry, hot, self.core.order.now)
            }
            _ => BTreeMap::new(),
        })
    }

    fn segments(&self) -> Vec<Val<'_>> {
        let Some((_, hot)) = self.core.order.hot else { return Vec::new() };
        let own = self.core.registry.engine.memberships(&hot.segments);
        own.map(|(segment, _)| Val::Str(Cow::Borrowed(segment.name.as_str()))).collect()
    }
}

impl Object for Customer<'_> {
    fn get<'a>(&'a self, key: &str) -> Option<Val<'a>> {
        let (row, hot) = self.core.order.hot?;
        match key {
            "id" => return Some(Val::Int(row.id.0)),
            "segments" => return Some(Val::Array(self.segments().into())),
            _ => {}
        }
        if self.core.registry.traits.contains_key(key)
            && let Some(value) = self.traits().get(key)
        {
            return value.as_ref().map(Val::from_json);
        }
        match hot.profile.attribute(key).and_then(crate::contract::without_blanks) {
            Some(value) => Some(Val::from_owned(value)),
            None if key == "email" => Some(Val::Str(Cow::Borrowed(self.core.order.recipient))),
            None => None,
        }
    }

    fn entries(&self) -> Vec<(Cow<'_, str>, Val<'_>)> {
        let Some((_, hot)) = self.core.order.hot else { return Vec::new() };
        let mut names: std::collections::BTreeSet<String> = hot.profile.values().keys().cloned().collect();
        names.extend(self.traits().keys().cloned());
        names.extend(["id", "email", "segments"].map(str::to_owned));
        names
            .into_iter()
            .filter_map(|name| Some((self.get(&name)?, name)))
            .map(|(v, n)| (n.into(), v))
            .collect()
    }
}

/// `site.recommendations`: one list, under the customer's id.
struct Recommended<'a>(Rc<Core<'a>>);

impl Object for Recommended<'_> {
    fn get<'a>(&'a self, key: &str) -> Option<Val<'a>> {
        let (row, _) = self.0.order.hot?;
        if key != row.id.0.to_string() {
            return None;
        }
        let picks = self.0.ranked(&Wish::of(RECOMMENDED_MAX));
        Some(self.0.offered(&picks))
    }
}

struct Site<'a>(Recommended<'a>);

impl Object for Site<'_> {
    fn get<'a>(&'a self, key: &str) -> Option<Val<'a>> {
        (key == "recommendations").then_some(Val::Object(&self.0))
    }
}

/// `catalog.<name>.collections`: lists of items.
struct Collections {
    catalogue: Arc<Catalogue>,
    now: model::Timestamp,
}

impl Object for Collections {
    fn get<'a>(&'a self, key: &str) -> Option<Val<'a>> {
        if !self.catalogue.has_collection(key) {
            return None;
        }
        let found = self.catalogue.collection(key, self.now).take(LOOPED_MAX);
        Some(Val::Array(found.map(|(_, goods)| Val::from_json(&goods.body)).collect()))
    }
}

/// `catalog.<name>`: items by id.
struct Items(Collections);

impl Object for Items {
    fn get<'a>(&'a self, key: &str) -> Option<Val<'a>> {
        match self.0.catalogue.goods.get(key) {
            Some(goods) => Some(Val::from_json(&goods.body)),
            None => (key == "collections").then_some(Val::Object(&self.0)),
        }
    }

    fn entries(&self) -> Vec<(Cow<'_, str>, Val<'_>)> {
        let all = self.0.catalogue.goods.iter().take(LOOPED_MAX);
        all.map(|(id, goods)| (Cow::Borrowed(id.as_str()), Val::from_json(&goods.body))).collect()
    }
}

/// `catalog`: catalogues by name, and `collections`, which are those of the products.
struct Catalogs {
    all: BTreeMap<String, Items>,
}

impl Object for Catalogs {
    fn get<'a>(&'a self, key: &str) -> Option<Val<'a>> {
        if let Some(items) = self.all.get(key) {
            return Some(Val::Object(items));
        }
        let products = self.all.get(crate::recommend::CATALOGUE).filter(|_| key == "collections")?;
        Some(Val::Object(&products.0))
    }
}

/// The data of one mail.
pub(crate) struct MailData<'a> {
    core: Rc<Core<'a>>,
    customer: Customer<'a>,
    site: Site<'a>,
    catalogs: Catalogs,
    /// Small things that every mail has: message, links, the look.
    own: Map,
}

impl<'a> MailData<'a> {
    /// `own` holds what the host made for this mail: `message`, `links`, and whatever comes before the event's data.
    pub fn new(
        registry: &'a Registry,
        order: &'a Order<'a>,
        stock: Stock,
        fetched: &'a Answers,
        own: Map,
    ) -> MailData<'a> {
        let now = order.now;
        let items = |catalogue: &Arc<Catalogue>| Items(Collections { catalogue: catalogue.clone(), now });
        let all = stock.catalogues.iter().map(|(name, all)| (name.clone(), items(all))).collect();
        let core = Rc::new(Core {
            registry,
            order,
            stock,
            fetched,
            person: OnceCell::new(),
            lists: RefCell::default(),
        });
        MailData {
            customer: Customer { core: core.clone(), traits: OnceCell::new() },
            site: Site(Recommended(core.clone())),
            catalogs: Catalogs { all },
            core,
            own,
        }
    }

    /// The steps of the trace of every list that was ranked.
    pub fn trace(&self) -> Vec<Value> {
        self.core.lists.borrow().iter().filter_map(|(_, _, trace)| trace.clone()).collect()
    }
}

impl Object for MailData<'_> {
    fn get<'a>(&'a self, key: &str) -> Option<Val<'a>> {
        let given = || self.core.order.data.get(key).map(Val::from_json);
        match key {
            // A sample may say who it is for.
            "customer" | "site"
                if self.core.order.hot.is_none() && self.core.order.data.get(key).is_some() =>
            {
                given()
            }
            "customer" => Some(Val::Object(&self.customer)),
            "site" => Some(Val::Object(&self.site)),
            "workspace" => Some(Val::Map(&self.core.registry.settings)),
            "catalog" => Some(Val::Object(&self.catalogs)),
            _ => self.own.get(key).map(Val::from_json).or_else(given),
        }
    }

    fn entries(&self) -> Vec<(Cow<'_, str>, Val<'_>)> {
        let given = self.core.order.data.as_object().into_iter().flat_map(Map::keys);
        let mut names: Vec<&str> = ["customer", "site", "workspace", "catalog"].to_vec();
        names.extend(self.own.keys().map(String::as_str));
        names.extend(given.map(String::as_str));
        names.sort_unstable();
        names.dedup();
        names.into_iter().filter_map(|name| Some((Cow::Borrowed(name), self.get(name)?))).collect()
    }

    fn supply(&self, ask: &Ask) -> Supplied<'_> {
        match ask {
            Ask::Recommend { limit, arguments } => match Wish::from_arguments(*limit, arguments) {
                Err(why) => Supplied::Nothing(why),
                Ok(wish) => {
                    let picks = self.core.ranked(&wish);
                    if picks.is_empty() {
                        return Supplied::Nothing(
                            "The catalogue has nothing to offer this person.".to_owned(),
                        );
                    }
                    Supplied::Ready(self.core.offered(&picks))
                }
            },
            Ask::Item { catalog, id } => {
                let found = self.catalogs.all.get(catalog).and_then(|items| items.0.catalogue.goods.get(id));
                match found {
                    Some(goods) => Supplied::Ready(Val::from_json(&goods.body)),
                    None => Supplied::Nothing(format!("The catalogue '{catalog}' has no item '{id}'.")),
                }
            }
            Ask::Coupon { .. } => match self.core.fetched.get(ask) {
                Some(Fetched::Ready(value)) => Supplied::Ready(Val::from_json(value)),
                Some(Fetched::Nothing(why)) => Supplied::Nothing(why.clone()),
                Some(Fetched::Refused(why)) => Supplied::Refused(why.clone()),
                None => Supplied::Pending,
            },
            Ask::Feed { name, .. } => Supplied::Nothing(format!("There is no feed '{name}'.")),
        }
    }
}
