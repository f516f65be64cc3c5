//! Addresses: normalised, and never a way into a header.

use crate::Error;

/// Bytes of an address. Source: RFC 5321, 4.5.3.1.3.
const ADDRESS_BYTES_MAX: usize = 254;

/// A name and an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// What people see; empty for none.
    pub name: String,
    /// Where it goes.
    pub address: String,
}

/// Whether a character could end a header line or hide one.
pub(crate) fn is_hostile(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// The address in its normal form.
///
/// # Errors
/// `Invalid` for what is no address, or would leave its header.
pub fn normalise_address(text: &str) -> Result<String, Error> {
    let text = text.trim_matches(' ');
    let refuse = |why: &str| Err(Error::Invalid(format!("'{}' is no address: {why}", text.escape_debug())));
    if text.len() > ADDRESS_BYTES_MAX {
        return refuse("it is too long");
    }
    if text.chars().any(is_hostile) || text.contains(['<', '>', '"', '(', ')', ',', ';', ' ']) {
        return refuse("it holds characters that addresses do not have");
    }
    if !email_address::EmailAddress::is_valid(text) {
        return refuse("it does not read name@domain");
    }
    Ok(text.to_lowercase())
}

/// The address as servers are told: the domain in its ASCII form (RFC 5891), the local part as it is.
///
/// # Errors
/// `Invalid` for what is no address.
pub(crate) fn wire_address(text: &str) -> Result<String, Error> {
    let normal = normalise_address(text)?;
    let Some((local, domain)) = normal.rsplit_once('@').filter(|_| !normal.is_ascii()) else {
        return Ok(normal);
    };
    match url::Host::parse(domain) {
        Ok(url::Host::Domain(domain)) => Ok(format!("{local}@{domain}")),
        _ => Err(Error::Invalid(format!("'{domain}' is no domain"))),
    }
}

impl Mailbox {
    /// Reads `Name <address>` or `address`.
    ///
    /// # Errors
    /// `Invalid` for what is no address.
    pub fn parse(text: &str) -> Result<Mailbox, Error> {
        let text = text.trim();
        let (name, address) = match text.rsplit_once('<') {
            Some((name, rest)) => {
                let address =
                    rest.strip_suffix('>').ok_or_else(|| Error::Invalid("the '<' has no '>'".to_owned()))?;
                (name.trim().trim_matches('"'), address)
            }
            None => ("", text),
        };
        let name = name.chars().filter(|c| !is_hostile(*c)).collect();
        Ok(Mailbox { name, address: normalise_address(address)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_would_leave_their_header_are_refused() {
        for hostile in [
            "a@b.example\r\nBcc: x@y.example",
            "a@b.example\u{2028}",
            "a\0@b.example",
            "a@b.example, c@d.example",
            "",
            "a",
            "a b@c.example",
        ] {
            assert!(normalise_address(hostile).is_err(), "{hostile:?}");
        }
        assert_eq!(normalise_address(" A@B.Example ").unwrap(), "a@b.example");
        let mailbox = Mailbox::parse("The Shop\r\nX: y <Hello@Shop.Example>").unwrap();
        assert_eq!((mailbox.name.as_str(), mailbox.address.as_str()), ("The ShopX: y", "hello@shop.example"));
    }
}
