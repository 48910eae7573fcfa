//! Operation: followed until it ends, or until it has been without progress or under way for too long.

use std::sync::Arc;

use certroll_core::ports::{FaultKind, PortError, Progress};
use certroll_core::retry::poll_interval;
use certroll_core::rollout::{Event, OperationOutcome};
use certroll_core::target::cloud_service::{
    InstanceState, OperationFailure, OperationHandle, OperationStatus, RoleInstance,
};
use jiff::Timestamp;

use crate::rollout::{Drive, Interruption};

/// Follows the operation of a PUT to its end.
pub(crate) async fn follow(
    drive: &mut Drive<'_>,
    handle: &OperationHandle,
    since: Timestamp,
) -> Result<(), Interruption> {
    let outcome = Watch::of_put(drive, since).outcome(drive, handle).await?;
    drive.record(Event::OperationEnded { outcome }).await
}

/// The two clocks of an operation, and what they watch.
pub(crate) struct Watch {
    since: Timestamp,
    moved: Timestamp,
    last: Option<Vec<RoleInstance>>,
    /// The URL that was given cannot be followed, or has not been answered for long: the service itself tells.
    by_resource: bool,
    /// Polls in a row that failed.
    failures: u32,
    whose: Whose,
}

/// What started an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// A PUT: it is over once the service itself is no longer busy.
    Put,
    /// A walk: the service may go on being busy, waiting for the next walk.
    Walk,
}

/// Polls of a URL that may fail in a row; each was repeated by the port already. Then the service itself is asked: an
/// update that succeeded must not be turned back because the place that tells of it is down.
const FAILURES: u32 = 3;

/// Where an operation stands.
enum Polled {
    /// It runs; the next poll is due after this wait.
    Running {
        /// The wait.
        wait: std::time::Duration,
    },
    /// It is over.
    Ended(OperationOutcome),
}

impl Watch {
    /// Watches an operation that began at `since`. A process that was started again gives it the whole time without
    /// progress anew.
    pub(crate) fn of_walk(drive: &Drive<'_>, since: Timestamp) -> Self {
        let moved = drive.outside.clock.now();
        Self { since, moved, last: None, by_resource: false, failures: 0, whose: Whose::Walk }
    }

    /// The same for the operation of a PUT.
    fn of_put(drive: &Drive<'_>, since: Timestamp) -> Self {
        Self { whose: Whose::Put, ..Self::of_walk(drive, since) }
    }

    /// Polls until the operation is over, or has taken too long.
    pub(crate) async fn outcome(
        &mut self,
        drive: &mut Drive<'_>,
        handle: &OperationHandle,
    ) -> Result<OperationOutcome, Interruption> {
        loop {
            match self.poll(drive, handle).await? {
                Polled::Ended(outcome) => return Ok(outcome),
                Polled::Running { wait } => {
                    if let Some(outcome) = self.too_long(drive) {
                        return Ok(outcome);
                    }
                    drive.pause(wait).await?;
                }
            }
        }
    }

    /// Asks once, for the operation and for the instances, whose states are what moves.
    async fn poll(
        &mut self,
        drive: &mut Drive<'_>,
        handle: &OperationHandle,
    ) -> Result<Polled, Interruption> {
        let services = Arc::clone(&drive.outside.services);
        let service = drive.rollout.update().service.clone();
        let handle = if self.by_resource { &OperationHandle::ProvisioningState } else { handle };
        let mut status = services.operation(&service, handle).await;
        if matches!(status, Ok(OperationStatus::Succeeded)) && !self.by_resource {
            let state = services.operation(&service, &OperationHandle::ProvisioningState).await;
            status = self.confirmed(state);
        }
        let wait = match status {
            Ok(OperationStatus::Succeeded) => return Ok(Polled::Ended(OperationOutcome::Succeeded)),
            Ok(OperationStatus::Failed(failure)) => {
                return Ok(Polled::Ended(OperationOutcome::Failed { failure }));
            }
            Ok(OperationStatus::InProgress { retry_after }) => {
                self.failures = 0;
                poll_interval(retry_after, drive.limits.poll_interval)
            }
            Err(error) => {
                self.unreadable(drive, &error);
                drive.limits.poll_interval
            }
        };
        match services.instances(&service).await {
            Ok(mut instances) => {
                instances.sort_by(|a, b| a.name.cmp(&b.name));
                let started =
                    instances.iter().filter(|instance| instance.state == InstanceState::Started).count();
                drive.waiting(&Progress::Operation { started, instances: instances.len() });
                if self.last.as_ref() != Some(&instances) {
                    self.last = Some(instances);
                    self.progressed(drive);
                }
            }
            Err(error) => {
                tracing::warn!(rollout = %drive.id(), error = %error, "instances cannot be read");
                drive.waiting(&Progress::Repeating { message: error.to_string() });
            }
        }
        Ok(Polled::Running { wait })
    }

    /// What an operation that succeeded amounts to, by the service's own state: that can be `Failed` all the same, or
    /// not yet settled.
    fn confirmed(&self, state: Result<OperationStatus, PortError>) -> Result<OperationStatus, PortError> {
        match (state, self.whose) {
            (Ok(OperationStatus::InProgress { .. }), Whose::Walk) => Ok(OperationStatus::Succeeded),
            (Ok(OperationStatus::Failed(OperationFailure { code, .. })), _) => {
                let message = format!("the operation succeeded, and left the service in the state `{code}`");
                Ok(OperationStatus::Failed(OperationFailure { code, message }))
            }
            (state, _) => state,
        }
    }

    fn unreadable(&mut self, drive: &Drive<'_>, error: &PortError) {
        tracing::warn!(rollout = %drive.id(), error = %error, "the operation cannot be polled");
        drive.waiting(&Progress::Repeating { message: error.to_string() });
        self.failures += 1;
        // The URL names a foreign host, or the service has forgotten the operation.
        let useless =
            matches!(error.kind(), FaultKind::ForeignHost | FaultKind::NotFound | FaultKind::Malformed);
        if useless || self.failures >= FAILURES {
            self.by_resource = true;
        }
    }

    /// Something moved.
    fn progressed(&mut self, drive: &Drive<'_>) {
        self.moved = drive.outside.clock.now();
    }

    /// Whether one of the two clocks has run out.
    pub(crate) fn too_long(&self, drive: &Drive<'_>) -> Option<OperationOutcome> {
        let now = drive.outside.clock.now();
        let elapsed =
            |from: Timestamp| std::time::Duration::try_from(now.duration_since(from)).unwrap_or_default();
        let waited_for = if elapsed(self.since) > drive.limits.operation {
            format!(
                "the operation did not end within {} minutes",
                drive.limits.operation.as_secs().div_ceil(60)
            )
        } else if elapsed(self.moved) > drive.limits.no_progress {
            format!(
                "the operation made no progress for {} minutes",
                drive.limits.no_progress.as_secs().div_ceil(60)
            )
        } else {
            return None;
        };
        Some(OperationOutcome::TooLong { waited_for })
    }
}
