//! The machine's clock.

use std::time::Duration;

use async_trait::async_trait;
use certroll_core::ports::Clock;
use jiff::Timestamp;

/// Reads the machine's clock and waits by it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// Longest single wait. The clock is read again after each, so that a clock that was set, or a machine that slept,
/// neither cuts a wait short nor draws it out by more than this.
const WAIT: Duration = Duration::from_secs(30);

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep_until(&self, until: Timestamp) {
        loop {
            let left = Duration::try_from(until.duration_since(self.now())).unwrap_or_default();
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(WAIT)).await;
        }
    }
}
