//! `certroll plan` and `certroll apply` as a person runs them.

use certroll_simulator::call::Call;
use certroll_simulator::clock::Pace;
use certroll_simulator::faults::{Effect, Fault, Which};
use certroll_simulator::scenario::shop;
use jiff::Timestamp;

use super::snapshot;
use crate::support::live::{Live, shop_with_a_secret_setting, steady};

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_reads_well_and_changes_nothing() {
    let (mut cloud, mut shop) = shop::shop(Pace::Automatic, Timestamp::now());
    shop.renew(&mut cloud);
    let live = Live::start(cloud, "").await;
    let ran = live.run(&["plan"]);
    assert_eq!(ran.code, 2);
    snapshot!("plan_renewed_set", steady(&ran.shown()));
    assert_eq!(live.puts(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_to_do_is_exit_code_0() {
    let (cloud, _shop) = shop::shop(Pace::Automatic, Timestamp::now());
    let live = Live::start(cloud, "").await;
    let ran = live.run(&["plan", "shop"]);
    assert_eq!(ran.code, 0);
    snapshot!("plan_current", steady(&ran.shown()));
    let ran = live.run(&["apply", "--yes"]);
    snapshot!("apply_nothing", steady(&ran.shown()));
    assert_eq!(live.puts(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_json_plan_has_the_change_and_not_the_cscfg() {
    let (mut cloud, mut shop) = shop::shop(Pace::Automatic, Timestamp::now());
    shop.renew(&mut cloud);
    let live = Live::start(cloud, "").await;
    let ran = live.run(&["plan", "--json"]);
    let plan: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(plan["format"], 1);
    assert_eq!(plan["services"][0]["status"], "planned");
    assert_eq!(plan["services"][0]["update"]["certificates"].as_array().unwrap().len(), 4);
    assert!(!ran.stdout.contains("<ServiceConfiguration"), "the cscfg may hold secrets");
}

#[tokio::test(flavor = "multi_thread")]
async fn apply_carries_the_set_over_by_one_put() {
    let (mut cloud, mut shop) = shop::shop(Pace::Automatic, Timestamp::now());
    shop.renew(&mut cloud);
    let live = Live::start(cloud, "").await;
    let ran = live.run(&["apply", "--yes", "shop"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    snapshot!("apply_verified", steady(&ran.shown()));
    assert_eq!(live.puts(), 1);
    assert_eq!(live.run(&["plan"]).code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_served_is_put_back() {
    let (mut cloud, mut shop) = shop::shop(Pace::Automatic, Timestamp::now());
    shop.renew(&mut cloud);
    cloud.fault(Fault::next(
        Call::PutCloudService,
        Effect::OldCertificatePresented(Which::Named(vec!["Web_IN_1".to_owned()])),
    ));
    let live = Live::start(cloud, "").await;
    let ran = live.run(&["apply", "--yes", "--json"]);
    assert_eq!(ran.code, 65, "{}", ran.shown());
    let endings: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(endings["services"][0]["ending"], "restored");
    assert!(ran.stderr.contains("turns back"), "{}", ran.stderr);
    assert_eq!(live.puts(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_refuses_and_says_how_to_relax_it() {
    let (mut cloud, mut shop) = shop::shop(Pace::Automatic, Timestamp::now());
    shop.renew_leaf_with_a_name_lost(&mut cloud);
    let live = Live::start(cloud, "").await;
    let ran = live.run(&["plan"]);
    assert_eq!(ran.code, 65);
    snapshot!("plan_blocked", steady(&ran.shown()));
    let ran = live.run(&["apply", "--yes"]);
    assert_eq!(ran.code, 65);
    assert_eq!(live.puts(), 0);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_takes_no_place_of_what_is_not_a_file() {
    use std::os::unix::fs::FileTypeExt;
    let (mut cloud, mut shop) = shop::shop(Pace::Automatic, Timestamp::now());
    shop.renew(&mut cloud);
    let live = Live::start(cloud, "").await;
    let path = live.place.path().join("friday.plan");
    let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let ran = live.run(&["plan", "--out", "friday.plan"]);
    assert_eq!(ran.code, 73);
    assert!(ran.stderr.contains("what is there is not a file"), "{}", ran.shown());
    assert!(std::fs::symlink_metadata(&path).unwrap().file_type().is_socket());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_plan_is_applied_as_it_is_and_refused_once_the_service_has_changed() {
    let (mut cloud, mut shop) = shop::shop(Pace::Automatic, Timestamp::now());
    shop.renew(&mut cloud);
    let live = Live::start(cloud, "").await;
    assert_eq!(live.run(&["plan", "--out", "friday.plan"]).code, 2);
    let path = live.place.path().join("friday.plan");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    let text = std::fs::read_to_string(&path).unwrap();
    live.place.file("newer.plan", text.replacen("\"format\": 1", "\"format\": 7", 1));
    snapshot!("apply_plan_of_another_format", steady(&live.run(&["apply", "--yes", "newer.plan"]).shown()));
    live.place
        .file("altered.plan", text.replacen("<Instances count=\\\"2\\\"", "<Instances count=\\\"9\\\"", 1));
    snapshot!("apply_altered_plan", steady(&live.run(&["apply", "--yes", "altered.plan"]).shown()));
    live.place.file("cut.plan", &text[..text.len() / 2]);
    assert_eq!(live.run(&["apply", "--yes", "cut.plan"]).code, 65);
    assert_eq!(live.puts(), 0);

    let ran = live.run(&["apply", "--yes", "friday.plan"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    assert_eq!(live.puts(), 1);
    // The same plan once more finds what it wants: nothing is sent.
    let again = live.run(&["apply", "--yes", "friday.plan"]);
    assert_eq!((again.code, live.puts()), (0, 1), "{}", again.shown());
    // Another hand scales the service: a plan that was made before is refused.
    live.simulator.with(|cloud| {
        shop.renew(cloud);
    });
    assert_eq!(live.run(&["plan", "--out", "monday.plan"]).code, 2);
    live.simulator.with(|cloud| {
        let now = cloud.now();
        cloud.service_mut(shop::SERVICE).unwrap().scale("Web", 3, now).unwrap();
    });
    let refused = live.run(&["apply", "--yes", "monday.plan"]);
    assert_eq!((refused.code, live.puts()), (75, 1), "{}", refused.shown());
    assert!(refused.stdout.contains("abandoned"), "{}", refused.shown());
}

#[tokio::test(flavor = "multi_thread")]
async fn words_that_name_nothing_are_refused_with_the_nearest() {
    let (cloud, _shop) = shop::shop(Pace::Automatic, Timestamp::now());
    let live = Live::start(cloud, "").await;
    snapshot!("plan_unknown_service", live.run(&["plan", "shpo"]).shown());
    snapshot!("apply_without_an_answer", {
        live.simulator.with(|cloud| _shop.clone().renew(cloud));
        let ran = live.run(&["apply"]);
        format!(
            "exit code {}\n{}",
            ran.code,
            ran.stderr.lines().skip_while(|l| !l.starts_with("error")).collect::<Vec<_>>().join("\n")
        )
    });
    assert_eq!(live.puts(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn services_that_are_only_observed_are_left_alone() {
    let (mut cloud, mut shop) = shop::shop(Pace::Automatic, Timestamp::now());
    shop.renew(&mut cloud);
    let live = Live::start(cloud, "mode = \"observe\"").await;
    assert_eq!(live.run(&["plan"]).code, 2);
    let ran = live.run(&["apply", "--yes"]);
    assert_eq!((ran.code, live.puts()), (0, 0), "{}", ran.shown());
    assert!(ran.stderr.contains("observe"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_azure_that_cannot_be_reached_is_said() {
    let (cloud, _shop) = shop::shop(Pace::Automatic, Timestamp::now());
    let live = Live::start(cloud, "").await;
    live.simulator.with(|cloud| {
        for vault in &mut cloud.vaults {
            vault.firewall_closed = true;
        }
    });
    let ran = live.run(&["plan"]);
    assert_eq!(ran.code, 69, "{}", ran.shown());
    snapshot!("plan_firewall", steady(&ran.shown()));
}

/// Every run of these tests is searched for tokens and secrets; this one says the most.
#[tokio::test(flavor = "multi_thread")]
async fn the_most_verbose_commands_show_no_secret() {
    let (mut cloud, mut shop) = shop_with_a_secret_setting();
    shop.renew(&mut cloud);
    cloud.fault(Fault::next(
        Call::PutCloudService,
        Effect::OldCertificatePresented(Which::Named(vec!["Web_IN_1".to_owned()])),
    ));
    let live = Live::start(cloud, "").await;
    for arguments in [&["plan", "-vv"][..], &["plan", "-vv", "--json"], &["apply", "-vv", "--yes"]] {
        let ran = live.run(arguments);
        assert!(ran.stderr.contains("call answered"), "the log is there to be searched: {}", ran.stderr);
    }
    assert!(live.simulator.with(|cloud| cloud.entra.issued_tokens().count()) > 0);
    assert_eq!(live.puts(), 2);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_apply_says_what_it_leaves() {
    use std::io::{BufRead, BufReader, Read};
    use std::process::{Command, Stdio};

    let (mut cloud, mut shop) = shop::shop(Pace::Automatic, Timestamp::now());
    shop.renew(&mut cloud);
    cloud.fault(Fault::next(Call::PutCloudService, Effect::OperationNeverEnds));
    let live = Live::start(cloud, "").await;
    let (code, stdout) = tokio::task::block_in_place(|| {
        let mut command = live.place.command(&["apply", "--yes"]);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("Azure accepted it")), "it never came that far");
        let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        assert!(interrupt.success());
        let rest: Vec<String> = lines.map(Result::unwrap).collect();
        assert!(rest.iter().any(|line| line.contains("a second signal leaves at once")), "{rest:#?}");
        let mut stdout = String::new();
        child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        (child.wait().unwrap().code(), stdout)
    });
    assert_eq!(code, Some(75), "{stdout}");
    snapshot!("apply_interrupted", steady(&stdout));
    assert_eq!(live.puts(), 1);
}
