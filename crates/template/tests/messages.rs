//! Whole messages: layouts, links, text parts, escaping, and the seed's examples.

use serde_json::json;
use template::{Body, Dressing, Link, OnError, Options, Rendered, Source, Template, render_document};

const MJML: &str = r#"<mjml>
  <mj-head>
    <mj-title>Your cart, {{ customer.first_name }}</mj-title>
    <mj-style>.offer { color: #123456; } a.offer:hover { color: #ff0000; }</mj-style>
  </mj-head>
  <mj-body>
    <mj-section>
      <mj-column>
        <mj-text css-class="offer">Hello {{ customer.first_name | default: "there" }} &amp; friends</mj-text>
        {% for item in event.items %}
        <mj-text><a href="{{ item.url }}">{{ item.name }}</a> {{ item.price | money }}</mj-text>
        {% endfor %}
        {% if customer.vip %}<mj-button href="https://shop.example/vip?c={{ customer.code }}">VIP “lounge”</mj-button>{% endif %}
        <mj-table><tr><th>Name</th></tr>{% for item in event.items %}<tr><td>{{ item.name }}</td></tr>{% endfor %}</mj-table>
        <mj-text><a href="{{ links.unsubscribe }}">Unsubscribe</a> <a data-no-track="1" href="https://shop.example/imprint">Imprint</a></mj-text>
      </mj-column>
    </mj-section>
  </mj-body>
</mjml>"#;

fn source(body: Body) -> Source {
    Source {
        subject: "Hi {{ customer.first_name }}".into(),
        preheader: "For {{ customer.first_name }}".into(),
        body,
        text: None,
        ..Source::default()
    }
}

fn data() -> serde_json::Value {
    json!({
        "customer": {"first_name": "A<b>&", "vip": true, "code": "x&y=1 z"},
        "event": {"items": [
            {"name": "Lamp", "price": 1234.5, "url": "https://shop.example/lamp?a=1#top"},
            {"name": "</td><script>", "price": 2, "url": "java\tscript:alert(1)"}]},
        "links": {"unsubscribe": "https://t.example/u/abc"}
    })
}

fn render(source: &Source, data: &serde_json::Value) -> Rendered {
    let template = Template::compile(source).expect("the template compiles");
    let dressing = Dressing {
        utm: vec![("utm_campaign".into(), "cart mail".into())],
        pixel_url: Some("https://t.example/o/1".into()),
        ..Dressing::default()
    };
    template
        .render(data, &Options::default(), &dressing, &mut |link: &Link| {
            format!("https://t.example/c/{}", link.number)
        })
        .expect("the mail renders")
}

#[test]
fn an_mjml_mail_renders_with_loops_links_and_a_text_part() {
    let mail = render(&source(Body::Mjml(MJML.into())), &data());
    assert_eq!(mail.subject, "Hi A<b>&");
    assert!(mail.html.contains("Hello A&lt;b&gt;&amp; &amp; friends"), "{}", mail.html);
    assert!(mail.html.contains("$1,234.50"));
    assert_eq!(mail.html.matches("Lamp").count(), 2, "a loop of texts and a loop of rows");
    assert!(!mail.html.contains("<script"), "values are escaped");
    assert!(mail.html.contains("color: #123456") || mail.html.contains("color:#123456"));
    assert!(mail.html.contains(":hover"), "hover rules stay");
    let urls: Vec<_> = mail.links.iter().map(|l| (l.number, l.url.as_str(), l.tracked)).collect();
    assert_eq!(
        urls,
        [
            (1, "https://shop.example/lamp?a=1&utm_campaign=cart%20mail#top", true),
            (2, "#", false),
            (3, "https://shop.example/vip?c=x%26y%3D1%20z&utm_campaign=cart%20mail", true),
            (4, "https://t.example/u/abc", false),
            (5, "https://shop.example/imprint", false),
        ]
    );
    assert!(mail.html.contains("href=\"https://t.example/c/1\""));
    assert!(!mail.html.contains("data-link") && !mail.html.contains("data-no-track"));
    let pixel = mail.html.find("https://t.example/o/1").unwrap();
    assert!(pixel < mail.html.find("</body>").unwrap());
    let preheader = mail.html.find("For A&lt;b&gt;&amp;").unwrap();
    assert!(preheader < mail.html.find("Hello A").unwrap());
    assert!(mail.text.contains("Lamp (https://t.example/c/1) $1,234.50"), "{}", mail.text);
    assert!(mail.text.contains("Unsubscribe (https://t.example/u/abc)"));
    assert!(!mail.text.contains("For A"), "the preheader is not part of the text");
    assert!(!mail.html.contains("lqx"));
}

#[test]
fn a_plain_html_mail_goes_through_the_same_inlining() {
    let html = "<html><head><style>p{margin:3px}</style></head><body><p style=\"color:{{ customer.colour }}\">{{ customer.nickname }}</p><a href=\"javascript:x\">no</a><table>{% for i in event.items %}<tr><td>{{ i.price }}</td></tr>{% endfor %}</table></body></html>";
    let mut data = data();
    data["customer"]["colour"] = json!("red;background:url(x)");
    let mail = render(&source(Body::Html(html.into())), &data);
    assert!(mail.html.contains("margin: 3px") || mail.html.contains("margin:3px"), "{}", mail.html);
    assert!(mail.html.contains("<tr><td>1234.5</td></tr><tr><td>2</td></tr>"));
    assert!(!mail.html.contains("javascript"), "{}", mail.html);
    assert!(!mail.html.contains("url(x)") && !mail.html.contains(";background"));
    assert_eq!(mail.warnings.len(), 1);
    assert_eq!(mail.trace.missing[0].name, "customer.nickname");
    assert_eq!((mail.trace.missing[0].place.line, mail.trace.missing[0].place.column), (1, 93));
}

fn plain(template: &str, data: &serde_json::Value) -> String {
    let options = Options { escape: false, on_error: OnError::Raise, ..Options::default() };
    render_document(template, false, data, &options).expect("the document renders").0
}

#[test]
fn the_seed_examples_render_as_written() {
    let first = "{% if customer.purchase_history contains 'luxury' %}Exclusive{% else %}Everyday{% endif %}";
    assert_eq!(plain(first, &json!({"customer": {"purchase_history": ["luxury", "home"]}})), "Exclusive");
    assert_eq!(plain(first, &json!({"customer": {"purchase_history": ["home"]}})), "Everyday");
    assert_eq!(plain(first, &json!({})), "Everyday");
    let second = "{% assign recommendations = site.recommendations[customer.id] %}{% for product in recommendations %}{{ product.name }} Price: {{ product.price }}{% endfor %}";
    let data = json!({"customer": {"id": "c1"}, "site": {"recommendations": {"c1": [{"name": "Lamp", "price": 9.5}, {"name": "Rug", "price": 20}]}}});
    assert_eq!(plain(second, &data), "Lamp Price: 9.5Rug Price: 20");
}

#[test]
fn values_are_escaped_for_the_place_they_stand_in() {
    let check = |template: &str, expected: &str| {
        let data = json!({"x": "</title><script>\"'&", "u": "javascript:alert(1)", "ok": "https://a.example/?a=1&b=2", "t": "{{ y }}"});
        let options = Options::default();
        assert_eq!(render_document(template, false, &data, &options).unwrap().0, expected, "{template}");
    };
    check("<p>{{ x }}</p>", "<p>&lt;/title&gt;&lt;script&gt;&quot;&#39;&amp;</p>");
    check("<p title=\"{{ x }}\">", "<p title=\"&lt;/title&gt;&lt;script&gt;&quot;&#39;&amp;\">");
    check("<a href=\"{{ u }}\">", "<a href=\"#\">");
    check("<a href='{{ ok }}'>", "<a href='https://a.example/?a=1&amp;b=2'>");
    check("<a href=\"/s?q={{ ok }}\">", "<a href=\"/s?q=https://a.example/%3Fa%3D1%26b%3D2\">");
    check("<p style=\"color:{{ x }}\">", "<p style=\"color:titlescript\">");
    check("<script>{{ x }}</script>", "<script></script>");
    check(
        "{{ x | escape }}|{{ x | escape_once }}|{{ '<b>' | raw }}",
        "&lt;/title&gt;&lt;script&gt;&quot;&#39;&amp;|&lt;/title&gt;&lt;script&gt;&quot;&#39;&amp;|<b>",
    );
    check(
        "{% capture c %}<b>{{ x }}</b>{% endcapture %}{{ c }}",
        "<b>&lt;/title&gt;&lt;script&gt;&quot;&#39;&amp;</b>",
    );
    check("{{ t }}", "{{ y }}");
}

#[test]
fn a_subject_is_always_one_line() {
    let mut data = data();
    data["customer"]["first_name"] = json!("A\r\nBcc: x\u{2028}\0y");
    let mail = render(&source(Body::Html("<p>x</p>".into())), &data);
    assert_eq!(mail.subject, "Hi A Bcc: x y");
}

#[test]
fn faulty_layouts_are_refused_with_the_authors_place() {
    let check = |body: Body, place: &str, part: &str| {
        let error = Template::compile(&source(body)).unwrap_err();
        assert!(error.to_string().starts_with(place), "{error}");
        assert!(error.to_string().contains(part), "{error}");
    };
    let mjml = |inner: &str| Body::Mjml(format!("<mjml><mj-body>\n{inner}</mj-body></mjml>"));
    check(mjml("<mj-frame></mj-frame>"), "body:2:1", "unknown component <mj-frame>");
    check(mjml("<mj-include path=\"/etc/passwd\"/>"), "body:2:1", "mj-include");
    check(mjml("<mj-section padding=\"{{ p }}\"></mj-section>"), "body:2:22", "padding");
    check(mjml("<mj-section {{ p }}></mj-section>"), "body:2:13", "inside a tag");
    check(mjml("{% if x %}"), "body:2:1", "never closed");
    check(mjml("<mj-text>{{ x | </mj-text>"), "body:2:10", "terminated");
    check(mjml(&"<mj-wrapper>".repeat(1000)), "body:2", "Nesting too deep");
    check(Body::Html("<div>".repeat(40_000)), "body:1", "Nesting too deep");
    check(Body::Html("<style>p{color:{{ c }}}</style>".into()), "body:1:16", "style sheet");
    check(Body::Html("<p>{{ x }".into()), "body:1:4", "terminated");
}

#[test]
fn attributes_with_line_breaks_and_emoji_survive_the_layout() {
    let body = "<mjml><mj-body><mj-section><mj-column><mj-image src=\"https://a.example/i.png\" alt=\"Día 👩‍👩‍👧\u{a0}“x”\" /></mj-column></mj-section></mj-body></mjml>";
    let mail = render(&source(Body::Mjml(body.into())), &data());
    let decoded = template::links::decode(&mail.html).into_owned();
    assert!(decoded.contains("Día 👩‍👩‍👧\u{a0}“x”"), "{}", mail.html);
}

#[test]
fn a_fragment_that_begins_with_a_loop_is_one_page_whatever_the_loop_does() {
    let body = "{% for item in event.items %}<p>{{ item.name }}</p>{% endfor %}";
    let html = render(&source(Body::Html(body.into())), &data()).html;
    assert_eq!(html.matches("<body").count(), 1, "{html}");
    assert_eq!(html.matches("<p").count(), 2, "{html}");
    assert!(html.find("<body") < html.find("<p"), "{html}");
}
