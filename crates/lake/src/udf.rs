//! Functions of our SQL: reading JSON text by a dotted path, and resolving merged profiles.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::DataFusionError;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use serde_json::Value;

use crate::owners::Owners;

fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    match value.get(path) {
        Some(found) => Some(found),
        None => path.split('.').try_fold(value, |value, name| match name.parse::<usize>() {
            Ok(index) if value.is_array() => value.get(index),
            _ => value.get(name),
        }),
    }
}

/// Applies `read` to the value at the path of each row.
fn each<T>(
    arguments: &[ColumnarValue],
    read: impl Fn(&Value) -> Option<T>,
) -> Result<Vec<Option<T>>, DataFusionError> {
    let arrays = ColumnarValue::values_to_arrays(arguments)?;
    let (texts, paths) = (arrays[0].as_string::<i32>(), arrays[1].as_string::<i32>());
    let mut out = Vec::with_capacity(texts.len());
    for row in 0..texts.len() {
        if texts.is_null(row) || paths.is_null(row) {
            out.push(None);
            continue;
        }
        let parsed: Option<Value> = serde_json::from_str(texts.value(row)).ok();
        out.push(parsed.as_ref().and_then(|value| at(value, paths.value(row))).and_then(&read));
    }
    Ok(out)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// The functions that every query may use.
pub fn all() -> Vec<ScalarUDF> {
    let two = || vec![DataType::Utf8, DataType::Utf8];
    let json_text = create_udf(
        "json_text",
        two(),
        DataType::Utf8,
        Volatility::Immutable,
        Arc::new(|arguments: &[ColumnarValue]| {
            let values = each(arguments, text)?;
            Ok(ColumnarValue::Array(Arc::new(StringArray::from(values)) as ArrayRef))
        }),
    );
    let json_number = create_udf(
        "json_number",
        two(),
        DataType::Float64,
        Volatility::Immutable,
        Arc::new(|arguments: &[ColumnarValue]| {
            let values = each(arguments, number)?;
            Ok(ColumnarValue::Array(Arc::new(Float64Array::from(values)) as ArrayRef))
        }),
    );
    let json_bool = create_udf(
        "json_bool",
        two(),
        DataType::Boolean,
        Volatility::Immutable,
        Arc::new(|arguments: &[ColumnarValue]| {
            let values = each(arguments, Value::as_bool)?;
            Ok(ColumnarValue::Array(Arc::new(BooleanArray::from(values)) as ArrayRef))
        }),
    );
    vec![json_text, json_number, json_bool]
}

/// The profile that the event at a position belongs to now. Not for queries: it knows all workspaces.
pub fn resolve(owners: Arc<Owners>) -> ScalarUDF {
    create_udf(
        "resolve_profile",
        vec![DataType::Int64, DataType::Int64],
        DataType::Int64,
        Volatility::Immutable,
        Arc::new(move |arguments: &[ColumnarValue]| {
            let arrays = ColumnarValue::values_to_arrays(arguments)?;
            let (stored, positions) =
                (arrays[0].as_primitive::<Int64Type>(), arrays[1].as_primitive::<Int64Type>());
            let resolved: Int64Array = stored
                .iter()
                .zip(positions)
                .map(|(id, position)| Some(owners.of(id?, position.unwrap_or(0))))
                .collect();
            Ok(ColumnarValue::Array(Arc::new(resolved) as ArrayRef))
        }),
    )
}
