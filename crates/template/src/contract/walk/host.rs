//! Tags that ask the host, sections with a fallback, and variants.

use super::{Doubt, Ends, SILENT, State, Walk};
use crate::contract::facts::{Facts, Worth};
use crate::contract::{Guard, How};
use crate::syntax::{Asked, Body, Supply, Then, Variant};

impl<'p> Walk<'p> {
    pub(super) fn supply(&mut self, supply: &'p Supply, at: u32) -> Ends {
        for (_, argument) in &supply.arguments {
            self.argument(argument, at);
        }
        let named = |expr: &crate::expression::Expr| match expr {
            crate::expression::Expr::Str(name) => name.to_string(),
            _ => "<name>".to_owned(),
        };
        let path = match &supply.asked {
            Asked::Recommend(limit) => {
                if let Some(limit) = limit {
                    self.argument(limit, at);
                }
                "site.recommendations[]".to_owned()
            }
            Asked::Item(catalog, id) => {
                self.argument(id, at);
                format!("catalog.{}[]", named(catalog))
            }
            Asked::Feed(feed) => format!("feed.{}", named(feed)),
            // Without a code there is no mail.
            Asked::Coupon(_) => String::new(),
        };
        let id = self.id();
        let mut worth = if path.is_empty() { Worth::sure(id) } else { self.of_path(id, path, false) };
        if let Some(fallback) = &supply.fallback {
            let other = self.argument(fallback, at);
            (worth.maybe, worth.guard) = (false, Guard::Default);
            worth = worth.or(&other, || self.id());
        }
        match supply.then {
            Then::Print(_) => self.printed(&worth, at),
            Then::Assign(slot) => {
                self.note(&worth, How::Argument, at);
                self.assign(slot, worth, at);
                SILENT
            }
        }
    }

    /// The first section is printed only when nothing in it is missing.
    pub(super) fn fallback(&mut self, first: &'p Body, other: &'p Body) -> Ends {
        let before = self.state.clone();
        let (uses, doubts) = (self.out.uses.len(), self.out.doubts.len());
        let tried = self.body(first);
        let found = self.out.doubts.split_off(doubts);
        let covered = |doubt: &Doubt| matches!(doubt, Doubt::Missing { .. } | Doubt::Greeting { .. });
        self.out.doubts.extend(found.into_iter().filter(|(_, doubt)| !covered(doubt)));
        let mut printed = tried.prints;
        for each in &mut self.out.uses[uses..] {
            printed |= each.how == How::Printed;
            if each.guard == Guard::None {
                each.guard = Guard::Default;
            }
        }
        let after = self.state.clone();
        // What the first section assigned before it failed stays.
        self.join(vec![before, after.clone()]);
        let stood_in = self.body(other);
        let mut reached: Vec<State> = Vec::new();
        if tried.goes_on {
            reached.push(after);
        }
        if stood_in.goes_on {
            reached.push(self.state.clone());
        }
        let goes_on = !reached.is_empty();
        if goes_on {
            self.join(reached);
        }
        Ends { goes_on, prints: printed && stood_in.prints }
    }

    pub(super) fn variant(&mut self, variant: &'p Variant, at: u32) -> Ends {
        self.argument(&variant.chosen, at);
        for (names, _) in &variant.arms {
            for name in names {
                self.argument(name, at);
            }
        }
        let bodies = variant.arms.iter().map(|(_, body)| body).chain(&variant.otherwise);
        self.ways(bodies.map(|body| (Facts::default(), Some(body))).collect())
    }
}
