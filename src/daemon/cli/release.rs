//! `certroll release`: let a service be planned again.

use certroll_core::id::CloudServiceId;
use certroll_core::ports::JournalFault;
use certroll_core::standing::{Decided, Decision, Standing, Standings};
use clap::Args;
use serde_json::{Value, json};

use super::confirm::confirm;
use super::elapsed::moment;
use super::exit::Exit;
use super::failure::Failure;
use super::terminal::printable;
use super::{Context, output, select};
use crate::admin::{ReleaseRequest, client};
use crate::config::Settings;
use crate::records::Records;

/// Let a service be planned again that is stuck, or whose newest versions are in quarantine
///
/// A change that was put back is not tried again with the same versions, and a service that is stuck is left alone, until
/// a version is superseded in the vault or somebody says with this command that the cause is gone. It changes nothing in
/// Azure: the next plan does what follows. Where `certroll run` holds the journal, it is told to release the service.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  certroll release shop          shows what holds the service, asks, and releases it
  certroll release --yes shop    without a question, for scripts

Exit codes:
  0   released, or nothing held the service
  75  the answer was not `y`, or another process writes the journal
  Others as for every command: see `certroll --help`.")]
pub struct ReleaseArguments {
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
/// The configuration is wrong, the service is not known, nobody said yes, or the journal cannot be written.
pub async fn run(arguments: &ReleaseArguments, context: &Context) -> Result<Exit, Failure> {
    let settings = context.settings()?;
    context.start_telemetry(&settings)?;
    let scribe = Scribe::of(&settings).await?;
    let standings = scribe.records().journal.standings().await?;
    let service = service(&arguments.service, &settings, &standings)?;
    let standing = standings.of(&service);
    let held = held(&standing);
    if held.is_empty() {
        let message = standing.unfinished.map_or_else(
            || format!("nothing holds `{}`\n", service.name()),
            |rollout| {
                format!(
                    "nothing holds `{}` but the rollout {rollout}, which `certroll apply` goes on with\n",
                    service.name()
                )
            },
        );
        return told(&service, &[], &message, context);
    }
    let mut shown = format!("{}\n", context.stderr.heading(&printable(&service.to_string())));
    for line in &held {
        shown.push_str(&format!("  {}\n", printable(line)));
    }
    output::write_message(&shown);
    confirm(arguments.yes, &format!("Release `{}`?", service.name()), "released", context)?;
    match scribe {
        Scribe::Itself(records) => {
            let decided = Decided { at: context.now, service: service.clone(), decision: Decision::Released };
            records.journal.decide(&decided).await?;
        }
        Scribe::Daemon(_) => {
            let request = ReleaseRequest { service: service.clone() };
            let _: Value = client::post(&settings.admin.socket, "/release", &request).await?;
        }
    }
    let message = format!("released; `certroll plan {}` shows what follows\n", service.name());
    told(&service, &held, &message, context)
}

/// Who writes the journal: this command, or the running daemon for it.
enum Scribe {
    Itself(Records),
    Daemon(Records),
}

impl Scribe {
    async fn of(settings: &Settings) -> Result<Self, Failure> {
        match Records::write(&settings.journal, "certroll release").await {
            Ok(records) => Ok(Self::Itself(records)),
            Err(error) if error.kind == JournalFault::Held => {
                // A daemon that answers writes for us; otherwise it is said who holds the journal.
                let answers: Result<Value, _> = client::get(&settings.admin.socket, "/status").await;
                match answers {
                    Ok(_) => Ok(Self::Daemon(Records::read(&settings.journal)?)),
                    Err(_) => Err(error.into()),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    fn records(&self) -> &Records {
        match self {
            Self::Itself(records) | Self::Daemon(records) => records,
        }
    }
}

fn told(
    service: &CloudServiceId,
    released: &[String],
    message: &str,
    context: &Context,
) -> Result<Exit, Failure> {
    if context.json {
        output::write_json(&json!({ "format": 1, "service": service, "released": released }))?;
    } else {
        output::write_message(message);
    }
    Ok(Exit::Ok)
}

/// A service of the configuration, or one that only the journal knows any more.
fn service(name: &str, settings: &Settings, standings: &Standings) -> Result<CloudServiceId, Failure> {
    match select::find(&settings.policy, name) {
        Ok(policy) => Ok(policy.service.clone()),
        Err(failure) => {
            let mut known = standings.all().map(|(service, _)| service).filter(|service| {
                service.name().eq_ignore_ascii_case(name) || service.to_string().eq_ignore_ascii_case(name)
            });
            match (known.next(), known.next()) {
                (Some(service), None) => Ok(service.clone()),
                _ => Err(failure),
            }
        }
    }
}

/// What holds a service, a line each.
fn held(standing: &Standing) -> Vec<String> {
    let stuck = standing.stuck.iter().map(|stuck| {
        format!("stuck since {} by the rollout {}: {}", moment(stuck.since), stuck.rollout, stuck.why)
    });
    let sets = standing.quarantine.iter().map(|set| {
        let versions: Vec<String> = set.versions.iter().map(|version| format!("`{version}`")).collect();
        format!(
            "in quarantine since {} by the rollout {}: {} ({})",
            moment(set.since),
            set.rollout,
            versions.join(", "),
            set.why
        )
    });
    stuck.chain(sets).collect()
}
