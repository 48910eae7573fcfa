//! What people read of commands that need a running daemon, or what it left.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

use super::journal::{latest, stubborn, told};
use super::snapshot;
use crate::support::daemon::Daemon;
use crate::support::documents;
use crate::support::live::{Live, shop_with_a_secret_setting};
use crate::support::program::Ran;

const OFTEN: &str = "[poll]\nevery = \"1s\"\njitter = \"0s\"\n[plan]\nsettle = \"0s\"\n";

/// A web server that takes whatever it is sent, and its address.
fn receiver() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let mut length = 0;
            let mut line = String::new();
            while reader.read_line(&mut line).unwrap_or(0) > 2 {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let _ = reader.read_exact(&mut vec![0; length]);
            let _ = reader.get_mut().write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
        }
    });
    url
}

/// What a run showed, without what differs from run to run: numbers of seconds, of plans, of processes.
fn shown(ran: &Ran) -> String {
    steadied(&told(&ran.shown()))
}

fn steadied(text: &str) -> String {
    let mut shown = String::new();
    for line in text.split_inclusive('\n') {
        let words = line.split_inclusive([' ', '\n']).map(|word| {
            let bare = word.trim_end_matches([' ', ',', ';', '\n', '.']);
            let number = bare.trim_end_matches('s');
            let is_time = bare.len() > number.len() && number.parse::<f64>().is_ok();
            let bare = bare.trim_matches(['`', ':']);
            let is_digest = matches!(bare.len(), 16 | 64) && bare.chars().all(|c| c.is_ascii_hexdigit());
            let is_process = bare.len() > 2 && bare.parse::<u32>().is_ok();
            let is_id = bare.len() == 36 && bare.matches('-').count() == 4;
            let name = match () {
                () if is_time => "[TOOK]",
                () if is_digest => "[PLAN]",
                () if is_id => "[ID]",
                () if is_process => "[N]",
                () => return word.to_owned(),
            };
            word.replacen(bare, name, 1)
        });
        shown.extend(words);
    }
    // Columns are as wide as what was replaced.
    let lines = shown.lines().map(|line| if line.contains('[') { narrow(line) } else { line.to_owned() });
    lines.map(|line| line + "\n").collect()
}

