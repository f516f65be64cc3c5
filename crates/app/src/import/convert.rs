//! Rows to calls by a mapping: what an import feeds to the collector's own intake.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use anyhow::Result;
use model::{Map, Value};
use serde_json::json;

use super::mapping::{Compiled, Rule, Source, Special};

/// Groups that may be open at once before the oldest is closed.
const OPEN_GROUPS_MAX: usize = 50_000;
/// People whose attributes are remembered as already told.
const IDENTIFIED_MAX: usize = 5_000_000;
/// Lines of one group.
const GROUP_LINES_MAX: usize = 2_000;

/// What became of a row.
#[derive(Debug, PartialEq)]
pub enum Taken {
    /// It went into a call.
    Used,
    /// A rule left it out on purpose.
    LeftOut,
    /// It cannot be used, and why.
    Refused(String),
}

struct Group {
    rule: usize,
    first: Map,
    lines: Vec<Map>,
}

/// Turns rows into calls; grouped lines are held until their group closes.
pub struct Converter {
    compiled: Compiled,
    zone: jiff::tz::TimeZone,
    open: HashMap<(usize, String), Group>,
    order: VecDeque<(usize, String)>,
    identified: HashSet<u64>,
    /// Calls ready to be taken.
    pub ready: Vec<Value>,
}

impl Converter {
    /// A converter for `compiled`.
    ///
    /// # Errors
    /// When the mapping's time zone is unknown.
    pub fn new(compiled: Compiled) -> Result<Converter> {
        let zone = match &compiled.mapping.timezone {
            Some(name) => jiff::tz::TimeZone::get(name)?,
            None => jiff::tz::TimeZone::UTC,
        };
        Ok(Converter {
            compiled,
            zone,
            open: HashMap::new(),
            order: VecDeque::new(),
            identified: HashSet::new(),
            ready: Vec::new(),
        })
    }

    /// The column separator the mapping names.
    pub fn delimiter(&self) -> Option<char> {
        self.compiled.mapping.delimiter
    }

    /// Takes one row.
    pub fn take(&mut self, row: &Map) -> Taken {
        let row = typed(row);
        let matching = |filter: &Option<expr::Filter>| {
            filter.as_ref().is_none_or(|filter| filter.matches(&Value::Object(row.clone())))
        };
        let Some(number) = (0..self.compiled.when.len()).find(|n| matching(&self.compiled.when[*n])) else {
            return Taken::Refused("no rule of the mapping takes this row".to_owned());
        };
        if !matching(&self.compiled.keep[number]) {
            return Taken::LeftOut;
        }
        let rule = &self.compiled.mapping.event[number];
        let Some(column) = rule.group_by.clone() else {
            return match self.call(rule, &row, std::slice::from_ref(&row)) {
                Ok(call) => {
                    let traits = values(&rule.traits, &row, std::slice::from_ref(&row));
                    self.queue(call, traits);
                    Taken::Used
                }
                Err(reason) => Taken::Refused(reason),
            };
        };
        let Some(key) = row.get(&column).map(text_of) else {
            return Taken::Refused(format!("the column '{column}' is empty"));
        };
        // Checks the row by itself, so that a refusal names the row that is at fault.
        if let Err(reason) = self.call(rule, &row, std::slice::from_ref(&row)) {
            return Taken::Refused(reason);
        }
        let id = (number, key);
        if let Some(group) = self.open.get_mut(&id) {
            if group.lines.len() >= GROUP_LINES_MAX {
                return Taken::Refused(format!("more than {GROUP_LINES_MAX} lines share one '{column}'"));
            }
            group.lines.push(row);
        } else {
            self.open.insert(id.clone(), Group { rule: number, first: row.clone(), lines: vec![row] });
            self.order.push_back(id);
            if self.order.len() > OPEN_GROUPS_MAX {
                self.close_oldest();
            }
        }
        Taken::Used
    }

    /// Closes every open group.
    pub fn finish(&mut self) {
        while !self.order.is_empty() {
            self.close_oldest();
        }
    }

