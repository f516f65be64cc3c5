//! A condition as SQL over the lake gives the answer of the reference evaluator, for every profile at once.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

#[path = "../../segment/tests/reference/mod.rs"]
mod reference;

use std::collections::BTreeMap;

use expr::sql::{DataFusion, Names, SqlError, members, select};
use lake::{ColumnType, Lake, QueryLimits, Row, Table};
use model::time::DAY;
use model::{Timestamp, Value};
use proptest::prelude::*;
use reference::draw::{condition_text, event};
use reference::{Happened, Person, reference, start};
use segment::Definition;
use serde_json::json;

const ZONES: [&str; 3] = ["UTC", "Asia/Kathmandu", "America/New_York"];
const SEGMENT: &str = "First";

struct Known<'a>(&'a [Definition]);

impl Names for Known<'_> {
    fn segment(&self, name: &str) -> Option<(String, expr::Condition)> {
        let known = self.0.iter().find(|each| each.key == name || each.name == name)?;
        Some((known.key.clone(), known.condition.clone()))
    }

    fn figure(&self, name: &str) -> Option<expr::Figure> {
        let score = segment::score::definition();
        (name == score.name).then_some(score.figure)
    }
}

fn definition(number: usize, text: &str) -> Definition {
    Definition {
        key: format!("s{number}"),
        name: if number == 0 { SEGMENT.to_owned() } else { format!("Other {number}") },
        condition: expr::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")),
        watched: true,
    }
}

fn person(zone: &str) -> Person {
    let attributes = json!({
        "country": "BD", "trial_ends": "2026-02-15T12:30:00Z", "birthday": "1996-02-29", "plan": "pro",
        "interests": ["fitness", "food"], "pets": [{"kind": "dog", "age": 5}, {"kind": "cat", "age": 1}],
    });
    let Value::Object(attributes) = attributes else { unreachable!() };
    Person(attributes, jiff::tz::TimeZone::get(zone).unwrap())
}

fn row(position: i64, profile_id: i64, happened: &Happened) -> Row {
    Row {
        position,
        workspace: 1,
        profile_id,
        message_id: position.to_string(),
        call: "track".to_owned(),
        name: happened.name.to_owned(),
        user_id: None,
        anonymous_id: None,
        timestamp: happened.at,
        original_timestamp: happened.at,
        received_at: happened.arrives,
        properties: happened.properties.to_string(),
        context: "{}".to_owned(),
        trust: "server".to_owned(),
        backfill: false,
    }
}

fn profiles(people: &[Person]) -> Table {
    let columns = [
        ("profile_id", ColumnType::Integer),
        ("attributes", ColumnType::Text),
        ("timezone", ColumnType::Text),
        ("consents", ColumnType::Text),
        ("seed", ColumnType::Text),
    ];
    let said = |given: bool| json!({"given": given, "at": Timestamp::parse("2026-02-10T09:30:00Z").unwrap().micros(), "by": "form"});
    let consents = json!({"email_marketing": said(true), "sms": said(false)}).to_string();
    let rows = people.iter().enumerate().map(|(number, person)| {
        let zone = person.1.iana_name().unwrap_or("UTC");
        let attributes = Value::Object(person.0.clone()).to_string();
        vec![json!(number + 1), json!(attributes), json!(zone), json!(consents), json!("seventh")]
    });
    let columns = columns.map(|(name, kind)| (name.to_owned(), kind)).to_vec();
    Table { name: "profiles".to_owned(), columns, rows: rows.collect() }
}

fn passage() -> impl Strategy<Value = Happened> {
    (any::<bool>(), 0..60 * DAY).prop_map(|(entered, offset)| {
        let name = if entered { "Segment Entered" } else { "Segment Exited" };
        let at = start() + offset;
        Happened { name, at, arrives: at, properties: json!({"segment": "s0"}) }
    })
}

fn history() -> impl Strategy<Value = Vec<Happened>> {
    proptest::collection::vec(prop_oneof![12 => event(), 1 => passage()], 0..25)
}

/// Statements; each answers eight conditions for twelve people.
fn statements() -> u32 {
    option_env!("RAPPORT_SQL_STATEMENTS").and_then(|text| text.parse().ok()).unwrap_or(30)
}

