//! Gathers the evidence: many calls at once, each within a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use certroll_azure::{Audience, Azure};
use certroll_core::doctor::permission::PermissionEntry;
use certroll_core::doctor::process::Granted;
use certroll_core::doctor::service::ServiceEvidence;
use certroll_core::doctor::vault::VaultEvidence;
use certroll_core::doctor::{Az, Check, Finding, Principal, Subject, life, process, service, vault};
use certroll_core::id::{ObjectKind, ObjectName, RolloutId, SourceVaultId, VaultName};
use certroll_core::plan::{Occasion, PlanReport};
use certroll_core::policy::{Mode, Policy, ServicePolicy};
use certroll_core::ports::{
    FaultKind, InspectedVault, Inspection, JournalError, PortError, PortFault, Progress, Recorded,
    RolloutObserver, Scope, Server, VaultReader,
};
use certroll_core::target::cloud_service::{CloudServiceModel, OsProfile, SecretGroup};
use certroll_engine::outside::Outside;
use certroll_engine::pass;
use certroll_engine::world::World;
use futures::{StreamExt, stream};
use jiff::Timestamp;

use super::{machine, webhook};
use crate::adapters::SystemClock;
use crate::assembly::{Assembled, assemble};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::config::Settings;
use crate::records::{Records, reader};

/// Vaults and services that are looked at beside each other: quick for a fleet, far below every limit of calls.
const AT_ONCE: usize = 8;
/// Followed objects of one vault that are read. A vault that serves more is judged by these: permissions are mostly those
/// of a vault.
const READS: usize = 64;
/// Longest time for one question with its repetitions. A list of a large vault takes some seconds.
const QUESTION: Duration = Duration::from_secs(60);
/// Longest time for planning, which reads every service and what it follows.
const LOOK: Duration = Duration::from_secs(300);
/// What was found, and for which cloud.
pub(super) struct Diagnosis {
    pub(super) at: Timestamp,
    pub(super) cloud: String,
    pub(super) az: Az,
    pub(super) findings: Vec<Finding>,
}

/// What is known of a vault before it is asked.
#[derive(Default)]
struct Followed {
    id: Option<SourceVaultId>,
    objects: BTreeMap<ObjectName, Option<ObjectKind>>,
    is_deployed_from: bool,
}

/// What was read of one service.
struct Seen<'a> {
    policy: &'a ServicePolicy,
    model: Result<CloudServiceModel, PortError>,
    instances: Result<usize, PortError>,
    permissions: Result<Vec<PermissionEntry>, PortError>,
}

/// The program put together, and its journal as far as it can be read.
pub(super) struct Prepared {
    pub(super) azure: Azure,
    outside: Outside,
    journal: Result<(), JournalError>,
}

/// Puts the program together for looking only.
///
/// # Errors
/// A file that the settings name cannot be used, or the settings do not fit together.
pub(super) fn prepare(settings: &Settings) -> Result<Prepared, Failure> {
    let opened = reader(&settings.journal);
    // Nothing is remembered of versions: what remembers would make its file.
    let records = match &opened {
        Ok(reader) => Records { journal: Arc::new(reader.clone()), versions: None },
        Err(_) => Records::in_memory(),
    };
    let Assembled { azure, outside, .. } =
        assemble(settings, Arc::new(SystemClock), records, Arc::new(Silence))
            .map_err(|error| Failure::new(Exit::Config, error))?;
    Ok(Prepared { azure, outside, journal: opened.map(drop) })
}

