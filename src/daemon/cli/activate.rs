//! `certroll activate`: let the running daemon look now.

use clap::Args;
use serde_json::{Value, json};

use super::exit::Exit;
use super::failure::Failure;
use super::{Context, output};
use crate::admin::client;

/// Let the running certroll look now, instead of at its next time
///
/// What it finds is handled as always: settle times, windows and approvals hold. `certroll apply` is for a person who does
/// not want to wait for them.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  certroll activate && certroll status --watch

Exit codes:
  0   it looks
  69  no daemon answers
  75  it is stopping
  77  this user may not ask it
  Others as for every command: see `certroll --help`.")]
pub struct ActivateArguments {}

/// Runs the command.
///
/// # Errors
/// The configuration is wrong, or no daemon answers.
pub async fn run(_arguments: &ActivateArguments, context: &Context) -> Result<Exit, Failure> {
    let admin = context.admin()?;
    let _: Value = client::post(&admin.socket, "/activate", &json!({})).await?;
    if context.json {
        output::write_json(&json!({ "format": 1 }))?;
    } else {
        output::write_message("it looks now; `certroll status` says what it finds\n");
    }
    Ok(Exit::Ok)
}
