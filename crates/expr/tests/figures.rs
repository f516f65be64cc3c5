//! Figures: whatever tree there is, text and JSON carry it; faults name their place and what could stand there.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use expr::{
    Aggregate, EventPattern, Figure, Filter, Literal, Op, Path, Period, Schema, Span, Term, Test, Unit,
    Which, Window, check_figure_text, parse_figure,
};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

fn event() -> impl Strategy<Value = EventPattern> {
    let filter = ("[a-z]{1,4}", -9..9i32).prop_map(|(name, number)| {
        let value = Literal::Number(f64::from(number) / 2.0);
        let test = Test::Compare { op: Op::Greater, value };
        let one = Filter::Property { path: Path::new(vec![name]).unwrap(), test };
        Filter::Or { any: vec![one.clone(), Filter::Not { filter: Box::new(one) }] }
    });
    (".{1,6}", of(filter)).prop_map(|(name, filter)| EventPattern { name, filter })
}

fn figure() -> impl Strategy<Value = Figure> {
    let window = || {
        of((1..400u32, select(Unit::ALL.to_vec()))
            .prop_filter("at most 200 years", |(amount, unit)| {
                Span { amount: *amount, unit: *unit }.micros_max() < 200 * 366 * model::time::DAY
            })
            .prop_map(|(amount, unit)| Window::in_last(amount, unit)))
    };
    let which = || select(Which::ALL.to_vec());
    let weight = || (1..1_000u32).prop_map(|number| f64::from(number) / 8.0);
    let term = (weight(), event()).prop_map(|(weight, event)| Term { weight, event });
    let units = vec![Unit::Seconds, Unit::Minutes, Unit::Hours, Unit::Days, Unit::Weeks];
    prop_oneof![
        (event(), window()).prop_map(|(event, window)| Figure::Count { event, window }),
        (select(Aggregate::ALL.to_vec()), "[a-z ]{1,5}", event(), window()).prop_map(
            |(function, name, event, window)| {
                let property = Path::new(vec![name]).unwrap();
                Figure::Aggregate { function, property, event, window }
            }
        ),
        (select(Period::ALL.to_vec()), event(), window())
            .prop_map(|(period, event, window)| Figure::Periods { period, event, window }),
        (which(), event()).prop_map(|(which, event)| Figure::DaysSince { which, event }),
        (which(), event()).prop_map(|(which, event)| Figure::TimeOf { which, event }),
        (vec(term, 1..4), 1..400u32, select(units), of(weight())).prop_map(|(terms, amount, unit, fifty)| {
            Figure::Score { terms, half_life: Span { amount, unit }, fifty }
        }),
    ]
}

proptest! {
    #[test]
    fn text_and_json_carry_every_figure_without_loss(figure in figure()) {
        let text = figure.to_string();
        prop_assert_eq!(&parse_figure(&text).map_err(|e| TestCaseError::fail(format!("{text}: {e}")))?, &figure);
        prop_assert_eq!(&Figure::from_json(&figure.to_json()).unwrap(), &figure);
        prop_assert!(expr::describe_figure(&figure).ends_with('.'));
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,60}") {
        let _ = parse_figure(&text);
        let _ = parse_figure(&format!("score({text}"));
    }
}

#[test]
fn a_fault_names_its_place_and_what_could_stand_there() {
    let check = |text: &str, column: usize, part: &str| {
        let error = parse_figure(text).unwrap_err();
        assert!(error.to_string().contains(part), "{text}: {error}");
        assert_eq!(error.column, column, "{text}: {error}");
    };
    check("did \"X\"", 1, "expected 'count'");
    check("", 1, "'score('");
    check("count \"X\" > 3", 11, "compared where it is used");
    check("count \"X\" in last 3 fortnights", 21, "weeks");
    check("days since \"X\"", 12, "'last'");
    check("sum(revenue) \"X\"", 14, "'of'");
    check("score(3 * \"X\")", 14, "half-life 14 days");
    check("score(0 * \"X\", half-life 3 days)", 7, "above 0");
    check("score(3 * \"X\", half-life 3 months)", 26, "in weeks or days");
    check("score(3 * \"X\", half-life 3 days, 60 at 4 points)", 34, "its middle");
    check("score(\"X\", half-life 3 days)", 7, "a weight");
    check("weeks wit \"X\"", 7, "did you mean 'with'");
    let many = vec!["1 * \"X\""; expr::TERMS_MAX + 1].join(" + ");
    assert!(
        parse_figure(&format!("score({many}, half-life 1 day)")).unwrap_err().message.contains("at most")
    );
}

#[test]
fn a_figure_is_checked_against_what_the_workspace_knows() {
    let schema = Schema {
        events: vec!["Order Completed".into()],
        properties: vec![("Order Completed".into(), "currency".into(), "text".into())],
        ..Schema::default()
    };
    let checked = check_figure_text(r#"sum(currency) of "Order Completed""#, &schema);
    assert!(checked.errors[0].message.contains("needs numbers"), "{checked:?}");
    assert_eq!(checked.errors[0].column, 5);
    let checked = check_figure_text(r#"score(1 * "Order Complete", half-life 1 day)"#, &schema);
    assert_eq!(checked.warnings[0].nearest.as_deref(), Some("Order Completed"));
    assert!(checked.errors.is_empty() && checked.figure.is_some());
}
