//! Look: the service as it is now, compared with both sides of the change.

use std::sync::Arc;

use certroll_core::ports::Progress;
use certroll_core::rollout::{Cause, Event, Found};
use jiff::Timestamp;

use super::reading::reading;
use crate::rollout::{Drive, Interruption};

/// Reads the service, not before a time, and says what is there.
pub(crate) async fn look(drive: &mut Drive<'_>, not_before: Timestamp) -> Result<(), Interruption> {
    drive.sleep_until(not_before).await?;
    let services = Arc::clone(&drive.outside.services);
    let service = drive.rollout.update().service.clone();
    let now = drive.outside.clock.now();
    let changed = drive.rollout.may_have_changed();
    // Once something may have been changed there is nothing better to do than to go on looking.
    let patience = if changed { drive.limits.operation } else { drive.limits.poll_interval * 3 };
    let until = now.checked_add(patience).unwrap_or(now);
    let model = match reading(drive, until, changed, || services.read(&service)).await? {
        Ok(model) => model,
        Err(error) => return drive.give_up(Cause::NotReadable { message: error.to_string() }).await,
    };
    let found = match drive.rollout.compare(&model) {
        Ok(found) => found,
        Err(error) => return drive.give_up(Cause::NotReadable { message: error.to_string() }).await,
    };
    if let Found::Busy { state } = &found {
        drive.waiting(&Progress::Busy { state: state.clone() });
    }
    drive.fresh = Some(model);
    drive.record(Event::Looked { found }).await
}
