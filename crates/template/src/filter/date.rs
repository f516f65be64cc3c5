//! The `date` filter: Ruby's directives, ISO and common written forms, Unix seconds, zones.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, ZonedDateTime};

use super::locale::{Names, short};
use super::{Args, Out};
use crate::error::Fault;
use crate::render::Run;
use crate::value::Val;

const WIDTH_MAX: usize = 100;
const FORMAT_BYTES_MAX: usize = 1024;

pub(super) fn date<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(3)?;
    let format = args.need(0)?.to_text().into_owned();
    if format.is_empty() {
        return Ok(value);
    }
    if format.len() > FORMAT_BYTES_MAX {
        return Fault::limit(format!("a date format is longer than {FORMAT_BYTES_MAX} bytes"));
    }
    let zone = TimeZone::get(&run.options.zone).unwrap_or(TimeZone::UTC);
    let Some(mut instant) = read(&value, run.options.now, &zone) else { return Ok(value) };
    if let Some(name) = args.get(1).and_then(Val::as_str).or(args.named("zone").and_then(Val::as_str)) {
        match TimeZone::get(name) {
            Ok(zone) => instant = instant.with_time_zone(zone),
            Err(_) => return Fault::value(format!("unknown time zone '{name}'")),
        }
    }
    let names = super::locale::names(&super::locale::locale(run, args));
    let text = strftime(&instant, &format, names)?;
    run.reserve(text.len())?;
    Ok(Val::text(text))
}

fn read(value: &Val<'_>, now: model::Timestamp, zone: &TimeZone) -> Option<ZonedDateTime> {
    let from_seconds = |s: i64| Timestamp::from_second(s).ok().map(|t| t.to_zoned_datetime(zone.clone()));
    match value {
        Val::Int(i) => from_seconds(*i),
        Val::Float(f) if f.is_finite() => from_seconds(*f as i64),
        Val::Str(_) | Val::Safe(_) => {
            let text = value.as_str()?.trim();
            if text.len() > 64 || text.is_empty() {
                return None;
            }
            match text.to_ascii_lowercase().as_str() {
                "now" | "today" => return Some(now.to_jiff().to_zoned_datetime(zone.clone())),
                _ => {}
            }
            if text.bytes().all(|b| b.is_ascii_digit()) {
                return from_seconds(text.parse().ok()?);
            }
            written(text, now, zone)
        }
        _ => None,
    }
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

fn starts(names: &[&str], word: &str) -> Option<usize> {
    names.iter().position(|n| n.eq_ignore_ascii_case(word) || n[..3].eq_ignore_ascii_case(word))
}

/// Reads a written date leniently: words and numbers in any customary order.
fn written(text: &str, now: model::Timestamp, zone: &TimeZone) -> Option<ZonedDateTime> {
    let mut date = None;
    let mut time = None;
    let mut offset: Option<TimeZone> = None;
    let (mut year, mut month, mut day) = (None, None, None);
    let text = text.replace(',', " ");
    let mut words: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        // 2006-07-05T10:00:00-04:00
        if let Some((d, t)) = word.split_once(['T', 't'])
            && d.len() >= 8
            && d.starts_with(|c: char| c.is_ascii_digit())
        {
            words.push(d.to_owned());
            words.push(t.to_owned());
        } else {
            words.push(word.to_owned());
        }
    }
    for word in &words {
        let word = word.as_str();
        if let Some((clock, zone)) = clock(word) {
            time = Some(clock);
            offset = zone.or(offset);
        } else if let Some(d) = iso_date(word) {
            date = Some(d);
        } else if let Some(m) = starts(&MONTHS, word) {
            month = Some(m as i8 + 1);
        } else if starts(&DAYS, word).is_some() {
        } else if word.eq_ignore_ascii_case("am") || word.eq_ignore_ascii_case("pm") {
            let t: Time = time?;
            let hour = t.hour() % 12 + if word.eq_ignore_ascii_case("pm") { 12 } else { 0 };
            time = Some(Time::new(hour, t.minute(), t.second(), t.subsec_nanosecond()).ok()?);
        } else if let Some(z) = zone_word(word) {
            offset = Some(z);
        } else {
            let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
            let n: i16 = digits.parse().ok()?;
            if digits.len() != word.len() && !matches!(&word[digits.len()..], "st" | "nd" | "rd" | "th") {
                return None;
            }
            if digits.len() >= 3 {
                year = Some(n);
            } else {
                day = Some(n as i8);
            }
        }
    }
    let date = match date {
        Some(date) => date,
        None => {
            let today = now.to_jiff().to_zoned_datetime(zone.clone()).date();
            if year.is_none() && month.is_none() && (day.is_some() || time.is_none()) {
                return None;
            }
            if month.is_some() || year.is_some() {
                Date::new(year.unwrap_or(today.year()), month.unwrap_or(1), day.unwrap_or(1)).ok()?
            } else {
                today
            }
        }
    };
    let moment = DateTime::from_parts(date, time.unwrap_or(Time::midnight()));
    moment.to_zoned_datetime(offset.unwrap_or_else(|| zone.clone())).ok()
}

