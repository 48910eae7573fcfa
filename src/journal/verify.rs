//! Checking the whole record: that nothing was changed, removed or put in since it was written, as far as a chain of
//! hashes can tell. Whoever may write the file can compute the chain too.

use std::collections::HashMap;
use std::fmt;

use certroll_core::ports::{JournalError, Recorded};
use certroll_core::rollout::{FoldError, Rollout};
use jiff::Timestamp;

use crate::entry::{Content, Drops, Entry, Mark};
use crate::table::{NOT_AS_WRITTEN, Table};

/// Places that are named. A file that is damaged more than this is not mended by hand.
const PLACES: usize = 1000;

/// A record that is as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Entries that are there.
    pub entries: u64,
    /// Rollouts whose events are there.
    pub rollouts: u64,
    /// When the first of them was written.
    pub first: Option<Timestamp>,
    /// When the last of them was written.
    pub last: Option<Timestamp>,
    /// Entries that retention dropped: their bodies, or altogether.
    pub dropped: u64,
}

/// One place that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The entry, where it is one.
    pub entry: Option<i64>,
    /// The rollout, where the entry belongs to one.
    pub rollout: Option<String>,
    what: String,
}

impl Damage {
    /// Of the record as a whole.
    pub(crate) fn of(what: impl Into<String>) -> Self {
        Self { entry: None, rollout: None, what: what.into() }
    }

