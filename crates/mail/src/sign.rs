//! DKIM: signs what receivers check, twice over, so that nothing can be added.
//!
//! Source: RFC 6376; RFC 8463 for Ed25519.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mail_auth::common::crypto::{Ed25519Key, RsaKey, Sha256};
use mail_auth::common::headers::HeaderWriter;
use mail_auth::dkim::DkimSigner;

use crate::Error;

/// Headers that are signed; each twice, so that a second one breaks the signature.
const SIGNED: [&str; 9] =
    ["From", "From", "Subject", "Subject", "To", "To", "Date", "List-Unsubscribe", "List-Unsubscribe-Post"];

enum Key {
    Ed25519 { seed: Vec<u8>, public: Vec<u8> },
    Rsa { pem: String },
}

/// A domain's signing key.
pub struct Signer {
    domain: String,
    selector: String,
    key: Key,
}

impl Signer {
    /// Makes an Ed25519 key.
    ///
    /// # Errors
    /// `Bug` when the cryptography library refuses.
    pub fn generate_ed25519(domain: &str, selector: &str) -> Result<Signer, Error> {
        let document = Ed25519Key::generate_pkcs8().map_err(|error| Error::Bug(error.to_string()))?;
        Signer::of_pkcs8(domain, selector, document)
    }

    fn of_pkcs8(domain: &str, selector: &str, document: Vec<u8>) -> Result<Signer, Error> {
        let key = Ed25519Key::from_pkcs8_maybe_unchecked_der(&document)
            .map_err(|error| Error::Bug(error.to_string()))?;
        let public = key.public_key();
        Ok(Signer {
            domain: domain.to_owned(),
            selector: selector.to_owned(),
            key: Key::Ed25519 { seed: document, public },
        })
    }

    /// Reads what [`Signer::to_text`] wrote, or an RSA key as PEM.
    ///
    /// # Errors
    /// `Invalid` when the text is no key.
    pub fn from_text(domain: &str, selector: &str, text: &str) -> Result<Signer, Error> {
        if let Some(encoded) = text.strip_prefix("ed25519:") {
            let document = STANDARD.decode(encoded).map_err(|error| Error::Invalid(error.to_string()))?;
            return Signer::of_pkcs8(domain, selector, document);
        }
        rsa(text)?;
        Ok(Signer {
            domain: domain.to_owned(),
            selector: selector.to_owned(),
            key: Key::Rsa { pem: text.to_owned() },
        })
    }

    /// The key as text. A secret.
    pub fn to_text(&self) -> String {
        match &self.key {
            Key::Ed25519 { seed, .. } => format!("ed25519:{}", STANDARD.encode(seed)),
            Key::Rsa { pem } => pem.clone(),
        }
    }

    /// The TXT record to publish: (name, value). For an RSA key the value is the owner's to derive.
    pub fn dns_record(&self) -> (String, String) {
        let name = format!("{}._domainkey.{}", self.selector, self.domain);
        match &self.key {
            Key::Ed25519 { public, .. } => {
                (name, format!("v=DKIM1; k=ed25519; p={}", STANDARD.encode(public)))
            }
            Key::Rsa { .. } => (name, "v=DKIM1; k=rsa; p=<the public key of your PEM>".to_owned()),
        }
    }

    /// The mail with its signature before it.
    ///
    /// # Errors
    /// `Bug` when the cryptography library refuses.
    pub fn sign(&self, raw: &[u8]) -> Result<Vec<u8>, Error> {
        let bug = |error: mail_auth::Error| Error::Bug(error.to_string());
        let header = match &self.key {
            Key::Ed25519 { seed, .. } => {
                let key = Ed25519Key::from_pkcs8_maybe_unchecked_der(seed).map_err(bug)?;
                DkimSigner::from_key(key)
                    .domain(&self.domain)
                    .selector(&self.selector)
                    .headers(SIGNED)
                    .sign(raw)
                    .map_err(bug)?
                    .to_header()
            }
            Key::Rsa { pem } => DkimSigner::from_key(rsa(pem)?)
                .domain(&self.domain)
                .selector(&self.selector)
                .headers(SIGNED)
                .sign(raw)
                .map_err(bug)?
                .to_header(),
        };
        let mut out = header.into_bytes();
        out.extend_from_slice(raw);
        Ok(out)
    }
}

fn rsa(pem: &str) -> Result<RsaKey<Sha256>, Error> {
    let invalid =
        |error: &dyn std::fmt::Display| Error::Invalid(format!("the DKIM key cannot be read: {error}"));
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = STANDARD.decode(body.trim()).map_err(|error| invalid(&error))?;
    let key = rustls::pki_types::PrivatePkcs1KeyDer::from(der.clone());
    RsaKey::from_key_der(rustls::pki_types::PrivateKeyDer::Pkcs1(key))
        .or_else(|_| RsaKey::from_key_der(rustls::pki_types::PrivateKeyDer::Pkcs8(der.into())))
        .map_err(|error| invalid(&error))
}
