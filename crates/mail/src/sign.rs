//! DKIM: signs what receivers check, twice over, so that nothing can be added.
//!
//! A domain can have an RSA key and an Ed25519 key at once; each gives a signature of its own, because many receivers
//! know only one of the two. Source: RFC 6376; RFC 8463 for Ed25519.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair as RsaPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mail_auth::common::crypto::{Algorithm, DkimKey, Ed25519Key, RsaKey, Sha256, SigningKey};
use mail_auth::common::headers::{HeaderWriter, Writable};
use mail_auth::dkim::DkimSigner;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use crate::Error;

/// Headers that are named once more than they occur, so that a second one breaks the signature.
const OVERSIGNED: [&str; 6] = ["From", "Subject", "To", "Date", "List-Unsubscribe", "List-Unsubscribe-Post"];
/// Headers that are signed where they occur.
const SIGNED: [&str; 6] =
    ["Message-ID", "Reply-To", "MIME-Version", "Content-Type", "List-ID", "Feedback-ID"];
/// Characters of a base64 line in a PEM file.
const PEM_LINE: usize = 64;

/// A TXT record to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsRecord {
    /// The selector.
    pub selector: String,
    /// `rsa` or `ed25519`.
    pub algorithm: &'static str,
    /// The record's name.
    pub name: String,
    /// The record's value. Zone files take it in strings of at most 255 characters.
    pub value: String,
}

struct Key {
    selector: String,
    algorithm: &'static str,
    /// As it stands in `p=`.
    public: String,
    private: DkimKey,
}

/// A domain's signing keys.
pub struct Signer {
    domain: String,
    keys: Vec<Key>,
}

/// A key lent to a signer.
struct Lent<'a>(&'a DkimKey);

impl SigningKey for Lent<'_> {
    type Hasher = Sha256;

    fn sign(&self, input: impl Writable) -> mail_auth::Result<Vec<u8>> {
        self.0.sign(input)
    }

    fn algorithm(&self) -> Algorithm {
        self.0.algorithm()
    }
}

impl Signer {
    /// With keys, each a selector and a PEM text (PKCS #8, or PKCS #1 for RSA) of RSA from 2,048 bits or Ed25519.
    ///
    /// # Errors
    /// `Invalid` names the selector whose key cannot be used, never the key.
    pub fn new(domain: &str, keys: &[(String, String)]) -> Result<Signer, Error> {
        let keys =
            keys.iter().map(|(selector, text)| Key::read(selector, text)).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(Error::Invalid(format!("there is no DKIM key for {domain}")));
        }
        Ok(Signer { domain: domain.to_owned(), keys })
    }

    /// Makes an RSA key of 2,048 bits, as PEM. Cost: tens of milliseconds and more.
    ///
    /// # Errors
    /// `Bug` when the cryptography library refuses.
    pub fn generate_rsa() -> Result<String, Error> {
        let bug = |_| Error::Bug("no RSA key could be made".to_owned());
        let pair = RsaPair::generate(KeySize::Rsa2048).map_err(bug)?;
        let der: Pkcs8V1Der<'_> = pair.as_der().map_err(bug)?;
        Ok(pem(der.as_ref()))
    }

    /// Makes an Ed25519 key, as PEM.
    ///
    /// # Errors
    /// `Bug` when the cryptography library refuses.
    pub fn generate_ed25519() -> Result<String, Error> {
        let der = Ed25519Key::generate_pkcs8().map_err(|error| Error::Bug(error.to_string()))?;
        Ok(pem(&der))
    }

    /// The TXT records to publish, one for each key.
    pub fn dns_records(&self) -> Vec<DnsRecord> {
        let record = |key: &Key| DnsRecord {
            selector: key.selector.clone(),
            algorithm: key.algorithm,
            name: format!("{}._domainkey.{}", key.selector, self.domain),
            value: format!("v=DKIM1; k={}; p={}", key.algorithm, key.public),
        };
        self.keys.iter().map(record).collect()
    }

    /// The mail with one signature for each key before it.
    ///
    /// # Errors
    /// `Bug` when the cryptography library refuses.
    pub fn sign(&self, raw: &[u8]) -> Result<Vec<u8>, Error> {
        let names = signed_names(raw);
        let mut out = Vec::with_capacity(raw.len() + 1_024 * self.keys.len());
        for key in &self.keys {
            let signature = DkimSigner::from_key(Lent(&key.private))
                .domain(&self.domain)
                .selector(&key.selector)
                .headers(names.iter().copied())
                .sign(raw)
                .map_err(|error| Error::Bug(error.to_string()))?;
            // A fold between the signature and its semicolon is not part of what is signed (RFC 6376, 3.7), but
            // some verifiers, dkimpy among them, leave it standing and then find another hash.
            out.extend_from_slice(signature.to_header().replace("\r\n\t;\r\n", ";\r\n").as_bytes());
        }
        out.extend_from_slice(raw);
        Ok(out)
    }
}

