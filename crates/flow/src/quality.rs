//! How good a workspace's recommendations are, told by its own past: what is fitted on the older part of it is asked for
//! the newer part, beside popularity and item-kNN.

use std::sync::Arc;

use model::time::MINUTE;
use model::{Timestamp, WorkspaceId};
use recommend::evaluate::{Figures, Ranker, at, judge};
use recommend::{Aim, Interaction, Model, Weights, tune};

use crate::Error;
use crate::catalogue::Catalogue;
use crate::platform::Platform;
use crate::recommend::{Stock, interactions, keep_newest, read};

/// Interactions that are judged, the newest.
const JUDGED_MAX: usize = 400_000;
/// Profiles that are asked for each kind of question.
const CASES_MAX: usize = 2_000;
/// Fewer profiles than this say nothing.
const CASES_MIN: usize = 20;
/// The share of interactions that is trained on, the older one.
const TRAINED: f64 = 0.8;
/// An answer is given again for so long. Units: microseconds.
const FRESH: i64 = 15 * MINUTE;

/// One ranker's figures for one kind of question.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// What was asked for: `any item` or `new item`.
    pub asked: &'static str,
    /// Who answered.
    pub ranker: Ranker,
    /// How well.
    pub figures: Figures,
}

/// How good recommendations are.
#[derive(Clone, Debug, PartialEq)]
pub struct Quality {
    /// When it was judged.
    pub judged_at: Timestamp,
    /// What came before was trained on, what came then was asked for; nothing when there is too little of it.
    pub split_at: Option<Timestamp>,
    /// Interactions trained on.
    pub trained_on: usize,
    /// Items of the catalogue.
    pub items: usize,
    /// Each ranker and kind of question.
    pub rows: Vec<Judged>,
    /// The weights in force.
    pub weights: Weights,
    /// What they are called.
    pub variant: String,
    /// Profiles they were picked on; nothing for the usual ones.
    pub picked_on: Option<usize>,
    /// When the model in force was fitted.
    pub fitted_at: Option<Timestamp>,
    /// Interactions it was fitted from.
    pub interactions: u64,
}

impl Platform {
    /// How good the workspace's recommendations would have been lately. Judged at most every 15 minutes.
    ///
    /// Cost: one scan of the events that speak of items, two fits, and up to 4,000 lists three times.
    ///
    /// # Errors
    /// When the store or the lake does not answer.
    pub async fn recommendation_quality(&self, workspace: WorkspaceId) -> Result<Arc<Quality>, Error> {
        let now = self.clock.now();
        // Held while it is judged: who asks meanwhile gets the same answer.
        let mut kept = self.recommender.quality.lock().await;
        if let Some(found) = kept.get(&workspace).filter(|found| now - found.judged_at < FRESH) {
            return Ok(found.clone());
        }
        self.lake_caught_up().await;
        let stock = self.stock(workspace).await?;
        let lake = self.lake.clone();
        let quality = tokio::task::spawn_blocking(move || quality(&lake, workspace, &stock, now))
            .await
            .map_err(|error| Error::Bug(error.to_string()))??;
        let quality = Arc::new(quality);
        kept.insert(workspace, quality.clone());
        Ok(quality)
    }
}

fn quality(
    lake: &lake::Lake,
    workspace: WorkspaceId,
    stock: &Stock,
    now: Timestamp,
) -> Result<Quality, Error> {
    let empty = Catalogue::default();
    let catalogue = stock.products().unwrap_or(&empty);
    let fitted = &stock.fitted;
    let mut out = Quality {
        judged_at: now,
        split_at: None,
        trained_on: 0,
        items: catalogue.goods.len(),
        rows: Vec::new(),
        weights: fitted.model.weights(),
        variant: fitted.variant(),
        picked_on: fitted.tuned.map(|(tuned, _)| tuned.cases),
        fitted_at: fitted.at,
        interactions: fitted.interactions,
    };
    let ids: Vec<&str> = catalogue.goods.keys().map(String::as_str).collect();
    let mut steps = interactions(lake, workspace, &ids, now)?;
    keep_newest(&mut steps, JUDGED_MAX);
    steps.sort_unstable();
    let Some((split_at, ..)) = steps.get((steps.len() as f64 * TRAINED) as usize) else { return Ok(out) };
    let all: Vec<Interaction<'_>> = read(&steps, &ids).collect();
    let mut split = at(&all, *split_at);
    if split.cases.iter().all(|(_, cases)| cases.len() < CASES_MIN) {
        return Ok(out);
    }
    let tuned = tune(&split.train, catalogue.items(), split.at, Aim::New);
    let mut model = Model::fit(split.train.iter().copied(), catalogue.items(), split.at);
    if let Some(tuned) = tuned {
        model = model.with_weights(tuned.weights);
    }
    for (asked, cases) in &mut split.cases {
        // An even draw: cases are in the order in which profiles came.
        let every = cases.len().div_ceil(CASES_MAX).max(1);
        let some: Vec<_> = cases.drain(..).step_by(every).collect();
        for ranker in Ranker::ALL {
            out.rows.push(Judged { asked, ranker, figures: judge(&model, ranker, &some) });
        }
    }
    out.split_at = Some(*split_at);
    out.trained_on = split.train.len();
    Ok(out)
}
