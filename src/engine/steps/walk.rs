//! Walk: update domain after update domain of a service in Manual mode, so that a bad certificate stops at the first.
//!
//! Whether the PUT's own operation ends before the walk or waits for it is not documented: both are right here.

use std::sync::Arc;

use certroll_core::ports::{FaultKind, Progress};
use certroll_core::rollout::{Event, OperationOutcome};
use certroll_core::target::cloud_service::{
    OperationFailure, OperationHandle, OperationStatus, RoleInstance,
};
use certroll_core::verify::{self, Generation, Mismatch};
use jiff::Timestamp;

use super::examine::{ProbePatience, probe_all};
use super::operation::Watch;
use super::reading::reading;
use crate::rollout::{Drive, Interruption};

/// Walks the update domains from `from` on. Ends the operation where a domain fails.
pub(crate) async fn walk(
    drive: &mut Drive<'_>,
    put: &OperationHandle,
    since: Timestamp,
    from: u32,
) -> Result<(), Interruption> {
    let services = Arc::clone(&drive.outside.services);
    let service = drive.rollout.update().service.clone();
    let until = since.checked_add(drive.limits.operation).unwrap_or(since);
    let domains = match reading(drive, until, true, || services.update_domains(&service)).await? {
        Ok(domains) => domains,
        Err(error) => {
            return ended(drive, too_long(&format!("the update domains cannot be listed: {error}"))).await;
        }
    };
    let last = domains.iter().copied().max().unwrap_or(0);
    for domain in from..=last {
        // A PUT that fails does so before or while it is walked; then there is nothing to walk.
        if let Ok(OperationStatus::Failed(failure)) = services.operation(&service, put).await {
            return ended(drive, OperationOutcome::Failed { failure }).await;
        }
        drive.record(Event::WalkStarted { domain }).await?;
        if let Some(outcome) = walk_one(drive, domain, since).await? {
            return ended(drive, outcome).await;
        }
        drive.record(Event::DomainDone { domain, last: domain == last }).await?;
    }
    if from > last {
        drive.record(Event::DomainDone { domain: from, last: true }).await?;
    }
    Ok(())
}

async fn ended(drive: &mut Drive<'_>, outcome: OperationOutcome) -> Result<(), Interruption> {
    drive.record(Event::OperationEnded { outcome }).await
}

fn too_long(waited_for: &str) -> OperationOutcome {
    OperationOutcome::TooLong { waited_for: waited_for.to_owned() }
}

/// One domain: asked for, followed, its instances awaited, endpoints probed. Returns how the operation ended if it did.
async fn walk_one(
    drive: &mut Drive<'_>,
    domain: u32,
    since: Timestamp,
) -> Result<Option<OperationOutcome>, Interruption> {
    let services = Arc::clone(&drive.outside.services);
    let service = drive.rollout.update().service.clone();
    let mut watch = Watch::of_walk(drive, since);
    drive.waiting(&Progress::Domain { domain });
    let handle = loop {
        match services.walk_update_domain(&service, domain).await {
            Ok(handle) => break handle,
            // The update has not come to where it waits for the walk.
            Err(error) => {
                let refused = matches!(error, certroll_core::ports::PortError::Permanent(_));
                if refused && error.kind() != FaultKind::Conflict {
                    let message = format!("walking to update domain {domain}: {error}");
                    let failure = OperationFailure { code: "WalkRefused".to_owned(), message };
                    return Ok(Some(OperationOutcome::Failed { failure }));
                }
                drive.waiting(&Progress::Repeating { message: error.to_string() });
            }
        }
        if let Some(outcome) = watch.too_long(drive) {
            return Ok(Some(outcome));
        }
        let interval = drive.limits.poll_interval;
        drive.pause(interval).await?;
    };
    match watch.outcome(drive, &handle).await? {
        OperationOutcome::Succeeded => domain_is_right(drive, domain, since).await,
        outcome => Ok(Some(outcome)),
    }
}

/// The domain's instances are started, and no endpoint shows anything but the old or the new leaf, or what it showed
/// before.
async fn domain_is_right(
    drive: &mut Drive<'_>,
    domain: u32,
    since: Timestamp,
) -> Result<Option<OperationOutcome>, Interruption> {
    let services = Arc::clone(&drive.outside.services);
    let service = drive.rollout.update().service.clone();
    let now = drive.outside.clock.now();
    let until = now.checked_add(drive.limits.settle).unwrap_or(now);
    let overall = since.checked_add(drive.limits.operation).unwrap_or(since);
    let mut patience = ProbePatience::default();
    loop {
        let instances = match reading(drive, overall, true, || services.instances(&service)).await? {
            Ok(instances) => instances,
            Err(error) => return Ok(Some(too_long(&error.to_string()))),
        };
        let of_domain: Vec<RoleInstance> =
            instances.into_iter().filter(|instance| instance.update_domain == Some(domain)).collect();
        let names: Vec<String> = drive
            .rollout
            .expected()
            .map(|expected| expected.started.to_vec())
            .unwrap_or_default()
            .into_iter()
            .filter(|name| of_domain.iter().any(|instance| instance.name.eq_ignore_ascii_case(name)))
            .collect();
        let mut wrong: Vec<String> =
            verify::instances(&names, &of_domain).iter().map(ToString::to_string).collect();
        let instances_are_right = wrong.is_empty();
        if instances_are_right && drive.rollout.update().probe_binding {
            let seen = probe_all(drive).await;
            wrong = seen
                .iter()
                .flat_map(|seen| verify::endpoint(seen, Generation::Either))
                // An instance that another domain has goes on with what it had, whatever that was.
                .filter(|mismatch| {
                    let presented = |leaf| drive.rollout.was_presented(leaf);
                    !matches!(mismatch, Mismatch::Endpoint { found: Ok(leaf), .. } if presented(leaf))
                })
                .map(|mismatch| mismatch.to_string())
                .collect();
        }
        if wrong.is_empty() {
            return Ok(None);
        }
        if patience.is_over(instances_are_right, drive) || drive.outside.clock.now() >= until {
            let message = format!("after the walk to update domain {domain}: {}", wrong.join("; "));
            let failure = OperationFailure { code: "UpdateDomainUnhealthy".to_owned(), message };
            return Ok(Some(OperationOutcome::Failed { failure }));
        }
        drive.waiting(&Progress::Examining { mismatches: wrong });
        let interval = drive.limits.poll_interval;
        drive.pause(interval).await?;
    }
}
