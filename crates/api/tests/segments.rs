//! What the pages of segments stand on: trees as good as texts, funnels, the past, growth, overlap, what was seen.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use axum::http::StatusCode;
use common::{Server, until};
use serde_json::{Value, json};

/// Twelve people: six of France with a plan each; five viewed, three of those ordered.
async fn shop() -> (Server, flow::Workers) {
    let server = Server::open().await;
    let workers = server.platform.start();
    let person = |n: usize| format!("u{n}");
    let mut calls = Vec::new();
    for n in 0..12 {
        let country = if n % 2 == 0 { "FR" } else { "DE" };
        let mut traits =
            json!({"email": format!("u{n}@shop.example"), "country": country, "age": 20 + n % 2});
        if n % 2 == 0 {
            traits["plan"] = json!("pro");
        }
        calls.push(json!({"type": "identify", "userId": person(n), "traits": traits}));
    }
    for n in 0..5 {
        let properties =
            json!({"category": if n < 3 { "Shoes" } else { "Books" }, "lines": [{"sku": "a", "price": n}]});
        calls
            .push(json!({"type": "track", "userId": person(n), "event": "Viewed", "properties": properties}));
    }
    for n in 0..3 {
        calls.push(json!({"type": "track", "userId": person(n), "event": "Ordered", "properties": {"total": 10 * n}}));
    }
    server.collect(json!(calls)).await;
    server.stepped().await;
    (server, workers)
}

async fn ask(server: &Server, path: &str, condition: Value) -> Value {
    let answer = server.call("POST", path, Some(json!({"where": condition}))).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
    answer.json()
}

async fn get(server: &Server, path: &str) -> Value {
    let answer = server.call("GET", path, None).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
    answer.json()
}

#[tokio::test]
async fn a_tree_is_as_good_as_its_text_wherever_a_condition_stands() {
    let (server, workers) = shop().await;
    let text = r#"did "Viewed" and (country = "FR" or age > 20)"#;
    let check = ask(&server, "/api/segments/check", json!(text)).await;
    assert_eq!((&check["ok"], &check["text"]), (&json!(true), &json!(text)));
    let again = ask(&server, "/api/segments/check", check["json"].clone()).await;
    assert_eq!(again, check);
    for path in ["/api/segments/preview", "/api/segments/funnel"] {
        let (by_text, by_tree) =
            (ask(&server, path, json!(text)).await, ask(&server, path, check["json"].clone()).await);
        assert_eq!(
            (&by_text["count"], &by_text["clauses"]),
            (&by_tree["count"], &by_tree["clauses"]),
            "{path}"
        );
    }
    let draft = json!({"name": "By tree", "where": check["json"]});
    let made = server.call("POST", "/api/segments", Some(draft)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    assert_eq!(made.json()["where"], text);
    workers.stop().await;
}

#[tokio::test]
async fn a_fault_of_a_tree_names_its_part() {
    let server = Server::open().await;
    let paths = async |tree: Value| -> Vec<String> {
        let check = ask(&server, "/api/segments/check", tree).await;
        assert_eq!(check["ok"], false);
        let errors = check["errors"].as_array().unwrap();
        errors.iter().map(|error| error["path"].as_str().unwrap().to_owned()).collect()
    };
    let everyone = json!({"type": "everyone"});
    let unknown = json!({"type": "not", "condition": {"type": "in_segment", "segment": "nowhere"}});
    assert_eq!(paths(json!({"type": "and", "all": [everyone, unknown]})).await, ["/where/all/1/condition"]);
    let empty = json!({"type": "did", "event": {"name": ""}, "window": null});
    assert_eq!(
        paths(json!({"type": "or", "any": [empty, everyone, empty]})).await,
        ["/where/any/0", "/where/any/2"]
    );
    assert_eq!(paths(json!({"type": "and", "all": [everyone]})).await, ["/where"]);
    assert_eq!(paths(json!([1])).await, ["/where"]);
    let refused = server
        .call(
            "POST",
            "/api/segments/preview",
            Some(json!({"where": {"type": "and", "all": [empty, everyone]}})),
        )
        .await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused.json()["errors"][0]["path"], "/where/all/0");
}

