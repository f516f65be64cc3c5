//! What depends on the reader's language: money, numbers, names of months and days, translations.

use super::math::decimal_round;
use super::{Args, Out};
use crate::error::Fault;
use crate::number::{float_of, number_of};
use crate::render::Run;
use crate::value::Val;

/// How a language writes numbers and money.
#[derive(Clone, Copy)]
struct Style {
    point: &'static str,
    group: &'static str,
    /// Digits from which on a number is grouped.
    group_from: usize,
    money: Money,
}

/// Where the sign of a currency stands.
#[derive(Clone, Copy, PartialEq)]
enum Money {
    /// `$5`
    Before,
    /// `€ 5`
    BeforeSpaced,
    /// `5 €`
    After,
}

const NBSP: &str = "\u{a0}";
const NARROW: &str = "\u{202f}";

/// Shape: as the Unicode CLDR has them.
fn style(locale: &str) -> Style {
    let of = |point, group, group_from, money| Style { point, group, group_from, money };
    match locale {
        "de-at" => of(",", ".", 4, Money::BeforeSpaced),
        "de-ch" | "de-li" | "fr-ch" | "it-ch" => of(".", "’", 4, Money::BeforeSpaced),
        "pt-pt" | "es" | "es-es" => of(",", if locale == "pt-pt" { NBSP } else { "." }, 5, Money::After),
        "es-mx" | "es-us" => of(".", ",", 4, Money::Before),
        "pt" | "pt-br" => of(",", ".", 4, Money::BeforeSpaced),
        "en-in" | "hi" | "hi-in" => of(".", ",", 4, Money::Before),
        _ => match locale.split('-').next().unwrap_or_default() {
            "de" | "it" | "da" | "id" | "el" | "ro" | "sl" | "hr" => of(",", ".", 4, Money::After),
            "fr" => of(",", NARROW, 4, Money::After),
            "es" => of(",", ".", 4, Money::After),
            "pl" | "bg" => of(",", NBSP, 5, Money::After),
            "sv" | "nb" | "no" | "nn" | "fi" | "cs" | "sk" | "ru" | "uk" | "hu" => {
                of(",", NBSP, 4, Money::After)
            }
            "nl" => of(",", ".", 4, Money::BeforeSpaced),
            "tr" => of(",", ".", 4, Money::Before),
            _ => of(".", ",", 4, Money::Before),
        },
    }
}

/// The sign of a currency; of those that are called dollar only the one at home is written without its letters.
fn sign(code: &str, locale: &str) -> Option<&'static str> {
    Some(match code {
        "USD" => "$",
        "EUR" => "€",
        "GBP" => "£",
        "JPY" => "¥",
        "INR" => "₹",
        "KRW" => "₩",
        "BRL" => "R$",
        "TRY" => "₺",
        "PLN" => "zł",
        "CZK" => "Kč",
        "UAH" => "₴",
        "VND" => "₫",
        "ILS" => "₪",
        "SEK" | "NOK" if matches!(locale.split('-').next(), Some("sv" | "nb" | "no" | "nn")) => "kr",
        "DKK" if locale.starts_with("da") => "kr.",
        "CAD" => {
            if locale.ends_with("-ca") {
                "$"
            } else {
                "CA$"
            }
        }
        "AUD" => {
            if locale.ends_with("-au") {
                "$"
            } else {
                "A$"
            }
        }
        "MXN" if locale.ends_with("-mx") => "$",
        _ => return None,
    })
}

/// Digits after the point. Source: ISO 4217.
fn minor_digits(code: &str) -> usize {
    match code {
        "JPY" | "KRW" | "CLP" | "VND" | "ISK" | "PYG" | "UGX" | "XAF" | "XOF" | "XPF" | "RWF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        _ => 2,
    }
}

/// The digits of `amount` in the manner of `locale`, without its sign.
fn digits_of(amount: f64, digits: usize, locale: &str, style: Style) -> String {
    let text = format!("{:.digits$}", amount.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut out = String::with_capacity(text.len() + 8);
    let indian = matches!(locale, "en-in" | "hi" | "hi-in");
    for (i, c) in whole.chars().enumerate() {
        let left = whole.len() - i;
        let at_group = if indian && left > 3 { (left - 3) % 2 == 0 } else { left % 3 == 0 };
        if i > 0 && at_group && whole.len() >= style.group_from {
            out.push_str(style.group);
        }
        out.push(c);
    }
    if !fraction.is_empty() {
        out.push_str(style.point);
        out.push_str(fraction);
    }
    out
}

/// The locale of a call, else of the render: lower case, with a hyphen.
pub(super) fn locale<'a>(run: &Run<'a, '_>, args: &Args<'a>) -> String {
    let name = match args.named("locale").and_then(Val::as_str) {
        Some(name) => name,
        None => &run.options.locale,
    };
    name.chars().take(16).map(|c| if c == '_' { '-' } else { c.to_ascii_lowercase() }).collect()
}

