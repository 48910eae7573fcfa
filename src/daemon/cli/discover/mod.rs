//! `certroll discover`: a configuration from what is deployed.
//!
//! What is proposed is core's decision, what is looked at the engine's work. Here it is written: `text` as TOML that a
//! person reads, `file` without harm to a file that is there.

mod file;
mod given;
mod text;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use certroll_core::discover::{NotProposed, Proposal, propose};
use certroll_core::id::{CloudServiceId, VaultName};
use certroll_core::ports::{FaultKind, PortError};
use certroll_core::rollout::Rollout;
use certroll_engine::discover::{Discovered, Progress, Scope, discover, try_endpoints};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::exit::Exit;
use super::failure::Failure;
use super::terminal::printable;
use super::waiting::Waiting;
use super::{Context, output};
use crate::adapters::SystemClock;
use crate::assembly::assemble;
use crate::config::{self, Environment, Settings};
use crate::records::Records;
use file::Existing;

/// Write a configuration from what is deployed
///
/// Lists the cloud services of one or more subscriptions, finds out which vault object each of their certificates comes
/// from, and writes a commented configuration. What could not be found out stands there as a comment with the reason.
///
/// The cloud, the identity and the way to the network are those of the configuration, if there is one, with the overrides
/// of the environment (`CERTROLL__HTTP__PROXY` and the like). Services that it has are known and are not proposed again.
///
/// Nothing is changed in Azure. Endpoints that it proposes to probe are connected to once.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  certroll discover                                        print what is deployed in every subscription
  certroll discover --cloud china --out certroll.toml      write a new configuration
  certroll discover --subscription 0b1f6471-1bf0-4dda-aec3-cb9272f09590
  certroll discover --out certroll.toml                    again: show what is new since
  certroll discover --out certroll.toml --append           and add it
  certroll discover --identity azure_cli --json | jq '.services[].unresolved'

Exit codes:
  0   what is deployed was listed, whether or not anything is new
  69  nothing could be listed: Azure cannot be reached
  73  the file cannot be written
  77  nothing could be listed: a permission is missing
  Others as for every command: see `certroll --help`.")]
pub struct DiscoverArguments {
    /// A subscription whose services are listed; all that the identity sees if none is given
    #[arg(long = "subscription", value_name = "ID", value_parser = subscription)]
    pub subscriptions: Vec<String>,

    /// The Azure cloud. Goes before the configuration's
    #[arg(long, value_name = "CLOUD")]
    pub cloud: Option<Cloud>,

    /// How a token is obtained. Goes before the configuration's; what else the identity needs comes from the configuration
    /// or from `CERTROLL__IDENTITY__…`
    #[arg(long, value_name = "KIND")]
    pub identity: Option<Identity>,

    /// A vault in which certificates are looked for besides those that the services reference
    #[arg(long = "vault", value_name = "NAME")]
    pub vaults: Vec<VaultName>,

    /// Write to a new file. A file that is there is left as it is: only what it does not have is shown
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Add what is new to the end of the file that is there
    #[arg(long, requires = "out")]
    pub append: bool,

    /// Do not connect to the endpoints that are proposed to be probed
    #[arg(long)]
    pub no_probe: bool,
}

/// The value of `--cloud`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Cloud {
    /// The public cloud.
    Public,
    /// Azure China.
    China,
    /// Azure for US Government.
    Usgov,
}

/// The value of `--identity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Identity {
    /// The first that works of the others.
    Auto,
    /// A federated workload.
    WorkloadIdentity,
    /// The machine's managed identity.
    ManagedIdentity,
    /// An application with a secret.
    ClientSecret,
    /// An application with a certificate.
    ClientCertificate,
    /// The account that az is logged in with.
    AzureCli,
}

/// What a person asked for, and what stands already.
struct Asked {
    settings: Settings,
    /// What the environment and the command line say of cloud, identity and network.
    environment: Environment,
    /// The configuration that was read, if there is one.
    configuration: Option<PathBuf>,
    /// The file to write, as it is.
    existing: Option<Existing>,
}

/// Everything that is to be told.
struct Told {
    discovered: Discovered,
    proposals: Vec<Proposal>,
    not_proposed: Vec<(CloudServiceId, NotProposed)>,
}

