//! Filters on numbers; checked, decimal.

use super::{Args, Out};
use crate::error::Fault;
use crate::number::{Op, calculate, float_of, number_of};
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
pub(super) fn decimal_round(f: f64, digits: usize) -> f64 {
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
