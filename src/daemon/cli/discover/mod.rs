//! `certroll discover`: a configuration from what is deployed.
//!
//! What is proposed is core's decision, what is looked at the engine's work. Here it is written: `text` as TOML that a
//! person reads, `known` as what belongs to services that are configured, `file` without harm to a file that is there;
//! `deliver` prints or writes it.

mod deliver;
mod file;
mod given;
mod known;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use certroll_core::discover::{Additions, NotProposed, Proposal, propose};
use certroll_core::id::{CloudServiceId, VaultName};
use certroll_core::policy::ServicePolicy;
use certroll_core::ports::{FaultKind, PortError};
use certroll_core::rollout::Rollout;
use certroll_engine::discover::{Discovered, Progress, Scope, discover, try_endpoints};
use clap::{Args, ValueEnum};

use super::exit::Exit;
use super::failure::Failure;
use super::select::{did_you_mean, near};
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
/// of the environment (`CERTROLL__HTTP__PROXY` and the like). Services that it has are not proposed again: of these is shown
/// what their entries lack, such as a certificate that was added since.
///
/// Nothing is changed in Azure. Endpoints that it proposes to probe are connected to once.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  certroll discover                                        print what is deployed in every subscription
  certroll discover --cloud china --out certroll.toml      write a new configuration
  certroll discover --subscription 0b1f6471-1bf0-4dda-aec3-cb9272f09590
  certroll discover --out certroll.toml                    again: show what is new since
  certroll discover --out certroll.toml --append           and add the new services
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

    /// Write to a new file. A file that is there is left as it is: only what it does not have is shown. With `--json` what
    /// was found is printed besides
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Add new services to the end of the file that is there. What its services lack is shown, and stays for a person to add
    #[arg(long, requires = "out")]
    pub append: bool,

    /// The port of the endpoints that are proposed to be probed
    #[arg(long, value_name = "PORT", default_value_t = 443, value_parser = clap::value_parser!(u16).range(1..))]
    pub probe_port: u16,

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
    /// The services that are configured, and those of the file to write where that is another one.
    policies: BTreeMap<CloudServiceId, ServicePolicy>,
}

/// Everything that is to be told.
struct Told {
    discovered: Discovered,
    proposals: Vec<Proposal>,
    not_proposed: Vec<(CloudServiceId, NotProposed)>,
    /// What services that are known lack; only those that lack something.
    additions: Vec<Additions>,
    /// Services that are known and could not be compared.
    not_compared: Vec<(CloudServiceId, NotProposed)>,
}

impl Told {
    /// Whether no service is new.
    fn no_service(&self) -> bool {
        self.proposals.is_empty() && self.not_proposed.is_empty()
    }

    /// Whether services that are known are as they were.
    fn no_addition(&self) -> bool {
        self.additions.is_empty() && self.not_compared.is_empty()
    }
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
        warn(context, &format!("{}{hint}", error.fault().brief()));
        tracing::debug!(error = %error, "what is deployed could not be listed");
    }
    for absent in &told.discovered.absent {
        let seen = told.discovered.seen.iter().map(|subscription| subscription.id.as_str());
        if let Some(known) = near(absent, seen) {
            warn(context, &format!("there is no subscription `{absent}`: {}", did_you_mean(known)));
        }
    }
    for unreadable in told.discovered.survey.unreadable() {
        tracing::debug!(error = %unreadable, "what is deployed could not be read");
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
    let additions = known::additions(&told);
    deliver::deliver(arguments, context, &asked, &told, &deliver::Texts { proposed, additions })?;
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
    let mut policies = by_service(&settings);
    if let (Some(out), Some(existing)) = (&arguments.out, &existing)
        && existing.services.iter().any(|service| !policies.contains_key(service))
    {
        match config::load_if_present(out, &environment, context.now) {
            Ok(of_file) => policies.extend(by_service(&of_file)),
            // It may be a part of another configuration, which nobody named.
            Err(_) => warn(
                context,
                &format!(
                    "what the services of `{}` lack is not told: see `certroll check --config {0}`",
                    out.display()
                ),
            ),
        }
    }
    Ok(Asked { settings, environment, configuration, existing, policies })
}

fn by_service(settings: &Settings) -> BTreeMap<CloudServiceId, ServicePolicy> {
    settings.policy.services.iter().map(|policy| (policy.service.clone(), policy.clone())).collect()
}

async fn look(arguments: &DiscoverArguments, asked: &Asked, context: &Context) -> Result<Told, Failure> {
    let records = Records::in_memory();
    let assembled = assemble(&asked.settings, Arc::new(SystemClock), records, Arc::new(Silence))
        .map_err(|error| Failure::new(Exit::Config, error))?;
    let inventory = assembled.azure.inventory();
    let configured = asked.policies.keys().cloned();
    let written = asked.existing.iter().flat_map(|existing| existing.services.iter().cloned());
    let scope = Scope {
        subscriptions: each_once(&arguments.subscriptions),
        vaults: arguments.vaults.iter().cloned().collect(),
        known: configured.chain(written).collect(),
        probe_port: Some(arguments.probe_port),
    };
    let waiting = Waiting::new(&context.stderr, "asking for what is deployed").counting(&assembled.azure);
    let watch = |progress: Progress| waiting.say(&progress.to_string());
    let work = async {
        let discovered = discover(&scope, inventory.as_ref(), &assembled.outside, &watch).await;
        let mut told = Told {
            proposals: Vec::new(),
            not_proposed: Vec::new(),
            additions: Vec::new(),
            not_compared: Vec::new(),
            discovered,
        };
        for service in told.discovered.survey.observation.services.keys() {
            let known = told.discovered.known.contains(service);
            match (propose(service, &told.discovered.survey), asked.policies.get(service)) {
                (Ok(proposal), Some(policy)) => told.additions.push(Additions::to(policy, &proposal)),
                (Err(not), _) if known => told.not_compared.push((service.clone(), not)),
                (_, None) if known => {}
                (Ok(proposal), None) => told.proposals.push(proposal),
                (Err(not), _) => told.not_proposed.push((service.clone(), not)),
            }
        }
        if !arguments.no_probe {
            let new = told.proposals.iter_mut().flat_map(|proposal| &mut proposal.probes);
            let more = told.additions.iter_mut().flat_map(|additions| &mut additions.probes);
            try_endpoints(new.chain(more), &assembled.outside, &watch).await;
        }
        told.additions.iter_mut().for_each(Additions::keep_seen);
        told.additions.retain(|additions| !additions.is_empty());
        told
    };
    Ok(waiting.on(work).await)
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
