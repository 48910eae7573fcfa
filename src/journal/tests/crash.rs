//! A process that is killed in the middle of its work, and a log of which the disk kept a part.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use certroll_core::ports::{JournalFault, Recorded, RolloutJournal};

use super::samples::{Course, Story, at};
use super::{open, read, who};
use crate::memory::MemoryJournal;
use crate::{DurableJournal, Writer};

/// Set in a process that is to be killed: the directory of its journal.
const CHILD: &str = "CERTROLL_JOURNAL_TEST_CHILD";
/// Repeats the instants of an earlier run.
const SEED: &str = "CERTROLL_SEED";
/// How often a process is killed. Each takes some 50 ms.
const ROUNDS: usize = 6;

/// Starts this test once more, as the process that is to be killed.
fn start(test: &str, directory: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([&format!("tests::crash::{test}"), "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn child_directory() -> Option<PathBuf> {
    std::env::var_os(CHILD).map(PathBuf::from)
}

/// Tells the parent. It panics, and so ends this process, once nobody listens.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{line}").unwrap();
    out.flush().unwrap();
}

/// What the process to be killed writes: rollouts without end, one after the other, of two services.
fn endless() -> impl Iterator<Item = (usize, Recorded)> {
    (0..).flat_map(|n: usize| {
        let name = ["shop", "api"][n % 2];
        let course = [Course::Verified, Course::Restored, Course::Abandoned][n % 3];
        let from = u32::try_from(n).unwrap();
        let records = Story::new(name, 1000 * n as i64, from, from + 1).events(course);
        records.into_iter().map(move |record| (n, record))
    })
}

/// Numbers that nobody needs to be surprised by: splitmix64.
struct Numbers(u64);

impl Numbers {
    fn new() -> Self {
        let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
        Self(std::env::var(SEED).map_or_else(|_| now(), |seed| seed.parse().unwrap()))
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

/// Starts the process, kills it at some instant, and tells how many writes it had been promised by then.
fn kill_one(test: &str, directory: &Path, numbers: &mut Numbers) -> usize {
    let mut child = start(test, directory);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let enough = numbers.below(80);
    let mut acknowledged = 0;
    let mut last = 0;
    let mut take = |line: &str| {
        if let Some(number) = line.strip_prefix("written ") {
            last = number.parse().unwrap();
            acknowledged += 1;
        }
        (acknowledged, last)
    };
    for line in lines.by_ref() {
        if take(&line.unwrap()).0 > enough {
            break;
        }
    }
    let instant = Instant::now() + Duration::from_micros(numbers.below(3000));
    while Instant::now() < instant {
        std::hint::spin_loop();
    }
    child.kill().unwrap();
    // What it said before it died counts.
    for line in lines {
        take(&line.unwrap());
    }
    child.wait().unwrap();
    last
}

#[tokio::test]
async fn a_process_that_is_killed_while_it_appends() {
    if let Some(directory) = child_directory() {
        let journal = open(&directory);
        for (n, (_, record)) in endless().enumerate() {
            journal.append(&record).await.unwrap();
            say(&format!("written {}", n + 1));
        }
    }
    let mut numbers = Numbers::new();
    for round in 0..ROUNDS {
        let place = format!("{SEED}={}, round {round}", numbers.0);
        let directory = tempfile::tempdir().unwrap();
        let acknowledged =
            kill_one("a_process_that_is_killed_while_it_appends", directory.path(), &mut numbers);
        assert!(acknowledged > 0, "{place}");
        let journal = open(directory.path());
        let verified = journal.verify().await.unwrap();
        let found: Vec<Recorded> =
            journal.history(None, usize::MAX).await.unwrap().into_iter().rev().flatten().collect();
        assert_eq!(verified.entries, found.len() as u64, "{place}");
        // One more may be there than was promised: that promise was not heard.
        assert!(
            found.len() == acknowledged || found.len() == acknowledged + 1,
            "{place}: {acknowledged} {found:?}"
        );
        let expected: Vec<Recorded> = endless().map(|(_, record)| record).take(found.len()).collect();
        assert!(found == expected, "{place}");
        // The next process goes on, and may repeat the last one.
        for (_, record) in endless().skip(found.len() - 1).take(5) {
            journal.append(&record).await.unwrap();
        }
        journal.verify().await.unwrap();
    }
}

#[tokio::test]
async fn a_process_that_is_killed_while_it_drops_what_is_old() {
    if let Some(directory) = child_directory() {
        let journal = open(&directory);
        let mut rollouts = 0;
        for (n, (rollout, record)) in endless().enumerate() {
            if rollout > rollouts {
                rollouts = rollout;
                let seconds = 1000 * rollout as i64;
                journal.retain(at(seconds - 3000), at(seconds)).await.unwrap();
            }
            journal.append(&record).await.unwrap();
            say(&format!("written {}", n + 1));
        }
    }
    let mut numbers = Numbers::new();
    for round in 0..ROUNDS {
        let place = format!("{SEED}={}, round {round}", numbers.0);
        let directory = tempfile::tempdir().unwrap();
        let test = "a_process_that_is_killed_while_it_drops_what_is_old";
        let acknowledged = kill_one(test, directory.path(), &mut numbers);
        let journal = open(directory.path());
        journal.verify().await.unwrap();
        let found = format!("{:?}", journal.standings().await.unwrap().all().collect::<Vec<_>>());
        let mut possible = Vec::new();
        for written in [acknowledged, acknowledged + 1] {
            let memory = MemoryJournal::new();
            for (_, record) in endless().take(written) {
                memory.append(&record).await.unwrap();
            }
            possible.push(format!("{:?}", memory.standings().await.unwrap().all().collect::<Vec<_>>()));
        }
        assert!(possible.contains(&found), "{place}: {found}");
    }
}

#[tokio::test]
async fn the_lock_goes_with_its_process() {
    if let Some(directory) = child_directory() {
        let journal =
            DurableJournal::open(&directory, &Writer { program: "certroll run".to_owned(), ..who() });
        say("ready");
        // Until it is killed.
        std::io::stdin().read_exact(&mut [0]).unwrap();
        drop(journal);
    }
    let directory = tempfile::tempdir().unwrap();
    let mut child = start("the_lock_goes_with_its_process", directory.path());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "ready"));
    let error = DurableJournal::open(directory.path(), &who()).unwrap_err();
    assert_eq!(error.kind, JournalFault::Held);
    let by = format!("is held by certroll run (process {} on host `build-7`) since", child.id());
    assert!(error.message.contains(&by), "{error}");
    // Reading is not held up.
    assert_eq!(read(directory.path()).verify().await.unwrap().entries, 0);
    child.kill().unwrap();
    child.wait().unwrap();
    let journal = open(directory.path());
    journal.append(&endless().next().unwrap().1).await.unwrap();
}

/// A power failure takes what was not synced: the log ends anywhere. Whatever is left is a journal, up to some entry.
#[tokio::test]
async fn a_log_that_ends_anywhere() {
    /// How far apart the ends are: more than a commit has, less than two.
    const STRIDE: usize = 15_013;
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let all: Vec<Recorded> = endless().map(|(_, record)| record).take(25).collect();
    for record in &all {
        journal.append(record).await.unwrap();
    }
    let [database, log] =
        ["journal.db", "journal.db-wal"].map(|name| std::fs::read(directory.path().join(name)).unwrap());
    let mut lengths = Vec::new();
    for end in (0..log.len()).step_by(STRIDE).chain([log.len()]) {
        let copy = tempfile::tempdir().unwrap();
        std::fs::write(copy.path().join("journal.db"), &database).unwrap();
        std::fs::write(copy.path().join("journal.db-wal"), &log[..end]).unwrap();
        let journal = open(copy.path());
        journal.verify().await.unwrap();
        let found: Vec<Recorded> =
            journal.history(None, usize::MAX).await.unwrap().into_iter().rev().flatten().collect();
        assert!(found == all[..found.len()], "{end}");
        lengths.push(found.len());
    }
    assert!(lengths.is_sorted() && lengths.first() == Some(&0) && lengths.last() == Some(&25), "{lengths:?}");
}
