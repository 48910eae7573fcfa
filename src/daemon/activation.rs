//! What starts a look. An activation carries no work: it says that somebody has a reason to look, and who. Any number of
//! them become one look, so that a flood of events costs no more than a single one.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use certroll_core::id::VaultName;
use thiserror::Error;
use tokio::sync::Notify;

/// Why a look is due.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The process has started.
    Start,
    /// The schedule says so.
    Schedule,
    /// Something that a change waited for has come: a settle time or a window.
    Due,
    /// A vault told of a change.
    Event {
        /// The vault, one of those that are looked at: their number bounds the number of reasons.
        vault: VaultName,
    },
    /// A person asked.
    Person,
    /// The configuration was read again.
    Reload,
    /// A rollout has ended, so that what it held back may go on.
    Ended,
}

impl Reason {
    /// The word in logs and metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Schedule => "schedule",
            Self::Due => "due",
            Self::Event { .. } => "event",
            Self::Person => "person",
            Self::Reload => "reload",
            Self::Ended => "ended",
        }
    }
}

/// The process is stopping: there will be no further look.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("certroll is stopping")]
pub struct Stopping;

#[derive(Debug, Default)]
struct Pending {
    reasons: BTreeSet<Reason>,
    closed: bool,
}

#[derive(Debug, Default)]
struct Shared {
    pending: Mutex<Pending>,
    wake: Notify,
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        // Nothing panics while the lock is held, and what it guards is whole after each statement.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks for looks. Clones ask the same [`Activations`].
#[derive(Clone, Debug)]
pub struct Activator {
    shared: Arc<Shared>,
}

/// Hears of looks that are asked for.
#[derive(Debug)]
pub struct Activations {
    shared: Arc<Shared>,
}

/// Both ends.
pub fn activations() -> (Activator, Activations) {
    let shared = Arc::new(Shared::default());
    (Activator { shared: Arc::clone(&shared) }, Activations { shared })
}

impl Activator {
    /// Asks for a look. Never waits; a reason that is pending already is not repeated. A look that has begun does not
    /// count for a reason that comes after its begin.
    ///
    /// # Errors
    /// The process is stopping, so that nothing will come of it.
    pub fn activate(&self, reason: Reason) -> Result<(), Stopping> {
        let mut pending = self.shared.pending();
        if pending.closed {
            return Err(Stopping);
        }
        pending.reasons.insert(reason);
        drop(pending);
        self.shared.wake.notify_one();
        Ok(())
    }
}

impl Activations {
    /// Waits for the next reasons to look, and takes all of them. Nothing is lost if this is dropped while it waits.
    pub async fn next(&mut self) -> BTreeSet<Reason> {
        loop {
            let reasons = std::mem::take(&mut self.shared.pending().reasons);
            if !reasons.is_empty() {
                return reasons;
            }
            self.shared.wake.notified().await;
        }
    }

    /// Refuses further activations. What is pending is dropped: the look at the next start sees it.
    pub fn close(&mut self) {
        let mut pending = self.shared.pending();
        pending.closed = true;
        pending.reasons.clear();
    }
}

impl Drop for Activations {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn vault(name: &str) -> Reason {
        Reason::Event { vault: name.parse().unwrap() }
    }

    #[tokio::test]
    async fn many_become_one() {
        let (activator, mut activations) = activations();
        for _ in 0..1000 {
            activator.activate(vault("shop-kv")).unwrap();
            activator.activate(vault("SHOP-KV")).unwrap();
            activator.activate(Reason::Schedule).unwrap();
        }
        assert_eq!(activations.next().await, [Reason::Schedule, vault("shop-kv")].into());
        assert_eq!(activations.next().now_or_never(), None, "one look is enough");
        activator.activate(Reason::Person).unwrap();
        assert_eq!(activations.next().await, [Reason::Person].into());
    }

    #[tokio::test]
    async fn a_waiter_is_woken_and_one_that_gives_up_loses_nothing() {
        let (activator, mut activations) = activations();
        assert_eq!(activations.next().now_or_never(), None);
        let mut waiting = Box::pin(activations.next());
        assert!(futures::poll!(&mut waiting).is_pending());
        activator.activate(Reason::Due).unwrap();
        drop(waiting);
        assert_eq!(activations.next().await, [Reason::Due].into());
    }

    #[tokio::test]
    async fn nothing_is_promised_that_will_not_be_done() {
        let (activator, mut activations) = activations();
        activator.activate(Reason::Person).unwrap();
        activations.close();
        assert_eq!(activator.activate(Reason::Person), Err(Stopping));
        assert_eq!(activations.next().now_or_never(), None);
        let (activator, activations) = super::activations();
        drop(activations);
        assert_eq!(activator.activate(Reason::Schedule), Err(Stopping));
    }
}
