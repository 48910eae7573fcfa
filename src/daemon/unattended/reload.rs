//! Another configuration for a running daemon: read whole, or refused whole.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use certroll_core::policy::Policy;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use super::generation::{Generation, Lasting};
use super::state::State;
use super::systemd;
use super::teller::Teller;
use super::webhook::Reception;
use crate::activation::{Activator, Reason};
use crate::config::Settings;
use crate::telemetry::Control;

/// Reads the configuration once more: from the same files, with the same environment.
pub type Load = Arc<dyn Fn() -> Result<Settings, String> + Send + Sync>;

/// Longest time for reading the configuration: small files of a local disk, or of a volume that may be slow.
const READING: Duration = Duration::from_secs(30);

/// Puts new configurations in force.
pub struct Reloader {
    /// Reads one.
    pub load: Load,
    /// The one in force.
    pub generations: watch::Sender<Arc<Generation>>,
    /// What outlives it.
    pub lasting: Lasting,
    /// What is known.
    pub state: Arc<State>,
    /// Asks for a look.
    pub activator: Activator,
    /// Tells people, by the channels of the configuration.
    pub teller: Arc<Teller>,
    /// The webhook, where events are listened for.
    pub reception: Option<Reception>,
    /// What is logged.
    pub log: Control,
}

impl Reloader {
    /// Reads the configuration and puts it in force. One that is wrong changes nothing.
    pub async fn reload(&self) {
        systemd::reloading();
        match self.read().await {
            Ok(generation) => self.put_in_force(generation),
            Err(why) => {
                tracing::error!(reason = %why, "the new configuration is refused; the old one stays in force");
                self.state.refused_configuration(why.clone());
                self.teller.reload_failed(&why);
            }
        }
        if !self.state.is_stopping() {
            systemd::ready();
        }
    }

    async fn read(&self) -> Result<Generation, String> {
        let load = Arc::clone(&self.load);
        let reading = tokio::task::spawn_blocking(move || load());
        let Ok(loaded) = tokio::time::timeout(READING, reading).await else {
            return Err(format!("it could not be read within {} s", READING.as_secs()));
        };
        let settings = loaded.map_err(|error| format!("reading broke off: {error}"))??;
        let before = Arc::clone(&self.generations.borrow());
        let generation =
            Generation::new(settings, &self.lasting, Some(&before)).map_err(|error| chain(&error))?;
        // The last that can fail.
        self.teller.change(&before.settings, &generation.settings).await.map_err(|error| chain(&error))?;
        Ok(generation)
    }

    /// Everything that follows the configuration has it before anybody is told.
    fn put_in_force(&self, generation: Generation) {
        let before = Arc::clone(&self.generations.borrow());
        let generation = Arc::new(generation);
        let settings = &generation.settings;
        let now = self.lasting.clock.now();
        self.state.configured(settings.cloud.name.clone(), settings.policy.clone(), now);
        self.teller.count_anew();
        if let Some(reception) = &self.reception {
            reception.configured(&generation);
        }
        self.generations.send_replace(Arc::clone(&generation));
        self.log.apply(settings.log);
        for warning in &settings.warnings {
            tracing::warn!(warning = %warning.headline(), "the configuration has a warning");
        }
        for setting in fixed(&before.settings, settings) {
            tracing::warn!(setting, "the change of this setting takes effect at the next start");
        }
        let changed = changes(&before.settings, settings);
        if changed.is_empty() {
            tracing::info!("the configuration was read again; nothing in it changed");
        }
        for change in changed {
            tracing::info!(change = %change, "the configuration changed");
        }
        // Refused only while it is stopping.
        let _ = self.activator.activate(Reason::Reload);
    }
}

/// Reloads, one at a time and beside everything else: whoever asks to stop is heard meanwhile.
pub struct Reloads {
    reloader: Arc<Reloader>,
    running: JoinSet<()>,
    again: bool,
}

impl Reloads {
    /// None yet.
    pub fn new(reloader: Arc<Reloader>) -> Self {
        Self { reloader, running: JoinSet::new(), again: false }
    }

    /// Asks for one. While one runs, which may have read the files already, any number of askers get one more.
    pub fn ask(&mut self) {
        if self.running.is_empty() {
            let reloader = Arc::clone(&self.reloader);
            self.running.spawn(async move { reloader.reload().await });
        } else {
            self.again = true;
        }
    }

    /// Waits for the end of the one that runs; nothing where none does. An error means that it panicked.
    pub async fn done(&mut self) -> Option<Result<(), JoinError>> {
        let done = self.running.join_next().await?;
        if std::mem::take(&mut self.again) {
            self.ask();
        }
        Some(done)
    }

    /// Waits for the end of the one that runs, and begins no other.
    pub async fn settle(&mut self) {
        while let Some(done) = self.running.join_next().await {
            if let Err(error) = done {
                tracing::error!(error = %error, "a reload broke off");
            }
        }
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// The settings that a running process cannot change, and that are others now.
fn fixed(before: &Settings, after: &Settings) -> Vec<&'static str> {
    let listens = |settings: &Settings| settings.events.as_ref().map(|events| events.listen);
    let own_tls = |settings: &Settings| settings.events.as_ref().map(|events| events.tls.clone());
    let connections = |settings: &Settings| settings.events.as_ref().map(|events| events.connections);
    // Where it begins or ends to listen, that says everything.
    let both = before.events.is_some() && after.events.is_some();
    let settings = [
        ("journal.directory", before.journal.directory != after.journal.directory),
        ("admin.socket", before.admin != after.admin),
        ("monitoring.listen", before.monitoring != after.monitoring),
        ("events.listen", listens(before) != listens(after)),
        ("events.tls", both && own_tls(before) != own_tls(after)),
        ("events.connections", both && connections(before) != connections(after)),
        ("log.format", before.log.format != after.log.format),
    ];
    settings.into_iter().filter_map(|(setting, changed)| changed.then_some(setting)).collect()
}

/// What is another, by section and by service, without values: some of them are secrets.
fn changes(before: &Settings, after: &Settings) -> Vec<String> {
    let (plan, was) = (&after.policy, &before.policy);
    let sections = [
        ("[cloud]", before.cloud != after.cloud),
        ("[identity]", before.identity != after.identity),
        ("[poll]", before.poll != after.poll),
        ("[http]", before.http != after.http),
        ("[plan]", (was.settle, was.urgent_before_expiry) != (plan.settle, plan.urgent_before_expiry)),
        ("[rollout]", before.rollout != after.rollout),
        ("[events]", before.events != after.events),
        ("[notify]", before.notify != after.notify),
        ("[journal]", before.journal != after.journal),
        ("[admin]", before.admin != after.admin),
        ("[monitoring]", before.monitoring != after.monitoring),
        ("[log]", before.log != after.log),
    ];
    let mut changes: Vec<String> =
        sections.into_iter().filter(|(_, changed)| *changed).map(|(section, _)| section.to_owned()).collect();
    let ids = |policy: &Policy| policy.services.iter().map(|policy| policy.service.clone()).collect();
    let (had, has): (BTreeSet<_>, BTreeSet<_>) = (ids(was), ids(plan));
    changes.extend(has.difference(&had).map(|service| format!("`{}` is looked after", service.name())));
    changes.extend(
        had.difference(&has).map(|service| format!("`{}` is no longer looked after", service.name())),
    );
    for policy in &plan.services {
        let old = was.services.iter().find(|old| old.service == policy.service);
        if old.is_some_and(|old| old != policy) {
            changes.push(format!("`{}`", policy.service.name()));
        }
    }
    changes
}
