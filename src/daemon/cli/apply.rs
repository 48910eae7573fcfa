//! `certroll apply`: make the changes, once.

use std::io::{BufRead, IsTerminal, Read};
use std::path::Path;
use std::sync::Arc;

use certroll_core::id::CloudServiceId;
use certroll_core::plan::{SavedPlan, ServiceReport};
use certroll_core::policy::Mode;
use certroll_core::rollout::{Phase, Rollout};
use clap::Args;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::exit::Exit;
use super::failure::Failure;
use super::select::select;
use super::table::Table;
use super::terminal::{Terminal, printable};
use super::watch::Watch;
use super::{Context, output, plan, report};
use crate::config::Settings;
use crate::work::{Carried, Ending, Outcome, PlannedUpdate, Status, Work};

/// Largest plan that is read: hundreds of services with a cscfg of 50 kB twice.
const PLAN_LIMIT: u64 = 64 * 1024 * 1024;
/// Longest answer to a question.
const ANSWER_LIMIT: u64 = 64;

/// Make the changes of a plan, and wait until they are verified or put back
///
/// Plans anew, or takes a saved plan, shows it and asks before anything is changed. Settle times and windows do not hold a
/// person up. A change that does not work is put back. Ctrl-C ends at the next safe point and says what is left: an update
/// that was sent goes on in Azure, and nobody verifies it.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  certroll apply                  every service that has changes
  certroll apply shop             one service, by its name
  certroll apply friday.plan      a saved plan, if the services are still as it expects them
  certroll apply --yes shop       without a question, for scripts

Exit codes:
  0   everything is verified, or there was nothing to do
  65  a change was put back, or a service is blocked
  69  a service could not be read
  70  a service needs a person: it is neither on the new nor safely on the old certificates
  75  nothing was changed, or the command was interrupted
  Others as for every command: see `certroll --help`.")]
pub struct ApplyArguments {
    /// A saved plan, or a service by name or resource id; every service if absent
    #[arg(value_name = "PLAN_OR_SERVICE")]
    pub target: Option<String>,

    /// Do not ask. Needed where nobody can answer
    #[arg(long)]
    pub yes: bool,
}

/// Runs the command.
///
/// # Errors
/// The configuration is wrong, nobody said yes, or a change did not come to a good end.
pub async fn run(arguments: &ApplyArguments, context: &Context) -> Result<Exit, Failure> {
    let settings = context.settings()?;
    context.start_telemetry(&settings)?;
    let live = context.stderr.width().is_some() && !context.json;
    let watch = Watch::new(context.stderr, live, Box::new(output::write_message));
    let work = Work::new(&settings, Arc::new(watch)).map_err(|error| Failure::new(Exit::Config, error))?;
    let chosen = choose(arguments, &settings, &work, context).await?;
    if chosen.updates.is_empty() {
        return nothing_to_do(&chosen, context);
    }
    confirm(arguments, &chosen, context)?;

    let (asked, stop) = watch::channel(false);
    let interrupts = tokio::spawn(interrupts(asked));
    let carried = work.carry_out(chosen.updates, &stop).await;
    interrupts.abort();
    if context.json {
        output::write_json(&endings_json(&carried))?;
    } else {
        output::write_data(&endings_text(&carried, &context.stdout))?;
    }
    Ok(worst(carried.iter().map(|(_, carried)| exit(carried)).chain([chosen.exit])))
}

/// What is to be applied.
struct Chosen {
    updates: Vec<PlannedUpdate>,
    /// What the rest of the plan means for a script: services that are blocked or could not be read.
    exit: Exit,
}

