//! One call: its envelope read borrowed, checked, normalised into an event.

use std::borrow::Cow;

use model::{Call, Event, Timestamp, Trust, limit};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Context, Reason, Rejection, guard, rejection};

/// Names that only the platform itself may send with effect; others' are refused from a browser's key.
pub const INTERNAL_NAMES: &[&str] = &[
    "Email Sent",
    "Email Delivered",
    "Email Deferred",
    "Email Bounced",
    "Email Skipped",
    "Email In Doubt",
    "Email Opened",
    "Email Link Clicked",
    "Email Marked as Spam",
    "Unsubscribed",
    "Subscribed",
    "Segment Entered",
    "Segment Exited",
    "Journey Entered",
    "Journey Exited",
    "Experiment Viewed",
    "Consent Updated",
    "Coupon Redeemed",
];

/// Names that only the platform itself may send: what they say takes effect, whoever could say it.
pub const OURS_ALONE: &[&str] = &["Segment Listed", "Rule Fired", "Coupon Granted"];

/// Whether only the platform sends events of this name.
pub fn is_reserved(name: &str) -> bool {
    OURS_ALONE.contains(&name) || INTERNAL_NAMES.contains(&name)
}

/// 1971: no event is older, so that 1970 can tell a wrong unit.
const EARLIEST: Timestamp = Timestamp::from_secs(365 * 86_400);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    event: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    category: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    user_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    anonymous_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    previous_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    group_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow, default)]
    original_timestamp: Option<&'a RawValue>,
    #[serde(borrow, default)]
    sent_at: Option<&'a RawValue>,
    #[serde(borrow, default)]
    properties: Option<&'a RawValue>,
    #[serde(borrow, default)]
    traits: Option<&'a RawValue>,
    #[serde(borrow, default)]
    context: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Backfill {
    #[serde(default)]
    backfill: bool,
}

struct Reading<'a> {
    envelope: Envelope<'a>,
    reasons: Vec<Reason>,
}

/// The event of one item.
pub fn event(
    text: &str,
    context: &Context<'_>,
    batch_sent_at: Option<Timestamp>,
    shared: Option<&str>,
) -> Result<Event, Rejection> {
    if text.len() > context.event_bytes_max {
        let message = format!(
            "The event has {} bytes; at most {} are taken: send less with it.",
            text.len(),
            context.event_bytes_max
        );
        return Err(rejection(None, vec![Reason::new("event_too_large", "", message)], text));
    }
    if let Some(reason) = guard::item(text) {
        return Err(rejection(None, vec![reason], text));
    }
    let envelope: Envelope<'_> = match serde_json::from_str(text) {
        Ok(envelope) => envelope,
        Err(error) => {
            let message = format!("The item is not a call: {error}.");
            return Err(rejection(message_id_of(text), vec![Reason::new("invalid_call", "", message)], text));
        }
    };
    let mut reading = Reading { envelope, reasons: Vec::new() };
    let built = reading.build(context, batch_sent_at, shared);
    match built {
        Some(event) if reading.reasons.is_empty() => Ok(event),
        _ => {
            let message_id = reading.envelope.message_id.and_then(|raw| id_text(raw.get()));
            let reasons = if reading.reasons.is_empty() {
                vec![Reason::new("invalid_call", "", "The item is not a call.")]
            } else {
                reading.reasons
            };
            Err(rejection(message_id, reasons, text))
        }
    }
}

