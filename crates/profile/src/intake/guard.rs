//! Cheap checks on raw JSON text before anything parses it: depth, keys, lone surrogates.

use model::limit;

use super::Reason;

/// Depth of a whole body: an event within a batch within its envelope.
const BODY_DEPTH_MAX: usize = limit::EVENT_DEPTH_MAX + 4;

/// Refuses text nested deeper than any body may be. Cost: one pass over the bytes.
pub fn shallow(text: &str) -> Option<Reason> {
    let deepest = depth(text);
    (deepest > BODY_DEPTH_MAX).then(|| {
        let message = format!("The body nests {deepest} levels; at most {BODY_DEPTH_MAX} are read: flatten it.");
        Reason::new("too_deep", "", message)
    })
}

/// How deep objects and lists nest.
pub fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The top-level keys of an object. Cost: one pass over the bytes.
pub fn keys(text: &str) -> usize {
    let (mut depth, mut count, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b':' if depth == 1 => count += 1,
            _ => {}
        }
    }
    count
}

/// Checks an object of the sender's: an object at all, not too deep, not too many keys, text that decodes.
pub fn object(text: &str, path: &str) -> Option<Reason> {
    if !text.starts_with('{') {
        return Some(Reason::new("not_an_object", path, format!("'{path}' must be a JSON object.")));
    }
    if depth(text) > limit::EVENT_DEPTH_MAX {
        let message = format!("'{path}' nests deeper than {} levels: flatten it.", limit::EVENT_DEPTH_MAX);
        return Some(Reason::new("too_deep", path, message));
    }
    if keys(text) > limit::EVENT_KEYS_MAX {
        let message = format!("'{path}' has more than {} keys: send what will be used.", limit::EVENT_KEYS_MAX);
        return Some(Reason::new("too_many_keys", path, message));
    }
    // Escapes and huge numbers are where raw text may hide what no value can hold.
    if (text.contains("\\u") || text.contains(['e', 'E']))
        && let Err(error) = serde_json::from_str::<model::Value>(text)
    {
        let message = format!("'{path}' holds what no JSON value can: {error}.");
        return Some(Reason::new("invalid_value", path, message));
    }
    None
}
