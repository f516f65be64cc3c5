//! Completion and hints for editors, from the parser's own expectations and the table of forms.

use serde::{Deserialize, Serialize};

use crate::check::Schema;
use crate::forms::{FORMS, Form};
use crate::parse;

/// Something that could stand where the cursor is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completion {
    /// What a list shows.
    pub label: String,
    /// What replaces the text from `from` to the cursor.
    pub insert: String,
    /// Where the replaced text begins. Units: bytes.
    pub from: usize,
    /// `word`, `form`, `attribute`, `event` or `segment`.
    pub kind: String,
    /// One line about it; may be empty.
    pub detail: String,
}

/// What is known of the word at a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hint {
    /// Where the word begins. Units: bytes.
    pub from: usize,
    /// Where it ends.
    pub to: usize,
    /// How its form is written.
    pub syntax: String,
    /// What one should know of it.
    pub note: String,
    /// An example.
    pub example: String,
    /// The example in plain English.
    pub sentence: String,
}

/// What follows a whole condition about events.
const AFTER_EVENTS: [&str; 9] = [
    "where",
    "in last",
    "before last",
    "since",
    "today",
    "between",
    "for the first time",
    "then",
    "then not",
];

fn boundary(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | '-' | '.')
}

/// What can stand at `offset` of a text, given what stands before it; at most 50.
pub fn complete(text: &str, offset: usize, schema: &Schema) -> Vec<Completion> {
    let before = &text[..boundary(text, offset)];
    let opened = open_quote(before);
    let from = opened.unwrap_or_else(|| before.trim_end_matches(is_of_word).len());
    let typed = before[from..].trim_start_matches('"').to_lowercase();
    let expected = match parse(&before[..from]) {
        Ok(condition) => {
            let last = condition.leaves().last().copied();
            let timed = |leaf: &crate::Condition| {
                !leaf.events().is_empty()
                    || matches!(leaf, crate::Condition::Passed { .. } | crate::Condition::Consent { .. })
            };
            let more: &[&str] = if last.is_some_and(timed) { &AFTER_EVENTS } else { &[] };
            ["and", "or"].iter().chain(more).map(|word| format!("'{word}'")).collect()
        }
        Err(error) if before[error.offset.min(from)..from].trim().is_empty() => error.expected,
        Err(_) => return Vec::new(),
    };
    let mut out = Vec::new();
    let mut add = |label: &str, insert: String, kind: &str, detail: &str| {
        let fits = label.to_lowercase().starts_with(&typed)
            || (kind != "word" && label.to_lowercase().contains(&typed));
        if fits && out.len() < 50 {
            let (label, kind, detail) = (label.to_owned(), kind.to_owned(), detail.to_owned());
            out.push(Completion { label, insert, from, kind, detail });
        }
    };
    let quoted = |name: &str| crate::print::Quoted(name).to_string();
    let begins = expected.iter().any(|each| each == "an attribute");
    for each in &expected {
        let asks = |what: &str| each.contains(what) && !each.starts_with('\'');
        if asks("event") {
            schema.events.iter().for_each(|name| add(name, quoted(name), "event", ""));
        } else if asks("segment's name") {
            schema.segments.iter().for_each(|name| add(name, quoted(name), "segment", ""));
        } else if asks("an attribute") || asks("a name") {
            for (name, of_type) in &schema.attributes {
                let path = crate::Path::new(name.split('.').map(str::to_owned).collect());
                let insert = path.map_or_else(|| name.clone(), |path| path.to_string());
                add(name, insert, "attribute", of_type);
            }
        } else if opened.is_none() && (each.starts_with('\'') || !each.contains(' ')) {
            let word = each.trim_matches('\'');
            let known = form_of(word.split(' ').next().unwrap_or(word));
            add(word, word.to_owned(), "word", known.map_or("", |form| form.syntax));
        }
    }
    if begins && opened.is_none() {
        for form in FORMS.iter().filter(|form| !form.syntax.starts_with('…')) {
            add(form.syntax, form.example.to_owned(), "form", form.sentence);
        }
    }
    out
}

/// What is known of the word of the language at `offset`.
pub fn hint(text: &str, offset: usize) -> Option<Hint> {
    let offset = boundary(text, offset);
    let from = text[..offset].trim_end_matches(is_of_word).len();
    let to = offset + text[offset..].find(|c| !is_of_word(c)).unwrap_or(text.len() - offset);
    if open_quote(&text[..from]).is_some() {
        return None;
    }
    let form = form_of(&text[from..to])?;
    Some(Hint {
        from,
        to,
        syntax: form.syntax.to_owned(),
        note: form.note.to_owned(),
        example: form.example.to_owned(),
        sentence: form.sentence.to_owned(),
    })
}

fn form_of(word: &str) -> Option<&'static Form> {
    FORMS
        .iter()
        .chain(crate::FIGURES)
        .find(|form| form.words.iter().any(|known| known.eq_ignore_ascii_case(word)))
}

/// Where the text in double quotes begins that is still open at the end.
fn open_quote(text: &str) -> Option<usize> {
    let mut open = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if open.is_some() => {
                chars.next();
            }
            '"' => open = if open.is_none() { Some(at) } else { None },
            _ => {}
        }
    }
    open
}