/// Runs the command.
///
/// # Errors
/// The configuration is wrong, nothing could be listed, or the file cannot be read or written.
pub async fn run(arguments: &DiscoverArguments, context: &Context) -> Result<Exit, Failure> {
    let asked = asked(arguments, context)?;
    context.start_telemetry(&asked.settings)?;
    let told = Box::pin(look(arguments, &asked, context)).await?;
    for error in &told.discovered.failed {
        let hint = error.fault().hint.as_ref().map(|hint| format!(" (hint: {hint})")).unwrap_or_default();
        warn(context, &format!("{error}{hint}"));
    }
    for reason in &told.discovered.left_out {
        warn(context, &format!("left out: {reason}"));
    }
    let found = told.proposals.len() + told.not_proposed.len() + told.discovered.known.len();
    if found == 0
        && let Some(error) = told.discovered.failed.first()
    {
        let mut failure = Failure::new(exit(error), "no subscription could be listed");
        failure.hint = Some("see the warnings above".to_owned());
        return Err(failure);
    }
    let services = text::services(&told);
    let whole = asked.configuration.is_none() && asked.existing.is_none();
    let proposed = if whole {
        format!(
            "{}{services}",
            text::head(&given::sections(&asked.environment, &context.config), context.now)
        )
    } else {
        services
    };
    deliver(arguments, context, &asked, &told, &proposed)?;
    Ok(Exit::Ok)
}

/// Reads what stands already.
fn asked(arguments: &DiscoverArguments, context: &Context) -> Result<Asked, Failure> {
    let existing = match &arguments.out {
        Some(path) => file::existing(path)?,
        None => None,
    };
    let mut environment = context.environment.clone();
    let word = |value: Option<clap::builder::PossibleValue>| value.map(|value| value.get_name().to_owned());
    if let Some(cloud) = arguments.cloud.and_then(|cloud| word(cloud.to_possible_value())) {
        environment = environment.with("CERTROLL__CLOUD", &cloud);
    }
    if let Some(kind) = arguments.identity.and_then(|kind| word(kind.to_possible_value())) {
        environment = environment.with("CERTROLL__IDENTITY__KIND", &kind);
    }
    let present = |path: &Path| !matches!(path.try_exists(), Ok(false));
    let configuration = match (&arguments.out, &existing) {
        _ if present(&context.config) => Some(context.config.clone()),
        (Some(out), Some(_)) => Some(out.clone()),
        _ => None,
    };
    let path = configuration.as_ref().unwrap_or(&context.config);
    let settings = config::load_if_present(path, &environment, context.now)
        .map_err(|fault| Failure::new(Exit::Config, fault))?;
    // That no service is listed is why this command is run.
    for warning in settings.warnings.iter().filter(|warning| warning.key != "service") {
        warn(context, &warning.headline());
    }
    Ok(Asked { settings, environment, configuration, existing })
}

async fn look(arguments: &DiscoverArguments, asked: &Asked, context: &Context) -> Result<Told, Failure> {
    let records = Records::in_memory();
    let assembled = assemble(&asked.settings, Arc::new(SystemClock), records, Arc::new(Silence))
        .map_err(|error| Failure::new(Exit::Config, error))?;
    let inventory = assembled.azure.inventory();
    let configured = asked.settings.policy.services.iter().map(|policy| policy.service.clone());
    let written = asked.existing.iter().flat_map(|existing| existing.services.iter().cloned());
    let scope = Scope {
        subscriptions: each_once(&arguments.subscriptions),
        vaults: arguments.vaults.iter().cloned().collect(),
        known: configured.chain(written).collect(),
    };
    let waiting = Waiting::new(&context.stderr, "asking for what is deployed").counting(&assembled.azure);
    let watch = |progress: Progress| waiting.say(&progress.to_string());
    let work = async {
        let discovered = discover(&scope, inventory.as_ref(), &assembled.outside, &watch).await;
        let (mut proposals, mut not_proposed) = (Vec::new(), Vec::new());
        for service in discovered.survey.observation.services.keys() {
            match propose(service, &discovered.survey) {
                Ok(proposal) => proposals.push(proposal),
                Err(not) => not_proposed.push((service.clone(), not)),
            }
        }
        if !arguments.no_probe {
            try_endpoints(&mut proposals, &assembled.outside, &watch).await;
        }
        Told { discovered, proposals, not_proposed }
    };
    Ok(waiting.on(work).await)
}

