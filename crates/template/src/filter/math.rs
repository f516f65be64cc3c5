//! Filters on numbers; checked, decimal.

use super::{Args, Out};
use crate::error::Fault;
use crate::number::{self, Op, calculate, float_of, number_of};
use crate::render::Run;
use crate::value::Val;

macro_rules! operation {
    ($($name:ident $op:ident),*) => {$(
        pub(super) fn $name<'a>(_: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
            args.most(1)?;
            calculate(Op::$op, &value, args.need(0)?)
        }
    )*};
}

operation!(plus Plus, minus Minus, times Times, divided_by Divide, modulo Modulo);

pub(super) fn abs<'a>(_: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(0)?;
    match number_of(&value) {
        Val::Int(i) => {
            i.checked_abs().map(Val::Int).ok_or_else(|| Fault::Value("number out of range".into()))
        }
        v => Ok(Val::Float(float_of(&v).abs())),
    }
}

pub(super) fn at_least<'a>(_: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(1)?;
    let (a, b) = (number_of(&value), number_of(args.need(0)?));
    Ok(if float_of(&b) > float_of(&a) { b } else { a })
}

pub(super) fn at_most<'a>(_: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(1)?;
    let (a, b) = (number_of(&value), number_of(args.need(0)?));
    Ok(if float_of(&b) < float_of(&a) { b } else { a })
}

fn whole(f: f64) -> Out<'static> {
    if f.is_nan() {
        return Fault::value("NaN");
    }
    if f.is_infinite() {
        return Fault::value(if f > 0.0 { "Infinity" } else { "-Infinity" });
    }
    if f.abs() >= 9.2e18 {
        return Fault::value("number out of range");
    }
    Ok(Val::Int(f as i64))
}

pub(super) fn ceil<'a>(_: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(0)?;
    match number_of(&value) {
        Val::Float(f) => whole(f.ceil()),
        v => Ok(v),
    }
}

pub(super) fn floor<'a>(_: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(0)?;
    match number_of(&value) {
        Val::Float(f) => whole(f.floor()),
        v => Ok(v),
    }
}

pub(super) fn round<'a>(_: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(1)?;
    let digits = match args.get(0).map(number_of) {
        Some(v) => float_of(&v) as i64,
        None => 0,
    };
    match number_of(&value) {
        Val::Int(i) if digits >= 0 => Ok(Val::Int(i)),
        Val::Int(i) => {
            let Some(unit) = 10i64.checked_pow(digits.unsigned_abs().min(30) as u32) else {
                return Ok(Val::Int(0));
            };
            let half = unit / 2;
            let moved = if i < 0 { i.checked_sub(half) } else { i.checked_add(half) };
            moved
                .and_then(|m| (m / unit).checked_mul(unit))
                .map(Val::Int)
                .ok_or_else(|| Fault::Value("number out of range".into()))
        }
        Val::Float(f) if digits <= 0 => {
            if digits == 0 {
                return whole(f.round());
            }
            let unit = 10f64.powi(digits.unsigned_abs().min(300) as i32);
            whole((f / unit).round() * unit)
        }
        Val::Float(f) => Ok(Val::Float(if digits > 15 { f } else { decimal_round(f, digits as usize) })),
        v => Ok(v),
    }
}

/// Rounds half away from zero on the decimal digits, not on their binary approximation.
fn decimal_round(f: f64, digits: usize) -> f64 {
    let text = format!("{f}");
    let Some((_, fraction)) = text.split_once('.') else { return f };
    if fraction.len() <= digits {
        return f;
    }
    let cut = text.len() - fraction.len() + digits;
    let up = text.as_bytes()[cut] >= b'5';
    let kept: f64 = text[..cut].parse().unwrap_or(f);
    if !up {
        return kept;
    }
    let unit = 10f64.powi(-(digits as i32));
    let moved = if f < 0.0 { kept - unit } else { kept + unit };
    format!("{moved:.digits$}").parse().unwrap_or(f)
}

/// `1234.5 | money` → `$1,234.50`; `money: "EUR"` → `€1,234.50`.
pub(super) fn money<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(1)?;
    if value.is_nil() {
        return Ok(Val::Nil);
    }
    let code = match args.get(0) {
        Some(code) => code.to_text().to_uppercase(),
        None => run.options.currency.clone(),
    };
    let amount = float_of(&number::number_of(&value));
    if !amount.is_finite() || amount.abs() >= 1e15 {
        return Fault::value("amount out of range");
    }
    let digits = if matches!(code.as_str(), "JPY" | "KRW" | "CLP" | "VND" | "ISK") { 0 } else { 2 };
    let rounded = if digits == 0 { amount.round() } else { decimal_round(amount, digits) };
    let text = format!("{:.digits$}", rounded.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut grouped = String::new();
    for (i, c) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(c);
    }
    let symbol = match code.as_str() {
        "USD" => "$",
        "EUR" => "€",
        "GBP" => "£",
        "JPY" => "¥",
        "INR" => "₹",
        _ => "",
    };
    let sign = if rounded < 0.0 { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    Ok(Val::text(if symbol.is_empty() {
        let code: String = code.chars().filter(char::is_ascii_alphabetic).take(3).collect();
        format!("{sign}{grouped}{point}{fraction} {code}")
    } else {
        format!("{sign}{symbol}{grouped}{point}{fraction}")
    }))
}
