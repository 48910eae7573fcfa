//! Another configuration for a running daemon: read whole, or refused whole.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch;

use super::generation::{Generation, Lasting};
use super::state::State;
use super::systemd;
use super::teller::Teller;
use crate::activation::{Activator, Reason};
use crate::config::Settings;

/// Reads the configuration once more: from the same files, with the same environment.
pub type Load = Arc<dyn Fn() -> Result<Settings, String> + Send + Sync>;

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
        systemd::ready();
    }

    async fn read(&self) -> Result<Generation, String> {
        let load = Arc::clone(&self.load);
        let loaded = tokio::task::spawn_blocking(move || load()).await;
        let settings = loaded.map_err(|error| format!("reading broke off: {error}"))??;
        let before = Arc::clone(&self.generations.borrow());
        if let Some(fixed) = fixed(&before.settings, &settings) {
            tracing::warn!(setting = fixed, "the change of this setting takes effect at the next start");
        }
        let generation =
            Generation::new(settings, &self.lasting, Some(&before)).map_err(|error| chain(&error))?;
        self.teller.change(&before.settings, &generation.settings).await.map_err(|error| chain(&error))?;
        Ok(generation)
    }

    fn put_in_force(&self, generation: Generation) {
        let before = Arc::clone(&self.generations.borrow());
        let changed = changes(&before.settings, &generation.settings);
        let settings = &generation.settings;
        let now = self.lasting.clock.now();
        self.state.configured(settings.cloud.name.clone(), settings.policy.clone(), now);
        for warning in &settings.warnings {
            tracing::warn!(warning = %warning.headline(), "the configuration has a warning");
        }
        self.generations.send_replace(Arc::new(generation));
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

/// A setting that a running process cannot change, and that is another now.
fn fixed(before: &Settings, after: &Settings) -> Option<&'static str> {
    if before.journal.directory != after.journal.directory {
        return Some("journal.directory");
    }
    if before.admin != after.admin {
        return Some("admin.socket");
    }
    if before.monitoring != after.monitoring {
        return Some("monitoring.listen");
    }
    let listens = |settings: &Settings| {
        settings.events.as_ref().map(|events| (events.listen, events.tls.clone(), events.connections))
    };
    (listens(before) != listens(after)).then_some("events.listen")
}

/// What is another, by section and by service, without values: some of them are secrets.
pub(super) fn changes(before: &Settings, after: &Settings) -> Vec<String> {
    fn told<T: std::fmt::Debug>(name: &str, before: &T, after: &T) -> Option<String> {
        (format!("{before:?}") != format!("{after:?}")).then(|| format!("[{name}]"))
    }
    let sections = [
        told("cloud", &before.cloud, &after.cloud),
        (before.identity != after.identity).then(|| "[identity]".to_owned()),
        told("poll", &before.poll, &after.poll),
        told("http", &before.http, &after.http),
        told(
            "plan",
            &(before.policy.settle, before.policy.urgent_before_expiry),
            &(after.policy.settle, after.policy.urgent_before_expiry),
        ),
        told("rollout", &before.rollout, &after.rollout),
        (before.events != after.events).then(|| "[events]".to_owned()),
        (before.notify != after.notify).then(|| "[notify]".to_owned()),
        told("journal", &before.journal, &after.journal),
        told("log", &before.log, &after.log),
    ];
    let mut changes: Vec<String> = sections.into_iter().flatten().collect();
    let ids = |settings: &Settings| {
        settings.policy.services.iter().map(|policy| policy.service.clone()).collect::<BTreeSet<_>>()
    };
    let (had, has) = (ids(before), ids(after));
    changes.extend(has.difference(&had).map(|service| format!("`{}` is looked after", service.name())));
    changes.extend(
        had.difference(&has).map(|service| format!("`{}` is no longer looked after", service.name())),
    );
    for policy in &after.policy.services {
        let old = before.policy.services.iter().find(|old| old.service == policy.service);
        if old.is_some_and(|old| format!("{old:?}") != format!("{policy:?}")) {
            changes.push(format!("`{}`", policy.service.name()));
        }
    }
    changes
}
