//! Rows to calls by a mapping: what an import feeds to the collector's own intake.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use model::{Map, Value};
use serde_json::json;

use super::decimal::Decimal;
use super::mapping::{Compiled, Rule, Source, Special};

/// Lines of groups that may be held before the oldest group is closed. They lie in memory.
const HELD_LINES_MAX: usize = 50_000;
/// People whose attributes are remembered as already told.
const IDENTIFIED_MAX: usize = 5_000_000;
/// Groups that are remembered as closed.
const CLOSED_MAX: usize = 5_000_000;
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

/// A call, and the line that it, or its first row, stands on.
#[derive(Debug)]
pub struct Ready {
    /// The line.
    pub line: u64,
    /// The call.
    pub call: Value,
}

struct Group {
    rule: usize,
    line: u64,
    rows: Vec<Value>,
}

/// Turns rows into calls; grouped lines are held until their group closes.
pub struct Converter {
    compiled: Compiled,
    zone: jiff::tz::TimeZone,
    open: HashMap<(usize, String), Group>,
    order: VecDeque<(usize, String)>,
    held_lines: usize,
    closed: HashSet<u64>,
    identified: HashSet<u64>,
    /// Calls ready to be taken.
    pub ready: Vec<Ready>,
}

impl Converter {
    /// A converter for `compiled`.
    ///
    /// # Errors
    /// When the mapping's time zone is unknown.
    pub fn new(compiled: Compiled) -> Result<Converter, String> {
        let zone = match &compiled.mapping.timezone {
            Some(name) => {
                jiff::tz::TimeZone::get(name).map_err(|_| format!("the time zone '{name}' is unknown"))?
            }
            None => jiff::tz::TimeZone::UTC,
        };
        Ok(Converter {
            compiled,
            zone,
            open: HashMap::new(),
            order: VecDeque::new(),
            held_lines: 0,
            closed: HashSet::new(),
            identified: HashSet::new(),
            ready: Vec::new(),
        })
    }

    /// The mapping.
    pub fn compiled(&self) -> &Compiled {
        &self.compiled
    }

    /// Takes one row.
    pub fn take(&mut self, line: u64, row: &Map) -> Taken {
        let row = Value::Object(typed(row));
        let matching =
            |filter: &Option<expr::Filter>| filter.as_ref().is_none_or(|filter| filter.matches(&row));
        let Some(number) = (0..self.compiled.when.len()).find(|n| matching(&self.compiled.when[*n])) else {
            return Taken::Refused("no rule of the mapping takes this row".to_owned());
        };
        if !matching(&self.compiled.keep[number]) {
            return Taken::LeftOut;
        }
        let taken = match self.compiled.mapping.event[number].group_by.clone() {
            None => self.make(number, line, std::slice::from_ref(&row)),
            Some(column) => self.group(number, line, row, &column),
        };
        match taken {
            Ok(()) => Taken::Used,
            Err(reason) => Taken::Refused(reason),
        }
    }

    fn group(&mut self, number: usize, line: u64, row: Value, column: &str) -> Result<(), String> {
        let key = row.get(column).map(text_of).ok_or_else(|| empty(column))?;
        let rule = &self.compiled.mapping.event[number];
        let id = (number, key);
        if let Some(group) = self.open.get_mut(&id) {
            // What must be there is looked at row by row, so that a refusal names the row that is at fault.
            if let Some(missing) = rule.needs().find(|name| row.get(*name).is_none()) {
                return Err(empty(missing));
            }
            if group.rows.len() >= GROUP_LINES_MAX {
                return Err(format!("more than {GROUP_LINES_MAX} lines share one '{column}'"));
            }
            group.rows.push(row);
        } else {
            if self.closed.contains(&digest(&id)) {
                return Err(format!(
                    "its '{column}' was closed {HELD_LINES_MAX} lines ago: sort the file by '{column}'"
                ));
            }
            self.call(rule, std::slice::from_ref(&row))?;
            self.open.insert(id.clone(), Group { rule: number, line, rows: vec![row] });
            self.order.push_back(id);
        }
        self.held_lines += 1;
        while self.held_lines > HELD_LINES_MAX && self.close_oldest() {}
        Ok(())
    }

