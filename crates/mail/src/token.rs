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
}

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
        fn any_text_is_refused_without_a_panic(text in "\\PC{0,300}") {
            prop_assert!(Tokens::new(b"secret").open(TokenKind::Open, &text).is_err());
        }
    }
}
