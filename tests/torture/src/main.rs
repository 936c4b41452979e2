//! `torture overload`: what an overload costs a P1, as a table or as JSON.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use torture::ground::folder;
use torture::overload::{Options, Report, measure};

const EXAMPLES: &str = "\
Examples:
  torture overload                        a minute, five times more than the disk takes
  torture overload --seconds 10 --json | jq .p50_ratio";

/// Measures of a Reeve under torture; the tests are `cargo test --package torture`.
#[derive(Parser)]
#[command(after_help = EXAMPLES)]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Publishes more than the disk takes, and tells how much longer a P1 harm waits for its order.
    Overload {
        /// How long.
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
        seconds: u64,
        /// Milliseconds that every flush takes longer than by itself.
        #[arg(long, default_value_t = 150, value_parser = clap::value_parser!(u64).range(1..=5_000))]
        flush_ms: u64,
        /// How many times more than the disk takes.
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=50))]
        times: u64,
        /// Harms before, and as many during it.
        #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..=1_000))]
        harms: u16,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let Verb::Overload { seconds, flush_ms, times, harms, json } = Args::parse().verb;
    let folder = folder();
    let (report, _) = measure(folder.path(), Options { seconds, flush_ms, times, harms: usize::from(harms) });
    if json {
        println!("{}", serde_json::to_string(&report).expect("a report is plain values"));
    } else {
        tell(&report);
    }
    if report.wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn tell(report: &Report) {
    let mib = |bytes: u64| bytes >> 20;
    println!("the disk takes        {} facts/s, one in a request", report.disk_per_s);
    println!("published             {} facts/s", report.published_per_s);
    println!("accepted, refused     {}, {}", report.accepted, report.refused);
    println!("memory before, most   {} MiB, {} MiB", mib(report.memory_before), mib(report.memory_max));
    println!("harm to order, ms     unloaded {:?}", report.unloaded_ms);
    println!("                      overloaded {:?}", report.overloaded_ms);
    println!("P1 under overload     x{:.2} at the median, x{:.2} at the longest", report.p50_ratio, report.max_ratio);
    println!("harms told to come again  {}", report.harms_refused);
    report.wrong.iter().for_each(|wrong| println!("wrong: {wrong}"));
}
