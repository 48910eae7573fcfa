//! What the journal holds back, tells and gives back, as a person meets it.

use certroll_journal::{DurableJournal, Writer};
use certroll_simulator::call::Call;
use certroll_simulator::clock::Pace;
use certroll_simulator::faults::{Effect, Fault, Which};
use certroll_simulator::scenario::shop;
use jiff::Timestamp;

use super::snapshot;
use crate::support::live::{Live, SECRET_SETTING, shop_with_a_secret_setting, steady};

/// One instance goes on with its old certificate after the next PUT.
pub(super) fn stubborn() -> Fault {
    Fault::next(
        Call::PutCloudService,
        Effect::OldCertificatePresented(Which::Named(vec!["Web_IN_1".to_owned()])),
    )
}

/// A text without the names of rollouts and their times.
pub(super) fn told(text: &str) -> String {
    let mut shown = String::new();
    for line in steady(text).split_inclusive('\n') {
        let words = line.split_inclusive(' ').map(|word| {
            let bare = word.trim_end_matches([' ', ':', ',', '\n']);
            let is_rollout = bare.len() > 20 && bare.starts_with("20") && bare.contains("Z-");
            if is_rollout { word.replace(bare, "[ROLLOUT]") } else { word.to_owned() }
        });
        shown.extend(words);
    }
    shown
}

