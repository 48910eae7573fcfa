//! Journals of every format that was ever written stay readable.

use std::path::{Path, PathBuf};

use certroll_core::ports::{Recorded, RolloutJournal};
use certroll_core::rollout::Rollout;

use super::samples::{Course, Story, approved, at, released, service};
use super::{Written, events, open, read, write};

fn fixture(format: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/format-{format}.db"))
}

/// Some months of two services.
fn months() -> Vec<Written> {
    let mut all = events(Story::new("shop", 0, 1, 2).events(Course::Verified));
    all.extend(events(Story::new("shop", 10_000, 2, 3).events(Course::Restored)));
    all.push(Written::Decision(released("shop", 20_000)));
    all.extend(events(Story::new("shop", 30_000, 2, 4).events(Course::Verified)));
    all.extend(events(Story::new("api", 40_000, 1, 2).events(Course::Stuck)));
    all
}

/// Since the last time that retention dropped something.
fn today() -> Vec<Written> {
    let mut all = events(Story::new("shop", 60_000, 4, 5).events(Course::Restored));
    all.extend(events(Story::new("web", 70_000, 1, 2).events(Course::Unfinished)));
    all.push(Written::Decision(approved("shop", 80_000, "5e1f")));
    all
}

/// The newest format is written by this version. Set `CERTROLL_UPDATE=1` to make its fixture, once.
async fn make(path: &Path) {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    write(&journal, &months()).await;
    journal.retain(at(35_000), at(50_000)).await.unwrap();
    write(&journal, &today()).await;
    drop(journal);
    std::fs::copy(directory.path().join("journal.db"), path).unwrap();
}

/// A rollout in a word: its name and how it ended.
fn in_a_word(events: &[Recorded]) -> String {
    let rollout = Rollout::fold(events.iter().map(|record| (record.at, &record.event))).unwrap();
    let ending = rollout.ending().map_or("without an ending", |ending| ending.word());
    format!("{} {ending}, {} events", rollout.id(), events.len())
}

#[tokio::test]
async fn format_1() {
    if std::env::var_os("CERTROLL_UPDATE").is_some() {
        make(&fixture(1)).await;
    }
    let directory = tempfile::tempdir().unwrap();
    std::fs::copy(fixture(1), directory.path().join("journal.db")).unwrap();
    let reader = read(directory.path());
    let verified = reader.verify().await.unwrap();
    assert_eq!((verified.entries, verified.rollouts, verified.dropped), (40, 4, 22));
    assert_eq!((verified.first, verified.last), (Some(at(30_000)), Some(at(80_000))));
    let in_words =
        |rollouts: Vec<Vec<Recorded>>| rollouts.iter().map(|events| in_a_word(events)).collect::<Vec<_>>();
    assert_eq!(
        in_words(reader.history(None, usize::MAX).await.unwrap()),
        [
            "20260301T212640000Z-web-129b15 without an ending, 5 events",
            "20260301T184000000Z-shop-b20cbf restored, 13 events",
            "20260301T130640000Z-api-d7c8bb stuck, 12 events",
            "20260301T102000000Z-shop-b20cbf verified, 8 events",
        ]
    );
    assert_eq!(
        in_words(reader.unfinished().await.unwrap()),
        ["20260301T212640000Z-web-129b15 without an ending, 5 events"]
    );
    // Every word of an event, as it was written then.
    let latest = reader.history(Some(&service("shop")), 1).await.unwrap();
    assert_eq!(latest, [Story::new("shop", 60_000, 4, 5).events(Course::Restored)]);
    let standings = reader.standings().await.unwrap();
    let shop = standings.of(&service("shop"));
    let quarantine: Vec<String> = shop.quarantine.iter().map(|set| set.rollout.to_string()).collect();
    assert_eq!(quarantine, ["20260301T184000000Z-shop-b20cbf"]);
    assert_eq!(shop.approved.unwrap().as_str(), "5e1f");
    assert!(standings.of(&service("api")).stuck.is_some());
    assert_eq!(standings.of(&service("web")).unfinished, Some(Story::new("web", 70_000, 1, 2).id()));
    // This version goes on with it.
    let journal = open(directory.path());
    write(&journal, &events(Story::new("shop", 90_000, 4, 6).events(Course::Verified))).await;
    assert_eq!(journal.verify().await.unwrap().entries, 48);
    assert!(journal.standings().await.unwrap().of(&service("shop")).quarantine.is_empty());
}
