//! Templates written to harm: each ends in a typed error with a place, quickly, and nothing panics.

use proptest::prelude::*;
use serde_json::json;
use template::{Error, OnError, Options, Partials, Program};

fn run(source: &str, partials: &[(&str, &str)]) -> Result<String, Error> {
    let partials: Partials = partials.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let program = Program::compile(source, &partials, true)?;
    let data = json!({"xs": ["a", "b"], "n": 3, "min": i64::MIN, "s": "text"});
    let options = Options { on_error: OnError::Raise, ..Options::default() };
    program.render(&data, &options).map(|(text, _)| text)
}

#[test]
fn exhausting_templates_end_at_a_limit() {
    let check = |source: &str, partials: &[(&str, &str)]| {
        let error = run(source, partials).expect_err(&source[..source.len().min(80)]);
        assert!(matches!(error, Error::Limit { .. }), "{error}");
        assert!(error.place().line >= 1);
        assert_eq!(error.kind(), model::Kind::Limited);
    };
    check(&"{% if true %}".repeat(5000), &[]);
    check(&format!("{}{}", "{% for i in xs %}".repeat(5000), "{% endfor %}".repeat(5000)), &[]);
    check("{% for i in (1..1000000000) %}x{% endfor %}", &[]);
    check("{% for i in (1..1000000000) reversed %}{% endfor %}", &[]);
    check("{% tablerow i in (1..1000000000) %}{% endtablerow %}", &[]);
    check(
        "{% for i in (1..500) %}{% for j in (1..500) %}{% for k in (1..500) %}{% endfor %}{% endfor %}{% endfor %}",
        &[],
    );
    check(&format!("{{% assign a = 'xxxxxxxxxx' %}}{}", "{% assign a = a | append: a %}".repeat(40)), &[]);
    check(
        &format!("{{% assign a = 'xxxxxxxxxx' %}}{}", "{% assign a = a | replace: 'x', a %}".repeat(10)),
        &[],
    );
    check(&format!("{{% assign a = xs %}}{}", "{% assign a = a | concat: a %}".repeat(40)), &[]);
    check(
        "{% for i in (1..100000) %}{% capture a %}{{ a }}xxxxxxxxxxxxxxxxxxxx{% endcapture %}{% endfor %}",
        &[],
    );
    check("{{ s | date: '%Y' }}{{ 'now' | date: '%900000000d' }}", &[]);
    check("{{ (1..1000000000) | join }}", &[]);
    check("{{ (1..9000000000000000000) | reverse }}", &[]);
    check("{% render 'a' %}", &[("a", "{% render 'a' %}")]);
    check(
        "{% include 'a' %}",
        &[("a", "{% include 'b' %}"), ("b", "{% if true %}{% include 'a' %}{% endif %}")],
    );
    check("{% render 'a' for (1..1000000000) %}", &[("a", "x")]);
    check(&"x".repeat(10 << 20), &[]);
    check(&"{{ x }}".repeat(120_000), &[]);
}

#[test]
fn impossible_arithmetic_is_an_error_and_not_a_panic() {
    let check = |source: &str| {
        let error = run(source, &[]).expect_err(source);
        assert!(matches!(error, Error::Render { .. }), "{error}");
    };
    check("{{ min | divided_by: -1 }}");
    check("{{ min | modulo: -1 }}{{ min | abs }}");
    check("{{ min | minus: 1 }}");
    check("{{ 9223372036854775807 | plus: 1 }}");
    check("{{ min | times: min }}");
    check("{{ 1 | divided_by: 0 }}");
    check("{{ 1 | modulo: 0 }}");
    check("{% include 'nobody' %}");
    check("{% include '/etc/passwd' %}");
}

#[test]
fn deep_expressions_are_refused() {
    let deep = format!("{{{{ {}1{} }}}}", "a[".repeat(5000), "]".repeat(5000));
    assert!(matches!(run(&deep, &[]), Err(Error::Syntax { .. })));
    let ranges = format!("{{{{ {}1..2{} }}}}", "(".repeat(5000), ")".repeat(5000));
    assert!(matches!(run(&ranges, &[]), Err(Error::Syntax { .. })));
}

/// What a browser would follow or run in a page: entities decoded, blanks and controls left out.
fn runs_a_script(html: &str) -> bool {
    let plain: String =
        template::links::decode(html).chars().filter(|c| !c.is_control() && *c != ' ').collect();
    let plain = plain.to_lowercase();
    ["javascript:", "vbscript:", "data:text", "srcdoc"].iter().any(|scheme| plain.contains(scheme))
}

