//! What events say of items and coupons: a profile's history, what its mails offered, which codes came back.

use model::{Event, Trust};
use serde_json::{Value, json};

use super::{Key, Step};
use crate::{Error, emit};

/// The events that bring a code back, and where they name it.
const REDEEMED: &str = "Coupon Redeemed";
const PROPERTIES: [&str; 4] = ["coupon", "coupon_code", "discount_code", "code"];

/// The code that an event brings back.
fn code_of(event: &Event) -> Option<(String, Value)> {
    let redeems = event.name == "Order Completed" || event.name == REDEEMED;
    // Most orders name none: their properties are not read for it.
    if !redeems || !(event.properties.contains("coupon") || event.properties.contains("code")) {
        return None;
    }
    let properties: Value = serde_json::from_str(&event.properties).ok()?;
    let names = if event.name == REDEEMED { &PROPERTIES[..] } else { &PROPERTIES[..3] };
    let code = names.iter().find_map(|name| properties[*name].as_str())?.trim().to_owned();
    (!code.is_empty()).then_some((code, properties))
}

impl Step<'_> {
    /// Finds the coupons that events name.
    pub(super) async fn look_up_coupons(&mut self, events: &[Event]) -> Result<(), Error> {
        let codes: std::collections::BTreeSet<_> =
            events.iter().filter_map(|event| Some((event.workspace, code_of(event)?.0))).collect();
        if codes.is_empty() {
            return Ok(());
        }
        let codes: Vec<_> = codes.into_iter().collect();
        let found = self.platform.store.coupons_of(&codes).await?;
        self.coupons = found.into_iter().map(|(w, coupon)| ((w, coupon.code.clone()), coupon)).collect();
        Ok(())
    }

    /// Notes what an event says of items and coupons.
    pub(super) fn interact(&mut self, key: Key, event: &Event) {
        self.redeem(key, event);
        let Some(working) = self.profiles.get_mut(&key) else { return };
        if event.name == "Email Sent"
            && event.trust == Trust::Internal
            && event.properties.contains("recommended")
        {
            let properties: Value = serde_json::from_str(&event.properties).unwrap_or_default();
            let items = properties["recommended"].as_array().into_iter().flatten();
            let items: Vec<String> = items.filter_map(Value::as_str).map(str::to_owned).collect();
            if !items.is_empty() {
                working.hot.history.show(items, event.timestamp);
            }
        }
        let Some(action) = recommend::Action::of_event(&event.name) else { return };
        let items = crate::recommend::items_of(&event.properties);
        for item in &items {
            working.hot.history.note(item, action, event.timestamp);
        }
        *self.interactions.entry(event.workspace).or_default() += items.len() as u64;
    }

    fn redeem(&mut self, key: Key, event: &Event) {
        if self.coupons.is_empty() {
            return;
        }
        let Some((code, properties)) = code_of(event) else { return };
        let Some(coupon) = self.coupons.get_mut(&(event.workspace, code.clone())) else { return };
        if coupon.redeemed_at.is_some() {
            return;
        }
        coupon.redeemed_at = Some(event.timestamp);
        let order_id = properties["order_id"].as_str().map(str::to_owned);
        self.commit.redeemed.push(store::Redeemed {
            workspace: event.workspace,
            code: code.clone(),
            order_id: order_id.clone(),
            at: event.timestamp,
        });
        if event.name != REDEEMED && !event.backfill {
            let told = json!({
                "code": code, "pool": coupon.pool, "order_id": order_id, "granted_to": coupon.profile,
                "message_id": coupon.message,
            });
            let id = format!("coupon-{}-{code}", coupon.pool);
            self.emitted.push(emit::event(key.0, key.1, REDEEMED, id, event.timestamp, told));
        }
    }
}
