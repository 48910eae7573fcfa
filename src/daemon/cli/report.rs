//! How a plan is shown: as text for people, and as JSON.

use std::fmt::Write;

use certroll_core::cscfg::{ServiceConfiguration, changes};
use certroll_core::plan::{
    CertificateChange, CertificateSummary, PlanReport, PlannedUpdate, Reason, ServiceReport, Status,
    Violation,
};
use certroll_core::policy::Mode;
use certroll_core::target::cloud_service::UpgradeMode;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::elapsed::{left_until, moment};
use super::table::Table;
use super::terminal::{Terminal, printable};

/// Version of the JSON form. Raised when a reader of the older form would misunderstand it.
const FORMAT: u32 = 1;

/// The whole report for people: a line a service, then each that is not current in full.
pub fn text(report: &PlanReport, terminal: &Terminal) -> String {
    let mut table = Table::new(["SERVICE", "STATUS", "WHAT"]);
    for service in &report.services {
        table.row([
            printable(service.service.name()),
            word(&service.status).to_owned(),
            summary(service, report.at),
        ]);
    }
    let mut shown = table.render(terminal);
    for service in &report.services {
        let details = details(service, report.at, terminal);
        if !details.is_empty() {
            let _ =
                write!(shown, "\n{}\n{details}", terminal.heading(&printable(&service.service.to_string())));
        }
    }
    shown
}

/// One update for people.
pub fn update_text(update: &PlannedUpdate, now: Timestamp, terminal: &Terminal) -> String {
    let mut shown = String::new();
    let _ = writeln!(shown, "  Certificates");
    for change in &update.certificates {
        certificate(change, now, terminal, &mut shown);
    }
    let _ = writeln!(shown, "  Service configuration (cscfg)");
    configuration(update, terminal, &mut shown);
    let _ = writeln!(shown, "  osProfile.secrets");
    for change in &update.secrets {
        if let Some(from) = &change.from {
            let _ = writeln!(shown, "    {}", terminal.bad(&printable(&format!("- {from}"))));
        }
        if let Some(to) = &change.to {
            let _ = writeln!(shown, "    {}", terminal.good(&printable(&format!("+ {to}"))));
        }
    }
    let _ = writeln!(shown, "  Blast radius");
    blast_radius(update, &mut shown);
    if !update.probes.is_empty() {
        let _ = writeln!(shown, "  Verification");
        for probe in &update.probes {
            let leaves = probe.after.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
            let _ = writeln!(shown, "    {} must present {leaves}", printable(&probe.endpoint.to_string()));
        }
        let consequence =
            if update.probe_binding { "puts the old state back" } else { "is told and changes nothing" };
        let _ = writeln!(shown, "    a probe that fails {consequence}");
    }
    for warning in &update.warnings {
        let _ = writeln!(shown, "  {} {}", terminal.notable("warning:"), printable(warning));
    }
    shown
}

/// The report as JSON. The cscfg stays out, since its settings may be secrets: what changes in it is there.
pub fn json(report: &PlanReport) -> Value {
    let mut value = serde_json::to_value(report).unwrap_or_default();
    if let Some(services) = value.get_mut("services").and_then(Value::as_array_mut) {
        for (shown, service) in services.iter_mut().zip(&report.services) {
            if let (Some(update), Some(planned)) = (shown.get_mut("update"), planned(&service.status)) {
                *update = update_json(planned);
            }
        }
    }
    let mut all = serde_json::Map::new();
    all.insert("format".to_owned(), json!(FORMAT));
    if let Value::Object(members) = value {
        all.extend(members);
    }
    Value::Object(all)
}

/// One update as JSON, without the cscfg.
pub fn update_json(update: &PlannedUpdate) -> Value {
    let mut value = serde_json::to_value(update).unwrap_or_default();
    if let Some(members) = value.as_object_mut() {
        members.remove("expected");
        members.remove("wanted");
        members.insert("configuration_changes".to_owned(), json!(line_changes(update)));
    }
    value
}

fn line_changes(update: &PlannedUpdate) -> Vec<certroll_core::cscfg::LineChange> {
    let read = |text: &str| ServiceConfiguration::parse(text).ok();
    match (read(&update.expected.configuration), read(&update.wanted.configuration)) {
        (Some(before), Some(after)) => changes(&before, &after),
        _ => Vec::new(),
    }
}

fn planned(status: &Status) -> Option<&PlannedUpdate> {
    match status {
        Status::Planned { update } | Status::Waiting { update, .. } => Some(update),
        Status::Current | Status::Blocked { .. } | Status::Unreadable { .. } => None,
    }
}

/// The answer in a word.
pub(super) fn word(status: &Status) -> &'static str {
    match status {
        Status::Current => "current",
        Status::Planned { .. } => "planned",
        Status::Waiting { .. } => "waiting",
        Status::Blocked { .. } => "blocked",
        Status::Unreadable { .. } => "unreadable",
    }
}

fn summary(service: &ServiceReport, now: Timestamp) -> String {
    match &service.status {
        Status::Current => "it has the newest versions".to_owned(),
        Status::Planned { update } => {
            let until = update.deployed_until.map_or(String::new(), |until| {
                format!("deployed until {} ({}); ", until.strftime("%F"), left_until(until, now))
            });
            let mode = match service.mode {
                Mode::Auto => "",
                Mode::Approve => "a person must approve it; ",
                Mode::Observe => "it is only observed; ",
            };
            // A narrow terminal cuts the end: what matters most stands first.
            format!("{until}{mode}renewed: {}", what(update))
        }
        Status::Waiting { until, reason, .. } => {
            until.map_or_else(|| reason.to_string(), |until| format!("until {}: {reason}", moment(until)))
        }
        Status::Blocked { violations } => {
            let mut guards: Vec<&str> = violations.iter().map(|violation| violation.guard.as_str()).collect();
            guards.sort_unstable();
            guards.dedup();
            match guards.as_slice() {
                ["quarantine"] => "this set of versions is in quarantine".to_owned(),
                ["stuck"] => "its last rollout is stuck: a person is needed".to_owned(),
                ["journal"] => "the journal cannot be read".to_owned(),
                ["plan"] => "the change cannot be made out".to_owned(),
                [guard] => format!("by guard {guard}"),
                several => format!("by guards {}", several.join(", ")),
            }
        }
        Status::Unreadable { reasons } => {
            reasons.first().map_or(String::new(), |reason| printable(&reason.message))
        }
    }
}

