//! The demo's definitions: segments of the textbooks, the abandoned-cart journey, its template.

use serde_json::{Value, json};

/// (id, name, description, condition)
pub const SEGMENTS: &[(&str, &str, &str, &str)] = &[
    (
        "high-intent-buyers",
        "High intent buyers",
        "Added to cart in the last 48 hours and has not completed a checkout since.",
        "did \"Product Added\" in last 48 hours and last \"Product Added\" after last \"Order Completed\"",
    ),
    (
        "browsed-shoes",
        "Browsed shoes, bought none",
        "Viewed shoes in the last 30 days and bought none of them.",
        "did \"Product Viewed\" where category = \"Shoes\" in last 30 days \
         and not did \"Order Completed\" where any products (category = \"Shoes\") in last 30 days",
    ),
    (
        "frequent-buyers",
        "Frequent buyers",
        "More than two purchases in six months and engages with mail.",
        "count \"Order Completed\" in last 180 days > 2 and did \"Email Opened\" in last 60 days",
    ),
    (
        "occasional-buyers",
        "Occasional buyers",
        "One or two purchases in six months.",
        "count \"Order Completed\" in last 180 days between 1 and 2",
    ),
    (
        "inactive-buyers",
        "Inactive buyers",
        "Bought once, but nothing in six months, and has not opened a mail for 90 days.",
        "did \"Order Completed\" and count \"Order Completed\" in last 180 days = 0 \
         and not did \"Email Opened\" in last 90 days",
    ),
    (
        "urban-millennials-fitness",
        "Urban millennials interested in fitness",
        "Lives in a city, is between 29 and 45, and names fitness as an interest.",
        "urban = true and age between 29 and 45 and interests contains \"fitness\"",
    ),
    (
        "high-engagement",
        "High engagement",
        "Engagement score over 80, from opens, clicks and visits; true the moment after a click.",
        "engagement_score > 80",
    ),
];

/// (name, description, figure)
pub const TRAITS: &[(&str, &str, &str)] = &[
    (
        "spent_90_days",
        "What somebody spent in the last 90 days.",
        "sum(revenue) of \"Order Completed\" in last 90 days",
    ),
    (
        "favourite_category",
        "The category that somebody looks at most.",
        "top(category) of \"Product Viewed\" in last 6 months",
    ),
    ("days_since_order", "Whole days since the last order.", "days since last \"Order Completed\""),
];

/// The template of the abandoned-cart mail.
pub fn template() -> Value {
    json!({
        "engine": "liquid", "format": "mjml",
        "subject": "{% if customer.first_name %}{{ customer.first_name }}, your{% else %}Your{% endif %} cart is waiting",
        "preheader": "{{ event.name | default: \"Your item\" }} is still there, and today ten per cent less.",
        "body": include_str!("content/abandoned-cart.mjml"),
    })
}

/// The abandoned-cart journey; `wait_s` is an hour for a real shop, seconds in the demo.
pub fn journey(wait_s: u64) -> Value {
    json!({
        "description": "Somebody adds to the cart and does not order: after a while, one mail with the cart.",
        "trigger": {"event": "Product Added", "key": "cart_id"},
        "start": "wait",
        "nodes": {
            "wait": {"type": "wait", "seconds": wait_s, "next": "reachable"},
            "reachable": {"type": "branch", "condition": "email is present", "yes": "send", "no": "end"},
            "send": {
                "type": "send", "template": "abandoned-cart", "topic": "marketing", "kind": "marketing",
                "coupon": "CART", "next": "end",
            },
            "end": {"type": "exit"},
        },
        "exits": [{"event": "Order Completed", "reason": "ordered"}],
    })
}