fn amount_of(value: &Val<'_>) -> Result<f64, Fault> {
    let amount = float_of(&number_of(value));
    if !amount.is_finite() || amount.abs() >= 1e15 {
        return Fault::value("amount out of range");
    }
    Ok(amount)
}

/// `1234.5 | money` → `$1,234.50`; `money: "EUR", locale: "de"` → `1.234,50 €`.
pub(super) fn money<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(1)?;
    if value.is_nil() {
        return Ok(Val::Nil);
    }
    let code = match args.get(0).or(args.named("currency")) {
        Some(code) if !code.is_nil() => code.to_text().to_uppercase(),
        _ => run.options.currency.clone(),
    };
    let code: String = code.chars().filter(char::is_ascii_alphabetic).take(3).collect();
    let amount = amount_of(&value)?;
    let digits = minor_digits(&code);
    let rounded = if digits == 0 { amount.round() } else { decimal_round(amount, digits) };
    let locale = locale(run, args);
    let style = style(&locale);
    let number = digits_of(rounded, digits, &locale, style);
    let minus = if rounded < 0.0 { "-" } else { "" };
    Ok(Val::text(match (sign(&code, &locale), style.money) {
        (Some(sign), Money::Before) => format!("{minus}{sign}{number}"),
        (Some(sign), Money::BeforeSpaced) => format!("{minus}{sign}{NBSP}{number}"),
        (None, Money::BeforeSpaced) => format!("{minus}{code}{NBSP}{number}"),
        (Some(sign), Money::After) => format!("{minus}{number}{NBSP}{sign}"),
        (None, Money::After) => format!("{minus}{number}{NBSP}{code}"),
        (None, Money::Before) => format!("{minus}{number} {code}"),
    }))
}

/// `1234.5 | number: 1, locale: "de"` → `1.234,5`.
pub(super) fn number<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(1)?;
    if value.is_nil() {
        return Ok(Val::Nil);
    }
    let amount = amount_of(&value)?;
    let digits = match args.get(0) {
        Some(digits) => crate::number::integer(digits)?.clamp(0, 10) as usize,
        None => format!("{amount}").split_once('.').map_or(0, |(_, fraction)| fraction.len().min(10)),
    };
    let rounded = if digits == 0 { amount.round() } else { decimal_round(amount, digits) };
    let locale = locale(run, args);
    let minus = if rounded < 0.0 { "-" } else { "" };
    Ok(Val::text(format!("{minus}{}", digits_of(rounded, digits, &locale, style(&locale)))))
}

/// `2 | pluralize: "item", "items"` → `items`.
pub(super) fn pluralize<'a>(_: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(2)?;
    let one = float_of(&number_of(&value)) == 1.0;
    Ok(args.need(usize::from(!one))?.clone())
}

