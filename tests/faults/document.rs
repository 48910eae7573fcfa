//! `docs/faults.md`: the table of every step and everything that can happen to it, as people read it.

use std::fmt::Write;

use super::table::{Reading, Scenario, Upgrade, Way};
use crate::support::strikes::{Place, Strike};

const PREAMBLE: &str = "\
<!-- Written by `CERTROLL_UPDATE=1 cargo test --test all faults`. -->

# What can go wrong, and how it ends

Each step of a rollout ([rollout.md](rollout.md)), each call that it makes and each event that it writes, struck once by
everything that can happen to it. A test makes this table with the program's own engine and clients against the simulated
Azure, and compares it with this file. The rows are not a list that somebody keeps: they are the calls that a rollout makes
when nothing goes wrong, so that a new step is struck on the day it is added.

A cell says how the rollout ends and how many PUTs took effect: `verified, 1 PUT`; there and back `restored, 1 + 1 PUTs`.
Where more were sent than took effect, it says so: `verified, 1 of 2 PUTs`. Whatever the cell says, the test asserts that

- the update never takes effect twice, and no PUT is sent while an operation runs;
- *verified*, *restored* and *abandoned* are true of the simulated service and of each of its instances;
- the journal can be folded, and nothing is left without an ending;
- once it has ended, another process finds nothing to do, and resuming it makes no call.

Everything is played under both readings of what Azure's documents leave open ([unconfirmed.md](unconfirmed.md)): every
fact as documented, then every fact at its other answer. A cell in which they differ has both, the documented one first.

In the tables of the way back the new certificates are deployed and not served, so that the old ones are put back.
After each crash a new process goes on, with nothing but the journal. A row marked *again* is a call that only such a
process makes.

| what happens to a call | means |
|---|---|
";

/// What a column is called, and what it means.
fn column(strike: Strike) -> (&'static str, &'static str) {
    match strike {
        Strike::PutOff => (
            "put off",
            "429 for as long as the call is attempted, without effect. An endpoint refuses connections",
        ),
        Strike::Refused => ("refused", "400, without effect. An endpoint cannot be reached"),
        Strike::ErrorAfter => ("error after effect", "it took effect, and 500 is answered"),
        Strike::TimeOut => ("time-out", "it took effect, and the answer does not come in time"),
        Strike::NeverArrived => ("never arrived", "the connection is cut before it has any effect"),
        Strike::AnswerLost => {
            ("answer lost", "it took effect, and the connection is cut instead of an answer")
        }
        Strike::CrashBefore => {
            ("crash before writing", "it took effect, and the process ends before it writes anything")
        }
        Strike::CrashAfter => (
            "crash after writing",
            "it took effect, and the process ends right after the next event is written",
        ),
        Strike::Twice => (
            "run twice",
            "crash before writing; the next process does the step again and ends before it writes anything",
        ),
    }
}

/// The same for what can happen to a write of the journal.
fn column_of_writes(strike: Strike) -> (&'static str, &'static str) {
    match strike {
        Strike::PutOff => ("disk full", "the event cannot be written once"),
        Strike::ErrorAfter => ("error after effect", "the event is written, and an error is told"),
        Strike::CrashBefore => ("crash before", "the process ends before the event is written"),
        Strike::CrashAfter => ("crash after", "the process ends right after it"),
        Strike::Refused | Strike::TimeOut | Strike::NeverArrived | Strike::AnswerLost | Strike::Twice => {
            unreachable!("{strike:?} is not tried of the journal")
        }
    }
}

/// One table: what a way of one kind of service goes through.
pub(super) struct Table {
    upgrade: Upgrade,
    way: Way,
    rows: Vec<Row>,
}

struct Row {
    name: String,
    of_journal: bool,
    cells: Vec<(Strike, Reading, String)>,
}

/// Puts a cell where it belongs. The cells come in the order in which they are read.
pub(super) fn put(
    tables: &mut Vec<Table>,
    scenario: Scenario,
    name: &str,
    place: Place,
    strike: Strike,
    cell: String,
) {
    let Scenario { upgrade, reading, way } = scenario;
    let at = tables.iter().position(|one| one.upgrade == upgrade && one.way == way).unwrap_or_else(|| {
        tables.push(Table { upgrade, way, rows: Vec::new() });
        tables.len() - 1
    });
    let rows = &mut tables[at].rows;
    let at = rows.iter().position(|one| one.name == name).unwrap_or_else(|| {
        rows.push(Row {
            name: name.to_owned(),
            of_journal: place.asked.is_write_of_the_journal(),
            cells: Vec::new(),
        });
        rows.len() - 1
    });
    rows[at].cells.push((strike, reading, cell));
}

impl Row {
    /// One cell. A call that is made under one reading only says which.
    fn cell(&self, strike: Strike) -> String {
        let of = |reading: Reading| {
            let found = self.cells.iter().find(|(of, read, _)| (*of, *read) == (strike, reading));
            found.map(|(_, _, cell)| cell.clone())
        };
        match (of(Reading::Documented), of(Reading::Other)) {
            (Some(documented), Some(other)) if documented == other => documented,
            (Some(documented), Some(other)) => format!("{documented}; other: {other}"),
            (Some(documented), None) => format!("documented: {documented}"),
            (None, Some(other)) => format!("other: {other}"),
            (None, None) => panic!("`{}` was not struck by {strike:?}", self.name),
        }
    }
}

impl Table {
    fn written(&self, of_journal: bool, strikes: &[Strike], text: &mut String) {
        let titles = strikes.iter().map(|one| if of_journal { column_of_writes(*one) } else { column(*one) });
        let titles: Vec<&str> = titles.map(|(title, _)| title).collect();
        let first = if of_journal { "event" } else { "call" };
        let _ = writeln!(text, "| {first} | {} |\n|---{}|", titles.join(" | "), "|---".repeat(titles.len()));
        for row in self.rows.iter().filter(|row| row.of_journal == of_journal) {
            let cells: Vec<String> = strikes.iter().map(|strike| row.cell(*strike)).collect();
            let _ = writeln!(text, "| {} | {} |", row.name, cells.join(" | "));
        }
        text.push('\n');
    }
}

/// The whole document.
pub(super) fn text(tables: &[Table]) -> String {
    let mut text = PREAMBLE.to_owned();
    for strike in Strike::OF_CALLS {
        let (title, meaning) = column(strike);
        let _ = writeln!(text, "| {title} | {meaning} |");
    }
    text.push_str("\n| what happens to a write of the journal | means |\n|---|---|\n");
    for strike in Strike::OF_WRITES {
        let (title, meaning) = column_of_writes(strike);
        let _ = writeln!(text, "| {title} | {meaning} |");
    }
    for table in tables {
        let mode = match table.upgrade {
            Upgrade::Automatic => "Automatic upgrades",
            Upgrade::Manual => "`upgradeMode: Manual`",
        };
        let way = match table.way {
            Way::Forward => "to the new certificates",
            Way::Back => "back to the old ones",
        };
        let _ = writeln!(text, "\n## {mode}, {way}\n");
        table.written(false, &Strike::OF_CALLS, &mut text);
        table.written(true, &Strike::OF_WRITES, &mut text);
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}
