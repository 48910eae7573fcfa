//! A sign of life on a terminal while a command waits for Azure: what it does, for how long, and how many calls that took.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use certroll_azure::Azure;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::elapsed::elapsed;
use super::terminal::{Terminal, printable};

/// From when on the line is shown: what takes less is over before it is read.
const MOMENT: Duration = Duration::from_secs(1);
/// Time between two drawings: the eye takes it for movement, and a slow line of a remote shell is not filled by it.
const TICK: Duration = Duration::from_millis(120);

/// One line on standard error that is drawn again and again, and is gone when the work is done. Nothing is drawn where
/// standard error is no terminal.
#[derive(Debug)]
pub(super) struct Waiting {
    bar: ProgressBar,
    live: bool,
}

impl Waiting {
    /// A line that says `what`.
    pub(super) fn new(stderr: &Terminal, what: &str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        bar.set_message(printable(what));
        Self { bar, live: stderr.width().is_some() }.styled(None)
    }

    /// Shows how many calls a client made, and their rate.
    #[must_use]
    pub(super) fn counting(self, azure: &Azure) -> Self {
        let azure = azure.clone();
        self.styled(Some(Arc::new(move || azure.calls().iter().map(|call| call.count).sum())))
    }

    fn styled(self, calls: Option<Arc<dyn Fn() -> u64 + Send + Sync>>) -> Self {
        let style = ProgressStyle::with_template("{spinner} {since:>6}  {wide_msg} {calls}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner())
            .with_key("since", |state: &ProgressState, line: &mut dyn std::fmt::Write| {
                let _ = line.write_str(&elapsed(state.elapsed()));
            })
            .with_key("calls", move |state: &ProgressState, line: &mut dyn std::fmt::Write| {
                if let Some(calls) = &calls {
                    let _ = line.write_str(&rate(calls(), state.elapsed()));
                }
            });
        self.bar.set_style(style);
        self
    }

    /// Says something else from now on.
    pub(super) fn say(&self, what: &str) {
        self.bar.set_message(printable(what));
    }

    /// Does the work. The line appears when it has taken a moment, and goes when it is done.
    pub(super) async fn on<T>(&self, work: impl Future<Output = T>) -> T {
        if !self.live {
            return work.await;
        }
        let mut work = std::pin::pin!(work);
        if let Ok(done) = tokio::time::timeout(MOMENT, &mut work).await {
            return done;
        }
        self.bar.set_draw_target(ProgressDrawTarget::stderr());
        self.bar.enable_steady_tick(TICK);
        let done = work.await;
        self.bar.finish_and_clear();
        done
    }
}

/// Calls and their rate: `48 calls to Azure, 6.9/s`.
fn rate(calls: u64, since: Duration) -> String {
    let mut shown = format!("{calls} {} to Azure", if calls == 1 { "call" } else { "calls" });
    let seconds = since.as_secs_f64();
    if calls > 0 && seconds > 0.0 {
        #[expect(clippy::cast_precision_loss, reason = "nobody waits for 2^52 calls")]
        let rate = calls as f64 / seconds;
        let _ = write!(shown, ", {rate:.1}/s");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_and_their_rate_is_told() {
        assert_eq!(rate(0, Duration::from_secs(2)), "0 calls to Azure");
        assert_eq!(rate(1, Duration::from_secs(2)), "1 call to Azure, 0.5/s");
        assert_eq!(rate(48, Duration::from_secs(7)), "48 calls to Azure, 6.9/s");
    }
}