/// Looks at everything.
pub(super) async fn gather(
    settings: &Settings,
    prepared: &Prepared,
    policy: &Policy,
    reach_webhook: bool,
) -> Diagnosis {
    let Prepared { azure, outside, journal } = prepared;
    let inspection = azure.inspection();
    let now = outside.clock.now();

    let tokens = [
        (Check::TokenForResourceManager, token(azure, Audience::ResourceManager).await),
        (Check::TokenForVaults, token(azure, Audience::Vault).await),
    ];
    let az = Az::new(&settings.cloud, principal(&tokens));
    let mut findings: Vec<Finding> =
        tokens.iter().map(|(check, granted)| process::token(*check, granted)).collect();
    findings.extend(machine::identity_certificate(settings, now));

    let services: Vec<Seen<'_>> = stream::iter(&policy.services)
        .map(|policy| see(policy, outside, inspection.as_ref()))
        .buffered(AT_ONCE)
        .collect()
        .await;
    let followed = followed(&services);
    let vaults = async {
        stream::iter(&followed)
            .map(|(name, followed)| inspect(name, followed, outside.vaults.as_ref(), inspection.as_ref()))
            .buffered(AT_ONCE)
            .collect::<Vec<VaultEvidence>>()
            .await
    };
    let clocks = async {
        stream::iter(servers(settings, &followed))
            .map(|(name, server)| {
                let inspection = &inspection;
                async move {
                    let time = within("asking for the time", inspection.server_time(&server)).await;
                    (name, time)
                }
            })
            .buffered(AT_ONCE)
            .collect::<Vec<_>>()
            .await
    };
    let (vaults, clocks, plan) = tokio::join!(vaults, clocks, look(policy, outside));

    for evidence in &vaults {
        findings.extend(vault::findings(evidence, &az));
    }
    for seen in &services {
        findings.extend(of_service(seen, &vaults, plan.as_ref(), &az));
        findings.extend(of_plan(seen.policy, plan.as_ref(), settings, now));
    }
    findings.extend(
        webhook::findings(settings, inspection.as_ref(), &of_webhook(&followed), &az, reach_webhook, now)
            .await,
    );
    findings.push(process::clock(&clocks));
    findings.extend(process::journal(&machine::journal(&settings.journal, journal)));
    // Stable: certificates keep the order of the cscfg.
    findings.sort_by(|one, other| (&one.subject, one.check).cmp(&(&other.subject, other.check)));
    Diagnosis { at: now, cloud: settings.cloud.name.clone(), az, findings }
}

/// Nobody watches.
#[derive(Debug)]
struct Silence;

impl RolloutObserver for Silence {
    fn recorded(&self, _record: &Recorded) {}
    fn waiting(&self, _rollout: &RolloutId, _progress: &Progress) {}
}

/// The outcome of a question, or that it took too long.
pub(super) async fn within<T>(
    doing: &str,
    question: impl Future<Output = Result<T, PortError>>,
) -> Result<T, PortError> {
    match tokio::time::timeout(QUESTION, question).await {
        Ok(answered) => answered,
        Err(_) => Err(PortError::Permanent(PortFault {
            doing: doing.to_owned(),
            kind: FaultKind::TimedOut,
            status: None,
            code: None,
            message: format!("not done within {} s", QUESTION.as_secs()),
            hint: None,
        })),
    }
}

async fn token(azure: &Azure, audience: Audience) -> Result<Granted, PortError> {
    let holder = within("getting a token", azure.check_token(audience)).await?.holder;
    Ok(Granted {
        identity: holder.identity.to_owned(),
        tenant: holder.tenant,
        application: holder.application,
        object: holder.object,
    })
}

fn principal(tokens: &[(Check, Result<Granted, PortError>)]) -> Principal {
    let granted = tokens.iter().find_map(|(_, granted)| granted.as_ref().ok());
    granted.map_or_else(Principal::default, |granted| {
        Principal::of(granted.object.as_deref(), granted.application.as_deref())
    })
}

async fn see<'a>(policy: &'a ServicePolicy, outside: &Outside, inspection: &dyn Inspection) -> Seen<'a> {
    let (id, scope) = (&policy.service, Scope::Service(policy.service.clone()));
    let (model, instances, permissions) = tokio::join!(
        within("reading the service", outside.services.read(id)),
        within("reading the role instances", outside.services.instances(id)),
        within("asking what is permitted on the service", inspection.permissions(&scope)),
    );
    Seen { policy, model, instances: instances.map(|all| all.len()), permissions }
}

