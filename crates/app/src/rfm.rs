//! `rapport rfm`: scores every customer of a data directory, without writing anything.

use anyhow::Result;
use model::Timestamp;
use serde_json::{Value, json};

use crate::command::{BadInput, WORKSPACE, catch_up, runtime, with_platform};
use crate::config::Settings;

/// Prints groups; with JSON also each customer.
pub fn run(settings: &Settings, as_of: Option<&str>, as_json: bool) -> Result<()> {
    let instant = as_of.map(|text| {
        Timestamp::parse(text).ok_or_else(|| {
            BadInput(format!("--as-of: '{text}' is not an instant such as 2026-01-31T12:00:00Z"))
        })
    });
    let instant = instant.transpose()?;
    runtime()?.block_on(with_platform(settings, async |platform| {
        catch_up(platform).await;
        let at = instant.unwrap_or_else(|| platform.clock.now());
        let (scored, report) = platform.rfm_scores(WORKSPACE, at).await?;
        if as_json {
            let ids: Vec<_> = scored.iter().map(|each| model::ProfileId(each.customer.id)).collect();
            let mut users = std::collections::HashMap::new();
            for some in ids.chunks(1_000) {
                let rows = platform.store.load_profiles(some).await?;
                users.extend(rows.into_iter().map(|row| (row.id.0, row.user_id)));
            }
            let customers: Vec<Value> = scored
                .into_iter()
                .map(|each| {
                    let mut row = each.attributes;
                    let customer = each.customer;
                    row.insert("profile".to_owned(), json!(customer.id));
                    row.insert("user_id".to_owned(), json!(users.get(&customer.id)));
                    row.insert("orders".to_owned(), json!(customer.orders));
                    row.insert("total".to_owned(), json!(customer.total));
                    row.insert("last_at".to_owned(), json!(customer.last_at));
                    Value::Object(row)
                })
                .collect();
            println!("{}", json!({"report": report, "customers": customers}));
            return Ok(());
        }
        println!(
            "{} customers, {} of them with more than one order, as of {at}",
            report.customers, report.repeat_customers
        );
        for group in &report.groups {
            println!("{:>8}  {:<20} spent {:.2}", group.count, group.name, group.value);
        }
        match &report.orders_model {
            Some(fitted) => {
                let each = fitted.estimates.iter().map(|one| format!("{} = {:.3}", one.name, one.value));
                let parameters = each.collect::<Vec<_>>().join(", ");
                println!("BG/NBD: {parameters}; log-likelihood {:.2}", fitted.log_likelihood);
            }
            None => println!("too few customers to fit a model on"),
        }
        Ok(())
    }))
}
