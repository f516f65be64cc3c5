//! Declared types of attributes. A value that does not fit is kept as it was given; what it is not is said.

use std::collections::BTreeMap;

use model::{Timestamp, Value};
use serde::{Deserialize, Serialize};

use crate::state::Profile;

/// What an attribute is declared to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttributeType {
    /// A text.
    Text,
    /// A number; a text that reads like one is none.
    Number,
    /// True or false.
    Bool,
    /// A date, or a date and time, as ISO 8601 text.
    Date,
    /// A list.
    List,
}

impl AttributeType {
    /// All types.
    pub const ALL: [AttributeType; 5] = [
        AttributeType::Text,
        AttributeType::Number,
        AttributeType::Bool,
        AttributeType::Date,
        AttributeType::List,
    ];

    /// Its name in settings and in conditions' messages.
    pub const fn name(self) -> &'static str {
        match self {
            AttributeType::Text => "text",
            AttributeType::Number => "number",
            AttributeType::Bool => "bool",
            AttributeType::Date => "date",
            AttributeType::List => "list",
        }
    }

    /// The type of this name.
    pub fn from_name(name: &str) -> Option<AttributeType> {
        AttributeType::ALL.into_iter().find(|each| each.name() == name)
    }

    /// Whether a value is of this type. Null is: the attribute is missing then.
    pub fn fits(self, value: &Value) -> bool {
        match (self, value) {
            (_, Value::Null)
            | (AttributeType::Text, Value::String(_))
            | (AttributeType::Number, Value::Number(_))
            | (AttributeType::Bool, Value::Bool(_))
            | (AttributeType::List, Value::Array(_)) => true,
            (AttributeType::Date, text) => expr::instant_of(text, &jiff::tz::TimeZone::UTC).is_some(),
            _ => false,
        }
    }
}

/// Declared types by the attribute's name, dotted for a field within one.
pub type Types = BTreeMap<String, AttributeType>;

/// An attribute whose value is not of its declared type.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Problem {
    /// Stable code: `attribute_type`.
    pub code: &'static str,
    /// The attribute.
    pub attribute: String,
    /// What it is declared to be.
    pub declared: AttributeType,
    /// The value as given and kept.
    pub value: Value,
    /// The event time that set it.
    pub updated_at: Timestamp,
    /// The call that set it.
    pub source: String,
    /// For people.
    pub message: String,
}

/// Every attribute of a profile that is not of its declared type. It follows from the values and the declarations of
/// this instant: it is gone when a fitting value comes, or the declaration changes.
pub fn problems(profile: &Profile, types: &Types) -> Vec<Problem> {
    let problem = |(name, declared): (&String, &AttributeType)| {
        let whole = profile.attributes.get_key_value(name);
        let (_, attribute) = whole.or_else(|| profile.attributes.get_key_value(name.split_once('.')?.0))?;
        let value = profile.get(name)?.into_owned();
        (!declared.fits(&value)).then(|| Problem {
            code: "attribute_type",
            attribute: name.clone(),
            declared: *declared,
            updated_at: attribute.updated_at,
            source: attribute.source.clone(),
            message: format!(
                "'{name}' is declared as {}; the value {} is none. It is kept; conditions do not match it. Send \
                 another value, or change the declaration.",
                declared.name(),
                short(&value),
            ),
            value,
        })
    };
    types.iter().filter_map(problem).collect()
}

fn short(value: &Value) -> String {
    const CHARACTERS_MAX: usize = 60;
    let text = value.to_string();
    if text.chars().count() <= CHARACTERS_MAX {
        return text;
    }
    text.chars().take(CHARACTERS_MAX).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn profile(attributes: &[(&str, Value)]) -> Profile {
        let mut profile = Profile::default();
        for (name, value) in attributes {
            profile.set(name, value, Timestamp::from_secs(7), "identify");
        }
        profile
    }

    #[test]
    fn a_value_fits_its_own_type_and_no_other() {
        let values = [json!("x"), json!(1), json!(true), json!("2026-01-05"), json!([1])];
        for (place, value) in values.iter().enumerate() {
            for (number, each) in AttributeType::ALL.into_iter().enumerate() {
                // A date is a text, too.
                let expected = place == number || (place == 3 && each == AttributeType::Text);
                assert_eq!(each.fits(value), expected, "{value} as {}", each.name());
            }
        }
        assert!(AttributeType::ALL.into_iter().all(|each| each.fits(&Value::Null)));
        assert!(!AttributeType::Number.fits(&json!("42")), "conditions never compare numbers as text");
    }

    #[test]
    fn a_mismatch_keeps_the_value_and_is_told_until_a_fitting_one_comes() {
        let types: Types = [("age", AttributeType::Number), ("address.zip", AttributeType::Text)]
            .map(|(name, each)| (name.to_owned(), each))
            .into();
        let mut profile =
            profile(&[("age", json!("forty")), ("address", json!({"zip": 12345})), ("free", json!(1))]);
        let found = problems(&profile, &types);
        let told: Vec<(&str, &Value)> =
            found.iter().map(|problem| (problem.attribute.as_str(), &problem.value)).collect();
        assert_eq!(told, [("address.zip", &json!(12345)), ("age", &json!("forty"))]);
        assert_eq!(found[1].updated_at, Timestamp::from_secs(7));
        assert!(found[1].message.contains("declared as number"));
        assert_eq!(profile.get("age").unwrap().as_str(), Some("forty"));
        profile.set("age", &json!(40), Timestamp::from_secs(8), "identify");
        profile.set("address", &Value::Null, Timestamp::from_secs(8), "identify");
        assert!(problems(&profile, &types).is_empty());
        assert!(problems(&self::profile(&[]), &types).is_empty(), "what is missing is no problem");
    }
}
