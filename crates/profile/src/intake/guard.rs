//! Cheap checks on raw JSON text before anything parses it: depth, keys, and what no value can hold.

use model::limit;

use super::Reason;

/// Depth of a whole item: properties stand within it.
const ITEM_DEPTH_MAX: usize = limit::EVENT_DEPTH_MAX + 1;
/// Digits in a row that a finite number can have.
const DIGITS_MAX: usize = 300;

/// What one pass over JSON text tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// How deep objects and lists nest.
    pub depth: usize,
    /// Top-level keys.
    pub keys: usize,
    /// It has surrogates or huge numbers: only building the values tells whether they are sound.
    pub doubtful: bool,
}

/// Reads the shape of text that is JSON already. Cost: one pass over the bytes.
pub fn shape(text: &str) -> Shape {
    let bytes = text.as_bytes();
    let mut shape = Shape::default();
    let (mut depth, mut digits, mut at) = (0_usize, 0_usize, 0_usize);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = string_end(bytes, at + 1, &mut shape.doubtful);
                digits = 0;
                continue;
            }
            b'{' | b'[' => {
                depth += 1;
                shape.depth = shape.depth.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b':' if depth == 1 => shape.keys += 1,
            _ => {}
        }
        digits = match byte {
            b'0'..=b'9' | b'.' => digits + 1,
            b'e' | b'E' if digits > 0 => {
                shape.doubtful = true;
                0
            }
            _ => 0,
        };
        shape.doubtful |= digits > DIGITS_MAX;
        at += 1;
    }
    shape
}

/// Behind the closing quote of the string whose text begins at `at`.
fn string_end(bytes: &[u8], mut at: usize, doubtful: &mut bool) -> usize {
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => {
                // \uD800 to \uDFFF are halves of characters.
                *doubtful |= matches!(
                    bytes.get(at + 1..at + 4),
                    Some([b'u', b'd' | b'D', b'8'..=b'9' | b'a'..=b'f' | b'A'..=b'F'])
                );
                at += 2;
            }
            _ => at += 1,
        }
    }
    at
}

/// Refuses an item nested deeper than any may be.
pub fn item(text: &str) -> Option<Reason> {
    let depth = shape(text).depth;
    (depth > ITEM_DEPTH_MAX).then(|| {
        let message =
            format!("The item nests {depth} levels; at most {ITEM_DEPTH_MAX} are read: flatten it.");
        Reason::new("too_deep", "", message)
    })
}

/// Checks an object of the sender's: an object at all, not too deep, not too many keys, text that decodes.
pub fn object(text: &str, path: &str) -> Option<Reason> {
    if !text.starts_with('{') {
        return Some(Reason::new("not_an_object", path, format!("'{path}' must be a JSON object.")));
    }
    let shape = shape(text);
    if shape.depth > limit::EVENT_DEPTH_MAX {
        let message = format!("'{path}' nests deeper than {} levels: flatten it.", limit::EVENT_DEPTH_MAX);
        return Some(Reason::new("too_deep", path, message));
    }
    if shape.keys > limit::EVENT_KEYS_MAX {
        let message =
            format!("'{path}' has more than {} keys: send what will be used.", limit::EVENT_KEYS_MAX);
        return Some(Reason::new("too_many_keys", path, message));
    }
    if shape.doubtful
        && let Err(error) = serde_json::from_str::<model::Value>(text)
    {
        let message = format!("'{path}' holds what no JSON value can: {error}.");
        return Some(Reason::new("invalid_value", path, message));
    }
    None
}
