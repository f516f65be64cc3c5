//! Conditions: what follows from their holding, and from their not holding.

use super::{Doubt, How, Walk};
use crate::contract::facts::{Facts, Worth};
use crate::expression::{Compare, Condition, Expr, Join, Path, Step, Term};

/// Terms of one condition that are reasoned about.
const TERMS_MAX: usize = 100;

impl<'p> Walk<'p> {
    /// What follows: (when it holds, when it does not).
    pub(super) fn condition(&mut self, condition: &'p Condition, at: u32) -> (Facts, Facts) {
        let mut parts = Vec::new();
        for (term, join) in &condition.terms {
            let facts = self.term(term, at);
            parts.push((facts, *join));
        }
        if parts.len() > TERMS_MAX {
            return Default::default();
        }
        let mut rest: Option<(Facts, Facts)> = None;
        for ((holds, fails), join) in parts.into_iter().rev() {
            rest = Some(match (rest, join) {
                (Some((rest_holds, rest_fails)), Join::And) => {
                    (holds.and(&rest_holds), either(&fails, &holds.and(&rest_fails)))
                }
                (Some((rest_holds, rest_fails)), Join::Or) => {
                    (either(&holds, &fails.and(&rest_holds)), fails.and(&rest_fails))
                }
                _ => (holds, fails),
            });
        }
        rest.unwrap_or_default()
    }

    fn term(&mut self, term: &'p Term, at: u32) -> (Facts, Facts) {
        let left = self.value(&term.left);
        self.note(&left, How::Compared, at);
        let Some((compare, right_expr)) = &term.right else {
            return match &term.left {
                Expr::Bool(false) | Expr::Nil => (impossible(), Facts::default()),
                Expr::Var(_) => {
                    let holds = Facts::default().truthy(&left.id);
                    let holds = if left.hollow { holds } else { holds.present(&left.id) };
                    (holds, Facts::default().falsy(&left.id))
                }
                _ => (Facts::default(), impossible()),
            };
        };
        let right = self.value(right_expr);
        self.note(&right, How::Compared, at);
        self.compared(&left, &term.left, *compare, &right, right_expr, at);
        match compare {
            Compare::Eq => Self::equal(&left, &term.left, &right, right_expr),
            Compare::Ne => {
                let (holds, fails) = Self::equal(&left, &term.left, &right, right_expr);
                (fails, holds)
            }
            Compare::Contains => {
                let mut holds = has_some(Facts::default().present(&left.id), &left.id);
                if !right.hollow && matches!(right_expr, Expr::Var(_)) {
                    holds = holds.present(&right.id);
                }
                (holds, Facts::default())
            }
            Compare::Lt | Compare::Gt | Compare::Le | Compare::Ge => {
                let mut holds = ordered(&left, &term.left);
                holds = holds.and(&ordered(&right, right_expr));
                let least = match (compare, right_expr) {
                    (Compare::Gt, Expr::Int(n)) => Some(*n + 1),
                    (Compare::Ge, Expr::Int(n)) => Some(*n),
                    _ => None,
                };
                if least.is_some_and(|least| least >= 1) {
                    holds = holds.and(&filled(&left, &term.left));
                }
                (holds, Facts::default())
            }
        }
    }

    /// What follows from equality: (when it holds, when it does not).
    pub(super) fn equal(left: &Worth, left_expr: &Expr, right: &Worth, right_expr: &Expr) -> (Facts, Facts) {
        let (value, literal) = match (left_expr, right_expr) {
            (Expr::Var(_), Expr::Var(_)) => {
                let mut holds = Facts::default();
                if !right.maybe && !right.blank && !right.hollow {
                    holds = holds.present(&left.id);
                }
                if !left.maybe && !left.blank && !left.hollow {
                    holds = holds.present(&right.id);
                }
                return (holds, Facts::default());
            }
            (Expr::Var(_), literal) => (left, literal),
            (literal, Expr::Var(_)) => (right, literal),
            _ => return Default::default(),
        };
        let is = Facts::default();
        match literal {
            Expr::Nil => {
                let fails = if value.hollow { Facts::default() } else { Facts::default().present(&value.id) };
                let holds = is.falsy(&value.id);
                (if value.hollow { holds } else { holds.nothing(&value.id) }, fails)
            }
            // Whatever equals `blank` prints nothing, false excepted.
            Expr::Blank => (is, Facts::default().present(&value.id)),
            Expr::Empty => (is, Facts::default()),
            Expr::Str(text) if text.trim().is_empty() => (is, Facts::default()),
            Expr::Bool(false) => (is.present(&value.id).falsy(&value.id), Facts::default()),
            Expr::Int(n) if *n >= 1 => {
                let expr = if std::ptr::eq(value, left) { left_expr } else { right_expr };
                (is.present(&value.id).truthy(&value.id).and(&filled(value, expr)), Facts::default())
            }
            _ => (is.present(&value.id).truthy(&value.id), Facts::default()),
        }
    }

    fn compared(
        &mut self,
        left: &Worth,
        left_expr: &Expr,
        compare: Compare,
        right: &Worth,
        right_expr: &Expr,
        at: u32,
    ) {
        let (Some((a, a_declared)), Some((b, b_declared))) = (left.kind, right.kind) else { return };
        if matches!(right_expr, Expr::Nil | Expr::Blank | Expr::Empty) || compare == Compare::Contains {
            return;
        }
        let number_and_text = matches!((a, b), ("number", "text" | "date") | ("text" | "date", "number"));
        let with_bool = (a == "bool") != (b == "bool");
        if !number_and_text && !with_bool {
            return;
        }
        let (path, kind, other) = match (left_expr, right_expr, &left.path, &right.path) {
            (Expr::Var(_), _, Some(path), _) => (path.clone(), a, b),
            (_, Expr::Var(_), _, Some(path)) => (path.clone(), b, a),
            _ => return,
        };
        let message = match compare {
            Compare::Eq => format!("it never equals {other}."),
            Compare::Ne => format!("it always differs from {other}."),
            _ => format!("it cannot be compared with {other}."),
        };
        let declared = a_declared && b_declared;
        self.doubt(at, Doubt::Type { path, kind, declared, message });
    }
}

/// One of two things holds; what contradicts itself does not.
fn either(a: &Facts, b: &Facts) -> Facts {
    match (a.impossible(), b.impossible()) {
        (true, _) => b.clone(),
        (_, true) => a.clone(),
        _ => a.or(b),
    }
}

fn impossible() -> Facts {
    Facts::default().truthy("!").falsy("!")
}

fn is_size(expr: &Expr) -> bool {
    matches!(expr, Expr::Var(path) if matches!(&**path, Path { steps, .. }
        if matches!(steps.last(), Some(Step::Dot(key)) if &**key == "size")))
}

/// A list has a first and a last.
pub(super) fn has_some(facts: Facts, list: &str) -> Facts {
    facts.present(&format!("{list}[0]")).present(&format!("{list}[-1]"))
}

/// What has an order is there.
fn ordered(worth: &Worth, expr: &Expr) -> Facts {
    match expr {
        Expr::Var(_) if !worth.hollow => Facts::default().present(&worth.id),
        _ => Facts::default(),
    }
}

/// A size of at least one: the whole is there, and has a first and a last.
fn filled(size: &Worth, expr: &Expr) -> Facts {
    let Some(whole) = size.id.strip_suffix(".size").filter(|_| is_size(expr)) else {
        return Facts::default();
    };
    has_some(Facts::default().present(&size.id), whole)
}
