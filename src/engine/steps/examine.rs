//! Examine: the service read back, its instances, its endpoints, until all are right or the time is over.

use std::sync::Arc;

use certroll_core::plan::ServiceState;
use certroll_core::ports::Progress;
use certroll_core::rollout::{Cause, Event};
use certroll_core::verify::{Evidence, Mismatch, ProbeEvidence, judge};
use futures::StreamExt;
use jiff::Timestamp;

use super::reading::reading;
use crate::rollout::{Drive, Interruption};

/// Endpoints that are probed at once.
const ENDPOINTS_AT_ONCE: usize = 8;
/// A model that reads back other than wanted was changed by somebody: it is read this often before that is believed.
const MODEL_READINGS: u32 = 2;

/// Collects evidence until it shows what is expected, or until the last moment.
pub(crate) async fn examine(drive: &mut Drive<'_>, until: Timestamp) -> Result<(), Interruption> {
    let mut other_model = 0;
    let mut patience = ProbePatience::default();
    loop {
        let evidence = match collect(drive, until).await? {
            Ok(evidence) => evidence,
            Err(cause) => return drive.give_up(cause).await,
        };
        let Some(expected) = drive.rollout.expected() else {
            return drive.give_up(Cause::NotReadable { message: "nothing was captured".to_owned() }).await;
        };
        let Err(mismatches) = judge(&expected, evidence.clone()) else {
            return drive.record(Event::Examined { evidence: Box::new(evidence) }).await;
        };
        other_model += u32::from(mismatches.iter().any(|mismatch| matches!(mismatch, Mismatch::Model(_))));
        let only_endpoints = mismatches.iter().all(|mismatch| matches!(mismatch, Mismatch::Endpoint { .. }));
        let served_late = patience.is_over(only_endpoints, drive);
        if drive.outside.clock.now() >= until || other_model >= MODEL_READINGS || served_late {
            return drive.record(Event::Examined { evidence: Box::new(evidence) }).await;
        }
        drive.waiting(&Progress::Examining {
            mismatches: mismatches.iter().map(ToString::to_string).collect(),
        });
        let interval = drive.limits.poll_interval;
        drive.pause(interval).await?;
    }
}

/// How long nothing but endpoints has been wrong.
#[derive(Debug, Default)]
pub(crate) struct ProbePatience {
    since: Option<Timestamp>,
}

impl ProbePatience {
    /// Whether endpoints have had their time since everything else became right. Begins anew where something else is
    /// wrong again.
    pub(crate) fn is_over(&mut self, only_endpoints: bool, drive: &Drive<'_>) -> bool {
        if !only_endpoints {
            self.since = None;
            return false;
        }
        let now = drive.outside.clock.now();
        let since = *self.since.get_or_insert(now);
        since.checked_add(drive.limits.probe).is_ok_and(|last| now >= last)
    }
}

async fn collect(drive: &mut Drive<'_>, until: Timestamp) -> Result<Result<Evidence, Cause>, Interruption> {
    let services = Arc::clone(&drive.outside.services);
    let service = drive.rollout.update().service.clone();
    // A service that cannot be read is waited for as long as an operation may take: what was changed is judged late
    // rather than never.
    let patience = until.checked_add(drive.limits.operation).unwrap_or(until);
    let not_readable = |error: String| Ok(Err(Cause::NotReadable { message: error }));
    let model = match reading(drive, patience, true, || services.read(&service)).await? {
        Ok(model) => model,
        Err(error) => return not_readable(error.to_string()),
    };
    let instances = match reading(drive, patience, true, || services.instances(&service)).await? {
        Ok(instances) => instances,
        Err(error) => return not_readable(error.to_string()),
    };
    let state = match ServiceState::of(&model) {
        Ok(state) => state,
        Err(error) => return not_readable(error.to_string()),
    };
    let probes = probe_all(drive).await;
    Ok(Ok(Evidence { state, instances, probes }))
}

/// What every endpoint of the update presents now.
pub(crate) async fn probe_all(drive: &Drive<'_>) -> Vec<ProbeEvidence> {
    let probe = Arc::clone(&drive.outside.probe);
    futures::stream::iter(drive.rollout.update().probes.clone())
        .map(|planned| {
            let probe = Arc::clone(&probe);
            async move {
                let presented = probe.presented(&planned.endpoint).await;
                ProbeEvidence { probe: planned, presented }
            }
        })
        .buffered(ENDPOINTS_AT_ONCE)
        .collect()
        .await
}
