//! `certroll run`: the daemon.

use std::error::Error;
use std::sync::Arc;

use clap::Args;

use super::Context;
use super::exit::Exit;
use super::failure::Failure;
use crate::config;
use crate::telemetry;
use crate::unattended::{Ended, RunError, Start};

/// Watch the vaults and keep every service on its newest certificates
///
/// Looks once at its start, then by its schedule and whenever a vault tells of a change, and makes the changes that the
/// configuration allows. Leads on first what an earlier run left without an ending. Runs until SIGTERM or Ctrl-C: the first
/// ends it at the next safe point, the second at once. SIGHUP reads the configuration again; one that is wrong changes
/// nothing.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  certroll run                           with /etc/certroll/certroll.toml
  certroll run --config shop.toml        with another configuration
  certroll status                        what it does, from another terminal

Exit codes:
  0   it was asked to stop
  70  a part of it failed; what it left is led on at the next start
  71  an address cannot be listened at
  73  the admin socket cannot be made
  75  another certroll holds the journal, or it left at once at the second signal
  78  the configuration is wrong
  Others as for every command: see `certroll --help`.")]
pub struct RunArguments {}

/// Runs the command.
///
/// # Errors
/// It cannot start, or a part of it failed.
pub async fn run(_arguments: &RunArguments, context: &Context) -> Result<Exit, Failure> {
    let settings = context.settings()?;
    let filter = context.environment.get("CERTROLL_LOG");
    let log = telemetry::start(settings.log, context.log_level, filter, context.stderr.has_colour())
        .map_err(|fault| Failure::new(Exit::Usage, fault))?;
    let (file, environment) = (context.config.clone(), context.environment.clone());
    let load =
        move || config::load(&file, &environment, jiff::Timestamp::now()).map_err(|fault| fault.to_string());
    let start = Start { settings, load: Arc::new(load), log };
    match crate::unattended::run(start).await {
        Ok(Ended::Drained) => Ok(Exit::Ok),
        Ok(Ended::AtOnce) => Ok(Exit::TempFail),
        Err(error) => Err(failure(error)),
    }
}

fn failure(error: RunError) -> Failure {
    let told = |exit: Exit, error: Box<dyn Error + Send + Sync>, hint: &str| {
        let failure = Failure::new(exit, error);
        if hint.is_empty() { failure } else { failure.hint(hint) }
    };
    match error {
        RunError::Journal(error) => error.into(),
        RunError::Pauses(error) => told(Exit::DataErr, error.into(), ""),
        RunError::Assembly(error) => told(Exit::Config, error.into(), ""),
        RunError::Channel(error) => told(Exit::Config, error.into(), ""),
        RunError::Socket(error) => told(
            Exit::CantCreat,
            error.into(),
            "set `admin.socket` to a path in a directory that certroll may write, such as one of systemd's \
             `RuntimeDirectory=`",
        ),
        RunError::Listen(error) => told(
            Exit::OsErr,
            error.into(),
            "does another process listen there? `monitoring.listen` and `events.listen` choose the addresses",
        ),
        RunError::Metrics(_) | RunError::Signals(_) | RunError::Reconcile(_) | RunError::Task(_) => {
            told(Exit::Software, error.into(), "")
        }
    }
}