    fn close_oldest(&mut self) {
        let Some(id) = self.order.pop_front() else { return };
        let Some(group) = self.open.remove(&id) else { return };
        let rule = &self.compiled.mapping.event[group.rule];
        if let Ok(call) = self.call(rule, &group.first, &group.lines) {
            let traits = values(&rule.traits, &group.first, &group.lines);
            self.queue(call, traits);
        }
    }

    fn call(&self, rule: &Rule, first: &Map, lines: &[Map]) -> std::result::Result<Value, String> {
        let mut call = json!({"type": rule.call, "messageId": fill(&rule.message_id, first)?});
        if !rule.name.is_empty() {
            call["event"] = json!(fill(&rule.name, first)?);
        }
        for (column, name) in [(&rule.user_id, "userId"), (&rule.anonymous_id, "anonymousId")] {
            if let Some(column) = column {
                let value = first.get(column).ok_or_else(|| format!("the column '{column}' is empty"))?;
                call[name] = json!(text_of(value));
            }
        }
        if let Some(column) = &rule.timestamp {
            let value =
                first.get(column).map(text_of).ok_or_else(|| format!("the column '{column}' is empty"))?;
            call["timestamp"] = json!(self.instant(&value)?);
        }
        let mut properties = values(&rule.properties, first, lines);
        if let Some(list) = &rule.lines {
            let items =
                lines.iter().map(|line| Value::Object(values(&list.item, line, std::slice::from_ref(line))));
            properties.insert(list.into.clone(), Value::Array(items.collect()));
        }
        if rule.call == "identify" {
            call["traits"] = Value::Object(properties);
        } else {
            call["properties"] = Value::Object(properties);
        }
        Ok(call)
    }

    /// Queues the call and, once for each person and set of attributes, an `identify` before it.
    fn queue(&mut self, call: Value, traits: Map) {
        if !traits.is_empty() {
            let traits = Value::Object(traits);
            let digest = xxhash_rust::xxh3::xxh3_64(
                format!("{}{}{traits}", call["userId"], call["anonymousId"]).as_bytes(),
            );
            if self.identified.len() < IDENTIFIED_MAX && self.identified.insert(digest) {
                let mut identify = json!({
                    "type": "identify", "messageId": format!("import-traits-{digest:016x}"), "traits": traits,
                });
                for name in ["userId", "anonymousId", "timestamp"] {
                    if let Some(value) = call.get(name) {
                        identify[name] = value.clone();
                    }
                }
                self.ready.push(identify);
            }
        }
        self.ready.push(call);
    }

    /// Reads RFC 3339, `YYYY-MM-DD[ HH:MM[:SS]]` in the mapping's zone, or Unix seconds.
    fn instant(&self, text: &str) -> std::result::Result<String, String> {
        if let Ok(instant) = text.parse::<jiff::Timestamp>() {
            return Ok(instant.to_string());
        }
        let civil = text
            .parse::<jiff::civil::DateTime>()
            .or_else(|_| text.parse::<jiff::civil::Date>().map(|date| date.at(0, 0, 0, 0)));
        if let Ok(civil) = civil {
            return self.zone.to_timestamp(civil).map(|t| t.to_string()).map_err(|e| e.to_string());
        }
        if let Ok(seconds) = text.parse::<i64>() {
            return jiff::Timestamp::from_second(seconds).map(|t| t.to_string()).map_err(|e| e.to_string());
        }
        Err(format!("'{text}' is not a time: write 2026-11-24T10:00:00Z or 2026-11-24 10:00"))
    }
}

/// Texts that read as numbers become numbers, so that conditions compare them as such.
fn typed(row: &Map) -> Map {
    row.iter()
        .map(|(name, value)| {
            let number = value.as_str().and_then(number_of);
            (name.clone(), number.unwrap_or_else(|| value.clone()))
        })
        .collect()
}

