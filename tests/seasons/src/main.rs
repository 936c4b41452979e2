//! `make alarms`: the whole measurement, on all cores, with its tables.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Parser;
use indicatif::ProgressBar;
use seasons::counts::Rate;
use seasons::drops::{self, Noticed, Where};
use seasons::healthy::{self, Tally};
use seasons::nature::Traffic;
use seasons::report::{Report, Row, SECTION, drop_in_words};
use seasons::rivals::RIVALS;

/// How often the incident room cries wolf in healthy years, and how soon it notices a drop of success.
#[derive(Parser)]
#[command(after_help = "Examples:\n  seasons --years 1000 --runs 1000 --write deploy/BENCHMARKS.md\n  seasons --years 20 --runs 0 --json")]
struct Options {
    /// Years of healthy life, one of an agent each.
    #[arg(long, default_value_t = 1_000)]
    years: u64,
    /// Lives per drop and traffic. Healthy deployments likewise, to set the thresholds of others by.
    #[arg(long, default_value_t = 1_000)]
    runs: u64,
    /// So many kinds of traffic, the quietest first: 40-400, 4,000 and 40,000 sessions a day.
    #[arg(long, default_value_t = 3)]
    traffic: usize,
    /// The chance that they live by.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Threads; every core by default.
    #[arg(long)]
    threads: Option<usize>,
    /// As JSON.
    #[arg(long)]
    json: bool,
    /// Replaces its own section of this file.
    #[arg(long)]
    write: Option<PathBuf>,
}

const TRAFFIC: [(&str, Traffic); 3] =
    [("40-400", Traffic::Mixed), ("4,000", Traffic::PerDay(4_000.0)), ("40,000", Traffic::PerDay(40_000.0))];
const POINTS: [f64; 3] = [0.1, 0.2, 0.4];
/// Lives that thresholds are set by are others than those that are measured.
const HEALTHY_FROM: u64 = 1 << 32;

fn main() -> ExitCode {
    let options = Options::parse();
    let mut report = Report::default();
    if options.years > 0 {
        let years = alive("healthy years", options.years, &options, |number| healthy::year(options.seed, number, Traffic::Mixed));
        let mut tally = Tally::default();
        years.into_iter().for_each(|year| tally.add(year));
        tally.words.iter().take(20).for_each(|words| eprintln!("{words}"));
        report.tally = Some(tally);
    }
    if options.runs > 0 {
        TRAFFIC.into_iter().take(options.traffic).for_each(|(name, traffic)| measure(name, traffic, &options, &mut report));
    }
    if options.json {
        let rows = serde_json::to_string_pretty(&report.rows);
        println!("{}", rows.unwrap_or_else(|error| error.to_string()));
    } else {
        println!("{}", report.text(false));
    }
    let Some(path) = &options.write else { return ExitCode::SUCCESS };
    match kit::page::write(path, &[(SECTION, report.section())]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot write {}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}

/// Every drop at this traffic, by the room and by the others at its rate of false alarms.
fn measure(name: &str, traffic: Traffic, options: &Options, report: &mut Report) {
    let live = |begins, points, from| {
        let title = format!("{name}: {}", drop_in_words(begins, points));
        alive(&title, options.runs, options, |number| drops::live(options.seed, from + number, traffic, begins, points))
    };
    let calm = live(Where::Deployment, 0.0, HEALTHY_FROM);
    let ours = calm.iter().filter(|life| life.p2.is_some()).count();
    // The upper end of the interval: the others may cry wolf as often as the room at the worst.
    let allowed = Rate::of(ours as u64, calm.len() as f64).high;
    let share = |of: &dyn Fn(&Noticed) -> bool| calm.iter().filter(|life| of(life)).count() as f64 / calm.len() as f64;
    let at_our_rate = |run: usize| {
        let mut bears: Vec<f64> = calm.iter().map(|life| life.runs[run].bears()).collect();
        bears.sort_by(f64::total_cmp);
        bears[((allowed * calm.len() as f64) as usize).min(bears.len() - 1)]
    };
    for begins in [Where::Deployment, Where::Midlife] {
        for points in POINTS {
            let lives = live(begins, points, 0);
            let drop = drop_in_words(begins, points);
            let row = |who: &str, false_alarms: f64, of: &dyn Fn(&Noticed) -> Option<(u64, f64)>| {
                Row::of((name, drop.clone(), who.to_owned()), false_alarms, &lives, of)
            };
            let of_p2 = row("Reeve, P2", ours as f64 / calm.len() as f64, &|life| life.p2);
            let of_any = row("Reeve, any level", share(&|life| life.any.is_some()), &|life| life.any);
            let mut others = Vec::new();
            for (run, rival) in RIVALS.into_iter().enumerate() {
                for threshold in [at_our_rate(run), 0.95] {
                    let alarms = share(&|life| life.runs[run].failed(threshold).is_some());
                    let who = format!("{} for {} h at {:.1} %", rival.name, rival.watched_s / 3_600, threshold * 100.0);
                    let other = row(&who, alarms, &|life| life.failed(run, threshold));
                    others.push(Row { times_first: (alarms <= allowed).then(|| other.over(&of_p2)).flatten(), ..other });
                }
            }
            report.rows.extend([of_p2, of_any].into_iter().chain(others));
        }
    }
}

/// As many lives, in order, on as many threads as there are.
fn alive<T: Send>(title: &str, lives: u64, options: &Options, live: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let threads = options.threads.or_else(|| std::thread::available_parallelism().ok().map(usize::from)).unwrap_or(1);
    let bar = ProgressBar::new(lives);
    bar.println(title);
    let (next, lived) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= lives {
                        return;
                    }
                    let life = live(number);
                    lived.lock().expect("nobody panics").push((number, life));
                    bar.inc(1);
                }
            });
        }
    });
    bar.finish_and_clear();
    let mut lived = lived.into_inner().expect("nobody panics");
    lived.sort_by_key(|(number, _)| *number);
    lived.into_iter().map(|(_, life)| life).collect()
}