/// The names to sign in this mail: the oversigned twice, the others when the mail has them.
fn signed_names(raw: &[u8]) -> Vec<&'static str> {
    let head = raw.windows(4).position(|four| four == b"\r\n\r\n").map_or(raw, |end| &raw[..end]);
    let has = |name: &str| {
        head.split(|byte| *byte == b'\n').any(|line| {
            line.get(name.len()) == Some(&b':') && line[..name.len()].eq_ignore_ascii_case(name.as_bytes())
        })
    };
    let mut names: Vec<&'static str> = OVERSIGNED.iter().flat_map(|name| [*name, *name]).collect();
    names.extend(SIGNED.iter().copied().filter(|name| has(name)));
    names
}

impl Key {
    fn read(selector: &str, text: &str) -> Result<Key, Error> {
        let plain = !selector.is_empty()
            && selector.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        if !plain {
            return Err(Error::Invalid(format!("'{}' is no DKIM selector", selector.escape_debug())));
        }
        let refuse = |why: &str| Error::Invalid(format!("the DKIM key '{selector}' cannot be used: {why}"));
        let der = PrivateKeyDer::from_pem_slice(text.as_bytes())
            .map_err(|_| refuse("it is no private key in PEM form"))?;
        let pair = match &der {
            PrivateKeyDer::Pkcs1(der) => RsaPair::from_der(der.secret_pkcs1_der()).ok(),
            PrivateKeyDer::Pkcs8(der) => RsaPair::from_pkcs8(der.secret_pkcs8_der()).ok(),
            _ => None,
        };
        if let Some(pair) = pair {
            let public: PublicKeyX509Der<'_> =
                pair.public_key().as_der().map_err(|_| refuse("its public half cannot be derived"))?;
            let public = STANDARD.encode(public.as_ref());
            let key = RsaKey::from_key_der(der).map_err(|error| refuse(&error.to_string()))?;
            return Ok(Key { selector: selector.to_owned(), algorithm: "rsa", public, private: key.into() });
        }
        let PrivateKeyDer::Pkcs8(der) = &der else {
            return Err(refuse("it is neither RSA of at least 2,048 bits nor Ed25519"));
        };
        let key = Ed25519Key::from_pkcs8_maybe_unchecked_der(der.secret_pkcs8_der())
            .map_err(|_| refuse("it is neither RSA of at least 2,048 bits nor Ed25519"))?;
        let public = STANDARD.encode(key.public_key());
        Ok(Key { selector: selector.to_owned(), algorithm: "ed25519", public, private: key.into() })
    }
}

fn pem(der: &[u8]) -> String {
    let encoded = STANDARD.encode(der);
    let mut out = String::from("-----BEGIN PRIVATE KEY-----\n");
    for line in encoded.as_bytes().chunks(PEM_LINE) {
        out.extend(line.iter().map(|byte| char::from(*byte)));
        out.push('\n');
    }
    out.push_str("-----END PRIVATE KEY-----\n");
    out
}
