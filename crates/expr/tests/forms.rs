//! The table of forms is true: every example parses, prints, reads aloud, and stands in the documentation.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::fmt::Write;

use expr::{Condition, FIGURES, FORMS, Figure, Schema};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/conditions.md");
const BEGIN: &str = "<!-- forms: written from expr::FORMS -->\n";
const END: &str = "<!-- end of forms -->\n";

#[test]
fn every_example_parses_prints_as_itself_and_reads_as_its_sentence() {
    for form in FORMS {
        let condition = expr::parse(form.example).unwrap_or_else(|error| panic!("{}: {error}", form.example));
        assert_eq!(condition.to_string(), form.example);
        assert_eq!(expr::describe(&condition), form.sentence);
        assert_eq!(Condition::from_json(&condition.to_json()).unwrap(), condition);
    }
}

#[test]
fn every_example_of_a_figure_parses_prints_as_itself_and_reads_as_its_sentence() {
    for form in FIGURES {
        let figure =
            expr::parse_figure(form.example).unwrap_or_else(|error| panic!("{}: {error}", form.example));
        assert_eq!(figure.to_string(), form.example);
        assert_eq!(expr::describe_figure(&figure), form.sentence);
        assert_eq!(Figure::from_json(&figure.to_json()).unwrap(), figure);
    }
}

#[test]
fn every_word_of_a_form_has_a_hint() {
    let words: BTreeSet<&str> = FORMS.iter().chain(FIGURES).flat_map(|form| form.words).copied().collect();
    for word in words {
        assert_eq!(expr::hint(word, 1).map(|hint| hint.to), Some(word.len()), "{word}");
    }
    let text = r#"did "count" and weeks with "X""#;
    assert_eq!(expr::hint(text, 6), None, "a word within a text is no word of the language");
    assert_eq!(
        expr::hint(text, 18).unwrap().example,
        r#"weeks with "Email Link Clicked" in last 6 months >= 20"#
    );
}

/// The generated part of the documentation.
fn written() -> String {
    let mut out = String::new();
    let mut family = "";
    for form in FORMS.iter().chain(FIGURES) {
        if form.family != family {
            let gap = if family.is_empty() { "" } else { "\n" };
            family = form.family;
            let _ = write!(out, "{gap}### {family}\n\n");
        }
        let _ = write!(out, "- **`{}`**, as in `{}`: *{}*", form.syntax, form.example, form.sentence);
        let note = if form.note.is_empty() { String::new() } else { format!(" {}", form.note) };
        let _ = writeln!(out, "{note}");
    }
    out
}

#[test]
fn the_documentation_lists_every_form() {
    let file = std::fs::read_to_string(DOCUMENT).unwrap();
    let (before, rest) = file.split_once(BEGIN).expect("the document has the mark of its generated part");
    let (generated, after) = rest.split_once(END).expect("the generated part has an end");
    if option_env!("RAPPORT_WRITE_DOCS").is_some() {
        std::fs::write(DOCUMENT, format!("{before}{BEGIN}{}{END}{after}", written())).unwrap();
    } else {
        assert!(generated == written(), "run the test with RAPPORT_WRITE_DOCS=1 to write docs/conditions.md");
    }
}

fn schema() -> Schema {
    Schema {
        attributes: vec![("country".into(), "text".into()), ("signed up".into(), "date".into())],
        events: vec!["Order Completed".into(), "Page \"Viewed\"".into()],
        segments: vec!["VIP".into()],
        properties: vec![
            ("Order Completed".into(), "revenue".into(), "number".into()),
            ("Other".into(), "shade".into(), "text".into()),
        ],
        ..Schema::default()
    }
}

/// What editors are built against: every example with its tree.
#[test]
fn the_editors_have_every_form() {
    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../web/src/editors/forms.gen.json");
    let rows = FORMS.iter().map(|form| {
        let tree: serde_json::Value =
            serde_json::from_str(&expr::parse(form.example).unwrap().to_json()).unwrap();
        let row = serde_json::json!({
            "family": form.family, "syntax": form.syntax, "example": form.example, "sentence": form.sentence, "tree": tree,
        });
        row.to_string()
    });
    let written = format!("[\n{}\n]\n", rows.collect::<Vec<_>>().join(",\n"));
    if option_env!("RAPPORT_WRITE_DOCS").is_some() {
        std::fs::write(FILE, written).unwrap();
    } else {
        let known = std::fs::read_to_string(FILE).unwrap_or_default();
        assert!(
            known == written,
            "run the test with RAPPORT_WRITE_DOCS=1 to write web/src/editors/forms.gen.json"
        );
    }
}

#[test]
fn completion_offers_what_can_stand_at_the_cursor() {
    let check = |text: &str, label: &str, insert: &str| {
        let found = expr::complete(text, text.len(), &schema());
        let labels: Vec<_> = found.iter().map(|each| each.label.as_str()).collect();
        let one =
            found.iter().find(|each| each.label == label).unwrap_or_else(|| panic!("{text}: {labels:?}"));
        assert_eq!(one.insert, insert, "{text}");
        let whole = format!("{}{}", &text[..one.from], one.insert);
        assert!(whole.starts_with(&text[..one.from]));
    };
    check("", "country", "country");
    check("country = \"BD\" and sig", "signed up", "`signed up`");
    check("did ", "Order Completed", "\"Order Completed\"");
    check("did \"Ord", "Order Completed", "\"Order Completed\"");
    check("did \"vie", "Page \"Viewed\"", "\"Page \\\"Viewed\\\"\"");
    check("not in segment ", "VIP", "\"VIP\"");
    check("did \"X\" in last 3 d", "days", "days");
    check("did \"X\" th", "then", "then");
    check("signed_up is ", "anniversary", "anniversary");
    check(
        "stopped",
        "stopped <event> for <span> after <n> times in <span>",
        r#"stopped "Order Completed" for 30 days after 3 times in 90 days"#,
    );
    let after = expr::complete("country = \"BD\" ", 15, &schema());
    assert!(after.iter().all(|each| each.label != "then"), "only events are followed by others");
    assert!(expr::complete("did ) ", 6, &schema()).is_empty());
}

#[test]
fn completion_of_a_filter_offers_the_properties_of_its_event() {
    let labels = |text: &str| -> Vec<String> {
        expr::complete(text, text.len(), &schema()).into_iter().map(|each| each.label).collect()
    };
    for text in [
        r#"did "Order Completed" where "#,
        r#"did "Order Completed" where not rev"#,
        r#"did "Page \"Viewed\"" and count "Order Completed" where (revenue > 1 and "#,
    ] {
        let found = labels(text);
        assert!(found.contains(&"revenue".to_owned()), "{text}: {found:?}");
        assert!(
            !found.contains(&"shade".to_owned()) && !found.contains(&"country".to_owned()),
            "{text}: {found:?}"
        );
    }
    let after = labels(r#"did "Order Completed" where revenue > 1 and "#);
    assert!(after.contains(&"country".to_owned()) && !after.contains(&"revenue".to_owned()), "{after:?}");
}
