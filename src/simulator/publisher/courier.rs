//! Carries what the publisher has to say to the endpoints, and their answers back.

use std::sync::Arc;
use std::time::Duration;

use super::delivery::{Answered, Delivery};
use super::subscription::{Provisioning, SubscriptionRefused, SubscriptionRequest};
use super::wire::{self, Message, Unanswered, WireAnswer};
use crate::cloud::Cloud;
use crate::http::Shared;

/// How often the clock is moved on to the next delivery at most: a few thousand events with all their attempts.
const MAX_ROUNDS: usize = 100_000;
/// How long an automatic pace goes without a look, so that what only time brings about, as an expiry, is not missed.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The simulated Event Grid at work. Copies are the same one.
#[derive(Clone, Debug)]
pub struct Courier {
    shared: Arc<Shared>,
}

impl Courier {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Creates a subscription, or updates the one of that name, once its endpoint has consented.
    pub async fn subscribe(&self, request: SubscriptionRequest) -> Result<Provisioning, SubscriptionRefused> {
        let opening = self.shared.with(|cloud| cloud.open_subscription(request))?;
        let answer = self.send(opening.message.clone()).await;
        self.shared.with(|cloud| cloud.conclude_subscription(opening, &answer))
    }

    /// Deletes a subscription and tells its endpoint, whose answer does not matter. `false`: there is none.
    pub async fn unsubscribe(&self, name: &str) -> bool {
        let Some(message) = self.shared.with(|cloud| cloud.delete_subscription(name)) else { return false };
        let _ = self.send(message).await;
        true
    }

    /// Delivers what is due now, one request after another, and tells what became of each event. With a stepped clock
    /// an endpoint that does not answer holds this up until somebody moves time beyond the limit.
    pub async fn deliver_due(&self) -> Vec<Delivery> {
        let (shipments, mut deliveries) = self.shared.with(|cloud| {
            let now = cloud.now();
            let Cloud { publisher, entra, .. } = cloud;
            publisher.take_due(entra, now)
        });
        for shipment in shipments {
            let answered = match self.send(shipment.message.clone()).await {
                Ok(answer) => Answered::Status(answer.status),
                Err(Unanswered::TimedOut) => Answered::TimedOut,
                Err(Unanswered::Failed(error)) => Answered::Failed(error.to_string()),
            };
            deliveries.extend(self.shared.with(|cloud| {
                let now = cloud.now();
                cloud.publisher.conclude(shipment, answered, now)
            }));
        }
        deliveries
    }

    /// Moves time on to when something is due, if it is not there yet, and delivers that. Nothing where no event
    /// waits.
    pub async fn deliver_next(&self) -> Vec<Delivery> {
        let waits = self.shared.with(|cloud| {
            let next = cloud.publisher.next_due()?;
            cloud.advance(Duration::try_from(next.duration_since(cloud.now())).unwrap_or_default());
            Some(())
        });
        match waits {
            Some(()) => self.deliver_due().await,
            None => Vec::new(),
        }
    }

    /// Moves time on until no event waits any more, whatever became of each.
    pub async fn deliver_all(&self) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        for _ in 0..MAX_ROUNDS {
            if self.shared.with(|cloud| cloud.publisher.next_due()).is_none() {
                break;
            }
            deliveries.extend(self.deliver_next().await);
        }
        deliveries
    }

    /// Delivers whatever is due until the simulator ends: for a clock that runs by itself.
    pub(crate) async fn run(self) {
        let ended = self.shared.clone();
        tokio::select! {
            () = ended.ended() => {}
            () = async {
                loop {
                    self.deliver_due().await;
                    self.shared.until_moved_or(LOOK_AGAIN, |cloud| cloud.publisher.next_due()).await;
                }
            } => {}
        }
    }

    async fn send(&self, message: Message) -> Result<WireAnswer, Unanswered> {
        let (roots, until) = self.shared.with(|cloud| {
            (cloud.publisher.trusted_roots.clone(), cloud.now() + cloud.publisher.response_limit)
        });
        tokio::select! {
            answer = wire::send(message, &roots) => Ok(answer?),
            () = self.shared.until(until) => Err(Unanswered::TimedOut),
            () = self.shared.ended() => Err(Unanswered::Failed(std::io::ErrorKind::Interrupted.into())),
        }
    }
}