    /// Closes every open group.
    pub fn finish(&mut self) {
        while self.close_oldest() {}
    }

    fn close_oldest(&mut self) -> bool {
        let Some(id) = self.order.pop_front() else { return false };
        if self.closed.len() < CLOSED_MAX {
            self.closed.insert(digest(&id));
        }
        if let Some(group) = self.open.remove(&id) {
            self.held_lines -= group.rows.len();
            // The first row made a call by itself already; more rows only lengthen its list.
            if let Err(reason) = self.make(group.rule, group.line, &group.rows) {
                tracing::error!(line = group.line, reason, "a group of rows made no call");
            }
        }
        true
    }

    fn make(&mut self, number: usize, line: u64, rows: &[Value]) -> Result<(), String> {
        let rule = &self.compiled.mapping.event[number];
        let call = self.call(rule, rows)?;
        let traits = values(&rule.traits, rows);
        self.queue(line, call, traits);
        Ok(())
    }

    fn call(&self, rule: &Rule, rows: &[Value]) -> Result<Value, String> {
        let first = &rows[0];
        let mut call = json!({"type": rule.call, "messageId": fill(&rule.message_id, first)?});
        if !rule.name.is_empty() {
            call["event"] = json!(fill(&rule.name, first)?);
        }
        for (column, name) in [(&rule.user_id, "userId"), (&rule.anonymous_id, "anonymousId")] {
            if let Some(column) = column {
                call[name] = json!(first.get(column).map(text_of).ok_or_else(|| empty(column))?);
            }
        }
        if let Some(column) = &rule.timestamp {
            let value = first.get(column).map(text_of).ok_or_else(|| empty(column))?;
            call["timestamp"] = json!(self.instant(&value)?);
        }
        let mut properties = values(&rule.properties, rows);
        if let Some(list) = &rule.lines {
            let items = rows.iter().map(|row| Value::Object(values(&list.item, std::slice::from_ref(row))));
            properties.insert(list.into.clone(), Value::Array(items.collect()));
        }
        let target = if rule.call == "identify" { "traits" } else { "properties" };
        call[target] = Value::Object(properties);
        Ok(call)
    }

    /// Queues the call and, once for each person and set of attributes, an `identify` before it.
    fn queue(&mut self, line: u64, call: Value, traits: Map) {
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
                self.ready.push(Ready { line, call: identify });
            }
        }
        self.ready.push(Ready { line, call });
    }

    /// Reads RFC 3339, `YYYY-MM-DD[ HH:MM[:SS]]` in the mapping's zone, or Unix seconds.
    fn instant(&self, text: &str) -> Result<String, String> {
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

fn empty(column: &str) -> String {
    format!("the column '{column}' is empty")
}

fn digest((rule, key): &(usize, String)) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(key.as_bytes(), *rule as u64)
}

/// Texts that read as numbers, `true` or `false` become such values, so that conditions compare them as what they are.
pub fn typed(row: &Map) -> Map {
    row.iter().map(|(name, value)| (name.clone(), typed_value(value))).collect()
}

fn typed_value(value: &Value) -> Value {
    let Some(text) = value.as_str() else { return value.clone() };
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => number_of(text).unwrap_or_else(|| value.clone()),
    }
}

fn number_of(text: &str) -> Option<Value> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    // A leading zero or plus marks a code, not a quantity.
    if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.")) {
        return None;
    }
    if !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    if let Ok(whole) = text.parse::<i64>() {
        return Some(json!(whole));
    }
    // More digits than a number keeps are a code as well.
    if digits.len() > 17 { None } else { text.parse::<f64>().ok().map(|number| json!(number)) }
}

