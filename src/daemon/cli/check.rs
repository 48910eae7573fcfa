//! `certroll check`: the configuration, without the network.

use std::fmt::Write;

use certroll_core::notice::NoticeKind;
use certroll_core::policy::{CertificateMapping, Follow, Mode, ServicePolicy};
use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::{write_data, write_json};
use super::table::Table;
use super::terminal::Terminal;
use crate::config::{self, IdentitySettings, ManagedIdentity, PollTrigger, Settings, show_duration};

/// The version of the JSON document.
const FORMAT: u32 = 1;

/// Read the configuration and report everything that is wrong with it
///
/// Reads the main file, the files of the drop-in directory and the overrides of the environment, and prints what certroll
/// would do with them. All mistakes are reported at once, each with file, line, column and key. The network is not touched.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  certroll check                                 /etc/certroll/certroll.toml
  certroll check --config ./certroll.toml        another file
  CERTROLL__CLOUD=china certroll check           with an override
  certroll check --schema > certroll.schema.json the JSON schema, for editors

Exit codes:
  0   the configuration can be used
  78  it cannot")]
pub struct CheckArguments {
    /// Print the JSON schema of the configuration instead of reading one
    #[arg(long)]
    pub schema: bool,
}

/// How many poll times are shown.
const POLLS: usize = 3;

/// Runs the command.
///
/// # Errors
/// The configuration is wrong.
pub fn run(arguments: &CheckArguments, context: &Context) -> Result<Exit, Failure> {
    if arguments.schema {
        write_json(&config::json_schema())?;
        return Ok(Exit::Ok);
    }
    if !context.json {
        let settings = context.settings()?;
        write_data(&summary(&settings, context.now, &context.stdout))?;
        return Ok(Exit::Ok);
    }
    match config::load(&context.config, &context.environment, context.now) {
        Ok(settings) => {
            write_json(&summary_json(&settings, context.now))?;
            Ok(Exit::Ok)
        }
        Err(fault) => {
            write_json(&json!({ "format": FORMAT, "ok": false, "problems": fault.problems }))?;
            Ok(Exit::Config)
        }
    }
}

fn summary(settings: &Settings, now: Timestamp, terminal: &Terminal) -> String {
    let mut shown = String::new();
    let mut line = |name: &str, value: &str| {
        // Infallible: it writes to a string.
        let _ = writeln!(shown, "{} {value}", terminal.heading(&format!("{name:<9}")));
    };
    for file in &settings.files {
        line("file", &file.display().to_string());
    }
    let cloud = &settings.cloud;
    line(
        "cloud",
        &format!(
            "{}: {}, {}, *.{}",
            cloud.name, cloud.authority_host, cloud.resource_manager_host, cloud.vault_suffix
        ),
    );
    line("identity", &identity(&settings.identity));
    line("poll", &trigger(settings));
    for next in polls(settings, now) {
        line("next", &next);
    }
    if let Some(proxy) = &settings.http.proxy {
        line("proxy", proxy.url.as_str());
    }
    if let Some(file) = &settings.http.ca_file {
        line("ca file", &file.display().to_string());
    }
    line("journal", &settings.journal.directory.display().to_string());
    let rollout = &settings.rollout;
    line(
        "rollout",
        &format!(
            "{} at once, each at most {}, at most {} without progress",
            rollout.concurrency,
            show_duration(rollout.longest),
            show_duration(rollout.no_progress_for)
        ),
    );
    for channel in &settings.notify.channels {
        let kinds = match channel.kinds.len() {
            all if all == NoticeKind::all().count() => "every kind".to_owned(),
            1 => "1 kind".to_owned(),
            some => format!("{some} kinds"),
        };
        let least = channel.least_severity;
        line("notify", &format!("{}: {}, {kinds}, from {least} on", channel.name, channel.kind.word()));
    }
    let services = &settings.policy.services;
    if services.is_empty() {
        return shown;
    }
    let mut table = Table::new(["SERVICE", "GROUP", "STAGE", "FOLLOW", "MODE", "PROBES", "CHANGES"]);
    for service in services {
        table.row([
            service.service.name().to_owned(),
            service.service.resource_group().to_owned(),
            service.stage.to_string(),
            follow(service.follow).to_owned(),
            mode(service.mode).to_owned(),
            probes(service),
            window(service, now),
        ]);
    }
    shown.push('\n');
    shown.push_str(&table.render(terminal));
    let mut table = Table::new(["SERVICE", "CERTIFICATE", "ROLE", "SOURCE", "SETTINGS"]);
    for service in services {
        for mapping in &service.certificates {
            table.row([
                service.service.name().to_owned(),
                mapping.name.clone(),
                role(mapping),
                mapping.source.to_string(),
                if mapping.settings.is_empty() { "-".to_owned() } else { mapping.settings.join(", ") },
            ]);
        }
    }
    if !table.is_empty() {
        shown.push('\n');
        shown.push_str(&table.render(terminal));
    }
    shown
}

