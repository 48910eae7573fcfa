//! `certroll apply`: make the changes, once.

use clap::Args;

use super::Context;
use super::exit::Exit;
use super::failure::Failure;

/// Make the changes of a plan, and wait until they are verified or put back
///
/// Plans anew, or takes a saved plan, shows it and asks before anything is changed. Settle times and windows do not hold a
/// person up. A change that does not work is put back. If the command is interrupted, the rollout stays in the journal and
/// is continued by the next one.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  certroll apply                  every service that has changes
  certroll apply shop             one service, by its name
  certroll apply friday.plan      a saved plan, if the services are still as it expects them
  certroll apply --yes shop       without a question, for scripts")]
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
pub async fn run(_arguments: &ApplyArguments, context: &Context) -> Result<Exit, Failure> {
    let settings = context.settings()?;
    context.start_telemetry(&settings)?;
    Err(Failure::new(Exit::Unavailable, "`apply` cannot change Azure in this version"))
}
