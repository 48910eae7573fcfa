//! From what is due to what became of it. Sending is in [`courier`](super::courier); everything here is plain values.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::event::{DATA_VERSION, Event, METADATA_VERSION};
use super::subscription::{Batching, DeadLettering, Provisioning, Schema, Subscription, SubscriptionRequest};
use super::switches::{Duplicates, Order, RetryTimes, SubscriptionName, Switches};
use super::wire::Message;
use super::{Publisher, schedule};
use crate::entra::Entra;

/// How long a delivery that was taken is left alone beyond the limit of its answer: if whoever sends it goes away
/// meanwhile, it is due again then, as Event Grid delivers at least once.
const LEASE: Duration = Duration::from_secs(10);
/// When a duplicate of a delivery follows it.
const DUPLICATE_AFTER: Duration = Duration::from_secs(10);
/// When a blob with what could not be delivered is there, after the last failure.
const DEAD_LETTER_AFTER: Duration = Duration::from_secs(300);

/// An event that waits for its delivery.
#[derive(Clone, Debug)]
pub(super) struct Queued {
    pub(super) event: Event,
    /// Since when.
    pub(super) since: Timestamp,
    pub(super) due: Timestamp,
    /// Attempts so far.
    pub(super) attempts: u32,
    /// Whether it was delivered already and comes again.
    pub(super) again: Again,
}

/// Whether a delivery is the second of one that succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    No,
    Yes,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// This status.
    Status(u16),
    /// None within the limit.
    TimedOut,
    /// None: not reached, cut, or not HTTP.
    Failed(String),
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Delivered.
    Delivered,
    /// Tried again at that time.
    RetriedAt(Timestamp),
    /// Gone.
    Dropped(Reason),
    /// Kept in a blob.
    DeadLettered(Reason),
}

/// Why an event is not tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The answer was one that is never retried.
    FinalAnswer,
    /// All attempts were made.
    MaxDeliveryAttemptsExceeded,
    /// It is too old.
    TimeToLiveExceeded,
}

/// One attempt to deliver one event, or the end of its life without one.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Subscription.
    pub subscription: String,
    /// The event.
    pub event: Event,
    /// Number of the request: events of one batch share it.
    pub request: u64,
    /// Number of the attempt, from 1; `aeg-delivery-count` is one less.
    pub attempt: u32,
    /// When what came back was there.
    pub at: Timestamp,
    /// What came back; `None` if nothing was sent.
    pub answered: Option<Answered>,
    /// What became of it.
    pub outcome: Outcome,
}

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

/// A request that is to be sent, and the events in it.
#[derive(Clone, Debug)]
pub(crate) struct Shipment {
    pub(crate) message: Message,
    subscription: String,
    number: u64,
    queued: Vec<Queued>,
}

impl Outcome {
    /// Whether the event's way is over.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::RetriedAt(_))
    }
}

