//! Numbers as templates expect them: decimal sums without binary dust, Ruby's printed forms.

use crate::error::Fault;
use crate::value::Val;

/// A decimal: `mantissa / 10^scale`.
#[derive(Clone, Copy)]
struct Decimal {
    mantissa: i128,
    scale: u32,
}

impl Decimal {
    fn of(value: f64) -> Option<Decimal> {
        if !value.is_finite() || value.abs() >= 1e18 || (value != 0.0 && value.abs() < 1e-12) {
            return None;
        }
        let text = format!("{value}");
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        if fraction.len() > 15 {
            return None;
        }
        let mantissa = format!("{whole}{fraction}").parse().ok()?;
        Some(Decimal { mantissa, scale: fraction.len() as u32 })
    }
    fn align(self, other: Decimal) -> Option<(i128, i128, u32)> {
        let scale = self.scale.max(other.scale);
        let a = self.mantissa.checked_mul(10i128.checked_pow(scale - self.scale)?)?;
        let b = other.mantissa.checked_mul(10i128.checked_pow(scale - other.scale)?)?;
        Some((a, b, scale))
    }
    fn float(self) -> f64 {
        let digits = self.mantissa.unsigned_abs().to_string();
        let scale = self.scale as usize;
        let padded = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = padded.split_at(padded.len() - scale);
        let sign = if self.mantissa < 0 { "-" } else { "" };
        format!("{sign}{whole}.{fraction}0").parse().unwrap_or(f64::NAN)
    }
}

/// The four operations and the remainder.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Op {
    Plus,
    Minus,
    Times,
    Divide,
    Modulo,
}

const TOO_LARGE: &str = "number out of range";

pub(crate) fn calculate(op: Op, a: &Val<'_>, b: &Val<'_>) -> Result<Val<'static>, Fault> {
    let out = |v: Option<i64>| v.map(Val::Int).ok_or_else(|| Fault::Value(TOO_LARGE.into()));
    match (number_of(a), number_of(b)) {
        (Val::Int(a), Val::Int(b)) => match op {
            Op::Plus => out(a.checked_add(b)),
            Op::Minus => out(a.checked_sub(b)),
            Op::Times => out(a.checked_mul(b)),
            Op::Divide | Op::Modulo if b == 0 => Fault::value("divided by 0"),
            Op::Divide => {
                let q = a.checked_div(b);
                out(q.map(|q| if (a % b != 0) && ((a < 0) != (b < 0)) { q - 1 } else { q }))
            }
            Op::Modulo => {
                out(a.checked_rem(b).map(|r| if r != 0 && ((r < 0) != (b < 0)) { r + b } else { r }))
            }
        },
        (a, b) => {
            let (x, y) = (float_of(&a), float_of(&b));
            Ok(Val::Float(decimal(op, x, y).unwrap_or(match op {
                Op::Plus => x + y,
                Op::Minus => x - y,
                Op::Times => x * y,
                Op::Divide => x / y,
                Op::Modulo => x - y * (x / y).floor(),
            })))
        }
    }
}

fn decimal(op: Op, left: f64, right: f64) -> Option<f64> {
    let (a, b) = (Decimal::of(left)?, Decimal::of(right)?);
    let result = match op {
        Op::Plus => {
            let (a, b, scale) = a.align(b)?;
            Decimal { mantissa: a.checked_add(b)?, scale }
        }
        Op::Minus => {
            let (a, b, scale) = a.align(b)?;
            Decimal { mantissa: a.checked_sub(b)?, scale }
        }
        Op::Times => {
            Decimal { mantissa: a.mantissa.checked_mul(b.mantissa)?, scale: a.scale.checked_add(b.scale)? }
        }
        Op::Modulo => {
            let (a, b, scale) = a.align(b)?;
            let r = a.checked_rem(b)?;
            Decimal { mantissa: if r != 0 && ((r < 0) != (b < 0)) { r + b } else { r }, scale }
        }
        Op::Divide => return None,
    };
    Some(result.float())
}

pub(crate) fn float_of(v: &Val<'_>) -> f64 {
    match v {
        Val::Int(i) => *i as f64,
        Val::Float(f) => *f,
        _ => 0.0,
    }
}

/// The number a filter sees: text is read from its beginning, nothing else counts.
pub(crate) fn number_of(v: &Val<'_>) -> Val<'static> {
    match v {
        Val::Int(i) => Val::Int(*i),
        Val::Float(f) => Val::Float(*f),
        Val::Str(_) | Val::Safe(_) => {
            let text = v.as_str().unwrap_or_default().trim();
            let body = text.strip_prefix('-').unwrap_or(text);
            if let Some((whole, fraction)) = body.split_once('.')
                && !whole.is_empty()
                && !fraction.is_empty()
                && whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit())
            {
                return Val::Float(text.parse().unwrap_or(0.0));
            }
            leading_int(text)
        }
        _ => Val::Int(0),
    }
}

fn leading_int(text: &str) -> Val<'static> {
    let (negative, body) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let digits: String = body.chars().take_while(char::is_ascii_digit).take(400).collect();
    if digits.is_empty() {
        return Val::Int(0);
    }
    let signed = if negative { format!("-{digits}") } else { digits };
    signed.parse().map_or_else(|_| Val::Float(signed.parse().unwrap_or(0.0)), Val::Int)
}

/// A whole number for an argument such as `limit:`.
pub(crate) fn integer(v: &Val<'_>) -> Result<i64, Fault> {
    match v {
        Val::Int(i) => Ok(*i),
        Val::Float(f) if f.is_finite() => Ok(*f as i64),
        Val::Str(_) | Val::Safe(_) => {
            let text = v.as_str().unwrap_or_default();
            let trimmed = text.trim_matches(|c: char| c.is_ascii_whitespace());
            match trimmed.replace('_', "").parse::<i64>() {
                Ok(i) => Ok(i),
                Err(_) => Fault::value("invalid integer"),
            }
        }
        _ => Fault::value("invalid integer"),
    }
}

/// A fraction as Ruby prints it.
pub(crate) fn float_text(f: f64) -> String {
    if f.is_nan() {
        return "NaN".into();
    }
    if f.is_infinite() {
        return if f > 0.0 { "Infinity".into() } else { "-Infinity".into() };
    }
    let size = f.abs();
    if f != 0.0 && (!(1e-4..1e16).contains(&size) || size >= 1e15 && f.fract() == 0.0) {
        let text = format!("{f:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let mantissa = if mantissa.contains('.') { mantissa.to_owned() } else { format!("{mantissa}.0") };
        let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |d| ('-', d));
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    let text = format!("{f}");
    if text.contains('.') { text } else { format!("{text}.0") }
}
