//! What a template asks its host for, sections with a fallback, and variants.

use std::borrow::Cow;

use serde_json::json;
use template::{Ask, Error, Object, OnError, Options, Partials, Program, Supplied, Trace, Val};

/// A host that has some things, fetches others and refuses one.
struct Host(model::Value);

impl Object for Host {
    fn get<'a>(&'a self, key: &str) -> Option<Val<'a>> {
        Object::get(&self.0, key)
    }
    fn entries(&self) -> Vec<(Cow<'_, str>, Val<'_>)> {
        Object::entries(&self.0)
    }
    fn supply(&self, ask: &Ask) -> Supplied<'_> {
        match ask {
            Ask::Recommend { limit, arguments } if arguments.is_empty() => {
                let items = self.0["items"].as_array().expect("items").iter().take(*limit);
                Supplied::Ready(Val::Array(items.map(Val::from_json).collect()))
            }
            Ask::Recommend { arguments, .. } => Supplied::Ready(Val::text(format!("{arguments:?}"))),
            Ask::Item { id, .. } if id == "l1" => Supplied::Ready(Val::from_json(&self.0["items"][0])),
            Ask::Item { .. } => Supplied::Nothing("There is no such item.".into()),
            Ask::Feed { name, .. } if name == "slow" => Supplied::Pending,
            Ask::Feed { .. } => Supplied::Nothing("The feed failed.".into()),
            Ask::Coupon { pool } if pool == "empty" => Supplied::Refused("The pool is empty.".into()),
            Ask::Coupon { pool } => Supplied::Ready(Val::text(format!("{pool}-<1>"))),
        }
    }
}

fn render(source: &str) -> Result<(String, Trace), Error> {
    let host = Host(json!({
        "items": [{"name": "Lamp"}, {"name": "Rug"}, {"name": "Sofa"}], "n": 2, "tags": ["a", "b"], "variant": {"hero": "bold", "tone": "odd"},
    }));
    let program = Program::compile(source, &Partials::new(), true)?;
    program.render(&host, &Options::default())
}

fn check(source: &str, expected: &str) {
    let (text, _) = render(source).expect(source);
    assert_eq!(text, expected, "{source}");
}

#[test]
fn recommendations_are_assigned_or_looped_over() {
    check("{% recommend limit: n as list %}{{ list | map: 'name' | join }}", "Lamp Rug");
    check("{% recommend as list %}{{ list.size }}", "3");
    check("{% recommend limit: 1 for item %}{{ forloop.index }} {{ item.name }}{% endrecommend %}", "1 Lamp");
    check("{% recommend limit: 0 for item %}x{% else %}none{% endrecommend %}", "none");
    check(
        "{% recommend limit: 0, fallback: items for item %}{{ item.name }}{% endrecommend %}",
        "LampRugSofa",
    );
    let asked = "{% recommend tag: tags, category: 'x', price_max: n, brand: nothing as a %}{{ a | raw }}";
    check(asked, "[(\"category\", \"x\"), (\"price_max\", \"2\"), (\"tag\", \"a,b\")]");
}

#[test]
fn a_coupon_is_printed_escaped_or_assigned_and_a_refusal_ends_the_mail() {
    check("{% coupon 'spring' %}", "spring-&lt;1&gt;");
    check("{% coupon 'spring' as c %}{{ c | size }}", "10");
    let error = render("line\n{% coupon 'empty', fallback: 'X' %}").unwrap_err();
    assert!(matches!(&error, Error::Abort { reason, .. } if reason == "The pool is empty."), "{error}");
    assert_eq!((error.place().line, error.place().column), (2, 1));
}

#[test]
fn what_the_host_has_not_is_missing_unless_there_is_a_fallback() {
    check("{% catalog 'products', 'l1' as item %}{{ item.name }}", "Lamp");
    let (text, trace) = render("{% catalog 'products', id: 'zz' as item %}[{{ item.name }}]").unwrap();
    assert_eq!(text, "[]");
    assert!(trace.missing[0].name.contains("There is no such item."), "{trace:?}");
    let (text, trace) = render("{% feed 'weather', city: 'x', fallback: 'mild' as w %}{{ w }}").unwrap();
    assert_eq!(text, "mild");
    assert!(trace.missing.is_empty() && trace.fallbacks[0].name.contains("The feed failed."), "{trace:?}");
    let (_, trace) = render("{% catalog 'products', nothing as item %}").unwrap();
    assert!(trace.missing[0].name.contains("no id was given"), "{trace:?}");
}

