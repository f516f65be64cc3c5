//! Whatever tree there is, text and JSON carry it without loss; whatever bytes there are, nothing panics.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use expr::*;
use model::Timestamp;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

fn words() -> Vec<String> {
    let examples = FORMS.iter().flat_map(|form| form.example.split(' ')).map(str::to_owned);
    examples
        .chain(["(", ")", ",", ".", "\"", "`", "/", "%", "not", "\\", "é", "1e9"].map(str::to_owned))
        .collect()
}

/// Names that people choose, names nobody should, and the words of the language itself.
fn name() -> impl Strategy<Value = String> {
    let own: Vec<String> = words().into_iter().filter(|word| !word.is_empty()).collect();
    prop_oneof![3 => "[a-z_]{1,8}", 2 => ".{1,6}", 1 => select(own)]
}

fn path() -> impl Strategy<Value = Path> {
    vec(name(), 1..4).prop_map(|names| Path::new(names).unwrap())
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(|n| if n == 0.0 { 0.0 } else { n }),
        (-1_000..1_000i32).prop_map(f64::from),
    ]
}

fn literal() -> impl Strategy<Value = Literal> {
    prop_oneof![
        number().prop_map(Literal::Number),
        ".{0,6}".prop_map(Literal::Text),
        any::<bool>().prop_map(Literal::Bool),
    ]
}

fn span() -> impl Strategy<Value = Span> {
    (1..2_000u32, select(Unit::ALL.to_vec()))
        .prop_map(|(amount, unit)| Span { amount, unit })
        .prop_filter("at most 200 years", |span| span.micros_max() < 200 * 366 * model::time::DAY)
}

fn when() -> impl Strategy<Value = When> {
    (0..4_000_000_000i64, any::<bool>()).prop_map(|(seconds, whole)| {
        let at = Timestamp::from_secs(seconds);
        if whole { When::Date(day_of(at, &jiff::tz::TimeZone::UTC)) } else { When::At(at + 123_456) }
    })
}

