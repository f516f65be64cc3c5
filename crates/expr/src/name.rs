//! Paths to values and patterns of texts: the parts of a tree that are read from and written as one text.

use std::fmt;
use std::sync::OnceLock;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The way to a value through nested objects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Vec<String>);

impl Path {
    /// From its names, outermost first; `None` when there is none or one is empty.
    pub fn new(names: Vec<String>) -> Option<Path> {
        (!names.is_empty() && names.iter().all(|name| !name.is_empty())).then_some(Path(names))
    }

    /// The names, outermost first.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// The names joined by dots: what `Attributes::get` is asked for.
    pub fn dotted(&self) -> std::borrow::Cow<'_, str> {
        match &self.0[..] {
            [one] => one.as_str().into(),
            many => many.join(".").into(),
        }
    }
}

impl Serialize for Path {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Path, D::Error> {
        let text = String::deserialize(deserializer)?;
        crate::parse::parse_path(&text).map_err(serde::de::Error::custom)
    }
}

/// A regular expression; linear time, bounded size.
#[derive(Clone, Default)]
pub struct Pattern {
    source: String,
    compiled: OnceLock<Option<regex::Regex>>,
}

impl Pattern {
    /// Compiles an expression.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn new(source: &str) -> Result<Pattern, String> {
        if source.len() > crate::PATTERN_BYTES_MAX {
            return Err(format!("the expression is longer than {} bytes", crate::PATTERN_BYTES_MAX));
        }
        if source.contains('\n') {
            return Err("the expression runs over the end of the line".to_owned());
        }
        let built = regex::RegexBuilder::new(source).size_limit(1 << 20).build();
        let compiled = built.map_err(|error| error.to_string().replace('\n', " "))?;
        // An escaped slash is a slash: one spelling per expression.
        let mut plain = String::with_capacity(source.len());
        let mut chars = source.chars();
        while let Some(c) = chars.next() {
            match (c, chars.clone().next()) {
                ('\\', Some('/')) => {}
                ('\\', Some(next)) => {
                    plain.extend([c, next]);
                    chars.next();
                }
                _ => plain.push(c),
            }
        }
        Ok(Pattern { source: plain, compiled: OnceLock::from(Some(compiled)) })
    }

    /// The expression.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it is found in the text.
    pub fn is_found_in(&self, text: &str) -> bool {
        let compiled = self
            .compiled
            .get_or_init(|| regex::RegexBuilder::new(&self.source).size_limit(1 << 20).build().ok());
        compiled.as_ref().is_some_and(|compiled| compiled.is_match(text))
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.source == other.source
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.source)
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.source)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pattern, D::Error> {
        let source = String::deserialize(deserializer)?;
        Pattern::new(&source).map_err(serde::de::Error::custom)
    }
}
