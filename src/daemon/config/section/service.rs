//! `[[service]]`: the cloud services, how they follow their certificates, and what refuses a change.

use std::collections::HashMap;
use std::time::Duration;

use certroll_core::id::{CloudServiceId, RoleName, SourceVaultId, VaultObject};
use certroll_core::policy::{
    CertificateMapping, Follow, Guard, GuardPolicy, Mode, ProbePolicy, ProbedEndpoint, ServicePolicy,
    WeeklyWindow, Window,
};
use certroll_core::ports::ProbeEndpoint;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::at::At;
use crate::config::check::Checker;
use crate::config::place::Span;
use crate::config::problem::nearest;

/// `[[service]]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServiceKeys {
    /// The resource id of the cloud service.
    #[schemars(required)]
    id: Option<At<String>>,
    /// Which references follow the newest version of their vault object.
    follow: Option<At<FollowName>>,
    /// Who decides that a change is made.
    mode: Option<At<ModeName>>,
    /// Services of a lower stage go first; a failed stage stops the later ones.
    stage: Option<At<u32>>,
    /// Certificates that are bound to vault objects by name.
    certificate: Option<Vec<At<CertificateKeys>>>,
    /// What is looked at after a change.
    probe: Option<At<ProbeKeys>>,
    /// What refuses a change.
    guards: Option<GuardKeys>,
    /// When a change may start; absent is always.
    window: Option<At<WindowKeys>>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum FollowName {
    References,
    Listed,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ModeName {
    Auto,
    Approve,
    Observe,
}

/// `[[service.certificate]]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CertificateKeys {
    /// The certificate's name in the cscfg.
    #[schemars(required)]
    name: Option<At<String>>,
    /// The role; absent means every role that has that name.
    role: Option<At<String>>,
    /// The vault object that is followed.
    #[schemars(required)]
    source: Option<At<String>>,
    /// The resource id of the source's vault, where the service references no secret of that vault yet.
    source_vault: Option<At<String>>,
    /// ConfigurationSettings that repeat the thumbprint and change with it.
    settings: Option<Vec<At<String>>>,
}

/// `[service.probe]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ProbeKeys {
    /// TLS endpoints that must present the new leaf.
    endpoints: Option<Vec<At<EndpointKeys>>>,
    /// Whether a probe that fails turns the rollout back.
    binding: Option<At<bool>>,
}

/// An endpoint as `host:port`, or with more to say.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum EndpointKeys {
    /// `host:port`
    Address(String),
    /// A table.
    Table(EndpointTable),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EndpointTable {
    /// `host:port` to connect to.
    #[schemars(required)]
    address: Option<String>,
    /// The name asked for by SNI, where it is not the address's host.
    server_name: Option<String>,
    /// The cscfg certificate that it presents, where several leaves change.
    certificate: Option<String>,
}

/// `[service.guards]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GuardKeys {
    /// Guards that warn instead of refusing.
    relax: Option<Vec<At<String>>>,
    /// Least life that a new certificate must have left.
    minimum_remaining: Option<At<String>>,
}

/// `[service.window]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WindowKeys {
    /// Days and hours, such as `Tue-Thu 02:00-04:00`.
    #[schemars(required)]
    weekly: Option<At<Vec<At<String>>>>,
    /// The time zone that they are meant in.
    time_zone: Option<At<String>>,
}

/// Longest life that may be asked for: public certificates live for 200 days and fewer.
const REMAINING_MOST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

pub(crate) fn check(services: &[At<ServiceKeys>], checker: &mut Checker<'_>) -> Vec<ServicePolicy> {
    let mut first: HashMap<CloudServiceId, Span> = HashMap::new();
    let mut policies = Vec::new();
    for service in services {
        let Some(policy) = check_service(service, checker) else { continue };
        let span = service.value.id.as_ref().map_or(&service.span, |id| &id.span).clone();
        if let Some(earlier) = first.get(&policy.service) {
            let earlier = checker.sources.place(earlier);
            checker
                .error(&span, format!("the service is listed twice, first at {earlier}"))
                .expect("each service once: the drop-in files add services, they do not change them");
        } else {
            first.insert(policy.service.clone(), span);
            policies.push(policy);
        }
    }
    policies
}

