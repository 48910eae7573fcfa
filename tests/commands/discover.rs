//! `certroll discover` as a person runs it who has no configuration yet.

use certroll_simulator::Simulator;
use certroll_simulator::arm::addresses::PublicAddress;
use certroll_simulator::arm::rights::Rights;
use certroll_simulator::call::Call;
use certroll_simulator::clock::Pace;
use certroll_simulator::cloud::Cloud;
use certroll_simulator::faults::{Effect, Fault};
use certroll_simulator::pki::{Authority, LeafRequest};
use certroll_simulator::scenario::{self, Data, OBJECT_ID, SUBSCRIPTION, ServicePlan, shop};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::snapshot;
use crate::support::live::{Live, QUICK, SECRET_SETTING, shop_with_a_secret_setting, steady};
use crate::support::program::Place;

const FIRST: [&str; 6] = ["discover", "--cloud", "china", "--identity", "client_secret", "--no-probe"];

/// A simulated Azure and an empty directory: what a configuration would say is in the environment.
async fn nothing_yet(mut cloud: Cloud) -> Live {
    cloud.durations = QUICK;
    let simulator = Simulator::start(cloud).await.unwrap();
    let place = Place::new()
        .env("CERTROLL__IDENTITY__TENANT_ID", scenario::TENANT)
        .env("CERTROLL__IDENTITY__CLIENT_ID", scenario::CLIENT_ID)
        .env("CERTROLL__IDENTITY__CLIENT_SECRET_ENV", "SHOP_SECRET")
        .env("CERTROLL__HTTP__PROXY", &simulator.proxy_url())
        .env("CERTROLL__HTTP__CA_FILE", "ca.pem")
        .env("CERTROLL__JOURNAL__DIRECTORY", "journal")
        .env("CERTROLL__ROLLOUT__POLL_INTERVAL", "100ms")
        .env("CERTROLL__ROLLOUT__INSTANCES_WITHIN", "1s")
        .env("SHOP_SECRET", scenario::CLIENT_SECRET);
    place.file("ca.pem", simulator.ca_pem());
    Live { simulator, place }
}

/// Without days: that of writing, and those of certificates.
fn undated(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("20") {
        let day =
            rest.get(at..at + "2026-11-23".len()).filter(|day| day.parse::<jiff::civil::Date>().is_ok());
        let (before, after) = rest.split_at(at + day.map_or(2, str::len));
        match day {
            Some(day) => shown.push_str(&format!("{}[DATE]", &before[..before.len() - day.len()])),
            None => shown.push_str(before),
        }
        rest = after;
    }
    shown + rest
}

fn read(live: &Live, name: &str) -> String {
    let text = std::fs::read_to_string(live.place.path().join(name)).unwrap();
    text.replace(live.place.path().to_str().unwrap(), "[DIR]")
}

