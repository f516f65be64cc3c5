//! `rapport recommend evaluate`: fits a model on a part of a file and asks it for the rest, beside popularity and
//! item-kNN. Reads files alone: no data directory, no server.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Subcommand, ValueEnum};
use model::Value;
use recommend::evaluate::{Ranker, Split, at, judge, last_out, next_steps};
use recommend::read::{instant, read};
use recommend::{Aim, Item, Model, Signal, tune};
use serde_json::json;

use crate::command::BadInput;

/// `rapport recommend …`.
#[derive(Subcommand)]
pub enum Ask {
    /// Hit rate, gain and coverage on held-out items, beside popularity and item-kNN
    Evaluate {
        /// Lines of a profile and its items in the order of time, or a table with a header; plain or gzip
        #[arg(long, value_name = "FILE")]
        sequences: PathBuf,
        /// Properties of items, a JSON object of an item to its words
        #[arg(long, value_name = "FILE")]
        attributes: Option<PathBuf>,
        /// What is held out
        #[arg(long, default_value = "last-out")]
        split: How,
        /// With `--split time`: the instant from which is held out
        #[arg(long, value_name = "DATE", required_if_eq("split", "time"))]
        at: Option<String>,
        /// Other sequences of the same form, of which each next step is asked for
        #[arg(long, value_name = "FILE", conflicts_with_all = ["split", "at"])]
        test: Option<PathBuf>,
    },
}

/// What is held out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum How {
    /// Each profile's last item; the one before is not trained on
    LastOut,
    /// Everything from `--at` on
    Time,
}

fn open(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).map_err(|error| BadInput(format!("{}: {error}", path.display())))?;
    let unreadable = |error: std::io::Error| BadInput(format!("{}: {error}", path.display()));
    let mut text = String::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_string(&mut text).map_err(unreadable)?;
    } else {
        text = String::from_utf8(bytes)
            .map_err(|error| BadInput(format!("{} is not UTF-8: {error}", path.display())))?;
    }
    Ok(text)
}

fn attributes(path: &Path) -> Result<BTreeMap<String, Vec<Value>>> {
    let text = open(path)?;
    serde_json::from_str(&text).map_err(|error| {
        BadInput(format!("{}: expected an object of lists by item: {error}", path.display())).into()
    })
}

/// Runs the command.
pub fn run(ask: &Ask, as_json: bool) -> Result<()> {
    let Ask::Evaluate { sequences, attributes: properties, split, at: instant_of, test } = ask;
    let text = open(sequences)?;
    let fault = |path: &Path, error: String| BadInput(format!("{}: {error}", path.display()));
    let found = read(&text).map_err(|error| fault(sequences, error))?;
    if found.interactions.is_empty() {
        return Err(fault(sequences, "there is no interaction in it".to_owned()).into());
    }
    let properties = properties.as_deref().map(attributes).transpose()?.unwrap_or_default();
    let all = found.interactions;
    // What a catalogue would hold: all that is there, but never what only the held-out part knows of a later time.
    let of = |split: &Split<'_>| split.train.iter().map(|one| one.item.to_owned()).collect::<BTreeSet<_>>();
    let (split, items, aim) = match (test, split) {
        (Some(path), _) => {
            let text = open(path)?;
            let asked = read(&text).map_err(|error| fault(path, error))?;
            let split = next_steps(all, &asked.interactions);
            report(&split, of(&split), &properties, Aim::Any, found.left_out, as_json);
            return Ok(());
        }
        (None, How::LastOut) => {
            let items = all.iter().map(|one| one.item.to_owned()).collect();
            (last_out(&all), items, Aim::New)
        }
        (None, How::Time) => {
            let text = instant_of.as_deref().unwrap_or_default();
            let instant = instant(text)
                .ok_or_else(|| BadInput(format!("--at: '{text}' is not an instant such as 2026-01-31")))?;
            let split = at(&all, instant);
            let items = of(&split);
            (split, items, Aim::New)
        }
    };
    report(&split, items, &properties, aim, found.left_out, as_json);
    Ok(())
}

fn report(
    split: &Split<'_>,
    items: BTreeSet<String>,
    properties: &BTreeMap<String, Vec<Value>>,
    aim: Aim,
    left_out: usize,
    as_json: bool,
) {
    let words = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let catalogue: Vec<Item> = items
        .iter()
        .map(|id| Item {
            attributes: properties.get(id).into_iter().flatten().map(words).collect(),
            ..Item::bare(id)
        })
        .collect();
    eprintln!("picking weights and fitting {} interactions with {} items", split.train.len(), items.len());
    let tuned = tune(&split.train, catalogue.clone(), split.at, aim);
    let mut model = Model::fit(split.train.iter().copied(), catalogue, split.at);
    if let Some(tuned) = tuned {
        model = model.with_weights(tuned.weights);
    }
    let mut rows = Vec::new();
    for (asked, cases) in &split.cases {
        for ranker in Ranker::ALL {
            rows.push((*asked, ranker, judge(&model, ranker, cases)));
        }
    }
    if as_json {
        let rows: Vec<Value> = rows
            .iter()
            .map(|(asked, ranker, figures)| json!({"asked": asked, "ranker": ranker, "figures": figures}))
            .collect();
        let answer = json!({
            "rows": rows, "weights": model.weights(), "picked_on": tuned.map(|tuned| tuned.cases),
            "trained_on": split.train.len(), "items": items.len(), "left_out": left_out,
        });
        println!("{answer}");
        return;
    }
    println!(
        "{:<12}{:<12}{:>8}{:>9}{:>9}{:>10}{:>8}",
        "asked", "ranker", "HR@5", "NDCG@5", "MRR@20", "coverage", "cases"
    );
    for (asked, ranker, figures) in rows {
        println!(
            "{asked:<12}{:<12}{:>8.4}{:>9.4}{:>9.4}{:>10.3}{:>8}",
            ranker.name(),
            figures.hit_rate_5,
            figures.ndcg_5,
            figures.mrr_20,
            figures.coverage,
            figures.cases
        );
    }
    let weights = model.weights().values();
    let weights: Vec<String> = Signal::ALL
        .iter()
        .zip(weights)
        .map(|(signal, weight)| format!("{signal:?} {weight}").to_lowercase())
        .collect();
    match tuned {
        Some(tuned) => {
            println!("weights picked on {} held-out histories: {}", tuned.cases, weights.join(", "));
        }
        None => {
            println!("weights as delivered, for too few histories could be held out: {}", weights.join(", "));
        }
    }
    println!("{} interactions trained on, {} rows left out", split.train.len(), left_out);
}
