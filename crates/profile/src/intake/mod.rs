//! Intake: the body of a call to the collector becomes events or rejections, one for each item.
//!
//! The envelope is read borrowed; properties and context stay raw text, checked for depth and size but never built
//! into a tree. Source of the form: the published Segment SDKs.

mod call;
mod guard;

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use model::{Call, Event, Map, Timestamp, Trust, Value, WorkspaceId};
use serde::Deserialize;
use serde_json::value::RawValue;
use xxhash_rust::xxh3::Xxh3;

pub use call::{INTERNAL_NAMES, is_reserved};

/// What intake needs to know about a call.
pub struct Context<'a> {
    /// Where the events belong.
    pub workspace: WorkspaceId,
    /// The call that the route names; `None` for batches, whose items name their own.
    pub route: Option<Call>,
    /// How far the sender is trusted.
    pub trust: Trust,
    /// When the request arrived.
    pub received_at: Timestamp,
    /// Everything is history: `import` routes and files.
    pub backfill: bool,
    /// Bytes of one event.
    pub event_bytes_max: usize,
    /// Events of one batch.
    pub batch_events_max: usize,
    /// Makes an id for an event that has none.
    pub new_id: &'a dyn Fn() -> String,
}

/// Why an item is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Stable code.
    pub code: &'static str,
    /// What happened, why, and what to do.
    pub message: String,
    /// Where in the item.
    pub path: String,
}

impl Reason {
    pub(crate) fn new(code: &'static str, path: &str, message: impl Into<String>) -> Reason {
        Reason { code, message: message.into(), path: path.to_owned() }
    }
}

/// A refused item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Its id, when it had one that could be read.
    pub message_id: Option<String>,
    /// Why; never empty.
    pub reasons: Vec<Reason>,
    /// The item as received, cut to 32 KB.
    pub body: String,
}

/// A call's body, item by item.
#[derive(Debug, Default)]
pub struct Batch {
    /// The write key in the body, if any.
    pub write_key: Option<String>,
    /// One result for each item, in order.
    pub items: Vec<Result<Event, Rejection>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchEnvelope<'a> {
    #[serde(borrow, default)]
    batch: Option<&'a RawValue>,
    #[serde(borrow, default)]
    write_key: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    sent_at: Option<&'a RawValue>,
    #[serde(borrow, default)]
    context: Option<&'a RawValue>,
}

/// Bytes of a refused item that are kept.
const BODY_KEPT_MAX: usize = 32 * 1024;

/// Stands where bytes of a body were no UTF-8; a noncharacter, which no sender may mean.
const DAMAGE: char = '\u{ffff}';

/// Reads a body: one call, `{"batch": […]}`, a list of calls, or newline-delimited calls.
///
/// A damaged item is refused by itself; the rest of its batch is read.
pub fn batch(body: &[u8], context: &Context<'_>) -> Batch {
    let text = match std::str::from_utf8(body) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(marked(body)),
    };
    let damaged = matches!(text, Cow::Owned(_));
    let text = text.trim_start_matches('\u{feff}').trim();
    let plain = Reader { context, damaged, sent_at: None, shared: None };
    if text.starts_with('[') {
        return plain.items(text);
    }
    match serde_json::from_str::<BatchEnvelope<'_>>(text) {
        Ok(envelope) => {
            let sent_at = envelope.sent_at.and_then(|raw| call::instant(raw.get()));
            let shared = envelope.context.map(RawValue::get);
            let mut batch = match (envelope.batch, context.route) {
                (Some(list), None) => Reader { context, damaged, sent_at, shared }.items(list.get()),
                _ => Batch { write_key: None, items: vec![plain.item(text)] },
            };
            batch.write_key = envelope.write_key.map(Cow::into_owned);
            batch
        }
        Err(_) if text.contains('\n') => plain.lines(text),
        Err(_) if damaged => refused(damage_reason(), text),
        Err(error) => refused(json_reason(&error), text),
    }
}

