//! Tests of single values and filters of properties as SQL.

use crate::ast::{Filter, Literal, Op, Test};
use crate::sql::Dialect;

/// A text as a literal.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A number as a literal.
pub fn number(number: f64) -> String {
    if number == number.trunc() && number.abs() < 1e15 {
        format!("{number:.1}")
    } else {
        format!("{number:e}")
    }
}

/// An expression of text begins with a text.
pub fn begins(expression: &str, beginning: &str) -> String {
    format!("LEFT({expression}, {}) = {}", beginning.chars().count(), quoted(beginning))
}

fn sign(op: Op) -> &'static str {
    if op == Op::NotEqual { "<>" } else { op.sign() }
}

/// A test of a JSON value; never NULL.
pub fn test(test: &Test, json: &str, zone: &str, now_micros: i64, dialect: &dyn Dialect) -> String {
    let compared = |op: Op, literal: &Literal| match literal {
        Literal::Number(value) => format!("{} {} {}", dialect.number(json), sign(op), number(*value)),
        Literal::Text(value) => format!("{} {} {}", dialect.text(json), sign(op), quoted(value)),
        // A truth value compares as 0 and 1.
        Literal::Bool(value) => {
            format!("CAST({} AS INT) {} {}", dialect.boolean(json), sign(op), i32::from(*value))
        }
    };
    let sure = |text: String| format!("COALESCE({text}, FALSE)");
    let any = |values: &[Literal]| {
        let each: Vec<String> = values.iter().map(|value| sure(compared(Op::Equal, value))).collect();
        format!("({})", each.join(" OR "))
    };
    match test {
        Test::Compare { op, value } => sure(compared(*op, value)),
        Test::Between { low, high } => {
            format!(
                "({} AND {})",
                sure(compared(Op::GreaterOrEqual, low)),
                sure(compared(Op::LessOrEqual, high))
            )
        }
        Test::In { values } => any(values),
        Test::NotIn { values } => format!("({json} IS NOT NULL AND NOT {})", any(values)),
        Test::Missing => format!("({json} IS NULL)"),
        Test::Present => format!("({json} IS NOT NULL)"),
        Test::StartsWith { text } => sure(begins(&dialect.text(json), text)),
        Test::EndsWith { text } => {
            let many = text.chars().count();
            sure(format!("RIGHT({}, {many}) = {}", dialect.text(json), quoted(text)))
        }
        test => {
            let test = serde_json::to_string(test).unwrap_or_default();
            sure(dialect.passes(json, &test, zone, now_micros))
        }
    }
}

/// A test of a number that SQL has computed; NULL is missing.
pub fn number_test(test: &Test, expression: &str) -> String {
    let sure = |text: String| format!("COALESCE({text}, FALSE)");
    let compared = |op: Op, literal: &Literal| match literal {
        Literal::Number(value) => sure(format!("{expression} {} {}", sign(op), number(*value))),
        _ => "FALSE".to_owned(),
    };
    let any = |values: &[Literal]| {
        let each: Vec<String> = values.iter().map(|value| compared(Op::Equal, value)).collect();
        format!("({})", each.join(" OR "))
    };
    match test {
        Test::Compare { op, value } => compared(*op, value),
        Test::Between { low, high } => {
            format!("({} AND {})", compared(Op::GreaterOrEqual, low), compared(Op::LessOrEqual, high))
        }
        Test::In { values } => any(values),
        Test::NotIn { values } => format!("({expression} IS NOT NULL AND NOT {})", any(values)),
        Test::Missing => format!("({expression} IS NULL)"),
        Test::Present => format!("({expression} IS NOT NULL)"),
        _ => "FALSE".to_owned(),
    }
}

/// A filter of a JSON column of properties; never NULL.
pub fn filter(filter: &Filter, column: &str, dialect: &dyn Dialect) -> String {
    let all = |parts: &[Filter], word: &str| {
        let parts: Vec<String> = parts.iter().map(|part| self::filter(part, column, dialect)).collect();
        format!("({})", parts.join(word))
    };
    match filter {
        Filter::And { all: parts } => all(parts, " AND "),
        Filter::Or { any: parts } => all(parts, " OR "),
        Filter::Not { filter } => format!("(NOT {})", self::filter(filter, column, dialect)),
        // Properties are never tested against the present, and dates without a zone are read in UTC.
        Filter::Property { path, test } => {
            self::test(test, &dialect.json(column, &path.to_string()), "'UTC'", 0, dialect)
        }
        Filter::Elements { quantifier, path, filter } => {
            let filter = serde_json::to_string(filter).unwrap_or_default();
            let list = dialect.json(column, &path.to_string());
            format!("COALESCE({}, FALSE)", dialect.elements(&list, quantifier.word(), &filter))
        }
    }
}
