//! From what is due to what became of it. Sending is in [`courier`](super::courier); everything here is plain values.

use std::time::Duration;

use jiff::Timestamp;

use super::dead_letter::DeadLetter;
use super::event::Event;
use super::message::{batches, notification};
use super::subscription::{DeadLettering, Provisioning, Subscription, SubscriptionRequest};
use super::switches::{Duplicates, Order, Probation, RetryTimes};
use super::wire::Message;
use super::{Publisher, schedule};
use crate::entra::Entra;

/// How long a delivery that was taken is left alone beyond the limit of its answer: if whoever sends it goes away
/// meanwhile, it is due again then, as Event Grid delivers at least once.
const LEASE: Duration = Duration::from_secs(10);
/// Failed requests one after another that put an endpoint on probation, as in Microsoft's example.
const FAILURES_TO_PROBATION: u32 = 10;
/// How long nothing is delivered then. Documents say: up to several hours.
const PROBATION: Duration = Duration::from_secs(3_600);
/// When a duplicate of a delivery follows it.
const DUPLICATE_AFTER: Duration = Duration::from_secs(10);
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
            .flat_map(|one| one.queue.iter().map(|queued| one.earliest(queued)))
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
            let is_held = subscription.probation.is_some_and(|until| now < until);
            let mut due: Vec<Queued> = Vec::new();
            for queued in subscription.queue.iter_mut().filter(|queued| queued.due <= now && !is_held) {
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
        let succeeded = matches!(answered, Answered::Status(status) if schedule::is_success(status));
        self.subscriptions[place].judge_endpoint(succeeded, self.disturbances.probation, now);
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
            let subscription = self.place(&request.name).map(|place| &self.subscriptions[place]);
            let until = subscription.and_then(|subscription| subscription.probation);
            Outcome::RetriedAt(until.map_or(at, |until| at.max(until.min(queued.since + request.life()))))
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
                let last = (attempt, answered.as_ref());
                self.keep(DeadLetter::new(request, &queued.event, last, reason, now, &self.switches));
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

impl Subscription {
    /// Puts an event into the queue.
    pub(super) fn enqueue(&mut self, event: Event, now: Timestamp, due: Timestamp) {
        self.queue.push(Queued { event, since: now, due, attempts: 0, again: Again::No });
    }

    /// When an event can be sent or its life is over, whichever comes first.
    fn earliest(&self, queued: &Queued) -> Timestamp {
        let end = queued.since + self.request.life();
        self.probation.map_or(queued.due, |until| queued.due.max(until).min(end))
    }

    /// Counts failures in a row, which may put the endpoint on probation; a success ends that.
    fn judge_endpoint(&mut self, succeeded: bool, probation: Probation, now: Timestamp) {
        if succeeded {
            self.failures = 0;
            self.probation = None;
            return;
        }
        self.failures += 1;
        if probation == Probation::Present && self.failures >= FAILURES_TO_PROBATION {
            self.probation = Some(now + PROBATION);
        }
    }

    /// Events that wait for their delivery.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }
}
