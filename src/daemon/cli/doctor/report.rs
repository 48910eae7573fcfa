//! The report: how each subject stands, then what is not good, the worst first.

use std::fmt::Write;

use certroll_core::doctor::{Finding, Mend, Subject, Verdict, worst};
use serde_json::{Value, json};

use super::gather::Diagnosis;
use crate::cli::table::Table;
use crate::cli::terminal::{Terminal, printable};

/// The number of the JSON form. It is raised when a member goes or changes its meaning.
const FORMAT: u32 = 1;

/// The report for people.
pub(super) fn text(diagnosis: &Diagnosis, all: bool, terminal: &Terminal) -> String {
    let findings = &diagnosis.findings;
    let mut shown = glance(findings).render(terminal);
    for verdict in Verdict::WORST_FIRST {
        if verdict == Verdict::Good && !all {
            continue;
        }
        // What is explained stands apart; what is only named stands together.
        let is_explained = matches!(verdict, Verdict::Failure | Verdict::Warning);
        for (at, group) in
            folded(findings.iter().filter(|finding| finding.verdict == verdict)).iter().enumerate()
        {
            if is_explained || at == 0 {
                shown.push('\n');
            }
            shown.push_str(&detail(group, terminal));
        }
    }
    let needs_az = findings.iter().any(|finding| {
        finding.verdict != Verdict::Good
            && matches!(&finding.mend, Some(Mend::Command(command)) if command.starts_with("az "))
    });
    if needs_az {
        // Infallible: it writes to a string.
        let _ = writeln!(shown, "\nonce, before the az commands: {}", diagnosis.az.select_cloud());
    }
    let good = findings.iter().filter(|finding| finding.verdict == Verdict::Good).count();
    let _ = writeln!(shown, "\n{good} of {} checks are good{}", findings.len(), others(findings));
    shown
}

fn count(findings: &[&Finding], verdict: Verdict) -> usize {
    findings.iter().filter(|finding| finding.verdict == verdict).count()
}

fn plural(verdict: Verdict, count: usize) -> String {
    let ending = match verdict {
        Verdict::Good | Verdict::NotChecked => "",
        Verdict::Notice | Verdict::Warning | Verdict::Failure => {
            if count == 1 {
                ""
            } else {
                "s"
            }
        }
    };
    format!("{count} {}{ending}", verdict.word())
}

fn others(findings: &[Finding]) -> String {
    let all: Vec<&Finding> = findings.iter().collect();
    let mut said = String::new();
    for verdict in Verdict::WORST_FIRST.into_iter().filter(|verdict| *verdict != Verdict::Good) {
        match count(&all, verdict) {
            0 => {}
            number => said.push_str(&format!(", {}", plural(verdict, number))),
        }
    }
    said
}

/// How each subject stands.
fn glance(findings: &[Finding]) -> Table {
    let mut table = Table::new(["SUBJECT", "STANDS", "CHECKS"]).never_cut("SUBJECT");
    for of_subject in findings.chunk_by(|one, other| one.subject == other.subject) {
        let all: Vec<&Finding> = of_subject.iter().collect();
        let counts = Verdict::WORST_FIRST.into_iter().filter_map(|verdict| match count(&all, verdict) {
            0 => None,
            number => Some(plural(verdict, number)),
        });
        let (subject, stands) = (of_subject[0].subject.to_string(), worst(of_subject).word().to_owned());
        table.row([subject, stands, counts.collect::<Vec<_>>().join(", ")]);
    }
    table
}

/// Findings that say the same of the same subject, together.
fn folded<'a>(findings: impl Iterator<Item = &'a Finding>) -> Vec<Vec<&'a Finding>> {
    let mut groups: Vec<Vec<&Finding>> = Vec::new();
    for finding in findings {
        let same = |group: &&mut Vec<&Finding>| {
            let first = group[0];
            first.subject == finding.subject && first.what == finding.what && first.mend == finding.mend
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(finding),
            None => groups.push(vec![finding]),
        }
    }
    groups
}

/// What goes on stands under what it goes on with, behind `why:` and `mend:`.
const HANG: usize = 6;

fn detail(group: &[&Finding], terminal: &Terminal) -> String {
    let first = group[0];
    let word = first.verdict.word();
    let word = match first.verdict {
        Verdict::Failure => terminal.bad(word),
        Verdict::NotChecked | Verdict::Warning => terminal.notable(word),
        Verdict::Notice => word.to_owned(),
        Verdict::Good => terminal.good(word),
    };
    let mut names: Vec<&str> = group.iter().map(|finding| finding.check.name()).collect();
    names.dedup();
    // One line a finding where it is no terminal, so that it can be searched; a command everywhere, so that it is copied.
    let line = |text: &str| printable(text).replace('\n', " ");
    let subject = line(&first.subject.to_string());
    let mut shown = format!("{word}: {subject}: {}: {}\n", names.join(", "), line(&first.what));
    if matches!(first.verdict, Verdict::Failure | Verdict::Warning) {
        let _ = writeln!(shown, "  why:  {}", first.why());
    }
    shown = terminal.wrapped(&shown, HANG);
    if first.verdict != Verdict::Good {
        match &first.mend {
            Some(Mend::Command(command)) => {
                let _ = writeln!(shown, "  mend: {}", line(command));
            }
            Some(Mend::Words(words)) => {
                shown.push_str(&terminal.wrapped(&format!("  mend: {}\n", line(words)), HANG));
            }
            None => {}
        }
    }
    shown
}

/// The report for programs.
pub(super) fn json(diagnosis: &Diagnosis) -> Value {
    let findings: Vec<Value> = diagnosis
        .findings
        .iter()
        .map(|finding| {
            json!({
                "check": finding.check,
                "subject": subject(&finding.subject),
                "verdict": finding.verdict,
                "what": finding.what,
                "why": finding.why(),
                "mend": finding.mend,
            })
        })
        .collect();
    json!({
        "format": FORMAT,
        "at": diagnosis.at,
        "cloud": diagnosis.cloud,
        "before_az": diagnosis.az.select_cloud(),
        "worst": worst(&diagnosis.findings),
        "findings": findings,
    })
}

fn subject(subject: &Subject) -> Value {
    match subject {
        Subject::Identity => json!({ "kind": "identity" }),
        Subject::Vault(vault) => json!({ "kind": "vault", "vault": vault.as_str() }),
        Subject::Service(service) => json!({ "kind": "service", "service": service.to_string() }),
        Subject::Webhook => json!({ "kind": "webhook" }),
        Subject::Machine => json!({ "kind": "machine" }),
    }
}
