//! Signals, for commands that lead rollouts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::exit::Exit;
use super::output;

/// Hears Ctrl-C and SIGTERM while a command runs. While rollouts are led, the first ends them at their next safe point
/// and the second ends the process; otherwise the first ends the process.
#[derive(Debug)]
pub(super) struct Interrupts {
    leading: Arc<AtomicBool>,
    stop: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Interrupts {
    /// Begins to hear.
    pub(super) fn start() -> Self {
        let leading = Arc::new(AtomicBool::new(false));
        let (asked, stop) = watch::channel(false);
        let task = tokio::spawn(heed(Arc::clone(&leading), asked));
        Self { leading, stop, task }
    }

    /// Says whether rollouts are led now.
    pub(super) fn leading(&self, leading: bool) {
        self.leading.store(leading, Ordering::SeqCst);
    }

    /// Turns to `true` once rollouts are to end at their next safe point.
    pub(super) fn stop(&self) -> &watch::Receiver<bool> {
        &self.stop
    }

    /// Whether that was asked for.
    pub(super) fn is_asked(&self) -> bool {
        *self.stop.borrow()
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn heed(leading: Arc<AtomicBool>, asked: watch::Sender<bool>) {
    // A process that cannot hear signals is ended by them.
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    let Ok(mut interrupt) = signal(SignalKind::interrupt()) else { return };
    let mut once = async || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    once().await;
    if !leading.load(Ordering::SeqCst) {
        output::write_message("\nnothing was begun\n");
        std::process::exit(Exit::TempFail as i32);
    }
    output::write_message("stopping at the next safe point; a second signal leaves at once\n");
    // Nobody listens any more once every rollout has ended.
    let _ = asked.send(true);
    once().await;
    output::write_message("left at once; `certroll apply` goes on with what has no ending\n");
    std::process::exit(Exit::TempFail as i32);
}
