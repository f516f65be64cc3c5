//! What a person sees at the command line: transcripts kept as snapshots beside this file.
//!
//! A new or changed transcript is looked at and accepted with `cargo insta review`, or `INSTA_UPDATE=always`.

#![expect(clippy::unwrap_used, reason = "a test harness")]

mod common;

use common::Rapport;

/// Runs each line and writes down what it prints and its exit code.
fn transcript(rapport: &Rapport, lines: &[&[&str]]) -> String {
    let mut out = String::new();
    for arguments in lines {
        let shown: Vec<String> = arguments
            .iter()
            .map(|argument| {
                if argument.contains([' ', '"', '*']) {
                    format!("'{argument}'")
                } else {
                    (*argument).to_owned()
                }
            })
            .collect();
        let ran = rapport.run(arguments);
        out.push_str(&format!("$ rapport {}\n{}", shown.join(" "), ran.stdout));
        if !ran.stdout.is_empty() && !ran.stdout.ends_with('\n') {
            out.push('\n');
        }
        for line in ran.stderr.lines() {
            out.push_str(&format!("! {line}\n"));
        }
        out.push_str(&format!("= {}\n\n", ran.code));
    }
    // What depends on the machine's speed.
    let mut kept = String::new();
    for line in out.lines() {
        let line = match line.split_once("\"took_ms\": ") {
            Some((before, _)) => {
                format!("{before}\"took_ms\": N{}", if line.ends_with(',') { "," } else { "" })
            }
            None => match line.split_once(" rows in ") {
                Some((before, rest)) => format!("{before} rows in N {}", rest.split_once(' ').unwrap().1),
                None => line.to_owned(),
            },
        };
        kept.push_str(&line);
        kept.push('\n');
    }
    kept
}

#[test]
fn a_template_is_rendered_or_its_error_names_the_place() {
    let rapport = Rapport::new();
    rapport.file("hello.liquid", "<p>Hello {{ customer.first_name | default: \"you\" }}, {{ nobody }}</p>\n");
    rapport.file("broken.liquid", "<p>\n  {% if customer.name %}\n</p>\n");
    rapport.file("endless.liquid", "Hello\n{% for a in (1..1000000000) %}{{ a }}{% endfor %}\n");
    rapport
        .file("mail.mjml", "<mjml><mj-body><mj-section><mj-txt>x</mj-txt></mj-section></mj-body></mjml>\n");
    rapport.file("data.json", r#"{"customer": {"first_name": "Ada <3"}}"#);
    rapport.file("bad.json", "{\n  \"customer\": \n}");
    let lines: &[&[&str]] = &[
        &["render", "--template", "hello.liquid", "--data", "data.json"],
        &["render", "--template", "hello.liquid", "--data", "data.json", "--escape", "none"],
        &["render", "--template", "hello.liquid", "--data", "data.json", "--format", "text"],
        &["render", "--template", "hello.liquid", "--data", "data.json", "--json"],
        &["render", "--template", "broken.liquid", "--data", "data.json"],
        &["render", "--template", "endless.liquid", "--data", "data.json"],
        &["render", "--template", "mail.mjml", "--mjml", "--data", "data.json"],
        &["render", "--template", "hello.liquid", "--data", "bad.json"],
        &["render", "--template", "nowhere.liquid", "--data", "data.json"],
    ];
    insta::assert_snapshot!(transcript(&rapport, lines));
}

#[test]
fn templates_in_files_are_tested_by_what_stands_beside_them() {
    let rapport = Rapport::new();
    for dir in ["good/hello/tests", "bad/hello", "broken/hello", "odd/hello", "empty"] {
        std::fs::create_dir_all(rapport.dir().join(dir)).unwrap();
    }
    let head = "name = \"Hello\"\nsubject = \"Hi {{ customer.first_name | default: 'you' }}\"\n";
    let body =
        "<p>{{ workspace.name }} greets you.</p>\n<p><a href=\"{{ links.unsubscribe }}\">Stop</a></p>\n";
    for dir in ["good", "bad", "broken", "odd"] {
        rapport.file(&format!("{dir}/hello/template.toml"), head);
        rapport.file(&format!("{dir}/hello/body.html"), body);
    }
    rapport.file("good/workspace.json", r#"{"name": "The lamp shop"}"#);
    let first = r#"[{"name": "the shop greets", "expect": {"subject": "Hi you", "text": {"contains": "The lamp shop greets"}}}]"#;
    rapport.file("good/hello/tests.json", first);
    rapport.file(
        "good/hello/tests/ada.json",
        r#"{"name": "by name", "given": {"customer": {"first_name": "Ada"}}, "expect": {"subject": "Hi Ada", "link": {"contains": "/u"}}}"#,
    );
    rapport.file("bad/hello/tests.json", first);
    rapport.file("broken/hello/body.html", "<p>\n  {% if x %}</p>\n");
    rapport.file("odd/hello/tests.json", "[{\"name\": \"x\", \"expects\": {}}]");
    let lines: &[&[&str]] = &[
        &["test", "good"],
        &["test", "good", "--json"],
        &["test", "bad"],
        &["test", "broken"],
        &["test", "odd"],
        &["test", "empty"],
        &["test", "nowhere"],
    ];
    insta::assert_snapshot!(transcript(&rapport, lines));
}

#[test]
fn people_are_imported_counted_sampled_explained_and_queried() {
    let rapport = Rapport::new();
    rapport.file(
        "people.csv",
        "user_id,email,first_name,age,country\n1,ana@post.example,Ana,31,PT\n2,ben@post.example,Ben,54,DE\n3,,,,\n4,cleo@post.example,Cleo,27,FR,extra\n",
    );
    rapport.file("stop.csv", "email,reason\nana@post.example,complaint\nnot an address,\n");
    rapport.file(
        "items.ndjson",
        "{\"product_id\": \"p-1\", \"name\": \"Teapot\", \"price\": 12.5}\n{\"name\": \"lost\"}\n",
    );
    let lines: &[&[&str]] = &[
        &["import", "profiles", "people.csv"],
        &["import", "profiles", "people.csv"],
        &["import", "suppressions", "stop.csv"],
        &["import", "suppressions", "stop.csv"],
        &["import", "catalog", "items.ndjson", "--json"],
        &["import", "events", "people.csv"],
        &["import", "events", "nowhere.csv"],
        &["segment", "count", "age > 30"],
        &["segment", "count", "age > 30", "--json"],
        &["segment", "sample", "country in (\"PT\", \"DE\")"],
        &["segment", "explain", "age > 30", "--profile", "1", "--json"],
        &["segment", "explain", "age > 30", "--profile", "99"],
        &["segment", "count", "age betwen 1 and 2"],
        &["query", "SELECT user_id, email FROM profiles ORDER BY user_id"],
        &["query", "DELETE FROM events"],
        &["query", "SELECT nothing FROM nowhere"],
    ];
    insta::assert_snapshot!(transcript(&rapport, lines));
}
