//! The durable journal, tried on real files.

mod crash;
mod damage;
mod format;
mod opening;
mod outbox;
mod retention;
mod samples;
mod telling;
mod versions;

use std::path::Path;

use certroll_core::ports::{Recorded, RolloutJournal};
use certroll_core::standing::Decided;

use crate::{DurableJournal, JournalReader, Writer};

/// Who writes in these tests.
fn who() -> Writer {
    Writer {
        program: "certroll".to_owned(),
        pid: std::process::id(),
        host: "build-7".to_owned(),
        since: samples::at(0),
    }
}

fn open(directory: &Path) -> DurableJournal {
    DurableJournal::open(directory, &who()).unwrap()
}

fn read(directory: &Path) -> JournalReader {
    DurableJournal::read(directory).unwrap()
}

/// What is written in one go.
#[derive(Clone, Debug)]
enum Written {
    Event(Recorded),
    Decision(Decided),
}

async fn write(journal: &impl RolloutJournal, all: &[Written]) {
    for one in all {
        match one {
            Written::Event(record) => journal.append(record).await.unwrap(),
            Written::Decision(decided) => journal.decide(decided).await.unwrap(),
        }
    }
}

fn events(records: Vec<Recorded>) -> Vec<Written> {
    records.into_iter().map(Written::Event).collect()
}

/// Everything that a journal tells through its port, as text to compare.
async fn told(journal: &impl RolloutJournal) -> String {
    let mut text = String::new();
    for (what, rollouts) in [
        ("unfinished", journal.unfinished().await.unwrap()),
        ("history", journal.history(None, usize::MAX).await.unwrap()),
        ("one", journal.history(Some(&samples::service("SHOP")), 1).await.unwrap()),
    ] {
        text += &format!("{what} {}\n", serde_json::to_string(&rollouts).unwrap());
    }
    let standings = journal.standings().await.unwrap();
    for (service, standing) in standings.all() {
        text += &format!("{service} {standing:?}\n");
    }
    text
}
