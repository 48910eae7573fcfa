//! Configurations that are refused: every malformed shape shows its message, and all of them are shown at once.

use super::snapshot;
use crate::support::program::Place;

const SERVICE: &str = "[[service]]\nid = \"/subscriptions/0b1f/resourceGroups/shop/providers/Microsoft.Compute/cloudServices/shop\"\n";

/// The messages of a malformed configuration.
fn messages(text: &str) -> String {
    let ran = Place::with_config(text).run(&["check"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (78, ""), "{text}\n{}", ran.stderr);
    ran.stderr
}

/// Many small configurations in one snapshot: each with what it answers.
fn answers(texts: &[&str]) -> String {
    texts.iter().map(|text| format!(">>> {}\n{}\n", text.trim_end(), messages(text))).collect()
}

#[test]
fn everything_at_once() {
    let place = Place::with_config(include_str!("malformed.toml"));
    place.file(
        "certroll.d/10-more.toml",
        "[[service]]\nid = \"/SUBSCRIPTIONS/0b1f/resourceGroups/shop/providers/Microsoft.Compute/cloudServices/SHOP\"\n",
    );
    place.file("certroll.d/20-broken.toml", "a = \n[b\nc = \"x\n");
    let place = place.env("CERTROLL__POLL__JITTR", "5s").env("CERTROLL__LOG__LEVEL", "loud");
    let ran = place.run(&["check"]);
    assert!(!ran.stderr.contains("hunter2"));
    snapshot!("malformed_everything", ran.shown());
}

#[test]
fn structure() {
    snapshot!(
        "malformed_structure",
        answers(&[
            "cloud = ",
            "cloud = \"china\"\ncloud = \"public\"",
            "[poll\nevery = \"5m\"",
            "shedule = \"* * * * *\"",
            "schedule = \"* * * * *\"",
            "[log]\ncloud = \"china\"",
            "cloud = 5",
            "poll = \"5m\"",
            "[http]\nno_proxy = \"a\"",
            "[http]\nno_proxy = [1, \"a\", true]",
            "[rollout]\nconcurrency = 4.5",
            "[rollout]\nconcurrency = \"4\"",
            "[rollout]\nprobe_connections = 33",
            "[api]\ncloud_services = 2022-09-04",
            "service = 3",
            "service = [3]",
            "[service]\nid = \"x\"",
            "[[service]]\n[service.certificate]\nname = \"x\"",
            "[webhook]\nlisten = \"0.0.0.0:443\"",
        ])
    );
}

#[test]
fn many_problems_are_cut_and_escapes_stay_escaped() {
    let many: String = (0..2_000).map(|n| format!("key{n} = 1\n")).collect();
    let shown = messages(&many);
    assert!(shown.starts_with("error: the configuration has 2000 errors\n"), "{}", &shown[..100]);
    assert!(shown.ends_with("  and 1900 more\n"));
    assert!(!messages("cloud = \"\\u001b[31m\"").contains('\u{1b}'));
    assert!(!messages("[http]\nno_proxy = [\"\\u001b/\"]").contains('\u{1b}'));
}

#[test]
fn cloud() {
    snapshot!(
        "malformed_cloud",
        answers(&[
            "cloud = \"germany\"",
            "cloud = \"custom\"",
            "cloud = \"china\"\n[custom_cloud]\nname = \"x\"",
            "cloud = \"custom\"\n[custom_cloud]\nauthority_host = \"https://login.example\"\nresource_manager_host = \"management.example/\"\nvault_scope = \"vault\"",
            "[api]\nkey_vault = \"latest\"",
        ])
    );
}

#[test]
fn identity() {
    snapshot!(
        "malformed_identity",
        answers(&[
            "[identity]\nkind = \"managed\"",
            "[identity]\nkind = \"client_secret\"",
            "[identity]\nkind = \"client_secret\"\nclient_secret = \"hunter2\"",
            "[identity]\nkind = \"client_secret\"\ntenant_id = \"a/b\"\nclient_id = \"c\"\nclient_secret_env = \"NOT_SET\"",
            "[identity]\nkind = \"client_secret\"\ntenant_id = \"a\"\nclient_id = \"c\"\nclient_secret_file = \"$CREDENTIALS_DIRECTORY/client\"",
            "[identity]\nkind = \"client_secret\"\ntenant_id = \"a\"\nclient_id = \"c\"\nclient_secret_file = \"absent\"\nclient_secret_env = \"NOT_SET\"",
            "[identity]\nkind = \"client_certificate\"\ntenant_id = \"a\"\nclient_id = \"c\"\npassword = \"hunter2\"",
            "[identity]\nkind = \"managed_identity\"\nclient_id = \"a\"\nobject_id = \"b\"",
            "[identity]\nkind = \"managed_identity\"\nresource_id = \"certroll\"",
            "[identity]\nkind = \"azure_cli\"\nclient_id = \"a\"",
            "[identity]\nauthority_host = \"login.example:443\"",
        ])
    );
}

#[test]
fn times() {
    snapshot!(
        "malformed_times",
        answers(&[
            "[poll]\nschedule = \"0 0 30 2 *\"",
            "[poll]\nschedule = \"* * * *\"",
            "[poll]\nschedule = \"61 * * * *\"",
            "[poll]\nschedule = \"@every 5m\"",
            "[poll]\nschedule = \"* * * * *\"\nevery = \"5m\"",
            "[poll]\nevery = \"5 minutes\"",
            "[poll]\nevery = \"10s\"\njitter = \"20s\"",
            "[poll]\nevery = \"10ms\"",
            "[poll]\ntime_zone = \"Asia/Shangai\"",
            "[poll]\ntime_zone = \"\"",
            "[plan]\nsettle = \"-5s\"",
            "[plan]\nurgent_before_expiry = \"365d\"",
            "[rollout]\nno_progress_for = \"13h\"",
            "[rollout]\npoll_interval = \"99ms\"",
        ])
    );
}

#[test]
fn files() {
    let place = Place::with_config(
        "[http]\nca_file = \"absent.pem\"\n[journal]\ndirectory = \"taken\"\n[identity]\nkind = \"client_secret\"\ntenant_id = \"a\"\nclient_id = \"b\"\nclient_secret_file = \"empty\"\n",
    );
    place.file("taken", "");
    place.file("empty", "\n");
    snapshot!("malformed_files", place.run(&["check"]).shown());
    for (name, content) in [
        ("none", "# no certificate\n"),
        ("damaged", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n"),
    ] {
        let place = Place::with_config("[http]\nca_file = \"ca.pem\"\n");
        place.file("ca.pem", content);
        snapshot!(format!("malformed_ca_{name}"), place.run(&["check"]).shown());
    }
}

#[test]
fn a_main_file_that_cannot_be_read() {
    let absent = Place::new().run(&["check"]);
    snapshot!("malformed_main_absent", absent.shown());
    let place = Place::new();
    place.file("certroll.toml", [0xff, 0xfe, 0x00]);
    snapshot!("malformed_main_not_text", place.run(&["check"]).shown());
    place.file("certroll.toml", vec![b'#'; 1024 * 1024 + 1]);
    assert!(place.run(&["check"]).stderr.contains("larger than 1048576 bytes"));
}

#[test]
fn http() {
    snapshot!(
        "malformed_http",
        answers(&[
            "[http]\nproxy = \"proxy.corp:3128\"",
            "[http]\nproxy = \"proxy\"",
            "[http]\nproxy = \"http://me:hunter2@proxy.corp:3128\"",
            "[http]\nno_proxy = [\"http://a/\"]",
            "[http]\nconnect_timeout = \"0s\"",
        ])
    );
    assert!(!messages("[http]\nproxy = \"http://me:hunter2@proxy.corp:3128\"").contains("hunter2"));
}

#[test]
fn services() {
    let with = |rest: &str| format!("{SERVICE}{rest}");
    let texts = [
        "[[service]]\nmode = \"auto\"".to_owned(),
        "[[service]]\nid = \"shop\"".to_owned(),
        "[[service]]\nid = \"/subscriptions/a/resourceGroups/b/providers/Microsoft.Compute/virtualMachines/x\"".to_owned(),
        format!("{SERVICE}{SERVICE}"),
        with("mode = \"manual\""),
        with("stage = -1"),
        with("follow = \"listed\""),
        with("[[service.certificate]]\nrole = \"\""),
        with("[[service.certificate]]\nname = \"A\"\nsource = \"shop-kv/keys/a\""),
        with("[[service.certificate]]\nname = \"A\"\nsource = \"kv/secrets/a\"\nsource_vault = \"shop-kv\""),
        with("[[service.certificate]]\nname = \"A\"\nsource = \"shop-kv/secrets/a\"\nsource_vault = \"/subscriptions/a/resourceGroups/b/providers/Microsoft.KeyVault/vaults/other-kv\""),
        with("[[service.certificate]]\nname = \"A\"\nrole = \"Web\"\nsource = \"shop-kv/secrets/a\"\n[[service.certificate]]\nname = \"a\"\nrole = \"WEB\"\nsource = \"shop-kv/secrets/b\""),
        with("[service.probe]\nbinding = true"),
        with("[service.probe]\nendpoints = [\"shop\", \"shop:0\", \"a b:443\", \"[x]:443\", { server_name = \"x\" }, { address = \"shop:443\", sni = \"x\" }]"),
        with("follow = \"listed\"\n[[service.certificate]]\nname = \"A\"\nsource = \"shop-kv/secrets/a\"\n[service.probe]\nendpoints = [{ address = \"shop:443\", certificate = \"B\" }]"),
        with("[service.guards]\nrelax = [\"nmes\", \"everything\"]\nminimum_remaining = \"soon\""),
        with("[service.window]\nweekly = []"),
        with("[service.window]\ntime_zone = \"Mars/Olympus\""),
        with("[service.window]\nweekly = [\"Tues 02:00-04:00\", \"Mon 25:00-26:00\"]"),
    ];
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    snapshot!("malformed_services", answers(&texts));
}

#[test]
fn the_environment_is_named_as_the_place() {
    let place = Place::with_config("")
        .env("CERTROLL__POLL__EVERY", "often")
        .env("CERTROLL__CLOUDS", "china")
        .env("CERTROLL__SERVICE__0__MODE", "observe")
        .env("CERTROLL__SERVICE__FIRST__MODE", "observe")
        .env("CERTROLL__ROLLOUT__CONCURRENCY", "many");
    snapshot!("malformed_environment", place.run(&["check"]).shown());
}

#[cfg(unix)]
#[test]
fn a_secret_that_everybody_can_read_is_worth_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::with_config(&format!(
        "[identity]\nkind = \"client_secret\"\ntenant_id = \"a\"\nclient_id = \"b\"\nclient_secret_file = \"$CREDENTIALS_DIRECTORY/client\"\n{SERVICE}"
    ));
    let path = place.file("credentials/client", "hunter2\n");
    let directory = place.path().join("credentials").to_str().unwrap().to_owned();
    let place = place.env("CREDENTIALS_DIRECTORY", &directory);
    assert_eq!(place.run(&["check"]).stderr, "");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let ran = place.run(&["check"]);
    assert!(!ran.shown().contains("hunter2"));
    assert_eq!(ran.code, 0);
    snapshot!("secret_file_world_readable", ran.stderr);
}
