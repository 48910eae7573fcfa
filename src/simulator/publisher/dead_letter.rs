//! What is kept of an event that could not be delivered.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::delivery::{Answered, Reason};
use super::event::Event;
use super::subscription::SubscriptionRequest;
use super::switches::Switches;

/// When the blob is there, after the last failure.
const DEAD_LETTER_AFTER: Duration = Duration::from_secs(300);

/// An event that could not be delivered, in its blob.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// Subscription.
    pub subscription: String,
    /// When the blob is there.
    pub at: Timestamp,
    /// Why.
    pub reason: Reason,
    /// The blob's record of it.
    pub record: Value,
}

impl DeadLetter {
    /// What is kept of an event after so many attempts, the last of which was answered this.
    pub(super) fn new(
        request: &SubscriptionRequest,
        event: &Event,
        (attempts, answered): (u32, Option<&Answered>),
        reason: Reason,
        now: Timestamp,
        switches: &Switches,
    ) -> Self {
        let mut record = event.written(request.schema, switches);
        record["deadLetterReason"] = json!(match reason {
            // The word for this one is not published.
            Reason::FinalAnswer => "UndeliverableDueToClientError",
            Reason::MaxDeliveryAttemptsExceeded => "MaxDeliveryAttemptsExceeded",
            Reason::TimeToLiveExceeded => "TimeToLiveExceeded",
        });
        record["deliveryAttempts"] = json!(attempts);
        record["lastDeliveryOutcome"] = json!(match answered {
            Some(Answered::Status(status)) =>
                http::StatusCode::from_u16(*status).ok().and_then(|status| status.canonical_reason()),
            Some(Answered::TimedOut) => Some("TimedOut"),
            Some(Answered::Failed(_)) => Some("Unreachable"),
            None => None,
        });
        let at = now + DEAD_LETTER_AFTER;
        Self { subscription: request.name.clone(), at, reason, record }
    }
}