/// The vaults that the configuration names and that services reference.
fn followed(services: &[Seen<'_>]) -> BTreeMap<VaultName, Followed> {
    let mut vaults: BTreeMap<VaultName, Followed> = BTreeMap::new();
    for seen in services {
        let deployed = seen.policy.mode != Mode::Observe;
        for mapping in &seen.policy.certificates {
            let vault = vaults.entry(mapping.source.vault.clone()).or_default();
            vault.is_deployed_from |= deployed;
            vault.objects.insert(mapping.source.name.clone(), Some(mapping.source.kind));
            if vault.id.is_none() {
                vault.id.clone_from(&mapping.source_vault);
            }
        }
        let Some(profile) = seen.model.as_ref().ok().and_then(|model| model.os_profile().ok()) else {
            continue;
        };
        for group in profile.groups() {
            let id = group.source_vault();
            let vault = vaults.entry(id.vault().clone()).or_default();
            vault.is_deployed_from |= deployed;
            vault.id = Some(id.clone());
        }
        for url in profile.urls() {
            let vault = vaults.entry(url.vault().clone()).or_default();
            vault.is_deployed_from |= deployed;
            vault.objects.entry(url.name().clone()).or_insert(None);
        }
    }
    vaults
}

fn of_webhook(followed: &BTreeMap<VaultName, Followed>) -> Vec<webhook::Vault> {
    let vault = |(name, followed): (&VaultName, &Followed)| webhook::Vault {
        name: name.clone(),
        id: followed.id.clone(),
        followed: followed.objects.keys().cloned().collect(),
    };
    followed.iter().map(vault).collect()
}

fn servers(settings: &Settings, followed: &BTreeMap<VaultName, Followed>) -> Vec<(String, Server)> {
    let manager = (settings.cloud.resource_manager_host.clone(), Server::ResourceManager);
    let vaults = followed
        .keys()
        .map(|vault| (format!("{vault}.{}", settings.cloud.vault_suffix), Server::Vault(vault.clone())));
    std::iter::once(manager).chain(vaults).collect()
}

async fn inspect(
    name: &VaultName,
    followed: &Followed,
    vaults: &dyn VaultReader,
    inspection: &dyn Inspection,
) -> VaultEvidence {
    let resource = async {
        let id = followed.id.clone()?;
        let seen = within("reading the vault's resource", inspection.vault(&id)).await;
        Some((id, seen))
    };
    let permissions = async {
        let scope = Scope::Vault(followed.id.clone()?);
        Some(within("asking what is permitted on the vault", inspection.permissions(&scope)).await)
    };
    let (resource, permissions, secrets, certificates) = tokio::join!(
        resource,
        permissions,
        within("listing the vault's secrets", vaults.list(name, ObjectKind::Secret)),
        within("listing the vault's certificates", vaults.list(name, ObjectKind::Certificate)),
    );
    // A reference does not tell whether its secret belongs to a vault certificate: the lists do.
    let mut known: BTreeSet<&ObjectName> = BTreeSet::new();
    known.extend(secrets.iter().flatten().filter(|one| one.managed).map(|one| &one.name));
    known.extend(certificates.iter().flatten().map(|one| &one.name));
    let is_certificate = |object: &ObjectName, kind: Option<ObjectKind>| match kind {
        Some(kind) => kind == ObjectKind::Certificate,
        None => known.contains(object),
    };
    let read_secrets = stream::iter(followed.objects.keys().take(READS))
        .map(|object| async move {
            let read = within("reading a followed secret", vaults.secret(name, object, None)).await;
            (object.clone(), read.map(drop))
        })
        .buffered(AT_ONCE)
        .collect();
    let certificates_of: Vec<&ObjectName> = followed
        .objects
        .iter()
        .filter(|(object, kind)| is_certificate(object, **kind))
        .map(|(object, _)| object)
        .take(READS)
        .collect();
    let read_certificates = stream::iter(certificates_of)
        .map(|object| async move {
            let read =
                within("reading a followed vault certificate", vaults.certificate(name, object, None)).await;
            (object.clone(), read.map(drop))
        })
        .buffered(AT_ONCE)
        .collect();
    let (read_secrets, read_certificates) = tokio::join!(read_secrets, read_certificates);
    VaultEvidence {
        vault: name.clone(),
        resource,
        secrets: secrets.map(|all| all.len()),
        certificates: certificates.map(|all| all.len()),
        read_secrets,
        read_certificates,
        permissions,
        is_deployed_from: followed.is_deployed_from,
    }
}

/// What planning says, unless it takes too long.
async fn look(policy: &Policy, outside: &Outside) -> Option<PlanReport> {
    let world = World::new();
    within_look(pass::look(policy, outside, &world, Occasion::Person)).await
}

async fn within_look(planning: impl Future<Output = PlanReport>) -> Option<PlanReport> {
    tokio::time::timeout(LOOK, planning).await.ok()
}

fn of_service(seen: &Seen<'_>, vaults: &[VaultEvidence], plan: Option<&PlanReport>, az: &Az) -> Vec<Finding> {
    let profile = seen.model.as_ref().ok().and_then(|model| model.os_profile().ok());
    let groups = profile.iter().flat_map(OsProfile::groups);
    let ids: Vec<&SourceVaultId> = groups.map(SecretGroup::source_vault).collect();
    let resource = |id: &SourceVaultId| -> Option<&Result<InspectedVault, PortError>> {
        let of_id = vaults.iter().filter_map(|vault| vault.resource.as_ref()).find(|(known, _)| known == id);
        of_id.map(|(_, seen)| seen)
    };
    let evidence = ServiceEvidence {
        policy: seen.policy,
        model: seen.model.as_ref(),
        instances: seen.instances.as_ref().copied(),
        permissions: seen.permissions.as_deref(),
        vaults: ids.into_iter().filter_map(|id| Some((id, resource(id)?.as_ref()))).collect(),
        plan: plan.and_then(|plan| plan.services.iter().find(|one| one.service == seen.policy.service)),
    };
    service::findings(&evidence, az)
}

/// The time that is left to what a service serves.
fn of_plan(
    policy: &ServicePolicy,
    plan: Option<&PlanReport>,
    settings: &Settings,
    now: Timestamp,
) -> Vec<Finding> {
    let subject = Subject::Service(policy.service.clone());
    let report = plan.and_then(|plan| plan.services.iter().find(|one| one.service == policy.service));
    match report {
        Some(report) if !report.serves.is_empty() => {
            life::served(report, &settings.notify.watch.near_expiry, now)
        }
        Some(_) => {
            let why = "what the service serves could not be read";
            vec![Finding::not_checked(Check::CertificateLife, &subject, why)]
        }
        None => {
            let why = format!("planning was not done within {} s", LOOK.as_secs());
            let not = |check| Finding::not_checked(check, &subject, why.clone());
            vec![not(Check::Plan), not(Check::CertificateLife)]
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::Instant;

    use super::*;
    use crate::config::{self, Environment};

    /// Time passes by itself where everything waits.
    #[tokio::test(start_paused = true)]
    async fn a_question_and_a_plan_have_an_end() {
        let begun = Instant::now();
        let Err(error) = within::<()>("asking", pending()).await else { panic!("nobody answers") };
        assert_eq!(begun.elapsed(), QUESTION);
        assert_eq!(error.kind(), FaultKind::TimedOut);
        assert_eq!(error.to_string(), "asking: no answer in time: not done within 60 s");

        let begun = Instant::now();
        assert!(within_look(pending()).await.is_none());
        assert_eq!(begun.elapsed(), LOOK);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_answered_in_time_is_taken() {
        let slow = async {
            tokio::time::sleep(QUESTION - Duration::from_millis(1)).await;
            Ok(7)
        };
        assert_eq!(within("asking", slow).await.ok(), Some(7));
    }

    #[test]
    fn a_plan_that_was_not_done_is_no_pass() {
        let service = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/cloudServices/shop";
        let environment = Environment::default();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("certroll.toml");
        std::fs::write(&path, format!("[[service]]\nid = \"{service}\"\n")).unwrap();
        let settings = config::load(&path, &environment, Timestamp::UNIX_EPOCH).unwrap();
        let found = of_plan(&settings.policy.services[0], None, &settings, Timestamp::UNIX_EPOCH);
        let told: Vec<_> = found.iter().map(|one| (one.check, one.verdict, one.what.as_str())).collect();
        let why = "planning was not done within 300 s";
        let not = certroll_core::doctor::Verdict::NotChecked;
        assert_eq!(told, [(Check::Plan, not, why), (Check::CertificateLife, not, why)]);
    }
}
