//! Helpers: those of Handlebars' users, and every filter under its own name.

use crate::error::Fault;
use crate::expression::Compare;
use crate::filter::{self, Args, Filter, Out};
use crate::number::{Op, calculate, float_of, number_of};
use crate::render::handlebars::{holds, part_of};
use crate::render::{Run, compare_values, recommended};
use crate::supply::{Ask, Supplied};
use crate::value::Val;

/// A helper: all its arguments in their order.
pub(crate) type Helper = for<'a, 'o, 'x, 'y> fn(&'x mut Run<'a, 'o>, &'y Args<'a>) -> Out<'a>;

/// What a call runs.
#[derive(Clone, Copy)]
pub(crate) enum Code {
    Helper(Helper),
    Filter(Filter),
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Code")
    }
}

/// Whether a name without arguments is this helper's and no field's.
pub(super) fn stands_alone(name: &str) -> bool {
    matches!(name, "now" | "recommend")
}

/// The helper called `name`.
pub(crate) fn find(name: &str) -> Option<Code> {
    let helper: Helper = match name {
        "eq" | "ifEq" | "is" => eq,
        "ne" | "neq" | "ifNotEq" | "isnt" => ne,
        "lt" | "ifLt" => lt,
        "lte" | "ifLte" => lte,
        "gt" | "ifGt" => gt,
        "gte" | "ifGte" => gte,
        "and" => and,
        "or" => or,
        "not" => not,
        "contains" | "ifContains" | "includes" | "inArray" => contains,
        "startsWith" => starts_with,
        "endsWith" => ends_with,
        "lookup" => lookup,
        "concat" => concat,
        "coalesce" => coalesce,
        "date" | "dateFormat" | "formatDate" => date,
        "now" => now,
        "add" => add,
        "divide" => divide,
        "math" => math,
        "length" | "count" => length,
        "capitalizeAll" | "titleize" => capitalize_all,
        "recommend" => recommend,
        "catalog" => catalog,
        "feed" => feed,
        "coupon" => coupon,
        _ => {
            let filter = match name {
                "upper" | "uppercase" | "toUpperCase" => "upcase",
                "lower" | "lowercase" | "toLowerCase" => "downcase",
                "capitalizeFirst" => "capitalize",
                "trim" => "strip",
                "defaultIfEmpty" => "default",
                "currency" | "formatCurrency" => "money",
                "numberFormat" | "formatNumber" => "number",
                "subtract" => "minus",
                "multiply" => "times",
                "mod" => "modulo",
                "stringify" => "json",
                "encodeURI" | "urlEncode" | "encodeURIComponent" => "url_param_escape",
                "stripHtml" | "stripTags" => "strip_html",
                "sortBy" => "sort",
                "unique" => "uniq",
                other => other,
            };
            return filter::find(filter).map(Code::Filter);
        }
    };
    Some(Code::Helper(helper))
}

fn arguments(args: &Args<'_>, n: usize) -> Result<(), Fault> {
    let given = args.positional.len();
    if given == n {
        return Ok(());
    }
    Fault::value(format!("wrong number of arguments (given {given}, expected {n})"))
}

fn two<'y, 'a>(args: &'y Args<'a>) -> Result<(&'y Val<'a>, &'y Val<'a>), Fault> {
    arguments(args, 2)?;
    Ok((&args.positional[0], &args.positional[1]))
}

macro_rules! comparisons {
    ($($name:ident $compare:ident),*) => {$(
        fn $name<'a>(_: &mut Run<'a, '_>, args: &Args<'a>) -> Out<'a> {
            let (a, b) = two(args)?;
            Ok(Val::Bool(compare_values(Compare::$compare, a, b)?))
        }
    )*};
}

comparisons!(eq Eq, ne Ne, lt Lt, lte Le, gt Gt, gte Ge);

/// The first that does not hold, else the last.
#[expect(clippy::unnecessary_wraps, reason = "all helpers have one signature")]
fn and<'a>(_: &mut Run<'a, '_>, args: &Args<'a>) -> Out<'a> {
    let found = args.positional.iter().find(|v| !holds(v)).or(args.positional.last());
    Ok(found.cloned().unwrap_or(Val::Bool(true)))
}

/// The first that holds, else the last.
#[expect(clippy::unnecessary_wraps, reason = "all helpers have one signature")]
fn or<'a>(_: &mut Run<'a, '_>, args: &Args<'a>) -> Out<'a> {
    let found = args.positional.iter().find(|v| holds(v)).or(args.positional.last());
    Ok(found.cloned().unwrap_or(Val::Bool(false)))
}

fn not<'a>(_: &mut Run<'a, '_>, args: &Args<'a>) -> Out<'a> {
    arguments(args, 1)?;
    Ok(Val::Bool(!holds(&args.positional[0])))
}

