//! A mapping file: which column becomes what. The committed ones lie in `mappings/`.
//!
//! Shape: TOML. `[[event]]` tables are tried in order; the first whose `when` holds for a line takes it. With
//! `group_by`, all lines of one group become one event whose `[event.lines]` objects form a list.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use expr::Filter;
use serde::Deserialize;

/// How a file is read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// Column separator of CSV; `,` when absent.
    #[serde(default)]
    pub delimiter: Option<char>,
    /// The zone in which times without one are read; UTC when absent.
    #[serde(default)]
    pub timezone: Option<String>,
    /// The rules, in order.
    pub event: Vec<Rule>,
}

/// One kind of event that lines become.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Takes a line when this condition on its columns holds; every line when absent.
    #[serde(default)]
    pub when: Option<String>,
    /// Leaves a taken line out, silently and counted, when this holds not.
    #[serde(default)]
    pub keep: Option<String>,
    /// `track`, `identify` …; `track` when absent.
    #[serde(default = "track")]
    pub call: String,
    /// The event's name: a constant, or `{Column}` parts.
    #[serde(default)]
    pub name: String,
    /// Makes the event's id: text with `{Column}` parts. The same file twice then counts once.
    pub message_id: String,
    /// Column of the known person's id.
    #[serde(default)]
    pub user_id: Option<String>,
    /// Column of the anonymous id.
    #[serde(default)]
    pub anonymous_id: Option<String>,
    /// Column of the time.
    pub timestamp: Option<String>,
    /// Column whose equal values make one event.
    #[serde(default)]
    pub group_by: Option<String>,
    /// Properties of the event.
    #[serde(default)]
    pub properties: BTreeMap<String, Source>,
    /// Attributes to set on the profile along with the event.
    #[serde(default)]
    pub traits: BTreeMap<String, Source>,
    /// For grouped lines: the list's name and the object made of each line.
    #[serde(default)]
    pub lines: Option<Lines>,
}

fn track() -> String {
    "track".to_owned()
}

impl Rule {
    /// Columns without which a line makes no event.
    pub fn needs(&self) -> impl Iterator<Item = &str> {
        [&self.user_id, &self.anonymous_id, &self.timestamp, &self.group_by]
            .into_iter()
            .filter_map(Option::as_deref)
            .chain(placeholders(&self.message_id))
            .chain(placeholders(&self.name))
    }

    /// Every column the rule names outside of its conditions.
    fn columns(&self) -> impl Iterator<Item = &str> {
        let sources = self.properties.values().chain(self.traits.values());
        let items = self.lines.iter().flat_map(|lines| lines.item.values());
        self.needs().chain(sources.chain(items).flat_map(Source::columns).map(String::as_str))
    }
}

/// The columns between braces.
fn placeholders(pattern: &str) -> impl Iterator<Item = &str> {
    pattern.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(column, _)| column))
}

/// The list made of grouped lines.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lines {
    /// The property that holds the list, such as `products`.
    pub into: String,
    /// The object made of each line.
    pub item: BTreeMap<String, Source>,
}

/// Where a value comes from.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Source {
    /// A column, as text or, when it reads as one, a number.
    Column(String),
    /// Something else.
    Special(Special),
}

impl Source {
    fn columns(&self) -> &[String] {
        match self {
            Source::Column(column) | Source::Special(Special::Text(column)) => std::slice::from_ref(column),
            Source::Special(Special::SumProduct(columns)) => columns,
            Source::Special(Special::Constant(_)) => &[],
        }
    }
}

/// A value that is not one column.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Special {
    /// Always this.
    Constant(serde_json::Value),
    /// The column as text, even when it reads as a number.
    Text(String),
    /// The sum over the group of the product of these columns, in exact decimals.
    SumProduct(Vec<String>),
}

/// A mapping whose conditions are parsed.
pub struct Compiled {
    /// The mapping.
    pub mapping: Mapping,
    /// `when` of each rule.
    pub when: Vec<Option<Filter>>,
    /// `keep` of each rule.
    pub keep: Vec<Option<Filter>>,
}

impl Compiled {
    /// Columns the mapping names and `there` lacks.
    pub fn missing(&self, there: &[String]) -> Vec<String> {
        let mut missing: Vec<String> = Vec::new();
        for name in self.mapping.event.iter().flat_map(Rule::columns) {
            if !there.iter().any(|column| column == name) && !missing.iter().any(|column| column == name) {
                missing.push(name.to_owned());
            }
        }
        missing
    }
}

/// Reads a mapping file.
///
/// # Errors
/// Names the table and the condition that cannot be read.
pub fn compile(text: &str) -> Result<Compiled> {
    let mapping: Mapping = toml::from_str(text).context("the mapping file is not understood")?;
    if mapping.event.is_empty() {
        bail!("the mapping file has no [[event]] table: add one");
    }
    let parse = |condition: &Option<String>, number: usize, what: &str| -> Result<Option<Filter>> {
        condition
            .as_deref()
            .map(|text| {
                expr::parse_filter(text)
                    .map_err(|error| anyhow::anyhow!("[[event]] number {}: '{what}': {error}", number + 1))
            })
            .transpose()
    };
    let when =
        mapping.event.iter().enumerate().map(|(n, r)| parse(&r.when, n, "when")).collect::<Result<_>>()?;
    let keep =
        mapping.event.iter().enumerate().map(|(n, r)| parse(&r.keep, n, "keep")).collect::<Result<_>>()?;
    Ok(Compiled { mapping, when, keep })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_file_with_a_fault_at_any_place_is_read_or_refused_with_a_reason() {
        let sound = include_str!("../../../../mappings/online-retail.toml");
        assert!(compile(sound).is_ok());
        let mut refused = 0;
        for (place, _) in sound.char_indices() {
            for fault in ["", "\"", "]", "=", "\n", "{", "\u{0}", "é"] {
                let rest = sound[place..].chars().next().map_or("", |c| &sound[place + c.len_utf8()..]);
                let text = format!("{}{fault}{rest}", &sound[..place]);
                if let Err(error) = compile(&text) {
                    refused += 1;
                    assert!(!format!("{error:#}").is_empty());
                }
            }
        }
        assert!(refused > sound.len(), "most of these are faults");
    }
}