/// The first column's ids with the truth values beside them; none when the statement has more tables than a query may.
fn answers(lake: &Lake, people: &[Person], sql: &str) -> Option<BTreeMap<i64, Vec<bool>>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let limits = QueryLimits { seconds: 300, ..QueryLimits::default() };
    let answer = match runtime.block_on(lake.query(1, sql, vec![profiles(people)], &limits)) {
        Ok(answer) => answer,
        Err(error) if error.to_string().contains("at most 64 are joined") => return None,
        Err(error) => panic!("{error}\n{sql}"),
    };
    let flag = |value: &Value| value.as_bool().unwrap_or_else(|| panic!("not true or false: {value}\n{sql}"));
    let row = |row: &Vec<Value>| (row[0].as_i64().unwrap(), row[1..].iter().map(flag).collect());
    Some(answer.rows.iter().map(row).collect())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: statements(), failure_persistence: None, max_shrink_iters: 200, ..ProptestConfig::default()
    })]

    #[test]
    fn sql_and_reference_agree_for_every_profile(
        first in condition_text(false),
        texts in proptest::collection::vec(condition_text(true), 7),
        histories in proptest::collection::vec((history(), 0..ZONES.len()), 12),
        now in prop_oneof![0..62 * DAY, (0..62i64).prop_map(|day| day * DAY)],
        in_files in any::<bool>(),
    ) {
        let now = start() + now;
        let people: Vec<Person> = histories.iter().map(|(_, zone)| person(ZONES[*zone])).collect();
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::open(dir.path()).unwrap();
        let all = histories.iter().enumerate().flat_map(|(number, (history, _))| {
            history.iter().map(move |happened| (number as i64 + 1, happened))
        });
        lake.append(all.zip(1..).map(|((profile, happened), position)| row(position, profile, happened)).collect())
            .unwrap();
        if in_files {
            lake.flush().unwrap();
        }
        let definitions: Vec<Definition> = std::iter::once(&first)
            .chain(&texts)
            .enumerate()
            .map(|(number, text)| definition(number, text))
            .collect();
        let mut answered = 0;
        for pair in definitions.chunks(2) {
            let conditions: Vec<&expr::Condition> = pair.iter().map(|each| &each.condition).collect();
            let sql = select(&conditions, &Known(&definitions), now, &ZONES, &DataFusion).unwrap();
            let Some(found) = answers(&lake, &people, &sql) else { continue };
            answered += 1;
            prop_assert_eq!(found.len(), people.len());
            for (number, ((history, _), person)) in histories.iter().zip(&people).enumerate() {
                for (place, definition) in pair.iter().enumerate() {
                    let expected = reference(&definition.condition, history, person, now, &definitions);
                    prop_assert_eq!(
                        found[&(number as i64 + 1)][place], expected,
                        "{} at {} for {:?}: {:?}\n{}", definition.condition, now, person.1.iana_name(), history, sql
                    );
                }
            }
        }
        prop_assert!(answered > 0, "every statement has too many tables");
    }
}

#[test]
fn members_are_those_for_whom_it_holds() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(dir.path()).unwrap();
    let happened =
        |at| Happened { name: "Order Completed", at, arrives: at, properties: json!({"price": 9}) };
    let now = start() + 10 * DAY;
    lake.append(vec![row(1, 2, &happened(now - DAY)), row(2, 3, &happened(start()))]).unwrap();
    let condition = expr::parse(r#"did "Order Completed" where price > 5 in last 2 days"#).unwrap();
    let sql = members(&condition, &Known(&[]), now, &ZONES, &DataFusion).unwrap();
    let people = vec![person("UTC"), person("UTC"), person("UTC")];
    assert_eq!(answers(&lake, &people, &sql).unwrap().into_keys().collect::<Vec<_>>(), [2]);
}

#[test]
fn traits_of_every_kind_are_said_in_sql_too() {
    struct Traits;
    impl Names for Traits {
        fn segment(&self, _: &str) -> Option<(String, expr::Condition)> {
            None
        }
        fn figure(&self, name: &str) -> Option<expr::Figure> {
            let text = match name {
                "orders" => r#"count "Order Completed" in last 5 days"#,
                "spent" => r#"sum(price) of "Order Completed""#,
                "active_days" => r#"days with "Order Completed""#,
                "quiet" => r#"days since last "Order Completed""#,
                "warmth" => r#"score(2 * "Order Completed", half-life 10 days)"#,
                _ => return None,
            };
            Some(expr::parse_figure(text).unwrap_or_else(|error| panic!("{text}: {error}")))
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(dir.path()).unwrap();
    let happened =
        |at| Happened { name: "Order Completed", at, arrives: at, properties: json!({"price": 9}) };
    let now = start() + 10 * DAY;
    lake.append(vec![
        row(1, 2, &happened(now - DAY)),
        row(2, 2, &happened(start())),
        row(3, 3, &happened(start())),
    ])
    .unwrap();
    let people = vec![person("UTC"), person("UTC"), person("UTC")];
    let ids = |text: &str| {
        let condition = expr::parse(text).unwrap();
        let sql = members(&condition, &Traits, now, &ZONES, &DataFusion).unwrap();
        answers(&lake, &people, &sql).unwrap().into_keys().collect::<Vec<_>>()
    };
    assert_eq!(ids("orders = 0"), [1, 3]);
    assert_eq!(ids("spent >= 18"), [2]);
    assert_eq!(ids("active_days = 1"), [3]);
    assert_eq!(ids("quiet = 10"), [3]);
    assert_eq!(ids("quiet is missing"), [1]);
    // Two points that were halved once, and beside them two that lost a fifteenth.
    assert_eq!(ids("warmth between 0.99 and 1.01"), [3]);
    assert_eq!(ids("warmth > 2.8"), [2]);
}

#[test]
fn unknown_and_circular_segments_are_refused_by_name() {
    let now = start();
    let definitions = [definition(0, r#"not in segment "Other 1""#), definition(1, r#"in segment "First""#)];
    let known = Known(&definitions);
    let refused = members(&definitions[0].condition, &known, now, &ZONES, &DataFusion).unwrap_err();
    assert!(matches!(refused, SqlError::Circle(_)), "{refused}");
    let lost = expr::parse(r#"in segment "Nowhere""#).unwrap();
    let refused = members(&lost, &known, now, &ZONES, &DataFusion).unwrap_err();
    assert_eq!(refused.to_string(), r#"there is no segment "Nowhere""#);
}
