//! What the durable journal tells is what the journal in memory tells.

use certroll_core::ports::{JournalFault, RolloutJournal};

use super::samples::{Course, Story, approved, at, released};
use super::{Written, events, open, read, told, write};
use crate::memory::MemoryJournal;

/// Rollouts of two services that interleave, one interrupted, and decisions between.
pub(super) fn mixed() -> Vec<Written> {
    let mut all = events(Story::new("shop", 0, 1, 2).events(Course::Verified));
    let mut restored = events(Story::new("shop", 1000, 2, 3).events(Course::Restored));
    let mut stuck = events(Story::new("api", 1000, 1, 2).events(Course::Stuck));
    while let (Some(a), Some(b)) = (restored.first().cloned(), stuck.first().cloned()) {
        all.extend([a, b]);
        restored.remove(0);
        stuck.remove(0);
    }
    all.extend(restored);
    all.extend(stuck);
    all.push(Written::Decision(released("API", 3000)));
    all.push(Written::Decision(approved("api", 3001, "d1gest")));
    all.extend(events(Story::new("web", 4000, 7, 8).events(Course::Abandoned)));
    all.extend(events(Story::new("api", 5000, 2, 4).events(Course::Unfinished)));
    all.push(Written::Decision(approved("web", 6000, "d1gest")));
    all
}

#[tokio::test]
async fn it_tells_what_the_journal_in_memory_tells() {
    let directory = tempfile::tempdir().unwrap();
    let (memory, durable) = (MemoryJournal::new(), open(directory.path()));
    let reader = read(directory.path());
    for one in mixed() {
        write(&memory, std::slice::from_ref(&one)).await;
        write(&durable, &[one]).await;
        let expected = told(&memory).await;
        assert_eq!(told(&durable).await, expected);
        assert_eq!(told(&reader).await, expected);
    }
    let verified = durable.verify().await.unwrap();
    assert_eq!(verified.entries, mixed().len() as u64);
    assert_eq!((verified.rollouts, verified.dropped), (5, 0));
    assert_eq!((verified.first, verified.last), (Some(at(0)), Some(at(6000))));
    let expected = told(&memory).await;
    drop((durable, reader));
    let again = open(directory.path());
    assert_eq!(told(&again).await, expected);
    assert_eq!(again.verify().await.unwrap(), verified);
}
#[tokio::test]
async fn one_rollout_by_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    write(&journal, &mixed()).await;
    let story = Story::new("api", 1000, 1, 2);
    assert_eq!(journal.rollout(&story.id()).await.unwrap(), story.events(Course::Stuck));
    let unknown = Story::new("api", 1, 1, 2).id();
    assert_eq!(journal.rollout(&unknown).await.unwrap(), []);
}

#[tokio::test]
async fn what_was_written_already_is_not_written_again() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    for one in mixed() {
        let all = [one.clone(), one];
        write(&journal, &all).await;
    }
    assert_eq!(journal.verify().await.unwrap().entries, mixed().len() as u64);
    let memory = MemoryJournal::new();
    write(&memory, &mixed()).await;
    assert_eq!(told(&journal).await, told(&memory).await);
}

#[tokio::test]
async fn an_order_that_one_process_cannot_write_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let story = Story::new("shop", 0, 1, 2);
    let records = story.events(Course::Verified);
    let refused = async |record: &_, expected: &str| {
        let error = journal.append(record).await.unwrap_err();
        assert_eq!(error.kind, JournalFault::Failed);
        assert!(error.message.contains(expected), "{error}");
    };
    refused(
        &records[1],
        "`captured` cannot be written to the rollout 20260301T020000000Z-shop-b20cbf: that rollout is not known",
    )
    .await;
    write(&journal, &events(records.clone())).await;
    let mut late = records[2].clone();
    late.at = at(9999);
    refused(&late, "`looked` cannot be written").await;
    refused(&late, "it ended at 2026-03-01T02:01:10Z").await;
    let mut again = records[0].clone();
    again.at = at(9999);
    refused(&again, "it ended at").await;
    let open = Story::new("shop", 500, 2, 3).events(Course::Unfinished);
    write(&journal, &events(open.clone())).await;
    let mut twice = open[0].clone();
    twice.at = at(501);
    refused(
        &twice,
        "it is known already: entry 13 (rollout 20260301T020820000Z-shop-b20cbf, event `put_accepted`",
    )
    .await;
    let mut foreign = open[0].clone();
    foreign.rollout = story.id();
    refused(&foreign, "opens another one").await;
    assert_eq!(journal.verify().await.unwrap().entries, 13);
}

#[tokio::test]
async fn an_event_that_is_too_large_is_refused_and_harms_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let mut story = Story::new("shop", 0, 1, 2);
    story.size = crate::entry::BODY_LIMIT;
    let error = journal.append(&story.events(Course::Unfinished)[0]).await.unwrap_err();
    assert!(
        error.message.contains("the event `opened` of the rollout 20260301T020000000Z-shop-b20cbf has "),
        "{error}"
    );
    assert!(error.message.contains("expected at most 8388608"), "{error}");
    // The largest that is taken is read back, too.
    story.size = crate::entry::BODY_LIMIT / 2 - 4096;
    let records = story.events(Course::Unfinished);
    write(&journal, &events(records.clone())).await;
    assert_eq!(journal.unfinished().await.unwrap(), [records]);
}

#[tokio::test]
async fn a_reader_does_not_write() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let reader = read(directory.path());
    let records = Story::new("shop", 0, 1, 2).events(Course::Unfinished);
    assert_eq!(reader.append(&records[0]).await.unwrap_err().kind, JournalFault::ReadOnly);
    assert_eq!(reader.decide(&released("shop", 1)).await.unwrap_err().kind, JournalFault::ReadOnly);
    assert_eq!(journal.verify().await.unwrap().entries, 0);
}
