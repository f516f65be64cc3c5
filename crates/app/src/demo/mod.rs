//! `rapport demo`: fills a data directory with a synthetic shop, then keeps it alive with live traffic and with
//! simulated customers who open and click their mails. Nothing leaves the machine.

pub mod content;
mod customers;
mod people;
mod picture;
mod places;
mod random;
mod season;
mod shop;
mod visit;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use flow::{DefinitionKind, Draft, Platform};
use model::{Timestamp, Value, WorkspaceId};
use serde_json::json;

use crate::command::BadInput;
use random::Random;
use shop::Item;

const WORKSPACE: WorkspaceId = WorkspaceId(1);
/// Calls of one batch.
const BATCH_CALLS: usize = 500;
/// History waits while more events than this are not yet stepped, so that live traffic stays live.
const LAG_EVENTS_MAX: i64 = 1_500;

/// The definition by which a demo knows its own data directory: the last one that is written.
const MARK: &str = "abandoned-cart";

/// What the demo is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Shoppers with a history.
    pub profiles: usize,
    /// Decides everything.
    pub seed: u64,
}

/// Writes catalogue and definitions; quick, and before the server answers.
///
/// # Errors
/// When the store refuses.
pub async fn prepare(platform: &Platform, plan: &Plan) -> Result<Vec<Item>> {
    let base = platform.options.base_url.clone();
    let items = shop::catalogue(plan.seed);
    if platform.definition(WORKSPACE, DefinitionKind::Journey, MARK).await?.is_some() {
        return Ok(items);
    }
    if platform.log.head().0 > 0 {
        return Err(BadInput(format!(
            "{} holds data that are not a demo's: give the demo a directory of its own with --data",
            platform.options.data_dir.display()
        ))
        .into());
    }
    let rows: Vec<(String, Value)> =
        items.iter().map(|item| (item.id.clone(), shop::row(item, &base))).collect();
    platform.put_items(WORKSPACE, "products", rows).await?;
    let pictures = items.iter().map(|item| (format!("{}.svg", item.id), item.svg.clone())).collect();
    platform.put_pictures(WORKSPACE, pictures).await?;
    platform
        .set_workspace(
            WORKSPACE,
            json!({
                "name": "Demo shop", "timezone": "Europe/Berlin", "brand_color": "#1f6f78",
                "postal_address": "1 Sample Street, 00000 Example Town", "from_name": "Demo shop",
                "from_email": "hello@shop.example",
            }),
        )
        .await?;
    save(platform, DefinitionKind::Template, "abandoned-cart", "Abandoned cart", content::template()).await?;
    for (name, description, figure) in content::TRAITS {
        let body = json!({"figure": figure, "description": description});
        save(platform, DefinitionKind::Trait, name, name, body).await?;
    }
    for (id, name, description, condition) in content::SEGMENTS {
        let body = json!({"where": condition, "description": description});
        save(platform, DefinitionKind::Segment, id, name, body).await?;
    }
    save(platform, DefinitionKind::Rule, "loyalty-discount", "Loyalty discount", content::rule()).await?;
    save(platform, DefinitionKind::Table, "discount", "Discount", content::table()).await?;
    save(platform, DefinitionKind::Journey, MARK, "Abandoned cart", content::journey(8)).await?;
    Ok(items)
}

async fn save(platform: &Platform, kind: DefinitionKind, id: &str, name: &str, body: Value) -> Result<()> {
    let draft = Draft { id: Some(id.to_owned()), name: name.to_owned(), body };
    platform.save_definition(WORKSPACE, kind, draft, "demo").await?;
    Ok(())
}

/// Streams the history, then live traffic, until `stop` is set. Live traffic begins at once.
pub async fn run(platform: Arc<Platform>, plan: Plan, items: Vec<Item>, stop: Arc<AtomicBool>) {
    let history = tokio::spawn(history(platform.clone(), plan.clone(), items.clone(), stop.clone()));
    let customers = tokio::spawn(customers::run(platform.clone(), plan.seed, stop.clone()));
    if let Err(error) = traffic(&platform, &plan, &items, &stop).await {
        tracing::error!(%error, "the demo's traffic ended");
    }
    for task in [history, customers] {
        match task.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "a part of the demo ended"),
            Err(error) => tracing::error!(%error, "a part of the demo died"),
        }
    }
}

