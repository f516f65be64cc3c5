//! `rapport import profiles` without a mapping: one person a row, the columns are attributes.

use model::{Map, Value};
use serde_json::json;

use super::convert::{text_of, typed};

const USER_ID: [&str; 4] = ["user_id", "userId", "customer_id", "id"];
/// Columns whose values stay text even when they read as numbers.
const TEXTS: [&str; 6] = ["phone", "postal_code", "postalCode", "zip", "first_name", "last_name"];

/// What a file of people lacks.
pub fn missing(columns: &[String]) -> Vec<String> {
    let known = |column: &String| USER_ID.contains(&column.as_str()) || column == "email";
    if columns.iter().any(known) { Vec::new() } else { vec!["user_id".to_owned(), "email".to_owned()] }
}

/// The `identify` call of a row. `address.city` becomes `city` within `address`.
///
/// # Errors
/// When the row tells neither an id nor an address.
pub fn identify(row: &Map) -> Result<Value, String> {
    let text = |name: &str| row.get(name).filter(|value| !value.is_null()).map(text_of);
    let user_id = USER_ID.iter().find_map(|name| text(name));
    let email = text("email").map(|email| email.trim().to_lowercase());
    let digest = |text: &str| format!("{:032x}", xxhash_rust::xxh3::xxh3_128(text.as_bytes()));
    let mut call = json!({"type": "identify"});
    match (user_id, &email) {
        (Some(id), _) => call["userId"] = json!(id),
        (None, Some(email)) => call["anonymousId"] = json!(format!("import-{}", digest(email))),
        (None, None) => return Err("the row has neither user_id nor email".to_owned()),
    }
    let mut traits = json!({});
    for (name, value) in typed(row) {
        if USER_ID.contains(&name.as_str()) || value.is_null() {
            continue;
        }
        let value = match &email {
            Some(email) if name == "email" => json!(email),
            _ if TEXTS.contains(&name.as_str()) => json!(text_of(&value)),
            _ => value,
        };
        match name.split_once('.') {
            Some((outer, inner)) if traits.get(outer).is_none_or(Value::is_object) => {
                traits[outer][inner] = value;
            }
            _ => traits[name] = value,
        }
    }
    call["traits"] = traits;
    call["messageId"] = json!(format!("import-profile-{}", digest(&call.to_string())));
    Ok(call)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[(&str, &str)]) -> Map {
        cells.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect()
    }

    #[test]
    fn columns_become_attributes_and_the_same_row_makes_the_same_call() {
        let cells = row(&[
            ("user_id", "042"),
            ("email", "A@Shop.example"),
            ("age", "31"),
            ("address.city", "Dhaka"),
            ("phone", "0151"),
        ]);
        let call = identify(&cells).unwrap();
        assert_eq!(call["userId"], "042");
        let traits =
            json!({"email": "a@shop.example", "age": 31, "address": {"city": "Dhaka"}, "phone": "0151"});
        assert_eq!(call["traits"], traits);
        assert_eq!(call, identify(&cells).unwrap());
    }

    #[test]
    fn a_person_known_by_address_alone_is_taken_and_one_known_by_nothing_is_not() {
        let call = identify(&row(&[("email", "a@shop.example")])).unwrap();
        assert!(call["anonymousId"].as_str().unwrap().starts_with("import-"));
        assert!(identify(&row(&[("age", "3")])).is_err());
        assert_eq!(missing(&["age".to_owned()]), ["user_id", "email"]);
        assert!(missing(&["id".to_owned()]).is_empty());
    }
}
