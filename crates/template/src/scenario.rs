//! Tests that stand beside a template: what is given, and what the mail must hold.
//!
//! Shape: `{"name", "given": {…}, "expect": {"subject", "text": {"contains", "absent"}, "link": {…}, "aborts"}}`.

use model::Value;
use serde::{Deserialize, Serialize};

use crate::engine::Options;
use crate::error::Error;
use crate::links::Dressing;
use crate::message::Template;

/// Tests of one template that are run.
pub const SCENARIOS_MAX: usize = 200;

/// A test.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it shows, a sentence.
    pub name: String,
    /// The data: `customer`, `event`, `site` and so on.
    #[serde(default)]
    pub given: Value,
    /// What must come of it.
    pub expect: Expect,
}

/// What a test expects; what is not said is not looked at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// The whole subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The whole preheader.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preheader: Option<String>,
    /// In the text part, white space counted as one space.
    pub text: Holds,
    /// In the HTML source.
    pub html: Holds,
    /// Among the addresses of links, of which a part is enough.
    pub link: Holds,
    /// No mail: true, or a part of the reason.
    #[serde(skip_serializing_if = "Aborts::is_no")]
    pub aborts: Aborts,
}

/// Whether a template ends without a mail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Aborts {
    /// It does, or does not.
    Whether(bool),
    /// It does, and the reason holds this.
    Because(String),
}

impl Default for Aborts {
    fn default() -> Aborts {
        Aborts::Whether(false)
    }
}

impl Aborts {
    fn is_no(&self) -> bool {
        *self == Aborts::Whether(false)
    }
}

/// What a text must and must not hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Holds {
    /// It must hold each of these.
    #[serde(with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub contains: Vec<String>,
    /// It must hold none of these.
    #[serde(with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<String>,
}

mod one_or_many {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        One(String),
        Many(Vec<String>),
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
        Ok(match Either::deserialize(from)? {
            Either::One(text) => vec![text],
            Either::Many(texts) => texts,
        })
    }

    pub fn serialize<S: Serializer>(texts: &[String], to: S) -> Result<S::Ok, S::Error> {
        texts.serialize(to)
    }
}

/// How a test went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The test.
    pub name: String,
    /// What is not as expected, one sentence each; none when it passes.
    pub faults: Vec<String>,
}

/// The tests of a template's body (`tests`). One that cannot be read is a test that fails.
pub fn of(body: &Value) -> Vec<Scenario> {
    let list = body["tests"].as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().take(SCENARIOS_MAX).map(read).collect()
}

/// Reads one test.
pub fn read(value: &Value) -> Scenario {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| Scenario {
        name: format!(
            "{} (cannot be read: {error})",
            value["name"].as_str().unwrap_or("a test without a name")
        ),
        given: Value::Null,
        expect: Expect {
            aborts: Aborts::Because(format!("the test can be read: {error}")),
            ..Expect::default()
        },
    })
}

impl Scenario {
    /// The paths it gives, without those everybody has.
    pub fn given_paths(&self) -> Vec<String> {
        fn walk(path: &str, value: &Value, out: &mut Vec<String>) {
            match value {
                Value::Object(map) if !map.is_empty() => {
                    map.iter().for_each(|(name, part)| walk(&format!("{path}.{name}"), part, out));
                }
                _ => out.push(path.to_owned()),
            }
        }
        let mut out = Vec::new();
        for (name, value) in self.given.as_object().into_iter().flatten() {
            walk(name, value, &mut out);
        }
        out.retain(|path| path != "customer.id" && !path.starts_with("site.recommendations"));
        out
    }

    /// Runs it. `usual` holds what it need not give: of an object both have, its own parts win.
    pub fn run(&self, template: &Template, usual: &Value, options: &Options) -> Outcome {
        let mut data = usual.clone();
        merge(&mut data, &self.given);
        let rendered = template.render(&data, options, &Dressing::default(), &mut |link| link.url.clone());
        let expect = &self.expect;
        let mut faults = Vec::new();
        match (rendered, &expect.aborts) {
            (Ok(rendered), Aborts::Whether(false)) => {
                for (what, wanted, found) in [
                    ("subject", &expect.subject, &rendered.subject),
                    ("preheader", &expect.preheader, &rendered.preheader),
                ] {
                    if wanted.as_ref().is_some_and(|wanted| wanted != found) {
                        let wanted = wanted.as_deref().unwrap_or_default();
                        faults.push(format!("The {what} is \"{found}\", not \"{wanted}\"."));
                    }
                }
                let text = spaced(&rendered.text);
                expect.text.judge("text", |wanted| text.contains(&spaced(wanted)), &mut faults);
                expect.html.judge("HTML", |wanted| rendered.html.contains(wanted), &mut faults);
                let links = |wanted: &str| rendered.links.iter().any(|link| link.url.contains(wanted));
                // Links that every mail has are not counted, and stand in the source alone.
                let linked = |wanted: &str| links(wanted) || in_href(&rendered.html, wanted);
                expect.link.judge("links", linked, &mut faults);
            }
            (Ok(rendered), wanted) => {
                let of = match wanted {
                    Aborts::Because(reason) => format!(" because of \"{reason}\""),
                    Aborts::Whether(_) => String::new(),
                };
                faults.push(format!("It should end without a mail{of}, and gives \"{}\".", rendered.subject));
            }
            (Err(Error::Abort { reason, .. }), Aborts::Because(wanted)) if !reason.contains(wanted) => {
                faults.push(format!("It ends because of \"{reason}\", not of \"{wanted}\"."));
            }
            (Err(Error::Abort { .. }), Aborts::Whether(true) | Aborts::Because(_)) => {}
            (Err(error), _) => faults.push(format!("It ends without a mail: {error}.")),
        }
        Outcome { name: self.name.clone(), faults }
    }
}

