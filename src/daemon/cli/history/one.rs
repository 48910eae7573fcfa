//! One rollout in full.

use std::collections::BTreeMap;
use std::fmt::Write;

use certroll_core::id::Thumbprint;
use certroll_core::ports::Recorded;
use certroll_core::rollout::{Event, Phase};
use certroll_core::target::cloud_service::InstanceState;
use certroll_core::verify::Evidence;
use serde_json::{Value, json};

use super::super::elapsed::moment;
use super::super::watch::said;
use super::{by, ending, name, opened, report, summary_json, took};
use crate::cli::terminal::{Terminal, printable};

/// For people: what it was to do, what happened, and what was seen at last.
pub(super) fn text(rollout: &[Recorded], terminal: &Terminal) -> String {
    let Some((at, update)) = opened(rollout) else {
        return format!("{} begins without the event `opened`: its record is damaged\n", name(rollout));
    };
    let mut shown = format!("{}\n", terminal.heading(&printable(&name(rollout))));
    let mut line = |label: &str, text: &str| {
        let _ = writeln!(shown, "  {label:<9} {}", printable(text));
    };
    line("service", &update.service.to_string());
    line("opened", &format!("{} by {}", moment(at), by(rollout)));
    if let Some(Event::Opened { undoes: Some(undone), .. }) = rollout.first().map(|first| &first.event) {
        line("puts back", &undone.to_string());
    }
    let last = rollout.last().map_or(at, |last| last.at);
    match ending(rollout) {
        Some(ending) => {
            line("ending", &format!("{} after {}", ending.word(), took(at, last)));
            if let Some(cause) = ending.cause() {
                line("because", &cause.to_string());
            }
        }
        None => line("ending", "none yet; `certroll apply` goes on with it"),
    }
    let _ = writeln!(shown, "\n{}", terminal.heading("Plan"));
    shown.push_str(&report::update_text(update, at, terminal));
    let _ = writeln!(shown, "\n{}", terminal.heading("Events"));
    let mut phase = Phase::Forward;
    for record in rollout {
        if matches!(record.event, Event::TurnedBack { .. }) {
            phase = Phase::Back;
        }
        let said = said(&record.event, phase);
        let _ = writeln!(shown, "  {:>7}  {}", took(at, record.at), printable(&said));
    }
    for (number, evidence) in evidence(rollout).enumerate() {
        let title = if number == 0 { "Evidence" } else { "Evidence after the way back" };
        let _ = writeln!(shown, "\n{}", terminal.heading(title));
        seen(evidence, &mut shown);
    }
    shown
}

fn evidence(rollout: &[Recorded]) -> impl Iterator<Item = &Evidence> {
    rollout.iter().filter_map(|record| match &record.event {
        Event::Examined { evidence } => Some(evidence.as_ref()),
        _ => None,
    })
}

/// What was seen: instances by their states, endpoints by what they presented.
fn seen(evidence: &Evidence, shown: &mut String) {
    let mut states: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for instance in &evidence.instances {
        let state = match &instance.state {
            InstanceState::Started => "started".to_owned(),
            InstanceState::Other(word) => word.clone(),
            InstanceState::Unknown => "in an unknown state".to_owned(),
        };
        states.entry(state).or_default().push(&instance.name);
    }
    for (state, names) in states {
        let _ = writeln!(shown, "  {} {}", printable(&names.join(", ")), printable(&state));
    }
    for probe in &evidence.probes {
        let _ = writeln!(shown, "  {}", printable(&probe.probe.endpoint.to_string()));
        let mut outcomes: BTreeMap<(&str, String), usize> = BTreeMap::new();
        for one in &probe.presented {
            let outcome = match &one.outcome {
                Ok(chain) => chain.first().map_or_else(|| "nothing".to_owned(), Thumbprint::to_string),
                Err(reason) => reason.clone(),
            };
            *outcomes.entry((&one.address, outcome)).or_default() += 1;
        }
        for ((address, outcome), count) in outcomes {
            let times = if count == 1 { String::new() } else { format!(" ({count} times)") };
            let _ = writeln!(shown, "    {} presented {}{times}", printable(address), printable(&outcome));
        }
    }
}

/// For scripts: the summary, the plan and every event, without what may hold secrets.
pub(super) fn json(rollout: &[Recorded]) -> Option<Value> {
    let mut shown = summary_json(rollout)?;
    let (_, update) = opened(rollout)?;
    let events: Vec<Value> =
        rollout.iter().map(|record| json!({ "at": record.at, "event": event_json(&record.event) })).collect();
    let members = shown.as_object_mut()?;
    members.insert("plan".to_owned(), report::update_json(update));
    members.insert("events".to_owned(), events.into());
    Some(shown)
}

/// An event without cscfg and without the resource: their settings may be secrets.
fn event_json(event: &Event) -> Value {
    let word = event.word();
    match event {
        // The plan stands beside the events.
        Event::Opened { .. } => json!({ "event": word }),
        Event::Captured { started, .. } => json!({ "event": word, "started": started }),
        Event::Examined { evidence } => {
            json!({ "event": word, "instances": evidence.instances, "probes": evidence.probes })
        }
        Event::Ended { ending } => {
            json!({ "event": word, "ending": ending.word(), "why": ending.cause().map(ToString::to_string) })
        }
        Event::TurnedBack { cause } => json!({ "event": word, "why": cause.to_string() }),
        Event::Looked { .. }
        | Event::PutStarted { .. }
        | Event::PutAccepted { .. }
        | Event::PutRefused { .. }
        | Event::PutDeferred { .. }
        | Event::PutAmbiguous { .. }
        | Event::WalkStarted { .. }
        | Event::DomainDone { .. }
        | Event::OperationEnded { .. } => {
            let mut value = serde_json::to_value(event).unwrap_or_default();
            if let Some(members) = value.as_object_mut() {
                members.insert("event".to_owned(), word.into());
            }
            value
        }
    }
}