fn number_of(text: &str) -> Option<Value> {
    let digits = text.trim_start_matches('-');
    // A leading zero or plus marks a code, not a quantity.
    if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.")) {
        return None;
    }
    if let Ok(whole) = text.parse::<i64>() {
        return Some(json!(whole));
    }
    let plain = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if plain { text.parse::<f64>().ok().map(|number| json!(number)) } else { None }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn fill(pattern: &str, row: &Map) -> std::result::Result<String, String> {
    let mut out = String::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        let (column, tail) =
            after.split_once('}').ok_or_else(|| format!("'{pattern}' has a {{ without its }}"))?;
        let value = row.get(column).ok_or_else(|| format!("the column '{column}' is empty"))?;
        out.push_str(before);
        out.push_str(&text_of(value));
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

fn values(sources: &BTreeMap<String, Source>, first: &Map, lines: &[Map]) -> Map {
    let mut out = Map::new();
    for (name, source) in sources {
        let value = match source {
            Source::Column(column) => first.get(column).cloned(),
            Source::Special(Special::Constant(value)) => Some(value.clone()),
            Source::Special(Special::Text(column)) => first.get(column).map(|v| Value::String(text_of(v))),
            Source::Special(Special::SumProduct(columns)) => Some(json!(sum_product(columns, lines))),
        };
        if let Some(value) = value {
            out.insert(name.clone(), value);
        }
    }
    out
}

/// Sums in thousandths, so that cents come out exact.
fn sum_product(columns: &[String], lines: &[Map]) -> f64 {
    let sum: f64 = lines
        .iter()
        .map(|line| {
            let product: f64 =
                columns.iter().map(|c| line.get(c).and_then(Value::as_f64).unwrap_or(0.0)).product();
            (product * 1_000.0).round()
        })
        .sum();
    sum / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::super::mapping;
    use super::*;

    fn row(invoice: &str, quantity: &str, price: &str, customer: &str) -> Map {
        let mut row = Map::new();
        for (name, value) in [
            ("InvoiceNo", invoice),
            ("StockCode", "85123A"),
            ("Description", "T-LIGHT HOLDER"),
            ("Quantity", quantity),
            ("UnitPrice", price),
            ("InvoiceDate", "2011-06-10 08:26:00"),
            ("CustomerID", customer),
            ("Country", "France"),
        ] {
            if !value.is_empty() {
                row.insert(name.to_owned(), json!(value));
            }
        }
        row
    }

    #[test]
    fn lines_become_one_order_per_invoice_and_cancellations_their_own_event() {
        let text = include_str!("../../../../mappings/online-retail.toml");
        let mut converter = Converter::new(mapping::compile(text).unwrap()).unwrap();
        assert_eq!(converter.take(&row("536365", "6", "2.55", "17850")), Taken::Used);
        assert_eq!(converter.take(&row("C536379", "-1", "27.5", "14527")), Taken::Used);
        assert_eq!(converter.take(&row("536365", "2", "1.25", "17850")), Taken::Used);
        assert_eq!(converter.take(&row("536366", "2", "0", "17850")), Taken::LeftOut);
        assert!(matches!(converter.take(&row("536367", "2", "1", "")), Taken::Refused(_)));
        converter.finish();
        assert_eq!(converter.ready.len(), 4);
        assert_eq!(converter.ready[0]["traits"]["country"], "France");
        let order = &converter.ready[1];
        assert_eq!(order["event"], "Order Completed");
        assert_eq!(order["userId"], "17850");
        // British summer time.
        assert_eq!(order["timestamp"], "2011-06-10T07:26:00Z");
        assert_eq!(order["properties"]["revenue"], 17.8);
        assert_eq!(order["properties"]["products"].as_array().unwrap().len(), 2);
        assert_eq!(order["properties"]["products"][0]["product_id"], "85123A");
        assert_eq!(converter.ready[3]["event"], "Order Cancelled");
        assert_eq!(converter.ready[3]["properties"]["revenue"], -27.5);
    }
}
