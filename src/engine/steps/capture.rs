//! Capture: the service as it is, to return to.

use std::sync::Arc;

use certroll_core::id::Thumbprint;
use certroll_core::rollout::{Cause, Event};
use certroll_core::target::cloud_service::{CloudServiceModel, InstanceState, UpgradeMode};
use certroll_core::verify::Generation;

use super::examine::probe_all;
use super::reading::reading;
use crate::rollout::{Drive, Interruption};

/// Reads the service and which of its instances are started.
pub(crate) async fn capture(drive: &mut Drive<'_>) -> Result<(), Interruption> {
    let services = Arc::clone(&drive.outside.services);
    let service = drive.rollout.update().service.clone();
    let now = drive.outside.clock.now();
    // Nothing was changed: a few tries, then the next look plans anew.
    let until = now.checked_add(drive.limits.poll_interval * 3).unwrap_or(now);
    let model = match reading(drive, until, false, || services.read(&service)).await? {
        Ok(model) => model,
        Err(error) => return drive.give_up(Cause::NotReadable { message: error.to_string() }).await,
    };
    let instances = match reading(drive, until, false, || services.instances(&service)).await? {
        Ok(instances) => instances,
        Err(error) => return drive.give_up(Cause::NotReadable { message: error.to_string() }).await,
    };
    let started = instances
        .into_iter()
        .filter(|instance| instance.state == InstanceState::Started)
        .map(|instance| instance.name)
        .collect();
    match certroll_core::plan::ServiceState::of(&model) {
        Ok(_) => {
            let presented = presented(drive, &model).await;
            drive.record(Event::Captured { model: Box::new(model), started, presented }).await
        }
        Err(error) => drive.give_up(Cause::NotReadable { message: error.to_string() }).await,
    }
}

/// Leaves that endpoints present and that the plan does not know. In Manual mode the update reaches one domain after the
/// other, and each is judged while the others go on as they were.
async fn presented(drive: &Drive<'_>, model: &CloudServiceModel) -> Vec<Thumbprint> {
    if model.upgrade_mode() != UpgradeMode::Manual || !drive.rollout.update().probe_binding {
        return Vec::new();
    }
    let mut unknown = Vec::new();
    for seen in probe_all(drive).await {
        let known = Generation::Either.leaves(&seen.probe);
        let leaves = seen.presented.iter().filter_map(|one| one.outcome.as_ref().ok()?.first());
        unknown.extend(leaves.filter(|leaf| !known.contains(leaf)));
    }
    unknown.sort_unstable();
    unknown.dedup();
    unknown
}