fn iso_date(word: &str) -> Option<Date> {
    let separator = ['-', '/'].into_iter().find(|s| word.contains(*s))?;
    let parts: Vec<&str> = word.split(separator).collect();
    match parts.as_slice() {
        [y, m, d] if y.len() == 4 => {
            let month = m.parse().ok().or_else(|| starts(&MONTHS, m).map(|m| m as i8 + 1))?;
            Date::new(y.parse().ok()?, month, d.parse().ok()?).ok()
        }
        [d, m, y] if y.len() == 4 => {
            let month = m.parse().ok().or_else(|| starts(&MONTHS, m).map(|m| m as i8 + 1))?;
            Date::new(y.parse().ok()?, month, d.parse().ok()?).ok()
        }
        [y, m] if y.len() == 4 => Date::new(y.parse().ok()?, m.parse().ok()?, 1).ok(),
        _ => None,
    }
}

fn clock(word: &str) -> Option<(Time, Option<TimeZone>)> {
    let colon = word.find(':')?;
    if colon == 0 || colon > 2 || word.starts_with(['+', '-']) {
        return None;
    }
    let lower = word.to_ascii_lowercase();
    let (body, half) = if let Some(b) = lower.strip_suffix("am") {
        (b, Some(0))
    } else if let Some(b) = lower.strip_suffix("pm") {
        (b, Some(12))
    } else {
        (lower.as_str(), None)
    };
    let (body, zone) = if let Some(b) = body.strip_suffix('z') {
        (b, Some(TimeZone::UTC))
    } else if let Some(at) = body.find(['+', '-']) {
        (&body[..at], Some(zone_word(&body[at..])?))
    } else {
        (body, None)
    };
    let mut parts = body.split(':');
    let mut hour: i8 = parts.next()?.parse().ok()?;
    let minute = parts.next()?.parse().ok()?;
    let (mut second, mut nanos) = (0, 0);
    if let Some(text) = parts.next() {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        second = whole.parse().ok()?;
        if !fraction.is_empty() {
            let padded: String = fraction.chars().chain("000000000".chars()).take(9).collect();
            nanos = padded.parse().ok()?;
        }
    }
    if let Some(half) = half {
        hour = hour % 12 + half;
    }
    Some((Time::new(hour, minute, second, nanos).ok()?, zone))
}

fn zone_word(word: &str) -> Option<TimeZone> {
    let hours = match word.to_ascii_uppercase().as_str() {
        "UTC" | "GMT" | "Z" => return Some(TimeZone::UTC),
        "EST" => -5,
        "EDT" => -4,
        "CST" => -6,
        "CDT" => -5,
        "MST" => -7,
        "MDT" => -6,
        "PST" => -8,
        "PDT" => -7,
        "CET" => 1,
        "CEST" => 2,
        _ => {
            let sign = if word.starts_with('-') { -1 } else { 1 };
            let digits = word.strip_prefix(['+', '-'])?.replace(':', "");
            if digits.len() != 4 {
                return None;
            }
            let hours: i32 = digits[..2].parse().ok()?;
            let minutes: i32 = digits[2..].parse().ok()?;
            let seconds = sign * (hours * 3600 + minutes * 60);
            return Offset::from_seconds(seconds).ok().map(TimeZone::fixed);
        }
    };
    Offset::from_hours(hours).ok().map(TimeZone::fixed)
}

fn abbreviation(at: &ZonedDateTime) -> String {
    let name = at.time_zone().to_offset_info(at.timestamp()).abbreviation().to_string();
    if name.starts_with(['+', '-']) { String::new() } else { name }
}

fn strftime(at: &ZonedDateTime, format: &str, names: Option<&Names>) -> Result<String, Fault> {
    let mut out = String::new();
    let mut rest = format;
    while let Some(i) = rest.find('%') {
        out.push_str(&rest[..i]);
        let directive = &rest[i..];
        let mut flags = (false, false, None::<char>, 0usize);
        let mut width = None::<usize>;
        let mut used = 1;
        let mut done = false;
        for c in directive[1..].chars() {
            used += c.len_utf8();
            match c {
                '^' => flags.0 = true,
                '#' => flags.1 = true,
                '-' | '_' => flags.2 = Some(c),
                '0' if width.is_none() => flags.2 = Some('0'),
                ':' => flags.3 += 1,
                '0'..='9' => {
                    let next =
                        width.unwrap_or(0).saturating_mul(10).saturating_add(c as usize - '0' as usize);
                    if next > WIDTH_MAX {
                        return Fault::limit(format!("a date field is wider than {WIDTH_MAX}"));
                    }
                    width = Some(next);
                }
                'E' | 'O' => {}
                c => {
                    match directive_text(at, c, flags.3, names)? {
                        Some((text, pad, default)) => push(&mut out, &text, pad, default, flags, width),
                        None => out.push_str(&directive[..used]),
                    }
                    done = true;
                    break;
                }
            }
        }
        if !done {
            out.push_str(&directive[..used]);
        }
        rest = &directive[used..];
    }
    out.push_str(rest);
    Ok(out)
}

