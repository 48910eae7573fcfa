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

/// Events of a batch, the most that Event Grid puts into one and certroll takes.
const EVENTS: usize = 5000;
/// Bytes of a batch, the most that Event Grid puts into one. Events of Key Vault reach it long before their number.
const BATCH: usize = 1024 * 1024;
/// Repetitions of what takes a while.
const ROUNDS: usize = 20;
/// Repetitions of a single delivery.
const SINGLES: usize = 200;
/// Connections that say nothing: about twice as many as there are places.
const SILENT: usize = 1000;

fn main() {
    println!("with the default limits");
    let (ground, daemon, address) = listening("");
    memory(&daemon, "at the start");
    let one = format!("[{}]", event(shop::VAULT, shop::LEAF, 0));
    deliver_timed(address, &one);
    println!("calls of the look that follows one event: {:?}", counted(&ground.until_quiet()));
    deliver_often(&ground, address, &one, SINGLES, "one event");

    let all: Vec<String> = (0..EVENTS).map(|number| event(shop::VAULT, shop::LEAF, number)).collect();
    let fit = BATCH / (all[0].len() + 1);
    batches(&ground, address, &all[..fit]);
    memory(&daemon, "after the batches");

    let begun = Instant::now();
    let each: Vec<Duration> = all.iter().map(|event| deliver_timed(address, &format!("[{event}]"))).collect();
    println!("{EVENTS} deliveries in a row: {:.2?} in all, each {}", begun.elapsed(), spread(&each));
    println!("calls that follow: {:?}", counted(&ground.until_quiet()));
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

    println!("with bodies of up to 8 MiB");
    let (ground, daemon, address) = listening("body_limit_kib = 8192\n");
    memory(&daemon, "at the start");
    batches(&ground, address, &all);
    memory(&daemon, "after the batches");
    daemon.stop();
}

/// A daemon that hears of events, has made its first look and polls no more.
fn listening(limits: &str) -> (Ground, Daemon, SocketAddr) {
    let (cloud, _) = shop::shop(Pace::Automatic, Timestamp::now());
    let id = cloud.service(shop::SERVICE).unwrap().id.resource_id();
    let address = free_address();
    let sections = format!("[poll]\nevery = \"12h\"\njitter = \"0s\"\n{}", events_section(address, limits));
    let ground = Ground::new(cloud, &sections, |_| format!("[[service]]\nid = \"{id}\"\n"));
    let daemon = Daemon::start(&ground);
    daemon.hear_status(&ground, "1 current");
    ground.until_quiet();
    (ground, daemon, address)
}

fn batches(ground: &Ground, address: SocketAddr, events: &[String]) {
    let batch = format!("[{}]", events.join(","));
    deliver_timed(address, &batch);
    println!("calls that follow a batch of {} events: {:?}", events.len(), counted(&ground.until_quiet()));
    let what = format!("batch of {} events, {} KiB", events.len(), batch.len() / 1024);
    deliver_often(ground, address, &batch, ROUNDS, &what);
}

/// Delivers again and again, each time when the look after the one before has ended.
fn deliver_often(ground: &Ground, address: SocketAddr, body: &str, times: usize, what: &str) {
    let took: Vec<Duration> = (0..times)
        .map(|_| {
            let took = deliver_timed(address, body);
            ground.until_quiet();
            took
        })
        .collect();
    println!("{what}: {}", spread(&took));
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
