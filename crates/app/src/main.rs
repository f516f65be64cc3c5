//! The binary `rapport`: commands, configuration, roles. Exit codes: 0 done, 1 failed, 2 bad input.

mod command;
mod config;
mod demo;
mod import;
mod recommend;
mod rfm;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use config::{Configuration, Settings};

/// Data-driven personalisation for e-mail marketing.
#[derive(Parser)]
#[command(
    name = "rapport",
    version,
    propagate_version = true,
    after_help = "Exit codes: 0 done, 1 failed, 2 bad input. \
                  Results go to standard output, what is being done to standard error."
)]
struct Line {
    /// Prints the result as JSON
    #[arg(long, global = true)]
    json: bool,
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
        settings: Configuration,
    },
    /// Streams a file of any size; rejected rows go to a file beside it; repeatable without double counting
    Import {
        /// What the file holds
        what: import::What,
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
        /// The catalogue that items go to
        #[arg(long, value_name = "NAME", default_value = "products")]
        catalog: String,
        #[command(flatten)]
        settings: Configuration,
    },
    /// Renders one template to standard output
    Render(command::Render),
    /// Runs the tests that stand beside template files
    Test {
        /// The folder: each folder in it that holds a template.toml is a template
        dir: PathBuf,
    },
    /// SQL over the events and tables of a data directory
    Query {
        /// One SELECT
        sql: String,
        #[command(flatten)]
        settings: Configuration,
    },
    /// Answers a condition against a data directory
    Segment {
        /// What to answer
        #[command(subcommand)]
        ask: command::Ask,
    },
    /// Recency, frequency and money of all customers of a data directory, with groups and predictions; writes nothing
    Rfm {
        /// Scores as of this instant; now otherwise
        #[arg(long, value_name = "INSTANT")]
        as_of: Option<String>,
        #[command(flatten)]
        settings: Configuration,
    },
    /// Recommendations: how well they find what people did next
    Recommend {
        /// What to do
        #[command(subcommand)]
        ask: recommend::Ask,
    },
    /// Prints the OpenAPI document of the HTTP interface
    Openapi,
}

fn run(line: Line) -> anyhow::Result<()> {
    let json = line.json;
    match line.command {
        Command::Demo { settings, profiles, seed } => {
            command::demo(settings, demo::Plan { profiles, seed }, json)
        }
        Command::Serve { settings } => command::serve(settings.resolve()?, json),
        Command::Import { what, file, map, format, backfill, catalog, settings } => {
            let job = import::Job { file, map, format, backfill, catalog };
            command::import(&settings.resolve()?, what, &job, json)
        }
        Command::Render(render) => command::render(&render, json),
        Command::Test { dir } => verify::run(&dir, json),
        Command::Query { sql, settings } => command::query(&settings.resolve()?, &sql, json),
        Command::Segment { ask } => command::segment(ask, json),
        Command::Rfm { as_of, settings } => rfm::run(&settings.resolve()?, as_of.as_deref(), json),
        Command::Recommend { ask } => recommend::run(&ask, json),
        Command::Openapi => command::openapi(),
    }
}

fn main() -> ExitCode {
    let Err(error) = run(Line::parse()) else { return ExitCode::SUCCESS };
    if error.is::<command::Located>() {
        eprintln!("{error}");
        return ExitCode::from(2);
    }
    eprintln!("rapport: {error:#}");
    let invalid = error
        .downcast_ref::<flow::Error>()
        .is_some_and(|error| matches!(error.kind(), model::Kind::Invalid | model::Kind::Missing));
    if invalid || error.is::<command::BadInput>() { ExitCode::from(2) } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory;

    use super::Line;

    #[test]
    fn every_option_of_serve_is_a_key_of_the_file_and_stands_in_the_documentation() {
        let text = include_str!("../../../docs/configuration.md");
        let line = Line::command();
        let serve = line.find_subcommand("serve").unwrap();
        let mut options = BTreeSet::new();
        for option in serve.get_arguments().filter(|option| option.get_env().is_some()) {
            let name = option.get_long().unwrap();
            let key = name.replace('-', "_");
            let variable = option.get_env().unwrap().to_str().unwrap();
            assert_eq!(variable, format!("RAPPORT_{}", key.to_uppercase()));
            assert!(
                text.contains(&format!("| `{key}` | `--{name}` | `{variable}` |"))
                    || (name == "config" && text.contains("`RAPPORT_CONFIG`")),
                "docs/configuration.md has no row for {name}"
            );
            options.insert(key);
        }
        for row in text.lines().filter(|row| row.starts_with("| `") && row.contains("`RAPPORT_")) {
            let key = row.split('`').nth(1).unwrap();
            assert!(options.contains(key), "docs/configuration.md has a row for {key}, which is no option");
        }
    }

    #[test]
    fn every_command_stands_in_the_documentation() {
        let text = include_str!("../../../docs/configuration.md");
        for command in Line::command().get_subcommands() {
            let name = format!("| `{}", command.get_name());
            assert!(text.contains(&name), "docs/configuration.md has no row for {}", command.get_name());
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        Line::command().debug_assert();
    }
}
