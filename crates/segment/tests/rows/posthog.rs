//! PostHog's behavioural criteria.

use super::Row;

pub const POSTHOG: &[Row] = &[
    (
        "performed event, not performed",
        r#"did "Chart Made" in last 30 days and not did "Chart Shared" in last 30 days"#,
        "{}",
        "2026-05-01T00:00:00Z Chart Made
             2026-05-01T00:00:00Z in
             2026-05-02T00:00:00Z Chart Shared
             2026-05-02T00:00:00Z out",
    ),
    (
        "performed event n times",
        r#"count "Chart Made" in last 7 days = 2"#,
        "{}",
        "2026-05-01T00:00:00Z Chart Made
             2026-05-02T00:00:00Z Chart Made
             2026-05-02T00:00:00Z in
             2026-05-08T00:00:00Z out",
    ),
    (
        "performed event for the first time",
        r#"did "Chart Made" for the first time in last 7 days"#,
        "{}",
        "2026-05-01T00:00:00Z Chart Made
             2026-05-01T00:00:00Z in
             2026-05-08T00:00:00Z out
             2026-05-09T00:00:00Z Chart Made
             2026-05-09T00:00:00Z out",
    ),
    (
        "performed events in sequence",
        r#""Chart Made" then "Chart Shared" within 3 days in last 30 days"#,
        "{}",
        "2026-05-01T00:00:00Z Chart Shared
             2026-05-02T00:00:00Z Chart Made
             2026-05-02T00:00:00Z out
             2026-05-04T00:00:00Z Chart Shared
             2026-05-04T00:00:00Z in
             2026-06-01T00:00:00Z out",
    ),
    (
        "did not complete the sequence",
        r#""Chart Made" then not "Chart Shared" within 3 days"#,
        "{}",
        "2026-05-01T00:00:00Z Chart Made
             2026-05-03T23:59:59Z out
             2026-05-04T00:00:00Z in",
    ),
    (
        "performed event regularly",
        r#"regularly "Chart Made" in 3 of last 4 weeks"#,
        "{}",
        "2026-05-01T00:00:00Z Chart Made
             2026-05-08T00:00:00Z Chart Made
             2026-05-08T00:00:00Z out
             2026-05-20T00:00:00Z Chart Made
             2026-05-20T00:00:00Z in
             2026-05-29T00:00:00Z out",
    ),
    (
        "stopped performing event",
        r#"stopped "Chart Made" for 14 days after 2 times in 30 days"#,
        "{}",
        "2026-05-01T00:00:00Z Chart Made
             2026-05-10T00:00:00Z Chart Made
             2026-05-23T23:59:59Z out
             2026-05-24T00:00:00Z in
             2026-06-14T00:00:00Z out",
    ),
    (
        "restarted performing event",
        r#"resumed "Chart Made" in last 7 days after a pause of 30 days"#,
        "{}",
        "2026-05-01T00:00:00Z Chart Made
             2026-05-01T00:00:00Z out
             2026-05-31T00:00:00Z Chart Made
             2026-05-31T00:00:00Z in
             2026-06-07T00:00:00Z out",
    ),
    (
        "person property, cohort, negation",
        r#"not (in segment "VIP" or plan = "free")"#,
        r#"{"plan": "pro"}"#,
        r#"2026-05-01T00:00:00Z in
               2026-05-01T00:00:00Z set {"tier": "gold"}
               2026-05-01T00:00:00Z out"#,
    ),
];
