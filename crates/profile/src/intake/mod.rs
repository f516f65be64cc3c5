//! Intake: the body of a call to the collector becomes events or rejections, one for each item.
//!
//! The envelope is read borrowed; properties and context stay raw text, checked for depth and size but never built
//! into a tree. Source of the form: the published Segment SDKs.

mod call;
mod guard;

use std::borrow::Cow;

use model::{Call, Event, Map, Timestamp, Trust, Value, WorkspaceId};
use serde::Deserialize;
use serde_json::value::RawValue;
use xxhash_rust::xxh3::Xxh3;

pub use call::INTERNAL_NAMES;

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

/// Reads a body: one call, `{"batch": […]}`, a list of calls, or newline-delimited calls.
pub fn batch(body: &[u8], context: &Context<'_>) -> Batch {
    let Ok(text) = std::str::from_utf8(body) else {
        let lossy = String::from_utf8_lossy(body);
        return refused(Reason::new("invalid_utf8", "", "The body is not UTF-8: encode it as UTF-8."), &lossy);
    };
    let text = text.trim_start_matches('\u{feff}').trim();
    if let Some(reason) = guard::shallow(text) {
        return refused(reason, text);
    }
    if text.starts_with('[') {
        return items(text, context, None, None);
    }
    match serde_json::from_str::<BatchEnvelope<'_>>(text) {
        Ok(envelope) => {
            let write_key = envelope.write_key.map(Cow::into_owned);
            let sent_at = envelope.sent_at.and_then(|raw| call::instant(raw.get()));
            let mut batch = match (envelope.batch, context.route) {
                (Some(list), None) => items(list.get(), context, sent_at, envelope.context.map(RawValue::get)),
                _ => Batch { write_key: None, items: vec![call::event(text, context, sent_at, None)] },
            };
            batch.write_key = write_key;
            batch
        }
        Err(_) if text.contains('\n') => lines(text, context),
        Err(error) => refused(json_reason(&error), text),
    }
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
    Rejection { message_id, reasons, body: text[..end].to_owned() }
}

fn items(list: &str, context: &Context<'_>, sent_at: Option<Timestamp>, shared: Option<&str>) -> Batch {
    let raw: Vec<&RawValue> = match serde_json::from_str(list) {
        Ok(raw) => raw,
        Err(error) => return refused(json_reason(&error), list),
    };
    let mut out = Vec::with_capacity(raw.len().min(context.batch_events_max));
    for (number, item) in raw.iter().enumerate() {
        out.push(if number < context.batch_events_max {
            call::event(item.get(), context, sent_at, shared)
        } else {
            let message = format!("A batch holds at most {} events: send the rest in another.", context.batch_events_max);
            Err(rejection(None, vec![Reason::new("batch_too_long", "", message)], item.get()))
        });
    }
    Batch { write_key: None, items: out }
}

fn lines(text: &str, context: &Context<'_>) -> Batch {
    let mut batch = Batch::default();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if batch.items.len() >= context.batch_events_max {
            let message = format!("A batch holds at most {} events: send the rest in another.", context.batch_events_max);
            batch.items.push(Err(rejection(None, vec![Reason::new("batch_too_long", "", message)], line)));
            break;
        }
        batch.items.push(call::event(line, context, None, None));
    }
    batch
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