/// A saved plan if a file of that name is there, else a new plan.
async fn choose(
    arguments: &ApplyArguments,
    settings: &Settings,
    work: &Work,
    context: &Context,
) -> Result<Chosen, Failure> {
    if let Some(path) = arguments.target.as_deref().map(Path::new).filter(|path| path.is_file()) {
        return saved(path, settings, context);
    }
    let named: Vec<String> = arguments.target.iter().cloned().collect();
    let policy = select(&settings.policy, &named)?;
    let report = plan::look(&policy, work, &context.stderr).await;
    output::write_message(&format!("{}\n", report::text(&report, &context.stderr)));
    let observed = |service: &ServiceReport| service.mode == Mode::Observe;
    if report
        .services
        .iter()
        .any(|service| observed(service) && matches!(service.status, Status::Planned { .. }))
    {
        output::write_message(
            "services with `mode = \"observe\"` are left alone; set `mode = \"approve\"` to apply by hand\n",
        );
    }
    let updates = report
        .services
        .iter()
        .filter(|service| !observed(service))
        .filter_map(|service| match &service.status {
            Status::Planned { update } => Some((**update).clone()),
            _ => None,
        })
        .collect();
    let trouble = report.services.iter().map(|service| match &service.status {
        Status::Unreadable { .. } => Exit::Unavailable,
        Status::Blocked { .. } => Exit::DataErr,
        Status::Current | Status::Planned { .. } | Status::Waiting { .. } => Exit::Ok,
    });
    Ok(Chosen { updates, exit: worst(trouble) })
}

fn saved(path: &Path, settings: &Settings, context: &Context) -> Result<Chosen, Failure> {
    let shown = path.display();
    let length = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    if length > PLAN_LIMIT {
        let error = format!("the plan `{shown}` has {length} bytes; expected at most {PLAN_LIMIT}");
        return Err(Failure::new(Exit::DataErr, error).hint("plan anew with `certroll plan --out FILE`"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::new(Exit::NoInput, format!("the plan `{shown}` cannot be read: {error}"))
    })?;
    let plan = SavedPlan::read(&text).map_err(|error| {
        Failure::new(Exit::DataErr, format!("`{shown}`: {error}"))
            .hint("plan anew with `certroll plan --out FILE`")
    })?;
    for update in &plan.updates {
        let known = settings.policy.services.iter().find(|service| service.service == update.service);
        if known.is_none_or(|service| service.mode == Mode::Observe) {
            let error = format!(
                "the plan `{shown}` is for `{}`, which this configuration does not change",
                update.service
            );
            return Err(
                Failure::new(Exit::Config, error).hint("add the service to the configuration, or plan anew")
            );
        }
        let heading = context.stderr.heading(&printable(&update.service.to_string()));
        output::write_message(&format!(
            "{heading}\n{}\n",
            report::update_text(update, context.now, &context.stderr)
        ));
    }
    Ok(Chosen { updates: plan.updates, exit: Exit::Ok })
}

fn nothing_to_do(chosen: &Chosen, context: &Context) -> Result<Exit, Failure> {
    if context.json {
        output::write_json(&endings_json(&[]))?;
    } else {
        output::write_message("nothing to apply\n");
    }
    Ok(chosen.exit)
}

/// Asks, unless `--yes` was given.
fn confirm(arguments: &ApplyArguments, chosen: &Chosen, context: &Context) -> Result<(), Failure> {
    if arguments.yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        let error = "nobody can answer whether to apply: standard input is not a terminal";
        return Err(Failure::new(Exit::Usage, error).hint("add `--yes` to apply without a question"));
    }
    let count = chosen.updates.len();
    let services =
        if count == 1 { "this change".to_owned() } else { format!("these changes of {count} services") };
    output::write_message(&format!("{} [y/N] ", context.stderr.heading(&format!("Apply {services}?"))));
    let mut answer = String::new();
    std::io::stdin().lock().take(ANSWER_LIMIT).read_line(&mut answer)?;
    if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        Ok(())
    } else {
        Err(Failure::new(Exit::TempFail, "nothing was applied, since the answer was not `y`"))
    }
}

/// The first Ctrl-C ends the rollouts at their next safe point; the second ends the process.
async fn interrupts(asked: watch::Sender<bool>) {
    if tokio::signal::ctrl_c().await.is_err() {
        return;
    }
    output::write_message("stopping at the next safe point; press Ctrl-C again to leave at once\n");
    // Nobody listens any more once every rollout has ended.
    let _ = asked.send(true);
    if tokio::signal::ctrl_c().await.is_ok() {
        output::write_message(
            "left at once: look at the service with `certroll plan` before anything else\n",
        );
        std::process::exit(Exit::TempFail as i32);
    }
}

