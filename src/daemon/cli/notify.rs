//! `certroll notify`: try a channel by which people are told.

use clap::{Args, Subcommand};
use serde_json::json;

use super::exit::Exit;
use super::failure::Failure;
use super::select::{did_you_mean, near};
use super::terminal::printable;
use super::{Context, output};
use crate::notify::{TestError, send_test};

/// Try a channel by which people are told
#[derive(Clone, Debug, Args)]
pub struct NotifyArguments {
    /// What is to be done
    #[command(subcommand)]
    pub what: NotifyCommand,
}

/// What is to be done with channels.
#[derive(Clone, Debug, Subcommand)]
pub enum NotifyCommand {
    /// Send a notice that is marked as a test to a channel, and wait for its answer
    ///
    /// Sent whatever kinds the channel is for. It goes past the outbox, so that the answer is the channel's own.
    #[command(after_long_help = "\
Examples:
  certroll notify test operators    sends a test to the channel `operators`

Exit codes:
  0   the channel took it
  64  there is no such channel
  69  the channel did not take it
  78  the channel cannot be set up")]
    Test {
        /// The channel, by its `name` in `[[notify.channel]]`
        #[arg(value_name = "CHANNEL")]
        channel: String,
    },
}

/// Runs the command.
///
/// # Errors
/// The configuration is wrong, there is no such channel, or it did not take the notice.
pub async fn run(arguments: &NotifyArguments, context: &Context) -> Result<Exit, Failure> {
    let NotifyCommand::Test { channel } = &arguments.what;
    let settings = context.settings()?;
    context.start_telemetry(&settings)?;
    send_test(&settings, channel, context.now).await.map_err(|error| {
        let exit = match &error {
            TestError::Unknown { .. } => Exit::Usage,
            TestError::Setup(_) => Exit::Config,
            TestError::Send(_) => Exit::Unavailable,
        };
        let known = settings.notify.channels.iter().map(|known| known.name.as_str());
        let hint = match &error {
            TestError::Unknown { .. } => near(channel, known).map(did_you_mean),
            TestError::Setup(_) | TestError::Send(_) => None,
        };
        Failure { hint, ..Failure::new(exit, error) }
    })?;
    if context.json {
        output::write_json(&json!({ "format": 1, "channel": channel, "taken": true }))?;
    } else {
        output::write_message(&format!("the channel `{}` took the test\n", printable(channel)));
    }
    Ok(Exit::Ok)
}