/// The value as text.
pub fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn fill(pattern: &str, row: &Value) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        let (column, tail) =
            after.split_once('}').ok_or_else(|| format!("'{pattern}' has a {{ without its }}"))?;
        let value = row.get(column).ok_or_else(|| empty(column))?;
        out.push_str(before);
        out.push_str(&text_of(value));
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

fn values(sources: &BTreeMap<String, Source>, rows: &[Value]) -> Map {
    let mut out = Map::new();
    let first = &rows[0];
    for (name, source) in sources {
        let value = match source {
            Source::Column(column) => first.get(column).cloned(),
            Source::Special(Special::Constant(value)) => Some(value.clone()),
            Source::Special(Special::Text(column)) => first.get(column).map(|v| Value::String(text_of(v))),
            Source::Special(Special::SumProduct(columns)) => sum_product(columns, rows),
        };
        if let Some(value) = value {
            out.insert(name.clone(), value);
        }
    }
    out
}

/// A row in which one of the columns is no number adds nothing.
fn sum_product(columns: &[String], rows: &[Value]) -> Option<Value> {
    let product = |row: &Value| {
        columns.iter().try_fold(Decimal::ONE, |product, column| product.times(Decimal::of(row.get(column)?)?))
    };
    let sum = rows.iter().filter_map(product).try_fold(Decimal::ZERO, Decimal::plus);
    sum.map(Decimal::to_json)
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
        assert_eq!(converter.take(1, &row("536365", "6", "2.55", "17850")), Taken::Used);
        assert_eq!(converter.take(1, &row("C536379", "-1", "27.5", "14527")), Taken::Used);
        assert_eq!(converter.take(1, &row("536365", "2", "1.25", "17850")), Taken::Used);
        assert_eq!(converter.take(1, &row("536366", "2", "0", "17850")), Taken::LeftOut);
        assert!(matches!(converter.take(1, &row("536367", "2", "1", "")), Taken::Refused(_)));
        converter.finish();
        assert_eq!(converter.ready.len(), 4);
        assert_eq!(converter.ready[0].call["traits"]["country"], "France");
        let order = &converter.ready[1].call;
        assert_eq!(order["event"], "Order Completed");
        assert_eq!(order["userId"], "17850");
        // British summer time.
        assert_eq!(order["timestamp"], "2011-06-10T07:26:00Z");
        assert_eq!(order["properties"]["revenue"], 17.8);
        assert_eq!(order["properties"]["products"].as_array().unwrap().len(), 2);
        assert_eq!(order["properties"]["products"][0]["product_id"], "85123A");
        assert_eq!(converter.ready[3].call["event"], "Order Cancelled");
        assert_eq!(converter.ready[3].call["properties"]["revenue"], -27.5);
    }

    #[test]
    fn a_line_whose_group_was_closed_is_refused_rather_than_lost() {
        let text = include_str!("../../../../mappings/online-retail.toml");
        let mut converter = Converter::new(mapping::compile(text).unwrap()).unwrap();
        for number in 0..=HELD_LINES_MAX {
            assert_eq!(converter.take(1, &row(&format!("{number}"), "1", "1", "17850")), Taken::Used);
        }
        let Taken::Refused(reason) = converter.take(1, &row("0", "1", "1", "17850")) else {
            panic!("the line was taken");
        };
        assert!(reason.contains("sort the file"), "{reason}");
    }

    #[test]
    fn codes_stay_text_and_quantities_become_numbers() {
        for (text, value) in [
            ("12", json!(12)),
            ("-1.5", json!(-1.5)),
            ("0.25", json!(0.25)),
            ("true", json!(true)),
            ("007", json!("007")),
            ("+49", json!("+49")),
            ("1e5", json!("1e5")),
            ("4006381333931000000000", json!("4006381333931000000000")),
        ] {
            assert_eq!(typed_value(&json!(text)), value, "{text}");
        }
    }
}