/// What became of each update, for people.
pub fn endings_text(carried: &[(CloudServiceId, Carried)], terminal: &Terminal) -> String {
    // Nothing is cut: the reasons are what a person needs here.
    let mut table =
        Table::new(["SERVICE", "ENDING", "WHY"]).never_cut("SERVICE").never_cut("ENDING").never_cut("WHY");
    for (service, carried) in carried {
        let (ending, why) = ending(carried);
        table.row([printable(service.name()), ending.to_owned(), printable(&why)]);
    }
    table.render(terminal)
}

fn endings_json(carried: &[(CloudServiceId, Carried)]) -> Value {
    let services: Vec<Value> = carried
        .iter()
        .map(|(service, carried)| {
            let (ending, why) = ending(carried);
            let rollout = match carried {
                Carried::Begun(Outcome::Ended { rollout, .. } | Outcome::Interrupted { rollout }) => {
                    Some(rollout.id().as_str().to_owned())
                }
                _ => None,
            };
            json!({ "service": service, "rollout": rollout, "ending": ending, "why": why })
        })
        .collect();
    json!({ "format": 1, "services": services })
}

fn ending(carried: &Carried) -> (&'static str, String) {
    match carried {
        Carried::Begun(Outcome::Ended { ending, journal_lost, .. }) => {
            let mut why = ending.cause().map_or_else(String::new, ToString::to_string);
            if let Some(error) = journal_lost {
                why.push_str(&format!(" (the journal could not be written: {error})"));
            }
            (ending.word(), why)
        }
        Carried::Begun(Outcome::Interrupted { rollout }) => ("interrupted", left(rollout)),
        Carried::NotBegun(error) => ("not begun", error.to_string()),
        Carried::Locked => ("not begun", "another rollout of it is under way".to_owned()),
        Carried::HeldBack { stage } => ("held back", format!("stage {stage} did not end well")),
    }
}

/// What an interrupted rollout leaves, in words that say what to do.
fn left(rollout: &Rollout) -> String {
    let stage = rollout.stage().word();
    if !rollout.may_have_changed() {
        return format!("the rollout was {stage}: nothing was changed");
    }
    let sent = match rollout.phase() {
        Phase::Forward => "the update was sent",
        Phase::Back => "the old state was sent",
    };
    format!(
        "{sent}, and the rollout was {stage}: Azure goes on by itself, and nobody verifies it. Look with `certroll plan` once the \
         service is idle"
    )
}

fn exit(carried: &Carried) -> Exit {
    match carried {
        Carried::Begun(Outcome::Ended { ending, .. }) => match ending {
            Ending::Verified => Exit::Ok,
            Ending::Restored { .. } => Exit::DataErr,
            Ending::Stuck { .. } => Exit::Software,
            Ending::Abandoned { .. } => Exit::TempFail,
        },
        Carried::Begun(Outcome::Interrupted { .. }) | Carried::Locked | Carried::HeldBack { .. } => {
            Exit::TempFail
        }
        Carried::NotBegun(_) => Exit::IoErr,
    }
}

/// The one that most needs a person.
fn worst(exits: impl IntoIterator<Item = Exit>) -> Exit {
    const ORDER: [Exit; 5] = [Exit::Software, Exit::DataErr, Exit::IoErr, Exit::Unavailable, Exit::TempFail];
    let exits: Vec<Exit> = exits.into_iter().collect();
    ORDER.into_iter().find(|exit| exits.contains(exit)).unwrap_or(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_that_of_the_worst_ending() {
        assert_eq!(worst([]), Exit::Ok);
        assert_eq!(worst([Exit::Ok, Exit::TempFail]), Exit::TempFail);
        assert_eq!(worst([Exit::TempFail, Exit::DataErr, Exit::Ok]), Exit::DataErr);
        assert_eq!(worst([Exit::Unavailable, Exit::Software, Exit::DataErr]), Exit::Software);
    }
}
