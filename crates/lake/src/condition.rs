//! The functions that conditions as SQL call (`expr::sql::DataFusion`): JSON values in one spelling, tests of them, and
//! the calendar of a time zone. JSON values travel as text; NULL is missing.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::DataFusionError;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use expr::{Attributes, Filter, Path, Period, Quantifier, Span, Test};
use jiff::tz::TimeZone;
use model::{Timestamp, Value};

/// What a row's arguments are read from.
struct Rows {
    columns: Vec<ArrayRef>,
    /// What was read of a text before: paths, tests and zones are the same in every row.
    zones: HashMap<String, TimeZone>,
}

impl Rows {
    fn text(&self, column: usize, row: usize) -> Option<&str> {
        let column = self.columns[column].as_string::<i32>();
        (!column.is_null(row)).then(|| column.value(row))
    }

    fn json(&self, column: usize, row: usize) -> Option<Value> {
        serde_json::from_str(self.text(column, row)?).ok()
    }

    fn whole(&self, column: usize, row: usize) -> Option<i64> {
        let column = self.columns[column].as_primitive::<Int64Type>();
        (!column.is_null(row)).then(|| column.value(row))
    }

    fn flag(&self, column: usize, row: usize) -> bool {
        let column = self.columns[column].as_boolean();
        !column.is_null(row) && column.value(row)
    }

    fn zone(&mut self, column: usize, row: usize) -> TimeZone {
        let Some(name) = self.text(column, row).map(str::to_owned) else { return TimeZone::UTC };
        let read = |name: &String| TimeZone::get(name).unwrap_or(TimeZone::UTC);
        self.zones.entry(name).or_insert_with_key(read).clone()
    }
}

/// A value that is read once of a text that stays the same from row to row.
struct Constant<T> {
    known: Option<(String, Option<T>)>,
}

impl<T> Constant<T> {
    fn new() -> Constant<T> {
        Constant { known: None }
    }

    fn of(&mut self, text: &str, read: impl Fn(&str) -> Option<T>) -> Option<&T> {
        if self.known.as_ref().is_none_or(|(known, _)| known != text) {
            self.known = Some((text.to_owned(), read(text)));
        }
        self.known.as_ref().and_then(|(_, value)| value.as_ref())
    }
}

/// Computes a column row by row.
fn each<T>(
    arguments: &[ColumnarValue],
    mut answer: impl FnMut(&mut Rows, usize) -> Option<T>,
) -> Result<Vec<Option<T>>, DataFusionError> {
    let columns = ColumnarValue::values_to_arrays(arguments)?;
    let many = columns.first().map_or(0, |column| column.len());
    let mut rows = Rows { columns, zones: HashMap::new() };
    Ok((0..many).map(|row| answer(&mut rows, row)).collect())
}

fn texts(values: Vec<Option<String>>) -> ColumnarValue {
    ColumnarValue::Array(Arc::new(StringArray::from(values)) as ArrayRef)
}

fn flags(values: Vec<Option<bool>>) -> ColumnarValue {
    ColumnarValue::Array(Arc::new(BooleanArray::from(values)) as ArrayRef)
}

fn numbers(values: Vec<Option<f64>>) -> ColumnarValue {
    ColumnarValue::Array(Arc::new(Float64Array::from(values)) as ArrayRef)
}

fn wholes(values: Vec<Option<i64>>) -> ColumnarValue {
    ColumnarValue::Array(Arc::new(Int64Array::from(values)) as ArrayRef)
}

fn read<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}

/// A path as conditions write it.
fn path(text: &str) -> Option<Path> {
    serde_json::from_value(text.into()).ok()
}

fn span(text: &str) -> Option<Span> {
    let (amount, unit) = text.split_once(' ')?;
    Some(Span { amount: amount.parse().ok()?, unit: expr::Unit::from_word(unit)? })
}

type Answer = Result<ColumnarValue, DataFusionError>;

fn value_at(arguments: &[ColumnarValue]) -> Answer {
    let mut known = Constant::new();
    Ok(texts(each(arguments, |rows, row| {
        let path = known.of(rows.text(1, row)?, path)?;
        let properties = rows.json(0, row)?;
        expr::lookup(&properties, path).filter(|value| !value.is_null()).map(Value::to_string)
    })?))
}

fn attribute_at(arguments: &[ColumnarValue]) -> Answer {
    Ok(texts(each(arguments, |rows, row| {
        let Value::Object(attributes) = rows.json(0, row)? else { return None };
        let found = Attributes::get(&attributes, rows.text(1, row)?)?;
        (!found.is_null()).then(|| found.to_string())
    })?))
}