impl Reading<'_> {
    fn build(
        &mut self,
        context: &Context<'_>,
        batch_sent_at: Option<Timestamp>,
        shared: Option<&str>,
    ) -> Option<Event> {
        let call = self.call(context)?;
        let user_id = self.id("userId", self.envelope.user_id);
        let anonymous_id = self.id("anonymousId", self.envelope.anonymous_id);
        let message_id = self.message_id(context);
        let name = self.name(call, context)?;
        let other_id = match call {
            Call::Alias => self.id("previousId", self.envelope.previous_id),
            Call::Group => self.id("groupId", self.envelope.group_id),
            _ => None,
        };
        if user_id.is_none() && anonymous_id.is_none() {
            self.refuse("no_identity", "userId", "The call names nobody: give a userId or an anonymousId.");
        }
        if call == Call::Alias && (user_id.is_none() || other_id.is_none()) {
            self.refuse("no_identity", "previousId", "An alias names two: give a userId and a previousId.");
        }
        if call == Call::Group && other_id.is_none() {
            self.refuse("no_group", "groupId", "A group call names a group: give a groupId.");
        }
        let properties = self.properties(call);
        let own_context =
            self.envelope.context.map(RawValue::get).filter(|raw| *raw != "null").or(shared).unwrap_or("{}");
        if let Some(reason) = guard::object(own_context, "context") {
            self.reasons.push(reason);
        }
        let (timestamp, original_timestamp) = self.times(context, batch_sent_at);
        let backfill = context.backfill
            || (own_context.contains("\"backfill\"")
                && serde_json::from_str::<Backfill>(own_context).is_ok_and(|found| found.backfill));
        Some(Event {
            workspace: context.workspace,
            message_id,
            call,
            name,
            user_id,
            anonymous_id,
            other_id,
            timestamp,
            original_timestamp,
            received_at: context.received_at,
            properties,
            context: own_context.to_owned(),
            trust: context.trust,
            backfill,
        })
    }

    fn refuse(&mut self, code: &'static str, path: &str, message: impl Into<String>) {
        self.reasons.push(Reason::new(code, path, message));
    }

    fn call(&mut self, context: &Context<'_>) -> Option<Call> {
        if let Some(call) = context.route {
            return Some(call);
        }
        let kind = self.envelope.kind.clone();
        let call = match kind.as_deref() {
            Some("identify") => Call::Identify,
            Some("track") => Call::Track,
            Some("page") => Call::Page,
            Some("screen") => Call::Screen,
            Some("group") => Call::Group,
            Some("alias") => Call::Alias,
            other => {
                let message = format!(
                    "The type '{}' is unknown: use identify, track, page, screen, group or alias.",
                    other.unwrap_or_default()
                );
                self.refuse("unknown_type", "type", message);
                return None;
            }
        };
        Some(call)
    }

    fn id(&mut self, path: &str, raw: Option<&RawValue>) -> Option<String> {
        let raw = raw?.get();
        if raw == "null" || raw == "\"\"" {
            return None;
        }
        let Some(id) = id_text(raw) else {
            self.refuse("invalid_id", path, format!("'{path}' must be text or a whole number."));
            return None;
        };
        if id.len() > limit::IDENTIFIER_BYTES_MAX {
            let message = format!("'{path}' is longer than {} bytes.", limit::IDENTIFIER_BYTES_MAX);
            self.refuse("id_too_long", path, message);
            return None;
        }
        let id = id.trim();
        if id.contains(char::is_control) {
            self.refuse("invalid_id", path, format!("'{path}' holds control characters: send the bare id."));
            return None;
        }
        (!id.is_empty()).then(|| id.to_owned())
    }

    fn message_id(&mut self, context: &Context<'_>) -> String {
        let given =
            self.envelope.message_id.map(RawValue::get).filter(|raw| *raw != "null" && *raw != "\"\"");
        let Some(raw) = given else { return (context.new_id)() };
        let Some(id) = id_text(raw) else {
            self.refuse("invalid_id", "messageId", "'messageId' must be text.");
            return String::new();
        };
        if id.contains(char::is_control) {
            self.refuse("invalid_id", "messageId", "'messageId' holds control characters: send the bare id.");
        }
        if id.chars().count() > limit::MESSAGE_ID_CHARS_MAX {
            let message = format!("'messageId' is longer than {} characters.", limit::MESSAGE_ID_CHARS_MAX);
            self.refuse("message_id_too_long", "messageId", message);
        }
        id
    }

    fn name(&mut self, call: Call, context: &Context<'_>) -> Option<String> {
        let name = match call {
            Call::Track => match self.envelope.event.as_deref().map(str::trim) {
                Some(name) if !name.is_empty() => name.to_owned(),
                _ => {
                    self.refuse("no_event", "event", "A track call names its event: give an 'event'.");
                    return None;
                }
            },
            Call::Page => "Page Viewed".to_owned(),
            Call::Screen => "Screen Viewed".to_owned(),
            other => other.name().to_owned(),
        };
        if name.len() > limit::EVENT_NAME_BYTES_MAX {
            let message = format!("'event' is longer than {} bytes.", limit::EVENT_NAME_BYTES_MAX);
            self.refuse("event_name_too_long", "event", message);
        }
        if name.contains(char::is_control) {
            self.refuse("invalid_event", "event", "'event' holds control characters: send the bare name.");
        }
        if OURS_ALONE.contains(&name.as_str()) {
            let message =
                format!("'{name}' is recorded by the platform itself: use the API for what it says.");
            self.refuse("reserved_event", "event", message);
        }
        if context.trust == Trust::Browser && INTERNAL_NAMES.contains(&name.as_str()) {
            let message =
                format!("'{name}' is recorded by the platform itself: a browser's key may not send it.");
            self.refuse("reserved_event", "event", message);
        }
        Some(name)
    }

    /// Properties as text; a page's name and category join them.
    fn properties(&mut self, call: Call) -> String {
        let (raw, path) = match call {
            Call::Identify | Call::Group => (self.envelope.traits, "traits"),
            _ => (self.envelope.properties, "properties"),
        };
        let text = raw.map(RawValue::get).filter(|raw| *raw != "null").unwrap_or("{}");
        if let Some(reason) = guard::object(text, path) {
            self.reasons.push(reason);
            return "{}".to_owned();
        }
        let named =
            [self.envelope.name, self.envelope.category].into_iter().flatten().any(|raw| raw.get() != "null");
        if !named || !matches!(call, Call::Page | Call::Screen) {
            return text.to_owned();
        }
        let mut map = super::object(text);
        for (name, raw) in [("name", self.envelope.name), ("category", self.envelope.category)] {
            if let Some(value) = raw.and_then(|raw| id_text(raw.get()))
                && !map.contains_key(name)
            {
                map.insert(name.to_owned(), value.into());
            }
        }
        serde_json::to_string(&map).unwrap_or_else(|_| "{}".to_owned())
    }

    /// (corrected and clamped, as the sender's clock has it)
    fn times(&mut self, context: &Context<'_>, batch_sent_at: Option<Timestamp>) -> (Timestamp, Timestamp) {
        let received = context.received_at;
        let mut read = |path: &str, raw: Option<&RawValue>| -> Option<Timestamp> {
            let raw = raw?.get();
            if raw == "null" || raw == "\"\"" {
                return None;
            }
            let found = instant(raw);
            if found.is_none() {
                let message =
                    format!("'{path}' is not a time: write RFC 3339, such as 2026-11-24T10:00:00.000Z.");
                self.reasons.push(Reason::new("invalid_time", path, message));
            }
            found
        };
        let given = read("timestamp", self.envelope.timestamp);
        let original =
            read("originalTimestamp", self.envelope.original_timestamp).or(given).unwrap_or(received);
        let sent = read("sentAt", self.envelope.sent_at).or(batch_sent_at);
        let corrected = match sent {
            // Skew correction. Source: Segment's specification of common fields.
            Some(sent) => received - (sent - original),
            None => original,
        };
        // Seconds taken for milliseconds land in January 1970, milliseconds taken for seconds far ahead.
        if corrected > received + 366 * model::time::DAY || corrected < EARLIEST {
            let message =
                format!("The time {original} cannot be: check its unit (seconds or milliseconds) and year.");
            self.refuse("implausible_time", "timestamp", message);
        }
        let latest = received + limit::AHEAD_MICROS_MAX;
        (corrected.min(latest), original)
    }
}

/// The id of an item that is no call as a whole, if it can be read.
pub fn message_id_of(text: &str) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Named<'a> {
        #[serde(borrow, default)]
        message_id: Option<&'a RawValue>,
    }
    let named: Named<'_> = serde_json::from_str(text).ok()?;
    id_text(named.message_id?.get()).filter(|id| id.chars().count() <= limit::MESSAGE_ID_CHARS_MAX)
}

/// Text, or a number as text.
fn id_text(raw: &str) -> Option<String> {
    match raw.as_bytes().first()? {
        b'"' => serde_json::from_str(raw).ok(),
        b'-' | b'0'..=b'9' => Some(raw.to_owned()),
        _ => None,
    }
}

/// RFC 3339, or Unix time: seconds below 10^11, milliseconds above.
pub fn instant(raw: &str) -> Option<Timestamp> {
    if let Some(text) = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        return Timestamp::parse(text.trim());
    }
    let number: f64 = raw.parse().ok()?;
    if !number.is_finite() || number.abs() > 1e15 {
        return None;
    }
    let seconds = if number.abs() < 1e11 { number } else { number / 1_000.0 };
    Some(Timestamp::from_micros((seconds * 1e6) as i64))
}
