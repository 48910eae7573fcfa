//! `certroll doctor`: what keeps certroll from its work, why that matters, and the command that mends it. Asks and
//! compares, and writes nothing anywhere.

mod gather;
mod machine;
mod report;
mod webhook;

use certroll_core::doctor::{Verdict, worst};
use clap::Args;

use super::exit::Exit;
use super::failure::Failure;
use super::select::select;
use super::waiting::Waiting;
use super::{Context, output};

/// Find what keeps certroll from its work, and the command that mends it
///
/// Asks for tokens, tries what certroll will do with each vault and each service, and compares their settings, the event
/// subscriptions, the clock and the journal with what is needed. What would be a write is asked for by Resource Manager's
/// permissions, never tried. Nothing is changed anywhere.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  certroll doctor                        everything
  certroll doctor shop                   one service and its vaults
  certroll doctor --all                  what is good in full, too
  certroll doctor --reach-webhook        also greet the webhook at its public address
  certroll doctor --json | jq -r '.findings[].mend.command // empty'

Exit codes:
  0   nothing is wrong; there may be notices
  1   there are warnings
  3   something could not be checked
  4   something keeps certroll from its work
  Others as for every command: see `certroll --help`.")]
pub struct DoctorArguments {
    /// Services to look at, by name or resource id; all if none is given
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,

    /// Show what is good in full
    #[arg(long)]
    pub all: bool,

    /// Send an `OPTIONS` without credentials to the addresses that event subscriptions name
    #[arg(long)]
    pub reach_webhook: bool,
}

/// Runs the command.
///
/// # Errors
/// The configuration is wrong, a file that it names cannot be used, or a service is not in it.
pub async fn run(arguments: &DoctorArguments, context: &Context) -> Result<Exit, Failure> {
    let settings = context.settings()?;
    context.start_telemetry(&settings)?;
    let policy = select(&settings.policy, &arguments.services)?;
    let prepared = gather::prepare(&settings)?;
    let waiting =
        Waiting::new(&context.stderr, "asking Azure for everything that is needed").counting(&prepared.azure);
    let diagnosis = waiting.on(gather::gather(&settings, &prepared, &policy, arguments.reach_webhook)).await;
    if context.json {
        output::write_json(&report::json(&diagnosis))?;
    } else {
        output::write_data(&report::text(&diagnosis, arguments.all, &context.stdout))?;
    }
    Ok(match worst(&diagnosis.findings) {
        Verdict::Good | Verdict::Notice => Exit::Ok,
        Verdict::Warning => Exit::Warnings,
        Verdict::NotChecked => Exit::NotChecked,
        Verdict::Failure => Exit::Failures,
    })
}