/// What an update renews, in a few words.
pub(super) fn what(update: &PlannedUpdate) -> String {
    let mut names: Vec<&str> = update.certificates.iter().map(|change| change.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    match names.len() {
        0 => format!("{} secrets that no certificate of the cscfg names", update.secrets.len()),
        1 => printable(names[0]),
        2..=4 => printable(&names.join(", ")),
        more => format!("{more} certificates"),
    }
}

fn details(service: &ServiceReport, now: Timestamp, terminal: &Terminal) -> String {
    let mut shown = String::new();
    match &service.status {
        Status::Current => {}
        Status::Planned { update } => shown.push_str(&update_text(update, now, terminal)),
        Status::Waiting { until, reason, update } => {
            let until = until.map_or(String::new(), |until| format!(" until {until}"));
            let _ = writeln!(shown, "  waits{until}: {reason}");
            shown.push_str(&update_text(update, now, terminal));
        }
        Status::Blocked { violations } => {
            for violation in violations {
                refusal(violation, terminal, &mut shown);
            }
        }
        Status::Unreadable { reasons } => {
            for reason in reasons {
                unreadable(reason, terminal, &mut shown);
            }
        }
    }
    for note in &service.notes {
        let _ = writeln!(shown, "  {} {}", terminal.notable("note:"), printable(note));
    }
    shown
}

/// One reason to refuse.
pub(super) fn refusal(violation: &Violation, terminal: &Terminal, shown: &mut String) {
    let by = match violation.guard.as_str() {
        "plan" | "journal" => "blocked".to_owned(),
        "quarantine" => "in quarantine".to_owned(),
        "stuck" => "stuck".to_owned(),
        guard => format!("blocked by guard `{guard}`"),
    };
    let _ = writeln!(shown, "  {} {}", terminal.bad(&format!("{by}:")), printable(&violation.subject));
    let _ = writeln!(shown, "    expected: {}", printable(&violation.expected));
    let _ = writeln!(shown, "    found:    {}", printable(&violation.found));
    let _ = writeln!(shown, "    {} {}", terminal.notable("hint:"), printable(&violation.hint));
}

fn unreadable(reason: &Reason, terminal: &Terminal, shown: &mut String) {
    let _ = writeln!(shown, "  {} {}", terminal.bad("unreadable:"), printable(&reason.message));
    if let Some(hint) = &reason.hint {
        let _ = writeln!(shown, "    {} {}", terminal.notable("hint:"), printable(hint));
    }
}

fn certificate(change: &CertificateChange, now: Timestamp, terminal: &Terminal, shown: &mut String) {
    let place = format!("    {} in role {}, from {}", change.name, change.role, change.source);
    let _ = writeln!(shown, "{}", printable(&place));
    let old = match (&change.before, change.from) {
        (Some(before), _) => one_line(before, now),
        (None, Some(from)) => format!("{from}  (it could not be read)"),
        (None, None) => "no thumbprint".to_owned(),
    };
    let _ = writeln!(shown, "      {}", terminal.bad(&printable(&format!("- {old}"))));
    let _ = writeln!(
        shown,
        "      {}",
        terminal.good(&printable(&format!("+ {}", one_line(&change.after, now))))
    );
}

fn one_line(certificate: &CertificateSummary, now: Timestamp) -> String {
    let name =
        if certificate.names.is_empty() { certificate.subject.clone() } else { certificate.names.join(", ") };
    let until = certificate.not_after;
    format!("{}  {name}, until {} ({})", certificate.thumbprint, until.strftime("%F"), left_until(until, now))
}

fn configuration(update: &PlannedUpdate, terminal: &Terminal, shown: &mut String) {
    for change in line_changes(update) {
        let _ = writeln!(shown, "    line {}", change.line);
        if !change.before.is_empty() {
            let _ =
                writeln!(shown, "    {}", terminal.bad(&printable(&format!("- {}", change.before.trim()))));
        }
        if !change.after.is_empty() {
            let _ =
                writeln!(shown, "    {}", terminal.good(&printable(&format!("+ {}", change.after.trim()))));
        }
    }
}

fn blast_radius(update: &PlannedUpdate, shown: &mut String) {
    let radius = &update.blast_radius;
    for role in &radius.roles {
        let instances = if role.instances == 1 { "instance" } else { "instances" };
        let mut line = format!("    {}: {} {instances}", role.role, role.instances);
        if !role.changes {
            line.push_str(", no certificate of its own changes");
        }
        if role.goes_down() {
            line.push_str("; it is down while its one instance is updated");
        }
        let _ = writeln!(shown, "{}", printable(&line));
    }
    let domains = radius.update_domains.map_or(String::new(), |domains| format!(" {domains}"));
    let walk = match radius.upgrade_mode {
        UpgradeMode::Auto => format!("the service walks its{domains} update domains one after the other"),
        UpgradeMode::Manual => {
            format!("certroll walks the{domains} update domains, and stops at the first that fails")
        }
        UpgradeMode::Simultaneous => "all instances are updated at once".to_owned(),
    };
    let _ = writeln!(shown, "    {walk}");
}