fn contains<'a>(run: &mut Run<'a, '_>, args: &Args<'a>) -> Out<'a> {
    let (a, b) = two(args)?;
    run.step(a.len().unwrap_or(0).max(0) as u64 / 8)?;
    Ok(Val::Bool(compare_values(Compare::Contains, a, b)?))
}

fn starts_with<'a>(_: &mut Run<'a, '_>, args: &Args<'a>) -> Out<'a> {
    let (a, b) = two(args)?;
    Ok(Val::Bool(a.to_text().starts_with(&*b.to_text())))
}

fn ends_with<'a>(_: &mut Run<'a, '_>, args: &Args<'a>) -> Out<'a> {
    let (a, b) = two(args)?;
    Ok(Val::Bool(a.to_text().ends_with(&*b.to_text())))
}

fn lookup<'a>(_: &mut Run<'a, '_>, args: &Args<'a>) -> Out<'a> {
    let (value, key) = two(args)?;
    Ok(part_of(value, &key.to_text()).unwrap_or(Val::Nil))
}

fn concat<'a>(run: &mut Run<'a, '_>, args: &Args<'a>) -> Out<'a> {
    let mut out = String::new();
    for value in &args.positional {
        match value {
            Val::Float(f) if f.fract() == 0.0 && f.abs() < 1e15 => Val::Int(*f as i64).write(&mut out),
            value => out.push_str(&value.to_text()),
        }
        run.reserve(out.len())?;
    }
    Ok(Val::text(out))
}

#[expect(clippy::unnecessary_wraps, reason = "all helpers have one signature")]
fn coalesce<'a>(_: &mut Run<'a, '_>, args: &Args<'a>) -> Out<'a> {
    Ok(args.positional.iter().find(|v| !v.is_blank()).cloned().unwrap_or(Val::Nil))
}

fn with_filter<'a>(run: &mut Run<'a, '_>, name: &str, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    match filter::find(name) {
        Some(filter) => filter(run, value, args),
        None => Ok(Val::Nil),
    }
}

const DATE: &str = "%Y-%m-%d";

/// `date value "%B %d"`; formats without `%` are read as patterns of letters (`MMMM d, yyyy`).
fn date<'a>(run: &mut Run<'a, '_>, args: &Args<'a>) -> Out<'a> {
    let value = args.need(0)?.clone();
    let format = args.get(1).or(args.named("format")).map_or(DATE.into(), |v| v.to_text().into_owned());
    let format = if format.contains('%') { format } else { from_letters(&format) };
    let mut inner = Args { positional: vec![Val::text(format)], named: Vec::new() };
    for (key, value) in &args.named {
        match *key {
            "tz" | "timezone" | "zone" => inner.named.push(("zone", value.clone())),
            "locale" => inner.named.push(("locale", value.clone())),
            _ => {}
        }
    }
    with_filter(run, "date", value, &inner)
}

fn now<'a>(run: &mut Run<'a, '_>, args: &Args<'a>) -> Out<'a> {
    let mut positional = vec![Val::text("now")];
    positional.extend(args.positional.iter().cloned());
    date(run, &Args { positional, named: args.named.clone() })
}

/// A pattern of letters as directives: `yyyy-MM-dd HH:mm`.
fn from_letters(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() * 2);
    let chars: Vec<char> = pattern.chars().collect();
    let mut i = 0;
    while i < chars.len() {
        let c = chars[i];
        let length = chars[i..].iter().take_while(|other| **other == c).count();
        if c == '\'' || c == '[' {
            let close = if c == '[' { ']' } else { '\'' };
            let end =
                chars[i + 1..].iter().position(|other| *other == close).map_or(chars.len(), |e| i + 1 + e);
            out.extend(&chars[i + 1..end]);
            i = end + 1;
            continue;
        }
        let directive = match (c, length) {
            ('y' | 'Y', 2) => "%y",
            ('y' | 'Y', _) => "%Y",
            ('M' | 'L', 1) => "%-m",
            ('M' | 'L', 2) => "%m",
            ('M' | 'L', 3) => "%b",
            ('M' | 'L', _) => "%B",
            ('d' | 'D', 1) => "%-d",
            ('d' | 'D', 2) => "%d",
            ('E', 1..=3) | ('d' | 'D', 3) => "%a",
            ('E' | 'd' | 'D', _) => "%A",
            ('H', 1) => "%-H",
            ('H', _) => "%H",
            ('h', 1) => "%-I",
            ('h', _) => "%I",
            ('m', 1) => "%-M",
            ('m', _) => "%M",
            ('s', 1) => "%-S",
            ('s', _) => "%S",
            ('a' | 'A', _) => "%p",
            ('z', _) => "%Z",
            ('Z', _) => "%z",
            _ => "",
        };
        if directive.is_empty() {
            out.extend(std::iter::repeat_n(c, length));
        } else {
            out.push_str(directive);
        }
        i += length;
    }
    out
}

