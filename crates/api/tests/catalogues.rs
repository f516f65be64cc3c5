//! Catalogues, recommendations and coupons over HTTP: files and updates, what a profile would get and why, pools.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use axum::http::StatusCode;
use common::{API_KEY, Server, request};
use serde_json::{Value, json};

async fn shop() -> Server {
    let server = Server::open().await;
    let declaration = json!({
        "fields": {"price": "number"}, "collections": {"cheap": "price < 10"}, "repeat_categories": ["tea"]
    });
    let answer = server.call("PUT", "/api/catalogs/products", Some(declaration)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    server
}

#[tokio::test]
async fn a_file_is_taken_row_by_row_and_an_update_changes_what_it_names() {
    let server = shop().await;
    let csv =
        "id,name,category,price\na,Green tea,tea,4.50\nb,Cup,ware,cheap\n,Nothing,ware,1\nc,Pot,ware,25\n";
    let key = format!("Bearer {API_KEY}");
    let send = async |kind: &str, body: &str| {
        let headers = [("authorization", key.as_str()), ("content-type", kind)];
        server.send(request("POST", "/api/catalogs/products/import", &headers, body.to_owned())).await
    };
    for _ in 0..2 {
        let taken = send("text/csv", csv).await.json();
        assert_eq!(
            (&taken["rows"], &taken["written"], &taken["refused_count"]),
            (&json!(4), &json!(2), &json!(2))
        );
        assert_eq!((&taken["refused"][0]["row"], &taken["refused"][0]["id"]), (&json!(2), &json!("b")));
        assert!(taken["refused"][0]["reason"].as_str().unwrap().contains("'price' is declared as number"));
        assert_eq!(taken["refused"][1]["row"], 3);
    }
    assert_eq!(send("application/pdf", csv).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let lines = "{\"id\":\"d\",\"name\":\"Black tea\",\"category\":\"tea\",\"price\":6}\nnonsense\n";
    assert_eq!(send("application/x-ndjson", lines).await.json()["written"], 1);
    let update = json!({"items": [{"id": "a", "stock": 0}, {"id": "z", "stock": 0}], "patch": true});
    let taken = server.call("POST", "/api/catalogs/products/items", Some(update)).await.json();
    assert_eq!((&taken["written"], &taken["refused"][0]["id"]), (&json!(1), &json!("z")));
    let found = server.call("GET", "/api/catalogs/products/items?search=TEA", None).await.json();
    let rows: Vec<(&Value, &Value)> =
        found["items"].as_array().unwrap().iter().map(|row| (&row["id"], &row["barred"])).collect();
    assert_eq!(rows, [(&json!("a"), &json!("sold_out")), (&json!("d"), &Value::Null)]);
    let detail = server.call("GET", "/api/catalogs/products", None).await.json();
    assert_eq!(detail["collections"][0]["items"], 2);
    assert_eq!(server.pages("/api/catalogs/products/items?collection=cheap", 1).await.len(), 2);
    let wrong = json!({"collections": {"x": "in segment \"vip\""}});
    let refused = server.call("PUT", "/api/catalogs/products", Some(wrong)).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text());
    let unknown = server.call("POST", "/api/catalogs/other/items", Some(json!({"items": []}))).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_profiles_list_is_narrowed_and_explained_and_what_was_removed_is_not_in_it() {
    let server = shop().await;
    let items: Vec<Value> = (0..8)
        .map(|n| json!({"id": format!("p{n}"), "name": format!("P{n}"), "category": format!("c{}", n % 3), "price": n * 3}))
        .collect();
    let update = json!({"items": items});
    server.call("POST", "/api/catalogs/products/items", Some(update)).await;
    server.collect(json!([{"type": "track", "userId": "ada", "event": "Product Viewed", "properties": {"product_id": "p1"}}])).await;
    server.platform.work_off().await.unwrap();
    let ada = server.call("GET", "/api/profiles", None).await.json()["items"][0]["id"].clone();
    let ask = async |more: &str| {
        let answer =
            server.call("GET", &format!("/api/recommendations?profile={ada}&limit=8{more}"), None).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        answer.json()
    };
    let ids = |answer: &Value| -> Vec<String> {
        let items = answer["items"].as_array().unwrap().iter();
        items.map(|item| item["product_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&ask("&category=c2").await), ["p2", "p5"]);
    assert_eq!(ids(&ask("&collection=cheap&exclude=p0").await), ["p2", "p3", "p1"]);
    let explained = ask("&price_max=9&explain=true").await;
    let why = &explained["explanation"];
    assert_eq!(why["filtered"]["too_dear"], 4);
    assert_eq!(why["model"]["variant"], "usual");
    assert!(why["items"][0]["signals"].is_object() && why["items"][0]["source"].is_string(), "{why}");
    assert!(ask("").await["explanation"].is_null());
    assert_eq!(
        server.call("DELETE", "/api/catalogs/products/items/p2", None).await.status,
        StatusCode::NO_CONTENT
    );
    assert!(!ids(&ask("").await).contains(&"p2".to_owned()));
    let quality = server.call("GET", "/api/recommendations/quality", None).await.json();
    assert!(
        quality["split_at"].is_null() && quality["rows"].as_array().unwrap().is_empty(),
        "too little to judge"
    );
}

#[tokio::test]
async fn a_pool_is_made_filled_and_told_and_keeps_its_kind() {
    let server = Server::open().await;
    let put = async |body: Value| server.call("PUT", "/api/coupons/SPRING", Some(body)).await;
    let made = put(json!({"low_at": 2, "expires_at": "2099-01-01"})).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text());
    assert_eq!(made.json()["alert"], "'SPRING' is empty");
    let add = |codes: &str| json!({"codes": codes});
    let answer = server.call("POST", "/api/coupons/SPRING/codes", Some(add("A1\nB2\nC3\nno spaces"))).await;
    assert_eq!(answer.json(), json!({"added": 3, "known": 0, "refused": 1}));
    let again = server.call("POST", "/api/coupons/SPRING/codes", Some(add("A1"))).await;
    assert_eq!(again.json()["known"], 1);
    let pools = server.call("GET", "/api/coupons", None).await.json();
    assert_eq!((&pools["items"][0]["free"], &pools["items"][0]["alert"]), (&json!(3), &Value::Null));
    assert_eq!(put(json!({"pattern": "X-******"})).await.status, StatusCode::CONFLICT);
    let wrong = server.call("PUT", "/api/coupons/OTHER", Some(json!({"pattern": "X-**"}))).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", wrong.text());
    assert_eq!(server.call("GET", "/api/coupons/SPRING/codes", None).await.json()["items"], json!([]));
    assert_eq!(server.call("DELETE", "/api/coupons/SPRING", None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(server.call("DELETE", "/api/coupons/SPRING", None).await.status, StatusCode::NOT_FOUND);
}
