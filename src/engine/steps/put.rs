//! Put: the one call that changes something.

use std::sync::Arc;
use std::time::Duration;

use certroll_core::ports::{PortError, PutAccepted};
use certroll_core::rollout::{Cause, Event, Phase};

use crate::rollout::{Drive, Interruption};

/// Waits where the service asks for none: another operation or a limit does not pass within a second.
const PUT_OFF: Duration = Duration::from_secs(10);

/// Sends what the phase wants, once. What became of it is written whatever it was.
pub(crate) async fn put(drive: &mut Drive<'_>, phase: Phase) -> Result<(), Interruption> {
    let Some(fresh) = drive.fresh.take() else {
        // The look that allowed this PUT was made by a process that is gone.
        let now = drive.outside.clock.now();
        return super::look::look(drive, now).await;
    };
    let service = drive.rollout.update().service.clone();
    let body = match drive.rollout.wanted().map(|wanted| wanted.put_body(&fresh)) {
        Some(Ok(body)) => body,
        Some(Err(error)) => return drive.give_up(Cause::NotReadable { message: error.to_string() }).await,
        None => return drive.give_up(Cause::NotReadable { message: "nothing was captured".to_owned() }).await,
    };
    drive.record(Event::PutStarted { phase }).await?;
    let services = Arc::clone(&drive.outside.services);
    let event = match services.put(&service, &body).await {
        Ok(PutAccepted { operation, request_id }) => Event::PutAccepted { operation, request_id },
        Err(PortError::Permanent(fault)) => Event::PutRefused { message: fault.to_string() },
        Err(PortError::Retryable { fault, after }) => {
            let wait = certroll_core::retry::poll_interval(after, PUT_OFF);
            Event::PutDeferred { message: fault.to_string(), wait_seconds: wait.as_secs() }
        }
        Err(PortError::Ambiguous(fault)) => Event::PutAmbiguous { message: fault.to_string() },
    };
    drive.record(event).await
}
