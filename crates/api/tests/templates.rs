//! Templates over HTTP: what a check finds, what publishing refuses, how they look for many people, what was missing.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use axum::http::StatusCode;
use common::Server;
use serde_json::{Value, json};

const FOOTER: &str = "<p><a href=\"{{ links.unsubscribe }}\">Unsubscribe</a></p>";

fn draft(id: &str, body: &str) -> Value {
    json!({"id": id, "name": id, "subject": "S", "format": "html", "body": format!("{body}{FOOTER}")})
}

fn codes(answer: &Value) -> Vec<(String, i64)> {
    let findings = answer["findings"].as_array().unwrap();
    findings
        .iter()
        .map(|each| (each["code"].as_str().unwrap().to_owned(), each["line"].as_i64().unwrap()))
        .collect()
}

async fn put(server: &Server, draft: Value) -> (StatusCode, Value) {
    let id = draft["id"].as_str().unwrap().to_owned();
    let answer = server.call("PUT", &format!("/api/templates/{id}"), Some(draft)).await;
    (answer.status, answer.json())
}

/// A journey that sends `template` when somebody puts something into the cart.
async fn journey(server: &Server, template: &str) {
    let definition = json!({
        "trigger": {"event": "Product Added"}, "start": "send",
        "nodes": {"send": {"type": "send", "template": template, "next": "end"}, "end": {"type": "exit"}},
    });
    let body = json!({"id": "cart", "name": "Cart", "definition": definition});
    let made = server.call("POST", "/api/journeys", Some(body)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
}

async fn people(server: &Server) {
    let mut calls = Vec::new();
    for (n, traits) in [
        json!({"first_name": "Ada", "plan": "gold"}),
        json!({"first_name": "Ben", "plan": "silver"}),
        json!({"first_name": "Cleo", "plan": "gold"}),
        json!({"plan": "gold"}),
    ]
    .into_iter()
    .enumerate()
    {
        let mut traits = traits;
        traits["email"] = json!(format!("p{n}@post.example"));
        calls.push(json!({"type": "identify", "userId": format!("p{n}"), "messageId": format!("i{n}"), "traits": traits}));
        let event = json!({"name": "Lamp", "price": 20, "products": if n == 1 { json!([]) } else { json!([{"sku": "L"}]) }});
        calls.push(json!({
            "type": "track", "event": "Product Added", "userId": format!("p{n}"), "messageId": format!("t{n}"), "properties": event,
        }));
    }
    server.collect(json!(calls)).await;
    server.platform.work_off().await.unwrap();
}

#[tokio::test]
async fn what_would_print_a_missing_value_is_found_at_its_place_and_refused_with_it() {
    let server = Server::open().await;
    people(&server).await;
    let bad = draft("hello", "<p>One</p>\n<p>Hi {{ customer.first_name }},</p>");
    let check = server.call("POST", "/api/templates/check", Some(bad.clone())).await.json();
    assert_eq!(check["publishable"], json!(false));
    assert_eq!(codes(&check), [("missing_fallback".to_owned(), 2), ("greeting".to_owned(), 2)]);
    let message = check["findings"][0]["message"].as_str().unwrap();
    assert!(message.contains("3 of 4 that were looked at have it"), "{message}");
    let state = |code: &str| {
        let list = check["checklist"].as_array().unwrap();
        list.iter().find(|each| each["code"] == code).unwrap()["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        (state("compiles"), state("greeting"), state("tests")),
        ("passed".into(), "failed".into(), "not_applicable".into())
    );
    let path = &check["paths"][0];
    assert_eq!(
        (&path["path"], &path["kind"], &path["value_type"], &path["guard"], &path["places"][0]["line"]),
        (&json!("customer.first_name"), &json!("attribute"), &json!("text"), &json!("none"), &json!(2))
    );
    assert!(check["html_bytes"].as_i64().unwrap() > 50 && check["clip_bytes"] == json!(102 << 10));

    for (method, path) in [("POST", "/api/templates"), ("PUT", "/api/templates/hello")] {
        let refused = server.call(method, path, Some(bad.clone())).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text());
        let problem = refused.json();
        assert_eq!(problem["code"], "unfit_template");
        assert_eq!(
            (&problem["errors"][0]["path"], &problem["errors"][0]["line"]),
            (&json!("/body"), &json!(2))
        );
    }
    assert_eq!(server.call("GET", "/api/templates/hello", None).await.status, StatusCode::NOT_FOUND);
    let (status, _) =
        put(&server, draft("hello", "<p>Hi {{ customer.first_name | default: \"there\" }},</p>")).await;
    assert_eq!(status, StatusCode::OK);

    let broken =
        server.call("POST", "/api/templates/check", Some(draft("hello", "<p>\n{% if x %}</p>"))).await.json();
    assert_eq!((codes(&broken), &broken["publishable"]), (vec![("syntax".to_owned(), 2)], &json!(false)));
}

#[tokio::test]
async fn a_waiver_needs_a_reason_and_stays_until_it_is_taken_back() {
    let server = Server::open().await;
    let mut bad = draft("hello", "<p>{{ event.name }}</p>");
    bad["waivers"] = json!([{"path": "event.name", "reason": ""}]);
    assert_eq!(put(&server, bad.clone()).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    bad["waivers"][0]["reason"] = json!("the shop always sends it");
    let (status, saved) = put(&server, bad).await;
    assert_eq!((status, &saved["waivers"][0]["path"]), (StatusCode::OK, &json!("event.name")));
    // A save that does not speak of waivers keeps them; one that says there are none takes them away.
    let mut next = draft("hello", "<p>{{ event.name }}!</p>");
    assert_eq!(put(&server, next.clone()).await.0, StatusCode::OK);
    let check = server.call("POST", "/api/templates/check", Some(next.clone())).await.json();
    assert_eq!(check["findings"][0]["waived"], json!("the shop always sends it"));
    next["waivers"] = json!([]);
    assert_eq!(put(&server, next).await.0, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_template_that_fails_its_own_test_is_not_published() {
    let server = Server::open().await;
    let mut hello =
        draft("hello", "<p>Hello {{ customer.first_name | default: \"you\" }} of {{ workspace.name }}</p>");
    hello["tests"] = json!([
        {"name": "a name is said", "given": {"customer": {"first_name": "Ada"}}, "expect": {"text": {"contains": "Hello Ada of My workspace"}}},
        {"name": "nobody is greeted as null", "given": {"event": {"x": 1}}, "expect": {"text": {"absent": "null"}, "link": {"contains": "/u/"}}},
    ]);
    let (status, saved) = put(&server, hello.clone()).await;
    assert_eq!((status, saved["tests"].as_array().unwrap().len()), (StatusCode::OK, 2), "{saved}");
    let check = server.call("POST", "/api/templates/check", Some(hello.clone())).await.json();
    assert!(codes(&check).contains(&("unused_sample".to_owned(), 0)), "{check}");
    hello["body"] = json!("<p>Bye</p>");
    let (status, problem) = put(&server, hello).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("'a name is said' fails: \"Hello Ada of My workspace\" is missing from the text."),
        "{detail}"
    );
}

#[tokio::test]
async fn people_are_chosen_for_every_way_and_made_ones_stand_beside_them() {
    let server = Server::open().await;
    people(&server).await;
    let body = "<p>{% if customer.plan == \"gold\" %}Gold{% else %}Others{% endif %} {{ customer.first_name | default: \"you\" }}</p>\
                {% for p in event.products %}<p>{{ p.sku | default: \"-\" }}</p>{% endfor %}";
    let saved = draft("cart", body);
    assert_eq!(put(&server, saved.clone()).await.0, StatusCode::OK);
    journey(&server, "cart").await;
    let all = server.call("POST", "/api/templates/people", Some(saved)).await.json()["people"]
        .as_array()
        .unwrap()
        .clone();
    let real: Vec<&Value> = all.iter().filter(|person| person["kind"] == "profile").collect();
    let texts: Vec<&str> = real.iter().map(|person| person["text"].as_str().unwrap()).collect();
    // Gold without a name, and silver with an empty cart: nobody adds a way to these.
    assert_eq!(real.len(), 2, "{texts:?}");
    for wanted in ["Gold you", "Others Ben"] {
        assert!(texts.iter().any(|text| text.contains(wanted)), "{wanted}: {texts:?}");
    }
    let made: Vec<&Value> = all.iter().filter(|person| person["kind"] == "made").collect();
    assert_eq!(made.len(), 7);
    let of = |name: &str| *made.iter().find(|person| person["name"] == name).unwrap();
    assert!(of("Everything missing")["text"].as_str().unwrap().contains("Others you"));
    let html = of("Quotes and markup in every value")["html"].as_str().unwrap();
    assert!(html.contains("&lt;b&gt;") && !html.contains("<b>O"), "{html}");
    assert!(of("Emoji")["text"].as_str().unwrap().contains("Zoë"));
    // Without recommendations it is the same mail as with empty lists, but for the list.
    assert!(made.iter().all(|person| person["error"].is_null()));
    let named = of("Names of 200 characters")["text"].as_str().unwrap();
    assert!(named.contains("Wolfeschlegelsteinhausenbergerdorff"), "{named}");
    let fixed = draft("fixed", "<p>The same for all</p>");
    let all = server.call("POST", "/api/templates/people", Some(fixed)).await.json()["people"]
        .as_array()
        .unwrap()
        .clone();
    assert!(all[1..].iter().all(|person| person["same_as"] == json!(0)), "one output, one group");
}

#[tokio::test]
async fn a_render_says_what_was_missing_and_what_stood_in() {
    let server = Server::open().await;
    people(&server).await;
    let ask = json!({
        "subject": "S", "body": "<p>{{ customer.city }}</p>\n<p>{{ customer.first_name | default: \"you\" }}</p>",
        "data": {"customer": {"first_name": " "}},
    });
    let rendered = server.call("POST", "/api/templates/render", Some(ask)).await.json();
    let trace = &rendered["trace"];
    assert_eq!(
        (&trace["missing"][0]["name"], &trace["missing"][0]["line"]),
        (&json!("customer.city"), &json!(1))
    );
    assert_eq!(trace["fallbacks"][0]["name"], "customer.first_name", "text without letters is no name");
    assert_eq!(codes(&rendered), [("missing_fallback".to_owned(), 1), ("unknown_name".to_owned(), 1)]);
}

#[tokio::test]
async fn the_vocabulary_names_paths_with_types_coverage_and_examples() {
    let server = Server::open().await;
    assert_eq!(put(&server, draft("cart", "<p>x</p>")).await.0, StatusCode::OK);
    journey(&server, "cart").await;
    people(&server).await;
    let words = server.call("GET", "/api/templates/vocabulary?template=cart", None).await.json();
    let of =
        |path: &str| words["variables"].as_array().unwrap().iter().find(|each| each["path"] == path).cloned();
    let name = of("customer.plan").unwrap();
    assert_eq!(
        (&name["kind"], &name["value_type"], &name["examples"][0]),
        (&json!("attribute"), &json!("text"), &json!("gold"))
    );
    assert_eq!(of("event.price").unwrap()["value_type"], "number");
    assert_eq!(of("event.products[].sku").unwrap()["kind"], "event");
    assert_eq!(of("customer.engagement_score").unwrap()["kind"], "trait");
    assert!(of("links.unsubscribe").unwrap()["description"].as_str().unwrap().contains("never missing"));
    let none = server.call("GET", "/api/templates/vocabulary", None).await.json();
    assert!(!none.to_string().contains("event.price"), "no template, no event");
}

#[tokio::test]
async fn fallbacks_are_counted_by_template_and_node() {
    let server = Server::open().await;
    let body = "<p>{{ customer.first_name | default: \"you\" }} {{ customer.city | default: \"here\" }}</p>";
    assert_eq!(put(&server, draft("cart", body)).await.0, StatusCode::OK);
    journey(&server, "cart").await;
    people(&server).await;
    server.platform.work_off().await.unwrap();
    let report = server.call("GET", "/api/templates/cart/fallbacks", None).await.json();
    assert_eq!(report["messages"], 4, "{report}");
    let row = |n: usize| {
        (&report["paths"][n]["path"], &report["paths"][n]["kind"], &report["paths"][n]["messages"])
    };
    assert_eq!(row(0), (&json!("customer.city"), &json!("default"), &json!(4)));
    assert_eq!(row(1), (&json!("customer.first_name"), &json!("default"), &json!(1)));
    assert_eq!(report["paths"][1]["nodes"], json!([{"journey": "cart", "node": "send", "messages": 1}]));
    assert_eq!(server.call("GET", "/api/templates/none/fallbacks", None).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_stands_in_for_a_template_must_be_there_and_be_fit_itself() {
    let server = Server::open().await;
    let with = |fallback: Value| {
        let mut main = draft("main", "<p>Main</p>");
        main["fallback"] = fallback;
        main
    };
    for bad in [
        json!("plain"),
        json!("main"),
        json!(7),
        json!({"subject": "Hi {{ customer.name }}", "body": "<p>x</p>"}),
    ] {
        assert_eq!(put(&server, with(bad.clone())).await.0, StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
    }
    assert_eq!(put(&server, draft("plain", "<p>Plain</p>")).await.0, StatusCode::OK);
    assert_eq!(put(&server, with(json!("plain"))).await.0, StatusCode::OK);
    let kept = server.call("DELETE", "/api/templates/plain", None).await;
    assert_eq!(kept.status, StatusCode::CONFLICT, "it stands in for another");
    assert_eq!(put(&server, with(json!({"subject": "Hi", "body": "<p>x</p>"}))).await.0, StatusCode::OK);
    assert_eq!(server.call("DELETE", "/api/templates/plain", None).await.status, StatusCode::NO_CONTENT);
}
