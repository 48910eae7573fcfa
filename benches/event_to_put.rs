//! How long it takes from the delivery of an event until the PUT arrives at Resource Manager, where nothing settles and
//! nobody else is slow: what certroll itself adds to the time from a renewal to its service.
//!
//! `cargo bench --bench event_to_put`
// A measurement that cannot be made ends with a panic, and what it prints is its result.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod support;

use std::time::{Duration, Instant};

use certroll::unattended::reconcile::EVENTS_APART;
use certroll_simulator::Moment;
use certroll_simulator::call::Call;
use certroll_simulator::clock::{Durations, Pace};
use certroll_simulator::scenario::shop;
use jiff::Timestamp;
use support::{Daemon, Ground, Seen, deliver, event, events_section, free_address, spread};

/// Renewals, each an event and a rollout to its end. Enough for a 99th percentile.
const ROUNDS: usize = 100;
/// What comes after the PUT is not measured, so it shall be short.
const SHORT: Durations = Durations {
    operation: Duration::from_millis(3),
    update_domain: Duration::from_millis(1),
    health_gate: Duration::from_millis(50),
};

/// One renewal.
struct Round {
    answered: Duration,
    put: Duration,
    seen: Vec<Seen>,
    sent: Instant,
}

fn main() {
    let (mut cloud, mut shop) = shop::shop(Pace::Automatic, Timestamp::now());
    cloud.durations = SHORT;
    let id = cloud.service(shop::SERVICE).unwrap().id.resource_id();
    let address = free_address();
    let sections = format!("[poll]\nevery = \"12h\"\njitter = \"0s\"\n{}", events_section(address, ""));
    let ground = Ground::new(cloud, &sections, |simulator| {
        let endpoint = simulator.endpoint_address(shop::SERVICE, shop::ENDPOINT).unwrap();
        format!(
            "[[service]]\nid = \"{id}\"\n[service.probe]\nbinding = true\n\
             endpoints = [{{ address = \"{endpoint}\", server_name = \"{}\" }}]\n",
            shop::DNS_NAME
        )
    });
    let daemon = Daemon::start(&ground);
    daemon.hear_status(&ground, "1 current");
    ground.until_quiet();

    let mut rounds = Vec::new();
    for number in 0..ROUNDS {
        // Events that follow each other sooner wait for each other, which is not what is measured.
        std::thread::sleep(EVENTS_APART);
        ground.simulator.with(|cloud| shop.renew_leaf(cloud));
        let body = format!("[{}]", event(shop::VAULT, shop::LEAF, number));
        let sent = Instant::now();
        assert_eq!(deliver(address, &body), 200);
        let answered = sent.elapsed();
        let mut seen = Vec::new();
        while !matches!(seen.last(), Some(Seen { call: Call::PutCloudService, .. })) {
            seen.push(ground.next());
        }
        let put = seen.last().unwrap().at - sent;
        rounds.push(Round { answered, put, seen, sent });
        daemon.hear_status(&ground, "1 running");
        daemon.hear_status(&ground, "1 current");
        ground.until_quiet();
    }
    let served =
        ground.simulator.with(|cloud| cloud.service(shop::SERVICE).unwrap().model.configuration.clone());
    assert!(served.contains(&shop.leaf.thumbprint().to_string()), "the last leaf is served");
    daemon.stop();

    let times = |time: fn(&Round) -> Duration| rounds.iter().map(time).collect::<Vec<_>>();
    println!("event to answer: {}", spread(&times(|round| round.answered)));
    println!("event to PUT:    {}", spread(&times(|round| round.put)));
    rounds.sort_by_key(|round| round.put);
    let middle = &rounds[rounds.len() / 2];
    println!("calls of the median round, in ms since the event was sent:");
    for seen in &middle.seen {
        let at = (seen.at - middle.sent).as_secs_f64() * 1000.0;
        let word = if seen.moment == Moment::Arrived { "arrives at" } else { "is done at" };
        println!("  {:<24} {word} {at:7.2}", format!("{:?}", seen.call));
    }
}