fn summary_json(settings: &Settings, now: Timestamp) -> Value {
    let services: Vec<Value> =
        settings.policy.services.iter().map(|service| service_json(service, now)).collect();
    json!({
        "format": FORMAT,
        "ok": true,
        "problems": settings.warnings,
        "files": settings.files,
        "cloud": settings.cloud,
        "identity": settings.identity.kind(),
        "poll": {
            "trigger": trigger(settings),
            "next": polls(settings, now),
            "jitter_seconds": settings.poll.jitter.as_secs_f64(),
        },
        "journal": settings.journal.directory,
        "services": services,
    })
}

fn service_json(service: &ServicePolicy, now: Timestamp) -> Value {
    let certificates: Vec<Value> = service
        .certificates
        .iter()
        .map(|mapping| {
            json!({
                "name": mapping.name,
                "role": mapping.role,
                "source": mapping.source,
                "source_vault": mapping.source_vault,
                "settings": mapping.settings,
            })
        })
        .collect();
    let endpoints: Vec<Value> = service
        .probe
        .endpoints
        .iter()
        .map(|probed| json!({ "endpoint": probed.endpoint, "certificate": probed.certificate }))
        .collect();
    json!({
        "id": service.service,
        "follow": service.follow,
        "mode": service.mode,
        "stage": service.stage,
        "certificates": certificates,
        "probe": { "endpoints": endpoints, "binding": service.probe.binding },
        "relaxed_guards": service.guards.relaxed,
        "minimum_remaining_seconds": service.guards.minimum_remaining.as_secs(),
        "next_window": service.window.as_ref().and_then(|window| window.opens(now)).map(|at| at.to_string()),
    })
}

fn identity(identity: &IdentitySettings) -> String {
    let kind = identity.kind();
    let detail = match identity {
        IdentitySettings::Auto { client_id, .. } | IdentitySettings::WorkloadIdentity { client_id, .. } => {
            client_id.as_ref().map(|id| format!("client {id}"))
        }
        IdentitySettings::ManagedIdentity(which) => Some(match which {
            ManagedIdentity::System => "the machine's own".to_owned(),
            ManagedIdentity::ClientId(id) => format!("client {id}"),
            ManagedIdentity::ObjectId(id) => format!("object {id}"),
            ManagedIdentity::ResourceId(id) => id.clone(),
        }),
        IdentitySettings::ClientSecret { tenant_id, client_id, .. }
        | IdentitySettings::ClientCertificate { tenant_id, client_id, .. } => {
            Some(format!("client {client_id} of tenant {tenant_id}"))
        }
        IdentitySettings::AzureCli { tenant_id } => tenant_id.as_ref().map(|id| format!("tenant {id}")),
    };
    detail.map_or_else(|| kind.to_owned(), |detail| format!("{kind}, {detail}"))
}

fn trigger(settings: &Settings) -> String {
    let jitter = show_duration(settings.poll.jitter);
    match &settings.poll.trigger {
        PollTrigger::Schedule(schedule) => {
            let zone = schedule.time_zone().iana_name().unwrap_or("UTC");
            format!("`{}` in {zone}, up to {jitter} later", schedule.pattern())
        }
        PollTrigger::Every(every) => format!("every {}, up to {jitter} later", show_duration(*every)),
    }
}

fn polls(settings: &Settings, now: Timestamp) -> Vec<String> {
    // Whole seconds: nobody schedules by less.
    let start = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let times =
        std::iter::successors(settings.poll.next_after(start), |last| settings.poll.next_after(*last));
    times.take(POLLS).map(|time| time.to_string()).collect()
}

fn probes(service: &ServicePolicy) -> String {
    let probe = &service.probe;
    if probe.endpoints.is_empty() {
        return "-".to_owned();
    }
    let endpoints: Vec<String> = probe.endpoints.iter().map(|probed| probed.endpoint.to_string()).collect();
    format!("{} ({})", endpoints.join(", "), if probe.binding { "binding" } else { "not binding" })
}

fn window(service: &ServicePolicy, now: Timestamp) -> String {
    let Some(window) = &service.window else { return "at any time".to_owned() };
    match window.opens(now) {
        Some(opens) if opens <= now => "now, a window is open".to_owned(),
        Some(opens) => format!("from {opens}"),
        None => "never".to_owned(),
    }
}

fn role(mapping: &CertificateMapping) -> String {
    mapping.role.as_ref().map_or_else(|| "every role".to_owned(), ToString::to_string)
}

fn follow(follow: Follow) -> &'static str {
    match follow {
        Follow::References => "references",
        Follow::Listed => "listed",
    }
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Auto => "auto",
        Mode::Approve => "approve",
        Mode::Observe => "observe",
    }
}