impl Publisher {
    /// When something is due next.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.subscriptions
            .iter()
            .filter(|one| one.provisioning == Provisioning::Succeeded)
            .flat_map(|one| one.queue.iter().map(|queued| queued.due))
            .min()
    }

    /// Takes what is due: what has outlived its time ends here, the rest is to be sent in this order.
    pub(crate) fn take_due(&mut self, entra: &mut Entra, now: Timestamp) -> (Vec<Shipment>, Vec<Delivery>) {
        let (mut shipments, mut ended) = (Vec::new(), Vec::new());
        let lease = now + self.response_limit + LEASE;
        for at in 0..self.subscriptions.len() {
            let subscription = &mut self.subscriptions[at];
            if subscription.provisioning != Provisioning::Succeeded {
                continue;
            }
            let life = subscription.request.life();
            let (outlived, alive): (Vec<_>, Vec<_>) =
                std::mem::take(&mut subscription.queue).into_iter().partition(|one| one.since + life <= now);
            subscription.queue = alive;
            let mut due: Vec<Queued> = Vec::new();
            for queued in subscription.queue.iter_mut().filter(|queued| queued.due <= now) {
                due.push(queued.clone());
                queued.due = lease;
                queued.attempts += 1;
            }
            due.sort_by_key(|queued| queued.due);
            if self.disturbances.order == Order::Reversed {
                due.reverse();
            }
            let request = subscription.request.clone();
            let gone = outlived.into_iter().filter(|queued| queued.again == Again::No);
            ended.extend(gone.map(|queued| {
                self.end(&request, &queued, queued.attempts, None, Reason::TimeToLiveExceeded, (0, now))
            }));
            for batch in batches(due, &request, &self.switches) {
                self.requests += 1;
                let message = notification(&request, &batch, &self.switches, &self.origin, entra, now);
                let (subscription, number) = (request.name.clone(), self.requests);
                shipments.push(Shipment { message, subscription, number, queued: batch });
            }
        }
        self.record(&ended);
        (shipments, ended)
    }

    /// What becomes of the events of a request now that this came back.
    pub(crate) fn conclude(
        &mut self,
        shipment: Shipment,
        answered: Answered,
        now: Timestamp,
    ) -> Vec<Delivery> {
        let answered = if self.lost_answers > 0 {
            self.lost_answers -= 1;
            Answered::Failed("the answer was lost".to_owned())
        } else {
            answered
        };
        let Some(place) = self.place(&shipment.subscription) else { return Vec::new() };
        let request = self.subscriptions[place].request.clone();
        let deliveries: Vec<Delivery> = shipment
            .queued
            .into_iter()
            .map(|queued| self.conclude_one(&request, queued, &answered, (shipment.number, now)))
            .collect();
        self.record(&deliveries);
        deliveries
    }

    fn conclude_one(
        &mut self,
        request: &SubscriptionRequest,
        queued: Queued,
        answered: &Answered,
        (number, now): (u64, Timestamp),
    ) -> Delivery {
        let attempt = queued.attempts + 1;
        let status = match answered {
            Answered::Status(status) => Some(*status),
            Answered::TimedOut | Answered::Failed(_) => None,
        };
        let delivered = status.is_some_and(schedule::is_success);
        let twice = self.disturbances.duplicates == Duplicates::Present && queued.again == Again::No;
        let reason = match status {
            Some(status) if schedule::is_final(status, &self.switches) => Some(Reason::FinalAnswer),
            _ if attempt >= request.max_attempts => Some(Reason::MaxDeliveryAttemptsExceeded),
            _ => None,
        };
        let outcome = if delivered {
            if twice {
                self.again(&request.name, &queued, Again::Yes, now + DUPLICATE_AFTER);
            } else {
                self.forget(&request.name, &queued);
            }
            Outcome::Delivered
        } else if let Some(reason) = reason {
            return self.end(request, &queued, attempt, Some(answered.clone()), reason, (number, now));
        } else {
            let at = self.retry_time(&queued.event, attempt, status, now).min(queued.since + request.life());
            self.again(&request.name, &queued, queued.again, at);
            Outcome::RetriedAt(at)
        };
        Delivery {
            subscription: request.name.clone(),
            event: queued.event,
            request: number,
            attempt,
            at: now,
            answered: Some(answered.clone()),
            outcome,
        }
    }

    fn retry_time(&self, event: &Event, attempt: u32, status: Option<u16>, now: Timestamp) -> Timestamp {
        let wait = schedule::wait(attempt, status);
        let extra = match self.switches.retry_times {
            RetryTimes::Exact => Duration::ZERO,
            // The id is random and stays with the event: each waits a share of its own, 0 to 99 thousandths.
            RetryTimes::Spread => {
                let share =
                    event.id.bytes().fold(attempt, |sum, byte| sum * 31 % 100 + u32::from(byte)) % 100;
                wait * share / 1000
            }
        };
        now + wait + extra
    }

    /// Puts an event's delivery to a later time.
    fn again(&mut self, subscription: &str, queued: &Queued, again: Again, due: Timestamp) {
        if let Some(waiting) = self.waiting(subscription, queued) {
            waiting.due = due;
            waiting.again = again;
        }
    }

    fn waiting(&mut self, subscription: &str, queued: &Queued) -> Option<&mut Queued> {
        let place = self.place(subscription)?;
        self.subscriptions[place].queue.iter_mut().find(|one| one.event.id == queued.event.id)
    }

    fn forget(&mut self, subscription: &str, queued: &Queued) {
        if let Some(place) = self.place(subscription) {
            self.subscriptions[place].queue.retain(|one| one.event.id != queued.event.id);
        }
    }

    /// An event's way is over without success.
    fn end(
        &mut self,
        request: &SubscriptionRequest,
        queued: &Queued,
        attempt: u32,
        answered: Option<Answered>,
        reason: Reason,
        (number, now): (u64, Timestamp),
    ) -> Delivery {
        self.forget(&request.name, queued);
        let outcome = match request.dead_lettering {
            // What was delivered once already is not lost when it fails to come again.
            DeadLettering::On if queued.again == Again::No => {
                let letter =
                    dead_letter(request, queued, attempt, answered.as_ref(), reason, now, &self.switches);
                self.keep(letter);
                Outcome::DeadLettered(reason)
            }
            DeadLettering::On | DeadLettering::Off => Outcome::Dropped(reason),
        };
        Delivery {
            subscription: request.name.clone(),
            event: queued.event.clone(),
            request: number,
            attempt,
            at: now,
            answered,
            outcome,
        }
    }
}