/// Reads the `data` of a pixel: one call as base64 of either alphabet, or as plain JSON.
pub fn pixel(data: &str, context: &Context<'_>) -> Batch {
    const FORGIVING: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const PIXEL: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, FORGIVING);
    let data = data.trim();
    if data.starts_with('{') {
        return batch(data.as_bytes(), context);
    }
    // A plus that stood unescaped in a query arrives as a space.
    let standard: String = data
        .chars()
        .map(|c| match c {
            '-' | ' ' => '+',
            '_' => '/',
            c => c,
        })
        .collect();
    match PIXEL.decode(standard) {
        Ok(body) => batch(&body, context),
        Err(_) => {
            let message =
                "The pixel's 'data' is not base64 of a JSON call: encode the call's JSON as base64.";
            refused(Reason::new("invalid_pixel", "data", message), data)
        }
    }
}

/// The text of a body that is no UTF-8, with a mark where it is damaged.
fn marked(body: &[u8]) -> String {
    let mut out = String::with_capacity(body.len());
    for chunk in body.utf8_chunks() {
        out.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            out.push(DAMAGE);
        }
    }
    out
}

fn damage_reason() -> Reason {
    Reason::new("invalid_utf8", "", "The item is not UTF-8: encode it as UTF-8.")
}

fn json_reason(error: &serde_json::Error) -> Reason {
    let message = format!("The body is not a JSON call: {error}.");
    Reason::new("invalid_json", "", message)
}

fn refused(reason: Reason, text: &str) -> Batch {
    Batch { write_key: None, items: vec![Err(rejection(None, vec![reason], text))] }
}

fn rejection(message_id: Option<String>, reasons: Vec<Reason>, text: &str) -> Rejection {
    let end = (0..=BODY_KEPT_MAX.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    Rejection { message_id, reasons, body: text[..end].replace(DAMAGE, "\u{fffd}") }
}

/// What the items of one body have in common.
struct Reader<'a> {
    context: &'a Context<'a>,
    damaged: bool,
    sent_at: Option<Timestamp>,
    shared: Option<&'a str>,
}

impl Reader<'_> {
    fn item(&self, text: &str) -> Result<Event, Rejection> {
        let is_damaged = |text: &str| text.contains(DAMAGE);
        if self.damaged && (is_damaged(text) || self.shared.is_some_and(is_damaged)) {
            return Err(rejection(None, vec![damage_reason()], text));
        }
        call::event(text, self.context, self.sent_at, self.shared)
    }

    fn items(&self, list: &str) -> Batch {
        match serde_json::from_str::<Vec<&RawValue>>(list) {
            Ok(raw) => self.each(raw.into_iter().map(RawValue::get)),
            Err(error) => refused(json_reason(&error), list),
        }
    }

    fn lines(&self, text: &str) -> Batch {
        self.each(text.lines().map(str::trim).filter(|line| !line.is_empty()))
    }

    /// Items beyond the limit are refused one by one, and summed up when they are very many.
    fn each<'t>(&self, items: impl Iterator<Item = &'t str>) -> Batch {
        let most = self.context.batch_events_max;
        let mut items = items.peekable();
        let mut out: Vec<_> = items.by_ref().take(most).map(|text| self.item(text)).collect();
        let surplus = || {
            let message = format!("A batch holds at most {most} events: send the rest in another.");
            vec![Reason::new("batch_too_long", "", message)]
        };
        out.extend(
            items.by_ref().take(most).map(|text| Err(rejection(call::message_id_of(text), surplus(), text))),
        );
        if let Some(first) = items.peek().copied() {
            let mut reasons = surplus();
            if let Some(reason) = reasons.first_mut() {
                reason.message = format!("{} {} more were not looked at.", reason.message, items.count());
            }
            out.push(Err(rejection(None, reasons, first)));
        }
        Batch { write_key: None, items: out }
    }
}

/// A hash of what an event says, without the times of its journey: tells a retry from a conflict.
pub fn body_hash(event: &Event) -> u64 {
    let mut hash = Xxh3::new();
    for part in [
        event.call.name(),
        &event.name,
        event.user_id.as_deref().unwrap_or_default(),
        event.anonymous_id.as_deref().unwrap_or_default(),
        event.other_id.as_deref().unwrap_or_default(),
        &event.properties,
    ] {
        hash.update(part.as_bytes());
        hash.update(&[0xff]);
    }
    hash.digest()
}

/// The top-level fields of raw JSON text that is known to be an object; empty otherwise.
pub fn object(text: &str) -> Map {
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}
