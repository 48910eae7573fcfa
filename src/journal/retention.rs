//! Retention: what old rollouts said is dropped, what follows from them is not.

use std::collections::{BTreeMap, BTreeSet};

use certroll_core::id::{CloudServiceId, RolloutId};
use certroll_core::ports::JournalError;
use certroll_core::rollout::{Ending, Event};
use certroll_core::standing::Standings;
use jiff::Timestamp;
use rusqlite::Connection;

use crate::entry::{Content, Draft, Drops, Mark, rollout_id};
use crate::table::{Entries, Table};

/// Pages that are given back in one transaction, so that the write-ahead log stays small: 4 MiB.
const PAGES: i64 = 1024;

/// What was dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Rollouts of which only times and words are left, if anything.
    pub rollouts: Vec<RolloutId>,
    /// Decisions.
    pub decisions: usize,
    /// Entries that are gone altogether.
    pub removed: usize,
}

/// A rollout or a decision, as far as retention needs to know it.
#[derive(Debug)]
struct Item {
    /// The entries that standings are folded from.
    seqs: Vec<i64>,
    /// Not of a decision.
    rollout: Option<String>,
    /// When it was over.
    over: Option<Timestamp>,
    may_go: bool,
}

/// Drops what may go of everything that was over before `keep_since`.
pub(crate) fn retain(
    table: &Table<'_>,
    known: &Standings,
    keep_since: Timestamp,
    now: Timestamp,
) -> Result<Dropped, JournalError> {
    let needed: BTreeSet<String> = known.needed().iter().map(|id| id.as_str().to_owned()).collect();
    let mut entries = table.entries()?;
    let mut drops = Drops::default();
    for (service, mut items) in services(table)? {
        mark(&mut items, &mut entries, &needed, keep_since)?;
        let service: CloudServiceId = service.parse().map_err(|error| table.corrupt(error))?;
        for item in dispensable(&service, items, &mut entries)? {
            match item.rollout {
                Some(rollout) => drops.rollouts.extend([rollout]),
                None => drops.decisions.extend(item.seqs),
            }
        }
    }
    if drops == Drops::default() {
        return Ok(Dropped::default());
    }
    let dropped = drops.rollouts.iter().map(|id| rollout_id(id)).collect::<Result<Vec<_>, _>>();
    let (rollouts, decisions) = (dropped.map_err(|what| table.corrupt(what))?, drops.decisions.len());
    for rollout in &drops.rollouts {
        table.execute("UPDATE entries SET body = NULL WHERE rollout = ?1", [rollout])?;
    }
    for seq in &drops.decisions {
        table.execute("UPDATE entries SET body = NULL WHERE seq = ?1", [seq])?;
    }
    let base = empty_until(table)?;
    drops.base = base.seq;
    table.insert(&Draft::drops(now, &drops)?)?;
    let removed = table.execute("DELETE FROM entries WHERE seq <= ?1", [base.seq])?;
    table.note("base", &base)?;
    Ok(Dropped { rollouts, decisions, removed })
}

/// The rollouts and decisions of each service that have their bodies, in the order of their entries.
fn services(table: &Table<'_>) -> Result<BTreeMap<String, Vec<Item>>, JournalError> {
    let mut services: BTreeMap<String, Vec<Item>> = BTreeMap::new();
    let mut places: BTreeMap<String, (String, usize)> = BTreeMap::new();
    for row in table.outlines()? {
        let at = || {
            let read: Result<Timestamp, _> = row.at.parse();
            read.map_err(|error| table.corrupt(format!("entry {}: its time: {error}", row.seq)))
        };
        match (row.word.as_str(), row.rollout, row.service) {
            ("opened", Some(rollout), Some(service)) => {
                let items = services.entry(service.clone()).or_default();
                places.insert(rollout.clone(), (service, items.len()));
                items.push(Item { seqs: vec![row.seq], rollout: Some(rollout), over: None, may_go: false });
            }
            ("ended", Some(rollout), _) => {
                if let Some((service, place)) = places.get(&rollout)
                    && let Some(item) = services.get_mut(service).and_then(|items| items.get_mut(*place))
                {
                    item.seqs.push(row.seq);
                    item.over = Some(at()?);
                }
            }
            (_, None, Some(service)) => {
                let item = Item { seqs: vec![row.seq], rollout: None, over: Some(at()?), may_go: false };
                services.entry(service).or_default().push(item);
            }
            _ => return Err(table.corrupt(format!("entry {}: its columns do not agree", row.seq))),
        }
    }
    Ok(services)
}