/// One space for many behind the indentation.
fn narrow(line: &str) -> String {
    let text = line.trim_start();
    let indentation = &line[..line.len() - text.len()];
    let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    format!("{indentation}{}", words.join(" "))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_ask_a_daemon() {
    let (mut cloud, mut shop) = shop_with_a_secret_setting();
    shop.renew(&mut cloud);
    let channel = "[[notify.channel]]\nname = \"ops\"\nkind = \"webhook\"\nurl_file = \"hook\"\n";
    let mut live = Live::start_with(cloud, &format!("{OFTEN}{channel}"), "mode = \"approve\"").await;
    live.place.file("hook", receiver());
    // The simulated Azure's proxy leads nowhere else.
    live.place = live.place.env("CERTROLL__HTTP__NO_PROXY", "[\"127.0.0.1\"]");
    tokio::task::block_in_place(|| {
        snapshot!("activate_nobody_answers", shown(&live.run(&["activate"])));
        snapshot!("reload_nobody_answers", shown(&live.run(&["reload"])));
        snapshot!("approve_nobody_answers", shown(&live.run(&["approve", "--yes", "shop"])));
        snapshot!("pause_nobody_answers", shown(&live.run(&["pause"])));
        snapshot!("resume_nobody_answers", shown(&live.run(&["resume"])));
        snapshot!("status_nobody_answers", shown(&live.run(&["status"])));
        snapshot!("history_no_journal", shown(&live.run(&["history"])));
        snapshot!("notify_test_taken", shown(&live.run(&["notify", "test", "ops"])));
        snapshot!("notify_test_unknown", shown(&live.run(&["notify", "test", "opps"])));

        let mut daemon = Daemon::start(&live);
        daemon.hear_status("1 waiting");
        snapshot!("run_another_runs", shown(&live.run(&["run"])));
        snapshot!("activate_done", shown(&live.run(&["activate"])));
        snapshot!("reload_done", shown(&live.run(&["reload"])));
        let other = ["approve", "--yes", "--plan", "0123456789abcdef", "shop"];
        snapshot!("approve_another_plan", shown(&live.run(&other)));
        snapshot!("pause_unknown", shown(&live.run(&["pause", "shap"])));
        snapshot!("pause_everything", shown(&live.run(&["pause", "--reason", "change freeze"])));
        snapshot!("resume_everything", shown(&live.run(&["resume"])));
        snapshot!("release_nothing_holds", shown(&live.run(&["release", "--yes", "shop"])));
        snapshot!("approve_done", shown(&live.run(&["approve", "--yes", "shop"])));
        daemon.hear_log("a rollout has ended");
        daemon.hear_status("1 current");
        assert_eq!(daemon.stop(), Some(0));
        let log: Vec<String> = daemon
            .log()
            .iter()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .map(|line| {
                format!("{:<5} {}\n", line["level"].as_str().unwrap(), line["message"].as_str().unwrap())
            })
            .collect();
        // What comes next depends on how quick the looks are.
        let first: String = log.iter().take(2).cloned().collect();
        snapshot!("run_log", first);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_journal_tells() {
    let (mut cloud, mut shop) = shop_with_a_secret_setting();
    shop.renew(&mut cloud);
    cloud.fault(stubborn());
    let live = Live::start(cloud, "").await;
    assert_eq!(live.run(&["apply", "--yes"]).code, 65);
    snapshot!("history_list", shown(&live.run(&["history"])));
    snapshot!("history_one", shown(&live.run(&["history", &latest(&live)])));
    snapshot!("history_whole", shown(&live.run(&["history", "--verify"])));
    snapshot!("history_unknown", shown(&live.run(&["history", "shpo"])));
    snapshot!("release_needs_an_answer", shown(&live.run(&["release", "shop"])));
    snapshot!("release_done", shown(&live.run(&["release", "--yes", "shop"])));
    snapshot!("release_unknown", shown(&live.run(&["release", "--yes", "shpo"])));
    snapshot!("restore_nothing_to_undo", shown(&live.run(&["restore", "--yes", "shpo"])));
    snapshot!("man_unknown", shown(&live.run(&["man", "uplod"])));
    snapshot!("completions_unknown", shown(&live.run(&["completions", "csh"])));
}

/// Every command that prints data prints them as documented: [`Place::run`](crate::support::program::Place::run) judges each
/// document. Here is one of each.
#[tokio::test(flavor = "multi_thread")]
async fn every_command_prints_one_documented_document() {
    let (mut cloud, mut shop) = shop_with_a_secret_setting();
    shop.renew(&mut cloud);
    let channel = "[[notify.channel]]\nname = \"ops\"\nkind = \"webhook\"\nurl_file = \"hook\"\n";
    let mut live = Live::start_with(cloud, &format!("{OFTEN}{channel}"), "mode = \"approve\"").await;
    live.place.file("hook", receiver());
    live.place = live.place.env("CERTROLL__HTTP__NO_PROXY", "[\"127.0.0.1\"]");
    let mut seen = std::collections::BTreeSet::new();
    let mut prints = |arguments: &[&str]| {
        let all = [arguments, &["--json"]].concat();
        let ran = live.run(&all);
        assert!(!ran.stdout.is_empty(), "{arguments:?}: {}", ran.shown());
        seen.insert(documents::part(&all).unwrap());
    };
    tokio::task::block_in_place(|| {
        let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/src/core/fixtures/pfx/null-vault.pfx");
        prints(&["check"]);
        prints(&["inspect", fixture]);
        prints(&["plan"]);
        prints(&["discover", "--no-probe"]);
        prints(&["doctor"]);
        prints(&["upload", fixture, "--to", "shop-kv/secrets/copy", "--dry-run"]);
        let mut daemon = Daemon::start(&live);
        daemon.hear_status("1 waiting");
        prints(&["notify", "test", "ops"]);
        prints(&["activate"]);
        prints(&["reload"]);
        prints(&["pause", "shop", "--reason", "change freeze"]);
        prints(&["status"]);
        prints(&["resume"]);
        prints(&["approve", "--yes", "shop"]);
        daemon.hear_log("a rollout has ended");
        daemon.hear_status("1 current");
        prints(&["status"]);
        assert_eq!(daemon.stop(), Some(0));
        prints(&["history"]);
        prints(&["history", &latest(&live)]);
        prints(&["history", "--verify"]);
        prints(&["restore", "--yes", "shop"]);
        prints(&["release", "--yes", "shop"]);
        prints(&["apply", "--yes"]);
    });
    let help = live.run(&["-h"]).stdout;
    let (_, listed) = help.split_once("Commands:\n").unwrap();
    let commands = listed.lines().take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("   "));
    for command in commands.filter_map(|line| line.split_whitespace().next()) {
        // These print no data of certroll's.
        let prints_none = ["run", "completions", "man", "help"].contains(&command);
        let is_seen = seen.iter().any(|part| part.split('_').next() == Some(command));
        assert_ne!(prints_none, is_seen, "{command}");
    }
}
