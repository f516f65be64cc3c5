//! Runs the reference cases of the Liquid language and compares them with the list of known failures.

use std::collections::{BTreeMap, BTreeSet};

use template::{OnError, Options, Partials, Program};

const KNOWN: &str = include_str!("liquid_known_failures.txt");

fn cases() -> Option<Vec<serde_json::Value>> {
    #[expect(clippy::disallowed_methods, reason = "the harness is pointed at other cases by its environment")]
    let path = std::env::var("RAPPORT_LIQUID_CASES")
        .unwrap_or_else(|_| format!("{}/../../../shared/reference/liquid.json", env!("CARGO_MANIFEST_DIR")));
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: no reference cases at {path}");
        return None;
    };
    let file: serde_json::Value =
        serde_json::from_str(&text).expect("the file has the form of the reference cases");
    Some(file["cases"].as_array().expect("the file has the form of the reference cases").clone())
}

fn run(case: &serde_json::Value) -> Result<String, template::Error> {
    let mut partials = Partials::new();
    for (name, source) in case["filesystem"].as_object().into_iter().flatten() {
        partials.insert(name.clone(), source.as_str().unwrap_or_default().to_owned());
    }
    let program = Program::compile(
        case["template"].as_str().expect("the file has the form of the reference cases"),
        &partials,
        false,
    )?;
    let inline = case["render_errors"].as_bool().unwrap_or(false);
    let options = Options {
        escape: false,
        now: template_now(),
        on_error: if inline { OnError::Inline } else { OnError::Raise },
        partials_see_data: true,
        ..Options::default()
    };
    program.render(&case["environment"], &options).map(|(text, _)| text)
}

fn template_now() -> model::Timestamp {
    model::Timestamp::parse("2024-01-01T00:01:58Z").expect("an instant")
}

#[test]
fn reference_cases_render_as_the_reference_does() {
    let Some(cases) = cases() else { return };
    let known: BTreeSet<&str> = KNOWN.lines().filter(|l| !l.is_empty()).collect();
    let mut groups: BTreeMap<String, [usize; 3]> = BTreeMap::new();
    let (mut failures, mut fixed) = (Vec::new(), Vec::new());
    for case in &cases {
        let group = case["group"].as_str().unwrap().to_owned();
        let name = case["name"].as_str().unwrap();
        let counts = groups.entry(group.clone()).or_default();
        let verdict = match group.as_str() {
            "must reject" | "expects parse error" => match run(case) {
                Err(template::Error::Syntax { .. } | template::Error::Limit { .. }) => Ok(()),
                other => Err(format!("{other:?} instead of a syntax error")),
            },
            "expects render error" => run(case).map_or(Ok(()), |text| Err(format!("rendered {text:?}"))),
            "rendered output" => match run(case) {
                Ok(text) => match (case["expected"].as_str(), case["expected_pattern"].as_str()) {
                    (Some(expected), _) if text == expected => Ok(()),
                    (None, Some(pattern))
                        if regex::Regex::new(&pattern.replacen("(?m)", "(?s)", 1))
                            .unwrap()
                            .is_match(&text) =>
                    {
                        Ok(())
                    }
                    (expected, pattern) => Err(format!("{text:?} is not {:?}", expected.or(pattern))),
                },
                Err(error) => Err(error.to_string()),
            },
            _ => {
                counts[2] += 1;
                continue;
            }
        };
        match verdict {
            Ok(()) => {
                counts[0] += 1;
                if known.contains(name) {
                    fixed.push(name);
                }
            }
            Err(why) => {
                counts[1] += 1;
                failures.push((name, group, why, case["template"].as_str().unwrap_or_default()));
            }
        }
    }
    for (group, [passed, failed, skipped]) in &groups {
        println!("{group}: {passed} passed, {failed} failed, {skipped} skipped");
    }
    for (name, group, why, template) in &failures {
        println!(
            "FAILED {group} {name}: {}\n    {}",
            why.replace('\n', "\\n"),
            template.replace('\n', "\\n")
        );
    }
    let new: Vec<_> = failures.iter().filter(|f| !known.contains(f.0)).map(|f| f.0).collect();
    assert!(new.is_empty(), "{} cases fail that did not: {new:#?}", new.len());
    assert!(fixed.is_empty(), "take these off the list of known failures: {fixed:#?}");
}
