//! What retention drops, and that nothing follows from it.

use std::cell::Cell;
use std::collections::BTreeSet;

use certroll_core::id::RolloutId;
use certroll_core::ports::RolloutJournal;
use certroll_core::rollout::Initiator;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::samples::{Course, Story, approved, at, released, service};
use super::{Written, events, open, told, write};
use crate::DurableJournal;
use crate::memory::MemoryJournal;

fn names(rollouts: &[RolloutId]) -> BTreeSet<&str> {
    rollouts.iter().map(RolloutId::as_str).collect()
}

async fn history(journal: &impl RolloutJournal) -> Vec<String> {
    let rollouts = journal.history(None, usize::MAX).await.unwrap();
    rollouts.iter().map(|events| events[0].rollout.as_str().to_owned()).collect()
}

#[tokio::test]
async fn the_old_goes_and_the_latest_stays() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let story = |begins, from, to, course| {
        let mut story = Story::new("shop", begins, from, to);
        story.size = 200_000;
        (story.id(), events(story.events(course)))
    };
    let (first, one) = story(0, 1, 2, Course::Verified);
    let (second, two) = story(1000, 2, 3, Course::Verified);
    let (third, three) = story(2000, 3, 4, Course::Abandoned);
    for written in [&one, &two, &three] {
        write(&journal, written).await;
    }
    let file = directory.path().join("journal.db");
    // Copies the log into the file, so that its size can be compared.
    journal.with_connection(|connection| connection.execute_batch("PRAGMA wal_checkpoint").unwrap());
    let size = std::fs::metadata(&file).unwrap().len();
    assert_eq!(journal.retain(at(50), at(9000)).await.unwrap(), crate::Dropped::default());
    let dropped = journal.retain(at(8000), at(9000)).await.unwrap();
    assert_eq!(names(&dropped.rollouts), BTreeSet::from([first.as_str()]));
    assert_eq!((dropped.decisions, dropped.removed), (0, one.len()));
    // The latest, and the latest that was verified, which a person may want to undo.
    assert_eq!(history(&journal).await, [third.as_str(), second.as_str()]);
    assert_eq!(journal.rollout(&first).await.unwrap(), []);
    let verified = journal.verify().await.unwrap();
    assert_eq!((verified.rollouts, verified.dropped), (2, one.len() as u64));
    assert_eq!(verified.entries, (two.len() + three.len() + 1) as u64);
    // Opened has two cscfg texts, captured one, examined one.
    let freed = size - std::fs::metadata(&file).unwrap().len();
    assert!(freed > 750_000, "{freed} of {size} bytes were given back");
    // Nothing of what was dropped is left in the file.
    let text = std::fs::read(&file).unwrap();
    let needle = b"https://shop-kv.vault.azure.cn/secrets/shop-tls/00000000000000000000000000000001";
    assert!(!text.windows(needle.len()).any(|window| window == needle));
}

#[tokio::test]
async fn space_is_given_back_many_pages_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let mut story = Story::new("shop", 0, 1, 2);
    story.size = 200_000;
    write(&journal, &events(story.events(Course::Verified))).await;
    journal.with_connection(|connection| {
        connection.execute("UPDATE entries SET body = NULL", []).unwrap();
        let free = connection.pragma_query_value(None, "freelist_count", |row| row.get::<_, i64>(0));
        assert!(free.unwrap() > 150);
        // Each call waits for the disk once: a page a call would take seconds.
        assert!(!crate::retention::give_back(connection).unwrap());
        let free = connection.pragma_query_value(None, "freelist_count", |row| row.get::<_, i64>(0));
        assert_eq!(free.unwrap(), 0);
    });
}

