//! Takes notices and sees that each channel gets them: one task takes them in and puts them into the outbox, one task for
//! each channel delivers. So nobody who tells something waits, and a channel that hangs delays no other.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use certroll_core::notice::{Memory, Notice};
use certroll_core::ports::{Clock, NoticeSink};
use certroll_journal::{OutboxStore, Route};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::channel::{Channel, SendError, SetupError};
use super::route::routes;
use crate::config::{ChannelSettings, HttpSettings, NotifySettings};

/// Notices that may wait to be put into the outbox. A look at a thousand services makes fewer.
const INTAKE: usize = 1024;
/// Notices that a channel keeps in memory while the outbox cannot be written.
const HELD: usize = 256;
/// Keys remembered as told while the outbox cannot be written.
const TOLD: usize = 10_000;
/// Deliveries that are read from the outbox at a time.
const BATCH: usize = 16;
/// The first wait after an attempt that failed; each further one is twice as long.
const FIRST: Duration = Duration::from_secs(15);
/// The longest wait between two attempts: a channel that is right again is used within the hour.
const LONGEST: Duration = Duration::from_secs(60 * 60);
/// How long a channel's task waits before it looks again at an outbox that could not be read or written.
const BROKEN: Duration = Duration::from_secs(60);
/// Under which name the watch's memory is kept in the outbox.
const WATCH: &str = "watch";

/// Channels that are set up, and do nothing yet.
pub struct Channels {
    channels: Vec<(ChannelSettings, Channel)>,
    give_up_after: Duration,
}

impl Channels {
    /// Sets the channels of a configuration up. Nothing is connected to.
    ///
    /// # Errors
    /// A channel cannot be set up.
    pub fn new(notify: &NotifySettings, http: &HttpSettings) -> Result<Self, SetupError> {
        let set_up = |settings: &ChannelSettings| Ok((settings.clone(), Channel::new(settings, http)?));
        let channels = notify.channels.iter().map(set_up).collect::<Result<_, _>>()?;
        Ok(Self { channels, give_up_after: notify.give_up_after })
    }
}

impl std::fmt::Debug for Channels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.channels.iter().map(|(settings, _)| settings.name.as_str());
        f.debug_list().entries(names).finish()
    }
}

/// Tells people. Dropping it leaves what is not delivered to the next process; [`Notifier::stop`] gives it a last chance.
pub struct Notifier {
    intake: mpsc::Sender<Taken>,
    outbox: Option<OutboxStore>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// What the intake's task is given, in its order.
enum Taken {
    Notice(Box<Notice>),
    Memory(String),
    Settled(oneshot::Sender<()>),
}

impl Notifier {
    /// Opens the outbox in the journal's directory. Blocks for as long as opening a file takes. Where it cannot be used,
    /// notices live as long as the process, and the log says so.
    pub fn outbox(directory: &Path) -> Option<OutboxStore> {
        match OutboxStore::open(directory) {
            Ok(outbox) => {
                if let Some(lost) = outbox.lost() {
                    tracing::warn!(
                        error = lost,
                        "the outbox was begun anew, notices that waited in it are lost"
                    );
                }
                Some(outbox)
            }
            Err(error) => {
                tracing::error!(error = %error, "the outbox cannot be used, notices are kept in memory");
                None
            }
        }
    }

    /// Starts the tasks. What an earlier process left undelivered in the outbox is sent; without an outbox notices are kept
    /// in memory.
    pub async fn start(channels: Channels, outbox: Option<OutboxStore>, clock: Arc<dyn Clock>) -> Self {
        let Channels { channels, give_up_after } = channels;
        let known: Vec<ChannelSettings> = channels.iter().map(|(settings, _)| settings.clone()).collect();
        if let Some(outbox) = &outbox {
            let names = known.iter().map(|channel| channel.name.clone()).collect();
            match outbox.keep_channels(names).await {
                Ok(0) => {}
                Ok(dropped) => tracing::warn!(dropped, "notices for channels that are no more were dropped"),
                Err(error) => tracing::warn!(error = %error, "the outbox cannot be written"),
            }
        }
        let (stop, stopping) = watch::channel(false);
        let mut tasks = Vec::new();
        let mut deliveries = HashMap::new();
        for (settings, channel) in channels {
            let held = Arc::new(Held::default());
            deliveries.insert(settings.name.clone(), Arc::clone(&held));
            let worker = Worker {
                name: settings.name.clone(),
                timeout: settings.timeout,
                give_up_after,
                channel,
                outbox: outbox.clone(),
                held,
                unmarked: HashMap::new(),
                clock: Arc::clone(&clock),
                stopping: stopping.clone(),
            };
            tasks.push(tokio::spawn(worker.run()));
        }
        let (intake, taken) = mpsc::channel(INTAKE);
        let intake_task =
            Intake { channels: known, outbox: outbox.clone(), deliveries, told: HashMap::new() };
        tokio::spawn(intake_task.run(taken));
        Self { intake, outbox, stop, tasks }
    }

