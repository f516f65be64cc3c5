//! Properties out of JSON text into codes, without a tree: what is not asked for is read over.
//!
//! What a reader of the whole text would refuse is refused here too: then every property is absent.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

use model::Value;
use model::column::{Coded, Codes, Names};
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Code of what is absent.
const ABSENT: u32 = 0;

/// Quick for short keys; nobody gains by making them collide but in a preview of his own.
#[derive(Default)]
struct Quick(u64);

impl Hasher for Quick {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0 =
            (self.0.rotate_left(5) ^ xxhash_rust::xxh3::xxh3_64(bytes)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
    fn write_u8(&mut self, byte: u8) {
        self.write_u64(u64::from(byte));
    }
    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

type Quickly<K> = HashMap<K, u32, BuildHasherDefault<Quick>>;

/// One property's codes in the making.
struct Builder {
    codes: Vec<u32>,
    values: Vec<Option<Value>>,
    texts: Quickly<Box<str>>,
    numbers: Quickly<(u8, u64)>,
    others: Quickly<Box<str>>,
    current: u32,
}

impl Builder {
    fn new() -> Builder {
        Builder {
            codes: Vec::new(),
            values: vec![None],
            texts: HashMap::default(),
            numbers: HashMap::default(),
            others: HashMap::default(),
            current: ABSENT,
        }
    }

    fn text(&mut self, text: &str) {
        self.current = match self.texts.get(text) {
            Some(code) => *code,
            None => {
                let code = self.values.len() as u32;
                self.texts.insert(text.into(), code);
                self.values.push(Some(text.into()));
                code
            }
        };
    }

    fn number(&mut self, kind: u8, bits: u64, value: impl FnOnce() -> Value) {
        let next = self.values.len() as u32;
        self.current = match self.numbers.entry((kind, bits)) {
            Entry::Occupied(code) => *code.get(),
            Entry::Vacant(place) => {
                self.values.push(Some(value()));
                *place.insert(next)
            }
        };
    }

    /// Nulls, booleans, lists and objects.
    fn other(&mut self, value: Value) {
        match &value {
            Value::String(text) => return self.text(text),
            Value::Number(number) => {
                return match (number.as_u64(), number.as_i64()) {
                    (Some(whole), _) => self.number(0, whole, || value),
                    (None, Some(whole)) => self.number(1, whole as u64, || value),
                    _ => self.number(2, number.as_f64().unwrap_or_default().to_bits(), || value),
                };
            }
            _ => {}
        }
        let next = self.values.len() as u32;
        self.current = match self.others.entry(value.to_string().into()) {
            Entry::Occupied(code) => *code.get(),
            Entry::Vacant(place) => {
                self.values.push(Some(value));
                *place.insert(next)
            }
        };
    }
}

/// Where in an object the wanted properties lie.
#[derive(Default)]
struct Node {
    slot: Option<usize>,
    children: Vec<(String, Node)>,
    /// What is asked for as `it` is the whole, unless that is an object.
    it: Option<usize>,
}

/// Takes the same properties out of many objects.
pub struct Extractor {
    root: Node,
    builders: Vec<Builder>,
}

impl Extractor {
    /// For these properties, in this order.
    pub fn new(wanted: &[Names]) -> Extractor {
        let mut root = Node::default();
        for (slot, names) in wanted.iter().enumerate() {
            let mut node = &mut root;
            for name in names {
                let at = match node.children.iter().position(|(known, _)| known == name) {
                    Some(at) => at,
                    None => {
                        node.children.push((name.clone(), Node::default()));
                        node.children.len() - 1
                    }
                };
                node = &mut node.children[at].1;
            }
            node.slot = Some(slot);
            if names.len() == 1 && names[0] == "it" {
                root.it = Some(slot);
            }
        }
        Extractor { root, builders: wanted.iter().map(|_| Builder::new()).collect() }
    }

    /// Takes the properties of the next row.
    pub fn take(&mut self, json: &str) {
        for builder in &mut self.builders {
            builder.current = ABSENT;
        }
        let mut reader = serde_json::Deserializer::from_str(json);
        let seed = Seek { node: &self.root, builders: &mut self.builders };
        let read = seed.deserialize(&mut reader).and_then(|()| reader.end());
        for builder in &mut self.builders {
            builder.codes.push(if read.is_ok() { builder.current } else { ABSENT });
        }
    }

    /// The properties of all rows.
    pub fn finish(self) -> Vec<Coded> {
        let coded = |builder: Builder| {
            let codes = Codes::narrowed(builder.codes, builder.values.len());
            Coded { codes, values: builder.values }
        };
        self.builders.into_iter().map(coded).collect()
    }
}

fn forget(node: &Node, builders: &mut [Builder]) {
    if let Some(slot) = node.slot {
        builders[slot].current = ABSENT;
    }
    for (_, child) in &node.children {
        forget(child, builders);
    }
}

/// Notes what a tree has at and below a node.
fn note(node: &Node, value: &Value, builders: &mut [Builder]) {
    if let Some(slot) = node.slot {
        builders[slot].other(value.clone());
    }
    for (name, child) in &node.children {
        if let Some(value) = value.get(name) {
            note(child, value, builders);
        }
    }
}

/// Reads a value in which properties are wanted.
struct Seek<'a> {
    node: &'a Node,
    builders: &'a mut [Builder],
}

impl Seek<'_> {
    fn slot(&mut self) -> Option<&mut Builder> {
        self.node.slot.or(self.node.it).map(|slot| &mut self.builders[slot])
    }
}

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E: Error>(mut self) -> Result<(), E> {
        if let Some(builder) = self.slot() {
            builder.other(Value::Null);
        }
        Ok(())
    }
    fn visit_bool<E: Error>(mut self, value: bool) -> Result<(), E> {
        if let Some(builder) = self.slot() {
            builder.other(value.into());
        }
        Ok(())
    }
    fn visit_u64<E: Error>(mut self, value: u64) -> Result<(), E> {
        if let Some(builder) = self.slot() {
            builder.number(0, value, || value.into());
        }
        Ok(())
    }
    fn visit_i64<E: Error>(mut self, value: i64) -> Result<(), E> {
        if let Some(builder) = self.slot() {
            builder.other(value.into());
        }
        Ok(())
    }
    fn visit_f64<E: Error>(mut self, value: f64) -> Result<(), E> {
        if let Some(builder) = self.slot() {
            builder.number(2, value.to_bits(), || value.into());
        }
        Ok(())
    }
    fn visit_str<E: Error>(mut self, value: &str) -> Result<(), E> {
        if let Some(builder) = self.slot() {
            builder.text(value);
        }
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(mut self, elements: A) -> Result<(), A::Error> {
        match self.slot() {
            None => Skip.visit_seq(elements),
            Some(builder) => {
                let value = Value::deserialize(SeqAccessDeserializer::new(elements))?;
                builder.other(value);
                Ok(())
            }
        }
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        if self.node.slot.is_some() {
            let value = Value::deserialize(MapAccessDeserializer::new(entries))?;
            note(self.node, &value, self.builders);
            return Ok(());
        }
        while let Some(child) = entries.next_key_seed(Key(self.node))? {
            match child {
                None => entries.next_value_seed(Skip)?,
                Some(node) => {
                    // Of a name that is there twice the last one counts.
                    forget(node, self.builders);
                    entries.next_value_seed(Seek { node, builders: self.builders })?;
                }
            }
        }
        Ok(())
    }
}

/// Reads a name: the wanted child of that name.
struct Key<'a>(&'a Node);

impl<'a, 'de> DeserializeSeed<'de> for Key<'a> {
    type Value = Option<&'a Node>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Key<'a> {
    type Value = Option<&'a Node>;
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a name")
    }
    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.children.iter().find(|(known, _)| known == name).map(|(_, node)| node))
    }
}

/// Reads over a value, as strictly as if it were kept.
struct Skip;

impl<'de> DeserializeSeed<'de> for Skip {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Skip {
    type Value = ();
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while elements.next_element_seed(Skip)?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while entries.next_key_seed(Skip)?.is_some() {
            entries.next_value_seed(Skip)?;
        }
        Ok(())
    }
}
