//! Declared types of attributes: values are kept, mismatches are told, and conditions are held to them.

mod common;

use common::{Shop, W};
use flow::DefinitionKind;
use serde_json::{Value, json};

async fn declared(types: Value) -> Shop {
    let shop = Shop::open().await;
    shop.platform.set_workspace(W, json!({"attribute_types": types})).await.expect("declared");
    shop
}

#[tokio::test]
async fn a_mismatch_keeps_the_value_is_told_on_the_profile_and_becomes_one_event() {
    let mut shop = declared(json!({"age": "number", "address.zip": "text"})).await;
    shop.identify("ada", json!({"age": "forty", "address": {"zip": 12345}, "city": 7})).await;
    shop.work().await;
    shop = shop.crashed().await;
    shop.work().await;
    let ada = shop.profile("ada").await;
    let (_, hot) = shop.platform.hot(W, ada).await.unwrap();
    assert_eq!(hot.profile.get("age").unwrap().as_str(), Some("forty"));
    let problems = shop.platform.attribute_problems(W, ada).await.unwrap();
    let names: Vec<&str> = problems.iter().map(|problem| problem.attribute.as_str()).collect();
    assert_eq!(names, ["address.zip", "age"], "the undeclared city is nobody's problem");
    assert_eq!(shop.count("Attribute Mistyped").await, 2);
    // The same value again is no news; a fitting one ends the problem.
    shop.identify("ada", json!({"age": "forty"})).await;
    shop.work().await;
    assert_eq!(shop.count("Attribute Mistyped").await, 2);
    shop.pass(1);
    shop.identify("ada", json!({"age": 40, "address": {"zip": "12345"}})).await;
    shop.work().await;
    assert!(shop.platform.attribute_problems(W, ada).await.unwrap().is_empty());
    assert_eq!(shop.count("Attribute Mistyped").await, 2);
}

#[tokio::test]
async fn a_condition_that_contradicts_a_declaration_cannot_be_saved_anywhere() {
    let shop = declared(json!({"age": "number"})).await;
    let segment =
        shop.save(DefinitionKind::Segment, "s", json!({"where": "age = \"forty\""})).await.unwrap_err();
    assert!(segment.to_string().contains("declared as number"), "{segment}");
    let journey = json!({
        "trigger": {"event": "Go"}, "start": "branch",
        "nodes": {
            "branch": {"type": "branch", "condition": "age starts with \"f\"", "yes": "end", "no": "end"},
            "end": {"type": "exit"},
        },
    });
    let refused = shop.save(DefinitionKind::Journey, "j", journey).await.unwrap_err();
    assert_eq!(refused.problems()[0].path, "/nodes/branch/condition");
    assert!(!shop.platform.check(W, "age in (\"forty\")").ok);
    assert!(
        shop.platform.check(W, "age > 39 and city = 7 and city = \"Bonn\"").ok,
        "what is undeclared is free"
    );
    shop.segment("s", "age > 39").await;
}

#[tokio::test]
async fn a_declaration_that_a_condition_in_force_contradicts_or_of_an_unknown_type_is_refused() {
    let shop = Shop::open().await;
    shop.segment("gold", "plan = \"gold\"").await;
    let declare = |types: Value| shop.platform.set_workspace(W, json!({"attribute_types": types}));
    let refused = declare(json!({"plan": "number"})).await.unwrap_err();
    assert!(refused.to_string().contains("the segment 'gold'"), "{refused}");
    assert_eq!(refused.code(), "attribute_type_in_use");
    for odd in [json!({"plan": "varchar"}), json!({"plan": 1}), json!(["plan"]), json!("text")] {
        assert_eq!(declare(odd.clone()).await.unwrap_err().code(), "invalid_attribute_type", "{odd}");
    }
    assert!(shop.platform.check(W, "plan = 1").ok, "nothing was declared");
    declare(json!({"plan": "text"})).await.unwrap();
    assert!(!shop.platform.check(W, "plan = 1").ok);
    declare(json!({})).await.unwrap();
    assert!(shop.platform.check(W, "plan = 1").ok, "a declaration can be taken back");
}