#[test]
fn links_that_run_something_are_removed_wherever_they_stand_and_however_they_are_written() {
    let schemes = [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java\tscript:alert(1)",
        "java\r\nscript:alert(1)",
        " \u{1}javascript:alert(1)",
        "&#106;avascript:alert(1)",
        "javascript&colon;alert(1)",
        "java&Tab;script:alert(1)",
        "&#x6A;&#x61;vascript&#58;alert(1)",
        "vbscript:x",
        "data:text/html,<b>x</b>",
        "data:text/html;base64,PHNjcmlwdD4=",
    ];
    let places = [
        "<a href=\"URL\">x</a>",
        "<A HREF='URL'>x</A>",
        "<a class=\"b\" href=\"URL\" href=\"https://shop.example/\">x</a>",
        "<area href=\"URL\">",
        "<form action=\"URL\"><button formaction=\"URL\">x</button></form>",
        "<iframe src=\"URL\"></iframe>",
        "<object data=\"URL\"></object>",
        "<img src=\"URL\">",
        "<table background=\"URL\"></table>",
        "<svg><a xlink:href=\"URL\">x</a></svg>",
        "<link rel=\"stylesheet\" href=\"URL\">",
    ];
    for place in places {
        for scheme in schemes {
            let body = template::Body::Html(format!("<body>{}</body>", place.replace("URL", scheme)));
            let Ok(template) = template::Template::compile(&template::Source { body, ..Default::default() })
            else {
                continue;
            };
            let mut follow = |link: &template::Link| link.url.clone();
            let dressing = template::Dressing::default();
            let mail = template.render(&json!({}), &Options::default(), &dressing, &mut follow).unwrap();
            assert!(!runs_a_script(&mail.html), "{place} with {scheme:?}: {}", mail.html);
            assert!(mail.links.iter().all(|link| !runs_a_script(&link.url)), "{place} with {scheme:?}");
        }
    }
    // Tags without an end are left alone, in one pass.
    let unended = format!("<body>{}", "<x y='".repeat(100_000));
    let source = template::Source { body: template::Body::Html(unended), ..Default::default() };
    if let Ok(template) = template::Template::compile(&source) {
        let mut follow = |link: &template::Link| link.url.clone();
        template
            .render(&json!({}), &Options::default(), &template::Dressing::default(), &mut follow)
            .unwrap();
    }
    // What is harmless stays.
    let body = "<body><img src=\"data:image/png;base64,AAAA\" alt=\"a &amp; b\"><a href=\"https://shop.example/?a=1&amp;b=2\">x</a></body>";
    let source = template::Source { body: template::Body::Html(body.to_owned()), ..Default::default() };
    let mut follow = |link: &template::Link| link.url.clone();
    let mail = template::Template::compile(&source)
        .unwrap()
        .render(&json!({}), &Options::default(), &template::Dressing::default(), &mut follow)
        .unwrap();
    assert!(
        mail.html.contains("data:image/png;base64,AAAA") && mail.html.contains("a &amp; b"),
        "{}",
        mail.html
    );
    assert_eq!(mail.warnings, Vec::<String>::new());
}

#[test]
fn nothing_outside_the_data_can_be_reached() {
    assert_eq!(run("{{ s.constructor }}{{ s.__proto__ }}{{ self.env }}", &[]).unwrap(), "");
    assert!(matches!(run("{{ env \"PATH\" }}", &[]), Err(Error::Syntax { .. })));
    assert_eq!(run("{{ 's' | system: 'ls' }}", &[]).unwrap(), "s");
}

#[test]
fn errors_name_line_and_column() {
    let error = run("line one\n  {{ x | }}", &[]).unwrap_err();
    assert!(error.to_string().starts_with("2:10: "), "{error}");
    let error = run("{% if 1 %}\n\n{% endfor %}", &[]).unwrap_err();
    assert!(error.to_string().starts_with("3:1: "), "{error}");
}

#[test]
fn abort_carries_its_reason() {
    let error = run("{% if xs %}{% abort \"nothing to say\" %}{% endif %}", &[]).unwrap_err();
    assert_eq!(error.message(), "nothing to say");
}

/// What fuzzing found: each once ended the process.
#[test]
fn sources_that_once_made_the_compiler_panic_are_compiled_or_refused() {
    let sources = [
        "{%}size | ', '{{^json }}",
        "{%}",
        "{{}",
        "{{}}",
        "<style\u{30b}t0= | {2t///'[[[n {x}",
        "<td>n dat><tr'<td\u{8c}: dat%e z0={:'Y'",
        "<a \u{ff}=\u{ff}\u{30b} \u{ff}>",
    ];
    for source in sources {
        for body in [template::Body::Html(source.to_owned()), template::Body::Mjml(source.to_owned())] {
            let source = template::Source { body, ..Default::default() };
            if let Err(error) = template::Template::compile(&source) {
                assert!(error.place().line >= 1, "{error}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_source_makes_the_engine_panic(parts in proptest::collection::vec(prop_oneof![
        Just("{{ ".to_owned()), Just(" }}".to_owned()), Just("{% ".to_owned()), Just(" %}".to_owned()),
        Just("{%- if x -%}".to_owned()), Just("{% endif %}".to_owned()), Just("{% for i in xs %}".to_owned()),
        Just("{% endfor %}".to_owned()), Just("{{ s | slice: -3, 2 }}".to_owned()), Just("{{ n | round: -40 }}".to_owned()),
        Just("{% raw %}".to_owned()), Just("{% endraw %}".to_owned()), Just("{% comment %}".to_owned()),
        Just("<a href=\"".to_owned()), Just("\">".to_owned()), Just("{{ xs | ".to_owned()), Just("{{-".to_owned()), Just("-}}".to_owned()),
        "[a-z |:.'\"\\[\\](){}%<>=!-]{0,12}", "\\PC{0,4}"], 0..14)) {
        let source = parts.concat();
        let _ = run(&source, &[]);
        let _ = template::Template::compile(&template::Source { body: template::Body::Html(source.clone()), ..Default::default() });
        let _ = template::plain::from_html(&source);
    }

    #[test]
    fn every_filter_survives_every_value(filter in "(abs|at_least|at_most|ceil|divided_by|floor|minus|modulo|plus|round|times|money|append|capitalize|truncate|truncatewords|slice|split|first|last|size|join|sort|sum|uniq|where|map|group_by|date|json|strip_html|url_decode|base64_decode|find_index|replace)",
        value in "(s|n|min|xs|nil|3.7|-1|1e3|'%z'|'now'|''|(1..3)|'2020-01-01'|99999999999999999999)", arg in "(s|n|min|xs|nil|3.7|-1|''|(1..3)|'x'|-99999999999999999999)", two in any::<bool>()) {
        let source = if two { format!("{{{{ {value} | {filter}: {arg}, {arg} }}}}") } else { format!("{{{{ {value} | {filter}: {arg} }}}}") };
        let _ = run(&source, &[]);
    }
}
