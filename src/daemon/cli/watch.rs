//! What a person sees of running rollouts: a line for each event with the time since the start, and on a terminal what
//! is waited for.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use certroll_core::id::RolloutId;
use certroll_core::ports::{Progress, Recorded, RolloutObserver};
use certroll_core::rollout::{Ending, Event, Found, OperationOutcome, Phase, Rollout};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;

use super::elapsed::{elapsed, moment};
use super::terminal::{Terminal, printable};

/// Writes to standard error, or wherever the caller says.
pub struct Watch {
    terminal: Terminal,
    bars: MultiProgress,
    rollouts: Mutex<HashMap<RolloutId, Watched>>,
    write: Box<dyn Fn(&str) + Send + Sync>,
}

struct Watched {
    name: String,
    opened: Timestamp,
    bar: ProgressBar,
    last: String,
    phase: Phase,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl Watch {
    /// Lines go to `write`; what is waited for is drawn on standard error if `live`.
    pub fn new(terminal: Terminal, live: bool, write: Box<dyn Fn(&str) + Send + Sync>) -> Self {
        let target = if live { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { terminal, bars: MultiProgress::with_draw_target(target), rollouts: Mutex::default(), write }
    }

    fn watched(&self, service: &str, opened: Timestamp, phase: Phase) -> Watched {
        let bar = self.bars.add(ProgressBar::new_spinner());
        bar.set_style(
            ProgressStyle::with_template("{spinner} {elapsed:>5}  {wide_msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner()),
        );
        bar.enable_steady_tick(Duration::from_millis(120));
        Watched { name: service.to_owned(), opened, bar, last: String::new(), phase }
    }

    fn line(&self, watched: &Watched, at: Timestamp, event: &Event) {
        let since = Duration::try_from(at.duration_since(watched.opened)).unwrap_or_default();
        let text = coloured(event, printable(&said(event, watched.phase)), &self.terminal);
        let line = format!("{:>7}  {}  {text}\n", elapsed(since), printable(&watched.name));
        self.bars.suspend(|| (self.write)(&line));
    }
}

impl RolloutObserver for Watch {
    fn resumed(&self, rollout: &Rollout) {
        if rollout.ending().is_some() {
            return;
        }
        let mut rollouts = self.rollouts.lock().unwrap_or_else(PoisonError::into_inner);
        let watched = self.watched(rollout.update().service.name(), rollout.opened(), rollout.phase());
        let text = format!(
            "goes on with the rollout that was begun at {} and was {}",
            moment(rollout.opened()),
            rollout.stage().word()
        );
        let line = format!("{:>7}  {}  {}\n", "", printable(&watched.name), printable(&text));
        self.bars.suspend(|| (self.write)(&line));
        rollouts.insert(rollout.id().clone(), watched);
    }

    fn recorded(&self, record: &Recorded) {
        let mut rollouts = self.rollouts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Event::Opened { update, .. } = &record.event {
            let watched = self.watched(update.service.name(), record.at, Phase::Forward);
            rollouts.insert(record.rollout.clone(), watched);
        }
        let Some(watched) = rollouts.get_mut(&record.rollout) else { return };
        if let Event::Ended { .. } = record.event {
            watched.bar.finish_and_clear();
        }
        if let Event::TurnedBack { .. } = record.event {
            watched.phase = Phase::Back;
        }
        watched.last.clear();
        self.line(watched, record.at, &record.event);
    }

    fn waiting(&self, rollout: &RolloutId, progress: &Progress) {
        let mut rollouts = self.rollouts.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(watched) = rollouts.get_mut(rollout) else { return };
        let text = progress.to_string();
        if watched.last == text {
            return;
        }
        watched.bar.set_message(printable(&format!("{}: {text}", watched.name)));
        watched.last = text;
    }
}

/// What happened, in plain words.
pub(crate) fn said(event: &Event, phase: Phase) -> String {
    match event {
        Event::Opened { update, .. } => {
            format!(
                "begins to change {} of the cscfg and {}",
                counted(update.certificates.len(), "certificate"),
                counted(update.secrets.len(), "secret")
            )
        }
        Event::Captured { started, .. } => {
            format!("keeps the present state to return to; started: {}", counted(started.len(), "instance"))
        }
        Event::Looked { found } => match found {
            Found::Unchanged => match phase {
                Phase::Forward => "the service is still what the plan expects".to_owned(),
                Phase::Back => "the service is still what the update made it".to_owned(),
            },
            Found::Wanted => "the service has the wanted state".to_owned(),
            Found::WantedFailed => {
                "the service has the wanted state, and its last operation failed".to_owned()
            }
            Found::WantedBusy => "the service has the wanted state, and an operation runs".to_owned(),
            Found::Busy { state } => format!("another operation runs ({state}); waiting for it"),
            Found::Other { differences } => {
                format!("the service is not as expected: {}", differences.join("; "))
            }
        },
        Event::PutStarted { phase: Phase::Forward } => "sends the update".to_owned(),
        Event::PutStarted { phase: Phase::Back } => "sends the old state".to_owned(),
        Event::PutAccepted { .. } => "Azure accepted it and works on it".to_owned(),
        Event::PutRefused { message } => format!("the service refused it: {message}"),
        Event::PutDeferred { message, wait_seconds } => {
            format!("not taken now, again in {wait_seconds} s: {message}")
        }
        Event::PutAmbiguous { message } => format!("no clear answer, so the service is looked at: {message}"),
        Event::WalkStarted { domain } => format!("walks to update domain {domain}"),
        Event::DomainDone { domain, .. } => format!("update domain {domain} is done"),
        Event::OperationEnded { outcome } => match outcome {
            OperationOutcome::Succeeded => "Azure reports success".to_owned(),
            OperationOutcome::Failed { failure } => format!("Azure reports a failure: {failure}"),
            OperationOutcome::TooLong { waited_for } => format!("the operation took too long: {waited_for}"),
        },
        Event::Examined { evidence } => {
            let connections: usize = evidence.probes.iter().map(|probe| probe.presented.len()).sum();
            let instances = counted(evidence.instances.len(), "instance");
            if connections == 0 {
                format!("looked at {instances}; no endpoint is probed")
            } else {
                format!("looked at {instances} and made {}", counted(connections, "TLS connection"))
            }
        }
        Event::TurnedBack { cause } => format!("turns back: {cause}"),
        Event::Ended { ending } => match ending {
            Ending::Verified => "verified: the service has the wanted certificates".to_owned(),
            // Why was said when it turned back.
            Ending::Restored { .. } => "restored: the service has the old certificates again".to_owned(),
            Ending::Stuck { cause } | Ending::Abandoned { cause } => format!("{}: {cause}", ending.word()),
        },
    }
}

/// A number of things.
fn counted(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// The word that matters most, with colour where there is any.
fn coloured(event: &Event, text: String, terminal: &Terminal) -> String {
    match event {
        Event::Ended { ending } => {
            let word = ending.word();
            let shown = if ending.cause().is_none() { terminal.good(word) } else { terminal.bad(word) };
            text.replacen(word, &shown, 1)
        }
        Event::TurnedBack { .. } => text.replacen("turns back", &terminal.notable("turns back"), 1),
        _ => text,
    }
}
