//! `certroll restore`: put back what the last rollout changed.

use std::collections::BTreeMap;

use certroll_core::id::CloudServiceId;
use certroll_core::plan::PlanReport;
use certroll_core::ports::RolloutJournal;
use certroll_core::rollout::Rollout;
use clap::Args;

use super::confirm::confirm;
use super::exit::Exit;
use super::failure::Failure;
use super::leading::{Chosen, Leading};
use super::select::find;
use super::{Context, output, report};
use crate::work::{ApprovedUpdate, ServicePolicy, Status, Work};

/// Rollouts of a service that are read to find the last one that changed something. Those that were abandoned before
/// a change may lie between.
const ROLLOUTS: usize = 100;

/// Put back what the last rollout of a service changed
///
/// Plans the way back to what was captured before the last rollout that changed anything, shows it and asks, then carries
/// it out and verifies it like any change. Edits that others made since stay. The versions that leave go into quarantine,
/// so that they are not rolled out again until they are superseded or `certroll release` lets them. A service that is
/// stuck is no longer stuck once this ends verified.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  certroll restore shop          shows the way back, asks, and goes it
  certroll restore --yes shop    without a question, for scripts

Exit codes:
  0   the old state is back and verified, or nothing of the rollout is left
  65  the way back cannot be gone, or did not work and was itself put back
  66  no rollout of the service changed anything
  69  the service could not be read
  70  the service needs a person
  75  nothing was changed, or the command was interrupted
  Others as for every command: see `certroll --help`.")]
pub struct RestoreArguments {
    /// The service, by name or resource id
    #[arg(value_name = "SERVICE")]
    pub service: String,

    /// Do not ask. Needed where nobody can answer
    #[arg(long)]
    pub yes: bool,
}

/// Runs the command.
///
/// # Errors
/// The configuration is wrong, there is nothing to put back, nobody said yes, or it did not come to a good end.
pub async fn run(arguments: &RestoreArguments, context: &Context) -> Result<Exit, Failure> {
    let settings = context.settings()?;
    context.start_telemetry(&settings)?;
    let policy = find(&settings.policy, &arguments.service)?;
    let leading = Leading::begin(&settings, "certroll restore", context).await?;
    let chosen = if leading.is_asked_to_end() {
        Ok(Chosen::default())
    } else {
        confirmed(arguments, policy, &leading.work, context).await
    };
    leading.end(chosen, context).await
}

/// The way back, once somebody has said yes to it.
async fn confirmed(
    arguments: &RestoreArguments,
    policy: &ServicePolicy,
    work: &Work,
    context: &Context,
) -> Result<Chosen, Failure> {
    let rollout = last(&policy.service, work.journal()).await?;
    let planned = work.look_back(policy, &rollout).await;
    let report = PlanReport { at: context.now, services: vec![planned.clone()], vaults: BTreeMap::new() };
    output::write_message(&format!("{}\n", report::text(&report, &context.stderr)));
    let without = |exit| Ok(Chosen { updates: Vec::new(), exit: Some(exit) });
    let update = match planned.status {
        Status::Planned { update } => *update,
        Status::Current => {
            output::write_message("nothing of the rollout is left: the service has its old certificates\n");
            return without(Exit::Ok);
        }
        Status::Unreadable { .. } => return without(Exit::Unavailable),
        Status::Blocked { .. } | Status::Waiting { .. } => return without(Exit::DataErr),
    };
    let standings = work.journal().standings().await?;
    let name = policy.service.name();
    let approved =
        ApprovedUpdate::undoing(rollout.id().clone(), update, policy.mode, &standings).map_err(|held| {
            Failure::new(Exit::DataErr, format!("the way back of `{name}` is not gone: {held}"))
        })?;
    confirm(arguments.yes, &format!("Put `{name}` back?"), "put back", context)?;
    Ok(Chosen { updates: vec![approved], exit: None })
}

/// The last rollout of a service that may have changed it.
async fn last(service: &CloudServiceId, journal: &dyn RolloutJournal) -> Result<Rollout, Failure> {
    for records in journal.history(Some(service), ROLLOUTS).await? {
        let events = records.iter().map(|record| (record.at, &record.event));
        match Rollout::fold(events) {
            Ok(rollout) if rollout.may_have_changed() => return Ok(rollout),
            Ok(_) => {}
            Err(error) => {
                let rollout = records.first().map_or_else(String::new, |first| first.rollout.to_string());
                let error = format!("the record of the rollout {rollout} cannot be read: {error}");
                return Err(Failure::new(Exit::DataErr, error)
                    .hint("`certroll history --verify` says what is damaged"));
            }
        }
    }
    Err(Failure::new(Exit::NoInput, format!("no rollout of `{}` changed anything", service.name()))
        .hint(format!("`certroll history {}` shows what was tried", service.name())))
}
