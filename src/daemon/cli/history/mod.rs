//! `certroll history`: what was done, from the journal alone.

mod one;

use std::time::Duration;

use certroll_core::id::RolloutId;
use certroll_core::ports::{Recorded, RolloutJournal};
use certroll_core::rollout::{Ending, Event, Initiator};
use certroll_journal::{JournalReader, Verified};
use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::elapsed::{elapsed, moment};
use super::exit::Exit;
use super::failure::Failure;
use super::table::Table;
use super::terminal::{Terminal, printable};
use super::{Context, output, report, select};
use crate::config::Settings;
use crate::records;
use crate::work::PlannedUpdate;

/// Version of the JSON form. Raised when a reader of the older form would misunderstand it.
const FORMAT: u32 = 1;
/// Rollouts that are searched for a service that the configuration no longer has.
const SEARCHED: usize = 10_000;

/// Show the rollouts of the journal, one of them in full, or whether the journal is whole
///
/// Reads the journal and nothing else: no network, and beside a running daemon. A rollout in full shows its plan as a diff,
/// every event, and what was seen of instances and endpoints. The service configuration itself is not shown, since its
/// settings may be secrets.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  certroll history                                 the latest rollouts
  certroll history shop                            those of one service
  certroll history 20261123T020114512Z-shop-5f2b7c        one rollout in full
  certroll history --json | jq '.rollouts[] | select(.ending == \"stuck\")'
  certroll history --verify                        every record is as it was written, and none is missing

Exit codes:
  0   shown; `--verify`: the journal is whole
  65  `--verify`: it is damaged
  66  there is no journal, or no such rollout or service
  Others as for every command: see `certroll --help`.")]
pub struct HistoryArguments {
    /// A service by name or resource id, or a rollout by its name; every service if absent
    #[arg(value_name = "SERVICE_OR_ROLLOUT", conflicts_with = "verify")]
    pub what: Option<String>,

    /// The number of rollouts that are listed
    #[arg(long, value_name = "NUMBER", default_value_t = 20, conflicts_with = "verify")]
    pub limit: usize,

    /// Check the journal: each record against its hash, the chain of all of them, and whether each rollout makes sense
    #[arg(long)]
    pub verify: bool,
}

/// Runs the command.
///
/// # Errors
/// The configuration is wrong, or the journal cannot be read, or is damaged.
pub async fn run(arguments: &HistoryArguments, context: &Context) -> Result<Exit, Failure> {
    let settings = context.settings()?;
    context.start_telemetry(&settings)?;
    let journal = records::reader(&settings.journal)?;
    if arguments.verify {
        return verify(&journal, context).await;
    }
    let Some(what) = &arguments.what else {
        let rollouts = journal.history(None, arguments.limit).await?;
        return listed(&rollouts, context);
    };
    let rollout = journal.rollout(&RolloutId::named(what)).await?;
    if rollout.is_empty() {
        let rollouts = of_service(what, arguments.limit, &settings, &journal).await?;
        return listed(&rollouts, context);
    }
    if context.json {
        let mut shown = json!({ "format": FORMAT });
        if let (Some(members), Some(Value::Object(rollout))) = (shown.as_object_mut(), one::json(&rollout)) {
            members.extend(rollout);
        }
        output::write_json(&shown)?;
    } else {
        output::write_data(&one::text(&rollout, &context.stdout))?;
    }
    Ok(Exit::Ok)
}

/// The rollouts of a service of the configuration, or of one that only the journal knows any more.
async fn of_service(
    name: &str,
    limit: usize,
    settings: &Settings,
    journal: &dyn RolloutJournal,
) -> Result<Vec<Vec<Recorded>>, Failure> {
    let unknown = match select::find(&settings.policy, name) {
        Ok(policy) => return Ok(journal.history(Some(&policy.service), limit).await?),
        Err(failure) => failure,
    };
    let all = journal.history(None, SEARCHED).await?;
    let is_named = |rollout: &Vec<Recorded>| {
        opened(rollout).is_some_and(|(_, update)| {
            update.service.name().eq_ignore_ascii_case(name)
                || update.service.to_string().eq_ignore_ascii_case(name)
        })
    };
    let found: Vec<Vec<Recorded>> =
        all.iter().filter(|rollout| is_named(rollout)).take(limit).cloned().collect();
    if !found.is_empty() {
        return Ok(found);
    }
    // Most rollouts have much of their ids in common: a service is meant before a rollout.
    let services: Vec<String> =
        all.iter().filter_map(|rollout| Some(opened(rollout)?.1.service.name().to_owned())).collect();
    let rollouts: Vec<String> = all.iter().map(|rollout| self::name(rollout)).collect();
    let nearest = select::near(name, services.iter().map(String::as_str))
        .or_else(|| select::near(name, rollouts.iter().map(String::as_str)));
    let hint = match nearest {
        Some(known) if !is_suggested(&unknown) => Some(select::did_you_mean(known)),
        _ => unknown.hint,
    };
    Err(Failure { exit: Exit::NoInput, hint, ..unknown })
}

/// Whether a name of the configuration is the one that is suggested.
fn is_suggested(failure: &Failure) -> bool {
    failure.hint.as_deref().is_some_and(|hint| hint.starts_with("did you mean"))
}

