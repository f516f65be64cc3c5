//! Columns say of every row what its file, or memory, says; what is wanted of other names and times is not there.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::collections::BTreeMap;

use common::row;
use lake::{Lake, Row};
use model::column::{Names, Rows, Wanted};
use model::{Timestamp, Value};

fn names(path: &[&str]) -> Names {
    path.iter().map(|name| (*name).to_owned()).collect()
}

fn wanted(event: &str, paths: &[&[&str]]) -> Vec<Wanted> {
    let properties = paths.iter().map(|path| names(path)).collect();
    vec![Wanted { event: event.to_owned(), properties, from: i64::MIN, until: i64::MAX }]
}

/// Every row as (name, profile, instant, properties), sorted.
fn told(columns: &[Rows]) -> Vec<(String, u32, i64, BTreeMap<Names, Option<Value>>)> {
    let mut out = Vec::new();
    for rows in columns {
        assert!(rows.times.is_sorted(), "rows lie in the order of time");
        for at in 0..rows.times.len() {
            let value = |(names, coded): (&Names, &std::sync::Arc<model::column::Coded>)| {
                (names.clone(), coded.values[coded.codes.get(at)].clone())
            };
            let properties = rows.properties.iter().map(value).collect();
            out.push((rows.name.clone(), rows.profiles[at], rows.times[at], properties));
        }
    }
    out.sort_by_key(|row| (row.2, row.1));
    out
}

fn with_properties(texts: &[&str]) -> Vec<Row> {
    let numbered = (1..).zip(texts);
    numbered
        .map(|(position, text)| Row {
            name: "Told".to_owned(),
            timestamp: Timestamp::from_secs(position),
            properties: (*text).to_owned(),
            ..row(1, position)
        })
        .collect()
}

/// One property of all rows, from memory and from a file.
fn extracted(path: &[&[&str]], texts: &[&str]) -> Vec<Vec<Option<Value>>> {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(dir.path()).unwrap();
    lake.append(with_properties(texts)).unwrap();
    let in_memory = told(&lake.columns(1, &wanted("Told", path)).unwrap());
    lake.flush().unwrap();
    assert_eq!(told(&lake.columns(1, &wanted("Told", path)).unwrap()), in_memory);
    path.iter().map(|path| in_memory.iter().map(|row| row.3[&names(path)].clone()).collect()).collect()
}

#[test]
fn what_is_taken_out_is_what_a_tree_would_have_had() {
    let rows = [
        r#"{"a":1,"b":{"c":"x","d":[1,{"c":2}]},"e":null}"#,
        r#"{"a":1.0,"b":{"c":-3}}"#,
        r#"{"a":"1","a":true}"#,
        r#"{"b":{"c":1},"b":{"d":[]}}"#,
        r#"{"b":{"c":1},"b":7}"#,
        r#"{"a":"ü\n","b":[{"c":1}],"e":{}}"#,
        r#"{"a":1,"z":1e999}"#,
        r#"{"a":1,"z":"\ud800"}"#,
        r#"{"a":1} x"#,
        r#"{"a":1"#,
        "[1,2]",
        "\"text\"",
        "17",
        "",
        r#"{"it":5,"a":18446744073709551615,"e":-0.0}"#,
    ];
    let deep = format!("{{\"a\":1,\"z\":{}{}}}", "[".repeat(200), "]".repeat(200));
    let mut rows = rows.to_vec();
    rows.push(&deep);
    let paths: [&[&str]; 7] = [&["a"], &["b"], &["b", "c"], &["b", "d"], &["e"], &["it"], &["e", "f"]];
    let found = extracted(&paths, &rows);
    let apart: Vec<_> = paths.iter().flat_map(|path| extracted(&[path], &rows)).collect();
    assert_eq!(found, apart);
    for (path, column) in paths.iter().zip(&found) {
        for (row, found) in rows.iter().zip(column) {
            let tree: Value = serde_json::from_str(row).unwrap_or(Value::Null);
            let expected = match path {
                ["it"] if !tree.is_object() => Some(&tree),
                path => path.iter().try_fold(&tree, |value, name| value.get(name)),
            };
            // Null and absent are the same to every condition; text that is no JSON has no properties.
            let expected = expected.filter(|value| !value.is_null() || found.is_some());
            assert_eq!(found.as_ref(), expected, "{path:?} of {row}");
        }
    }
}

#[test]
fn equal_values_share_a_code_and_numbers_are_not_text() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(dir.path()).unwrap();
    let texts = [r#"{"a":1}"#, r#"{"a":"1"}"#, r#"{"a":1}"#, "{}", r#"{"a":1.0}"#, r#"{"a":null}"#];
    lake.append(with_properties(&texts)).unwrap();
    let rows = lake.columns(1, &wanted("Told", &[&["a"]])).unwrap().remove(0);
    let codes = &rows.properties[&names(&["a"])].codes;
    assert_eq!((0..6).map(|row| codes.get(row)).collect::<Vec<_>>(), [1, 2, 1, 0, 3, 4]);
}

#[test]
fn columns_hold_what_a_scan_passes_through_flushes_merges_and_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut lake = Lake::open(dir.path()).unwrap();
    for part in 0..5_i64 {
        lake.append((part * 100 + 1..=part * 100 + 100).map(|at| row(1 + at % 2, at)).collect()).unwrap();
        let all = told(&lake.columns(1, &wanted("*", &[&["at"]])).unwrap());
        let mut scanned = Vec::new();
        lake.scan(1, &[], i64::MAX, true, &mut |row| {
            let tree: Value = serde_json::from_str(row.properties).unwrap();
            let properties = BTreeMap::from([(names(&["at"]), Some(tree["at"].clone()))]);
            scanned.push((row.name.to_owned(), row.profile_id as u32, row.timestamp.micros(), properties));
        })
        .unwrap();
        scanned.sort_by_key(|row| (row.2, row.1));
        assert_eq!(all, scanned);
        assert_eq!(all.len() as i64, part * 50 + 50);
        lake.flush().unwrap();
        if part == 3 {
            assert!(lake.compact().unwrap() > 0);
            lake = Lake::open(dir.path()).unwrap();
        }
    }
    let some = lake.columns(1, &wanted("Page *", &[])).unwrap();
    assert!(
        !some.is_empty() && some.iter().all(|rows| rows.name == "Page Viewed" && rows.properties.is_empty())
    );
    assert!(lake.columns(3, &wanted("*", &[])).unwrap().is_empty());
}

#[test]
fn files_and_names_outside_the_time_wanted_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(dir.path()).unwrap();
    for at in [1, 2] {
        lake.append(vec![Row { timestamp: Timestamp::from_secs(at * 1_000), ..row(1, at) }]).unwrap();
        lake.flush().unwrap();
    }
    let in_time = |from: i64, until: i64| {
        let mut wanted = wanted("*", &[]);
        (wanted[0].from, wanted[0].until) = (from * 1_000_000, until * 1_000_000);
        lake.columns(1, &wanted).unwrap().len()
    };
    assert_eq!(
        (in_time(0, 9_999), in_time(1_500, 9_999), in_time(0, 2_000), in_time(2_000, 2_001)),
        (2, 1, 1, 1)
    );
}

#[test]
fn owners_follow_chains_of_profiles_that_became_one() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(dir.path()).unwrap();
    assert_eq!(lake.owners(4), None);
    lake.add_aliases([(1, 2), (2, 3), (5, 3)].into_iter());
    assert_eq!(lake.owners(4), Some(vec![0, 3, 3, 3, 4, 3]));
}