#[tokio::test]
async fn what_is_needed_stays_however_old() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let open_one = Story::new("web", 0, 1, 2);
    let stuck = Story::new("api", 0, 1, 2);
    let quarantined = Story::new("shop", 0, 1, 2);
    write(&journal, &events(open_one.events(Course::Unfinished))).await;
    write(&journal, &events(stuck.events(Course::Stuck))).await;
    write(&journal, &events(quarantined.events(Course::Restored))).await;
    for n in 1..4 {
        // Nothing of these supersedes the set in quarantine.
        write(&journal, &events(Story::new("shop", 1000 * n, 1, 2).events(Course::Abandoned))).await;
    }
    let before = told(&journal).await;
    let dropped = journal.retain(at(9000), at(9000)).await.unwrap();
    let gone = [1, 2].map(|n| Story::new("shop", 1000 * n, 1, 2).id());
    assert_eq!(names(&dropped.rollouts), names(&gone));
    let kept = history(&journal).await;
    for story in [open_one, stuck, quarantined] {
        assert!(kept.contains(&story.id().as_str().to_owned()), "{kept:?}");
    }
    assert_ne!(told(&journal).await, before);
    journal.verify().await.unwrap();
}

#[tokio::test]
async fn a_rollout_that_took_something_back_stays_with_what_it_took_back() {
    // A person led the same versions to their end: the service is not stuck any more, and the set stays in quarantine
    // since nothing superseded it. So the old rollout is needed, and without the newer one it would read as stuck.
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    write(&journal, &events(Story::new("shop", 0, 1, 2).events(Course::Stuck))).await;
    let mut mended = Story::new("shop", 1000, 1, 2);
    mended.by = Initiator::Person;
    write(&journal, &events(mended.events(Course::Verified))).await;
    write(&journal, &events(Story::new("shop", 2000, 1, 2).events(Course::Verified))).await;
    let standing = async |journal: &DurableJournal| journal.standings().await.unwrap().of(&service("shop"));
    let before = standing(&journal).await;
    assert!(before.stuck.is_none() && before.quarantine.len() == 1, "{before:?}");
    assert_eq!(journal.retain(at(9000), at(9000)).await.unwrap(), crate::Dropped::default());
    assert!(history(&journal).await.contains(&mended.id().as_str().to_owned()));
    drop(journal);
    assert_eq!(standing(&open(directory.path())).await, before);
}

/// One thing that happens to one of two services.
#[derive(Clone, Debug)]
enum Step {
    Rollout { service: usize, hour: i64, from: u32, to: u32, course: Course, person: bool, undo: bool },
    Release { service: usize, hour: i64 },
    Approve { service: usize, hour: i64, plan: u8 },
}

const SERVICES: [&str; 2] = ["shop", "api"];

fn step() -> impl Strategy<Value = Step> {
    let course = prop_oneof![
        4 => Just(Course::Verified),
        3 => Just(Course::Restored),
        2 => Just(Course::Stuck),
        1 => Just(Course::Abandoned),
        1 => Just(Course::Unfinished),
    ];
    prop_oneof![
        6 => (0..2usize, 0..40i64, 1..4u32, 1..4u32, course, any::<bool>(), any::<bool>()).prop_map(
            |(service, hour, from, to, course, person, undo)| {
                Step::Rollout { service, hour, from, to, course, person, undo }
            }
        ),
        1 => (0..2usize, 0..40i64).prop_map(|(service, hour)| Step::Release { service, hour }),
        1 => (0..2usize, 0..40i64, 0..3u8).prop_map(|(service, hour, plan)| Step::Approve { service, hour, plan }),
    ]
}

/// What a step writes. Hours come in any order, as from a clock that was set; the second makes names unique.
fn written(n: usize, step: &Step) -> Vec<Written> {
    let seconds = |hour: &i64| hour * 3600 + n as i64;
    match step {
        Step::Rollout { service, hour, from, to, course, person, undo } => {
            let mut story = Story::new(SERVICES[*service], seconds(hour), *from, *to);
            story.by = if *person { Initiator::Person } else { Initiator::Unattended };
            story.undoes = undo.then(|| story.id());
            events(story.events(*course))
        }
        Step::Release { service, hour } => {
            vec![Written::Decision(released(SERVICES[*service], seconds(hour)))]
        }
        Step::Approve { service, hour, plan } => {
            vec![Written::Decision(approved(SERVICES[*service], seconds(hour), &plan.to_string()))]
        }
    }
}

