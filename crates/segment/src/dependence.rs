//! What a condition's answer depends on besides events.

use expr::{Condition, Span, Unit, When, Window};

/// Whether a leaf's answer can change with attributes, consent or the time zone.
pub(crate) fn depends_on_attributes(leaf: &Condition) -> bool {
    let local = |when: &When| matches!(when, When::Date(_));
    let calendar = |unit: Unit| matches!(unit, Unit::Months | Unit::Years);
    let moves = |span: &Span| calendar(span.unit);
    let zoned = |window: &Option<Window>| match window {
        Some(Window::Today) => true,
        Some(Window::InLast { span } | Window::BeforeLast { span }) => moves(span),
        Some(Window::Ago { from, to }) => moves(from) || moves(to),
        Some(Window::Since { when } | Window::Before { when }) => local(when),
        Some(Window::Between { from, to }) => local(from) || local(to),
        None => false,
    };
    match leaf {
        Condition::Attribute { .. }
        | Condition::Consent { .. }
        | Condition::Held { .. }
        | Condition::Elements { .. }
        | Condition::Random { .. }
        | Condition::Periods { .. } => true,
        Condition::Did { window, .. }
        | Condition::Count { window, .. }
        | Condition::Passed { window, .. }
        | Condition::Aggregate { window, .. } => zoned(window),
        Condition::FirstTime { window, .. } => zoned(&Some(window.clone())),
        Condition::Sequence { then, whole, window, .. } => {
            zoned(window) || then.iter().filter_map(|step| step.within.as_ref()).chain(whole).any(moves)
        }
        Condition::Stopped { quiet, before, .. } => moves(quiet) || moves(before),
        Condition::Resumed { window, pause, .. } => zoned(window) || moves(pause),
        Condition::Regularly { last, .. } => moves(last),
        Condition::Since { span, .. } => calendar(span.unit),
        _ => false,
    }
}