fn push(
    out: &mut String,
    text: &str,
    pad: char,
    default: usize,
    flags: (bool, bool, Option<char>, usize),
    width: Option<usize>,
) {
    let text = if flags.0 {
        text.to_uppercase()
    } else if flags.1 {
        if text.chars().any(char::is_lowercase) { text.to_uppercase() } else { text.to_lowercase() }
    } else {
        text.to_owned()
    };
    let pad = match flags.2 {
        Some('-') => {
            out.push_str(&text);
            return;
        }
        Some('_') => ' ',
        Some(_) => '0',
        None => pad,
    };
    let width = width.unwrap_or(default);
    let missing = width.saturating_sub(text.chars().count());
    if pad == '0' && text.starts_with('-') && missing > 0 {
        out.push('-');
        out.extend(std::iter::repeat_n(pad, missing));
        out.push_str(&text[1..]);
        return;
    }
    out.extend(std::iter::repeat_n(pad, missing));
    out.push_str(&text);
}

type Field = Option<(String, char, usize)>;

fn directive_text(at: &ZonedDateTime, c: char, colons: usize, names: Option<&Names>) -> Result<Field, Fault> {
    let hour12 = match at.hour() % 12 {
        0 => 12,
        h => h,
    };
    let day_of_year = at.day_of_year() as i32;
    let monday0 = at.weekday().to_monday_zero_offset() as i32;
    let sunday0 = at.weekday().to_sunday_zero_offset() as i32;
    let number = |n: i64, width: usize| Some((n.to_string(), '0', width));
    let spaced = |n: i64| Some((n.to_string(), ' ', 2));
    let word = |s: String| Some((s, ' ', 0));
    let day = names.map_or(&DAYS, |n| &n.days)[monday0 as usize % 7];
    let month = names.map_or(&MONTHS, |n| &n.months)[(at.month() as usize).saturating_sub(1) % 12];
    let iso = at.date().iso_week_date();
    let combined = |format: &str| strftime(at, format, names).map(word);
    Ok(match c {
        'Y' => number(at.year() as i64, if at.year() < 0 { 5 } else { 4 }),
        'C' => number((at.year() as i64).div_euclid(100), 2),
        'y' => number((at.year() as i64).rem_euclid(100), 2),
        'm' => number(at.month() as i64, 2),
        'B' => word(month.into()),
        'b' | 'h' => word(short(month)),
        'd' => number(at.day() as i64, 2),
        'e' => spaced(at.day() as i64),
        'j' => number(day_of_year as i64, 3),
        'H' => number(at.hour() as i64, 2),
        'k' => spaced(at.hour() as i64),
        'I' => number(hour12 as i64, 2),
        'l' => spaced(hour12 as i64),
        'M' => number(at.minute() as i64, 2),
        'S' => number(at.second() as i64, 2),
        'L' => word(format!("{:03}", at.subsec_nanosecond() / 1_000_000)),
        'N' => word(format!("{:09}", at.subsec_nanosecond())),
        'P' => word(if at.hour() < 12 { "am" } else { "pm" }.into()),
        'p' => word(if at.hour() < 12 { "AM" } else { "PM" }.into()),
        'A' => word(day.into()),
        'a' => word(short(day)),
        'u' => number(monday0 as i64 + 1, 1),
        'w' => number(sunday0 as i64, 1),
        'G' => number(iso.year() as i64, 4),
        'g' => number((iso.year() as i64).rem_euclid(100), 2),
        'V' => number(iso.week() as i64, 2),
        'U' => number(((day_of_year + 6 - sunday0) / 7) as i64, 2),
        'W' => number(((day_of_year + 6 - monday0) / 7) as i64, 2),
        's' => number(at.timestamp().as_second(), 1),
        'z' => {
            let seconds = at.offset().seconds();
            let sign = if seconds < 0 { '-' } else { '+' };
            let s = seconds.unsigned_abs();
            word(match colons {
                0 => format!("{sign}{:02}{:02}", s / 3600, s / 60 % 60),
                1 => format!("{sign}{:02}:{:02}", s / 3600, s / 60 % 60),
                _ => format!("{sign}{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60),
            })
        }
        'Z' => word(abbreviation(at)),
        'n' => word("\n".into()),
        't' => word("\t".into()),
        '%' => word("%".into()),
        'c' => combined("%a %b %e %H:%M:%S %Y")?,
        'D' | 'x' => combined("%m/%d/%y")?,
        'F' => combined("%Y-%m-%d")?,
        'T' | 'X' => combined("%H:%M:%S")?,
        'R' => combined("%H:%M")?,
        'r' => combined("%I:%M:%S %p")?,
        'v' => combined("%e-%^b-%Y")?,
        '+' => combined("%a %b %e %H:%M:%S %Z %Y")?,
        _ => None,
    })
}
