//! Forms of Segment, Notifuse, Mautic and Parcelvoy.

use super::Row;

const NOW: &str = "2026-05-01T00:00:00Z in";

pub const OTHERS: &[Row] = &[
    (
        "Segment: equals any of, contains any of, exists",
        r#"a in ("x", "y") and b contains any of ("x", "y") and c is present"#,
        r#"{"a": "y", "b": "zy", "c": 0}"#,
        NOW,
    ),
    (
        "Segment: before last",
        r#"did "Visit" before last 30 days"#,
        "{}",
        "2026-05-01T00:00:00Z Visit
             2026-05-30T23:59:59Z out
             2026-05-31T00:00:00Z in",
    ),
    (
        "Segment: after next",
        "renewal after next 10 days",
        r#"{"renewal": "2026-05-20T00:00:00Z"}"#,
        "2026-05-09T23:59:59Z in
             2026-05-10T00:00:00Z out",
    ),
    (
        "Segment: in-between window",
        r#"did "Visit" between 20 days ago and 10 days ago"#,
        "{}",
        "2026-05-01T00:00:00Z Visit
             2026-05-10T23:59:59Z out
             2026-05-11T00:00:00Z in
             2026-05-21T00:00:00Z out",
    ),
    (
        "Segment: and not who",
        r#"did "Visit" and not did "Order""#,
        "{}",
        "2026-05-01T00:00:00Z Visit
             2026-05-01T00:00:00Z in
             2026-05-02T00:00:00Z Order
             2026-05-02T00:00:00Z out",
    ),
    (
        "Segment: funnel with one cart",
        r#""Cart Opened" then not "Cart Paid" within 1 hour with same cart_id"#,
        "{}",
        r#"2026-05-01T00:00:00Z Cart Opened {"cart_id": "a"}
               2026-05-01T00:10:00Z Cart Opened {"cart_id": "b"}
               2026-05-01T00:20:00Z Cart Paid {"cart_id": "a"}
               2026-05-01T01:00:00Z out
               2026-05-01T01:10:00Z in"#,
    ),
    (
        "Notifuse: timeline count at most, exactly",
        r#"count "Visit" in last 3 days <= 1 and count "Visit" = 2"#,
        "{}",
        "2026-05-01T00:00:00Z Visit
             2026-05-02T00:00:00Z Visit
             2026-05-02T00:00:00Z out
             2026-05-04T00:00:00Z in",
    ),
    (
        "Notifuse: goal average, lowest, highest",
        r#"avg(value) of "Goal" = 2 and min(value) of "Goal" = 1 and max(value) of "Goal" = 3"#,
        "{}",
        r#"2026-05-01T00:00:00Z Goal {"value": 1}
               2026-05-01T00:00:00Z Goal {"value": 3}
               2026-05-01T00:00:00Z in"#,
    ),
    (
        "Mautic: empty, like, regexp",
        r#"(a is missing or a length = 0) and b matches /^Dha/ and b contains "hak""#,
        r#"{"a": "", "b": "Dhaka"}"#,
        NOW,
    ),
    (
        "Parcelvoy: xor and none groups",
        "(a = 1 or b = 1) and not (a = 1 and b = 1) and not (c = 1 or d = 1)",
        r#"{"a": 1, "b": 2}"#,
        NOW,
    ),
];
