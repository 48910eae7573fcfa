//! `certroll restore`: put back what the last rollout changed.

use std::sync::Arc;

use certroll_core::id::CloudServiceId;
use certroll_core::plan::PlanReport;
use certroll_core::ports::RolloutJournal;
use certroll_core::rollout::Rollout;
use clap::Args;

use super::confirm::confirm;
use super::endings::{Row, ended};
use super::exit::Exit;
use super::failure::Failure;
use super::interrupts::Interrupts;
use super::select::find;
use super::watch::Watch;
use super::{Context, output, report};
use crate::records::Records;
use crate::work::{ApprovedUpdate, Status, Work};

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
    let records = Records::write(&settings.journal, "certroll restore").await?;
    let live = context.stderr.width().is_some() && !context.json;
    let watch = Watch::new(context.stderr, live, Box::new(output::write_message));
    let work =
        Work::new(&settings, records, Arc::new(watch)).map_err(|error| Failure::new(Exit::Config, error))?;
    let interrupts = Interrupts::start();
    interrupts.leading(true);
    let mut rows: Vec<Row> = work.recover(interrupts.stop()).await?.into_iter().map(Row::from).collect();
    if interrupts.is_asked() {
        return ended(&rows, Exit::Ok, context);
    }
    interrupts.leading(false);

    let rollout = last(&policy.service, work.journal()).await?;
    let planned = work.look_back(policy, &rollout).await;
    let at = context.now;
    output::write_message(&format!(
        "{}\n",
        report::text(&PlanReport { at, services: vec![planned.clone()] }, &context.stderr)
    ));
    let update = match planned.status {
        Status::Planned { update } => *update,
        Status::Current => {
            output::write_message("nothing of the rollout is left: the service has its old certificates\n");
            return ended(&rows, Exit::Ok, context);
        }
        Status::Unreadable { .. } => return ended(&rows, Exit::Unavailable, context),
        Status::Blocked { .. } | Status::Waiting { .. } => return ended(&rows, Exit::DataErr, context),
    };
    let standings = work.journal().standings().await?;
    let name = policy.service.name();
    let approved =
        ApprovedUpdate::undoing(rollout.id().clone(), update, policy.mode, &standings).map_err(|held| {
            Failure::new(Exit::DataErr, format!("the way back of `{name}` is not gone: {held}"))
        })?;
    confirm(arguments.yes, &format!("Put `{name}` back?"), "put back", context)?;
    interrupts.leading(true);
    rows.extend(work.carry_out(vec![approved], interrupts.stop()).await.into_iter().map(Row::from));
    ended(&rows, Exit::Ok, context)
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