fn second_service(cloud: &mut Cloud, leaf: &scenario::Stored) {
    ServicePlan::new("desk", shop::LOCATION).role("Desk", 1).certificate("DeskTls", leaf).build(cloud);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_configuration_reads_as_if_a_person_had_written_it() {
    let (cloud, _shop) = shop_with_a_secret_setting();
    let live = nothing_yet(cloud).await;
    let ran = live.run(&FIRST);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    snapshot!("discover_first", steady(&undated(&ran.shown())));
    assert_eq!(live.puts(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_writes_is_the_configuration_that_carries_the_next_set_to_verified() {
    let (cloud, mut shop) = shop::shop(Pace::Automatic, Timestamp::now());
    let live = nothing_yet(cloud).await;
    let ran = live.run(&[&FIRST[..], &["--out", "certroll.toml"]].concat());
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{}", ran.shown());
    let ran = live.run(&["check"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.shown());
    assert_eq!(live.run(&["plan"]).code, 0, "nothing is to be done yet");

    live.simulator.with(|cloud| shop.renew(cloud));
    assert_eq!(live.run(&["plan"]).code, 2);
    let ran = live.run(&["apply", "--yes", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    let endings: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(endings["services"][0]["ending"], "verified");
    assert_eq!(live.puts(), 1);
    live.simulator.with(|cloud| {
        let configuration = &cloud.service(shop::SERVICE).unwrap().model.configuration;
        let new = [&shop.stored_leaf, &shop.stored_intermediate, &shop.stored_root];
        assert!(new.iter().all(|stored| configuration.contains(&stored.thumbprint)));
        // In two roles and in the setting that was proposed.
        assert_eq!(configuration.matches(&shop.stored_leaf.thumbprint).count(), 3);
    });
    assert_eq!(live.run(&["plan"]).code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_shows_and_adds_only_what_is_new() {
    let (cloud, shop) = shop::shop(Pace::Automatic, Timestamp::now());
    let live = nothing_yet(cloud).await;
    let out = ["discover", "--no-probe", "--out", "certroll.toml"];
    let ran = live.run(&[&FIRST[..], &out[2..]].concat());
    assert_eq!(ran.code, 0, "{}", ran.shown());
    let first = read(&live, "certroll.toml");

    let ran = live.run(&out);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{}", ran.shown());
    assert!(ran.stderr.contains("known already: 1; nothing is new to `certroll.toml`"), "{}", ran.stderr);

    live.simulator.with(|cloud| second_service(cloud, &shop.stored_leaf));
    let ran = live.run(&out);
    snapshot!("discover_again", steady(&undated(&ran.shown())));
    assert_eq!(read(&live, "certroll.toml"), first, "it is only shown");

    let ran = live.run(&[&out[..], &["--append"]].concat());
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{}", ran.shown());
    let second = read(&live, "certroll.toml");
    assert!(second.starts_with(&first) && second.len() > first.len());
    let checked = live.run(&["check", "--json"]);
    let checked: Value = serde_json::from_str(&checked.stdout).unwrap();
    let services: Vec<&str> =
        checked["services"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert!(services[0].ends_with("/shop") && services[1].ends_with("/desk"), "{services:?}");

    // A file that is not there yet gets what the configuration does not have: nothing.
    let ran = live.run(&["discover", "--no-probe", "--out", "more.toml"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    assert!(!live.place.path().join("more.toml").exists());
}

/// Chain and leaf of the shop under their thumbprints, as a migration leaves them; a newer leaf as a vault certificate,
/// and a newer intermediate under its own thumbprint.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_named_after_their_thumbprints_are_mapped() {
    let now = Timestamp::now();
    let names = certroll_simulator::names::Names::china();
    let mut cloud = scenario::cloud(names, Pace::Automatic, now);
    scenario::vault(&mut cloud, shop::VAULT, shop::LOCATION);
    let age = SignedDuration::from_hours(24 * 170);
    let root = Authority::root("Contoso Root", now - age);
    let issuing = root.intermediate("Contoso Issuing", now - age);
    let leaf = issuing.issue(&LeafRequest::server(shop::DNS_NAME, now).valid(now - age, now + age));
    let mut under_thumbprint = |issued: &certroll_simulator::pki::Issued, data| {
        scenario::json_secret(&mut cloud, shop::VAULT, &issued.thumbprint(), issued, data)
    };
    let stored_root = under_thumbprint(&root.issued(), Data::CertificateOnly);
    let stored_issuing = under_thumbprint(&issuing.issued(), Data::CertificateOnly);
    let stored_leaf = under_thumbprint(&leaf, Data::Key);
    let renewed = root.intermediate("Contoso Issuing", now);
    under_thumbprint(&renewed.issued(), Data::CertificateOnly);
    let next = renewed.issue(&LeafRequest::server(shop::DNS_NAME, now));
    scenario::certificate(&mut cloud, shop::VAULT, shop::LEAF, &next);
    ServicePlan::new(shop::SERVICE, shop::LOCATION)
        .role("Web", 2)
        .certificate("ShopTls", &stored_leaf)
        .certificate("Issuing", &stored_issuing)
        .certificate("Root", &stored_root)
        .build(&mut cloud);
    let live = nothing_yet(cloud).await;
    let ran = live.run(&FIRST);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    snapshot!("discover_named_after_thumbprints", steady(&undated(&ran.shown())));

    let ran = live.run(&[&FIRST[..], &["--out", "certroll.toml"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.shown());
    let ran = live.run(&["apply", "--yes"]);
    assert_eq!(ran.code, 0, "the newer set goes out: {}", ran.shown());
    assert_eq!(live.puts(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_a_comment_with_the_way_out() {
    let (mut cloud, shop) = shop::shop(Pace::Automatic, Timestamp::now());
    second_service(&mut cloud, &shop.stored_leaf);
    cloud.vaults[0].firewall_closed = true;
    cloud.rights.insert(OBJECT_ID.to_owned(), Rights { read_addresses: false, ..Rights::all() });
    let live = nothing_yet(cloud).await;
    let ran = live.run(&[&FIRST[..], &["--out", "certroll.toml"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.shown());
    snapshot!("discover_unreadable", steady(&undated(&read(&live, "certroll.toml"))));
    assert_eq!(live.run(&["check"]).code, 0);
    assert!(!ran.stderr.contains("Client address"), "{}", ran.stderr);
    let ran = live.run(&["discover", "--no-probe", "-v"]);
    assert!(
        ran.stderr.contains("Client address: 203.0.113.7"),
        "all that is known is logged: {}",
        ran.stderr
    );
    assert!(ran.stdout.contains("is known") && ran.stdout.contains("# UNRESOLVED:"), "{}", ran.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_can_be_listed_the_exit_code_says_why() {
    let (mut cloud, _shop) = shop::shop(Pace::Automatic, Timestamp::now());
    cloud.rights.insert(OBJECT_ID.to_owned(), Rights::none());
    let live = nothing_yet(cloud).await;
    let ran = live.run(&FIRST);
    assert_eq!((ran.code, ran.stdout.as_str()), (77, ""), "{}", ran.shown());
    snapshot!("discover_denied", steady(&ran.shown()));

    let ran = live.run(&[&FIRST[..], &["--subscription", "11111111-0000-4000-8000-000000000001"]].concat());
    assert_eq!((ran.code, ran.stdout.as_str()), (65, ""), "there is none: {}", ran.shown());
    for arguments in
        [&["--subscription", "a/../b"][..], &["--append"], &["--cloud", "mars"], &["--vault", "x"]]
    {
        let ran = live.run(&[&["discover"][..], arguments].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (64, ""), "{}", ran.shown());
    }
    let ran = live.run(&["discover", "--identity", "managed_identity"]);
    assert_eq!(ran.code, 78, "a secret of no use is a contradiction: {}", ran.shown());
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_read_page_by_page_and_one_that_fails_stops_no_other() {
    let (mut cloud, shop) = shop::shop(Pace::Automatic, Timestamp::now());
    second_service(&mut cloud, &shop.stored_leaf);
    ServicePlan::new("till", shop::LOCATION).role("Till", 1).build(&mut cloud);
    cloud.page_size = 1;
    cloud.add_group("11111111-0000-4000-8000-000000000001", "elsewhere");
    // The subscriptions are listed in order: the first one is the one that holds nothing.
    cloud.fault(Fault::next(
        Call::ListAllCloudServices,
        Effect::Reply { status: 403, code: "AuthorizationFailed".to_owned(), retry_after: None },
    ));
    let live = nothing_yet(cloud).await;
    let ran = live.run(&[&FIRST[..], &["--json"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.shown());
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    let services: Vec<&str> = told["services"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["service"].as_str().unwrap().rsplit('/').next().unwrap())
        .collect();
    assert_eq!(services, ["desk", "shop", "till"]);
    assert_eq!(told["subscriptions"].as_object().unwrap().len(), 2);
    assert!(told["failed"][0]["hint"].as_str().unwrap().contains("`Reader`"), "{}", told["failed"]);
    assert!(ran.stderr.contains("warning: listing the cloud services"), "{}", ran.stderr);
    assert!(told["configuration"].as_str().unwrap().contains("# NOT LISTED:"));
    let leaf = &told["services"][1]["certificates"][0];
    assert_eq!((leaf["name"].as_str(), leaf["source"]["kind"].as_str()), (Some("ShopTls"), Some("mapped")));
    assert_eq!(leaf["settings"][0], "Shop.TlsThumbprint");

    let ran = live.run(&[&FIRST[..], &["--json", "--subscription", SUBSCRIPTION]].concat());
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(told["services"].as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_does_not_present_the_leaf_is_only_shown() {
    let (mut cloud, _shop) = shop::shop(Pace::Automatic, Timestamp::now());
    for PublicAddress { dns, .. } in &mut cloud.public_addresses {
        // Whatever listens there on port 443, it has not the shop's key.
        *dns = Some(("shop".to_owned(), "localhost".to_owned()));
    }
    let live = nothing_yet(cloud).await;
    let ran = live.run(&FIRST[..5]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    assert!(ran.stdout.contains("# - shop.contoso.com at localhost:443: "), "{}", ran.stdout);
    assert!(!ran.stdout.contains("it was not tried"), "{}", ran.stdout);
    assert!(!ran.stdout.lines().any(|line| line.starts_with("[service.probe]")), "{}", ran.stdout);
}

/// The shop as it is seen from outside, at the simulator's endpoint.
async fn reached(cloud: Cloud) -> (Live, String) {
    let live = nothing_yet(cloud).await;
    let endpoint = live.simulator.endpoint_address(shop::SERVICE, shop::ENDPOINT).unwrap();
    live.simulator.with(|cloud| {
        for PublicAddress { dns, .. } in &mut cloud.public_addresses {
            *dns = Some(("shop".to_owned(), endpoint.ip().to_string()));
        }
    });
    (live, endpoint.port().to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_presents_the_leaf_is_written_and_turns_on_the_next_update() {
    let (cloud, mut shop) = shop::shop(Pace::Automatic, Timestamp::now());
    let (live, port) = reached(cloud).await;
    let first = [&FIRST[..5], &["--probe-port", &port, "--out", "certroll.toml"]].concat();
    let ran = live.run(&first);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    let written = read(&live, "certroll.toml");
    let endpoint = format!(
        "[service.probe]\nendpoints = [{{ address = \"127.0.0.1:{port}\", server_name = \"{}\" }}]\n",
        shop::DNS_NAME
    );
    assert!(written.contains(&endpoint), "{written}");
    assert!(written.contains("Each presents today what"), "{written}");

    live.simulator.with(|cloud| shop.renew(cloud));
    let ran = live.run(&["apply", "--yes"]);
    assert_eq!(ran.code, 0, "the endpoint shows the new leaf: {}", ran.shown());
    let again = ["discover", "--probe-port", &port, "--out", "certroll.toml"];
    let ran = live.run(&again);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{}", ran.shown());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_shows_what_a_known_service_lacks_and_not_what_it_has() {
    let (mut cloud, shop) = shop::shop(Pace::Automatic, Timestamp::now());
    let api = Authority::root("Contoso Api", Timestamp::now()).issued();
    let api = scenario::certificate(&mut cloud, shop::VAULT, "api", &api);
    let (live, port) = reached(cloud).await;
    let ran = live.run(&[&FIRST[..], &["--out", "certroll.toml"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.shown());
    let first = read(&live, "certroll.toml");

    // Since then: a setting in another role, a certificate that no reference carries, and an endpoint that answers.
    let twin = "Shop.ApiThumbprint";
    live.simulator.with(|cloud| {
        let model = &mut cloud.service_mut(shop::SERVICE).unwrap().model;
        let leaf = &shop.stored_leaf.thumbprint;
        model.configuration = model.configuration.replacen(
            "</ConfigurationSettings>",
            &format!("<Setting name=\"{twin}\" value=\"{leaf}\" /></ConfigurationSettings>"),
            1,
        );
        model.configuration = model.configuration.replacen(
            "</Certificates>",
            &format!(
                "<Certificate name=\"Api\" thumbprint=\"{}\" thumbprintAlgorithm=\"sha1\" /></Certificates>",
                api.thumbprint
            ),
            1,
        );
    });
    let again = ["discover", "--probe-port", &port, "--out", "certroll.toml"];
    let ran = live.run(&again);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    snapshot!("discover_known", steady(&undated(&ran.shown())).replace(&format!(":{port}"), ":[PORT]"));
    assert!(ran.stdout.lines().all(|line| line.is_empty() || line.starts_with('#')), "{}", ran.stdout);
    let ran = live.run(&[&again[..], &["--append"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.shown());
    assert_eq!(read(&live, "certroll.toml"), first, "where it belongs is for a person to say");

    let ran = live.run(&[&again[..], &["--json"]].concat());
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    let [added] = told["additions"].as_array().unwrap().as_slice() else { panic!("{told}") };
    assert_eq!(added["entries"][0]["settings"][0], twin);
    assert_eq!(added["certificates"][0]["name"], "Api");
    assert_eq!(added["probes"][0]["finding"]["kind"], "presents");
    assert_eq!((&told["written"], told["services"].as_array().unwrap().len()), (&Value::Null, 0));

    // What a person adds as it was shown is not shown again.
    let (head, rest) = first.split_once("settings = [").unwrap();
    let whole = format!(
        "{head}settings = [\"{twin}\", {rest}\n[[service.certificate]]\nname = \"Api\"\n\
         source = \"shop-kv/certificates/api\"\n\n[service.probe]\n\
         endpoints = [{{ address = \"127.0.0.1:{port}\", server_name = \"{}\" }}]\n",
        shop::DNS_NAME
    );
    std::fs::write(live.place.path().join("certroll.toml"), whole).unwrap();
    let ran = live.run(&again);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{}", ran.shown());
    assert!(ran.stderr.contains("nothing is new to `certroll.toml`"), "{}", ran.stderr);

    live.simulator
        .with(|cloud| cloud.service_mut(shop::SERVICE).unwrap().model.configuration = "<x".to_owned());
    let ran = live.run(&again);
    assert!(ran.stdout.starts_with("\n# NOT COMPARED: cloud service\n"), "{}", ran.shown());
}

#[tokio::test(flavor = "multi_thread")]
async fn with_json_the_file_is_written_and_what_was_found_is_printed() {
    let (cloud, shop) = shop::shop(Pace::Automatic, Timestamp::now());
    let live = nothing_yet(cloud).await;
    let out = ["--no-probe", "--out", "certroll.toml", "--json"];
    let told = |arguments: &[&str]| -> Value {
        let ran = live.run(arguments);
        assert_eq!(ran.code, 0, "{}", ran.shown());
        serde_json::from_str(&ran.stdout).unwrap()
    };
    let first = told(&[&FIRST[..5], &out[..]].concat());
    assert_eq!(first["written"]["how"], "created");
    assert!(first["written"]["file"].as_str().unwrap().ends_with("certroll.toml"));
    let written = read(&live, "certroll.toml");
    assert_eq!(first["configuration"], written);
    assert_eq!(live.run(&["check"]).code, 0);

    live.simulator.with(|cloud| second_service(cloud, &shop.stored_leaf));
    let again = [&["discover"], &out[..]].concat();
    let shown = told(&again);
    assert_eq!(shown["written"], Value::Null);
    assert_eq!(read(&live, "certroll.toml"), written, "it is left as it is");
    let added = told(&[&again[..], &["--append"]].concat());
    assert_eq!(
        (&added["written"]["how"], &added["configuration"]),
        (&"appended".into(), &shown["configuration"])
    );
    let whole = read(&live, "certroll.toml");
    assert!(whole.ends_with(added["configuration"].as_str().unwrap()), "{whole}");
    let last = told(&again);
    assert_eq!((last["services"].as_array().unwrap().len(), &last["written"]), (0, &Value::Null));
    assert_eq!(last["known"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_a_person_names_is_searched_too() {
    let (mut cloud, mut shop) = shop::shop(Pace::Automatic, Timestamp::now());
    scenario::vault(&mut cloud, "new-kv", shop::LOCATION);
    // The intermediate's certificate, as a certificate of another vault.
    scenario::certificate(&mut cloud, "new-kv", "issuing", &shop.intermediate.issued());
    let live = nothing_yet(cloud).await;
    let ran = live.run(&[&FIRST[..], &["--vault", "new-kv", "--out", "certroll.toml"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.shown());
    let written = read(&live, "certroll.toml");
    assert!(written.contains("source = \"new-kv/certificates/issuing\""), "{written}");
    assert!(written.contains("/vaults/new-kv\""), "{written}");
    assert_eq!(live.run(&["plan"]).code, 0, "the same certificate is nothing to do");
    live.simulator.with(|cloud| shop.renew_leaf(cloud));
    assert_eq!(live.run(&["plan"]).code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_values_of_settings_are_not_shown() {
    let (cloud, _shop) = shop_with_a_secret_setting();
    let live = nothing_yet(cloud).await;
    for arguments in [&["-vv"][..], &["-vv", "--json"]] {
        // Every run is searched for the setting's value, and for tokens.
        let ran = live.run(&[&FIRST[..], arguments].concat());
        assert!(ran.stdout.contains("Shop.TlsThumbprint") && ran.stderr.contains("call answered"));
        assert!(!ran.stdout.contains(SECRET_SETTING));
    }
}
