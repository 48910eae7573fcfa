//! What the webhook bears: the largest batch, many deliveries in a row, and strangers that hold connections open and say
//! nothing.
//!
//! `cargo bench --bench webhook`
// A measurement that cannot be made ends with a panic, and what it prints is its result.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod support;

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use certroll_simulator::clock::Pace;
use certroll_simulator::scenario::shop;
use jiff::Timestamp;
use support::{Daemon, Ground, counted, deliver, event, events_section, free_address, spread};

/// Events of a batch, the most that Event Grid puts into one.
const EVENTS: usize = 5000;
/// Repetitions of what takes a while.
const ROUNDS: usize = 20;
/// Repetitions of a single delivery.
const SINGLES: usize = 200;
/// Connections that say nothing: about twice as many as there are places.
const SILENT: usize = 1000;

fn main() {
    let (cloud, _) = shop::shop(Pace::Automatic, Timestamp::now());
    let id = cloud.service(shop::SERVICE).unwrap().id.resource_id();
    let address = free_address();
    // Event Grid ends a batch at 1 MB, so that its 5,000 events are smaller ones than these.
    let events = events_section(address, "body_limit_kib = 8192\n");
    let sections = format!("[poll]\nevery = \"12h\"\njitter = \"0s\"\n{events}");
    let ground = Ground::new(cloud, &sections, |_| format!("[[service]]\nid = \"{id}\"\n"));
    let daemon = Daemon::start(&ground);
    daemon.hear_status(&ground, "1 current");
    ground.until_quiet();
    memory(&daemon, "at the start");

    let one = format!("[{}]", event(shop::VAULT, shop::LEAF, 0));
    deliver_timed(address, &one);
    println!("calls of the look that follows one event: {:?}", counted(&ground.until_quiet()));
    let singles: Vec<Duration> = (0..SINGLES)
        .map(|_| {
            let took = deliver_timed(address, &one);
            ground.until_quiet();
            took
        })
        .collect();
    println!("one event: {}", spread(&singles));

    let many: Vec<String> = (0..EVENTS).map(|number| event(shop::VAULT, shop::LEAF, number)).collect();
    let batch = format!("[{}]", many.join(","));
    ground.so_far();
    let batches: Vec<Duration> = (0..ROUNDS)
        .map(|round| {
            let took = deliver_timed(address, &batch);
            let calls = counted(&ground.until_quiet());
            if round == 0 {
                println!("calls that follow a batch of {EVENTS} events: {calls:?}");
            }
            took
        })
        .collect();
    println!("batch of {EVENTS} events, {} KiB: {}", batch.len() / 1024, spread(&batches));
    memory(&daemon, "after the batches");

    let begun = Instant::now();
    let storm: Vec<Duration> =
        many.iter().map(|event| deliver_timed(address, &format!("[{event}]"))).collect();
    let took = begun.elapsed();
    println!("{EVENTS} deliveries in a row: {took:.2?} in all, each {}", spread(&storm));
    println!("  calls that follow: {:?}", counted(&ground.until_quiet()));
    memory(&daemon, "after the deliveries");

    let among_silent: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let silent: Vec<TcpStream> = (0..SILENT).map(|_| TcpStream::connect(address).unwrap()).collect();
            let took = deliver_timed(address, &one);
            ground.until_quiet();
            drop(silent);
            took
        })
        .collect();
    println!("one event among {SILENT} silent connections: {}", spread(&among_silent));
    memory(&daemon, "after the silent connections");
    daemon.stop();
}

fn deliver_timed(address: SocketAddr, body: &str) -> Duration {
    let begun = Instant::now();
    assert_eq!(deliver(address, body), 200);
    begun.elapsed()
}

fn memory(daemon: &Daemon, when: &str) {
    let mb = |name: &str| daemon.figure(name) as f64 / 1024.0;
    println!("memory {when}: resident {:.1} MiB, peak {:.1} MiB", mb("VmRSS"), mb("VmHWM"));
}
