//! `certroll apply`: make the changes, once.

use std::path::Path;

use certroll_core::plan::SavedPlan;
use certroll_core::policy::Mode;
use clap::Args;

use super::confirm::confirm;
use super::endings::worst;
use super::exit::Exit;
use super::failure::Failure;
use super::leading::{Chosen, Leading, Led};
use super::select::select;
use super::terminal::printable;
use super::{Context, output, plan, report};
use crate::config::Settings;
use crate::work::{ApprovedUpdate, Initiator, Status, Work};

/// Largest plan that is read: hundreds of services with a cscfg of 50 kB twice.
const PLAN_LIMIT: u64 = 64 * 1024 * 1024;

/// Make the changes of a plan, and wait until they are verified or put back
///
/// First leads on every rollout that an earlier run left without an ending. Then plans anew, or takes a saved plan, shows
/// it and asks before anything is changed. Settle times and windows do not hold a person up. A change that does not work
/// is put back. Ctrl-C or SIGTERM ends at the next safe point: the journal has everything that the next `certroll apply`
/// needs to go on.
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
    lead(&What::Argument(arguments.target.clone()), arguments.yes, &settings, context).await.tell(context)
}

/// What is to be applied.
enum What {
    /// What the command was given.
    Argument(Option<String>),
    /// These services, by their resource ids.
    Services(Vec<String>),
}

/// Goes on from another command, which tells how it ended: plans these services of the settings, by their resource ids, and
/// applies that.
pub(super) async fn go_on(services: Vec<String>, yes: bool, settings: &Settings, context: &Context) -> Led {
    lead(&What::Services(services), yes, settings, context).await
}

async fn lead(what: &What, yes: bool, settings: &Settings, context: &Context) -> Led {
    let leading = match Leading::begin(settings, "certroll apply", context).await {
        Ok(leading) => leading,
        Err(failure) => return Led::nothing(failure),
    };
    let chosen = if leading.is_asked_to_end() {
        Ok(Chosen::default())
    } else {
        confirmed(what, yes, settings, &leading.work, context).await
    };
    leading.carry_out(chosen).await
}

/// What is to be applied, once somebody has said yes to it.
async fn confirmed(
    what: &What,
    yes: bool,
    settings: &Settings,
    work: &Work,
    context: &Context,
) -> Result<Chosen, Failure> {
    let chosen = choose(what, settings, work, context).await?;
    match chosen.updates.len() {
        0 if context.json => {}
        0 => output::write_message("nothing to apply\n"),
        1 => confirm(yes, "Apply this change?", "applied", context)?,
        count => {
            confirm(yes, &format!("Apply these changes of {count} services?"), "applied", context)?;
        }
    }
    Ok(chosen)
}

/// A saved plan if a file of that name is there, else a new plan.
async fn choose(what: &What, settings: &Settings, work: &Work, context: &Context) -> Result<Chosen, Failure> {
    let named: Vec<String> = match what {
        What::Argument(Some(name)) if Path::new(name).is_file() => {
            return saved(Path::new(name), settings, work, context).await;
        }
        What::Argument(name) => name.iter().cloned().collect(),
        What::Services(ids) => ids.clone(),
    };
    let policy = select(&settings.policy, &named)?;
    let report = plan::look(&policy, work, &context.stderr).await;
    output::write_message(&format!("{}\n", report::text(&report, &context.stderr)));
    let mut updates = Vec::new();
    let mut observed = false;
    for service in &report.services {
        match ApprovedUpdate::planned(service, Initiator::Person) {
            Some(Ok(approved)) => updates.push(approved),
            Some(Err(_)) => observed = true,
            None => {}
        }
    }
    if observed {
        output::write_message(
            "services with `mode = \"observe\"` are left alone; set `mode = \"approve\"` to apply by hand\n",
        );
    }
    let trouble = report.services.iter().map(|service| match &service.status {
        Status::Unreadable { .. } => Exit::Unavailable,
        Status::Blocked { .. } => Exit::DataErr,
        Status::Current | Status::Planned { .. } | Status::Waiting { .. } => Exit::Ok,
    });
    Ok(Chosen { updates, exit: Some(worst(trouble)) })
}

async fn saved(path: &Path, settings: &Settings, work: &Work, context: &Context) -> Result<Chosen, Failure> {
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
    let standings = work.journal().standings().await?;
    let mut updates = Vec::new();
    for update in plan.updates {
        let known = settings.policy.services.iter().find(|service| service.service == update.service);
        let Some(known) = known.filter(|service| service.mode != Mode::Observe) else {
            let error = format!(
                "the plan `{shown}` is for `{}`, which this configuration does not change",
                update.service
            );
            return Err(
                Failure::new(Exit::Config, error).hint("add the service to the configuration, or plan anew")
            );
        };
        let heading = context.stderr.heading(&printable(&update.service.to_string()));
        output::write_message(&format!(
            "{heading}\n{}\n",
            report::update_text(&update, context.now, &context.stderr)
        ));
        let name = update.service.name().to_owned();
        let approved = ApprovedUpdate::saved(update, known.mode, &standings).map_err(|held| {
            Failure::new(Exit::DataErr, format!("the plan for `{name}` is not carried out: {held}"))
                .hint(format!("`certroll plan {name}` says what can be done"))
        })?;
        updates.push(approved);
    }
    Ok(Chosen { updates, exit: None })
}