#[test]
fn what_is_pending_is_collected_once_and_an_abort_waits_for_it() {
    let source = "{% feed 'slow', b: 1, a: n as x %}{% feed 'slow', a: n, b: 1 as y %}{% unless x %}{% abort 'no x' %}{% endunless %}";
    let (_, trace) = render(source).unwrap();
    let arguments = vec![("a".to_owned(), "2".to_owned()), ("b".to_owned(), "1".to_owned())];
    assert_eq!(trace.pending, [Ask::Feed { name: "slow".into(), arguments }]);
    let (_, trace) = render("{% if false %}{% feed 'slow' as x %}{% endif %}").unwrap();
    assert!(trace.pending.is_empty(), "only what stands in a branch that is taken is asked for");
    let (_, trace) =
        render("{% fallback %}{% feed 'slow' as x %}{{ x.y }}{% otherwise %}o{% endfallback %}").unwrap();
    assert_eq!(trace.pending.len(), 1);
}

#[test]
fn a_section_with_a_gap_prints_its_other_part_and_says_so() {
    let check = |source: &str, expected: &str, noted: &str| {
        let (text, trace) = render(source).expect(source);
        assert_eq!(text, expected, "{source}");
        assert!(trace.missing.is_empty() && trace.errors.is_empty(), "{trace:?}");
        match trace.fallbacks.first() {
            Some(found) => assert!(!noted.is_empty() && found.name.contains(noted), "{trace:?}"),
            None => assert_eq!(noted, "", "{source}"),
        }
    };
    check("{% fallback %}Hi {{ n }}{% otherwise %}Hello{% endfallback %}!", "Hi 2!", "");
    check("{% fallback %}Hi {{ name }}{% otherwise %}Hello{% endfallback %}!", "Hello!", "name is missing");
    check(
        "{% fallback %}Hi {{ name | upcase }}{% otherwise %}Hello{% endfallback %}",
        "Hello",
        "name is missing",
    );
    check("{% fallback %}{{ n | divided_by: 0 }}{% otherwise %}-{% endfallback %}", "-", "divided by 0");
    check("{% fallback %}x{{ name }}{% endfallback %}.", ".", "name is missing");
    check(
        "{% fallback %}{% feed 'f' as x %}{{ x.a }}{% otherwise %}-{% endfallback %}",
        "-",
        "The feed failed.",
    );
    let nested = "{% fallback %}a{% fallback %}{{ gone }}{% otherwise %}b{% endfallback %}{% otherwise %}c{% endfallback %}";
    check(nested, "ab", "gone is missing");
    let looped = "{% for i in (1..3) %}{% fallback %}{{ i }}{% if i == 2 %}{{ gone }}{% endif %}{% otherwise %}-{% endfallback %}{% endfor %}";
    check(looped, "1-3", "gone is missing");
}

#[test]
fn a_section_catches_errors_even_where_they_end_a_render() {
    let source = "{% fallback %}{% for i in (1..2) %}{{ i | divided_by: 0 }}{% endfor %}{% otherwise %}-{% endfallback %}{{ n }}";
    let program = Program::compile(source, &Partials::new(), true).unwrap();
    let options = Options { on_error: OnError::Raise, ..Options::default() };
    assert_eq!(program.render(&json!({"n": 1}), &options).unwrap().0, "-1");
    let limited = "{% fallback %}{% for i in (1..1000000000) %}{% endfor %}{% otherwise %}-{% endfallback %}";
    let program = Program::compile(limited, &Partials::new(), true).unwrap();
    assert!(matches!(program.render(&json!({}), &options), Err(Error::Limit { .. })));
}

#[test]
fn a_variant_is_chosen_by_the_data_else_the_first_is_printed() {
    check("{% variant hero %}{% when 'plain' %}p{% when 'bold', 'loud' %}b{% endvariant %}", "b");
    check("{% variant tone %}{% when 'plain' %}p{% when 'warm' %}w{% endvariant %}", "p");
    check("{% variant tone %}{% when 'plain' %}p{% else %}e{% endvariant %}", "e");
    check("{% variant nobody %} {% when 'plain' %}p{% endvariant %}", "p");
}

#[test]
fn a_tag_that_is_not_well_formed_is_refused_at_its_place() {
    let check = |source: &str, message: &str| {
        let error = render(&format!("\n {source}")).expect_err(source);
        assert!(matches!(error, Error::Syntax { .. }) && error.message().contains(message), "{error}");
        assert_eq!(error.place().line, 2);
    };
    check("{% recommend limit: 3 %}", "end with 'as name'");
    check("{% recommend 5 as x %}", "without a name too many");
    check("{% recommend limit: 1, limit: 2 as x %}", "given twice");
    check("{% recommend for x %}", "never closed");
    check("{% catalog 'p' as x %}", "an item's id");
    check("{% catalog 'p', 1, colour: 2 as x %}", "no argument 'colour'");
    check("{% feed as x %}", "a name in quotes");
    check("{% coupon %}", "a name in quotes");
    check("{% coupon 'a' for x %}", "name it with 'as'");
    check("{% fallback x %}{% endfallback %}", "takes nothing");
    check("{% fallback %}{% otherwise %}", "never closed");
    check("{% otherwise %}", "closes or continues nothing");
    check("{% variant %}{% endvariant %}", "needs a {% when");
}
