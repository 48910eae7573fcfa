//! Whatever is changed in the file is found and named.

use std::path::{Path, PathBuf};

use certroll_core::ports::{JournalFault, RolloutJournal};
use rusqlite::{Connection, params};

use super::samples::{Course, Story, at};
use super::telling::mixed;
use super::{events, open, read, told, who, write};
use crate::{DurableJournal, Verified};

/// A closed journal of some rollouts.
async fn closed() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    write(&open(directory.path()), &mixed()).await;
    directory
}

fn file(directory: &Path) -> PathBuf {
    directory.join("journal.db")
}

/// Changes the file behind the journal's back.
fn plant(directory: &Path, sql: &str) {
    let connection = Connection::open(file(directory)).unwrap();
    connection.execute_batch(sql).unwrap();
}

/// What verification says, place by place.
async fn damage(directory: &Path) -> Vec<String> {
    match read(directory).verify().await {
        Ok(verified) => panic!("nothing was found: {verified:?}"),
        Err(damage) => damage.iter().map(ToString::to_string).collect(),
    }
}

/// What is found after a change of a fresh journal.
async fn found_after(sql: &str) -> Vec<String> {
    let directory = closed().await;
    plant(directory.path(), sql);
    damage(directory.path()).await
}

const NOT_AS_WRITTEN: &str = "it is not what was written there, or does not follow the entry before it";

#[tokio::test]
async fn a_changed_body() {
    let sql = "UPDATE entries SET body = replace(body, 'unchanged', 'wanted') WHERE seq = 3";
    assert_eq!(
        found_after(sql).await,
        [
            "entry 3 (rollout 20260301T020000000Z-shop-b20cbf, event `looked`, written at 2026-03-01T02:00:20Z): its body does not \
          have the digest it was written with"
        ]
    );
}

#[tokio::test]
async fn a_changed_column() {
    for sql in [
        "UPDATE entries SET at = '2026-03-01T02:00:21Z' WHERE seq = 3",
        "UPDATE entries SET word = 'captured' WHERE seq = 3",
        "UPDATE entries SET kind = 'decision' WHERE seq = 3",
        "UPDATE entries SET rollout = '20260301T020000000Z-chop' WHERE seq = 3",
        "UPDATE entries SET rollout = NULL WHERE seq = 3",
        "UPDATE entries SET service = '' WHERE seq = 3",
        "UPDATE entries SET digest = zeroblob(32) WHERE seq = 3",
        "UPDATE entries SET chain = zeroblob(32) WHERE seq = 3",
    ] {
        let found = found_after(sql).await;
        assert!(found[0].starts_with("entry 3 ("), "{sql}: {found:?}");
        assert!(found[0].ends_with(NOT_AS_WRITTEN), "{sql}: {found:?}");
    }
}