fn window() -> impl Strategy<Value = Window> {
    prop_oneof![
        span().prop_map(|span| Window::InLast { span }),
        span().prop_map(|span| Window::BeforeLast { span }),
        (span(), span())
            .prop_filter("the longer first", |(from, to)| from.micros_max() > to.micros_max())
            .prop_map(|(from, to)| Window::Ago { from, to }),
        when().prop_map(|when| Window::Since { when }),
        when().prop_map(|when| Window::Before { when }),
        (when(), when()).prop_map(|(from, to)| Window::Between { from, to }),
        Just(Window::Today),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    select(vec![Op::Equal, Op::NotEqual, Op::Less, Op::LessOrEqual, Op::Greater, Op::GreaterOrEqual])
}

fn number_test() -> impl Strategy<Value = Test> {
    let one = || number().prop_map(Literal::Number);
    prop_oneof![
        (op(), one()).prop_map(|(op, value)| Test::Compare { op, value }),
        (one(), one()).prop_map(|(low, high)| Test::Between { low, high }),
        vec(one(), 1..4).prop_map(|values| Test::In { values }),
        vec(one(), 1..4).prop_map(|values| Test::NotIn { values }),
        Just(Test::Missing),
        Just(Test::Present),
    ]
}

fn still_test() -> impl Strategy<Value = Test> {
    let patterns = ["^A", r"\d+/x", r"a\\b", "(?i)é|.*", "[/]"];
    prop_oneof![
        number_test(),
        (op(), literal()).prop_map(|(op, value)| Test::Compare { op, value }),
        vec(literal(), 1..4).prop_map(|values| Test::In { values }),
        ".{0,5}".prop_map(|text| Test::StartsWith { text }),
        ".{0,5}".prop_map(|text| Test::EndsWith { text }),
        literal().prop_map(|value| Test::Contains { value }),
        vec(literal(), 1..4).prop_map(|values| Test::ContainsAny { values }),
        vec(literal(), 1..4).prop_map(|values| Test::ContainsAll { values }),
        select(patterns.to_vec()).prop_map(|source| Test::Matches { pattern: Pattern::new(source).unwrap() }),
        (op(), 0..1_000u32).prop_map(|(op, number)| Test::Length { op, number }),
        when().prop_map(|when| Test::Before { when }),
        when().prop_map(|when| Test::After { when }),
        when().prop_map(|when| Test::On { when }),
        (when(), when()).prop_map(|(from, to)| Test::BetweenDates { from, to }),
        select(Month::ALL.to_vec()).prop_map(|month| Test::InMonth { month }),
        select(Weekday::ALL.to_vec()).prop_map(|weekday| Test::OnWeekday { weekday }),
    ]
}

fn test() -> impl Strategy<Value = Test> {
    let days = (1..500u32, select(vec![Unit::Days, Unit::Weeks, Unit::Months]));
    let days = days.prop_map(|(amount, unit)| Span { amount, unit });
    prop_oneof![
        4 => still_test(),
        1 => span().prop_map(|span| Test::InLast { span }),
        1 => span().prop_map(|span| Test::InNext { span }),
        1 => span().prop_map(|span| Test::BeforeLast { span }),
        1 => span().prop_map(|span| Test::AfterNext { span }),
        1 => select(vec![Test::Today, Test::AnniversaryToday]),
        1 => days.clone().prop_map(|span| Test::AnniversaryInNext { span }),
        1 => days.prop_map(|span| Test::AnniversaryInLast { span }),
    ]
}

fn quantifier() -> impl Strategy<Value = Quantifier> {
    select(Quantifier::ALL.to_vec())
}

fn filter() -> impl Strategy<Value = Filter> {
    (path(), still_test()).prop_map(|(path, test)| Filter::Property { path, test }).prop_recursive(
        3,
        8,
        3,
        |inner| {
            prop_oneof![
                vec(inner.clone(), 2..4).prop_map(|all| Filter::And { all }),
                vec(inner.clone(), 2..4).prop_map(|any| Filter::Or { any }),
                inner.clone().prop_map(|filter| Filter::Not { filter: Box::new(filter) }),
                (quantifier(), path(), inner).prop_map(|(quantifier, path, filter)| Filter::Elements {
                    quantifier,
                    path,
                    filter: Box::new(filter)
                }),
            ]
        },
    )
}

fn event() -> impl Strategy<Value = EventPattern> {
    (name(), of(filter())).prop_map(|(name, filter)| EventPattern { name, filter })
}

fn behaviour() -> impl Strategy<Value = Condition> {
    let which = || select(Which::ALL.to_vec());
    let figures =
        vec![Aggregate::Sum, Aggregate::Average, Aggregate::Minimum, Aggregate::Maximum, Aggregate::Distinct];
    let picks = vec![Aggregate::Top, Aggregate::First, Aggregate::Last];
    let less = vec![Op::Less, Op::LessOrEqual, Op::Greater, Op::GreaterOrEqual];
    let aggregate =
        prop_oneof![(select(figures), number_test().boxed()), (select(picks), still_test().boxed())];
    let step =
        (any::<bool>(), event(), of(span())).prop_map(|(not, event, within)| Then { not, event, within });
    prop_oneof![
        (event(), of(window())).prop_map(|(event, window)| Condition::Did { event, window }),
        (event(), of(window()), number_test()).prop_map(|(event, window, test)| Condition::Count {
            event,
            window,
            test
        }),
        (aggregate, path(), event(), of(window())).prop_map(|((function, test), property, event, window)| {
            Condition::Aggregate { function, property, event, window, test }
        }),
        (select(Period::ALL.to_vec()), event(), of(window()), number_test())
            .prop_map(|(period, event, window, test)| Condition::Periods { period, event, window, test }),
        (which(), event(), select(less), span()).prop_map(|(which, event, op, span)| Condition::Since {
            which,
            event,
            op,
            span
        }),
        (which(), event(), select(Comparison::ALL.to_vec()), which(), event()).prop_map(
            |(a, left, comparison, b, right)| Condition::Order {
                left: Occasion { which: a, event: left },
                comparison,
                right: Occasion { which: b, event: right },
            }
        ),
        (event(), vec(step, 1..5), of(span()), of(path()), of(window())).prop_map(
            |(first, then, whole, same, window)| Condition::Sequence { first, then, whole, same, window }
        ),
        (event(), window()).prop_map(|(event, window)| Condition::FirstTime { event, window }),
        (event(), span(), 1..1_000u32, span()).prop_map(|(event, quiet, times, before)| Condition::Stopped {
            event,
            quiet,
            times,
            before
        }),
        (event(), of(window()), span()).prop_map(|(event, window, pause)| Condition::Resumed {
            event,
            window,
            pause
        }),
        (event(), 1..1_000u32, 1..20u32, 20..400u32, select(vec![Unit::Hours, Unit::Weeks])).prop_map(
            |(event, times, periods, amount, unit)| {
                Condition::Regularly { event, times, periods, last: Span { amount, unit } }
            }
        ),
    ]
}

fn leaf() -> impl Strategy<Value = Condition> {
    let by = of(".{0,5}");
    let share = (0..100u32, 1..1_000u32);
    prop_oneof![
        5 => behaviour(),
        2 => (path(), test()).prop_map(|(path, test)| Condition::Attribute { path, test }),
        1 => (path(), still_test(), span())
            .prop_filter("an absence has no beginning", |(_, test, _)| *test != Test::Missing)
            .prop_map(|(path, test, span)| Condition::Held { path, test, span }),
        1 => (quantifier(), path(), filter())
            .prop_map(|(quantifier, path, filter)| Condition::Elements { quantifier, path, filter }),
        1 => ".{0,5}".prop_map(|segment| Condition::InSegment { segment }),
        1 => (select(Passage::ALL.to_vec()), ".{0,5}", of(window()))
            .prop_map(|(passage, segment, window)| Condition::Passed { passage, segment, window }),
        1 => (select(Says::ALL.to_vec()), ".{0,5}", by, of(window()))
            .prop_map(|(says, about, by, window)| Condition::Consent { says, about, by, window }),
        1 => (share, ".{0,5}").prop_map(|((from, tenths), name)| {
            let to = (f64::from(from) + f64::from(tenths) / 10.0).min(100.0);
            Condition::Random { from: f64::from(from), to, name }
        }),
        1 => Just(Condition::Everyone),
    ]
}

fn tree() -> impl Strategy<Value = Condition> {
    leaf().prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 2..4).prop_map(|all| Condition::And { all }),
            vec(inner.clone(), 2..4).prop_map(|any| Condition::Or { any }),
            inner.prop_map(|condition| Condition::Not { condition: Box::new(condition) }),
        ]
    })
}

