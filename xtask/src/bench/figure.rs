//! Figures: rounds with their spread, latencies with their quantiles.

use std::time::Duration;

use anyhow::Result;

use super::server::{Process, driver_cpu_s};

/// One round of a scenario.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// What was done, so many times.
    pub count: usize,
    /// Wall time. Units: seconds.
    pub wall_s: f64,
    /// CPU time of the server. Units: seconds.
    pub server_s: f64,
    /// CPU time of the driver. Units: seconds.
    pub driver_s: f64,
}

/// Runs `work`, which says how many things it did, and takes its times.
pub fn round(process: &Process, work: impl FnOnce() -> Result<usize>) -> Result<Round> {
    let (server, driver) = (process.cpu_s()?, driver_cpu_s()?);
    let timer = Timer::start();
    let count = work()?;
    let wall_s = timer.elapsed().as_secs_f64();
    Ok(Round { count, wall_s, server_s: process.cpu_s()? - server, driver_s: driver_cpu_s()? - driver })
}

/// Wall time since some instant.
#[derive(Clone, Copy, Debug)]
pub struct Timer(std::time::Instant);

impl Timer {
    /// Starts now.
    #[expect(clippy::disallowed_methods, reason = "a measurement")]
    pub fn start() -> Timer {
        Timer(std::time::Instant::now())
    }

    /// Since the start.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    (values[0], values[values.len() / 2], values[values.len() - 1])
}

/// Prints a row: rate by the wall, CPU time of server and driver for each thing; median, and min to max.
pub fn show(what: &str, rounds: &[Round]) {
    let of = |figure: &dyn Fn(&Round) -> f64| spread(rounds.iter().map(figure).collect());
    let (low, mid, high) = of(&|r| r.count as f64 / r.wall_s);
    let (cpu_low, cpu, cpu_high) = of(&|r| r.server_s * 1e6 / r.count as f64);
    let (_, driver, _) = of(&|r| r.driver_s * 1e6 / r.count as f64);
    println!(
        "  {what:38} {mid:>9.0}/s ({low:.0} to {high:.0})   server CPU {cpu:.2} µs each ({cpu_low:.2} to {cpu_high:.2}), \
         driver {driver:.2} µs"
    );
}

/// Prints the ratio of two scenarios by CPU time of the server, round by round.
pub fn show_ratio(what: &str, one: &[Round], other: &[Round]) {
    let each = |r: &Round| r.server_s / r.count as f64;
    let (low, mid, high) = spread(one.iter().zip(other).map(|(a, b)| each(a) / each(b)).collect());
    println!("  {what:38} {mid:>9.2} × the CPU time ({low:.2} to {high:.2})");
}

/// Prints quantiles of latencies. Units: seconds.
pub fn show_latencies(what: &str, mut seconds: Vec<f64>) {
    if seconds.is_empty() {
        println!("  {what:38} nothing measured");
        return;
    }
    seconds.sort_by(f64::total_cmp);
    let at = |share: f64| seconds[((seconds.len() - 1) as f64 * share) as usize] * 1e3;
    println!(
        "  {what:38} p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms of {}",
        at(0.5),
        at(0.99),
        at(1.0),
        seconds.len()
    );
}

/// Prints between which limits of a histogram the quantiles of what came between two readings lie.
pub fn show_histogram(what: &str, before: &[(f64, u64)], after: &[(f64, u64)]) {
    let counts: Vec<(f64, u64)> = after
        .iter()
        .map(|(limit, count)| {
            let old = before.iter().find(|(known, _)| known == limit).map_or(0, |(_, count)| *count);
            (*limit, count - old)
        })
        .collect();
    let all = counts.last().map_or(0, |(_, count)| *count);
    let at = |share: f64| {
        let wanted = (all as f64 * share).ceil() as u64;
        counts.iter().find(|(_, count)| *count >= wanted).map_or(f64::INFINITY, |(limit, _)| *limit * 1e3)
    };
    println!("  {what:38} p50 ≤ {} ms, p99 ≤ {} ms of {all}", at(0.5), at(0.99));
}
