//! What the daemon does by itself.

use std::time::Duration;

use certroll_simulator::call::Call;
use certroll_simulator::faults::{Effect, Fault, Which};
use certroll_simulator::scenario::shop;

use crate::support::daemon::Daemon;
use crate::support::live::{Live, shop_with_a_secret_setting};

/// Polls so often that no test waits for one, and so rarely that an event is seen before it.
const OFTEN: &str = "[poll]\nevery = \"1s\"\njitter = \"0s\"\n[plan]\nsettle = \"0s\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_is_served_without_anybody_asking() {
    let (cloud, mut shop) = shop_with_a_secret_setting();
    let live = Live::start_with(cloud, OFTEN, "").await;
    tokio::task::block_in_place(|| {
        let mut daemon = Daemon::start(&live);
        daemon.hear_status("1 current");
        assert_eq!(live.puts(), 0);
        live.simulator.with(|cloud| shop.renew(cloud));
        daemon.hear_log("a rollout has ended");
        daemon.hear_status("1 current");
        assert_eq!(live.puts(), 1);
        // The look that follows the ending tells what is served now.
        let leaf = shop.leaf.thumbprint().to_string();
        daemon.until("the new leaf is shown as served", || {
            let ran = live.run(&["status", "--json"]);
            assert_eq!(ran.code, 0, "{}", ran.shown());
            let status: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
            let served = status["services"][0]["serves"].as_array().unwrap();
            served.iter().any(|one| one["thumbprint"] == leaf)
        });
        assert_eq!(daemon.stop(), Some(0));
        for line in daemon.log() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(line["message"].is_string() && line["level"].is_string(), "{line}");
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_put_back_is_left_alone_until_somebody_releases_it() {
    let (mut cloud, mut shop) = shop_with_a_secret_setting();
    shop.renew(&mut cloud);
    cloud.fault(Fault::next(
        Call::PutCloudService,
        Effect::OldCertificatePresented(Which::Named(vec!["Web_IN_1".to_owned()])),
    ));
    let live = Live::start_with(cloud, OFTEN, "").await;
    tokio::task::block_in_place(|| {
        let mut daemon = Daemon::start(&live);
        daemon.hear_log("a rollout was put back");
        daemon.hear_status("1 blocked");
        // Looks go on and change nothing.
        for _ in 0..3 {
            assert_eq!(live.run(&["activate"]).code, 0);
        }
        assert_eq!(live.puts(), 2);
        // The daemon holds the journal, and is told.
        let ran = live.run(&["release", "--yes", "shop"]);
        assert_eq!(ran.code, 0, "{}", ran.shown());
        daemon.hear_log("a rollout has ended");
        daemon.hear_status("1 current");
        assert_eq!(live.puts(), 3);
        assert_eq!(daemon.stop(), Some(0));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_in_flight_is_left_at_the_first_signal_and_led_on_by_the_next_process() {
    let (mut cloud, mut shop) = shop_with_a_secret_setting();
    shop.renew(&mut cloud);
    // An operation that nobody waits for to its end.
    cloud.fault(Fault::next(Call::PutCloudService, Effect::OperationNeverEnds));
    let live = Live::start_with(cloud, OFTEN, "").await;
    tokio::task::block_in_place(|| {
        let mut daemon = Daemon::start(&live);
        daemon.hear_status("1 running");
        while live.puts() == 0 {
            std::thread::yield_now();
        }
        assert_eq!(daemon.stop(), Some(0));
        let last = daemon.logged.iter().any(|line| line.contains("a rollout is left at a safe point"));
        assert!(last, "{}", daemon.logged.join("\n"));
        let mut daemon = Daemon::start(&live);
        daemon.hear_log("a rollout without an ending is led on");
        daemon.hear_status("1 running");
        assert_eq!(live.puts(), 1, "nothing is sent twice");
        assert_eq!(daemon.stop(), Some(0));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_signal_leaves_at_once_and_the_next_process_goes_on() {
    let (mut cloud, mut shop) = shop_with_a_secret_setting();
    shop.renew(&mut cloud);
    // While a PUT has no answer there is no safe point.
    cloud.fault(Fault::next(Call::PutCloudService, Effect::Delay(Duration::from_secs(3600))));
    let live = Live::start_with(cloud, OFTEN, "").await;
    tokio::task::block_in_place(|| {
        let mut daemon = Daemon::start(&live);
        daemon.hear_log("put started");
        daemon.signal("TERM");
        daemon.hear_log("stopping at the next safe point");
        daemon.signal("TERM");
        assert_eq!(daemon.end(), Some(75));
        assert!(daemon.logged.iter().any(|line| line.contains("left at once")), "{:#?}", daemon.logged);
        let mut daemon = Daemon::start(&live);
        daemon.hear_log("a rollout without an ending is led on");
        daemon.hear_status("1 current");
        assert_eq!(daemon.stop(), Some(0));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_approves_what_waits_for_that() {
    let (mut cloud, mut shop) = shop_with_a_secret_setting();
    shop.renew(&mut cloud);
    let live = Live::start_with(cloud, OFTEN, "mode = \"approve\"").await;
    tokio::task::block_in_place(|| {
        let mut daemon = Daemon::start(&live);
        daemon.hear_status("1 waiting");
        assert_eq!(live.run(&["approve", "shop"]).code, 64, "nobody can answer");
        let ran = live.run(&["approve", "--yes", "--plan", "0123456789abcdef", "shop"]);
        assert_eq!(ran.code, 65, "{}", ran.shown());
        assert_eq!(live.puts(), 0);
        let ran = live.run(&["approve", "--yes", "shop"]);
        assert_eq!(ran.code, 0, "{}", ran.shown());
        assert!(ran.stderr.contains(&shop.leaf.thumbprint().to_string()), "{}", ran.stderr);
        daemon.hear_log("a rollout has ended");
        daemon.hear_status("1 current");
        assert_eq!(live.puts(), 1);
        let ran = live.run(&["approve", "--yes", "shop"]);
        assert_eq!(ran.code, 65, "{}", ran.shown());
        assert_eq!(daemon.stop(), Some(0));
        assert_eq!(shop::SERVICE, "shop");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_keeps_changes_from_beginning_over_restarts() {
    let (cloud, mut shop) = shop_with_a_secret_setting();
    let live = Live::start_with(cloud, OFTEN, "").await;
    tokio::task::block_in_place(|| {
        let mut daemon = Daemon::start(&live);
        daemon.hear_status("1 current");
        let ran = live.run(&["pause", "--reason", "change freeze"]);
        assert_eq!(ran.code, 0, "{}", ran.shown());
        live.simulator.with(|cloud| shop.renew(cloud));
        daemon.hear_status("1 planned");
        assert_eq!(daemon.stop(), Some(0));
        let mut daemon = Daemon::start(&live);
        daemon.hear_status("1 planned");
        let ran = live.run(&["status"]);
        assert!(
            ran.stdout.contains("everything is paused until somebody resumes it: change freeze"),
            "{}",
            ran.shown()
        );
        assert_eq!(live.puts(), 0);
        assert_eq!(live.run(&["resume"]).code, 0);
        daemon.hear_status("1 current");
        assert_eq!(live.puts(), 1);
        assert_eq!(daemon.stop(), Some(0));
    });
}