fn listed(rollouts: &[Vec<Recorded>], context: &Context) -> Result<Exit, Failure> {
    if context.json {
        let shown: Vec<Value> = rollouts.iter().filter_map(|rollout| summary_json(rollout)).collect();
        output::write_json(&json!({ "format": FORMAT, "rollouts": shown }))?;
    } else if rollouts.is_empty() {
        output::write_message("no rollout was begun yet\n");
    } else {
        output::write_data(&table(rollouts, &context.stdout))?;
    }
    Ok(Exit::Ok)
}

fn table(rollouts: &[Vec<Recorded>], terminal: &Terminal) -> String {
    let mut table =
        Table::new(["ROLLOUT", "ENDING", "TOOK", "BY", "WHAT"]).never_cut("ROLLOUT").never_cut("ENDING");
    for rollout in rollouts {
        let Some((at, update)) = opened(rollout) else { continue };
        let last = rollout.last().map_or(at, |last| last.at);
        let why = ending(rollout).and_then(Ending::cause).map(|cause| format!(": {cause}"));
        table.row([
            name(rollout),
            ending(rollout).map_or("unfinished", Ending::word).to_owned(),
            took(at, last),
            by(rollout).to_owned(),
            printable(&format!("{}{}", report::what(update), why.unwrap_or_default())),
        ]);
    }
    table.render(terminal)
}

/// One rollout in short, for scripts.
fn summary_json(rollout: &[Recorded]) -> Option<Value> {
    let (at, update) = opened(rollout)?;
    let Event::Opened { by, undoes, .. } = &rollout.first()?.event else { return None };
    let ended = rollout.last().filter(|last| matches!(last.event, Event::Ended { .. }));
    let changes = update.certificates.iter().map(|change| {
        json!({ "role": change.role, "name": change.name, "from": change.from, "to": change.to, "secret": change.secret })
    });
    Some(json!({
        "rollout": name(rollout),
        "service": update.service,
        "by": by,
        "undoes": undoes,
        "opened": at,
        "ended": ended.map(|last| last.at),
        "ending": ending(rollout).map(Ending::word),
        "why": ending(rollout).and_then(Ending::cause).map(ToString::to_string),
        "certificates": changes.collect::<Vec<_>>(),
    }))
}

async fn verify(journal: &JournalReader, context: &Context) -> Result<Exit, Failure> {
    match journal.verify().await {
        Ok(whole) => {
            if context.json {
                let (first, last) = (whole.first, whole.last);
                output::write_json(&json!({
                    "format": FORMAT, "whole": true, "entries": whole.entries, "rollouts": whole.rollouts,
                    "dropped": whole.dropped, "first": first, "last": last, "damages": [],
                }))?;
            } else {
                output::write_data(&whole_text(&whole))?;
            }
            Ok(Exit::Ok)
        }
        Err(damages) => {
            if context.json {
                let said: Vec<String> = damages.iter().map(ToString::to_string).collect();
                output::write_json(&json!({ "format": FORMAT, "whole": false, "damages": said }))?;
                return Ok(Exit::DataErr);
            }
            for damage in &damages {
                output::write_data(&format!("{}\n", printable(&damage.to_string())))?;
            }
            let places =
                if damages.len() == 1 { "one place".to_owned() } else { format!("{} places", damages.len()) };
            Err(Failure::new(Exit::DataErr, format!("the journal is damaged in {places}")).hint(
                "put back a copy, or move its directory away: what it held back is then no longer known",
            ))
        }
    }
}

/// What an undamaged journal holds.
fn whole_text(whole: &Verified) -> String {
    let Verified { entries, rollouts, first, last, dropped } = whole;
    let from_to = match (first, last) {
        (Some(first), Some(last)) => {
            format!(", written from {} to {}", moment(*first), moment(*last))
        }
        _ => String::new(),
    };
    let old = if *dropped == 0 {
        String::new()
    } else {
        format!("; {dropped} old ones were dropped as they should")
    };
    let of = if *rollouts == 1 { "1 rollout".to_owned() } else { format!("{rollouts} rollouts") };
    format!("the journal is whole: {entries} entries of {of}{from_to}{old}\n")
}

fn name(rollout: &[Recorded]) -> String {
    rollout.first().map_or_else(String::new, |first| first.rollout.to_string())
}

/// When a rollout was opened, and with which plan.
fn opened(rollout: &[Recorded]) -> Option<(Timestamp, &PlannedUpdate)> {
    match rollout.first() {
        Some(Recorded { at, event: Event::Opened { update, .. }, .. }) => Some((*at, update.as_ref())),
        _ => None,
    }
}

fn ending(rollout: &[Recorded]) -> Option<&Ending> {
    rollout.iter().rev().find_map(|record| match &record.event {
        Event::Ended { ending } => Some(ending),
        _ => None,
    })
}

/// Who decided on it.
fn by(rollout: &[Recorded]) -> &'static str {
    match rollout.first().map(|first| &first.event) {
        Some(Event::Opened { by: Initiator::Person, .. }) => "a person",
        Some(Event::Opened { by: Initiator::Unattended, .. }) => "certroll",
        _ => "",
    }
}

fn took(from: Timestamp, to: Timestamp) -> String {
    elapsed(Duration::try_from(to.duration_since(from)).unwrap_or_default())
}
