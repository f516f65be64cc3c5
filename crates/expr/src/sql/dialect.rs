//! What databases spell differently.

use crate::Span;
use crate::sql::value::quoted;

/// The spelling of one database. Arguments and answers are SQL expressions.
///
/// What a database has no function for (dates written as text, regular expressions of our grammar, elements of lists),
/// it needs as a function of its own; the names are those that [`DataFusion`] uses.
pub trait Dialect {
    /// The JSON value at a path (`address.city`) of a JSON column; NULL when it is missing or null.
    fn json(&self, column: &str, path: &str) -> String;

    /// The JSON value of an attribute: by its whole name, else by a path.
    fn attribute(&self, column: &str, path: &str) -> String;

    /// A JSON value as text; NULL when it is no text.
    fn text(&self, json: &str) -> String;

    /// A JSON value as a number; NULL when it is no number.
    fn number(&self, json: &str) -> String;

    /// A JSON value as a truth value; NULL when it is none.
    fn boolean(&self, json: &str) -> String;

    /// A JSON value that is a number or text (and true or false, if asked for) in one spelling; NULL for another.
    fn scalar(&self, json: &str, or_boolean: bool) -> String;

    /// A test (as JSON) of a JSON value in a time zone at an instant: a truth value.
    fn passes(&self, json: &str, test: &str, zone: &str, now_micros: i64) -> String;

    /// Whether elements of a JSON list pass a filter (as JSON): any, all, none.
    fn elements(&self, json: &str, quantifier: &str, filter: &str) -> String;

    /// A timestamp column as microseconds.
    fn micros(&self, column: &str) -> String;

    /// A timestamp column is not before an instant in microseconds.
    fn not_before(&self, column: &str, micros: &str) -> String;

    /// A timestamp column is before an instant in microseconds.
    fn before(&self, column: &str, micros: &str) -> String;

    /// An instant in microseconds moved ahead by a span of the calendar of a zone.
    fn after(&self, micros: &str, span: Span, zone: &str) -> String;

    /// The number of the calendar period (hours, days, weeks, months) an instant in microseconds falls into.
    fn bucket(&self, micros: &str, period: &str, zone: &str) -> String;

    /// Whether a JSON column of statements speaks of an attribute, be it null.
    fn states(&self, column: &str, path: &str) -> String;

    /// Where a seed falls in a draw, in per cent.
    fn draw(&self, name: &str, seed: &str) -> String;
}

/// Apache DataFusion with the functions of the lake.
#[derive(Clone, Copy, Debug, Default)]
pub struct DataFusion;

impl Dialect for DataFusion {
    fn json(&self, column: &str, path: &str) -> String {
        format!("value_at({column}, {})", quoted(path))
    }

    fn attribute(&self, column: &str, path: &str) -> String {
        format!("attribute_at({column}, {})", quoted(path))
    }

    fn text(&self, json: &str) -> String {
        format!("value_text({json})")
    }

    fn number(&self, json: &str) -> String {
        format!("value_number({json})")
    }

    fn boolean(&self, json: &str) -> String {
        format!("value_boolean({json})")
    }

    fn scalar(&self, json: &str, or_boolean: bool) -> String {
        format!("value_scalar({json}, {})", if or_boolean { "TRUE" } else { "FALSE" })
    }

    fn passes(&self, json: &str, test: &str, zone: &str, now_micros: i64) -> String {
        format!("value_passes({json}, {}, {zone}, {now_micros})", quoted(test))
    }

    fn elements(&self, json: &str, quantifier: &str, filter: &str) -> String {
        format!("elements_pass({json}, {}, {})", quoted(quantifier), quoted(filter))
    }

    fn micros(&self, column: &str) -> String {
        format!("CAST({column} AS BIGINT)")
    }

    // A constant on the column's side of the comparison lets whole files be passed over.
    fn not_before(&self, column: &str, micros: &str) -> String {
        match micros.parse::<i64>() {
            Ok(_) => format!("{column} >= {}", instant(micros)),
            Err(_) => format!("{} >= {micros}", self.micros(column)),
        }
    }

    fn before(&self, column: &str, micros: &str) -> String {
        match micros.parse::<i64>() {
            Ok(_) => format!("{column} < {}", instant(micros)),
            Err(_) => format!("{} < {micros}", self.micros(column)),
        }
    }

    fn after(&self, micros: &str, span: Span, zone: &str) -> String {
        match span.micros() {
            Some(elapsed) => format!("({micros} + {elapsed})"),
            None => format!("span_after({micros}, {}, {zone})", quoted(&span.to_string())),
        }
    }

    fn bucket(&self, micros: &str, period: &str, zone: &str) -> String {
        format!("period_of({micros}, {}, {zone})", quoted(period))
    }

    fn states(&self, column: &str, path: &str) -> String {
        format!("attribute_stated({column}, {})", quoted(path))
    }

    fn draw(&self, name: &str, seed: &str) -> String {
        format!("random_draw({}, {seed})", quoted(name))
    }
}

fn instant(micros: &str) -> String {
    format!("arrow_cast({micros}, 'Timestamp(Microsecond, Some(\"UTC\"))')")
}
