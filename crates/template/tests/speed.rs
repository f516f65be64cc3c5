//! Renders one order mail many times; run with `--release -- --ignored --nocapture`.

use serde_json::json;
use template::{Options, Partials, Program};

#[test]
#[ignore = "a measurement"]
fn an_order_mail_renders_tens_of_thousands_of_times_a_second() {
    let mut source =
        String::from("<html><body><h1>Thanks, {{ customer.first_name | default: 'friend' }}</h1><table>");
    source.push_str("{% for line in order.lines %}<tr><td style=\"padding:8px 12px;font-family:sans-serif\"><a href=\"{{ line.url }}\">{{ line.name }}</a></td><td>{{ line.quantity }}</td><td>{{ line.price | money }}</td><td>{% if line.gift %}gift{% else %}-{% endif %}</td></tr>{% endfor %}</table>");
    source.push_str("{% if order.total > 100 %}<p>Free delivery</p>{% endif %}<p>{{ order.placed_at | date: '%B %d, %Y' }}</p>");
    source.push_str(
        &"<p style=\"margin:0 0 16px;font:16px/24px sans-serif\">Some constant words of the shop.</p>\n"
            .repeat(110),
    );
    source.push_str("</body></html>");
    let lines: Vec<_> = (0..10)
        .map(|i| json!({"name": format!("Item {i} & more"), "quantity": i, "price": 9.95, "url": "https://shop.example/i", "gift": i % 2 == 0}))
        .collect();
    let data = json!({"customer": {"first_name": "Test"}, "order": {"lines": lines, "total": 120, "placed_at": "2026-01-05T10:00:00Z"}});
    let program = Program::compile(&source, &Partials::new(), true).unwrap();
    let options = Options::default();
    let mut bytes = 0;
    let clock = model::Clock::system();
    let started_at = clock.now();
    let turns = 50_000;
    for _ in 0..turns {
        bytes = program.render(&data, &options).unwrap().0.len();
    }
    let micros = clock.now() - started_at;
    println!("{} renders/s of {bytes} bytes", turns * 1_000_000 / micros.max(1));
}