/// Prints or writes the text, and says what became of it.
fn deliver(
    arguments: &DiscoverArguments,
    context: &Context,
    asked: &Asked,
    told: &Told,
    proposed: &str,
) -> Result<(), Failure> {
    let nothing = told.proposals.is_empty() && told.not_proposed.is_empty();
    let print = || if context.json { Ok(()) } else { output::write_data(proposed) };
    let became = match (&arguments.out, &asked.existing) {
        (None, _) if nothing && asked.configuration.is_some() => "; nothing is new".to_owned(),
        (None, _) => {
            print()?;
            String::new()
        }
        (Some(path), Some(_)) if nothing => format!("; nothing is new to `{}`", path.display()),
        (Some(path), Some(existing)) if arguments.append => {
            let services = told.proposals.iter().map(|proposal| proposal.service.clone()).collect();
            file::append(existing, proposed, &services)?;
            format!("; added to `{}`", path.display())
        }
        (Some(path), Some(_)) => {
            print()?;
            format!("; `{}` is left as it is, and `--append` adds what is shown", path.display())
        }
        (Some(path), None) => match &asked.configuration {
            Some(main) if nothing => format!("; nothing is new to `{}`", main.display()),
            Some(main) => {
                file::create(path, proposed)?;
                let (main, beside) = (main.display(), main.with_extension("d"));
                format!(
                    "; written to `{}`. It holds what `{main}` does not have: put it among the files of `{}`",
                    path.display(),
                    beside.display()
                )
            }
            None => {
                file::create(path, proposed)?;
                let path = path.display();
                format!("; written to `{path}`. Read it, then try `certroll plan --config {path}`")
            }
        },
    };
    if context.json {
        output::write_json(&as_json(told, asked, proposed))?;
    }
    output::write_message(&printable(&format!("{}{became}\n", counts(told))));
    Ok(())
}

/// What was found, in numbers.
fn counts(told: &Told) -> String {
    let unresolved = told.proposals.iter().map(|proposal| proposal.unresolved().count()).sum::<usize>();
    let mut said = format!("cloud services proposed: {}", told.proposals.len());
    for (count, what) in [
        (unresolved, "certificates of unknown source"),
        (told.not_proposed.len(), "services that cannot be proposed"),
        (told.discovered.known.len(), "known already"),
    ] {
        if count > 0 {
            said.push_str(&format!(", {what}: {count}"));
        }
    }
    said
}

fn as_json(told: &Told, asked: &Asked, proposed: &str) -> Value {
    let services: Vec<Value> = told
        .proposals
        .iter()
        .map(|proposal| {
            let mut value = json!(proposal);
            value["unresolved"] =
                json!(proposal.unresolved().map(|finding| &finding.name).collect::<Vec<_>>());
            value
        })
        .collect();
    let not_proposed: Vec<Value> = told
        .not_proposed
        .iter()
        .map(|(service, not)| json!({ "service": service, "reason": not.reason, "hint": not.hint }))
        .collect();
    let failed: Vec<Value> = told
        .discovered
        .failed
        .iter()
        .map(|error| json!({ "reason": error.to_string(), "hint": error.fault().hint }))
        .collect();
    json!({
        "cloud": asked.settings.cloud.name,
        "identity": asked.settings.identity.kind(),
        "subscriptions": told.discovered.subscriptions,
        "services": services,
        "not_proposed": not_proposed,
        "known": told.discovered.known,
        "failed": failed,
        "left_out": told.discovered.left_out,
        "configuration": proposed,
    })
}

/// What a script learns where nothing could be listed.
fn exit(error: &PortError) -> Exit {
    match error.kind() {
        FaultKind::NoToken | FaultKind::Unauthorized | FaultKind::Forbidden | FaultKind::Firewall => {
            Exit::NoPerm
        }
        FaultKind::NotFound | FaultKind::Refused => Exit::DataErr,
        FaultKind::Throttled | FaultKind::Conflict => Exit::TempFail,
        FaultKind::ServiceFault | FaultKind::Unreachable | FaultKind::TimedOut => Exit::Unavailable,
        FaultKind::Malformed | FaultKind::ForeignHost => Exit::Protocol,
        FaultKind::Disabled => Exit::DataErr,
    }
}

fn warn(context: &Context, text: &str) {
    let label = context.stderr.notable("warning:");
    output::write_message(&format!("{label} {}\n", printable(text)));
}

fn each_once(words: &[String]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    words.iter().filter(|word| seen.insert(word.to_ascii_lowercase())).cloned().collect()
}

/// A subscription id becomes a piece of a URL.
fn subscription(text: &str) -> Result<String, String> {
    let fits = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if fits { Ok(text.to_owned()) } else { Err("it is no subscription id; expected a GUID".to_owned()) }
}

/// No rollout runs here.
#[derive(Debug)]
struct Silence;

impl certroll_core::ports::RolloutObserver for Silence {
    fn resumed(&self, _rollout: &Rollout) {}
    fn recorded(&self, _record: &certroll_core::ports::Recorded) {}
    fn waiting(&self, _rollout: &certroll_core::id::RolloutId, _progress: &certroll_core::ports::Progress) {}
}
