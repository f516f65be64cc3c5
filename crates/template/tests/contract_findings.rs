//! What the contract says of templates that people write.

use std::collections::BTreeSet;

use template::contract::{Contract, Guard, Known, PathKind, Schema, Waiver, contract};
use template::{Body, Source, Template};

fn schema() -> Schema {
    let mut schema = Schema::default();
    let rows = [
        ("customer", PathKind::Attribute, None, true),
        ("customer.id", PathKind::Attribute, Some("number"), true),
        ("customer.first_name", PathKind::Attribute, Some("text"), false),
        ("customer.age", PathKind::Attribute, Some("number"), false),
        ("customer.plan", PathKind::Attribute, Some("text"), false),
        ("customer.tags", PathKind::Attribute, Some("list"), false),
        ("event", PathKind::Event, None, true),
        ("event.name", PathKind::Event, Some("text"), false),
        ("event.products", PathKind::Event, Some("list"), false),
        ("event.products[].name", PathKind::Event, Some("text"), false),
        ("workspace", PathKind::Setting, None, true),
        ("links", PathKind::Link, None, true),
        ("site", PathKind::Catalog, None, true),
        ("workspace.name", PathKind::Setting, Some("text"), true),
        ("links.unsubscribe", PathKind::Link, Some("text"), true),
        ("site.recommendations", PathKind::Catalog, None, true),
        ("site.recommendations[]", PathKind::Catalog, Some("list"), true),
        ("site.recommendations[][].name", PathKind::Catalog, Some("text"), true),
    ];
    for (path, kind, value_type, always) in rows {
        let known = Known { kind, value_type, declared: true, always, seen: None };
        schema.paths.insert(path.to_owned(), known);
    }
    schema
}

fn proved(body: &str, waivers: &[Waiver]) -> Contract {
    let source = Source { subject: "S".into(), body: Body::Html(body.into()), ..Source::default() };
    let template = Template::compile(&source);
    assert!(template.is_ok(), "{body}: {:?}", template.err());
    template.map(|template| contract(&template, &schema(), waivers)).unwrap_or_default()
}

/// (code, path) of each finding.
fn found(body: &str) -> Vec<(String, String)> {
    let contract = proved(body, &[]);
    contract.findings.into_iter().map(|each| (each.finding.code, each.path)).collect()
}

fn codes(body: &str) -> BTreeSet<String> {
    found(body).into_iter().map(|(code, _)| code).collect()
}

#[test]
fn a_value_that_may_be_missing_needs_something_that_stands_in() {
    let bare = |path: &str| vec![("missing_fallback".to_owned(), path.to_owned())];
    assert_eq!(found("<p>{{ customer.first_name }}</p>"), bare("customer.first_name"));
    assert_eq!(found("<p>{{ customer.first_name | upcase }}</p>"), bare("customer.first_name"));
    assert_eq!(
        found("<p>{% assign n = customer.first_name | upcase %}{{ n }}</p>"),
        bare("customer.first_name")
    );
    assert_eq!(
        found("<p>{% if customer.plan %}{{ customer.first_name }}{% endif %}</p>"),
        bare("customer.first_name")
    );
    assert_eq!(found("<a href=\"https://x.example/{{ event.name }}\">x</a>"), bare("event.name"));
    assert_eq!(
        found("<p>{% for p in event.products %}{{ p.name }}{% endfor %}</p>"),
        bare("event.products[].name")
    );
    for sound in [
        "<p>{{ customer.first_name | default: \"you\" }} {{ workspace.name }} {{ customer.id }}</p>",
        "<p>{% if customer.first_name %}{{ customer.first_name | upcase }}{% endif %}</p>",
        "<p>{% unless customer.first_name %}{% abort \"no name\" %}{% endunless %}{{ customer.first_name }}</p>",
        "<p>{% if customer.first_name == blank %}x{% else %}{{ customer.first_name }}{% endif %}</p>",
        "<p>{% case customer.plan %}{% when \"a\" %}{{ customer.plan }}{% else %}x{% endcase %}</p>",
        "<p>{% case customer.plan %}{% when \"a\" %}{% assign t = \"x\" %}{% else %}{% assign t = \"y\" %}{% endcase %}{{ t }}</p>",
        "<p>{% if customer.first_name and customer.plan contains \"a\" %}{{ customer.first_name }} {{ customer.plan }}{% endif %}</p>",
        "<p>{% assign r = site.recommendations[customer.id] %}{% for p in r %}{{ p.name }}{% endfor %}</p>",
        "<p>{% if event.products.size > 0 %}{% for p in event.products %}{{ forloop.index }}{% endfor %}{% endif %}</p>",
        "<p>{% for p in event.products %}{% unless p.name %}{% continue %}{% endunless %}{{ p.name }}{% endfor %}</p>",
        "<p>{% if customer.tags.size > 0 %}{{ customer.tags | join: \", \" }}{% endif %}</p>",
    ] {
        assert_eq!(found(sound), [], "{sound}");
    }
}

