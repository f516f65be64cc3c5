//! Sums of products of decimal numbers, exact: money must come out to the cent.

use model::Value;

/// Digits behind the point that are kept.
const SCALE_MAX: u32 = 12;

/// A decimal number: `digits / 10^scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    digits: i128,
    scale: u32,
}

impl Decimal {
    /// Zero.
    pub const ZERO: Decimal = Decimal { digits: 0, scale: 0 };

    /// One.
    pub const ONE: Decimal = Decimal { digits: 1, scale: 0 };

    /// Reads a number, or a text that is one.
    pub fn of(value: &Value) -> Option<Decimal> {
        match value {
            Value::Number(number) => parse(&number.to_string()),
            Value::String(text) => parse(text.trim()),
            _ => None,
        }
    }

    /// The product; `None` past the largest number.
    pub fn times(self, other: Decimal) -> Option<Decimal> {
        let product =
            Decimal { digits: self.digits.checked_mul(other.digits)?, scale: self.scale + other.scale };
        (product.scale <= SCALE_MAX).then_some(product)
    }

    /// The sum; `None` past the largest number.
    pub fn plus(self, other: Decimal) -> Option<Decimal> {
        let scale = self.scale.max(other.scale);
        let raise = |number: Decimal| number.digits.checked_mul(10_i128.checked_pow(scale - number.scale)?);
        Some(Decimal { digits: raise(self)?.checked_add(raise(other)?)?, scale })
    }

    /// The nearest number of JSON.
    pub fn to_json(self) -> Value {
        let Decimal { mut digits, mut scale } = self;
        while scale > 0 && digits % 10 == 0 {
            digits /= 10;
            scale -= 1;
        }
        if scale == 0
            && let Ok(whole) = i64::try_from(digits)
        {
            return Value::from(whole);
        }
        format!("{digits}e-{scale}").parse::<f64>().map_or(Value::Null, Value::from)
    }
}

fn parse(text: &str) -> Option<Decimal> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: i128 = format!("{whole}{part}").parse().ok()?;
    let scale = i32::try_from(part.len()).ok()? - exponent;
    if scale > SCALE_MAX as i32 || scale < -(SCALE_MAX as i32) {
        return None;
    }
    if scale < 0 {
        return Some(Decimal { digits: digits.checked_mul(10_i128.pow(scale.unsigned_abs()))?, scale: 0 });
    }
    Some(Decimal { digits, scale: scale as u32 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_dimes_are_exact_and_so_are_thousandths() {
        let dime = Decimal::of(&Value::from(0.1)).unwrap();
        let sum = (0..1_000_000).try_fold(Decimal::ZERO, |sum, _| sum.plus(dime)).unwrap();
        assert_eq!(sum.to_json(), Value::from(100_000));
        let price = Decimal::of(&Value::from("0.001")).unwrap();
        let many = Decimal::of(&Value::from(-12_540)).unwrap();
        assert_eq!(price.times(many).unwrap().to_json(), Value::from(-12.54));
    }

    #[test]
    fn what_is_no_number_or_too_large_is_none() {
        for text in ["", "x", "1.2.3", "1e99", "1e-99", "--1"] {
            assert_eq!(Decimal::of(&Value::from(text)), None, "{text}");
        }
        let huge = Decimal { digits: i128::MAX, scale: 0 };
        assert_eq!(huge.times(huge), None);
        assert_eq!(huge.plus(Decimal::ONE), None);
        assert_eq!(Decimal::of(&Value::from(1.5e3)).unwrap().to_json(), Value::from(1_500));
    }
}