fn cases() -> u32 {
    option_env!("RAPPORT_CASES").and_then(|text| text.parse().ok()).unwrap_or(512)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn text_and_json_carry_every_tree(condition in tree()) {
        let text = condition.to_string();
        let parsed = parse(&text).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        prop_assert_eq!(&parsed, &condition, "{}", text);
        prop_assert_eq!(parsed.to_string(), text.clone());
        let again = Condition::from_json(&condition.to_json())
            .map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        prop_assert_eq!(&again, &condition, "{}", text);
        let sentence = describe(&condition);
        prop_assert!(sentence.ends_with('.') && sentence.len() > 3, "{}", sentence);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..200), cursor in 0..220usize) {
        let text = String::from_utf8_lossy(&bytes);
        let _ = (parse(&text), parse_filter(&text), Condition::from_json(&text));
        let _ = (complete(&text, cursor, &Schema::default()), hint(&text, cursor));
    }

    #[test]
    fn no_words_in_any_order_make_it_panic(chosen in vec(select(words()), 0..30), cursor in 0..200usize) {
        let text = chosen.join(" ");
        if let Ok(condition) = parse(&text) {
            prop_assert_eq!(parse(&condition.to_string()).unwrap(), condition);
        }
        let _ = (parse_filter(&text), complete(&text, cursor, &Schema::default()), hint(&text, cursor));
        let _ = check_text(&text, &Schema::default());
    }

    #[test]
    fn a_damaged_tree_is_refused_or_is_a_tree(condition in tree(), place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut json = condition.to_json().into_bytes();
        let place = place.index(json.len());
        json[place] = byte;
        if let Ok(tree) = Condition::from_json(&String::from_utf8_lossy(&json)) {
            prop_assert_eq!(parse(&tree.to_string()).unwrap(), tree);
        }
    }
}
