//! Default limits; each is configurable where it is enforced.

/// Bytes of one event's JSON.
pub const EVENT_BYTES_MAX: usize = 32 * 1024;
/// Bytes of one batch, after decompression.
pub const BATCH_BYTES_MAX: usize = 500 * 1024;
/// Events in one batch.
pub const BATCH_EVENTS_MAX: usize = 2_500;
/// Characters of a message id.
pub const MESSAGE_ID_CHARS_MAX: usize = 100;
/// Depth of nested objects and lists in an event.
pub const EVENT_DEPTH_MAX: usize = 32;
/// Top-level keys in an event's properties or traits.
pub const EVENT_KEYS_MAX: usize = 512;
/// Bytes of an identifier's value.
pub const IDENTIFIER_BYTES_MAX: usize = 256;
/// Bytes of an event's name.
pub const EVENT_NAME_BYTES_MAX: usize = 200;
/// How far ahead of its receipt an event's time may lie before it is clamped. Units: microseconds.
pub const AHEAD_MICROS_MAX: i64 = 5 * crate::time::MINUTE;
/// Attributes of one profile.
pub const PROFILE_ATTRIBUTES_MAX: usize = 1_000;
/// Identifiers of one profile.
pub const PROFILE_IDENTIFIERS_MAX: usize = 100;
