//! The table of metrics in `docs/monitoring.md` is the one that the program serves.

use std::fmt::Write;

use certroll::telemetry::metrics::METRICS;

use crate::support::written::{assert_current, repository};

const BEGIN: &str = "<!-- metrics: begin -->\n";
const END: &str = "<!-- metrics: end -->\n";

#[test]
fn the_document_has_every_metric() {
    let path = "docs/monitoring.md";
    let found = std::fs::read_to_string(repository(path)).unwrap();
    let (before, rest) = found.split_once(BEGIN).expect("a mark where the table begins");
    let (_, after) = rest.split_once(END).expect("a mark where the table ends");
    let mut table = "| metric | type | meaning |\n|---|---|---|\n".to_owned();
    for (name, kind, help) in METRICS {
        writeln!(table, "| `{name}` | {kind} | {help} |").unwrap();
    }
    assert_current(path, &format!("{before}{BEGIN}{table}{END}{after}"));
}
