//! Proof of progress: whoever works says until when it will speak again. The watchdog is fed only while that holds, so
//! that a process which hangs is ended and started anew, and one that waits for Azure is not.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The word of the one task that everything depends on.
#[derive(Clone, Debug)]
pub struct Heart {
    due: Arc<Mutex<Instant>>,
}

impl Heart {
    /// Beats for the first time.
    pub fn new(within: Duration) -> Self {
        Self { due: Arc::new(Mutex::new(Instant::now() + within)) }
    }

    /// Says that the next beat comes within this time.
    pub fn beat(&self, within: Duration) {
        *self.due.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now() + within;
    }

    /// Whether the last word still holds.
    pub fn is_alive(&self) -> bool {
        Instant::now() <= *self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_word_that_is_broken_is_no_progress() {
        let heart = Heart::new(Duration::from_secs(60));
        tokio::time::advance(Duration::from_secs(59)).await;
        assert!(heart.is_alive());
        heart.beat(Duration::from_secs(600));
        tokio::time::advance(Duration::from_secs(600)).await;
        assert!(heart.is_alive());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!heart.is_alive());
    }
}
