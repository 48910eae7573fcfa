//! The table of entries. Whatever is read is checked: each body against its digest, each entry against the one before it.

use std::path::Path;

use certroll_core::id::CloudServiceId;
use certroll_core::ports::{JournalError, Recorded};
use certroll_core::standing::Standings;
use rusqlite::{Connection, OptionalExtension, Params, Statement, params};

use crate::entry::{Content, Draft, Drops, Entry, Mark, key};
use crate::fault;

/// The entries as one transaction sees them.
#[derive(Clone, Copy)]
pub(crate) struct Table<'c> {
    connection: &'c Connection,
    path: &'c Path,
}

impl<'c> Table<'c> {
    pub(crate) fn new(connection: &'c Connection, path: &'c Path) -> Self {
        Self { connection, path }
    }

    pub(crate) fn corrupt(&self, what: impl std::fmt::Display) -> JournalError {
        fault::corrupt(self.path, what)
    }

    fn reading(&self, error: &rusqlite::Error) -> JournalError {
        fault::sqlite(self.path, "reading the journal", error)
    }

    fn writing(&self, error: &rusqlite::Error) -> JournalError {
        fault::sqlite(self.path, "writing the journal", error)
    }

    pub(crate) fn prepare(&self, sql: &str) -> Result<Statement<'c>, JournalError> {
        self.connection.prepare(sql).map_err(|error| self.reading(&error))
    }

    /// The numbers that a query gives.
    pub(crate) fn numbers(&self, sql: &str, parameters: impl Params) -> Result<Vec<i64>, JournalError> {
        let mut statement = self.prepare(sql)?;
        let rows = statement.query_map(parameters, |row| row.get(0)).and_then(Iterator::collect);
        rows.map_err(|error| self.reading(&error))
    }

    fn one<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        read: impl FnOnce(&rusqlite::Row<'_>) -> Result<T, rusqlite::Error>,
    ) -> Result<Option<T>, JournalError> {
        self.connection.query_row(sql, parameters, read).optional().map_err(|error| self.reading(&error))
    }

    fn mark(&self, name: &str) -> Result<Mark, JournalError> {
        let sql = "SELECT seq, chain FROM marks WHERE name = ?1";
        let mark = self.one(sql, [name], |row| Ok(Mark { seq: row.get(0)?, chain: row.get(1)? }))?;
        mark.ok_or_else(|| self.corrupt(format!("the mark `{name}` is missing")))
    }

    /// What was removed up to.
    pub(crate) fn base(&self) -> Result<Mark, JournalError> {
        self.mark("base")
    }

    /// What was written last, as it was noted with that entry.
    pub(crate) fn noted_head(&self) -> Result<Mark, JournalError> {
        self.mark("head")
    }

    /// What was written last. It must be what was noted: a tail that is cut off would be written over.
    pub(crate) fn head(&self) -> Result<Mark, JournalError> {
        let sql = "SELECT seq, chain FROM entries ORDER BY seq DESC LIMIT 1";
        let last = self.one(sql, [], |row| Ok(Mark { seq: row.get(0)?, chain: row.get(1)? }))?;
        let (noted, last) = (self.noted_head()?, last.map_or_else(|| self.base(), Ok)?);
        if noted == last {
            Ok(noted)
        } else {
            Err(self.corrupt(format!("its last entry is {}; expected entry {}", last.seq, noted.seq)))
        }
    }

    /// The entries with what must be known to check them.
    pub(crate) fn entries(&self) -> Result<Entries<'c>, JournalError> {
        let columns = Entry::COLUMNS;
        let statement = self.prepare(&format!(
            "SELECT {columns}, p.chain FROM entries e LEFT JOIN entries p ON p.seq = e.seq - 1 WHERE e.seq = ?1"
        ))?;
        let mut entries = Entries { table: *self, statement, base: self.base()?, drops: Drops::default() };
        for seq in self.numbers("SELECT seq FROM entries WHERE kind = 'dropped' ORDER BY seq", [])? {
            if let Some(Content::Dropped(drops)) = entries.content(seq)? {
                entries.drops.rollouts.extend(drops.rollouts);
                entries.drops.decisions.extend(drops.decisions);
                entries.drops.base = drops.base;
            }
        }
        Ok(entries)
    }

    /// Shows the entries one after the other as they lie in the table, unchecked and without any index.
    pub(crate) fn each(&self, which: &str, mut show: impl FnMut(Entry)) -> Result<(), JournalError> {
        let columns = Entry::COLUMNS;
        let mut statement =
            self.prepare(&format!("SELECT {columns} FROM entries e NOT INDEXED {which} ORDER BY e.seq"))?;
        let mut rows = statement.query([]).map_err(|error| self.reading(&error))?;
        while let Some(row) = rows.next().map_err(|error| self.reading(&error))? {
            show(Entry::of(row).map_err(|error| self.reading(&error))?);
        }
        Ok(())
    }

    /// What SQLite finds wrong with the file; it stops at a hundred places.
    pub(crate) fn integrity(&self) -> Result<Vec<String>, JournalError> {
        let mut statement = self.prepare("PRAGMA integrity_check(100)")?;
        let found: Result<Vec<String>, _> =
            statement.query_map([], |row| row.get(0)).and_then(Iterator::collect);
        let mut found = found.map_err(|error| self.reading(&error))?;
        found.retain(|line| line != "ok");
        Ok(found.into_iter().map(|line| format!("`{}`: {line}", self.path.display())).collect())
    }

    /// The last entry of a rollout, unchecked: to compare with.
    pub(crate) fn last_of_rollout(&self, rollout: &str) -> Result<Option<Entry>, JournalError> {
        let sql = format!(
            "SELECT {} FROM entries e WHERE e.rollout = ?1 ORDER BY e.seq DESC LIMIT 1",
            Entry::COLUMNS
        );
        self.one(&sql, [rollout], Entry::of)
    }

    /// The last decision on a service, unchecked: to compare with.
    pub(crate) fn last_decision(&self, service: &str) -> Result<Option<Entry>, JournalError> {
        let sql = format!(
            "SELECT {} FROM entries e WHERE e.service = ?1 AND e.kind = 'decision' ORDER BY e.seq DESC LIMIT 1",
            Entry::COLUMNS
        );
        self.one(&sql, [service], Entry::of)
    }

    /// Writes an entry behind the last one.
    pub(crate) fn insert(&self, draft: &Draft) -> Result<Mark, JournalError> {
        let previous = self.head()?;
        let mark = Mark { seq: previous.seq + 1, chain: draft.chain(&previous) };
        let Draft { at, kind, rollout, service, word, body, digest } = draft;
        self.execute(
            "INSERT INTO entries VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![mark.seq, at, kind.word(), rollout, service, word, body, digest, mark.chain],
        )?;
        self.note("head", &mark)?;
        Ok(mark)
    }

    /// Moves a mark.
    pub(crate) fn note(&self, name: &str, mark: &Mark) -> Result<(), JournalError> {
        let sql = "UPDATE marks SET seq = ?2, chain = ?3 WHERE name = ?1";
        match self.execute(sql, params![name, mark.seq, mark.chain])? {
            1 => Ok(()),
            _ => Err(self.corrupt(format!("the mark `{name}` is missing"))),
        }
    }

    pub(crate) fn execute(&self, sql: &str, parameters: impl Params) -> Result<usize, JournalError> {
        self.connection.execute(sql, parameters).map_err(|error| self.writing(&error))
    }

    /// The rollouts without an ending, by the entries that opened them.
    pub(crate) fn unfinished(&self) -> Result<Vec<i64>, JournalError> {
        self.numbers(
            "SELECT o.seq FROM entries o WHERE o.kind = 'event' AND o.word = 'opened' AND NOT EXISTS \
             (SELECT 1 FROM entries e WHERE e.rollout = o.rollout AND e.word = 'ended') ORDER BY o.seq",
            [],
        )
    }

    /// The entries that opened rollouts, of one service or of all, the latest first.
    pub(crate) fn openings(&self, service: Option<&CloudServiceId>) -> Result<Vec<i64>, JournalError> {
        match service {
            None => self.numbers(
                "SELECT seq FROM entries WHERE kind = 'event' AND word = 'opened' ORDER BY seq DESC",
                [],
            ),
            Some(service) => self.numbers(
                "SELECT seq FROM entries WHERE service = ?1 AND word = 'opened' ORDER BY seq DESC",
                [key(service)],
            ),
        }
    }

    /// The place of an entry in the chain.
    pub(crate) fn mark_of(&self, seq: i64) -> Result<Mark, JournalError> {
        let sql = "SELECT chain FROM entries WHERE seq = ?1";
        let chain = self.one(sql, [seq], |row| row.get(0))?;
        chain.map(|chain| Mark { seq, chain }).ok_or_else(|| self.corrupt(format!("entry {seq} is missing")))
    }

    /// Openings, endings and decisions that have their bodies, without these.
    pub(crate) fn outlines(&self) -> Result<Vec<Outline>, JournalError> {
        let mut statement = self.prepare(
            "SELECT seq, at, rollout, service, word FROM entries WHERE body IS NOT NULL \
             AND (kind = 'decision' OR (kind = 'event' AND word IN ('opened', 'ended'))) ORDER BY seq",
        )?;
        let outline = |row: &rusqlite::Row<'_>| {
            let (rollout, service) = (row.get(2)?, row.get(3)?);
            Ok(Outline { seq: row.get(0)?, at: row.get(1)?, rollout, service, word: row.get(4)? })
        };
        let found = statement.query_map([], outline).and_then(Iterator::collect);
        found.map_err(|error| self.reading(&error))
    }

    /// What all entries amount to. Only openings, endings and decisions matter to it; only they are read.
    pub(crate) fn standings(&self) -> Result<Standings, JournalError> {
        let mut seqs =
            self.numbers("SELECT seq FROM entries WHERE kind = 'event' AND word IN ('opened', 'ended')", [])?;
        seqs.extend(self.numbers("SELECT seq FROM entries WHERE kind = 'decision'", [])?);
        seqs.sort_unstable();
        let mut entries = self.entries()?;
        let mut standings = Standings::default();
        for seq in seqs {
            match entries.content(seq)? {
                Some(Content::Event(record)) => standings.record(&record),
                Some(Content::Decision(decided)) => standings.decide(&decided),
                Some(Content::Dropped(_)) | None => {}
            }
        }
        Ok(standings)
    }
}

