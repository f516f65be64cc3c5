//! What names, paths and literals are worth.

use super::Walk;
use crate::contract::Guard;
use crate::contract::facts::Worth;
use crate::expression::{Expr, Path, Step};

const LOOP_PARTS: &[&str] = &[
    "name",
    "length",
    "index",
    "index0",
    "rindex",
    "rindex0",
    "first",
    "last",
    "parentloop",
    "row",
    "col",
    "col0",
    "col_first",
    "col_last",
];

impl<'p> Walk<'p> {
    /// The value of a name.
    pub(super) fn lookup(&mut self, slot: u32) -> Worth {
        self.read.insert(slot);
        let frame = &self.state.frame;
        let found = frame.locals.get(&slot).or_else(|| frame.globals.get(&slot)).cloned();
        let worth = found.unwrap_or_else(|| self.root(slot));
        self.known(worth)
    }

    /// A name that no tag has given a value.
    pub(super) fn root(&self, slot: u32) -> Worth {
        let name = self.program.symbols.names[slot as usize].to_string();
        self.of_path(name.clone(), name, false)
    }

    pub(super) fn of_path(&self, id: String, path: String, whole_maybe: bool) -> Worth {
        let known = self.schema.paths.get(&path);
        let always = known.is_some_and(|known| known.always);
        let kind = known.and_then(|known| known.value_type.map(|kind| (kind, known.declared)));
        let maybe = whole_maybe || !always;
        Worth {
            id,
            items: Some(format!("{path}[]")),
            sources: vec![path.clone()],
            path: Some(path),
            maybe,
            hollow: false,
            blank: false,
            guard: if maybe { Guard::None } else { Guard::Always },
            kind,
        }
    }

    pub(super) fn element(&mut self, list: &Worth) -> Worth {
        let turn = self.id();
        match &list.items {
            Some(items) => {
                let mut item = self.of_path(format!("{}[{turn}]", list.id), items.clone(), false);
                // What a list holds is there; what its elements have is another question.
                item.maybe = false;
                item.guard = Guard::If;
                item
            }
            None => Worth { guard: Guard::If, sources: list.sources.clone(), ..Worth::sure(turn) },
        }
    }

    pub(super) fn element_or_self(&mut self, worth: &Worth) -> Worth {
        if worth.kind.is_some_and(|(kind, _)| kind == "list") { self.element(worth) } else { worth.clone() }
    }

    pub(super) fn value(&mut self, expr: &'p Expr) -> Worth {
        let kind = |kind| Some((kind, true));
        match expr {
            Expr::Nil | Expr::Empty | Expr::Blank => Worth::nil(self.id()),
            Expr::Bool(_) => Worth { kind: kind("bool"), ..Worth::sure(self.id()) },
            Expr::Int(_) | Expr::Float(_) => Worth { kind: kind("number"), ..Worth::sure(self.id()) },
            Expr::Str(text) => {
                Worth { kind: kind("text"), blank: text.trim().is_empty(), ..Worth::sure(self.id()) }
            }
            Expr::Range(_) => Worth { kind: kind("list"), ..Worth::sure(self.id()) },
            Expr::Var(path) => self.path(path),
            Expr::Here(_) | Expr::Call(_) => Worth::sure(self.id()),
        }
    }

    pub(super) fn path(&mut self, path: &'p Path) -> Worth {
        let mut steps = path.steps.as_slice();
        let mut worth = match (&*self.program.symbols.names[path.slot as usize], steps.first()) {
            ("self", Some(Step::Dot(key) | Step::Index(Expr::Str(key)))) => {
                steps = &steps[1..];
                match self.program.symbols.find(key) {
                    Some(slot) => self.lookup(slot),
                    None => self.of_path(key.to_string(), key.to_string(), false),
                }
            }
            _ => self.lookup(path.slot),
        };
        for step in steps {
            worth = match step {
                Step::Dot(key) => self.part(&worth, key, true),
                Step::Index(Expr::Str(key)) => self.part(&worth, key, false),
                Step::Index(index) => self.indexed(&worth, index),
            };
        }
        if worth.maybe && worth.sources.is_empty() {
            worth.sources.push(path.text.to_string());
        }
        worth
    }

    pub(super) fn part(&mut self, whole: &Worth, key: &str, dotted: bool) -> Worth {
        let mut id = format!("{}.{key}", whole.id);
        if let Some(path) = &whole.path {
            let part = format!("{path}.{key}");
            let is_command =
                dotted && matches!(key, "size" | "first" | "last") && !self.schema.paths.contains_key(&part);
            if !is_command {
                let worth = self.of_path(id, part, whole.maybe);
                return self.known(worth);
            }
        }
        match key {
            "first" => id = format!("{}[0]", whole.id),
            "last" => id = format!("{}[-1]", whole.id),
            _ => {}
        }
        let from_loop = whole.sources.is_empty() && whole.items.is_none() && !whole.maybe;
        let mut worth = match key {
            "size" => {
                Worth { kind: Some(("number", true)), sources: whole.sources.clone(), ..Worth::sure(id) }
            }
            "first" | "last" => match &whole.items {
                Some(items) => self.of_path(id, items.clone(), true),
                None => Worth { sources: whole.sources.clone(), ..Worth::nil(id) },
            },
            // `forloop.index` and its like.
            _ if from_loop && LOOP_PARTS.contains(&key) => Worth::sure(id),
            _ => Worth { sources: whole.sources.clone(), ..Worth::nil(id) },
        };
        if key == "size" && whole.maybe {
            worth.maybe = true;
            worth.guard = Guard::None;
        }
        self.known(worth)
    }

    pub(super) fn indexed(&mut self, whole: &Worth, index: &'p Expr) -> Worth {
        let named = match index {
            Expr::Int(n) => n.to_string(),
            other => {
                let index = self.value(other);
                format!("<{}>", index.id)
            }
        };
        let id = format!("{}[{named}]", whole.id);
        let worth = match &whole.items {
            Some(items) => {
                let mut worth = self.of_path(id, items.clone(), whole.maybe);
                // A position may lie behind the end; a part by name is as its schema says.
                worth.maybe |= matches!(index, Expr::Int(_));
                worth.guard = if worth.maybe { Guard::None } else { worth.guard };
                worth
            }
            None => Worth { sources: whole.sources.clone(), ..Worth::nil(id) },
        };
        self.known(worth)
    }
}