#[tokio::test]
async fn a_funnel_counts_each_clause_alone_and_with_those_before_it() {
    let (server, workers) = shop().await;
    let funnel = ask(
        &server,
        "/api/segments/funnel",
        json!(r#"did "Viewed" and country = "FR" and not did "Ordered""#),
    )
    .await;
    let counts: Vec<(i64, i64)> = funnel["clauses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|clause| (clause["alone"].as_i64().unwrap(), clause["together"].as_i64().unwrap()))
        .collect();
    assert_eq!((funnel["total"].as_i64(), counts), (Some(12), vec![(5, 5), (6, 3), (9, 1)]));
    let whole = ask(
        &server,
        "/api/segments/preview",
        json!(r#"did "Viewed" and country = "FR" and not did "Ordered""#),
    )
    .await;
    assert_eq!(whole["count"], 1);
    let one = ask(&server, "/api/segments/funnel", json!(r#"country = "FR" or did "Viewed""#)).await;
    assert_eq!(one["clauses"].as_array().unwrap().len(), 1);
    let many = (0..20).map(|n| format!("age != {n}")).collect::<Vec<_>>().join(" and ");
    assert_eq!(
        ask(&server, "/api/segments/funnel", json!(many)).await["clauses"].as_array().unwrap().len(),
        12
    );
    workers.stop().await;
}

#[tokio::test]
async fn the_past_of_a_condition_knows_only_what_had_happened() {
    let (server, workers) = shop().await;
    let at = |days: i64| (server.platform.clock.now() - days * model::time::DAY).to_string();
    let ordered = |n: usize, days: i64| json!({"type": "track", "userId": format!("u{n}"), "event": "Rated", "timestamp": at(days)});
    server.collect(json!([ordered(1, 28), ordered(2, 12), ordered(3, 12), ordered(4, 1)])).await;
    server.stepped().await;
    let past = ask(&server, "/api/segments/past", json!(r#"did "Rated""#)).await;
    let counts: Vec<i64> =
        past["points"].as_array().unwrap().iter().map(|p| p["count"].as_i64().unwrap()).collect();
    assert_eq!(counts, [0, 1, 1, 1, 3, 3, 4]);
    let left = ask(&server, "/api/segments/past", json!(r#"did "Rated" in last 7 days"#)).await;
    let counts: Vec<i64> =
        left["points"].as_array().unwrap().iter().map(|p| p["count"].as_i64().unwrap()).collect();
    assert_eq!(counts, [0, 1, 0, 0, 2, 0, 1]);
    workers.stop().await;
}

#[tokio::test]
async fn overlap_counts_every_region_exactly_and_each_opens_as_a_condition() {
    let (server, workers) = shop().await;
    for (id, condition) in
        [("viewed", r#"did "Viewed""#), ("french", r#"country = "FR""#), ("ordered", r#"did "Ordered""#)]
    {
        let draft = json!({"id": id, "name": id, "where": condition});
        assert_eq!(server.call("POST", "/api/segments", Some(draft)).await.status, StatusCode::CREATED);
    }
    until(async || get(&server, "/api/segments/overlap?ids=viewed,french,ordered").await["any"] == 8).await;
    let three = get(&server, "/api/segments/overlap?ids=viewed,french,ordered").await;
    let regions = three["regions"].as_array().unwrap();
    assert_eq!(regions.len(), 7);
    let of = |inside: &[&str]| regions.iter().find(|region| region["inside"] == json!(inside)).unwrap();
    let counts = [
        &["viewed"][..],
        &["french"],
        &["ordered"],
        &["viewed", "french"],
        &["viewed", "ordered"],
        &["viewed", "french", "ordered"],
    ];
    let counts: Vec<i64> = counts.iter().map(|inside| of(inside)["count"].as_i64().unwrap()).collect();
    assert_eq!(counts, [1, 3, 0, 1, 1, 2]);
    assert_eq!(three["segments"][1]["count"], 6);
    for region in regions {
        let found = ask(&server, "/api/segments/preview", region["where"].clone()).await;
        assert_eq!(found["count"], region["count"], "{region}");
    }
    let two = get(&server, "/api/segments/overlap?ids=ordered,viewed,ordered").await;
    assert_eq!(two["regions"].as_array().unwrap().len(), 3);
    for (ids, status) in
        [("viewed", 422), ("viewed,viewed", 422), ("viewed,french,ordered,none", 422), ("viewed,none", 404)]
    {
        let answer = server.call("GET", &format!("/api/segments/overlap?ids={ids}"), None).await;
        assert_eq!(answer.status.as_u16(), status, "{ids}");
    }
    workers.stop().await;
}

#[tokio::test]
async fn growth_tells_entries_and_exits_with_their_causes() {
    let (server, workers) = shop().await;
    let draft = json!({"id": "open", "name": "Open", "where": r#"did "Viewed" and not did "Ordered""#});
    assert_eq!(server.call("POST", "/api/segments", Some(draft)).await.status, StatusCode::CREATED);
    let members = async || get(&server, "/api/segments/open").await["count"].as_i64().unwrap();
    until(async || members().await == 2).await;
    server
        .collect(json!([
            {"type": "track", "userId": "u9", "event": "Viewed"},
            {"type": "track", "userId": "u3", "event": "Ordered"},
            {"type": "track", "userId": "u4", "event": "Ordered"},
        ]))
        .await;
    until(async || members().await == 1).await;
    let growth = get(&server, "/api/segments/open/growth").await;
    let days = growth["days"].as_array().unwrap();
    let today = days.last().unwrap();
    assert_eq!((&today["members"], &today["entered"], &today["exited"]), (&json!(1), &json!(3), &json!(2)));
    let cause = |name: &str| {
        growth["causes"].as_array().unwrap().iter().find(|each| each["cause"] == name).unwrap().clone()
    };
    assert_eq!(cause("Ordered"), json!({"cause": "Ordered", "entered": 0, "exited": 2}));
    assert_eq!(cause("Viewed"), json!({"cause": "Viewed", "entered": 1, "exited": 0}));
    assert_eq!(cause("the definition changed")["entered"], 2);
    assert!(days.len() <= 2, "no day is told from before it was kept: {days:?}");
    let coverage = get(&server, "/api/segments/open/coverage").await;
    assert_eq!((&coverage["members"], &coverage["profiles"]), (&json!(1), &json!(12)));
    for path in ["growth", "coverage", "dependents"] {
        assert_eq!(
            server.call("GET", &format!("/api/segments/none/{path}"), None).await.status,
            StatusCode::NOT_FOUND
        );
    }
    workers.stop().await;
}

#[tokio::test]
async fn whoever_refers_to_a_segment_is_named_with_the_place() {
    let (server, workers) = shop().await;
    let make = async |id: &str, condition: &str| {
        let draft = json!({"id": id, "name": id.to_uppercase(), "where": condition});
        let answer = server.call("POST", "/api/segments", Some(draft)).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    };
    make("vip", r#"did "Ordered""#).await;
    make("other", r#"did "Viewed""#).await;
    make("by-name", r#"country = "FR" and not in segment "VIP""#).await;
    let definition = json!({
        "trigger": {"event": "Segment Entered", "where": r#"segment = "vip""#}, "start": "split",
        "nodes": {
            "split": {"type": "branch", "condition": r#"entered segment "vip" in last 1 day"#, "yes": "end", "no": "end"},
            "end": {"type": "exit"},
        },
        "exits": [{"event": "Segment Exited", "where": r#"segment = "other""#}],
    });
    let answer = server
        .call(
            "POST",
            "/api/journeys",
            Some(json!({"id": "hello", "name": "Hello", "definition": definition})),
        )
        .await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    let places = async |id: &str| -> Vec<(String, String)> {
        let found = get(&server, &format!("/api/segments/{id}/dependents")).await;
        let items = found["items"].as_array().unwrap().iter();
        items
            .map(|row| (row["id"].as_str().unwrap().to_owned(), row["place"].as_str().unwrap().to_owned()))
            .collect()
    };
    let own = |id: &str, place: &str| (id.to_owned(), place.to_owned());
    assert_eq!(
        places("vip").await,
        [own("by-name", "its condition"), own("hello", "its trigger"), own("hello", "its branch 'split'")]
    );
    assert_eq!(places("other").await, [own("hello", "an exit")]);
    assert!(places("by-name").await.is_empty());
    workers.stop().await;
}

#[tokio::test]
async fn the_vocabulary_has_names_types_shares_and_values_that_were_seen() {
    let (server, workers) = shop().await;
    let known = get(&server, "/api/segments/vocabulary").await;
    let named = |list: &Value, name: &str| {
        list.as_array().unwrap().iter().find(|each| each["name"] == name).unwrap().clone()
    };
    let plan = named(&known["attributes"], "plan");
    assert_eq!((&plan["type"], &plan["count"], &known["profiles"]), (&json!("text"), &json!(6), &json!(12)));
    assert_eq!(named(&known["attributes"], "country")["values"][0], json!({"value": "DE", "count": 6}));
    assert_eq!(
        named(&known["attributes"], "email")["values"],
        json!([]),
        "addresses are nobody's suggestion"
    );
    assert_eq!(named(&known["events"], "Viewed")["count"], 5);
    let event = get(&server, "/api/segments/vocabulary/event?name=Viewed").await;
    assert_eq!(
        named(&event["properties"], "category")["values"],
        json!([{"value": "Shoes", "count": 3}, {"value": "Books", "count": 2}])
    );
    let lines = named(&event["properties"], "lines");
    assert_eq!((&lines["type"], &lines["elements"][0]["name"]), (&json!("list"), &json!("price")));
    assert_eq!(get(&server, "/api/segments/vocabulary/event?name=It's").await["events"], 0);
    let all = get(&server, "/api/segments/vocabulary/event?name=View*").await;
    assert_eq!(all["events"], 5);

    let complete = async |text: &str| -> Vec<String> {
        let body = json!({"text": text, "offset": text.len()});
        let answer = server.call("POST", "/api/conditions/complete", Some(body)).await.json();
        answer["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["label"].as_str().unwrap().to_owned())
            .collect()
    };
    assert!(complete(r#"did "View"#).await.contains(&"Viewed".to_owned()));
    let properties = complete(r#"did "Viewed" where "#).await;
    assert!(
        properties.contains(&"category".to_owned()) && !properties.contains(&"country".to_owned()),
        "{properties:?}"
    );
    let hint = server
        .call("POST", "/api/conditions/hint", Some(json!({"text": "count \"Viewed\" > 1", "offset": 2})))
        .await
        .json();
    assert_eq!(hint["hint"]["syntax"], "count <event> [window] <comparison> <number>");
    workers.stop().await;
}

#[tokio::test]
async fn members_are_listed_with_the_end_of_their_membership() {
    let (server, workers) = shop().await;
    let draft = json!({"id": "recent", "name": "Recent", "where": r#"did "Viewed" in last 2 days"#});
    assert_eq!(server.call("POST", "/api/segments", Some(draft)).await.status, StatusCode::CREATED);
    until(async || {
        !get(&server, "/api/segments/recent/members").await["items"].as_array().unwrap().is_empty()
    })
    .await;
    let members = get(&server, "/api/segments/recent/members").await;
    let member = &members["items"][0];
    assert!(member["until"].as_str().unwrap() > member["since"].as_str().unwrap(), "{member}");
    workers.stop().await;
}
