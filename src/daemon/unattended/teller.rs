//! Tells people what is worth telling: what looks and rollouts come to goes through the watch, which decides, and from
//! there to the channels of the configuration in force.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use certroll_azure::Azure;
use certroll_core::gap::EventGap;
use certroll_core::notice::{Notice, Watch};
use certroll_core::plan::PlanReport;
use certroll_core::ports::{Clock, JournalError, NoticeSink};
use certroll_core::rollout::{Ending, Rollout};
use certroll_journal::OutboxStore;

use super::tokens::TokenTally;
use crate::config::{HttpSettings, Settings};
use crate::notify::{Channels, Notifier, SetupError};

/// How long channels may take for what was never tried, when the process ends or gets other channels. What is left waits in
/// the outbox.
const LAST: Duration = Duration::from_secs(5);
/// Notices that wait while channels are changed: that takes seconds, in which one look may end.
const WAITING: usize = 1024;

/// Tells people what is worth telling.
pub struct Teller {
    watch: Mutex<Watch>,
    sink: Mutex<Sink>,
    outbox: Option<OutboxStore>,
    clock: Arc<dyn Clock>,
    tokens: Mutex<TokenTally>,
}

enum Sink {
    Channels(Notifier),
    /// Channels are being changed.
    Changing(VecDeque<Notice>),
    Ended,
}

fn whole<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each statement leaves what is guarded whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Teller {
    /// Starts the channels. What an earlier process left undelivered is sent.
    ///
    /// # Errors
    /// A channel cannot be set up.
    pub async fn start(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, SetupError> {
        let directory = settings.journal.directory.clone();
        let opened = tokio::task::spawn_blocking(move || Notifier::outbox(Path::new(&directory))).await;
        let outbox = opened.unwrap_or_else(|error| {
            tracing::error!(error = %error, "the outbox cannot be used, notices are kept in memory");
            None
        });
        let channels = Channels::new(&settings.notify, &settings.http)?;
        let notifier = Notifier::start(channels, outbox.clone(), Arc::clone(&clock)).await;
        let watch = Watch::new(settings.notify.watch, notifier.memory().await);
        Ok(Self {
            watch: Mutex::new(watch),
            sink: Mutex::new(Sink::Channels(notifier)),
            outbox,
            clock,
            tokens: Mutex::default(),
        })
    }

    /// Other channels and limits. Where the new channels cannot be set up, the old ones stay.
    ///
    /// # Errors
    /// A channel cannot be set up.
    pub async fn change(&self, before: &Settings, after: &Settings) -> Result<(), SetupError> {
        if before.notify == after.notify && same_network(&before.http, &after.http) {
            return Ok(());
        }
        // Before anything else: where it fails, nothing has been touched.
        let channels = Channels::new(&after.notify, &after.http)?;
        let old = std::mem::replace(&mut *whole(&self.sink), Sink::Changing(VecDeque::new()));
        if let Sink::Channels(notifier) = old {
            // Two tasks for one channel would deliver twice.
            notifier.stop(LAST).await;
        }
        let notifier = Notifier::start(channels, self.outbox.clone(), Arc::clone(&self.clock)).await;
        whole(&self.watch).set_limits(after.notify.watch);
        let waiting = std::mem::replace(&mut *whole(&self.sink), Sink::Channels(notifier));
        if let Sink::Changing(waiting) = waiting {
            waiting.into_iter().for_each(|notice| self.tell(notice));
        }
        Ok(())
    }

    /// The clients that are asked from now on count anew.
    pub fn count_anew(&self) {
        whole(&self.tokens).begin_anew();
    }

    fn tell(&self, notice: Notice) {
        match &mut *whole(&self.sink) {
            Sink::Channels(notifier) => notifier.tell(notice),
            Sink::Changing(waiting) if waiting.len() < WAITING => waiting.push_back(notice),
            Sink::Changing(_) | Sink::Ended => {
                tracing::error!(title = %notice.title, "a notice is lost, since nobody takes it");
            }
        }
    }

    /// Lets the watch judge, tells what it says, and keeps what it remembers.
    fn judge<N: IntoIterator<Item = Notice>>(&self, judge: impl FnOnce(&mut Watch) -> N) {
        let mut watch = whole(&self.watch);
        let before = watch.memory().clone();
        let notices = judge(&mut watch);
        let memory = watch.memory().clone();
        drop(watch);
        notices.into_iter().for_each(|notice| self.tell(notice));
        if memory == before {
            return;
        }
        if let Sink::Channels(notifier) = &*whole(&self.sink) {
            notifier.remember(&memory);
        }
    }

    /// A look has ended.
    pub fn looked(&self, report: &PlanReport, azure: &Azure) {
        let now = self.clock.now();
        self.judge(|watch| {
            let mut notices = watch.look(report, now);
            if let Some(tokens) = whole(&self.tokens).judge(azure.calls()) {
                notices.extend(watch.credentials(tokens.as_ref().copied().map_err(String::as_str), now));
            }
            notices
        });
    }

    /// A rollout has ended.
    pub fn ended(&self, rollout: &Rollout, ending: &Ending) {
        let now = self.clock.now();
        self.judge(|watch| [watch.ended(rollout, ending, now)]);
    }

    /// Whether the journal takes what it is given.
    pub fn journal(&self, state: Result<(), &JournalError>) {
        let now = self.clock.now();
        let said = state.map_err(ToString::to_string);
        let hint = state.err().and_then(|error| error.hint.as_deref());
        self.judge(|watch| watch.journal(said.as_ref().copied().map_err(|said| (said.as_str(), hint)), now));
    }

    /// An event did not come.
    pub fn gap(&self, gap: &EventGap) {
        let now = self.clock.now();
        let objects = [format!("{}/{}", gap.vault, gap.version.name())];
        self.judge(|watch| watch.event_gap(&gap.vault, &objects, now));
    }

    /// Vaults told of changes.
    pub fn heard<'a>(&self, vaults: impl IntoIterator<Item = &'a certroll_core::id::VaultName>) {
        self.judge(|watch| {
            vaults.into_iter().for_each(|vault| watch.event_came(vault));
            None
        });
    }

    /// A configuration was refused.
    pub fn reload_failed(&self, why: &str) {
        let now = self.clock.now();
        self.judge(|watch| [watch.reload_failed(why, now)]);
    }

    /// Gives what was never tried a last chance.
    pub async fn stop(&self) {
        let sink = std::mem::replace(&mut *whole(&self.sink), Sink::Ended);
        if let Sink::Channels(notifier) = sink {
            notifier.stop(LAST).await;
        }
    }
}

fn same_network(before: &HttpSettings, after: &HttpSettings) -> bool {
    before.proxy == after.proxy && before.no_proxy == after.no_proxy && before.ca_file == after.ca_file
}

impl std::fmt::Debug for Teller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Teller").finish_non_exhaustive()
    }
}
