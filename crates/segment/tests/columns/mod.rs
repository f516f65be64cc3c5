//! Columns made in the plainest way from events and a person: what the lake and the store are made to look like.

use std::collections::BTreeMap;
use std::sync::Arc;

use expr::Attributes;
use model::Value;
use model::column::{Bits, Coded, Codes, Names, Rows, covers};
use segment::{Asked, Fact, Found, People, Preview, consent_value};

use crate::reference::{Happened, Person};

fn coded(values: Vec<Option<Value>>) -> Coded {
    let mut known: Vec<Option<Value>> = vec![None];
    let mut code = |value: Option<Value>| {
        known.iter().position(|each| *each == value).unwrap_or_else(|| {
            known.push(value);
            known.len() - 1
        }) as u32
    };
    let codes = values.into_iter().map(&mut code).collect();
    Coded { codes: Codes::narrowed(codes, known.len()), values: known }
}

fn at_path(properties: &Value, names: &Names) -> Option<Value> {
    names.iter().try_fold(properties, |value, name| value.get(name)).cloned()
}

/// The people of a preview: 1, of whom 2 has become part, and 3, who lives elsewhere.
fn people(asked: &Asked, one: &Person, elsewhere: &Person) -> People {
    let mut people = People { present: Bits::empty(4), ..People::default() };
    people.present.add(1);
    people.present.add(3);
    let fact = |of: &dyn Fn(&Person) -> Option<Value>| {
        let mut values = vec![None];
        let mut codes = vec![0; 4];
        for (number, person) in [(1, one), (3, elsewhere)] {
            codes[number] = values.len() as u32;
            values.push(of(person));
        }
        Fact { codes, values }
    };
    for path in &asked.attributes {
        let of = |person: &Person| match path.as_str() {
            "timezone" => person.1.iana_name().map(Value::from),
            path => Attributes::get(person, path).map(|value| value.into_owned()),
        };
        people.attributes.insert(path.clone(), fact(&of));
    }
    for about in &asked.consents {
        let of = |person: &Person| person.consent(about).map(|consent| consent_value(&consent));
        people.consents.insert(about.clone(), fact(&of));
    }
    if asked.seed {
        people.seed = Some(fact(&|person| person.seed().map(|seed| seed.into())));
    }
    people
}

/// Counts a condition over columns of so many files; only what it needs is there.
pub fn over(preview: &Preview, events: &[Happened], one: &Person, elsewhere: &Person, files: usize) -> Found {
    let needs = preview.needs();
    let mut parts: BTreeMap<(usize, &str), Vec<(usize, &Happened)>> = BTreeMap::new();
    for (number, event) in events.iter().enumerate() {
        parts.entry((number * 7 % files, event.name)).or_default().push((number, event));
    }
    let mut rows = Vec::new();
    for ((_, name), mut events) in parts {
        let wanted: Vec<_> = needs
            .iter()
            .filter(|need| covers(&need.event, name))
            .filter(|need| events.iter().any(|(_, each)| (need.from..need.until).contains(&each.at.micros())))
            .collect();
        if wanted.is_empty() {
            continue;
        }
        events.sort_by_key(|(number, event)| (event.at, *number));
        let column = |names: &Names| {
            let values = events.iter().map(|(_, event)| at_path(&event.properties, names)).collect();
            (names.clone(), Arc::new(coded(values)))
        };
        rows.push(Rows {
            name: name.to_owned(),
            // Half of them are of a profile that became part of the other, a stranger's go by unseen.
            profiles: Arc::new(events.iter().map(|(number, _)| 1 + *number as u32 % 2).collect()),
            times: Arc::new(events.iter().map(|(_, event)| event.at.micros()).collect()),
            properties: wanted.iter().flat_map(|need| &need.properties).map(column).collect(),
        });
        if let Some(last) = rows.last() {
            rows.push(Rows { profiles: Arc::new(vec![0; last.times.len()]), ..last.clone() });
        }
    }
    let people = people(&preview.asks(), one, elsewhere);
    preview.over(&rows, Some(&[0, 1, 1, 3]), &people, &jiff::tz::TimeZone::UTC, 10)
}