fn add<'a>(_: &mut Run<'a, '_>, args: &Args<'a>) -> Out<'a> {
    args.positional.iter().try_fold(Val::Int(0), |sum, value| calculate(Op::Plus, &sum, value))
}

/// A fraction, where a whole number would lose its rest.
fn divide<'a>(_: &mut Run<'a, '_>, args: &Args<'a>) -> Out<'a> {
    let (a, b) = two(args)?;
    let (a, b) = (float_of(&number_of(a)), float_of(&number_of(b)));
    if b == 0.0 {
        return Fault::value("divided by 0");
    }
    Ok(Val::Float(a / b))
}

fn math<'a>(run: &mut Run<'a, '_>, args: &Args<'a>) -> Out<'a> {
    arguments(args, 3)?;
    let (a, b) = (&args.positional[0], &args.positional[2]);
    let sign = args.positional[1].to_text();
    let op = match &*sign {
        "+" => Op::Plus,
        "-" => Op::Minus,
        "*" => Op::Times,
        "%" => Op::Modulo,
        "/" => {
            let positional = vec![a.clone(), b.clone()];
            return divide(run, &Args { positional, named: Vec::new() });
        }
        other => return Fault::value(format!("'{other}' is no operation: + - * / % are")),
    };
    calculate(op, a, b)
}

fn length<'a>(_: &mut Run<'a, '_>, args: &Args<'a>) -> Out<'a> {
    arguments(args, 1)?;
    Ok(Val::Int(args.positional[0].len().unwrap_or(0)))
}

fn capitalize_all<'a>(run: &mut Run<'a, '_>, args: &Args<'a>) -> Out<'a> {
    arguments(args, 1)?;
    let text = args.positional[0].to_text();
    let mut out = String::with_capacity(text.len());
    let mut begins = true;
    for c in text.chars() {
        if begins {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
        begins = c.is_whitespace();
    }
    run.reserve(out.len())?;
    Ok(Val::text(out))
}

/// Asks the host; what is pending or missing is nothing.
fn asked<'a>(run: &mut Run<'a, '_>, ask: Ask, args: &Args<'a>) -> Out<'a> {
    let (why, at) = match run.ask(&ask)? {
        Supplied::Ready(value) if !(value.is_list() && value.is_empty()) => return Ok(value),
        Supplied::Ready(_) => ("there are none".to_owned(), run.now_at()),
        Supplied::Pending => {
            run.pending(ask);
            return Ok(Val::Nil);
        }
        Supplied::Refused(reason) => return Err(Fault::Refused(reason)),
        Supplied::Nothing(why) => (why, run.now_at()),
    };
    match args.named("fallback") {
        Some(fallback) => {
            run.note_fallback(format!("{ask}: {why}"), at);
            Ok(fallback.clone())
        }
        None => {
            run.note_gap(format!("{ask}: {why}"), at);
            Ok(Val::Nil)
        }
    }
}

fn named_texts<'a>(
    run: &mut Run<'a, '_>,
    args: &Args<'a>,
    but: &[&str],
) -> Result<Vec<(String, String)>, Fault> {
    let mut out = Vec::new();
    for (key, value) in &args.named {
        if *key != "fallback"
            && !but.contains(key)
            && let Some(text) = run.argument(value)?
        {
            out.push(((*key).to_owned(), text));
        }
    }
    out.sort();
    Ok(out)
}

fn recommend<'a>(run: &mut Run<'a, '_>, args: &Args<'a>) -> Out<'a> {
    arguments(args, 0)?;
    let limit = recommended(args.named("limit").unwrap_or(&Val::Nil))?;
    let arguments = named_texts(run, args, &["limit"])?;
    asked(run, Ask::Recommend { limit, arguments }, args)
}

fn catalog<'a>(run: &mut Run<'a, '_>, args: &Args<'a>) -> Out<'a> {
    let (catalog, id) = two(args)?;
    if id.is_nil() {
        let what = format!("an item of '{}': no id was given", catalog.to_text());
        run.note_gap(what, run.now_at());
        return Ok(args.named("fallback").cloned().unwrap_or(Val::Nil));
    }
    let ask = Ask::Item { catalog: catalog.to_text().into_owned(), id: id.to_text().into_owned() };
    asked(run, ask, args)
}

fn feed<'a>(run: &mut Run<'a, '_>, args: &Args<'a>) -> Out<'a> {
    arguments(args, 1)?;
    let name = args.positional[0].to_text().into_owned();
    let arguments = named_texts(run, args, &[])?;
    asked(run, Ask::Feed { name, arguments }, args)
}

fn coupon<'a>(run: &mut Run<'a, '_>, args: &Args<'a>) -> Out<'a> {
    arguments(args, 1)?;
    let pool = args.positional[0].to_text().into_owned();
    asked(run, Ask::Coupon { pool }, args)
}
