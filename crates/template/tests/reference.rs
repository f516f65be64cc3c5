//! The tables of tags, filters and helpers are true: every example prints what it says, nothing is left out, and the
//! documentation lists all.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write;

use template::reference::{Entry, FILTERS, HELPERS, PARTIALS, SAMPLE, TAGS};
use template::{Ask, Object, OnError, Options, Partials, Program, Supplied, Val};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/templates-reference.md");
const BEGIN: &str = "<!-- reference: written from template::reference -->\n";
const END: &str = "<!-- end of reference -->\n";

struct Shop(model::Value);

impl Object for Shop {
    fn get<'a>(&'a self, key: &str) -> Option<Val<'a>> {
        Object::get(&self.0, key)
    }
    fn entries(&self) -> Vec<(Cow<'_, str>, Val<'_>)> {
        Object::entries(&self.0)
    }
    fn supply(&self, ask: &Ask) -> Supplied<'_> {
        Supplied::Ready(match ask {
            Ask::Recommend { limit, .. } => {
                let items = self.0["products"].as_array().expect("products").iter().take(*limit);
                Val::Array(items.map(Val::from_json).collect())
            }
            Ask::Item { .. } => Val::from_json(&self.0["products"][0]),
            Ask::Feed { .. } => Val::from_owned(serde_json::json!({"sky": "clear"})),
            Ask::Coupon { pool } => Val::text(format!("{}-1", pool.to_uppercase())),
        })
    }
}

fn shown(entry: &Entry) -> String {
    let shop = Shop(serde_json::from_str(SAMPLE).unwrap());
    let partials: Partials = PARTIALS.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let program = Program::compile(entry.example, &partials, true)
        .unwrap_or_else(|error| panic!("{}: {error}", entry.example));
    let options = Options { on_error: OnError::Raise, ..Options::default() };
    program.render(&shop, &options).unwrap_or_else(|error| panic!("{}: {error}", entry.example)).0
}

#[test]
fn every_example_of_liquid_prints_what_the_table_says() {
    let wrong: Vec<_> = TAGS
        .iter()
        .chain(FILTERS)
        .filter(|entry| shown(entry) != entry.shows)
        .map(|entry| format!("{}: {:?} and not {:?}", entry.name, shown(entry), entry.shows))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The names of a `match` in the source: `"name" =>`, `"a" | "b" =>`.
fn arms(source: &str, from: &str, to: &str) -> BTreeSet<String> {
    let start = source.find(from).expect("the match is there");
    let part = &source[start..start + source[start..].find(to).expect("the match ends")];
    let arm = regex::Regex::new(r#"(?m)^\s+((?:"[a-z0-9_#]+"(?: \| )?)+) =>"#).unwrap();
    let name = regex::Regex::new(r#""([a-z0-9_#]+)""#).unwrap();
    let names = arm.captures_iter(part).flat_map(|found| {
        name.captures_iter(found.get(1).unwrap().as_str()).map(|n| n[1].to_owned()).collect::<Vec<_>>()
    });
    names.collect()
}

#[test]
fn the_tables_name_all_that_the_engine_knows_and_nothing_else() {
    let names = |table: &[Entry]| table.iter().map(|e| e.name.to_owned()).collect::<BTreeSet<_>>();
    let source = include_str!("../src/filter/mod.rs");
    assert_eq!(names(FILTERS), arms(source, "pub(crate) fn find", "_ => return None"));
    let source = include_str!("../src/syntax.rs");
    assert_eq!(names(TAGS), arms(source, "fn statement", "name => {"));
    for table in [TAGS, FILTERS, HELPERS] {
        assert_eq!(names(table).len(), table.len(), "a name stands twice");
        assert!(table.iter().all(|e| !e.description.is_empty() && e.form.contains(e.name)));
    }
}

fn written() -> String {
    let mut out = String::new();
    for (title, table) in [("Tags", TAGS), ("Filters", FILTERS), ("Helpers of Handlebars", HELPERS)] {
        let _ = write!(
            out,
            "## {title}\n\n| form | what it does | example | prints |\n| --- | --- | --- | --- |\n"
        );
        let cell = |text: &str| text.replace('|', "\\|").replace('\n', "⏎");
        for entry in table {
            let code =
                |text: &str| if text.trim().is_empty() { String::new() } else { format!("`{}`", cell(text)) };
            let (form, description) = (code(entry.form), cell(entry.description));
            let _ =
                writeln!(out, "| {form} | {description} | {} | {} |", code(entry.example), code(entry.shows));
        }
        out.push('\n');
    }
    out
}

#[test]
fn the_documentation_lists_every_tag_filter_and_helper() {
    let file = std::fs::read_to_string(DOCUMENT).unwrap();
    let (before, rest) = file.split_once(BEGIN).expect("the document has the mark of its generated part");
    let (generated, after) = rest.split_once(END).expect("the generated part has an end");
    if option_env!("RAPPORT_WRITE_DOCS").is_some() {
        std::fs::write(DOCUMENT, format!("{before}{BEGIN}{}{END}{after}", written())).unwrap();
    } else {
        assert!(
            generated == written(),
            "run the test with RAPPORT_WRITE_DOCS=1 to write docs/templates-reference.md"
        );
    }
}
