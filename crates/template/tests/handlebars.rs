//! Handlebars on the same machine: what its users write prints what they expect, within the same limits.

use serde_json::json;
use template::{Engine, Error, OnError, Options, Partials, Program, Trace};

fn data() -> serde_json::Value {
    json!({
        "name": "Lamp", "n": 3, "f": 2.5, "whole": 4.0, "zero": 0, "empty": [], "blank": "", "yes": true, "no": false, "nothing": null,
        "x": "<b>\"&'", "html": "<i>x</i>", "xs": ["a", "b", "c"], "o": {"a": {"b": "deep"}, "z": 1},
        "rows": [{"name": "Lamp", "price": 9.5, "tags": ["new"]}, {"name": "Rug", "price": 20, "tags": []}],
        "at": "2026-01-05T18:30:00Z", "odd key": "odd", "t": "{{name}}",
    })
}

fn parts(partials: &[(&str, &str)]) -> Partials {
    partials.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn render(source: &str, partials: &[(&str, &str)]) -> Result<(String, Trace), Error> {
    let program = Program::compile_as(Engine::Handlebars, source, &parts(partials), true)?;
    program.render(&data(), &Options { on_error: OnError::Raise, ..Options::default() })
}

fn check(source: &str, expected: &str) {
    match render(source, &[]) {
        Ok((text, _)) => assert_eq!(text, expected, "{source}"),
        Err(error) => panic!("{source}: {error}"),
    }
}

#[test]
fn values_are_found_by_path_and_printed_escaped() {
    check("{{name}} {{ n }} {{f}} {{whole}} {{zero}} {{yes}} {{no}}", "Lamp 3 2.5 4 0 true false");
    check("[{{nothing}}{{unknown}}{{o.q.r}}{{n.constructor}}{{name.length}}]", "[4]");
    check("{{o.a.b}} {{o/a/b}} {{this.o.a.b}} {{./name}} {{@root.name}}", "deep deep deep Lamp Lamp");
    check("{{xs}} {{xs.[1]}} {{xs.length}} {{rows.1.name}} {{[odd key]}}", "a,b,c b 3 Rug odd");
    check("{{x}} {{t}}", "&lt;b&gt;&quot;&amp;&#39; {{name}}");
    check("{{{html}}} {{&html}} <a href=\"{{{html}}}\">", "<i>x</i> <i>x</i> <a href=\"%3Ci>x%3C/i>\">");
}

#[test]
fn blocks_choose_repeat_and_enter() {
    check("{{#if yes}}a{{else}}b{{/if}}{{#if zero}}a{{else if n}}b{{else}}c{{/if}}", "ab");
    check("{{#if empty}}a{{else}}b{{/if}}{{#if blank}}a{{/if}}{{#if zero includeZero=true}}z{{/if}}", "bz");
    check("{{#unless nothing}}u{{else}}v{{/unless}}{{^if yes}}no{{else}}yes{{/if}}", "uyes");
    check("{{#each xs}}{{@index}}{{this}}{{#unless @last}},{{/unless}}{{/each}}", "0a,1b,2c");
    check(
        "{{#each rows}}{{name}}{{../name}}{{#each tags}}{{.}}{{../name}}{{../../n}}{{@../index}}{{/each}};{{/each}}",
        "LampLampnewLamp30;RugLamp;",
    );
    check(
        "{{#each o}}{{@key}}{{#if @first}}!{{/if}} {{/each}}{{#each empty}}x{{else}}none{{/each}}",
        "a! z none",
    );
    check(
        "{{#each rows as |row i|}}{{i}}{{row.name}}{{n}}{{#each row.tags as |tag|}}{{tag}}{{row.name}}{{/each}} {{/each}}",
        "0LampnewLamp 1Rug ",
    );
    check(
        "{{#with o.a}}{{b}}{{../n}}{{/with}}{{#with nothing}}x{{else}}e{{/with}}{{#with o as |p|}}{{p.z}}{{/with}}",
        "deep3e1",
    );
    check(
        "{{#xs}}{{this}}{{/xs}}{{#o}}{{z}}{{/o}}{{#yes}}{{n}}{{/yes}}{{^empty}}none{{/empty}}{{#no}}x{{^}}y{{/no}}",
        "abc13noney",
    );
    check("{{#each xs}}{{#if @first}}{{../name}}{{/if}}{{/each}}", "Lamp");
    check("{{lookup xs 1}}{{lookup o \"z\"}}{{#each xs}}{{lookup ../xs @index}}{{/each}}", "b1abc");
}

#[test]
fn helpers_are_called_nested_and_as_blocks() {
    check(
        "{{#if (and (eq n 3) (gt f 1) (not no))}}y{{/if}}{{#eq name \"Lamp\"}}e{{else}}f{{/eq}}{{#ifGt n 5}}a{{else}}b{{/ifGt}}",
        "yeb",
    );
    check(
        "{{concat name '-' n}} {{default nothing 'd'}} {{upper name}} {{lowercase name}} {{coalesce nothing blank name}}",
        "Lamp-3 d LAMP lamp Lamp",
    );
    check(
        "{{add n 2}} {{subtract n 1}} {{multiply n 2.5}} {{divide 7 2}} {{divide 8 2}} {{math n \"*\" 2}} {{round f}}",
        "5 2 7.5 3.5 4 6 3",
    );
    check(
        "{{money f 'EUR' locale='de'}}|{{date at '%d.%m.%Y'}}|{{dateFormat at format=\"MMMM d, yyyy\"}}|{{formatDate at 'HH:mm' tz='Europe/Vienna'}}",
        "2,50\u{a0}€|05.01.2026|January 5, 2026|19:30",
    );
    check(
        "{{join xs '+'}} {{truncate name 3}} {{contains xs 'b'}} {{length xs}} {{#contains name 'am'}}in{{/contains}}",
        "a+b+c ... true 3 in",
    );
    check(
        "{{or blank nothing name}} {{capitalizeAll 'two words'}} {{json xs}}",
        "Lamp Two Words [&quot;a&quot;,&quot;b&quot;,&quot;c&quot;]",
    );
}

#[test]
fn white_space_is_settled_as_its_users_expect() {
    check("a \n {{~name~}} \n b", "aLampb");
    check("{{#if yes}}\n  in\n{{/if}}\nout", "  in\nout");
    check(
        "<ul>\n  {{#each xs}}\n  <li>{{this}}</li>\n  {{/each}}\n</ul>",
        "<ul>\n  <li>a</li>\n  <li>b</li>\n  <li>c</li>\n</ul>",
    );
    check("a{{! note }}b\n{{!-- a {{name}} --}}\nc", "ab\nc");
    check("{{#if no}}\nx\n{{else}}\ny\n{{/if}}\n", "y\n");
    check("\\{{name}} \\\\{{name}} {{{{raw}}}}{{name}}{{{{/raw}}}}", "{{name}} \\Lamp {{name}}");
}

#[test]
fn partials_take_a_context_arguments_and_a_block() {
    let check = |source: &str, expected: &str| {
        let partials = [
            ("item", "[{{name}} {{kind}}]"),
            ("page", "<p>{{> @partial-block}}{{> nav}}</p>"),
            ("nav", "nav"),
            ("loop", "{{> loop}}"),
        ];
        let (text, _) = render(source, &partials).unwrap_or_else(|error| panic!("{source}: {error}"));
        assert_eq!(text, expected, "{source}");
    };
    check(
        "{{> item}}{{#each rows}}{{> item kind=\"x\"}}{{/each}}{{> item rows.[1] kind=name}}",
        "[Lamp ][Lamp x][Rug x][Rug Lamp]",
    );
    check("{{#> page}}in {{name}}{{/page}}", "<p>in Lampnav</p>");
    check("{{#> page}}{{#*inline \"nav\"}}own{{/inline}}in{{/page}}", "<p>inown</p>");
    check("{{#> gone}}instead{{/gone}}{{> (concat 'it' 'em')}}", "instead[Lamp ]");
    let error = render("a\n {{> gone}}", &[]).unwrap_err();
    assert!(error.to_string().starts_with("2:2: Could not find partial 'gone'"), "{error}");
}

#[test]
fn what_is_missing_or_caught_is_in_the_trace() {
    let (text, trace) = render("{{first_name}}\n {{o.q}}{{default nick 'you'}}", &[]).unwrap();
    assert_eq!(text, "\n you");
    let missing: Vec<_> =
        trace.missing.iter().map(|m| (m.name.as_str(), m.place.line, m.place.column)).collect();
    assert_eq!(missing, [("first_name", 1, 1), ("o.q", 2, 2)]);
    assert_eq!(trace.fallbacks[0].name, "nick");
    let (text, trace) = render("{{#fallback}}Hi {{nick}}{{else}}Hello{{/fallback}}", &[]).unwrap();
    assert_eq!((text.as_str(), trace.missing.len()), ("Hello", 0));
    let error = render("{{abort \"no reason\"}}", &[]).unwrap_err();
    assert!(matches!(error, Error::Abort { reason, .. } if reason == "no reason"));
}

#[test]
fn values_stand_unescaped_only_where_it_is_permitted() {
    let options = Options { raw: false, ..Options::default() };
    for (engine, source) in [(Engine::Handlebars, "a{{{html}}}b"), (Engine::Liquid, "a{{ html | raw }}b")] {
        let program = Program::compile_as(engine, source, &Partials::new(), true).unwrap();
        let (text, trace) = program.render(&data(), &options).unwrap();
        assert_eq!(text, "ab");
        assert!(trace.errors[0].contains("not permitted"), "{trace:?}");
    }
}

#[test]
fn errors_name_line_and_column() {
    let check = |source: &str, expected: &str| {
        let error = render(source, &[]).expect_err(source);
        assert!(matches!(error, Error::Syntax { .. }), "{error:?}");
        assert!(error.to_string().starts_with(expected), "{source}: {error}");
    };
    check("a\n  {{name", "2:3: '{{' was not properly terminated");
    check("{{#if yes}}\n{{/each}}", "2:1: '/each' does not close 'if' of line 1");
    check("\n{{#if yes}}", "2:1: 'if yes' was never closed");
    check("x{{/if}}", "1:2: '/if' closes nothing");
    check("{{else}}", "1:1: 'else' stands in no block");
    check("{{shout name}}", "1:1: Unknown helper 'shout'");
    check("{{#shout name}}{{/shout}}", "1:1: Unknown helper 'shout'");
    check("{{ env \"PATH\" }}", "1:1: Unknown helper 'env'");
    check("{{concat (shout name)}}", "1:10: Unknown helper 'shout'");
    check("{{name |}}", "1:8: Expected a name but found '|'");
    check("{{}}", "1:3: Nothing stands");
    check("{{@odd}}", "1:3: '@odd' is not known");
    check("{{> a b c}}", "1:1: A partial takes one context");
    check("{{#each}}{{/each}}", "1:1: 'each' takes one argument");
    check("{{(concat name}}", "1:3: '(' is never closed");
}

#[test]
fn mjml_holds_handlebars_as_it_holds_liquid() {
    let body = "<mjml><mj-body><mj-section><mj-column>\n<mj-text>{{#if n}}Hi {{x}}{{else}}-{{/if}}</mj-text>{{#each rows}}<mj-button href=\"https://a.example/?q={{name}}\">{{name}} > {{../n}}</mj-button>{{/each}}</mj-column></mj-section></mj-body></mjml>";
    let (html, _) =
        template::render_document_as(Engine::Handlebars, body, true, &data(), &Options::default()).unwrap();
    assert!(
        html.contains("Hi &lt;b&gt;&quot;&amp;&#39;") && !html.contains("{{") && !html.contains("lqx"),
        "{html}"
    );
    assert!(html.contains("https://a.example/?q=Lamp") && html.contains("Rug &gt; 3"), "{html}");
    let source = template::Source {
        subject: "{{name}} {{#if n}}{{n}}{{/if}}".into(),
        body: template::Body::Html(
            "<p style=\"color:{{x}}\">{{#each xs}}{{this}}{{/each}}</p>\n<b>{{gone}}</b>".into(),
        ),
        text: Some("{{x}}".into()),
        engine: Engine::Handlebars,
        ..Default::default()
    };
    let template = template::Template::compile(&source).unwrap();
    let mut follow = |link: &template::Link| link.url.clone();
    let mail = template.render(&data(), &Options::default(), &Default::default(), &mut follow).unwrap();
    assert_eq!((mail.subject.as_str(), mail.text.as_str()), ("Lamp 3", "<b>\"&'"));
    assert!(mail.html.contains(">abc</p>"), "{}", mail.html);
    assert_eq!((mail.trace.missing[0].place.line, mail.trace.missing[0].place.column), (2, 4));
    let error = template::render_document_as(
        Engine::Handlebars,
        &body.replace("{{/each}}", ""),
        true,
        &data(),
        &Options::default(),
    )
    .unwrap_err();
    assert!(error.to_string().starts_with("2:"), "{error}");
}
