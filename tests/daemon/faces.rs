//! How the daemon shows itself: at its start, to monitoring, and when it is given another configuration.

use crate::support::daemon::Daemon;
use crate::support::live::{Live, shop_with_a_secret_setting};

const SELDOM: &str = "[poll]\nevery = \"1h\"\njitter = \"0s\"\n[plan]\nsettle = \"0s\"\n";

/// A port that was free a moment ago.
fn free_port() -> std::net::SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn monitoring_sees_what_it_does() {
    let (cloud, _) = shop_with_a_secret_setting();
    let address = free_port();
    let live = Live::start_with(cloud, &format!("{SELDOM}[monitoring]\nlisten = \"{address}\"\n"), "").await;
    tokio::task::block_in_place(|| {
        let mut daemon = Daemon::start(&live);
        daemon.monitoring = Some(address);
        daemon.hear_status("1 current");
        daemon.hear(|told| told == "WATCHDOG=1" || told == "WATCHDOG=1\n");
        assert_eq!(daemon.get("/livez"), (200, "live\n".to_owned()));
        let (status, body) = daemon.get("/readyz?verbose");
        assert_eq!((status, body.as_str()), (200, "[+] look\n[+] journal\n[+] running\nready\n"));
        let (status, text) = daemon.get("/metrics");
        assert_eq!(status, 200);
        for line in ["certroll_services{state=\"current\"} 1", "certroll_looks_total{reason=\"start\"} 1"] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(text.contains("certroll_certificate_not_after_timestamp_seconds{certificate="), "{text}");
        assert!(!text.contains("canary"));
        assert_eq!(daemon.get("/other").0, 404);
        assert_eq!(daemon.stop(), Some(0));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_configuration_is_told_whole_at_the_start_and_refused_at_a_reload() {
    let (cloud, _) = shop_with_a_secret_setting();
    let live = Live::start_with(cloud, SELDOM, "").await;
    tokio::task::block_in_place(|| {
        let good = std::fs::read_to_string(live.place.path().join("certroll.toml")).unwrap();
        let wrong = good.replace("1h", "never").replace("poll_interval = \"100ms\"", "concurrency = 0");
        live.place.file("certroll.toml", &wrong);
        let ran = live.run(&["run"]);
        assert_eq!(ran.code, 78, "{}", ran.shown());
        assert!(ran.stderr.contains("never") && ran.stderr.contains("concurrency"), "{}", ran.stderr);

        live.place.file("certroll.toml", &good);
        let mut daemon = Daemon::start(&live);
        daemon.hear_status("1 current");
        live.place.file("certroll.toml", &wrong);
        daemon.signal("HUP");
        daemon.hear(|told| told.contains("RELOADING=1"));
        daemon.hear_status("the last configuration was refused");
        let line = daemon.hear_log("the new configuration is refused");
        assert!(line.contains("concurrency"), "{line}");
        // The daemon is asked all the same, and it goes on as before.
        for command in [&["status"][..], &["pause"], &["resume"], &["activate"]] {
            let ran = live.run(command);
            assert_eq!(ran.code, 0, "{}", ran.shown());
            assert!(ran.stderr.contains("`certroll check` says how"), "{}", ran.shown());
        }
        assert!(live.run(&["status"]).stdout.contains("the last configuration was refused"));
        let ran = live.run(&["reload"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (78, ""), "{}", ran.shown());
        assert!(ran.stderr.contains("error: the configuration is refused: "), "{}", ran.shown());
        assert!(
            ran.stderr.contains("concurrency") && ran.stderr.contains("stays in force"),
            "{}",
            ran.shown()
        );

        live.place.file("certroll.toml", good.replace("1h", "2h"));
        daemon.signal("HUP");
        let line = daemon.hear_log("the configuration changed");
        assert!(line.contains("[poll]"), "{line}");
        daemon.hear(|told| told.contains("READY=1"));
        // By a command that waits for what becomes of it.
        live.place.file("certroll.toml", good.replace("1h", "3h"));
        let ran = live.run(&["reload"]);
        assert_eq!((ran.code, ran.stderr.contains("[poll]")), (0, true), "{}", ran.shown());
        let ran = live.run(&["reload", "--json"]);
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (0, "{\n  \"format\": 1,\n  \"changes\": []\n}\n"),
            "{}",
            ran.shown()
        );
        assert_eq!(daemon.stop(), Some(0));
        assert_eq!(live.run(&["reload"]).code, 69, "nobody answers");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_daemon_answers_and_nobody_else_may_ask() {
    let (cloud, _) = shop_with_a_secret_setting();
    let live = Live::start_with(cloud, SELDOM, "").await;
    tokio::task::block_in_place(|| {
        let ran = live.run(&["status"]);
        assert_eq!(ran.code, 69, "{}", ran.shown());
        assert!(ran.stderr.contains("certroll run"), "{}", ran.stderr);
        let mut daemon = Daemon::start(&live);
        let ran = live.run(&["run"]);
        assert_eq!(ran.code, 75, "{}", ran.shown());
        use std::os::unix::fs::PermissionsExt;
        let socket = live.place.path().join("admin.sock");
        assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
        for command in
            [&["pause", "shpo"][..], &["resume", "shpo"], &["status", "shpo"], &["approve", "shpo"]]
        {
            let ran = live.run(command);
            assert_eq!(ran.code, 64, "{}", ran.shown());
            assert!(ran.stderr.contains("did you mean `shop`?"), "{command:?}: {}", ran.stderr);
        }
        // A process that was killed leaves its socket; the next one takes its place.
        daemon.signal("KILL");
        assert_eq!(daemon.end(), None);
        assert!(socket.exists());
        let mut daemon = Daemon::start(&live);
        daemon.hear_status("1 current");
        assert_eq!(daemon.stop(), Some(0));
        assert!(!socket.exists());
    });
}
