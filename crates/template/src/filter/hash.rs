//! Filters that hash and encode: for gravatars, signed links and the fields of other systems. Not for secrets at rest.

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::{Args, Out};
use crate::render::Run;
use crate::value::Val;

/// Bytes that one step pays for.
const BYTES_A_STEP: usize = 256;

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

macro_rules! digests {
    ($($name:ident $digest:ty),*) => {$(
        pub(super) fn $name<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
            args.most(0)?;
            let text = value.to_text();
            run.step((text.len() / BYTES_A_STEP) as u64)?;
            Ok(Val::text(hex(&<$digest>::digest(text.as_bytes()))))
        }
    )*};
}

digests!(md5 Md5, sha1 Sha1, sha256 Sha256, sha512 Sha512);

macro_rules! keyed {
    ($($name:ident $digest:ty),*) => {$(
        pub(super) fn $name<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
            args.most(1)?;
            let (text, key) = (value.to_text(), args.text(0)?);
            run.step(((text.len() + key.len()) / BYTES_A_STEP) as u64)?;
            let Ok(mut mac) = Hmac::<$digest>::new_from_slice(key.as_bytes()) else {
                return crate::error::Fault::value("the key cannot be used");
            };
            mac.update(text.as_bytes());
            Ok(Val::text(hex(&mac.finalize().into_bytes())))
        }
    )*};
}

keyed!(hmac_md5 Md5, hmac_sha1 Sha1, hmac_sha256 Sha256, hmac_sha512 Sha512);