async fn history(platform: Arc<Platform>, plan: Plan, items: Vec<Item>, stop: Arc<AtomicBool>) -> Result<()> {
    let base = platform.options.base_url.clone();
    // The same instants at every start, so that the same events count once.
    let started_at = platform.first_started_at(WORKSPACE).await?;
    let mut calls = Vec::new();
    for number in 0..plan.profiles {
        if stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        let shopper = people::shopper(plan.seed, number, &items, started_at);
        calls.extend(visit::history(plan.seed, &shopper, &items, &base, started_at));
        if calls.len() >= BATCH_CALLS || number + 1 == plan.profiles {
            send(&platform, std::mem::take(&mut calls)).await?;
            while platform.lag_events() > LAG_EVENTS_MAX && !stop.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    tracing::info!(profiles = plan.profiles, "the demo's history is in");
    refresh(&platform, &stop).await?;
    Ok(())
}

/// RFM and predictions need not wait for the night.
async fn refresh(platform: &Platform, stop: &AtomicBool) -> Result<()> {
    let filled = platform.log.head().0;
    while platform.log.head().0 - platform.lag_events() < filled && !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    while platform.rfm_report(WORKSPACE).await?.is_none() && !stop.load(Ordering::Relaxed) {
        match platform.refresh_rfm(WORKSPACE).await {
            Ok(_) => break,
            Err(error) if matches!(error.kind(), model::Kind::Conflict | model::Kind::Unavailable) => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

async fn traffic(platform: &Platform, plan: &Plan, items: &[Item], stop: &AtomicBool) -> Result<()> {
    let base = platform.options.base_url.clone();
    let mut waiting: Vec<(Timestamp, Value)> = Vec::new();
    let mut beat = tokio::time::interval(Duration::from_millis(250));
    // Beats that were missed are not caught up with: they would all be the same instant.
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut last = 0;
    while !stop.load(Ordering::Relaxed) {
        beat.tick().await;
        let now = platform.clock.now();
        let number = (now.micros() / 250_000) as u64;
        let mut random = Random::new(plan.seed, number);
        if number > std::mem::replace(&mut last, number) && random.chance(0.7) {
            let shopper = people::shopper(plan.seed, random.below(plan.profiles.max(1)), items, now);
            let visit = visit::Visit { seed: plan.seed, shopper: &shopper, items, base: &base };
            // The person is made known again: history may not have come to them yet.
            let mut identify = people::identify(plan.seed, &shopper);
            identify["messageId"] = json!(format!("demo-{}-live-{number}-identify", plan.seed));
            identify["timestamp"] = json!(now);
            waiting.push((now, identify));
            let calls = if random.chance(0.3) {
                visit.abandoned(number, now)
            } else {
                visit.calls(number, now, true)
            };
            for call in calls {
                let at = call["timestamp"].as_str().and_then(Timestamp::parse).unwrap_or(now);
                waiting.push((at, call));
            }
        }
        let due: Vec<Value> = waiting.extract_if(.., |(at, _)| *at <= now).map(|(_, call)| call).collect();
        if !due.is_empty() {
            send(platform, due).await?;
        }
    }
    Ok(())
}

/// Goes the way of every server's batch: intake, log.
pub(crate) async fn send(platform: &Platform, calls: Vec<Value>) -> Result<()> {
    for chunk in calls.chunks(BATCH_CALLS) {
        loop {
            match platform.ingest_calls(WORKSPACE, chunk, model::Trust::Server, "demo").await {
                Ok(_) => break,
                Err(error) if matches!(error.kind(), model::Kind::Limited | model::Kind::Unavailable) => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}
