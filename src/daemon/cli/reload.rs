//! `certroll reload`: let the running daemon read its configuration again.

use clap::Args;
use serde_json::json;

use super::exit::Exit;
use super::failure::Failure;
use super::terminal::printable;
use super::{Context, output};
use crate::admin::client::{self, AskError};
use crate::admin::{Refusal, ReloadAnswer};

/// Let the running certroll read its configuration again
///
/// It waits until the new configuration is in force, and says what is different; a wrong one is refused whole, and the
/// former one stays. SIGHUP does the same without an answer.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  certroll check && certroll reload
  systemctl reload certroll

Exit codes:
  0   it is in force
  69  no daemon answers
  75  it is stopping
  77  this user may not ask it
  78  it is refused, and the former one stays
  Others as for every command: see `certroll --help`.")]
pub struct ReloadArguments {}

/// Runs the command.
///
/// # Errors
/// The configuration is wrong, or no daemon answers.
pub async fn run(_arguments: &ReloadArguments, context: &Context) -> Result<Exit, Failure> {
    let admin = context.admin()?;
    let answer: ReloadAnswer = match client::post(&admin.socket, "/reload", &json!({})).await {
        Err(AskError::Refused(Refusal { status: 422, detail, hint, .. })) => {
            let failure = Failure::new(Exit::Config, format!("the configuration is refused: {detail}"));
            return Err(match hint {
                Some(hint) => failure.hint(hint),
                None => failure,
            });
        }
        answered => answered?,
    };
    if context.json {
        output::write_json(&json!({ "format": 1, "changes": answer.changes }))?;
    } else if answer.changes.is_empty() {
        output::write_message("it was read again; nothing in it changed\n");
    } else {
        for change in answer.changes {
            output::write_message(&format!("{}\n", printable(&change)));
        }
    }
    Ok(Exit::Ok)
}