#[tokio::test]
async fn a_missing_entry() {
    assert_eq!(
        found_after("DELETE FROM entries WHERE seq = 3").await[0],
        "entry 3 is missing, between entry 2 (rollout 20260301T020000000Z-shop-b20cbf, event `captured`, written at \
         2026-03-01T02:00:10Z) and entry 4 (rollout 20260301T020000000Z-shop-b20cbf, event `put_started`, written at \
         2026-03-01T02:00:30Z)"
    );
    let found = found_after("DELETE FROM entries WHERE seq BETWEEN 1 AND 3").await;
    assert!(
        found[0].starts_with("entries 1 to 3 are missing, between the beginning and entry 4 ("),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_swapped_pair() {
    let found = found_after(
        "UPDATE entries SET seq = 900 WHERE seq = 4; UPDATE entries SET seq = 4 WHERE seq = 5; \
         UPDATE entries SET seq = 5 WHERE seq = 900",
    )
    .await;
    for entry in ["entry 4 (", "entry 5 ("] {
        assert!(
            found.iter().any(|line| line.starts_with(entry) && line.ends_with(NOT_AS_WRITTEN)),
            "{found:?}"
        );
    }
}

#[tokio::test]
async fn a_cut_tail() {
    let last = mixed().len();
    let found = found_after(&format!("DELETE FROM entries WHERE seq = {last}")).await;
    assert!(
        found[0].starts_with(&format!("entry {last} is missing: nothing follows entry {}", last - 1)),
        "{found:?}"
    );
    let found = found_after(&format!("DELETE FROM entries WHERE seq > {}", last - 3)).await;
    assert!(found[0].starts_with(&format!("entries {} to {last} are missing: ", last - 2)), "{found:?}");
    // A process that wants to write must not write over what was cut off.
    let directory = closed().await;
    plant(directory.path(), &format!("DELETE FROM entries WHERE seq = {last}"));
    let error = DurableJournal::open(directory.path(), &who()).unwrap_err();
    assert_eq!(error.kind, JournalFault::Corrupt);
    assert!(
        error.message.ends_with(&format!("its last entry is {}; expected entry {last}", last - 1)),
        "{error}"
    );
    assert!(error.hint.unwrap().contains("certroll history --verify"));
}

#[tokio::test]
async fn an_entry_that_was_put_in() {
    let last = mixed().len();
    let sql = format!(
        "INSERT INTO entries SELECT seq + 1, at, kind, rollout, service, word, body, digest, chain FROM entries \
         WHERE seq = {last}"
    );
    let found = found_after(&sql).await;
    assert!(
        found[0].starts_with(&format!("entry {} (", last + 1)) && found[0].ends_with(NOT_AS_WRITTEN),
        "{found:?}"
    );
    assert!(
        found[1].starts_with(&format!("entry {last} is noted as the last one; found entry")),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_changed_mark() {
    let last = mixed().len();
    assert_eq!(
        found_after("UPDATE marks SET chain = zeroblob(32) WHERE name = 'head'").await,
        [format!("entry {last} is not the one that was noted as the last")]
    );
    let found = found_after("UPDATE marks SET seq = 2 WHERE name = 'base'").await;
    assert_eq!(found[0], "entries up to 2 are marked as dropped; expected up to 0, which the entries tell");
    let found = found_after("DELETE FROM marks WHERE name = 'head'").await;
    assert!(found[0].ends_with("the mark `head` is missing"), "{found:?}");
}

#[tokio::test]
async fn a_body_that_nobody_dropped() {
    assert_eq!(
        found_after("UPDATE entries SET body = NULL WHERE seq = 1").await,
        [
            "entry 1 (rollout 20260301T020000000Z-shop-b20cbf, event `opened`, written at 2026-03-01T02:00:00Z): its body is \
          missing, and nothing tells that it was dropped"
        ]
    );
    // Nor does a rollout without an ending vanish from what is read.
    let directory = closed().await;
    let story = Story::new("api", 5000, 2, 4).id();
    plant(
        directory.path(),
        &format!("UPDATE entries SET body = NULL WHERE rollout = '{story}' AND word = 'opened'"),
    );
    let error = read(directory.path()).unfinished().await.unwrap_err();
    assert_eq!(error.kind, JournalFault::Corrupt);
    assert!(error.message.contains(&format!("(rollout {story}, event `opened`")), "{error}");
    assert_eq!(DurableJournal::open(directory.path(), &who()).unwrap_err().kind, JournalFault::Corrupt);
}

#[tokio::test]
async fn a_rollout_that_cannot_have_been() {
    // The chain is right here: it was written so, by two processes or by a fault of ours.
    let directory = tempfile::tempdir().unwrap();
    let mut records = Story::new("shop", 0, 1, 2).events(Course::Unfinished);
    records.remove(3);
    write(&open(directory.path()), &events(records)).await;
    assert_eq!(
        damage(directory.path()).await,
        [
            "entry 4 (rollout 20260301T020000000Z-shop-b20cbf, event `put_accepted`, written at 2026-03-01T02:00:40Z): the event \
          `put accepted` cannot follow here: the rollout is ready to send its update"
        ]
    );
}

#[tokio::test]
async fn what_is_damaged_is_not_told() {
    let directory = closed().await;
    plant(directory.path(), "UPDATE entries SET at = '2026-03-01T02:00:21Z' WHERE seq = 3");
    let reader = read(directory.path());
    for error in [
        reader.history(None, 99).await.unwrap_err(),
        reader.rollout(&Story::new("shop", 0, 1, 2).id()).await.unwrap_err(),
    ] {
        assert_eq!(error.kind, JournalFault::Corrupt);
        assert!(
            error.message.contains("entry 3 (rollout 20260301T020000000Z-shop-b20cbf, event `looked`"),
            "{error}"
        );
    }
    // What lies elsewhere is.
    assert_eq!(reader.unfinished().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_changed_schema() {
    // An index that lacks an entry would hide it from every question.
    let directory = closed().await;
    let connection = Connection::open(file(directory.path())).unwrap();
    connection.execute_batch("PRAGMA writable_schema = on").unwrap();
    let sql = "UPDATE sqlite_schema SET sql = replace(sql, 'WHERE rollout IS NOT NULL', 'WHERE rollout IS NULL') \
               WHERE name = 'entries_by_rollout'";
    connection.execute(sql, params![]).unwrap();
    connection.close().unwrap();
    let error = DurableJournal::read(directory.path()).unwrap_err();
    assert_eq!(error.kind, JournalFault::Corrupt);
    assert!(error.message.ends_with("its tables are not those of format 1"), "{error}");
}

#[tokio::test]
async fn any_byte_of_the_file() {
    /// How far apart the bytes are that are flipped: coprime to the sizes of everything in a page.
    const STRIDE: usize = 163;
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    // Bodies within a page, and beyond one.
    for (begins, size, course) in
        [(0, 40, Course::Verified), (500, 6000, Course::Verified), (1000, 40, Course::Unfinished)]
    {
        let mut story = Story::new("shop", begins, 1, 2);
        story.size = size;
        write(&journal, &events(story.events(course))).await;
    }
    journal.retain(at(400), at(900)).await.unwrap();
    let (expected, verified) = (told(&journal).await, journal.verify().await.unwrap());
    drop(journal);
    let whole = std::fs::read(file(directory.path())).unwrap();
    let copy = tempfile::tempdir().unwrap();
    let (mut found, mut harmless) = (0, 0);
    for place in (0..whole.len()).step_by(STRIDE) {
        let mut bytes = whole.clone();
        bytes[place] ^= 1 << (place % 8);
        for entry in std::fs::read_dir(copy.path()).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
        std::fs::write(file(copy.path()), bytes).unwrap();
        if is_as_before(copy.path(), &expected, &verified, place).await {
            harmless += 1;
        } else {
            found += 1;
        }
    }
    // The file is mostly entries, so most bytes matter.
    assert!(found > harmless, "{found} found, {harmless} harmless");
}

/// Whether a flipped byte is harmless, which must then be true of everything that is told.
async fn is_as_before(directory: &Path, expected: &str, verified: &Verified, place: usize) -> bool {
    let Ok(reader) = DurableJournal::read(directory) else { return false };
    match reader.verify().await {
        Err(_) => false,
        Ok(found) => {
            assert_eq!(found, *verified, "byte {place}");
            assert_eq!(told(&reader).await, expected, "byte {place}");
            true
        }
    }
}