/// An entry without its body.
#[derive(Debug)]
pub(crate) struct Outline {
    pub(crate) seq: i64,
    pub(crate) at: String,
    pub(crate) rollout: Option<String>,
    pub(crate) service: Option<String>,
    pub(crate) word: String,
}

/// Reads single entries, each checked.
pub(crate) struct Entries<'c> {
    table: Table<'c>,
    statement: Statement<'c>,
    base: Mark,
    pub(crate) drops: Drops,
}

impl Entries<'_> {
    /// What an entry says; nothing where retention dropped that.
    pub(crate) fn content(&mut self, seq: i64) -> Result<Option<Content>, JournalError> {
        let entry = self.entry(seq)?;
        let content = entry.content().map_err(|what| self.table.corrupt(format!("{entry}: {what}")))?;
        if content.is_none() && !entry.is_dropped(&self.drops) {
            return Err(self
                .table
                .corrupt(format!("{entry}: its body is missing, and nothing tells that it was dropped")));
        }
        Ok(content)
    }

    fn entry(&mut self, seq: i64) -> Result<Entry, JournalError> {
        let base = self.base;
        let found = self
            .statement
            .query_row([seq], |row| Ok((Entry::of(row)?, row.get::<_, Option<[u8; 32]>>(9)?)))
            .optional()
            .map_err(|error| self.table.reading(&error))?;
        let Some((entry, before)) = found else {
            return Err(self.table.corrupt(format!("entry {seq} is missing")));
        };
        let previous = match before {
            Some(chain) => Mark { seq: seq - 1, chain },
            None => base,
        };
        if entry.follows(&previous) {
            Ok(entry)
        } else {
            Err(self.table.corrupt(format!("{entry}: {NOT_AS_WRITTEN}")))
        }
    }

    /// The events of a rollout; none where it is not known or was dropped.
    pub(crate) fn rollout(&mut self, rollout: &str) -> Result<Vec<Recorded>, JournalError> {
        let sql = "SELECT seq FROM entries WHERE rollout = ?1 ORDER BY seq";
        let mut records = Vec::new();
        for seq in self.table.numbers(sql, [rollout])? {
            if let Some(Content::Event(record)) = self.content(seq)? {
                records.push(*record);
            }
        }
        Ok(records)
    }

    /// The events of the rollout that an entry opened; none where it was dropped.
    pub(crate) fn opened_by(&mut self, seq: i64) -> Result<Vec<Recorded>, JournalError> {
        match self.content(seq)? {
            Some(Content::Event(record)) => self.rollout(record.rollout.as_str()),
            _ => Ok(Vec::new()),
        }
    }
}

/// Of an entry whose hash is not that of its columns after those of the entry before it.
pub(crate) const NOT_AS_WRITTEN: &str =
    "it is not what was written there, or does not follow the entry before it";
