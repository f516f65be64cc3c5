//! What is known of values on a way through a template, and what a value may be.

use std::collections::BTreeSet;

use super::Guard;

/// What a way through the template has proved, by the ids of values.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Facts {
    /// Not nothing.
    pub present: BTreeSet<String>,
    truthy: BTreeSet<String>,
    falsy: BTreeSet<String>,
    nothing: BTreeSet<String>,
}

impl Facts {
    pub fn present(mut self, id: &str) -> Facts {
        // A part that is there has wholes that are there.
        for (at, _) in id.match_indices(['.', '[']) {
            self.present.insert(id[..at].to_owned());
        }
        self.present.insert(id.to_owned());
        self
    }

    pub fn truthy(mut self, id: &str) -> Facts {
        self.truthy.insert(id.to_owned());
        self
    }

    pub fn falsy(mut self, id: &str) -> Facts {
        self.falsy.insert(id.to_owned());
        self
    }

    pub fn nothing(mut self, id: &str) -> Facts {
        self.nothing.insert(id.to_owned());
        self
    }

    /// Both hold.
    pub fn and(&self, other: &Facts) -> Facts {
        let both = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.union(b).cloned().collect();
        Facts {
            present: both(&self.present, &other.present),
            truthy: both(&self.truthy, &other.truthy),
            falsy: both(&self.falsy, &other.falsy),
            nothing: both(&self.nothing, &other.nothing),
        }
    }

    /// One of them holds.
    pub fn or(&self, other: &Facts) -> Facts {
        let either = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.intersection(b).cloned().collect();
        Facts {
            present: either(&self.present, &other.present),
            truthy: either(&self.truthy, &other.truthy),
            falsy: either(&self.falsy, &other.falsy),
            nothing: either(&self.nothing, &other.nothing),
        }
    }

    /// They contradict each other: nobody comes this way.
    pub fn impossible(&self) -> bool {
        !self.truthy.is_disjoint(&self.falsy) || !self.present.is_disjoint(&self.nothing)
    }
}

/// What a value may be.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Worth {
    /// What facts speak of: the path, told apart by the turn of a loop, or a number of its own.
    pub id: String,
    /// The path in the data, when it is exactly that.
    pub path: Option<String>,
    /// The path of its elements, when it is a list.
    pub items: Option<String>,
    /// The paths it comes from.
    pub sources: Vec<String>,
    /// It may be nothing.
    pub maybe: bool,
    /// It may be text of no letters, which an `if` takes for something.
    pub hollow: bool,
    /// It may print nothing because the author said so.
    pub blank: bool,
    /// What keeps it from being nothing.
    pub guard: Guard,
    /// text, number, bool, date or list, and whether that was declared.
    pub kind: Option<(&'static str, bool)>,
}

impl Worth {
    /// Something that is always there.
    pub fn sure(id: String) -> Worth {
        Worth {
            id,
            path: None,
            items: None,
            sources: Vec::new(),
            maybe: false,
            hollow: false,
            blank: false,
            guard: Guard::Always,
            kind: None,
        }
    }

    pub fn nil(id: String) -> Worth {
        Worth { maybe: true, guard: Guard::None, ..Worth::sure(id) }
    }

    /// What is left of it where these facts hold.
    pub fn under(mut self, facts: &Facts) -> Worth {
        if facts.present.contains(&self.id) {
            if self.maybe {
                self.guard = Guard::If;
            }
            (self.maybe, self.hollow, self.blank) = (false, false, false);
        }
        self
    }

    /// One or the other.
    pub fn or(&self, other: &Worth, fresh: impl FnOnce() -> String) -> Worth {
        let mut sources = self.sources.clone();
        sources.extend(other.sources.iter().filter(|s| !self.sources.contains(s)).cloned());
        let same = |a: &Option<String>, b: &Option<String>| if a == b { a.clone() } else { None };
        Worth {
            id: if self.id == other.id { self.id.clone() } else { fresh() },
            path: same(&self.path, &other.path),
            items: same(&self.items, &other.items),
            sources,
            maybe: self.maybe || other.maybe,
            hollow: self.hollow || other.hollow,
            blank: self.blank || other.blank,
            guard: self.guard.min(other.guard),
            kind: if self.kind == other.kind { self.kind } else { None },
        }
    }
}
