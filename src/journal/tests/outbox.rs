//! Notices that wait for delivery, and what channels were told.

use std::path::Path;
use std::time::Duration;

use certroll_core::notice::{Notice, NoticeKind, Severity, Subject};
use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;

use super::samples::at;
use crate::{Delivery, OutboxStore, Pushed, Route};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn notice(key: &str, at: Timestamp) -> Notice {
    graded(key, at, Severity::Warning)
}

fn graded(key: &str, at: Timestamp, severity: Severity) -> Notice {
    Notice {
        kind: NoticeKind::Blocked,
        severity,
        subject: Subject::Journal,
        at,
        title: format!("title of {key}"),
        text: "text".to_owned(),
        facts: Vec::new(),
        key: key.to_owned(),
    }
}

fn to(channels: &[&str]) -> Vec<Route> {
    channels.iter().map(|channel| Route { channel: (*channel).to_owned(), silent_for: DAY }).collect()
}

fn open(directory: &Path) -> OutboxStore {
    OutboxStore::open(directory).unwrap()
}

async fn keys(outbox: &OutboxStore, channel: &str, now: Timestamp) -> Vec<String> {
    outbox.due(channel, now, 100).await.unwrap().into_iter().map(|due| due.notice.key).collect()
}

async fn only(outbox: &OutboxStore, channel: &str, now: Timestamp) -> Delivery {
    let mut due = outbox.due(channel, now, 100).await.unwrap();
    assert_eq!(due.len(), 1, "{due:#?}");
    due.remove(0)
}

#[tokio::test]
async fn each_channel_is_told_whatever_becomes_of_the_others_and_of_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let told = notice("a", at(0));
    let outbox = open(directory.path());
    let pushed = outbox.push(&told, to(&["mail", "chat"])).await.unwrap();
    assert_eq!(pushed.queued, ["mail", "chat"]);
    let mail = only(&outbox, "mail", at(0)).await;
    assert_eq!((&mail.notice, mail.attempts, mail.since), (&told, 0, at(0)));
    outbox.delivered(&mail).await.unwrap();
    // Not closed: what a killed process leaves.
    std::mem::forget(outbox);
    let outbox = open(directory.path());
    assert_eq!(keys(&outbox, "mail", at(0)).await, [""; 0]);
    let chat = only(&outbox, "chat", at(0)).await;
    assert_eq!(chat.notice, told);
    outbox.delivered(&chat).await.unwrap();
    let left: i64 = outbox
        .with_connection(|connection| {
            connection.query_row("SELECT count(*) FROM notices", [], |row| row.get(0))
        })
        .unwrap();
    assert_eq!(left, 0, "what everybody was told needs no room");
}

#[tokio::test]
async fn a_delivery_that_failed_is_due_later_and_others_go_before_it() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(directory.path());
    assert_eq!(outbox.next_due("mail").await.unwrap(), None);
    outbox.push(&notice("a", at(0)), to(&["mail"])).await.unwrap();
    outbox.failed(&only(&outbox, "mail", at(0)).await, at(60)).await.unwrap();
    assert_eq!(outbox.next_due("mail").await.unwrap(), Some(at(60)));
    outbox.push(&notice("b", at(10)), to(&["mail"])).await.unwrap();
    assert_eq!(keys(&outbox, "mail", at(59)).await, ["b"]);
    assert_eq!(keys(&outbox, "mail", at(60)).await, ["b", "a"]);
    assert_eq!(outbox.due("mail", at(60), 1).await.unwrap().len(), 1);
    let again = outbox.due("mail", at(60), 2).await.unwrap().remove(1);
    assert_eq!((again.attempts, again.since), (1, at(0)));
}

#[tokio::test]
async fn repetitions_are_silenced_for_each_channel_by_itself() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(directory.path());
    let hours = |hours: i64| at(0) + SignedDuration::from_hours(hours);
    let routes = || {
        vec![
            Route { channel: "mail".to_owned(), silent_for: DAY },
            Route { channel: "chat".to_owned(), silent_for: Duration::from_secs(60 * 60) },
            Route { channel: "all".to_owned(), silent_for: Duration::ZERO },
        ]
    };
    // When, what, and who hears it.
    let table: [(i64, &str, &[&str]); 7] = [
        (0, "a", &["mail", "chat", "all"]),
        (0, "b", &["mail", "chat", "all"]),
        (0, "a", &["all"]),
        (1, "a", &["chat", "all"]),
        (23, "a", &["chat", "all"]),
        (24, "a", &["mail", "chat", "all"]),
        // A clock that was set back silences nobody.
        (2, "a", &["mail", "chat", "all"]),
    ];
    for (row, (when, key, heard)) in table.into_iter().enumerate() {
        let pushed = outbox.push(&notice(key, hours(when)), routes()).await.unwrap();
        assert_eq!(pushed.queued, heard, "row {row}");
        assert_eq!(pushed.queued.len() + pushed.silenced.len(), 3);
    }
    assert_eq!(outbox.last_told("mail", "a").await.unwrap(), Some(hours(2)));
    assert_eq!(outbox.last_told("mail", "c").await.unwrap(), None);
}