impl Holds {
    fn judge(&self, what: &str, holds: impl Fn(&str) -> bool, faults: &mut Vec<String>) {
        for wanted in self.contains.iter().filter(|wanted| !holds(wanted)) {
            faults.push(format!("\"{wanted}\" is missing from the {what}."));
        }
        for unwanted in self.absent.iter().filter(|unwanted| holds(unwanted)) {
            faults.push(format!("\"{unwanted}\" stands in the {what} and should not."));
        }
    }
}

fn spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn in_href(html: &str, wanted: &str) -> bool {
    let mut rest = html;
    while let Some(at) = rest.find("href=\"") {
        rest = &rest[at + 6..];
        let end = rest.find('"').unwrap_or(rest.len());
        if rest[..end].replace("&amp;", "&").contains(wanted) {
            return true;
        }
    }
    false
}

/// Puts `given` over `usual`, object by object.
fn merge(usual: &mut Value, given: &Value) {
    match (usual, given) {
        (Value::Object(usual), Value::Object(given)) => {
            for (name, value) in given {
                merge(usual.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (_, Value::Null) => {}
        (usual, given) => *usual = given.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::message::{Body, Source};

    fn run(expect: Value, given: Value) -> Vec<String> {
        let source = Source {
            subject: "Hi {{ customer.name | default: \"you\" }}".into(),
            preheader: "P".into(),
            body: Body::Html(
                "{% if customer.gone %}{% abort \"gone away\" %}{% endif %}<p>Your <b>cart</b></p>\
                 <a href=\"https://x.example/?a=1&amp;b=2\">Go</a><a href=\"{{ links.u }}\">No</a>"
                    .into(),
            ),
            text: None,
        };
        let Ok(template) = Template::compile(&source) else { return vec!["no template".to_owned()] };
        let scenario = read(&json!({"name": "n", "given": given, "expect": expect}));
        let usual = json!({"links": {"u": "https://x.example/u"}, "customer": {"id": 1}});
        scenario.run(&template, &usual, &Options::default()).faults
    }

    #[test]
    fn a_test_says_what_is_not_as_expected() {
        let ada = json!({"customer": {"name": "Ada"}});
        let good = json!({
            "subject": "Hi Ada", "preheader": "P", "text": {"contains": ["Your cart", "Go"], "absent": "Stop"},
            "link": {"contains": ["/?a=1&b=2", "x.example/u"], "absent": "y.example"}, "html": {"contains": "<b>"},
        });
        assert_eq!(run(good, ada.clone()), Vec::<String>::new());
        let bad = json!({
            "subject": "Hi you", "text": {"contains": "Stop", "absent": ["Your cart"]}, "link": {"contains": "y.example"},
        });
        assert_eq!(
            run(bad, ada),
            [
                "The subject is \"Hi Ada\", not \"Hi you\".",
                "\"Stop\" is missing from the text.",
                "\"Your cart\" stands in the text and should not.",
                "\"y.example\" is missing from the links.",
            ]
        );
    }

    #[test]
    fn a_mail_that_must_not_be_sent_is_expected_to_abort() {
        let gone = json!({"customer": {"gone": true}});
        assert_eq!(run(json!({"aborts": true}), gone.clone()), Vec::<String>::new());
        assert_eq!(run(json!({"aborts": "gone"}), gone.clone()), Vec::<String>::new());
        assert_eq!(
            run(json!({"aborts": "sold out"}), gone.clone()),
            ["It ends because of \"gone away\", not of \"sold out\"."]
        );
        assert_eq!(
            run(json!({"aborts": true}), json!({})),
            ["It should end without a mail, and gives \"Hi you\"."]
        );
        assert_eq!(run(json!({}), gone).len(), 1);
    }

    #[test]
    fn a_test_that_cannot_be_read_fails() {
        let faults = run(json!({"subjekt": "x"}), json!({}));
        assert!(faults[0].contains("unknown field `subjekt`"), "{faults:?}");
    }

    #[test]
    fn what_a_test_gives_is_told_by_paths() {
        let test = read(&json!({
            "name": "n", "given": {"customer": {"id": 1, "a": {"b": 2}}, "event": {"list": [{"c": 1}]}}, "expect": {},
        }));
        assert_eq!(test.given_paths(), ["customer.a.b", "event.list"]);
    }
}
