//! A clock that stands until a test moves it.

use async_trait::async_trait;
use certroll_core::ports::Clock;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

pub(super) struct HandClock(watch::Sender<Timestamp>);

impl HandClock {
    pub(super) fn new(now: Timestamp) -> Self {
        Self(watch::Sender::new(now))
    }

    pub(super) fn advance(&self, seconds: i64) {
        self.0.send_modify(|now| *now += SignedDuration::from_secs(seconds));
    }
}

#[async_trait]
impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        *self.0.borrow()
    }

    async fn sleep_until(&self, until: Timestamp) {
        let mut now = self.0.subscribe();
        // The sender lives as long as this.
        let _ = now.wait_for(|now| *now >= until).await;
    }
}