#[tokio::test]
async fn who_could_not_be_told_is_told_the_next_time() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(directory.path());
    outbox.push(&notice("a", at(0)), to(&["mail"])).await.unwrap();
    outbox.given_up(&only(&outbox, "mail", at(0)).await).await.unwrap();
    assert_eq!(outbox.next_due("mail").await.unwrap(), None);
    assert_eq!(outbox.push(&notice("a", at(1)), to(&["mail"])).await.unwrap().queued, ["mail"]);
}

#[tokio::test]
async fn what_is_for_information_makes_room_first() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = OutboxStore::with_limit(directory.path(), 3).unwrap();
    use Severity::{Critical, Info, Warning};
    let all =
        [("w1", Warning), ("i1", Info), ("c1", Critical), ("i2", Info), ("w2", Warning), ("c2", Critical)];
    let mut dropped = 0;
    for (n, (key, severity)) in all.into_iter().enumerate() {
        let notice = graded(key, at(n as i64), severity);
        dropped += outbox.push(&notice, to(&["mail", "chat"])).await.unwrap().dropped;
    }
    assert_eq!(dropped, 3);
    assert_eq!(keys(&outbox, "mail", at(100)).await, ["c1", "w2", "c2"]);
    assert_eq!(keys(&outbox, "chat", at(100)).await, ["c1", "w2", "c2"]);
}

#[tokio::test]
async fn a_channel_that_is_no_more_keeps_nothing_waiting() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(directory.path());
    outbox.push(&notice("a", at(0)), to(&["mail", "chat"])).await.unwrap();
    assert_eq!(outbox.keep_channels(vec!["mail".to_owned()]).await.unwrap(), 1);
    assert_eq!(keys(&outbox, "chat", at(0)).await, [""; 0]);
    assert_eq!(keys(&outbox, "mail", at(0)).await, ["a"]);
    assert_eq!(outbox.last_told("chat", "a").await.unwrap(), None);
}

#[tokio::test]
async fn what_was_remembered_is_recalled() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(directory.path());
    assert_eq!(outbox.recall("watch").await.unwrap(), None);
    outbox.remember("watch", "1".to_owned()).await.unwrap();
    outbox.remember("watch", "2".to_owned()).await.unwrap();
    drop(outbox);
    assert_eq!(open(directory.path()).recall("watch").await.unwrap().as_deref(), Some("2"));
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(directory.path());
    outbox.push(&notice("a", at(0)), to(&["mail"])).await.unwrap();
    for name in ["outbox.db", "outbox.db-wal", "outbox.db-shm"] {
        let mode = std::fs::metadata(directory.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn one_that_is_damaged_or_of_another_format_is_begun_anew_and_says_so() {
    let plant = |directory: &Path, sql: &str| {
        Connection::open(directory.join("outbox.db")).unwrap().execute_batch(sql).unwrap();
    };
    for damage in ["text", "format", "schema"] {
        let directory = tempfile::tempdir().unwrap();
        let outbox = open(directory.path());
        assert_eq!(outbox.lost(), None);
        outbox.push(&notice("a", at(0)), to(&["mail"])).await.unwrap();
        drop(outbox);
        match damage {
            "text" => std::fs::write(
                directory.path().join("outbox.db"),
                "no database, but longer than a header".repeat(200),
            )
            .unwrap(),
            "format" => plant(directory.path(), "PRAGMA user_version = 2"),
            _ => plant(directory.path(), "ALTER TABLE told ADD COLUMN more TEXT"),
        }
        let outbox = open(directory.path());
        assert!(outbox.lost().is_some(), "{damage}");
        assert_eq!(keys(&outbox, "mail", at(0)).await, [""; 0]);
        let pushed = outbox.push(&notice("a", at(0)), to(&["mail"])).await.unwrap();
        assert_eq!(pushed, Pushed { queued: vec!["mail".to_owned()], ..Pushed::default() });
    }
}

#[tokio::test]
async fn a_notice_that_cannot_be_read_holds_up_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(directory.path());
    outbox.push(&notice("a", at(0)), to(&["mail"])).await.unwrap();
    outbox.with_connection(|connection| connection.execute("UPDATE notices SET body = '{}'", []).unwrap());
    outbox.push(&notice("b", at(0)), to(&["mail"])).await.unwrap();
    assert_eq!(keys(&outbox, "mail", at(0)).await, ["b"]);
}