/// The name of the latest rollout.
pub(super) fn latest(live: &Live) -> String {
    let ran = live.run(&["history", "--json"]);
    let history: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    history["rollouts"][0]["rollout"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_was_put_back_is_not_tried_again_until_it_is_released() {
    let (mut cloud, mut shop) = shop_with_a_secret_setting();
    shop.renew(&mut cloud);
    cloud.fault(stubborn());
    let live = Live::start(cloud, "").await;
    assert_eq!(live.run(&["apply", "--yes"]).code, 65);
    assert_eq!(live.puts(), 2);
    for _ in 0..2 {
        let ran = live.run(&["apply", "--yes"]);
        assert_eq!((ran.code, live.puts()), (65, 2), "{}", ran.shown());
    }
    let ran = live.run(&["plan"]);
    assert_eq!(ran.code, 65);
    let hint = ran.stdout.lines().find(|line| line.contains("hint:")).unwrap();
    assert!(ran.stdout.contains("in quarantine: service `shop`"), "{}", ran.stdout);
    assert!(hint.contains("certroll release shop"), "{hint}");

    let asked = live.run(&["release", "shop"]);
    assert_eq!(asked.code, 64, "{}", asked.shown());
    let ran = live.run(&["release", "--yes", "shop"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    assert!(ran.stderr.contains("in quarantine since"), "{}", ran.stderr);
    let again = live.run(&["release", "--yes", "shop"]);
    assert!(again.stderr.contains("nothing holds `shop`"), "{}", again.stderr);

    let ran = live.run(&["apply", "--yes"]);
    assert_eq!((ran.code, live.puts()), (0, 3), "{}", ran.shown());
    let ran = live.run(&["history", "--verify"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    for arguments in
        [&["history", "--json"][..], &["history", &latest(&live), "--json"], &["history", "shop"]]
    {
        let ran = live.run(arguments);
        assert_eq!(ran.code, 0, "{}", ran.shown());
        assert!(!ran.stdout.contains(SECRET_SETTING));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_superseded_version_is_tried_without_a_release() {
    let (mut cloud, mut shop) = shop::shop(Pace::Automatic, Timestamp::now());
    shop.renew(&mut cloud);
    cloud.fault(stubborn());
    let live = Live::start(cloud, "").await;
    assert_eq!(live.run(&["apply", "--yes"]).code, 65);
    live.simulator.with(|cloud| {
        cloud.advance(std::time::Duration::from_secs(1));
        shop.renew_leaf(cloud);
    });
    let ran = live.run(&["apply", "--yes"]);
    assert_eq!((ran.code, live.puts()), (0, 3), "{}", ran.shown());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_is_put_back_by_a_person_and_not_rolled_forward_again() {
    let (mut cloud, mut shop) = shop::shop(Pace::Automatic, Timestamp::now());
    shop.renew(&mut cloud);
    let live = Live::start(cloud, "").await;
    let deployed = |live: &Live| {
        live.simulator.with(|cloud| cloud.service(shop::SERVICE).unwrap().model.configuration.clone())
    };
    let before = deployed(&live);

    let nothing = live.run(&["restore", "--yes", "shop"]);
    assert_eq!(nothing.code, 66, "{}", nothing.shown());
    assert_eq!(live.run(&["apply", "--yes"]).code, 0);
    assert_ne!(deployed(&live), before);

    let asked = live.run(&["restore", "shop"]);
    assert_eq!((asked.code, live.puts()), (64, 1), "{}", asked.shown());
    let ran = live.run(&["restore", "--yes", "shop"]);
    assert_eq!((ran.code, live.puts()), (0, 2), "{}", ran.shown());
    snapshot!("restore_verified", told(&ran.shown()));
    assert_eq!(deployed(&live), before);

    let held = live.run(&["apply", "--yes"]);
    assert_eq!((held.code, live.puts()), (65, 2), "{}", held.shown());
    assert!(held.stderr.contains("a person put the old state back"), "{}", held.stderr);
    let again = live.run(&["restore", "--yes", "shop"]);
    // The last rollout is the way back itself: putting that back leads forward again.
    assert_eq!((again.code, live.puts()), (0, 3), "{}", again.shown());
    assert_eq!(live.run(&["plan"]).code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_back_needs_the_old_versions() {
    let (mut cloud, mut shop) = shop::shop(Pace::Automatic, Timestamp::now());
    let old = shop.stored_leaf.version.clone();
    shop.renew(&mut cloud);
    let live = Live::start(cloud, "").await;
    assert_eq!(live.run(&["apply", "--yes"]).code, 0);
    live.simulator.with(|cloud| {
        let now = cloud.now();
        let vault = cloud.vault_mut(shop::VAULT).unwrap();
        vault.set_enabled(certroll_simulator::vault::Kind::Certificate, shop::LEAF, &old, false, now);
    });
    let ran = live.run(&["restore", "--yes", "shop"]);
    assert_eq!((ran.code, live.puts()), (65, 1), "{}", ran.shown());
    assert!(ran.stderr.contains("which comes back"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn history_lists_tells_and_verifies() {
    let (mut cloud, mut shop) = shop::shop(Pace::Automatic, Timestamp::now());
    shop.renew(&mut cloud);
    let live = Live::start(cloud, "").await;
    assert_eq!(live.run(&["history"]).code, 66);
    assert_eq!(live.run(&["apply", "--yes"]).code, 0);
    live.simulator.with(|cloud| {
        cloud.advance(std::time::Duration::from_secs(1));
        shop.renew(cloud);
        cloud.fault(stubborn());
    });
    assert_eq!(live.run(&["apply", "--yes"]).code, 65);

    let listed = live.run(&["history"]);
    let endings: Vec<&str> =
        listed.stdout.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!((listed.code, endings), (0, vec!["restored", "verified"]), "{}", listed.shown());
    assert_eq!(live.run(&["history", "--limit", "1"]).stdout.lines().count(), 2);
    let one = live.run(&["history", &latest(&live)]);
    let parts = ["Plan", "Events", "Evidence", "Evidence after the way back"];
    for part in parts {
        assert!(one.stdout.lines().any(|line| line == part), "{part}: {}", one.stdout);
    }
    let json = live.run(&["history", "--json", &latest(&live)]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["ending"], "restored");
    assert!(json["events"].as_array().unwrap().len() > 10, "{json:#}");
    assert!(!json.to_string().contains("<ServiceConfiguration"), "the cscfg stays in the journal");
    assert_eq!(live.run(&["history", "shpo"]).code, 66);

    let whole = live.run(&["history", "--verify"]);
    assert_eq!(whole.code, 0, "{}", whole.shown());
    assert!(whole.stdout.contains("the journal is whole"), "{}", whole.stdout);

    // One byte of one event.
    let latest = latest(&live);
    let path = live.place.path().join("journal/journal.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let event = b"\"event\":\"turned_back\"";
    let at = bytes.windows(event.len()).position(|window| window == event).unwrap();
    bytes[at + 10] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let damaged = live.run(&["history", "--verify"]);
    assert_eq!(damaged.code, 65, "{}", damaged.shown());
    assert!(damaged.stdout.contains("`turned_back`"), "it says which: {}", damaged.stdout);
    assert!(damaged.stdout.contains(&latest), "it says of which rollout: {}", damaged.stdout);
    assert_eq!(live.run(&["history", &latest]).code, 65);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_another_process_writes_is_named_with_that_process() {
    let (mut cloud, mut shop) = shop::shop(Pace::Automatic, Timestamp::now());
    shop.renew(&mut cloud);
    let live = Live::start(cloud, "").await;
    let who = Writer {
        program: "certroll run".to_owned(),
        pid: 4711,
        host: "node-1".to_owned(),
        since: "2026-11-23T12:00:00Z".parse().unwrap(),
    };
    let held = DurableJournal::open(&live.place.path().join("journal"), &who).unwrap();
    for arguments in [&["apply", "--yes"][..], &["restore", "--yes", "shop"], &["release", "--yes", "shop"]] {
        let ran = live.run(arguments);
        assert_eq!((ran.code, live.puts()), (75, 0), "{}", ran.shown());
        assert!(ran.stderr.contains("certroll run (process 4711 on host `node-1`)"), "{}", ran.stderr);
    }
    // What only reads is not kept out.
    assert_eq!(live.run(&["plan"]).code, 2);
    assert_eq!(live.run(&["history"]).code, 0);
    drop(held);
    assert_eq!(live.run(&["apply", "--yes"]).code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_cannot_be_used_changes_nothing_and_says_why() {
    let (mut cloud, mut shop) = shop::shop(Pace::Automatic, Timestamp::now());
    shop.renew(&mut cloud);
    let live = Live::start(cloud, "").await;
    live.place.file("journal/journal.db", "this is no database, whatever its name says ".repeat(50));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let private = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(live.place.path().join("journal"), private).unwrap();
    }
    let ran = live.run(&["apply", "--yes"]);
    assert_eq!((ran.code, live.puts()), (65, 0), "{}", ran.shown());
    assert!(ran.stderr.contains("journal.db") && ran.stderr.contains("hint:"), "{}", ran.stderr);
    let plan = live.run(&["plan"]);
    assert_eq!(plan.code, 2, "{}", plan.shown());
    assert!(plan.stderr.contains("does not heed what it holds back"), "{}", plan.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_of_versions_is_not_read_again_by_the_next_run() {
    let (mut cloud, mut shop) = shop::shop(Pace::Automatic, Timestamp::now());
    shop.renew(&mut cloud);
    let live = Live::start(cloud, "").await;
    let values = |live: &Live| {
        let is_value = |path: &str| {
            path.starts_with("/secrets/") && path.matches('/').count() == 3 && !path.ends_with("/versions")
        };
        live.simulator.ledger().count("GET", is_value)
    };
    assert_eq!(live.run(&["apply", "--yes"]).code, 0);
    live.simulator.with(|cloud| {
        cloud.advance(std::time::Duration::from_secs(1));
        shop.renew_leaf(cloud);
    });
    let before = values(&live);
    assert_eq!(live.run(&["plan"]).code, 2);
    let first = values(&live) - before;
    assert_eq!(live.run(&["plan"]).code, 2);
    assert_eq!((first, values(&live) - before), (1, 1), "one new version, read once");
}
