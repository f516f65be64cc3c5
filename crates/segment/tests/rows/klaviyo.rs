//! Klaviyo's conditions and filters.

use super::Row;

const NOW: &str = "2026-05-01T00:00:00Z in";

pub const KLAVIYO: &[Row] = &[
    (
        "profile-group-membership",
        r#"in segment "VIP" and not in segment "VIP""#,
        r#"{"tier": "gold"}"#,
        "2026-05-01T00:00:00Z out",
    ),
    (
        "profile-group-membership with a time frame",
        r#"in segment "VIP" and entered segment "VIP" in last 7 days"#,
        "{}",
        r#"2026-05-01T00:00:00Z set {"tier": "gold"}
               2026-05-01T00:00:00Z in
               2026-05-07T23:59:59Z in
               2026-05-08T00:00:00Z out"#,
    ),
    (
        "profile-metric, count",
        r#"count "Placed Order" where (total >= 20 and not coupon is present) in last 30 days >= 2"#,
        "{}",
        r#"2026-05-01T00:00:00Z Placed Order {"total": 20}
               2026-05-02T00:00:00Z Placed Order {"total": 50, "coupon": "SPRING"}
               2026-05-02T00:00:00Z out
               2026-05-03T00:00:00Z Placed Order {"total": 30}
               2026-05-03T00:00:00Z in
               2026-05-31T00:00:00Z out"#,
    ),
    (
        "profile-metric, sum",
        r#"sum(total) of "Placed Order" in last 30 days > 100"#,
        "{}",
        r#"2026-05-01T00:00:00Z Placed Order {"total": 60}
               2026-05-02T00:00:00Z Placed Order {"total": 60.5}
               2026-05-02T00:00:00Z in
               2026-05-31T00:00:00Z out"#,
    ),
    ("profile-metric, all time, zero", r#"count "Placed Order" = 0"#, "{}", NOW),
    (
        "profile-metric-funnel",
        r#""Viewed Product" then "Added to Cart" then "Placed Order" all within 1 hour"#,
        "{}",
        "2026-05-01T00:00:00Z Viewed Product
             2026-05-01T00:20:00Z Added to Cart
             2026-05-01T01:00:00Z Placed Order
             2026-05-01T01:00:00Z out
             2026-05-02T00:00:00Z Viewed Product
             2026-05-02T00:20:00Z Added to Cart
             2026-05-02T00:59:59Z Placed Order
             2026-05-02T00:59:59Z in",
    ),
    (
        "profile-marketing-consent with method and time frame",
        r#"consents to "email_marketing" by "form" in last 30 days"#,
        "{}",
        r#"2026-05-01T00:00:00Z says {"to": "email_marketing", "yes": true, "by": "import"}
               2026-05-01T00:00:00Z out
               2026-05-02T00:00:00Z says {"to": "email_marketing", "yes": true, "by": "form"}
               2026-05-02T00:00:00Z in
               2026-06-01T00:00:00Z out"#,
    ),
    (
        "profile-marketing-consent, withdrawn with one click",
        r#"withdrew consent to "email_marketing" by "one_click""#,
        "{}",
        r#"2026-05-01T00:00:00Z says {"to": "email_marketing", "yes": true}
               2026-05-01T00:00:00Z out
               2026-05-02T00:00:00Z says {"to": "email_marketing", "yes": false, "by": "one_click"}
               2026-05-02T00:00:00Z in"#,
    ),
    (
        "profile-permissions",
        r#"consents to "email_marketing" and not withdrew consent to "sms""#,
        "{}",
        r#"2026-05-01T00:00:00Z says {"to": "email_marketing", "yes": true}
               2026-05-01T00:00:00Z in"#,
    ),
    ("profile-region", r#"location.region in ("Europe", "EU")"#, r#"{"location": {"region": "EU"}}"#, NOW),
    (
        "profile-has-custom-object",
        r#"any subscriptions (status = "active" and seats > 3)"#,
        r#"{"subscriptions": [{"status": "active", "seats": 2}, {"status": "ended", "seats": 9}]}"#,
        "2026-05-01T00:00:00Z out",
    ),
    (
        "string: equals, contains, starts, ends, regex, in",
        r#"a = "red shoe" and a contains "d s" and a starts with "red" and a ends with "shoe" and a matches /^r.d/ and a in ("x", "red shoe")"#,
        r#"{"a": "red shoe"}"#,
        NOW,
    ),
    (
        "string: the negations",
        r#"not a = "x" and not a contains "x" and not a starts with "x" and not a ends with "x" and not a matches /x/ and a not in ("x")"#,
        r#"{"a": "red shoe"}"#,
        NOW,
    ),
    (
        "number: six comparisons and between",
        "a = 5 and a != 4 and a < 6 and a <= 5 and a > 4 and a >= 5 and a between 5 and 6",
        r#"{"a": 5}"#,
        NOW,
    ),
    ("boolean, existence", "a = true and b is missing and a is present", r#"{"a": true}"#, NOW),
    (
        "list: contains, any, all, substring, length",
        r#"a contains "red" and a contains any of ("x", "red") and a contains all of ("red", "green") and any a (it contains "ree") and a length = 2"#,
        r#"{"a": ["red", "green"]}"#,
        NOW,
    ),
    (
        "date: before, after, between",
        "a before 2026-02-01 and a after 2025-12-31 and a between 2026-01-01 and 2026-01-31",
        r#"{"a": "2026-01-31"}"#,
        NOW,
    ),
    (
        "date: at least so long ago",
        "a before last 3 days",
        r#"{"a": "2026-05-01T00:00:00Z"}"#,
        "2026-05-03T23:59:59Z out
             2026-05-04T00:00:00Z in",
    ),
    (
        "date: in the last, in hours",
        "a in last 36 hours",
        r#"{"a": "2026-05-01T00:00:00Z"}"#,
        "2026-05-02T11:59:59Z in
             2026-05-02T12:00:00Z out",
    ),
    (
        "date: in the next, in weeks",
        "a in next 2 weeks",
        r#"{"a": "2026-05-15T00:00:00Z"}"#,
        "2026-04-30T23:59:59Z out
             2026-05-01T00:00:00Z in
             2026-05-15T00:00:00Z out",
    ),
    (
        "date: between so and so long ago",
        "a in last 20 days and a before last 10 days",
        r#"{"a": "2026-05-01T00:00:00Z"}"#,
        "2026-05-10T23:59:59Z out
             2026-05-11T00:00:00Z in
             2026-05-21T00:00:00Z out",
    ),
    (
        "date: anniversary, of 29 February in a common year",
        "a is anniversary today",
        r#"{"a": "1996-02-29"}"#,
        "2026-02-27T23:59:59Z out
             2026-02-28T00:00:00Z in
             2026-03-01T00:00:00Z out",
    ),
    (
        "date: anniversary in the next and in the last days",
        "a is anniversary in next 7 days and b is anniversary in last 7 days",
        r#"{"a": "1990-01-03", "b": "1990-12-30"}"#,
        "2026-12-29T00:00:00Z out
             2026-12-30T00:00:00Z in
             2027-01-03T00:00:00Z in
             2027-01-04T00:00:00Z out",
    ),
    ("date: anniversary month, calendar month", "a in May", r#"{"a": "1990-05-31"}"#, NOW),
];