fn check_service(service: &At<ServiceKeys>, checker: &mut Checker<'_>) -> Option<ServicePolicy> {
    let keys = &service.value;
    let id = match &keys.id {
        Some(at) => checker.id::<CloudServiceId>(at),
        None => {
            checker.missing(&service.span, "id", "the resource id of a cloud service");
            None
        }
    };
    let follow = match keys.follow.as_ref().map(|at| at.value) {
        None | Some(FollowName::References) => Follow::References,
        Some(FollowName::Listed) => Follow::Listed,
    };
    let mode = match keys.mode.as_ref().map(|at| at.value) {
        None | Some(ModeName::Auto) => Mode::Auto,
        Some(ModeName::Approve) => Mode::Approve,
        Some(ModeName::Observe) => Mode::Observe,
    };
    let listed = keys.certificate.as_deref().unwrap_or_default();
    if let (Follow::Listed, [], Some(follow)) = (follow, listed, &keys.follow) {
        checker
            .error(&follow.span, "`listed` follows only what is listed, and no certificate is")
            .expect("at least one `[[service.certificate]]`, or `follow = \"references\"`");
    }
    let certificates = certificates(listed, checker);
    let probe = keys.probe.as_ref().map(|at| probe(at, follow, listed, checker)).unwrap_or_default();
    let guards = keys.guards.as_ref().map(|keys| guards(keys, checker)).unwrap_or_default();
    let window = match &keys.window {
        Some(at) => Some(window(at, checker)?),
        None => None,
    };
    let stage = keys.stage.as_ref().map_or(0, |at| at.value);
    Some(ServicePolicy { service: id?, follow, mode, certificates, probe, guards, window, stage })
}

fn certificates(listed: &[At<CertificateKeys>], checker: &mut Checker<'_>) -> Vec<CertificateMapping> {
    let mut first: HashMap<(Option<RoleName>, String), Span> = HashMap::new();
    let mut mappings = Vec::new();
    for entry in listed {
        let keys = &entry.value;
        if keys.name.is_none() {
            checker.missing(&entry.span, "name", "the certificate's name in the cscfg");
        }
        if keys.source.is_none() {
            checker.missing(
                &entry.span,
                "source",
                "`<vault>/certificates/<name>` or `<vault>/secrets/<name>`",
            );
        }
        let name = keys.name.as_ref().filter(|at| not_empty(at, checker));
        let role = keys.role.as_ref().filter(|at| not_empty(at, checker)).map(|at| RoleName::new(&at.value));
        let source = keys.source.as_ref().and_then(|at| checker.id::<VaultObject>(at));
        let source_vault = keys.source_vault.as_ref().and_then(|at| checker.id::<SourceVaultId>(at));
        if let (Some(source), Some(vault), Some(at)) = (&source, &source_vault, &keys.source_vault)
            && source.vault != *vault.vault()
        {
            checker
                .error(&at.span, format!("`source_vault` is the vault `{}`", vault.vault()))
                .expect(format!("the vault of `source`, `{}`", source.vault));
        }
        let settings = keys.settings.as_deref().unwrap_or_default();
        settings.iter().for_each(|at| {
            not_empty(at, checker);
        });
        let Some(name) = name else { continue };
        let key = (role.clone(), name.value.to_lowercase());
        if let Some(earlier) = first.get(&key) {
            let earlier = checker.sources.place(earlier);
            let role = role.as_ref().map_or("every role".to_owned(), |role| format!("role `{role}`"));
            checker
                .error(&name.span, format!("`{}` of {role} is listed twice, first at {earlier}", name.value))
                .expect("each certificate of a role once");
            continue;
        }
        first.insert(key, name.span.clone());
        let Some(source) = source else { continue };
        mappings.push(CertificateMapping {
            name: name.value.clone(),
            role,
            source,
            source_vault,
            settings: settings.iter().map(|at| at.value.clone()).collect(),
        });
    }
    mappings
}

fn not_empty(at: &At<String>, checker: &mut Checker<'_>) -> bool {
    let empty = at.value.trim().is_empty();
    if empty {
        checker.error(&at.span, "the name is empty");
    }
    !empty
}

