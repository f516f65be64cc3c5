//! Filters: what they make of a value, and what they must not be put on.

use super::{Doubt, Walk};
use crate::contract::Guard;
use crate::contract::How;
use crate::contract::facts::Worth;
use crate::expression::{Call, Chain, Expr};

impl<'p> Walk<'p> {
    /// The value of an expression with its filters.
    pub(super) fn chain(&mut self, chain: &'p Chain, at: u32) -> Worth {
        let mut worth = self.value(&chain.value);
        for call in &chain.filters {
            worth = self.filtered(worth, call, at);
        }
        worth
    }

    fn filtered(&mut self, worth: Worth, call: &'p Call, at: u32) -> Worth {
        if call.run.is_none() {
            self.doubt(at, Doubt::Filter(call.name.to_string()));
            return worth;
        }
        if &*call.name == "default" {
            return self.with_default(worth, call, at);
        }
        self.check_kind(&worth, &call.name, at);
        let args = call.args.iter().chain(call.named.iter().map(|(_, value)| value));
        for arg in args {
            let given = self.argument(arg, at);
            if given.maybe && matches!(arg, Expr::Var(_)) {
                for path in &given.sources {
                    self.doubt(at, Doubt::Missing { path: path.clone(), how: How::Argument });
                }
            }
        }
        let id = self.id();
        let kept = Worth { id: id.clone(), path: None, hollow: true, ..worth.clone() };
        match &*call.name {
            "size" | "json" | "has" | "find_index" => {
                let kind = if &*call.name == "size" { Some(("number", true)) } else { None };
                Worth { sources: worth.sources, kind, ..Worth::sure(id) }
            }
            "first" | "last" | "find" => match &worth.items {
                Some(items) => {
                    let id = match &*call.name {
                        "first" => format!("{}[0]", worth.id),
                        "last" => format!("{}[-1]", worth.id),
                        _ => id,
                    };
                    let item = self.of_path(id, items.clone(), true);
                    self.known(item)
                }
                None => Worth { sources: worth.sources, ..Worth::nil(id) },
            },
            "where" | "reject" | "sort" | "sort_natural" | "uniq" | "reverse" | "compact" | "concat" => {
                Worth { kind: Some(("list", true)), ..kept }
            }
            "map" => {
                let items = match (&worth.items, call.args.first()) {
                    (Some(items), Some(Expr::Str(key))) => Some(format!("{items}.{key}")),
                    _ => None,
                };
                Worth { items, kind: Some(("list", true)), ..kept }
            }
            "join" => {
                let maybe = kept.maybe || !self.is_filled(&worth);
                let guard = if maybe { Guard::None } else { kept.guard };
                Worth { items: None, kind: Some(("text", true)), maybe, guard, ..kept }
            }
            "split" | "group_by" => Worth { items: None, kind: Some(("list", true)), ..kept },
            "abs" | "at_least" | "at_most" | "ceil" | "divided_by" | "floor" | "minus" | "modulo"
            | "plus" | "round" | "sum" | "times" => {
                Worth { items: None, kind: Some(("number", true)), ..kept }
            }
            // Nothing stays nothing.
            "money" => Worth { items: None, kind: Some(("text", true)), hollow: false, ..kept },
            _ => Worth { items: None, kind: Some(("text", true)), ..kept },
        }
    }

    fn with_default(&mut self, worth: Worth, call: &'p Call, at: u32) -> Worth {
        let other = match call.args.first() {
            Some(arg) => self.argument(arg, at),
            None => Worth { blank: true, ..Worth::sure(self.id()) },
        };
        if !worth.maybe && !worth.blank && !worth.hollow {
            return worth;
        }
        let mut out = Worth {
            id: self.id(),
            path: None,
            items: if worth.items == other.items { worth.items.clone() } else { None },
            sources: worth.sources.clone(),
            maybe: other.maybe,
            hollow: other.hollow || other.blank,
            blank: other.blank,
            guard: if other.maybe { Guard::None } else { Guard::Default },
            kind: worth.kind,
        };
        if other.maybe {
            out.sources.extend(other.sources);
        }
        out
    }

    /// A filter that makes nothing of a value of this type.
    fn check_kind(&mut self, worth: &Worth, filter: &str, at: u32) {
        let (Some((kind, declared)), Some(path)) = (worth.kind, worth.path.clone()) else { return };
        let message = match (filter, kind) {
            ("date", "number") => "'date' reads it as seconds since 1970.",
            ("date", "bool" | "list") => "'date' makes nothing of it.",
            ("money", "text" | "bool" | "list" | "date") => {
                "'money' takes a number; text that is none is shown as 0."
            }
            (
                "plus" | "minus" | "times" | "divided_by" | "modulo" | "round" | "ceil" | "floor" | "abs",
                "text" | "date",
            ) => "arithmetic takes text that is no number for 0.",
            ("upcase" | "downcase" | "capitalize" | "truncate" | "truncatewords" | "split", "list") => {
                "a filter for text takes its written form, with brackets and quotes."
            }
            ("join" | "map" | "where" | "sort" | "sum", "number" | "bool" | "date") => {
                "the filter takes a list."
            }
            _ => return,
        };
        self.doubt(at, Doubt::Type { path, kind, declared, message: message.to_owned() });
    }

    /// A list that was shown to have something in it.
    pub(super) fn is_filled(&self, list: &Worth) -> bool {
        self.state.facts.present.contains(&format!("{}[0]", list.id))
    }

    /// What is looped over should be a list.
    pub(super) fn kind_is_list(&mut self, worth: &Worth, at: u32) {
        let (Some((kind, declared)), Some(path)) = (worth.kind, worth.path.clone()) else { return };
        if matches!(kind, "number" | "bool" | "date") {
            let message = "a loop over it has no turn.".to_owned();
            self.doubt(at, Doubt::Type { path, kind, declared, message });
        }
    }
}
