//! Sealed links: who a link was made for, authenticated, so that nothing in a URL can be made up or changed.
//!
//! Shape: base64url(version ‖ kind ‖ workspace ‖ link ‖ message id ‖ the first 16 bytes of HMAC-SHA-256 over all before).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use model::WorkspaceId;
use sha2::Sha256;

use crate::Error;

const VERSION: u8 = 1;
const TAG: usize = 16;
const HEAD: usize = 2 + 8 + 4;
/// Characters of a token that are looked at.
const TOKEN_CHARS_MAX: usize = 256;

/// What a link does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TokenKind {
    /// Notes an open.
    Open = 1,
    /// Notes a click and leads on.
    Click = 2,
    /// Opts out.
    Unsubscribe = 3,
    /// The preference page.
    Preferences = 4,
    /// The mail in the browser.
    View = 5,
    /// The return path: where bounces go.
    Bounce = 6,
}

/// Begins the local part of a return path.
const BOUNCE_PREFIX: &str = "b-";
/// Bytes of a message id in a return path: 32 hexadecimal digits.
const MESSAGE_ID_BYTES: usize = 16;
/// Bytes of the tag there: a local part has 64 characters at most (RFC 5321, 4.5.3.1.1).
const BOUNCE_TAG: usize = 12;
/// Lower case, because servers on the way may change the case. Source: RFC 4648, 6.
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// What a token said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The message.
    pub message_id: String,
    /// The link's number; 0 for none.
    pub link: u32,
}

/// Seals and opens tokens.
#[derive(Clone)]
pub struct Tokens {
    mac: Hmac<Sha256>,
}

impl Tokens {
    /// With a secret of any length.
    ///
    /// # Panics
    /// Never: HMAC takes keys of any length.
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    pub fn new(secret: &[u8]) -> Tokens {
        Tokens { mac: Hmac::new_from_slice(secret).expect("a key of any length") }
    }

    /// A text made unrecognisable for whoever has not the secret: 64 hexadecimal digits.
    pub fn keyed_hash(&self, text: &str) -> String {
        let mut mac = self.mac.clone();
        mac.update(b"keyed hash\0");
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().iter().fold(String::new(), |mut out, byte| {
            use std::fmt::Write;
            let _ = write!(out, "{byte:02x}");
            out
        })
    }

    fn tag(&self, bytes: &[u8]) -> Vec<u8> {
        let mut mac = self.mac.clone();
        mac.update(bytes);
        mac.finalize().into_bytes()[..TAG].to_vec()
    }

    /// The return path of a message at `domain`: an address that says, authenticated, which message came back, so that
    /// a made-up bounce says nothing. `None` for an id that is not 32 lower-case hexadecimal digits.
    pub fn seal_return_path(&self, workspace: WorkspaceId, message_id: &str, domain: &str) -> Option<String> {
        let mut bytes = vec![TokenKind::Bounce as u8];
        bytes.extend_from_slice(&workspace.0.to_be_bytes());
        bytes.extend_from_slice(&from_hex(message_id)?);
        let tag = self.tag(&bytes);
        bytes.extend_from_slice(&tag[..BOUNCE_TAG]);
        Some(format!("{BOUNCE_PREFIX}{}@{domain}", to_base32(&bytes)))
    }

    /// Opens a return path; whatever the case it comes back in.
    ///
    /// # Errors
    /// `Missing` for anything else; it does not say why.
    pub fn open_return_path(&self, address: &str) -> Result<Opened, Error> {
        let refuse = || Error::Missing("the return path is not ours".to_owned());
        let local = address.rsplit_once('@').map_or(address, |(local, _)| local);
        let lower = local.get(..64.min(local.len())).unwrap_or_default().to_ascii_lowercase();
        let encoded = lower.strip_prefix(BOUNCE_PREFIX).filter(|_| local.len() <= 64).ok_or_else(refuse)?;
        let bytes = from_base32(encoded).ok_or_else(refuse)?;
        if bytes.len() != 1 + 8 + MESSAGE_ID_BYTES + BOUNCE_TAG || bytes[0] != TokenKind::Bounce as u8 {
            return Err(refuse());
        }
        let (body, tag) = bytes.split_at(bytes.len() - BOUNCE_TAG);
        let mut mac = self.mac.clone();
        mac.update(body);
        mac.verify_truncated_left(tag).map_err(|_| refuse())?;
        let workspace = i64::from_be_bytes(body[1..9].try_into().map_err(|_| refuse())?);
        let message_id = body[9..].iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Opened { workspace: WorkspaceId(workspace), message_id, link: 0 })
    }

    /// Makes a token.
    pub fn seal(&self, kind: TokenKind, workspace: WorkspaceId, message_id: &str, link: u32) -> String {
        let mut bytes = vec![VERSION, kind as u8];
        bytes.extend_from_slice(&workspace.0.to_be_bytes());
        bytes.extend_from_slice(&link.to_be_bytes());
        bytes.extend_from_slice(message_id.as_bytes());
        let tag = self.tag(&bytes);
        bytes.extend_from_slice(&tag);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Opens a token of this kind.
    ///
    /// # Errors
    /// `Missing` for anything else; it does not say why.
    pub fn open(&self, kind: TokenKind, token: &str) -> Result<Opened, Error> {
        let refuse = || Error::Missing("the link is not valid".to_owned());
        if token.len() > TOKEN_CHARS_MAX {
            return Err(refuse());
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| refuse())?;
        let body = bytes.len().checked_sub(TAG).filter(|length| *length >= HEAD).ok_or_else(refuse)?;
        let (body, tag) = bytes.split_at(body);
        let mut mac = self.mac.clone();
        mac.update(body);
        mac.verify_truncated_left(tag).map_err(|_| refuse())?;
        if body[0] != VERSION || body[1] != kind as u8 {
            return Err(refuse());
        }
        let workspace = i64::from_be_bytes(body[2..10].try_into().map_err(|_| refuse())?);
        let link = u32::from_be_bytes(body[10..14].try_into().map_err(|_| refuse())?);
        let message_id = String::from_utf8(body[HEAD..].to_vec()).map_err(|_| refuse())?;
        Ok(Opened { workspace: WorkspaceId(workspace), message_id, link })
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let plain = text.len() == 2 * MESSAGE_ID_BYTES
        && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if !plain {
        return None;
    }
    (0..MESSAGE_ID_BYTES).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()).collect()
}

