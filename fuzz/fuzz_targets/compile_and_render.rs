//! Any text in any of the template languages is a mail or an error with a place, within the limits.
//!
//! The first byte chooses the language and the layout, the rest is the source.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use template::{Body, Dressing, Limits, Link, Options, Partials, Source, Template};

static DATA: LazyLock<model::Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../data.json")).expect("the data is JSON")
});

static PARTIALS: LazyLock<Partials> = LazyLock::new(|| {
    let parts = [("p", "<b>{{ x }}</b>"), ("q", "{% render 'q' %}"), ("r", "{{> r}}")];
    parts.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
});

const OUTPUT_BYTES_MAX: usize = 64 << 10;

fuzz_target!(|input: &[u8]| {
    let Some((choice, source)) = input.split_first() else { return };
    let Ok(text) = std::str::from_utf8(source) else { return };
    let body = if choice & 1 == 0 { Body::Html(text.to_owned()) } else { Body::Mjml(text.to_owned()) };
    let source = Source { subject: text.chars().take(200).collect(), body, ..Source::default() };
    let template = match Template::compile_with(&source, &PARTIALS) {
        Ok(template) => template,
        Err(error) => {
            assert!(error.place().line >= 1 && error.place().column >= 1, "{error}");
            return;
        }
    };
    let limits = Limits {
        steps: 20_000,
        output_bytes: OUTPUT_BYTES_MAX,
        value_bytes: 32 << 10,
        total_bytes: 256 << 10,
    };
    let options = Options { limits, ..Options::default() };
    let mut rewrite = |link: &Link| link.url.clone();
    if let Ok(mail) = template.render(&*DATA, &options, &Dressing::default(), &mut rewrite) {
        assert!(!mail.subject.contains(['\r', '\n']));
    }
});
