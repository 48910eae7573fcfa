//! `certroll pause` and `certroll resume`: keep changes from beginning, and let them begin again.

use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::elapsed::moment;
use super::exit::Exit;
use super::failure::Failure;
use super::{Context, output};
use crate::admin::{PauseAnswer, PauseRequest, ResumeRequest, client};
use crate::config::parse_duration;

/// Keep changes from beginning, of some services or of all
///
/// Looks and notices go on, and a rollout that runs comes to its end. A pause outlives a restart. A certificate that ends
/// soon does not end a pause: you are told of it as always.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  certroll pause                                 everything, until `certroll resume`
  certroll pause --for 2h shop                   one service, for two hours
  certroll pause --reason 'change freeze' --for 14d

Exit codes:
  0   paused
  69  no daemon answers
  Others as for every command: see `certroll --help`.")]
pub struct PauseArguments {
    /// Services, by name or resource id; everything if absent
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,

    /// How long, such as `90m` or `14d`; until `certroll resume` if absent
    #[arg(long = "for", value_name = "DURATION")]
    pub duration: Option<String>,

    /// Why, for whoever asks `certroll status`
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// Let changes begin again
///
/// Ends the pauses of the services that are named. Without a name, ends the pause of everything and those of all services.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  certroll resume          everything
  certroll resume shop     one service; a pause of everything stays

Exit codes:
  0   nothing is paused any more of what was named
  69  no daemon answers
  Others as for every command: see `certroll --help`.")]
pub struct ResumeArguments {
    /// Services, by name or resource id; everything if absent
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
}

/// Runs `certroll pause`.
///
/// # Errors
/// The configuration or the duration is wrong, or no daemon answers.
pub async fn pause(arguments: &PauseArguments, context: &Context) -> Result<Exit, Failure> {
    let admin = context.admin()?;
    let until = arguments.duration.as_deref().map(ends).transpose()?;
    let request =
        PauseRequest { services: arguments.services.clone(), until, reason: arguments.reason.clone() };
    let answer: PauseAnswer = client::post(&admin.socket, "/pause", &request).await?;
    if context.json {
        output::write_json(&json!({ "format": 1, "services": answer.services, "until": until }))?;
    } else {
        let what = named(&answer, "everything is paused", "paused");
        let end =
            until.map_or_else(|| "until `certroll resume`".to_owned(), |at| format!("until {}", moment(at)));
        output::write_message(&format!("{what} {end}\n"));
    }
    Ok(Exit::Ok)
}

fn ends(text: &str) -> Result<Timestamp, Failure> {
    let duration = parse_duration(text).map_err(|error| Failure::new(Exit::Usage, error))?;
    Timestamp::now()
        .checked_add(duration)
        .map_err(|_| Failure::new(Exit::Usage, format!("`{text}` is longer than the calendar")))
}

/// Runs `certroll resume`.
///
/// # Errors
/// The configuration is wrong, or no daemon answers.
pub async fn resume(arguments: &ResumeArguments, context: &Context) -> Result<Exit, Failure> {
    let admin = context.admin()?;
    let request = ResumeRequest { services: arguments.services.clone() };
    let answer: PauseAnswer = client::post(&admin.socket, "/resume", &request).await?;
    if context.json {
        output::write_json(&json!({ "format": 1, "services": answer.services, "ended": answer.ended }))?;
    } else if answer.ended == 0 {
        output::write_message("nothing of it was paused\n");
    } else {
        output::write_message(&format!("{}\n", named(&answer, "everything is resumed", "resumed")));
    }
    Ok(Exit::Ok)
}

fn named(answer: &PauseAnswer, everything: &str, word: &str) -> String {
    if answer.services.is_empty() {
        return everything.to_owned();
    }
    let names: Vec<String> = answer.services.iter().map(|service| format!("`{}`", service.name())).collect();
    format!("{}: {word}", names.join(", "))
}