#[test]
fn nobody_is_greeted_by_an_empty_name() {
    let all = codes("<p>Hi {{ customer.first_name }},</p>");
    assert!(all.contains("greeting") && all.contains("missing_fallback"), "{all:?}");
    assert!(codes("<p>Hi {{ customer.first_name | default: \"\" }},</p>").contains("greeting"));
    assert!(
        codes("<p>Hello {% if customer.first_name %}{{ customer.first_name }}{% endif %}!</p>")
            .contains("greeting")
    );
    let captured =
        "{% capture n %}{% if customer.first_name %}{{ customer.first_name }}{% endif %}{% endcapture %}";
    assert!(codes(&format!("<p>{captured}Dear {{{{ n }}}},</p>")).contains("greeting"));
    for sound in [
        "<p>Hi {{ customer.first_name | default: \"there\" }},</p>",
        "<p>Hi{% if customer.first_name %} {{ customer.first_name }}{% endif %},</p>",
        "<p>Hi {% if customer.first_name %}{{ customer.first_name }}{% else %}there{% endif %},</p>",
        "<p>A sandwich {{ customer.plan | default: \"\" }}, please</p>",
    ] {
        assert_eq!(found(sound), [], "{sound}");
    }
}

#[test]
fn a_waiver_with_a_reason_lets_a_missing_value_pass_and_says_why() {
    let waiver = |path: &str, reason: &str| [Waiver { path: path.to_owned(), reason: reason.to_owned() }];
    let body = "<p>{{ event.name }}</p>";
    assert!(!proved(body, &[]).is_publishable());
    assert!(!proved(body, &waiver("event.name", " ")).is_publishable(), "a waiver needs a reason");
    assert!(!proved(body, &waiver("event", "x")).is_publishable(), "another path");
    for path in ["event.name", "event.*"] {
        let contract = proved(body, &waiver(path, "the shop always sends it"));
        assert!(contract.is_publishable());
        assert_eq!(contract.findings[0].waived.as_deref(), Some("the shop always sends it"));
    }
}

#[test]
fn names_that_nobody_knows_are_told_with_the_nearest_one() {
    let contract = proved("<p>{{ customer.frist_name | default: \"x\" }}</p>", &[]);
    let finding = &contract.findings[0].finding;
    assert_eq!((finding.code.as_str(), finding.line, finding.column), ("unknown_name", 1, 4));
    assert!(finding.message.contains("did you mean 'customer.first_name'?"), "{}", finding.message);
    // What an object of unknown parts has is not unknown.
    assert_eq!(
        found("<p>{{ event.products[0].sku | default: 1 }}</p>"),
        [("unknown_name".into(), "event.products[].sku".into())]
    );
}

#[test]
fn values_used_as_what_they_are_not_are_told() {
    for wrong in [
        "<p>{{ customer.age | default: 3 | date: \"%Y\" }}{% if customer.age %}{{ customer.age | date: \"%Y\" }}{% endif %}</p>",
        "<p>{% if customer.plan %}{{ customer.plan | money }}{% endif %}</p>",
        "<p>{% if customer.plan > 5 %}x{% endif %}</p>",
        "<p>{% if customer.age == \"5\" %}x{% endif %}</p>",
        "<p>{% for x in customer.age %}x{% endfor %}</p>",
    ] {
        assert!(codes(wrong).contains("type_misuse"), "{wrong}: {:?}", codes(wrong));
    }
    assert_eq!(found("<p>{% if customer.age > 5 and customer.plan == \"a\" %}x{% endif %}</p>"), []);
}

#[test]
fn paths_come_with_their_places_and_the_weakest_guard() {
    let body = "<p>{% if customer.first_name %}{{ customer.first_name }}{% endif %}</p>\n<p>{{ customer.first_name | default: \"x\" }}</p>";
    let contract = proved(body, &[]);
    let paths = contract.paths(&schema());
    assert_eq!(paths.len(), 1);
    assert_eq!((paths[0].kind, paths[0].value_type.as_deref()), (PathKind::Attribute, Some("text")));
    // Asking whether it is there is a use that nothing guards, and needs no guard.
    let places: Vec<_> = paths[0].places.iter().map(|spot| (spot.line, spot.column)).collect();
    assert_eq!(places, [(1, 4), (1, 32), (2, 4)]);
    assert_eq!(paths[0].guard, Guard::Default);
}

#[test]
fn samples_that_nobody_reads_and_variables_without_readers_are_told() {
    let contract = proved("<p>{% assign x = 1 %}{{ event.products[0].name | default: 1 }}</p>", &[]);
    assert_eq!(contract.unused(["event.products", "customer.age", "event"]), ["customer.age"]);
    assert_eq!(contract.findings[0].finding.code, "unused_variable");
}

#[test]
fn a_partial_is_read_where_it_is_called() {
    let partials =
        [("hello".to_owned(), "<b>{{ name }} {{ customer.age }}</b>".to_owned())].into_iter().collect();
    let body = "<p>{% render 'hello', name: customer.plan %}</p>";
    let source = Source { subject: "S".into(), body: Body::Html(body.into()), ..Source::default() };
    let template = Template::compile_with(&source, &partials);
    assert!(template.is_ok(), "{:?}", template.err());
    let contract = template.map(|template| contract(&template, &schema(), &[])).unwrap_or_default();
    let found: Vec<_> = contract
        .findings
        .iter()
        .map(|each| (each.finding.part.as_str(), each.path.as_str(), each.finding.column))
        .collect();
    assert_eq!(found, [("hello", "customer.plan", 4), ("hello", "customer.age", 15)]);
}

#[test]
fn a_template_of_many_loops_in_loops_is_walked_in_bounded_time() {
    let deep = 60;
    let open: String = (0..deep)
        .map(|n| format!("{{% for a{n} in event.products %}}{{% assign v{n} = a{n}.name %}}"))
        .collect();
    let body = format!("<p>{open}x{}</p>", "{% endfor %}".repeat(deep));
    proved(&body, &[]);
}