    fn at(entry: &Entry, what: impl fmt::Display) -> Self {
        Self { entry: Some(entry.seq), rollout: entry.rollout.clone(), what: format!("{entry}: {what}") }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// Reads everything.
pub(crate) fn verify(table: &Table<'_>) -> Result<Verified, Vec<Damage>> {
    let mut check = Check::default();
    // Indexes are followed by every other reading; here they are compared with the table and then left alone.
    match table.integrity() {
        Ok(complaints) => check.damage.extend(complaints.into_iter().map(Damage::of)),
        Err(error) => check.unreadable(&error),
    }
    if let Err(error) = check.everything(table) {
        check.unreadable(&error);
    }
    check.damage.truncate(PLACES);
    if check.damage.is_empty() { Ok(check.verified()) } else { Err(check.damage) }
}

#[derive(Default)]
struct Check {
    damage: Vec<Damage>,
    drops: Drops,
    entries: u64,
    without_body: u64,
    removed: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    rollouts: HashMap<String, Fold>,
    folded: u64,
}

/// How far the events of a rollout were read.
enum Fold {
    Open(Box<Rollout>),
    Ended,
    /// Something is wrong with it that was told; what follows from that is not told again.
    Broken,
}

impl Check {
    fn unreadable(&mut self, error: &JournalError) {
        self.damage.push(Damage::of(error.message.clone()));
    }

    fn everything(&mut self, table: &Table<'_>) -> Result<(), JournalError> {
        let (base, head) = (table.base()?, table.noted_head()?);
        table.each("WHERE e.kind = 'dropped'", |entry| {
            // What is wrong with it is told when its turn comes.
            if let Ok(Some(Content::Dropped(drops))) = entry.content() {
                self.drops.rollouts.extend(drops.rollouts);
                self.drops.decisions.extend(drops.decisions);
                self.drops.base = drops.base;
            }
        })?;
        if base.seq != self.drops.base || (base.seq == 0 && base != Mark::BEGINNING) {
            let what = format!(
                "entries up to {} are marked as dropped; expected up to {}, which the entries tell",
                base.seq, self.drops.base
            );
            self.damage.push(Damage::of(what));
        }
        self.removed = u64::try_from(base.seq).unwrap_or(0);
        let mut previous = base;
        let mut last: Option<Entry> = None;
        table.each("", |entry| {
            self.entry(&entry, &previous, last.as_ref());
            previous = entry.mark();
            last = Some(entry);
        })?;
        if previous.seq != head.seq {
            let after = last.map_or_else(|| "the beginning".to_owned(), |entry| entry.to_string());
            let what = match head.seq - previous.seq {
                1 => format!("entry {} is missing: nothing follows {after}", head.seq),
                more if more > 1 => {
                    format!(
                        "entries {} to {} are missing: nothing follows {after}",
                        previous.seq + 1,
                        head.seq
                    )
                }
                _ => format!("entry {} is noted as the last one; found {after}", head.seq),
            };
            self.damage.push(Damage { entry: Some(head.seq), rollout: None, what });
        } else if previous.chain != head.chain {
            let what = format!("entry {} is not the one that was noted as the last", head.seq);
            self.damage.push(Damage { entry: Some(head.seq), rollout: None, what });
        }
        Ok(())
    }

    /// One entry: its place, its columns, its body, and what it means for its rollout.
    fn entry(&mut self, entry: &Entry, previous: &Mark, before: Option<&Entry>) {
        self.entries += 1;
        if entry.seq == previous.seq + 1 {
            if !entry.follows(previous) {
                self.damage.push(Damage::at(entry, NOT_AS_WRITTEN));
                self.broken(entry);
            }
        } else {
            let after = before.map_or_else(|| "the beginning".to_owned(), Entry::to_string);
            let (from, to) = (previous.seq + 1, entry.seq - 1);
            let missing = if from < to {
                format!("entries {from} to {to} are missing")
            } else {
                format!("entry {from} is missing")
            };
            let what = format!("{missing}, between {after} and {entry}");
            self.damage.push(Damage { entry: Some(from), rollout: None, what });
        }
        let dropped = entry.is_dropped(&self.drops);
        match entry.content() {
            Ok(Some(_)) if dropped => {
                self.damage.push(Damage::at(entry, "its body is there, though it was dropped"));
            }
            Ok(Some(content)) => self.content(entry, content),
            Ok(None) if dropped => self.without_body += 1,
            Ok(None) => {
                let what = "its body is missing, and nothing tells that it was dropped";
                self.damage.push(Damage::at(entry, what));
                self.broken(entry);
            }
            Err(what) => {
                self.damage.push(Damage::at(entry, what));
                self.broken(entry);
            }
        }
        let at = entry.at.parse().ok();
        self.first = self.first.or(at);
        self.last = at.or(self.last);
    }

    fn content(&mut self, entry: &Entry, content: Content) {
        let Content::Event(record) = content else { return };
        let id = record.rollout.as_str().to_owned();
        let fold = match self.rollouts.remove(&id) {
            None => {
                self.folded += 1;
                begun(&record)
            }
            Some(Fold::Open(rollout)) => continued(*rollout, &record),
            Some(Fold::Ended) => Err("its rollout had ended before".to_owned()),
            Some(Fold::Broken) => Ok(Fold::Broken),
        };
        let fold = fold.unwrap_or_else(|what| {
            self.damage.push(Damage::at(entry, what));
            Fold::Broken
        });
        self.rollouts.insert(id, fold);
    }

    /// What follows of a rollout cannot be judged without this entry.
    fn broken(&mut self, entry: &Entry) {
        if let Some(rollout) = &entry.rollout
            && self.rollouts.insert(rollout.clone(), Fold::Broken).is_none()
        {
            self.folded += 1;
        }
    }

    fn verified(&self) -> Verified {
        Verified {
            entries: self.entries,
            rollouts: self.folded,
            first: self.first,
            last: self.last,
            dropped: self.removed + self.without_body,
        }
    }
}

fn begun(record: &Recorded) -> Result<Fold, String> {
    Rollout::open(record.at, &record.event).map(|rollout| Fold::Open(Box::new(rollout))).map_err(words)
}

fn continued(rollout: Rollout, record: &Recorded) -> Result<Fold, String> {
    let rollout = rollout.apply(record.at, &record.event).map_err(words)?;
    // Nothing of an ended rollout is kept but that it ended: there may be many.
    Ok(if rollout.ending().is_some() { Fold::Ended } else { Fold::Open(Box::new(rollout)) })
}

#[allow(clippy::needless_pass_by_value)] // For `map_err`.
fn words(error: FoldError) -> String {
    error.to_string()
}
