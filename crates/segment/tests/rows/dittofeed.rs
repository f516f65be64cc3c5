//! Dittofeed's nodes and operators.

use super::Row;

pub const DITTOFEED: &[Row] = &[
    (
        "Trait Equals",
        r#"plan = "pro""#,
        "{}",
        r#"2026-05-01T00:00:00Z out
            2026-05-01T01:00:00Z set {"plan": "pro"}
            2026-05-01T01:00:00Z in"#,
    ),
    (
        "Trait NotEquals; a missing trait differs there",
        r#"not plan = "pro""#,
        "{}",
        r#"2026-05-01T00:00:00Z in
            2026-05-01T01:00:00Z set {"plan": "pro"}
            2026-05-01T01:00:00Z out"#,
    ),
    (
        "Trait Exists",
        "phone is present",
        "{}",
        r#"2026-05-01T00:00:00Z out
            2026-05-01T01:00:00Z set {"phone": "+49301234"}
            2026-05-01T01:00:00Z in"#,
    ),
    (
        "Trait NotExists",
        "phone is missing",
        r#"{"phone": ""}"#,
        r#"2026-05-01T00:00:00Z out
            2026-05-01T01:00:00Z set {"phone": null}
            2026-05-01T01:00:00Z in"#,
    ),
    ("Trait GreaterThanOrEqual", "points >= 10", r#"{"points": 10}"#, "2026-05-01T00:00:00Z in"),
    ("Trait LessThan", "points < 10", r#"{"points": 10}"#, "2026-05-01T00:00:00Z out"),
    (
        "Trait Within",
        "trial_began in last 14 days",
        r#"{"trial_began": "2026-05-01T00:00:00Z"}"#,
        "2026-05-14T23:59:59Z in
             2026-05-15T00:00:00Z out",
    ),
    (
        "Trait AbsoluteTimestamp",
        "renewal after 2026-05-01 and renewal before 2026-06-01",
        r#"{"renewal": "2026-05-20"}"#,
        "2026-01-01T00:00:00Z in",
    ),
    (
        "Trait HasBeen at least",
        r#"plan = "pro" for 7 days"#,
        "{}",
        r#"
            2026-05-01T00:00:00Z set {"plan": "pro"}
            2026-05-04T00:00:00Z set {"plan": "pro"}
            2026-05-07T23:59:59Z out
            2026-05-08T00:00:00Z in
            2026-05-09T00:00:00Z set {"plan": "free"}
            2026-05-09T00:00:00Z out
            2026-05-10T00:00:00Z set {"plan": "pro"}
            2026-05-16T00:00:00Z out
            2026-05-17T00:00:00Z in"#,
    ),
    (
        "Trait HasBeen less than",
        r#"plan = "pro" and not plan = "pro" for 7 days"#,
        "{}",
        r#"
            2026-05-01T00:00:00Z set {"plan": "pro"}
            2026-05-01T00:00:00Z in
            2026-05-08T00:00:00Z out"#,
    ),
    ("And, Or", "a = 1 and (b = 1 or c = 1)", r#"{"a": 1, "c": 1}"#, "2026-05-01T00:00:00Z in"),
    ("And of nothing, which is false there", "not everyone", "{}", "2026-05-01T00:00:00Z out"),
    ("Everyone", "everyone", "{}", "2026-05-01T00:00:00Z in"),
    (
        "Performed, once or more",
        r#"did "Song Played""#,
        "{}",
        "2026-05-01T00:00:00Z out
            2026-05-01T01:00:00Z Song Played
            2026-05-01T01:00:00Z in",
    ),
    (
        "Performed with a trailing *",
        r#"count "Song *" = 2"#,
        "{}",
        "2026-05-01T00:00:00Z Song Played
            2026-05-01T00:00:00Z out
            2026-05-01T01:00:00Z Song Liked
            2026-05-01T01:00:00Z in",
    ),
    (
        "Performed times =",
        r#"count "Song Played" = 2"#,
        "{}",
        "2026-05-01T00:00:00Z Song Played
            2026-05-02T00:00:00Z Song Played
            2026-05-02T00:00:00Z in
            2026-05-03T00:00:00Z Song Played
            2026-05-03T00:00:00Z out",
    ),
    (
        "Performed times <",
        r#"count "Song Played" < 2"#,
        "{}",
        "2026-05-01T00:00:00Z in
            2026-05-01T00:00:00Z Song Played
            2026-05-02T00:00:00Z Song Played
            2026-05-02T00:00:00Z out",
    ),
    (
        "Performed times = 0",
        r#"count "Song Played" = 0"#,
        "{}",
        "2026-05-01T00:00:00Z in
            2026-05-01T01:00:00Z Song Played
            2026-05-01T01:00:00Z out",
    ),
    (
        "Performed Within seconds",
        r#"did "Song Played" in last 3600 seconds"#,
        "{}",
        "2026-05-01T00:00:00Z Song Played
             2026-05-01T00:59:59Z in
             2026-05-01T01:00:00Z out",
    ),
    (
        "Performed AfterAbsolute, BeforeAbsolute",
        r#"did "Song Played" since 2026-05-02T00:00:00Z and did "Song Played" before 2026-05-02T00:00:00Z"#,
        "{}",
        "2026-05-01T00:00:00Z Song Played
             2026-05-01T00:00:00Z out
             2026-05-02T00:00:00Z Song Played
             2026-05-02T00:00:00Z in",
    ),
    (
        "Performed with properties",
        r#"did "Song Played" where (genre = "jazz" and seconds >= 60)"#,
        "{}",
        r#"2026-05-01T00:00:00Z Song Played {"genre": "jazz", "seconds": 20}
               2026-05-01T00:00:00Z out
               2026-05-02T00:00:00Z Song Played {"genre": "jazz", "seconds": 60}
               2026-05-02T00:00:00Z in"#,
    ),
    (
        "LastPerformed whereProperties, hasProperties on the last one",
        r#"did "Plan Changed" where (app = "web" and to = "pro")
               and not last "Plan Changed" where app = "web" after last "Plan Changed" where (app = "web" and to = "pro")"#,
        "{}",
        r#"2026-05-01T00:00:00Z Plan Changed {"app": "web", "to": "pro"}
               2026-05-01T00:00:00Z in
               2026-05-02T00:00:00Z Plan Changed {"app": "phone", "to": "free"}
               2026-05-02T00:00:00Z in
               2026-05-03T00:00:00Z Plan Changed {"app": "web", "to": "free"}
               2026-05-03T00:00:00Z out"#,
    ),
    (
        "KeyedPerformed",
        r#"count "Cart Updated" where (cart_id = "c1" and items > 0) >= 2"#,
        "{}",
        r#"2026-05-01T00:00:00Z Cart Updated {"cart_id": "c1", "items": 1}
               2026-05-01T01:00:00Z Cart Updated {"cart_id": "c2", "items": 1}
               2026-05-01T01:00:00Z out
               2026-05-01T02:00:00Z Cart Updated {"cart_id": "c1", "items": 2}
               2026-05-01T02:00:00Z in"#,
    ),
    (
        "Email by template and count",
        r#"count "Email Opened" where template = "welcome" >= 2"#,
        "{}",
        r#"2026-05-01T00:00:00Z Email Opened {"template": "welcome", "actor": "person"}
               2026-05-01T00:00:01Z Email Opened {"template": "welcome", "actor": "scanner"}
               2026-05-01T00:00:01Z out
               2026-05-02T00:00:00Z Email Opened {"template": "welcome"}
               2026-05-02T00:00:00Z in"#,
    ),
    (
        "Email bounced, spam",
        r#"did "Email Bounced" or did "Email Marked as Spam""#,
        "{}",
        "2026-05-01T00:00:00Z Email Bounced
             2026-05-01T00:00:00Z in",
    ),
    (
        "Broadcast",
        r#"did "Email Sent" where campaign = "spring""#,
        "{}",
        r#"2026-05-01T00:00:00Z Email Sent {"campaign": "spring"}
               2026-05-01T00:00:00Z in"#,
    ),
    (
        "SubscriptionGroup opt-in",
        r#"subscribed to topic "news""#,
        "{}",
        r#"2026-05-01T00:00:00Z out
               2026-05-01T00:00:00Z says {"to": "news", "yes": true}
               2026-05-01T00:00:00Z in"#,
    ),
    (
        "SubscriptionGroup opt-out: in unless it was refused",
        r#"not unsubscribed from topic "news""#,
        "{}",
        r#"2026-05-01T00:00:00Z in
               2026-05-01T00:00:00Z says {"to": "news", "yes": false}
               2026-05-01T00:00:00Z out"#,
    ),
    (
        "SubscriptionGroupUnsubscribed",
        r#"unsubscribed from topic "news""#,
        "{}",
        r#"2026-05-01T00:00:00Z out
               2026-05-01T00:00:00Z says {"to": "news", "yes": false}
               2026-05-01T00:00:00Z in"#,
    ),
    (
        "RandomBucket",
        r#"in random 100% of "x" and not in random 0.0001% of "x""#,
        "{}",
        "2026-05-01T00:00:00Z in",
    ),
    ("Includes", r#"roles contains "admin""#, r#"{"roles": ["reader", "admin"]}"#, "2026-05-01T00:00:00Z in"),
];
