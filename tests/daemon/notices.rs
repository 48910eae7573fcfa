//! What the daemon tells people, over a real channel.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use certroll_simulator::call::Call;
use certroll_simulator::faults::{Effect, Fault, Which};
use serde_json::Value;

use crate::support::daemon::Daemon;
use crate::support::live::{Live, SECRET_SETTING, shop_with_a_secret_setting};

/// A web server that takes every notice, and its address.
fn receiver() -> (String, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (send, received) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let mut length = 0;
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
                    break;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            if reader.read_exact(&mut body).is_err() {
                continue;
            }
            let answer = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
            reader.get_mut().write_all(answer.as_bytes()).unwrap();
            if send.send(serde_json::from_slice(&body).unwrap()).is_err() {
                return;
            }
        }
    });
    (url, received)
}

/// The title of the next notice of a kind. What is told besides is no secret either.
fn next(received: &Receiver<Value>, kind: &str) -> String {
    loop {
        let notice = received.recv_timeout(Duration::from_secs(60)).expect(kind);
        assert!(!notice.to_string().contains(SECRET_SETTING), "a secret is in a notice");
        let notice = &notice["notice"];
        if notice["kind"] == kind {
            return notice["title"].as_str().unwrap().to_owned();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_told_how_changes_end_and_what_is_refused() {
    let (mut cloud, mut shop) = shop_with_a_secret_setting();
    shop.renew(&mut cloud);
    cloud.fault(Fault::next(
        Call::PutCloudService,
        Effect::OldCertificatePresented(Which::Named(vec!["Web_IN_1".to_owned()])),
    ));
    let (url, received) = receiver();
    let sections = "[poll]\nevery = \"12h\"\njitter = \"0s\"\n[plan]\nsettle = \"0s\"\n\
                    [[notify.channel]]\nname = \"ops\"\nkind = \"webhook\"\nurl_env = \"OPS_URL\"\n";
    let mut live = Live::start_with(cloud, sections, "").await;
    // The simulated Azure's proxy leads nowhere else.
    live.place = live.place.env("OPS_URL", &url).env("CERTROLL__HTTP__NO_PROXY", "[\"127.0.0.1\"]");
    tokio::task::block_in_place(|| {
        let mut daemon = Daemon::start(&live);
        daemon.hear_log("people are told");
        let title = next(&received, "update_restored");
        assert!(title.contains("shop"), "{title}");
        daemon.hear_status("1 blocked");
        live.simulator.with(|cloud| shop.renew_leaf(cloud));
        assert_eq!(live.run(&["activate"]).code, 0);
        assert!(next(&received, "update_verified").contains("shop"));
        std::fs::create_dir(live.place.path().join("certroll.d")).unwrap();
        live.place.file("certroll.d/wrong.toml", "[rollout]\nconcurrency = 0\n");
        daemon.signal("HUP");
        next(&received, "reload_failed");
        assert_eq!(daemon.stop(), Some(0));
        for line in daemon.log() {
            assert!(!line.contains(&url), "the channel's URL was logged: {line}");
        }
    });
}
