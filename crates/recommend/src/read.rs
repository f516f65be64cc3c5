//! Reading what is judged: sequences (`profile item item …`), or a table of interactions with a header.

use std::collections::HashMap;

use model::Timestamp;

use crate::{Action, Interaction};

/// A file's interactions and what was left out.
#[derive(Clone, Debug, Default)]
pub struct Read<'t> {
    /// Interactions in the file's order, profiles numbered as they come.
    pub interactions: Vec<Interaction<'t>>,
    /// Rows without a profile, an item or a time, or with a quantity or a price of nothing or less.
    pub left_out: usize,
}

/// Columns a table may have, by the names they go by; compared without case, spaces and underscores.
const PROFILE: [&str; 8] =
    ["profile", "profileid", "user", "userid", "customer", "customerid", "session", "sessionid"];
const ITEM: [&str; 6] = ["item", "itemid", "product", "productid", "stockcode", "sku"];
const TIME: [&str; 6] = ["time", "timestamp", "at", "date", "invoicedate", "datetime"];
const EVENT: [&str; 3] = ["event", "eventname", "action"];
const POSITIVE: [&str; 3] = ["quantity", "price", "unitprice"];

/// Reads a file. Sequences are lines of a profile and its items in the order of time, a minute apart. A table has a
/// header, and commas, semicolons or tabs; its rows are views, or what `event` names, or purchases when they have a
/// quantity or a price.
///
/// # Errors
/// A sentence, when a table lacks a column that is needed.
pub fn read(text: &str) -> Result<Read<'_>, String> {
    let first = text.lines().next().unwrap_or_default();
    let separator = [',', '\t', ';'].into_iter().find(|separator| first.contains(*separator));
    match separator {
        None => Ok(sequences(text)),
        Some(separator) => table(text, separator),
    }
}

fn sequences(text: &str) -> Read<'_> {
    let mut read = Read::default();
    for (profile, line) in text.lines().filter(|line| !line.trim().is_empty()).enumerate() {
        for (minute, item) in line.split_whitespace().skip(1).enumerate() {
            let at = Timestamp::from_secs(60 * minute as i64);
            read.interactions.push(Interaction { profile: profile as i64, item, action: Action::Viewed, at });
        }
    }
    read
}

fn table(text: &str, separator: char) -> Result<Read<'_>, String> {
    let mut lines = text.lines();
    let header = fields(lines.next().unwrap_or_default(), separator);
    let plain: Vec<String> = header
        .iter()
        .map(|name| name.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase())
        .collect();
    let column = |names: &[&str]| names.iter().find_map(|name| plain.iter().position(|own| own == name));
    let needed = |what: &str, names: &[&str]| {
        column(names).ok_or_else(|| {
            format!("The table has no column for the {what}: name one of its columns {}.", names.join(", "))
        })
    };
    let (profile, item, time) =
        (needed("profile", &PROFILE)?, needed("item", &ITEM)?, needed("time", &TIME)?);
    let event = column(&EVENT);
    let positive: Vec<usize> = POSITIVE.iter().filter_map(|name| column(&[name])).collect();
    let mut numbers: HashMap<&str, i64> = HashMap::new();
    let mut read = Read::default();
    for line in lines.filter(|line| !line.is_empty()) {
        let row = fields(line, separator);
        let cell = |at: usize| row.get(at).map(|text| text.trim()).filter(|text| !text.is_empty());
        let more_than_nothing = |at: &usize| {
            cell(*at).and_then(|text| text.parse::<f64>().ok()).is_some_and(|number| number > 0.0)
        };
        let action = match event {
            Some(event) => cell(event).and_then(Action::of_event),
            None if positive.is_empty() => Some(Action::Viewed),
            None => Some(Action::Bought),
        };
        let found = (|| Some((cell(profile)?, cell(item)?, instant(cell(time)?)?, action?)))();
        let Some((profile, item, at, action)) = found.filter(|_| positive.iter().all(more_than_nothing))
        else {
            read.left_out += 1;
            continue;
        };
        let next = numbers.len() as i64;
        let profile = *numbers.entry(profile).or_insert(next);
        read.interactions.push(Interaction { profile, item, action, at });
    }
    Ok(read)
}

/// An instant: RFC 3339, a date, a date and a time in UTC, or seconds since 1970.
pub fn instant(text: &str) -> Option<Timestamp> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Some(Timestamp::from_micros((seconds * 1e6) as i64));
    }
    // Read as a date alone, a date with a time would lose its time.
    let as_utc = Timestamp::parse(&format!("{}Z", text.replacen(' ', "T", 1)));
    as_utc.or_else(|| Timestamp::parse(text))
}

/// The fields of one line; quotes are taken off, doubled ones inside stay.
fn fields(line: &str, separator: char) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = line;
    loop {
        let quoted = rest.strip_prefix('"').and_then(|inner| {
            let mut at = 0;
            loop {
                at += inner[at..].find('"')?;
                if inner[at + 1..].starts_with('"') {
                    at += 2;
                } else {
                    return Some((&inner[..at], &inner[at + 1..]));
                }
            }
        });
        let (field, after) = match quoted {
            Some((field, after)) => (field, after),
            None => rest.split_at(rest.find(separator).unwrap_or(rest.len())),
        };
        out.push(field);
        match after.find(separator) {
            Some(at) => rest = &after[at + separator.len_utf8()..],
            None => return out,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_items_are_sequences_a_minute_apart() {
        let read = read("1 a b\n2 c\n").unwrap();
        let items: Vec<(i64, &str)> = read.interactions.iter().map(|one| (one.profile, one.item)).collect();
        assert_eq!(items, [(0, "a"), (0, "b"), (1, "c")]);
        assert!(read.interactions[0].at < read.interactions[1].at);
    }

    #[test]
    fn a_table_is_read_by_its_header_and_what_is_no_purchase_is_counted() {
        let text = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID\n\
                    1,A,\"CUP, \"\"BLUE\"\"\",2,2010-12-01 08:26:00,1.5,17\n\
                    2,B,CUP,-2,2010-12-01 08:26:00,1.5,17\n\
                    3,C,CUP,2,2010-12-01 08:26:00,1.5,\n";
        let found = read(text).unwrap();
        assert_eq!((found.interactions.len(), found.left_out), (1, 2));
        let one = found.interactions[0];
        assert_eq!((one.item, one.action), ("A", Action::Bought));
        assert_eq!(Some(one.at), Timestamp::parse("2010-12-01T08:26:00Z"));
        assert!(read("a,b\n1,2\n").unwrap_err().contains("profile"));
    }

    #[test]
    fn tabs_and_seconds_are_read_as_well() {
        let found = read("SessionId\tItemId\tTime\n27\t5959\t1593536687.0\n").unwrap();
        assert_eq!(found.interactions[0].at, Timestamp::from_secs(1_593_536_687));
        assert_eq!(found.interactions[0].action, Action::Viewed);
    }
}