fn attribute_stated(arguments: &[ColumnarValue]) -> Answer {
    Ok(flags(each(arguments, |rows, row| {
        let properties = rows.json(0, row)?;
        let path = rows.text(1, row)?;
        let first = path.split('.').next().unwrap_or(path);
        Some(properties.get(path).is_some() || properties.get(first).is_some())
    })?))
}

fn value_text(arguments: &[ColumnarValue]) -> Answer {
    Ok(texts(each(arguments, |rows, row| rows.json(0, row)?.as_str().map(str::to_owned))?))
}

fn value_number(arguments: &[ColumnarValue]) -> Answer {
    Ok(numbers(each(arguments, |rows, row| {
        let value = rows.json(0, row)?;
        value.is_number().then(|| value.as_f64()).flatten()
    })?))
}

fn value_boolean(arguments: &[ColumnarValue]) -> Answer {
    Ok(flags(each(arguments, |rows, row| rows.json(0, row)?.as_bool())?))
}

fn value_scalar(arguments: &[ColumnarValue]) -> Answer {
    Ok(texts(each(arguments, |rows, row| match rows.json(0, row)? {
        Value::Number(number) => {
            number.as_f64().filter(|n| n.is_finite()).map(|n| Value::from(n).to_string())
        }
        Value::Bool(value) => rows.flag(1, row).then(|| value.to_string()),
        text @ Value::String(_) => Some(text.to_string()),
        _ => None,
    })?))
}

fn value_passes(arguments: &[ColumnarValue]) -> Answer {
    let mut known: Constant<Test> = Constant::new();
    Ok(flags(each(arguments, |rows, row| {
        let zone = rows.zone(2, row);
        let now = Timestamp::from_micros(rows.whole(3, row)?);
        let value = rows.json(0, row);
        let test = known.of(rows.text(1, row)?, read)?;
        Some(expr::test_value(test, value.as_ref(), now, &zone).holds)
    })?))
}

fn elements_pass(arguments: &[ColumnarValue]) -> Answer {
    let mut known: Constant<Filter> = Constant::new();
    Ok(flags(each(arguments, |rows, row| {
        let list = rows.json(0, row)?;
        let quantifier = Quantifier::from_word(rows.text(1, row)?)?;
        let filter = known.of(rows.text(2, row)?, read)?;
        Some(expr::elements_pass(quantifier, Some(&list), filter))
    })?))
}

fn span_after(arguments: &[ColumnarValue]) -> Answer {
    Ok(wholes(each(arguments, |rows, row| {
        let zone = rows.zone(2, row);
        let from = Timestamp::from_micros(rows.whole(0, row)?);
        Some(span(rows.text(1, row)?)?.after(from, &zone).micros())
    })?))
}

fn period_of(arguments: &[ColumnarValue]) -> Answer {
    Ok(wholes(each(arguments, |rows, row| {
        let zone = rows.zone(2, row);
        let at = Timestamp::from_micros(rows.whole(0, row)?);
        Some(expr::bucket(Period::from_word(rows.text(1, row)?)?, at, &zone))
    })?))
}

fn random_draw(arguments: &[ColumnarValue]) -> Answer {
    Ok(numbers(each(arguments, |rows, row| Some(expr::draw(rows.text(0, row)?, rows.text(1, row)?)))?))
}

/// All of them.
pub fn functions() -> Vec<ScalarUDF> {
    use DataType::{Boolean, Float64, Int64, Utf8};
    type Function = fn(&[ColumnarValue]) -> Answer;
    let all: [(&str, Vec<DataType>, DataType, Function); 12] = [
        ("value_at", vec![Utf8, Utf8], Utf8, value_at),
        ("attribute_at", vec![Utf8, Utf8], Utf8, attribute_at),
        ("attribute_stated", vec![Utf8, Utf8], Boolean, attribute_stated),
        ("value_text", vec![Utf8], Utf8, value_text),
        ("value_number", vec![Utf8], Float64, value_number),
        ("value_boolean", vec![Utf8], Boolean, value_boolean),
        ("value_scalar", vec![Utf8, Boolean], Utf8, value_scalar),
        ("value_passes", vec![Utf8, Utf8, Utf8, Int64], Boolean, value_passes),
        ("elements_pass", vec![Utf8, Utf8, Utf8], Boolean, elements_pass),
        ("span_after", vec![Int64, Utf8, Utf8], Int64, span_after),
        ("period_of", vec![Int64, Utf8, Utf8], Int64, period_of),
        ("random_draw", vec![Utf8, Utf8], Float64, random_draw),
    ];
    all.into_iter()
        .map(|(name, arguments, answer, function)| {
            create_udf(name, arguments, answer, Volatility::Immutable, Arc::new(function))
        })
        .collect()
}
