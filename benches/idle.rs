//! What the daemon costs while nothing changes: time to start, memory, and processor time for each look at a hundred
//! services.
//!
//! `cargo bench --bench idle`. `CERTROLL_BENCH_POLLS` is the number of looks; `CERTROLL_BENCH_ENV="NAME=value ..."` is added
//! to the daemon's environment, such as `MALLOC_ARENA_MAX=1` or `TOKIO_WORKER_THREADS=1`.
// A measurement that cannot be made ends with a panic, and what it prints is its result.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod support;

use std::time::Duration;

use certroll_simulator::clock::Pace;
use certroll_simulator::scenario::fleet::fleet;
use jiff::Timestamp;
use support::{Daemon, Ground, counted, spread};

const SERVICES: usize = 100;
/// As many looks as ten hours have with the default schedule, a second apart instead of five minutes.
const POLLS: u32 = 120;
/// Starts with the journal that the first one left.
const STARTS: usize = 10;

fn main() {
    let polls = std::env::var("CERTROLL_BENCH_POLLS").map_or(POLLS, |text| text.parse().unwrap());
    let (cloud, _) = fleet(SERVICES, 0, SERVICES, Pace::Automatic, Timestamp::now());
    let ids: Vec<String> = cloud.services.iter().map(|service| service.id.resource_id()).collect();
    let ground = Ground::new(cloud, "[poll]\nevery = \"1s\"\njitter = \"0s\"\n", |_| {
        ids.iter().map(|id| format!("[[service]]\nid = \"{id}\"\n")).collect()
    });
    let current = format!("{SERVICES} current");

    let daemon = Daemon::start(&ground);
    daemon.hear_status(&ground, &current);
    println!("first start: ready {:.0?}, first look ended {:.0?}", daemon.ready, daemon.started.elapsed());
    println!("  calls: {:?}", counted(&ground.until_quiet()));
    memory(&daemon, "after the first look");
    daemon.stop();

    let (mut ready, mut looked) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let daemon = Daemon::start(&ground);
        daemon.hear_status(&ground, &current);
        ready.push(daemon.ready);
        looked.push(daemon.started.elapsed());
        daemon.stop();
    }
    println!("later starts, until ready: {}", spread(&ready));
    println!("later starts, until the first look ended: {}", spread(&looked));

    let daemon = Daemon::start(&ground);
    daemon.hear_status(&ground, &current);
    ground.until_quiet();
    memory(&daemon, "before the polls");
    let before = daemon.processor_time();
    for tenth in 1..=10 {
        std::thread::sleep(Duration::from_secs(1) * polls / 10);
        if tenth % 5 == 0 {
            memory(&daemon, &format!("after {} polls", polls * tenth / 10));
        }
    }
    let spent = daemon.processor_time() - before;
    let calls = counted(&ground.so_far());
    println!("processor time of {polls} polls: {spent:?}, {:?} a poll", spent / polls);
    let each: Vec<String> = calls
        .iter()
        .map(|(call, count)| format!("{call:?} {:.2}", *count as f64 / f64::from(polls)))
        .collect();
    println!("calls a poll: {}", each.join(", "));
    daemon.stop();
}

fn memory(daemon: &Daemon, when: &str) {
    let mb = |name: &str| daemon.figure(name) as f64 / 1024.0;
    println!(
        "memory {when}: resident {:.1} MiB (anonymous {:.1}, files {:.1}), peak {:.1} MiB, {} threads",
        mb("VmRSS"),
        mb("RssAnon"),
        mb("RssFile"),
        mb("VmHWM"),
        daemon.figure("Threads"),
    );
}
