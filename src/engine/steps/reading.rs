//! Reading, again and again until it works or has failed for too long.

use std::future::Future;

use certroll_core::ports::{PortError, Progress};
use jiff::Timestamp;

use crate::rollout::{Drive, Interruption};

/// Calls `read` until it succeeds. The port has repeated the call already, so that each failure here means a longer
/// trouble: the next try comes one poll interval later. After `until` the last failure is given back, and a failure
/// that no time mends is given back at once where `patient` is false.
pub(crate) async fn reading<T, F: Future<Output = Result<T, PortError>>>(
    drive: &mut Drive<'_>,
    until: Timestamp,
    patient: bool,
    read: impl Fn() -> F,
) -> Result<Result<T, PortError>, Interruption> {
    loop {
        let error = match read().await {
            Ok(value) => return Ok(Ok(value)),
            Err(error) => error,
        };
        let permanent = matches!(error, PortError::Permanent(_));
        if drive.outside.clock.now() >= until || (permanent && !patient) {
            return Ok(Err(error));
        }
        tracing::warn!(rollout = %drive.id(), error = %error, "a reading is repeated");
        drive.waiting(&Progress::Repeating { message: error.to_string() });
        let interval = drive.limits.poll_interval;
        drive.pause(interval).await?;
    }
}
