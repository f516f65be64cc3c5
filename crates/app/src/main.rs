//! The binary `rapport`: commands, configuration, roles. Exit codes: 0 done, 1 failed, 2 bad input.

mod command;
mod config;
mod demo;
mod import;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use config::Settings;

/// Data-driven personalisation for e-mail marketing.
#[derive(Parser)]
#[command(name = "rapport", version, propagate_version = true)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// A working shop in one command: synthetic people, events, segments, a journey; mail stays in the built-in inbox
    Demo {
        #[command(flatten)]
        settings: Settings,
        /// Shoppers with twelve months of history
        #[arg(long, default_value_t = 10_000)]
        profiles: usize,
        /// Decides everything about the shop
        #[arg(long, default_value_t = 7)]
        seed: u64,
    },
    /// The server; with nothing configured, everything is embedded under the data directory
    Serve {
        #[command(flatten)]
        settings: Settings,
        /// Configuration file [default: rapport.toml where it exists]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Streams a file of any size; rejected rows go to a file beside it; repeatable without double counting
    Import {
        /// What the file holds
        what: Importable,
        /// CSV or NDJSON, plain or gzip, or Parquet
        file: PathBuf,
        /// The mapping of its columns
        #[arg(long, value_name = "FILE")]
        map: Option<PathBuf>,
        /// The format, when the name does not tell it
        #[arg(long)]
        format: Option<import::Format>,
        /// History: stored and counted, but fires no journey
        #[arg(long)]
        backfill: bool,
        /// Prints the report as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        settings: Settings,
    },
    /// Renders one template to standard output
    Render(command::Render),
    /// SQL over the events and tables of a data directory
    Query {
        /// One SELECT
        sql: String,
        /// Prints the answer as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        settings: Settings,
    },
    /// Answers a condition against a data directory
    Segment {
        /// What to answer
        #[command(subcommand)]
        ask: command::Ask,
    },
    /// Prints the OpenAPI document of the HTTP interface
    Openapi,
}

/// What `import` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Importable {
    /// Calls of the tracking API, or rows that a mapping turns into them.
    Events,
    /// Rows that a mapping turns into `identify` calls.
    Profiles,
    /// Items of the catalogue `products`, one a row, named by `product_id`.
    Catalog,
}

fn main() -> ExitCode {
    let line = Line::parse();
    let outcome = match line.command {
        Command::Demo { settings, profiles, seed } => command::demo(settings, demo::Plan { profiles, seed }),
        Command::Serve { settings, config } => settings.over_file(config.as_deref()).and_then(command::serve),
        Command::Import { what, file, map, format, backfill, json, settings } => {
            settings.over_file(None).and_then(|settings| {
                let job = import::Job { file, map, format, backfill };
                command::import(&settings, what, &job, json)
            })
        }
        Command::Render(render) => command::render(&render),
        Command::Query { sql, json, settings } => {
            settings.over_file(None).and_then(|settings| command::query(&settings, &sql, json))
        }
        Command::Segment { ask } => command::segment(ask),
        Command::Openapi => command::openapi(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rapport: {error:#}");
            if error.downcast_ref::<command::BadInput>().is_some() {
                ExitCode::from(2)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}