/// Marks what may go by itself: it was over before the time, nobody needs it, and it is neither the latest rollout of its
/// service, which history tells, nor the latest that ended verified, which a person may want to undo.
fn mark(
    items: &mut [Item],
    entries: &mut Entries<'_>,
    needed: &BTreeSet<String>,
    keep_since: Timestamp,
) -> Result<(), JournalError> {
    for item in items.iter_mut() {
        let old = item.over.is_some_and(|over| over < keep_since);
        item.may_go = old && !item.rollout.as_ref().is_some_and(|rollout| needed.contains(rollout));
    }
    let mut latest = true;
    for item in items.iter_mut().rev().filter(|item| item.rollout.is_some()) {
        let ending = match item.seqs.as_slice() {
            [_, ended] => entries.content(*ended)?,
            _ => None,
        };
        let verified = matches!(
            ending,
            Some(Content::Event(record)) if matches!(record.event, Event::Ended { ending: Ending::Verified })
        );
        if latest || verified {
            item.may_go = false;
        }
        latest = false;
        if verified {
            break;
        }
    }
    Ok(())
}

/// Of what may go, what can go without changing where the service stands: all of it, or else what lies before the first
/// that stays. A later rollout may have taken back what an older one that stays had brought about, or a decision that
/// stays may speak of one that goes. Of what lies first, nothing that stays tells: it was overtaken, or it would be needed.
fn dispensable(
    service: &CloudServiceId,
    items: Vec<Item>,
    entries: &mut Entries<'_>,
) -> Result<Vec<Item>, JournalError> {
    if items.iter().all(|item| !item.may_go) {
        return Ok(Vec::new());
    }
    let first_kept = items.iter().position(|item| !item.may_go).unwrap_or(items.len());
    let mut order: Vec<(i64, usize)> =
        items.iter().enumerate().flat_map(|(n, item)| item.seqs.iter().map(move |seq| (*seq, n))).collect();
    order.sort_unstable();
    let (mut whole, mut without_all, mut without_first) =
        (Standings::default(), Standings::default(), Standings::default());
    for (seq, n) in order {
        let content = entries.content(seq)?;
        take_in(&mut whole, content.as_ref());
        if !items[n].may_go {
            take_in(&mut without_all, content.as_ref());
        }
        if n >= first_kept {
            take_in(&mut without_first, content.as_ref());
        }
    }
    let same = |other: &Standings| other.of(service) == whole.of(service) && other.needed() == whole.needed();
    let goes = |n: usize, item: &Item| {
        if same(&without_all) { item.may_go } else { n < first_kept && same(&without_first) }
    };
    Ok(items.into_iter().enumerate().filter(|(n, item)| goes(*n, item)).map(|(_, item)| item).collect())
}

fn take_in(standings: &mut Standings, content: Option<&Content>) {
    match content {
        Some(Content::Event(record)) => standings.record(record),
        Some(Content::Decision(decided)) => standings.decide(decided),
        Some(Content::Dropped(_)) | None => {}
    }
}

/// The last entry of those at the beginning that say nothing any more. A list of what was dropped says nothing any more
/// once all before it is gone.
fn empty_until(table: &Table<'_>) -> Result<Mark, JournalError> {
    let first = table.numbers(
        "SELECT seq FROM entries WHERE body IS NOT NULL AND kind <> 'dropped' ORDER BY seq LIMIT 1",
        [],
    )?;
    let (base, head) = (table.base()?, table.head()?);
    let last_empty = first.first().map_or(head.seq, |first| first - 1);
    if last_empty <= base.seq { Ok(base) } else { table.mark_of(last_empty) }
}

/// Gives free pages back to the disk, some at a time.
pub(crate) fn give_back(connection: &Connection) -> Result<(), rusqlite::Error> {
    let free = || connection.pragma_query_value(None, "freelist_count", |row| row.get::<_, i64>(0));
    let mut left = free()?;
    while left > 0 {
        connection.execute_batch(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
        let now = free()?;
        if now >= left {
            break;
        }
        left = now;
    }
    // Without waiting for readers: then the file shrinks a little later.
    connection.execute_batch("PRAGMA wal_checkpoint(PASSIVE)")
}