/// Parts what is due into requests.
fn batches(due: Vec<Queued>, request: &SubscriptionRequest, switches: &Switches) -> Vec<Vec<Queued>> {
    let Some(Batching { max_events, preferred_kilobytes }) = request.batching else {
        return due.into_iter().map(|queued| vec![queued]).collect();
    };
    let mut batches: Vec<Vec<Queued>> = Vec::new();
    let mut filled = 0;
    for queued in due {
        let size = queued.event.written(request.schema, switches).to_string().len();
        match batches.last_mut() {
            Some(last) if last.len() < max_events && filled + size <= preferred_kilobytes * 1024 => {
                filled += size;
                last.push(queued);
            }
            _ => {
                filled = size;
                batches.push(vec![queued]);
            }
        }
    }
    batches
}

/// The request that delivers a batch.
fn notification(
    request: &SubscriptionRequest,
    batch: &[Queued],
    switches: &Switches,
    origin: &str,
    entra: &mut Entra,
    now: Timestamp,
) -> Message {
    let written = batch.iter().map(|queued| queued.event.written(request.schema, switches));
    let (body, kind) = match (request.schema, request.batching) {
        (Schema::EventGrid, _) => (written.collect::<Value>(), "application/json; charset=utf-8"),
        (Schema::CloudEvents, None) => {
            (written.take(1).next().unwrap_or_default(), "application/cloudevents+json; charset=utf-8")
        }
        (Schema::CloudEvents, Some(_)) => {
            (written.collect::<Value>(), "application/cloudevents-batch+json; charset=utf-8")
        }
    };
    let mut message = to_endpoint(request, "POST", "Notification", switches);
    message.body = body.to_string().into_bytes();
    message.header("content-type", kind);
    let first = batch.first();
    message.header("aeg-delivery-count", &first.map_or(0, |queued| queued.attempts).to_string());
    message.header("aeg-metadata-version", METADATA_VERSION);
    match request.schema {
        Schema::EventGrid => message.header("aeg-data-version", DATA_VERSION),
        Schema::CloudEvents => {
            message.header("origin", origin);
            message.header("webhook-request-origin", origin);
        }
    }
    if let Some(first) = first {
        message.header("aeg-output-event-id", &first.event.id);
    }
    with_credentials(message, request, entra, now)
}

/// A request to an endpoint with what all requests of Event Grid have.
pub(super) fn to_endpoint(
    request: &SubscriptionRequest,
    method: &'static str,
    event_type: &str,
    switches: &Switches,
) -> Message {
    let mut message = Message::new(method, request.endpoint.clone(), request.address());
    let name = match switches.subscription_name {
        SubscriptionName::UpperCase => request.name.to_ascii_uppercase(),
        SubscriptionName::AsGiven => request.name.clone(),
    };
    message.header("aeg-event-type", event_type);
    message.header("aeg-subscription-name", &name);
    message
}

/// The same with the subscription's own headers and its token.
pub(super) fn with_credentials(
    mut message: Message,
    request: &SubscriptionRequest,
    entra: &mut Entra,
    now: Timestamp,
) -> Message {
    for (name, value) in &request.headers {
        message.header(name, value);
    }
    if let Some(token) = &request.token {
        let token = entra.delivery_token(token, now);
        message.header("authorization", &format!("Bearer {token}"));
    }
    message
}

fn dead_letter(
    request: &SubscriptionRequest,
    queued: &Queued,
    attempts: u32,
    answered: Option<&Answered>,
    reason: Reason,
    now: Timestamp,
    switches: &Switches,
) -> DeadLetter {
    let mut record = queued.event.written(request.schema, switches);
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
    DeadLetter { subscription: request.name.clone(), at, reason, record }
}

impl Subscription {
    /// Puts an event into the queue.
    pub(super) fn enqueue(&mut self, event: Event, now: Timestamp, due: Timestamp) {
        self.queue.push(Queued { event, since: now, due, attempts: 0, again: Again::No });
    }

    /// Events that wait for their delivery.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }
}