/// All that follows from a journal, and what is still to be done.
async fn follows(journal: &impl RolloutJournal) -> String {
    let standings = journal.standings().await.unwrap();
    let services = SERVICES.map(|name| standings.of(&service(name)));
    let unfinished = journal.unfinished().await.unwrap();
    format!("{services:?} {:?} {}", standings.needed(), serde_json::to_string(&unfinished).unwrap())
}

#[test]
fn nothing_follows_from_what_is_dropped() {
    let strategy = (
        proptest::collection::vec(step(), 1..12),
        proptest::collection::vec(step(), 0..4),
        0..45i64,
        0..45i64,
    );
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut runner = TestRunner::new(Config { cases: 40, failure_persistence: None, ..Config::default() });
    let dropped_something = Cell::new(0);
    let outcome = runner.run(&strategy, |(before, after, first, second)| {
        if runtime.block_on(drops_nothing_that_matters(&before, &after, first, second)) {
            dropped_something.set(dropped_something.get() + 1);
        }
        Ok(())
    });
    outcome.unwrap();
    assert!(dropped_something.get() > 10, "{dropped_something:?}");
}

/// Writes, drops, drops again, writes on, with a journal beside it that drops nothing. Whether anything was dropped.
async fn drops_nothing_that_matters(before: &[Step], after: &[Step], first: i64, second: i64) -> bool {
    let directory = tempfile::tempdir().unwrap();
    let (whole, mut journal) = (MemoryJournal::new(), open(directory.path()));
    let hasty = |journal: &DurableJournal| {
        journal.with_connection(|connection| connection.pragma_update(None, "synchronous", "off").unwrap());
    };
    hasty(&journal);
    for (n, step) in before.iter().enumerate() {
        for journal in [&whole as &dyn RolloutJournal, &journal] {
            put(journal, &written(n, step)).await;
        }
    }
    let mut dropped = 0;
    for hour in [first, second] {
        let latest = latest(&whole).await;
        let gone = journal.retain(at(hour * 3600), at(200_000)).await.unwrap();
        dropped += gone.rollouts.len() + gone.decisions;
        let needed = whole.standings().await.unwrap().needed();
        assert!(gone.rollouts.iter().all(|id| !needed.contains(id) && !latest.contains(id)), "{gone:?}");
        journal.verify().await.unwrap();
        assert_eq!(follows(&journal).await, follows(&whole).await);
        drop(journal);
        journal = open(directory.path());
        hasty(&journal);
        assert_eq!(follows(&journal).await, follows(&whole).await);
        // What is told at all is told whole.
        for events in journal.history(None, usize::MAX).await.unwrap() {
            assert_eq!(events, whole.rollout(&events[0].rollout).await.unwrap());
        }
    }
    for (n, step) in after.iter().enumerate() {
        for journal in [&whole as &dyn RolloutJournal, &journal] {
            put(journal, &written(1000 + n, step)).await;
        }
        assert_eq!(follows(&journal).await, follows(&whole).await);
    }
    journal.verify().await.unwrap();
    dropped > 0
}

async fn latest(journal: &MemoryJournal) -> BTreeSet<RolloutId> {
    let mut latest = BTreeSet::new();
    for name in SERVICES {
        let rollouts = journal.history(Some(&service(name)), 1).await.unwrap();
        latest.extend(rollouts.iter().map(|events| events[0].rollout.clone()));
    }
    latest
}

async fn put(journal: &dyn RolloutJournal, all: &[Written]) {
    for one in all {
        match one {
            Written::Event(record) => journal.append(record).await.unwrap(),
            Written::Decision(decided) => journal.decide(decided).await.unwrap(),
        }
    }
}
