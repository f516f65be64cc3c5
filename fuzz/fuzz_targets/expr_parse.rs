//! Any text is a condition or an error with a place; a condition prints to text that is the same condition.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(condition) = expr::parse(text) {
        let printed = condition.to_string();
        let again = expr::parse(&printed).expect("what is printed can be read");
        assert_eq!(again.to_string(), printed);
    }
});
