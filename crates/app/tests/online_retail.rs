//! The UCI "Online Retail" file through the real binary: counts, sums and customers are those that the data set's own
//! rows give, importing twice changes nothing, and a segment and SQL agree.
//!
//! Skips, and says so, where the file is not there: it lies in `../shared`, or where `RAPPORT_ONLINE_RETAIL` says.

#![expect(clippy::unwrap_used, reason = "a test harness")]

mod common;

use std::path::{Path, PathBuf};

use serde_json::Value;

use common::Rapport;

/// The file, if it is there.
fn file() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = common::environment("RAPPORT_ONLINE_RETAIL")
        .map_or_else(|| root.join("../shared/data/online-retail/online_retail.csv.gz"), PathBuf::from);
    if !path.exists() {
        println!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

fn import(rapport: &Rapport, file: &Path) -> Value {
    let map = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../mappings/online-retail.toml");
    rapport.json(&["import", "events", file.to_str().unwrap(), "--map", map.to_str().unwrap(), "--backfill"])
}

/// The single row of an answer.
fn row(rapport: &Rapport, sql: &str) -> Vec<Value> {
    let answer = rapport.json(&["query", sql]);
    answer["rows"][0].as_array().unwrap().clone()
}

#[test]
fn the_online_retail_file_gives_its_published_figures_and_counts_once() {
    let Some(source) = file() else { return };
    let rapport = Rapport::new();
    // The rejected rows are written beside the file, which here is a copy.
    let copy = rapport.dir().join("online_retail.csv.gz");
    std::fs::copy(source, &copy).unwrap();

    let report = import(&rapport, &copy);
    let count = |report: &Value, name: &str| report[name].as_u64().unwrap();
    assert_eq!(count(&report, "rows"), 541_909);
    assert_eq!(count(&report, "rejected"), 135_080, "rows without a customer");
    assert_eq!(count(&report, "left_out"), 40, "rows without a quantity or a price");
    assert_eq!(count(&report, "duplicates"), 0);
    let rejected = std::fs::read_to_string(report["rejected_file"].as_str().unwrap()).unwrap();
    assert_eq!(rejected.lines().count(), 135_080);

    let orders = "SELECT count(*), count(DISTINCT profile_id), \
        CAST(sum(round(json_number(properties, 'revenue') * 1000)) AS BIGINT) FROM events WHERE event = ";
    // 8,911,407.904: four invoices have prices in tenths of a penny.
    assert_eq!(row(&rapport, &format!("{orders} 'Order Completed'")), [18_532, 4_338, 8_911_407_904_i64]);
    assert_eq!(row(&rapport, &format!("{orders} 'Order Cancelled'")), [3_654, 1_589, -611_342_090_i64]);
    let kinds = "SELECT count(*), count(DISTINCT message_id) FROM events";
    let events = row(&rapport, kinds);
    assert_eq!(events[0], report["accepted"]);
    assert_eq!(events[0], events[1]);
    // One customer has nothing but rows without a price.
    assert_eq!(row(&rapport, "SELECT count(*) FROM profiles"), [4_371]);

    let top = "SELECT user_id, CAST(round(sum(json_number(properties, 'revenue')) * 100) AS BIGINT) AS pence FROM events \
        WHERE event = 'Order Completed' GROUP BY user_id ORDER BY pence DESC LIMIT 3";
    let top = rapport.json(&["query", top]);
    let expected = [("14646", 28_020_602_i64), ("18102", 25_965_730), ("17450", 19_455_079)];
    for (row, (customer, pence)) in top["rows"].as_array().unwrap().iter().zip(expected) {
        assert_eq!((row[0].as_str().unwrap(), row[1].as_i64().unwrap()), (customer, pence));
    }

    let segment = rapport.json(&["segment", "count", "count \"Order Completed\" since 2011-06-10 > 2"]);
    assert_eq!((count(&segment, "count"), count(&segment, "total")), (1_280, 4_371));
    let sql = "SELECT count(*) FROM (SELECT profile_id FROM events WHERE event = 'Order Completed' \
        AND timestamp >= '2011-06-10T00:00:00Z' GROUP BY profile_id HAVING count(*) > 2)";
    assert_eq!(row(&rapport, sql), [1_280]);
    let asked = "count \"Order Completed\" since 2011-06-10 > 2";
    let statement = rapport.json(&["segment", "sql", asked]);
    let statement = statement["sql"].as_str().unwrap();
    assert_eq!(row(&rapport, &format!("SELECT count(*) FROM ({statement})")), [1_280]);
    let repeated = rapport.json(&["segment", "count", "count \"Order Completed\" > 1"]);
    assert_eq!(count(&repeated, "count"), 2_845);

    // RFM as of the day after the last row. `.ci/predictions` computes the same with pandas, customer by customer.
    let found = rapport.json(&["rfm", "--as-of", "2011-12-10T00:00:00Z"]);
    let of = |name: &str| found["report"][name].as_u64().unwrap();
    assert_eq!((of("customers"), of("repeat_customers"), of("orders")), (4_338, 2_845, 18_532));
    assert_eq!(found["report"]["value"], 8_911_407.9);
    let groups = found["report"]["groups"].as_array().unwrap();
    assert_eq!(groups.iter().map(|group| group["count"].as_u64().unwrap()).sum::<u64>(), 4_338);
    if let Some(path) = common::environment("RAPPORT_RFM_OUT") {
        std::fs::write(path, found.to_string()).unwrap();
    }

    let again = import(&rapport, &copy);
    assert_eq!(again["accepted"], 0);
    assert_eq!(again["duplicates"], report["accepted"]);
    assert_eq!(row(&rapport, kinds), events);
}