    /// What the watch of an earlier process remembered; nothing where that is not known.
    pub async fn memory(&self) -> Memory {
        let Some(outbox) = &self.outbox else { return Memory::default() };
        let text = outbox.recall(WATCH).await.unwrap_or_else(|error| {
            tracing::warn!(error = %error, "what was told earlier is not known");
            None
        });
        text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    /// Keeps the watch's memory, after all notices that were told before: what was not put into the outbox is told again.
    pub fn remember(&self, memory: &Memory) {
        // A map with text as its keys always serializes.
        self.take(Taken::Memory(serde_json::to_string(memory).unwrap_or_default()));
    }

    /// Waits until everything that was told before is in the outbox.
    pub async fn settled(&self) {
        let (done, wait) = oneshot::channel();
        if self.intake.send(Taken::Settled(done)).await.is_ok() {
            let _ = wait.await;
        }
    }

    /// Sends what was never tried yet, within a time, and ends. What is left is sent by the next process.
    pub async fn stop(mut self, within: Duration) {
        let last = async {
            self.settled().await;
            self.stop.send_replace(true);
            futures::future::join_all(&mut self.tasks).await;
        };
        if tokio::time::timeout(within, last).await.is_err() {
            tracing::warn!("notices are left to the next start");
            for task in &self.tasks {
                task.abort();
            }
        }
    }

    /// The channels' tasks, for tests that kill them.
    #[cfg(test)]
    pub(super) fn tasks_to_kill(&self) -> Vec<tokio::task::AbortHandle> {
        self.tasks.iter().map(JoinHandle::abort_handle).collect()
    }

    fn take(&self, taken: Taken) {
        if let Err(error) = self.intake.try_send(taken)
            && let Taken::Notice(notice) = error.into_inner()
        {
            tracing::error!(
                kind = notice.kind.word(),
                key = notice.key,
                "too many notices wait for the outbox, one is dropped"
            );
        }
    }
}

impl NoticeSink for Notifier {
    fn tell(&self, notice: Notice) {
        self.take(Taken::Notice(Box::new(notice)));
    }
}

/// A notice that is kept in memory, since the outbox could not take it.
#[derive(Clone)]
struct InMemory {
    notice: Notice,
    since: Timestamp,
    due: Timestamp,
    attempts: u32,
}

/// What wakes a channel's task, and what it delivers besides the outbox.
#[derive(Default)]
struct Held {
    notices: Mutex<VecDeque<InMemory>>,
    wake: Notify,
}

impl Held {
    fn with<T>(&self, work: impl FnOnce(&mut VecDeque<InMemory>) -> T) -> T {
        work(&mut self.notices.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Puts notices into the outbox and wakes the channels.
struct Intake {
    channels: Vec<ChannelSettings>,
    outbox: Option<OutboxStore>,
    deliveries: HashMap<String, Arc<Held>>,
    /// What was told while the outbox could not be written.
    told: HashMap<(String, String), Timestamp>,
}

impl Intake {
    async fn run(mut self, mut taken: mpsc::Receiver<Taken>) {
        while let Some(taken) = taken.recv().await {
            match taken {
                Taken::Notice(notice) => self.notice(*notice).await,
                Taken::Memory(text) => {
                    if let Some(outbox) = &self.outbox
                        && let Err(error) = outbox.remember(WATCH, text).await
                    {
                        tracing::warn!(error = %error, "what was told cannot be remembered, it may be told again");
                    }
                }
                Taken::Settled(done) => {
                    let _ = done.send(());
                }
            }
        }
    }

    async fn notice(&mut self, notice: Notice) {
        let (kind, severity) = (notice.kind.word(), notice.severity.word());
        let routes = routes(&notice, &self.channels);
        let routed = !routes.is_empty();
        let pushed = match &self.outbox {
            None => None,
            Some(outbox) => outbox.push(&notice, routes.clone()).await.map_or_else(
                |error| {
                    tracing::error!(error = %error, kind, "the outbox cannot be written, a notice is kept in memory");
                    None
                },
                Some,
            ),
        };
        let queued = match pushed {
            Some(pushed) => {
                if pushed.dropped > 0 {
                    tracing::error!(
                        dropped = pushed.dropped,
                        "too many notices wait for their channels, the oldest were dropped"
                    );
                }
                pushed.queued
            }
            None => self.hold(&notice, routes),
        };
        if queued.is_empty() && routed {
            tracing::debug!(kind, key = notice.key, "a notice is not repeated yet");
        } else {
            let (title, channels) = (&notice.title, queued.join(","));
            tracing::info!(kind, severity, title, channels, "people are told");
        }
        for held in queued.iter().filter_map(|channel| self.deliveries.get(channel)) {
            held.wake.notify_one();
        }
    }

    /// Keeps a notice in memory for the channels that were not told the same lately.
    fn hold(&mut self, notice: &Notice, routes: Vec<Route>) -> Vec<String> {
        if self.told.len() > TOLD {
            self.told.clear();
        }
        let mut queued = Vec::new();
        for Route { channel, silent_for } in routes {
            let key = (channel.clone(), notice.key.clone());
            let silent = SignedDuration::try_from(silent_for).unwrap_or(SignedDuration::MAX);
            let repeats = |told: &Timestamp| {
                let passed = notice.at.duration_since(*told);
                passed >= SignedDuration::ZERO && passed < silent
            };
            if self.told.get(&key).is_some_and(repeats) {
                continue;
            }
            self.told.insert(key, notice.at);
            let held = InMemory { notice: notice.clone(), since: notice.at, due: notice.at, attempts: 0 };
            if let Some(deliveries) = self.deliveries.get(&channel) {
                let dropped = deliveries.with(|notices| {
                    notices.push_back(held);
                    (notices.len() > HELD).then(|| least(notices)).flatten()
                });
                if let Some(dropped) = dropped {
                    tracing::error!(
                        channel,
                        kind = dropped.notice.kind.word(),
                        "too many notices wait, one is dropped"
                    );
                }
                queued.push(channel);
            }
        }
        queued
    }
}

/// Takes out the oldest of those that ask least of people.
fn least(notices: &mut VecDeque<InMemory>) -> Option<InMemory> {
    let place = notices.iter().enumerate().min_by_key(|(place, held)| (held.notice.severity, *place));
    place.map(|(place, _)| place).and_then(|place| notices.remove(place))
}

/// Delivers to one channel.
struct Worker {
    name: String,
    timeout: Duration,
    give_up_after: Duration,
    channel: Channel,
    outbox: Option<OutboxStore>,
    held: Arc<Held>,
    /// What became of deliveries that the outbox could not be told: none is made twice for that.
    unmarked: HashMap<i64, Unmarked>,
    clock: Arc<dyn Clock>,
    stopping: watch::Receiver<bool>,
}

/// What the outbox does not know of a delivery.
#[derive(Clone, Copy)]
enum Unmarked {
    /// It was made, or given up.
    Done,
    /// It failed, and is not tried before this time.
    Failed(Timestamp),
}

/// What is done with a delivery after an attempt.
enum After {
    Delivered,
    Again(Timestamp),
    GivenUp,
}

impl Worker {
    async fn run(mut self) {
        loop {
            let stopping = *self.stopping.borrow();
            let healthy = self.deliver(stopping).await;
            if stopping {
                return;
            }
            let wait = self.wait(healthy).await;
            let clock = Arc::clone(&self.clock);
            let pause = async {
                match wait {
                    Some(until) => clock.sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.held.wake.notified() => {}
                // A notifier that was dropped leaves the rest to the next process.
                changed = self.stopping.changed() => if changed.is_err() { return },
                () = pause => {}
            }
        }
    }

    /// When there is something to do again, if nobody wakes this.
    async fn wait(&self, healthy: bool) -> Option<Timestamp> {
        let now = self.clock.now();
        let later = now.checked_add(BROKEN).unwrap_or(Timestamp::MAX);
        let held = self.held.with(|notices| notices.iter().map(|held| held.due).min());
        let stored = match &self.outbox {
            None => None,
            Some(_) if !healthy => Some(later),
            Some(outbox) => outbox.next_due(&self.name).await.unwrap_or(Some(later)),
        };
        held.into_iter().chain(stored).min()
    }

    /// Delivers what is due; while stopping, what was never tried. Returns whether the outbox could be used.
    async fn deliver(&mut self, stopping: bool) -> bool {
        let mut healthy = true;
        if let Some(outbox) = self.outbox.clone() {
            loop {
                let now = self.clock.now();
                // Those that the outbox knows less of than we do must not hide the others.
                let most = BATCH + self.unmarked.len();
                let due = match outbox.due(&self.name, now, most).await {
                    Ok(due) => due,
                    Err(error) => {
                        tracing::warn!(channel = self.name, error = %error, "the outbox cannot be read");
                        healthy = false;
                        break;
                    }
                };
                let mut tried = 0;
                for delivery in due {
                    let after = match self.unmarked.get(&delivery.number) {
                        Some(Unmarked::Done) => After::Delivered,
                        Some(Unmarked::Failed(until)) if *until > now => continue,
                        _ if stopping && delivery.attempts > 0 => continue,
                        _ => {
                            tried += 1;
                            self.attempt(&delivery.notice, delivery.attempts, delivery.since).await
                        }
                    };
                    let (marked, known) = match after {
                        After::Delivered => (outbox.delivered(&delivery).await, Unmarked::Done),
                        After::GivenUp => (outbox.given_up(&delivery).await, Unmarked::Done),
                        After::Again(until) => {
                            (outbox.failed(&delivery, until).await, Unmarked::Failed(until))
                        }
                    };
                    match marked {
                        Ok(()) => drop(self.unmarked.remove(&delivery.number)),
                        Err(error) => {
                            tracing::warn!(channel = self.name, error = %error, "the outbox cannot be written");
                            self.unmarked.insert(delivery.number, known);
                            healthy = false;
                        }
                    }
                    if !stopping && *self.stopping.borrow() {
                        return healthy;
                    }
                }
                if tried == 0 || !healthy {
                    break;
                }
            }
        }
        self.deliver_held(stopping).await;
        healthy
    }

    async fn deliver_held(&mut self, stopping: bool) {
        let now = self.clock.now();
        let is_due = |held: &InMemory| held.due <= now && !(stopping && held.attempts > 0);
        let due: Vec<InMemory> = self.held.with(|notices| {
            let (due, left): (Vec<_>, Vec<_>) = notices.drain(..).partition(is_due);
            *notices = left.into();
            due
        });
        for mut held in due {
            if let After::Again(until) = self.attempt(&held.notice, held.attempts, held.since).await {
                held.attempts += 1;
                held.due = until;
                self.held.with(|notices| notices.push_back(held));
            }
        }
    }

    async fn attempt(&self, notice: &Notice, attempts: u32, since: Timestamp) -> After {
        let (channel, kind) = (self.name.as_str(), notice.kind.word());
        let SendError { message, after } = match self.channel.send(notice, self.timeout).await {
            Ok(()) => {
                tracing::debug!(channel, kind, notice = notice.id(), "a notice was delivered");
                return After::Delivered;
            }
            Err(error) => error,
        };
        let now = self.clock.now();
        let attempt = attempts.saturating_add(1);
        let give_up = SignedDuration::try_from(self.give_up_after).unwrap_or(SignedDuration::MAX);
        if now.duration_since(since) >= give_up {
            tracing::error!(channel, kind, attempt, error = message, "a notice was given up");
            return After::GivenUp;
        }
        let wait = wait_after(attempts, after);
        tracing::warn!(
            channel,
            kind,
            attempt,
            error = message,
            again_in_seconds = wait.as_secs(),
            "a notice could not be delivered"
        );
        After::Again(now.checked_add(wait).unwrap_or(Timestamp::MAX))
    }
}

/// How long to wait after an attempt that failed, with so many before it.
fn wait_after(attempts: u32, asked: Option<Duration>) -> Duration {
    let own = FIRST.saturating_mul(1 << attempts.min(16)).min(LONGEST);
    asked.map_or(own, |asked| asked.min(LONGEST).max(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_end_and_what_is_asked_for_is_obeyed() {
        let waits: Vec<u64> = (0..10).map(|attempts| wait_after(attempts, None).as_secs()).collect();
        assert_eq!(waits, [15, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
        assert_eq!(wait_after(u32::MAX, None), LONGEST);
        assert_eq!(wait_after(0, Some(Duration::from_secs(40))), Duration::from_secs(40));
        assert_eq!(wait_after(0, Some(Duration::from_secs(1))), FIRST);
        assert_eq!(wait_after(0, Some(Duration::MAX)), LONGEST);
    }
}
