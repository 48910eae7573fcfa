//! What starts a look. An activation carries no work: it says that somebody has a reason to look, and who. Any number of
//! them become one look, so that a flood of events costs no more than a single one.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use certroll_core::id::VaultName;
use thiserror::Error;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

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

    /// Whether a stranger's word is the reason, of which there may be any number.
    pub fn is_event(&self) -> bool {
        matches!(self, Self::Event { .. })
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
    /// Waits for the next reasons to look, and takes all of them. Events alone are no reason before `events_from`: they
    /// wait for others like them. Nothing is lost if this is dropped while it waits.
    pub async fn next(&mut self, events_from: Instant) -> BTreeSet<Reason> {
        loop {
            let waiting = {
                let mut pending = self.shared.pending();
                let only_events = pending.reasons.iter().all(Reason::is_event);
                if !pending.reasons.is_empty() && (!only_events || Instant::now() >= events_from) {
                    return std::mem::take(&mut pending.reasons);
                }
                !pending.reasons.is_empty()
            };
            tokio::select! {
                () = self.shared.wake.notified() => {}
                () = sleep_until(events_from), if waiting => {}
            }
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
    use std::time::Duration;

    use futures::FutureExt;

    use super::*;

    fn vault(name: &str) -> Reason {
        Reason::Event { vault: name.parse().unwrap() }
    }

    /// What is pending now.
    fn pending(activations: &mut Activations) -> Option<BTreeSet<Reason>> {
        activations.next(Instant::now()).now_or_never()
    }

    #[tokio::test]
    async fn many_become_one() {
        let (activator, mut activations) = activations();
        for _ in 0..1000 {
            activator.activate(vault("shop-kv")).unwrap();
            activator.activate(vault("SHOP-KV")).unwrap();
            activator.activate(Reason::Schedule).unwrap();
        }
        assert_eq!(pending(&mut activations), Some([Reason::Schedule, vault("shop-kv")].into()));
        assert_eq!(pending(&mut activations), None, "one look is enough");
        activator.activate(Reason::Person).unwrap();
        assert_eq!(pending(&mut activations), Some([Reason::Person].into()));
    }

    #[tokio::test]
    async fn a_waiter_is_woken_and_one_that_gives_up_loses_nothing() {
        let (activator, mut activations) = activations();
        assert_eq!(pending(&mut activations), None);
        let mut waiting = Box::pin(activations.next(Instant::now()));
        assert!(futures::poll!(&mut waiting).is_pending());
        activator.activate(Reason::Due).unwrap();
        drop(waiting);
        assert_eq!(pending(&mut activations), Some([Reason::Due].into()));
    }

    #[tokio::test(start_paused = true)]
    async fn events_wait_for_others_and_everybody_else_does_not() {
        let (activator, mut activations) = activations();
        let begun = Instant::now();
        let rest = Duration::from_secs(1);
        activator.activate(vault("shop-kv")).unwrap();
        let mut waiting = Box::pin(activations.next(begun + rest));
        assert!(futures::poll!(&mut waiting).is_pending());
        activator.activate(vault("second-kv")).unwrap();
        assert_eq!(waiting.await, [vault("shop-kv"), vault("second-kv")].into());
        assert_eq!(begun.elapsed(), rest, "they waited as long as they had to");

        activator.activate(vault("shop-kv")).unwrap();
        let mut waiting = Box::pin(activations.next(Instant::now() + rest));
        assert!(futures::poll!(&mut waiting).is_pending());
        activator.activate(Reason::Person).unwrap();
        assert_eq!(waiting.await, [vault("shop-kv"), Reason::Person].into());
        assert_eq!(begun.elapsed(), rest, "nobody waits who asked");
    }

    #[tokio::test]
    async fn nothing_is_promised_that_will_not_be_done() {
        let (activator, mut activations) = activations();
        activator.activate(Reason::Person).unwrap();
        activations.close();
        assert_eq!(activator.activate(Reason::Person), Err(Stopping));
        assert_eq!(pending(&mut activations), None);
        let (activator, activations) = super::activations();
        drop(activations);
        assert_eq!(activator.activate(Reason::Schedule), Err(Stopping));
    }
}
