//! Another configuration for a running daemon: read whole, or refused whole.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use certroll_core::policy::Policy;
use tokio::sync::{oneshot, watch};
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

/// What became of a reload: what changed, a line for each; or why the configuration was refused.
pub type Reloaded = Result<Vec<String>, String>;

/// Where somebody waits for what becomes of a reload.
pub type Asker = oneshot::Sender<Reloaded>;

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
    pub async fn reload(&self) -> Reloaded {
        systemd::reloading();
        let reloaded = match self.read().await {
            Ok(generation) => Ok(self.put_in_force(generation)),
            Err(why) => {
                tracing::error!(reason = %why, "the new configuration is refused; the old one stays in force");
                self.state.refused_configuration(why.clone());
                self.teller.reload_failed(&why);
                Err(why)
            }
        };
        if !self.state.is_stopping() {
            systemd::ready();
        }
        reloaded
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
    fn put_in_force(&self, generation: Generation) -> Vec<String> {
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
        for change in &changed {
            tracing::info!(change = %change, "the configuration changed");
        }
        // Refused only while it is stopping.
        let _ = self.activator.activate(Reason::Reload);
        changed
    }
}

/// Reloads, one at a time and beside everything else: whoever asks to stop is heard meanwhile.
pub struct Reloads {
    reloader: Arc<Reloader>,
    running: JoinSet<()>,
    again: bool,
    /// Who waits for the next one.
    next: Vec<Asker>,
}

impl Reloads {
    /// None yet.
    pub fn new(reloader: Arc<Reloader>) -> Self {
        Self { reloader, running: JoinSet::new(), again: false, next: Vec::new() }
    }

    /// Asks for one. While one runs, which may have read the files already, any number of askers get one more.
    pub fn ask(&mut self, asker: Option<Asker>) {
        self.next.extend(asker);
        if self.running.is_empty() {
            let reloader = Arc::clone(&self.reloader);
            let askers = std::mem::take(&mut self.next);
            self.running.spawn(async move {
                let reloaded = reloader.reload().await;
                for asker in askers {
                    // Who asked may have gone.
                    let _ = asker.send(reloaded.clone());
                }
            });
        } else {
            self.again = true;
        }
    }

    /// Waits for the end of the one that runs; nothing where none does. An error means that it panicked.
    pub async fn done(&mut self) -> Option<Result<(), JoinError>> {
        let done = self.running.join_next().await?;
        if std::mem::take(&mut self.again) {
            self.ask(None);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Environment};

    const SHOP: &str = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/shop/providers/Microsoft.Compute/cloudServices/shop";

    fn configured(text: &str) -> Settings {
        let directory = tempfile::tempdir().unwrap();
        let secret = directory.path().join("secret");
        std::fs::write(&secret, if text.contains("# other secret") { "b" } else { "a" }.repeat(32)).unwrap();
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&secret, permissions).unwrap();
        let file = directory.path().join("certroll.toml");
        let service = if text.contains("[[service]]") { String::new() } else { service("") };
        std::fs::write(&file, format!("{text}\n{service}")).unwrap();
        config::load(&file, &Environment::default(), jiff::Timestamp::UNIX_EPOCH).unwrap()
    }

    fn service(keys: &str) -> String {
        format!("[[service]]\nid = \"{SHOP}\"\n{keys}\n")
    }

    /// What is said to have changed, and what of it waits for the next start.
    fn told(before: &str, after: &str) -> (Vec<String>, Vec<&'static str>) {
        let (before, after) = (configured(before), configured(after));
        (changes(&before, &after), fixed(&before, &after))
    }

    #[test]
    fn each_section_is_named_when_it_changes_and_no_other() {
        let events = "[events]\nlisten = \"127.0.0.1:8460\"\n[events.shared_secret]\nsecret_file = \"secret\"\nheader = \"x-certroll\"\n";
        let other_secret = format!("{events}# other secret");
        let elsewhere = events.replace("8460", "8461");
        let fewer = events.replace("8460\"\n", "8460\"\nconnections = 32\n");
        let table: [(&str, &str, &str, &[&str]); 13] = [
            ("", "cloud = \"china\"", "[cloud]", &[]),
            ("", "[identity]\nkind = \"azure_cli\"", "[identity]", &[]),
            ("", "[poll]\njitter = \"7s\"", "[poll]", &[]),
            ("", "[http]\nno_proxy = [\"example.com\"]", "[http]", &[]),
            ("", "[plan]\nsettle = \"7s\"", "[plan]", &[]),
            ("", "[rollout]\nconcurrency = 7", "[rollout]", &[]),
            ("", "[journal]\ndirectory = \"/elsewhere\"", "[journal]", &["journal.directory"]),
            ("", "[admin]\nsocket = \"/elsewhere\"", "[admin]", &["admin.socket"]),
            ("", "[monitoring]\nlisten = \"127.0.0.1:1\"", "[monitoring]", &["monitoring.listen"]),
            ("", "[log]\nformat = \"json\"", "[log]", &["log.format"]),
            ("", events, "[events]", &["events.listen"]),
            (events, &elsewhere, "[events]", &["events.listen"]),
            (events, &fewer, "[events]", &["events.connections"]),
        ];
        for (before, after, section, at_the_next_start) in table {
            let wanted = (vec![section.to_owned()], at_the_next_start.to_vec());
            assert_eq!(told(before, after), wanted, "from `{before}` to `{after}`");
        }
        assert_eq!(told(events, &other_secret), (vec!["[events]".to_owned()], vec![]), "a secret in a file");
        assert_eq!(told(events, events), (vec![], vec![]));
    }

    #[test]
    fn services_are_named_that_come_go_or_change() {
        let second = service("").replace("cloudServices/shop", "cloudServices/bank");
        let both = format!("{}{second}", service(""));
        let said = |before: &str, after: &str| told(before, after).0;
        assert_eq!(said("", &both), ["`bank` is looked after"]);
        assert_eq!(said(&both, &second), ["`shop` is no longer looked after"]);
        assert_eq!(said(&both, &format!("{second}{}", service("mode = \"observe\""))), ["`shop`"]);
        assert_eq!(said(&both, &format!("{second}{}", service(""))), [""; 0], "their order says nothing");
    }
}
