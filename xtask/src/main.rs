//! Developer tasks that are not shipped: `cargo run -p xtask -- tidy` checks the house rules.

mod bench;
mod tidy;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let task = arguments.next();
    let rest: Vec<String> = arguments.collect();
    let outcome = match task.as_deref() {
        Some("tidy") => tidy::run(),
        Some("bench") => bench::run(&rest),
        Some("bench-peer") => bench::peer::run(&rest),
        _ => Err(anyhow::anyhow!("usage: xtask tidy | xtask bench [--list] [SCENARIO …]")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
