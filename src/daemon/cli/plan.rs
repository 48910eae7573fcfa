//! `certroll plan`: what would be changed, and why not more.

use std::path::PathBuf;

use clap::Args;

use super::Context;
use super::exit::Exit;
use super::failure::Failure;

/// Show what would be changed, without changing anything
///
/// Reads the vaults and the services, and prints for each service whether it is current, planned, waiting, blocked or
/// unreadable. A planned change prints as a diff of the service configuration and of the secrets, with the roles and
/// instances that it restarts.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  certroll plan                          all services
  certroll plan shop                     one service, by its name
  certroll plan --out friday.plan shop   save the plan, to be applied later as it is
  certroll plan --json | jq '.services[] | select(.state == \"blocked\")'

Exit codes:
  0  nothing to do
  2  changes are pending
  Others as for every command: see `certroll --help`.")]
pub struct PlanArguments {
    /// Services to plan, by name or resource id; all if none is given
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,

    /// Save the plan. `certroll apply FILE` carries it out, and refuses if a service has changed since
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// The configuration is wrong, or nothing could be read at all.
pub async fn run(_arguments: &PlanArguments, context: &Context) -> Result<Exit, Failure> {
    let settings = context.settings()?;
    context.start_telemetry(&settings)?;
    Err(Failure::new(Exit::Unavailable, "`plan` cannot read Azure in this version"))
}