fn to_base32(bytes: &[u8]) -> String {
    let (mut out, mut held, mut bits) = (String::new(), 0_u32, 0);
    for byte in bytes {
        held = held << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            out.push(char::from(BASE32[(held >> bits) as usize & 31]));
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        out.push(char::from(BASE32[(held << (5 - bits)) as usize & 31]));
    }
    out
}

/// The bytes; `None` for other letters, or for a text that is not the one form of its bytes.
fn from_base32(text: &str) -> Option<Vec<u8>> {
    let (mut out, mut held, mut bits) = (Vec::new(), 0_u32, 0);
    for byte in text.bytes() {
        let value = BASE32.iter().position(|letter| *letter == byte)? as u32;
        held = held << 5 | value;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push((held >> bits) as u8);
        }
        held &= (1 << bits) - 1;
    }
    (held == 0 && bits < 5).then_some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_token_opens_as_sealed_and_no_other_way(
            workspace in any::<i64>(), link in any::<u32>(), id in "[a-z0-9]{1,40}", bit in any::<prop::sample::Index>(),
        ) {
            let tokens = Tokens::new(b"secret");
            let token = tokens.seal(TokenKind::Click, WorkspaceId(workspace), &id, link);
            let opened = tokens.open(TokenKind::Click, &token).unwrap();
            prop_assert_eq!((opened.workspace.0, opened.link, opened.message_id), (workspace, link, id));
            prop_assert!(tokens.open(TokenKind::Unsubscribe, &token).is_err());
            prop_assert!(Tokens::new(b"other").open(TokenKind::Click, &token).is_err());
            let mut bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
            let at = bit.index(bytes.len() * 8);
            bytes[at / 8] ^= 1 << (at % 8);
            prop_assert!(tokens.open(TokenKind::Click, &URL_SAFE_NO_PAD.encode(bytes)).is_err());
        }

        #[test]
        fn a_return_path_opens_as_sealed_in_any_case_and_no_other_way(
            workspace in any::<i64>(), id in any::<u128>(), bit in any::<prop::sample::Index>(),
        ) {
            let tokens = Tokens::new(b"secret");
            let id = format!("{id:032x}");
            let address = tokens.seal_return_path(WorkspaceId(workspace), &id, "shop.example").unwrap();
            prop_assert!(address.split('@').next().unwrap().len() <= 64);
            prop_assert_eq!(crate::normalise_address(&address).unwrap(), address.clone());
            for address in [address.clone(), address.to_uppercase()] {
                let opened = tokens.open_return_path(&address).unwrap();
                prop_assert_eq!((opened.workspace.0, opened.message_id), (workspace, id.clone()));
            }
            prop_assert!(Tokens::new(b"other").open_return_path(&address).is_err());
            let bytes = from_base32(&address[2..address.find('@').unwrap()]).unwrap();
            let mut changed = bytes.clone();
            let at = bit.index(bytes.len() * 8);
            changed[at / 8] ^= 1 << (at % 8);
            let forged = format!("{BOUNCE_PREFIX}{}@shop.example", to_base32(&changed));
            prop_assert!(tokens.open_return_path(&forged).is_err());
            // Nor is it a link, whatever it is decoded as.
            let as_link = URL_SAFE_NO_PAD.encode(&bytes);
            prop_assert!(tokens.open(TokenKind::Open, &as_link).is_err());
        }

        #[test]
        fn any_text_is_refused_without_a_panic(text in "\\PC{0,300}") {
            prop_assert!(Tokens::new(b"secret").open(TokenKind::Open, &text).is_err());
            prop_assert!(Tokens::new(b"secret").open_return_path(&text).is_err());
            let address = format!("b-{text}@x.example");
            prop_assert!(Tokens::new(b"secret").open_return_path(&address).is_err());
        }
    }
}