/// Names of months and days of a language.
pub(super) struct Names {
    pub months: [&'static str; 12],
    /// From Monday.
    pub days: [&'static str; 7],
}

macro_rules! names {
    ($($language:pat => [$($month:literal)*] [$($day:literal)*],)*) => {
        /// The names of `locale`'s language, when it is not English.
        pub(super) fn names(locale: &str) -> Option<&'static Names> {
            match locale.split('-').next().unwrap_or_default() {
                $($language => Some(const { &Names { months: [$($month),*], days: [$($day),*] } }),)*
                _ => None,
            }
        }
    };
}

names! {
    "de" => ["Januar" "Februar" "März" "April" "Mai" "Juni" "Juli" "August" "September" "Oktober" "November" "Dezember"]
        ["Montag" "Dienstag" "Mittwoch" "Donnerstag" "Freitag" "Samstag" "Sonntag"],
    "fr" => ["janvier" "février" "mars" "avril" "mai" "juin" "juillet" "août" "septembre" "octobre" "novembre" "décembre"]
        ["lundi" "mardi" "mercredi" "jeudi" "vendredi" "samedi" "dimanche"],
    "es" => ["enero" "febrero" "marzo" "abril" "mayo" "junio" "julio" "agosto" "septiembre" "octubre" "noviembre" "diciembre"]
        ["lunes" "martes" "miércoles" "jueves" "viernes" "sábado" "domingo"],
    "it" => ["gennaio" "febbraio" "marzo" "aprile" "maggio" "giugno" "luglio" "agosto" "settembre" "ottobre" "novembre" "dicembre"]
        ["lunedì" "martedì" "mercoledì" "giovedì" "venerdì" "sabato" "domenica"],
    "pt" => ["janeiro" "fevereiro" "março" "abril" "maio" "junho" "julho" "agosto" "setembro" "outubro" "novembro" "dezembro"]
        ["segunda-feira" "terça-feira" "quarta-feira" "quinta-feira" "sexta-feira" "sábado" "domingo"],
    "nl" => ["januari" "februari" "maart" "april" "mei" "juni" "juli" "augustus" "september" "oktober" "november" "december"]
        ["maandag" "dinsdag" "woensdag" "donderdag" "vrijdag" "zaterdag" "zondag"],
    "sv" => ["januari" "februari" "mars" "april" "maj" "juni" "juli" "augusti" "september" "oktober" "november" "december"]
        ["måndag" "tisdag" "onsdag" "torsdag" "fredag" "lördag" "söndag"],
    "da" => ["januar" "februar" "marts" "april" "maj" "juni" "juli" "august" "september" "oktober" "november" "december"]
        ["mandag" "tirsdag" "onsdag" "torsdag" "fredag" "lørdag" "søndag"],
    "nb" | "no" => ["januar" "februar" "mars" "april" "mai" "juni" "juli" "august" "september" "oktober" "november" "desember"]
        ["mandag" "tirsdag" "onsdag" "torsdag" "fredag" "lørdag" "søndag"],
    "pl" => ["stycznia" "lutego" "marca" "kwietnia" "maja" "czerwca" "lipca" "sierpnia" "września" "października" "listopada" "grudnia"]
        ["poniedziałek" "wtorek" "środa" "czwartek" "piątek" "sobota" "niedziela"],
    "fi" => ["tammikuuta" "helmikuuta" "maaliskuuta" "huhtikuuta" "toukokuuta" "kesäkuuta" "heinäkuuta" "elokuuta" "syyskuuta" "lokakuuta" "marraskuuta" "joulukuuta"]
        ["maanantai" "tiistai" "keskiviikko" "torstai" "perjantai" "lauantai" "sunnuntai"],
    "cs" => ["ledna" "února" "března" "dubna" "května" "června" "července" "srpna" "září" "října" "listopadu" "prosince"]
        ["pondělí" "úterý" "středa" "čtvrtek" "pátek" "sobota" "neděle"],
}

/// The first letters of a name, as far as it is abbreviated.
pub(super) fn short(name: &str) -> String {
    name.chars().take(3).collect()
}

fn step_in<'m>(map: &'m model::Map, key: &str) -> Option<&'m model::Value> {
    if let Some(found) = map.get(key) {
        return Some(found);
    }
    let (first, rest) = key.split_once('.')?;
    step_in(map.get(first)?.as_object()?, rest)
}

/// `"cart.title" | t: name: customer.first_name`: the text by its key; without one the key itself, recorded as missing.
pub(super) fn t<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(0)?;
    let key = value.to_text().into_owned();
    let shared = run.options.translations.clone();
    let held = match &shared {
        Some(_) => None,
        None => run.root("translations").map(|found| found.to_json()),
    };
    let map = shared.as_deref().or_else(|| held.as_ref().and_then(model::Value::as_object));
    let locale = locale(run, args);
    let language = locale.split('-').next().unwrap_or_default().to_owned();
    let found = map.and_then(|map| {
        let by_name = |name: &str| {
            let found = map.iter().find(|(key, _)| key.replace('_', "-").eq_ignore_ascii_case(name));
            found.and_then(|(_, texts)| texts.as_object()).and_then(|texts| step_in(texts, &key))
        };
        by_name(&locale).or_else(|| by_name(&language)).or_else(|| step_in(map, &key))
    });
    let count = args.named("count");
    let text = match found {
        Some(model::Value::String(text)) => Some(text.as_str()),
        Some(model::Value::Object(forms)) => {
            let one = count.is_some_and(|n| float_of(&number_of(n)) == 1.0);
            let zero = count.is_some_and(|n| n.is_number() && float_of(&number_of(n)) == 0.0);
            let form = if zero && forms.contains_key("zero") {
                "zero"
            } else if one {
                "one"
            } else {
                "other"
            };
            forms.get(form).or_else(|| forms.get("other")).and_then(model::Value::as_str)
        }
        _ => None,
    };
    let Some(text) = text else {
        run.missing_text(&key);
        return Ok(Val::text(key));
    };
    filled(run, text, args)
}

/// Puts named arguments in place of `{name}` and `{{ name }}`; what has no argument stays as it is.
fn filled<'a>(run: &mut Run<'a, '_>, text: &str, args: &Args<'a>) -> Out<'a> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        let (double, inner) = match rest[at..].strip_prefix("{{") {
            Some(inner) => (true, inner),
            None => (false, &rest[at + 1..]),
        };
        let close = if double { "}}" } else { "}" };
        let value =
            inner.find(close).and_then(|end| args.named(inner[..end].trim()).map(|value| (end, value)));
        out.push_str(&rest[..at]);
        match value {
            Some((end, value)) => {
                out.push_str(&value.to_text());
                rest = &inner[end + close.len()..];
            }
            None => {
                out.push_str(&rest[at..rest.len() - inner.len()]);
                rest = inner;
            }
        }
        run.reserve(out.len())?;
    }
    out.push_str(rest);
    run.reserve(out.len())?;
    Ok(Val::text(out))
}
