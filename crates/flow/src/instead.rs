//! What stands in for a mail that cannot be composed for somebody: another template, or none with a reason. Nobody else's
//! mail is touched by it.

use std::sync::Arc;

use model::Value;
use serde_json::json;
use store::MessageRow;

use crate::Error;
use crate::compose::{Composed, Order};
use crate::platform::Platform;
use crate::registry::{Registry, compile_template};
use crate::send::Unready;

/// What stands in for a template.
#[derive(Clone, Debug)]
pub enum Instead {
    /// The template with this id.
    Of(String),
    /// One of its own.
    Own(Arc<template::Template>),
}

impl Instead {
    /// Reads a template's body; none when nothing stands in.
    ///
    /// # Errors
    /// `Invalid` when what stands in cannot be compiled.
    pub(crate) fn of(body: &Value) -> Result<Option<Instead>, Error> {
        match &body["fallback"] {
            Value::Null => Ok(None),
            Value::String(id) => Ok(Some(Instead::Of(id.clone()))),
            own @ Value::Object(_) => Ok(Some(Instead::Own(Arc::new(compile_template(own)?)))),
            other => Err(Error::invalid(
                "invalid_template",
                "/fallback",
                format!("What stands in is a template's id or a document of subject and body, not {other}."),
            )),
        }
    }

    fn template(&self, registry: &Registry) -> Option<Arc<template::Template>> {
        match self {
            Instead::Of(id) => registry.templates.get(id).cloned(),
            Instead::Own(template) => Some(template.clone()),
        }
    }
}

impl Platform {
    /// Composes a message, or what stands in for it where its template fails for this person.
    pub(crate) async fn composed_or_instead(
        &self,
        registry: &Registry,
        message: &MessageRow,
        order: &Order<'_>,
        trace: Vec<Value>,
    ) -> Result<Composed, Unready> {
        let (code, error) = match self.compose(registry, message.workspace, order, trace.clone()).await {
            Ok(composed) => {
                self.braked(message, None).await.map_err(Unready::Fault)?;
                return Ok(composed);
            }
            // The author's word is a fallback of its own, and no failure.
            Err(error @ Error::Invalid { code: "aborted", .. }) => {
                return Err(Unready::Skip("aborted", error.to_string()));
            }
            Err(error @ Error::Invalid { code: "no_coupon", .. }) => {
                return Err(Unready::Skip("no_coupon", error.to_string()));
            }
            Err(error @ Error::Invalid { code: "mail_too_large", .. }) => {
                ("mail_too_large", error.to_string())
            }
            Err(error @ Error::Invalid { .. }) => ("render_failed", error.to_string()),
            Err(error) => return Err(Unready::Fault(error)),
        };
        self.braked(message, Some(&error)).await.map_err(Unready::Fault)?;
        let instead = registry.instead.get(&message.template).and_then(|instead| instead.template(registry));
        let Some(instead) = instead else { return Err(Unready::Skip(code, error)) };
        let mut trace = trace;
        trace.push(json!({
            "step": "message_fallback", "title": "Another mail in its place", "at": order.now,
            "sentence": format!("The template could not be composed for this person: {error} What stands in for it was taken."),
            "data": {"error": error},
        }));
        let order = Order { template: &instead, ..*order };
        match self.compose(registry, message.workspace, &order, trace).await {
            Ok(composed) => Ok(composed),
            Err(again @ Error::Invalid { .. }) => {
                Err(Unready::Skip(code, format!("{error} What stands in for it fails, too: {again}")))
            }
            Err(error) => Err(Unready::Fault(error)),
        }
    }
}