fn probe(
    at: &At<ProbeKeys>,
    follow: Follow,
    listed: &[At<CertificateKeys>],
    checker: &mut Checker<'_>,
) -> ProbePolicy {
    let keys = &at.value;
    let entries = keys.endpoints.as_deref().unwrap_or_default();
    if let (Some(binding), []) = (&keys.binding, entries) {
        checker
            .error(&binding.span, "`binding` is set, and there is no endpoint to probe")
            .expect("`endpoints` with at least one `host:port`");
    }
    let mut endpoints = Vec::new();
    for entry in entries {
        let (address, server_name, certificate) = match &entry.value {
            EndpointKeys::Address(address) => (Some(address), None, None),
            EndpointKeys::Table(table) => {
                (table.address.as_ref(), table.server_name.as_ref(), table.certificate.as_ref())
            }
        };
        let Some(address) = address else {
            checker.missing(&entry.span, "address", "`host:port`");
            continue;
        };
        if let Some(name) = certificate
            && follow == Follow::Listed
            && !listed.iter().any(|entry| entry.value.name.as_ref().is_some_and(|at| at.value == *name))
        {
            checker
                .error(&entry.span, format!("the certificate `{name}` is not listed for this service"))
                .expect("the `name` of one `[[service.certificate]]`");
        }
        let Some(host) = host_of(address) else {
            checker
                .error(&entry.span, format!("`{address}` is no endpoint"))
                .expect("`host:port`, such as `shop.contoso.com:443` or `[2001:db8::1]:443`");
            continue;
        };
        let server_name = server_name.cloned().unwrap_or_else(|| host.to_owned());
        let endpoint = ProbeEndpoint { address: address.clone(), server_name };
        endpoints.push(ProbedEndpoint { endpoint, certificate: certificate.cloned() });
    }
    // Whoever lists endpoints wants them to decide.
    let binding = keys.binding.as_ref().map_or(!endpoints.is_empty(), |at| at.value);
    ProbePolicy { endpoints, binding }
}

/// The host of `host:port`.
fn host_of(address: &str) -> Option<&str> {
    let (host, port) = address.rsplit_once(':')?;
    port.parse::<u16>().ok().filter(|port| *port > 0)?;
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').filter(|bare| bare.parse::<std::net::Ipv6Addr>().is_ok())?,
        None => host,
    };
    let fits = host.starts_with('[')
        || (!bare.is_empty()
            && bare.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')));
    fits.then_some(bare)
}

fn guards(keys: &GuardKeys, checker: &mut Checker<'_>) -> GuardPolicy {
    let mut policy = GuardPolicy::default();
    for at in keys.relax.iter().flatten() {
        match at.value.parse::<Guard>() {
            Ok(guard) => {
                policy.relaxed.insert(guard);
            }
            Err(_) => {
                let near = nearest(&at.value, Guard::all().map(Guard::name));
                let problem = checker.error(&at.span, format!("`{}` is no guard", at.value));
                problem.expect(crate::config::problem::one_of(Guard::all().map(Guard::name)));
                if let Some(near) = near {
                    problem.hint(format!("did you mean `{near}`?"));
                }
            }
        }
    }
    if let Some(at) = &keys.minimum_remaining
        && let Some(least) = checker.duration(at, Duration::ZERO, REMAINING_MOST)
    {
        policy.minimum_remaining = least;
    }
    policy
}

fn window(at: &At<WindowKeys>, checker: &mut Checker<'_>) -> Option<Window> {
    let keys = &at.value;
    let time_zone = match &keys.time_zone {
        Some(at) => checker.time_zone(at),
        None => Some(jiff::tz::TimeZone::UTC),
    };
    let Some(entries) = &keys.weekly else {
        checker.missing(&at.span, "weekly", "days and hours such as `Tue-Thu 02:00-04:00`");
        return None;
    };
    if entries.value.is_empty() {
        checker
            .error(&entries.span, "an empty window never opens")
            .expect("days and hours such as `Tue-Thu 02:00-04:00`, or no `[service.window]`");
        return None;
    }
    let mut weekly = Vec::new();
    for at in &entries.value {
        match at.value.parse::<WeeklyWindow>() {
            Ok(window) => weekly.push(window),
            Err(fault) => {
                checker
                    .error(&at.span, format!("`{}` is no weekly window: {}", fault.found, fault.reason))
                    .expect("days and hours such as `Tue-Thu 02:00-04:00` or `Sat,Sun 22:00-06:00`");
            }
        }
    }
    Some(Window { weekly, time_zone: time_zone? })
}
