//! Simulated months: a seed is a fleet of services, some months of renewals, outages, edits by others, faults and ends of
//! the process, all by chance, with the program's own engine and clients in the middle. At the end every service has
//! its newest certificates, or what is said of it says why not.
//!
//! - `cargo test --test all months` runs a few seeds.
//! - `CERTROLL_SEEDS=1000 cargo test --test all months -- --nocapture` runs more, and prints what was counted.
//! - `CERTROLL_SEEDS_WITHIN=480` besides begins none after so many seconds: a bound for machines whose speed nobody knows. How
//!   many were run is printed.
//! - `CERTROLL_SEED=123 cargo test --test all months -- --nocapture` runs one, and tells its story.

mod fleet;
mod journal;
mod known;
mod papers;
mod run;
mod season;
mod tally;
mod trouble;
mod truth;
mod weather;
mod wire;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use season::Telling;
use tally::Tally;

/// Seeds where nobody asks for a number: some seconds on two processors.
const SEEDS: u64 = 16;

fn asked(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("`{variable}` is `{text}`; expected a number")))
}

/// Runs a seed; what must not be, with the command that runs it again.
fn run(seed: u64, telling: Telling) -> Result<Tally, String> {
    let replay = format!("CERTROLL_SEED={seed} cargo test --test all months -- --nocapture");
    match catch_unwind(AssertUnwindSafe(|| run::seed(seed, telling))) {
        Ok(report) if report.wrong.is_empty() => Ok(report.tally),
        Ok(report) => {
            Err(format!("seed {seed}: run it again by `{replay}`\n  {}", report.wrong.join("\n  ")))
        }
        Err(_) => Err(format!("seed {seed} panicked: run it again by `{replay}`")),
    }
}

#[test]
fn every_service_is_right_or_it_is_said_why() {
    if let Some(seed) = asked("CERTROLL_SEED") {
        match run(seed, Telling::Aloud) {
            Ok(tally) => println!("{tally}"),
            Err(wrong) => panic!("{wrong}"),
        }
        return;
    }
    let seeds = asked("CERTROLL_SEEDS").unwrap_or(SEEDS);
    let within = asked("CERTROLL_SEEDS_WITHIN").map(Duration::from_secs);
    let begun = Instant::now();
    let (next, ran) = (AtomicU64::new(0), AtomicU64::new(0));
    let total = Mutex::new(Tally::default());
    let failed = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    // The usual ones are run in any case: less would prove nothing.
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds
                        || seed >= SEEDS && within.is_some_and(|within| begun.elapsed() >= within)
                    {
                        return;
                    }
                    ran.fetch_add(1, Ordering::Relaxed);
                    match run(seed, Telling::Nothing) {
                        Ok(tally) => total.lock().unwrap().add(&tally),
                        Err(wrong) => failed.lock().unwrap().push(wrong),
                    }
                }
            });
        }
    });
    let (total, failed) = (total.into_inner().unwrap(), failed.into_inner().unwrap());
    let ran = ran.into_inner();
    println!("{total}\n{ran} of {seeds} seeds in {:.1} s", begun.elapsed().as_secs_f64());
    assert!(failed.is_empty(), "{} of {ran} seeds:\n{}", failed.len(), failed.join("\n"));
    // A season in which nothing goes wrong would prove nothing.
    if seeds >= SEEDS {
        for word in ["verified", "restored", "stuck", "abandoned"] {
            assert!(total.endings.contains_key(word), "no rollout ended {word}: {total}");
        }
        for word in ["right", "blocked", "restored"] {
            assert!(total.stands.contains_key(word), "no service was {word} at the end: {total}");
        }
        assert!(total.crashes > 0 && total.resumed > 0 && total.faults > 0, "{total}");
    }
}

/// A text with names that differ between runs by nature (thumbprints, request ids) as numbers in their order.
fn numbered(text: &str, known: &mut HashMap<String, usize>) -> String {
    let mut out = String::new();
    let mut token = String::new();
    for character in text.chars().chain(['\n']) {
        if character.is_ascii_hexdigit() || character == '-' {
            token.push(character);
            continue;
        }
        let guid = token.len() == 36 && token.matches('-').count() == 4;
        if guid || token.len() == 40 {
            let next = known.len();
            out.push_str(&format!("#{}", known.entry(std::mem::take(&mut token)).or_insert(next)));
        }
        out.push_str(&std::mem::take(&mut token));
        out.push(character);
    }
    out
}

#[test]
fn a_seed_is_one_run() {
    let told = |seed| {
        let report = run::seed(seed, Telling::Kept);
        let mut known = HashMap::new();
        let records = report.journal.iter().map(|record| serde_json::to_string(record).unwrap());
        report.story.into_iter().chain(records).map(|line| numbered(&line, &mut known)).collect::<Vec<_>>()
    };
    for seed in [1, 2] {
        let (first, second) = (told(seed), told(seed));
        for (line, (one, other)) in first.iter().zip(&second).enumerate() {
            assert_eq!(one, other, "line {line} of seed {seed}");
        }
        assert_eq!(first.len(), second.len(), "seed {seed}");
    }
}
