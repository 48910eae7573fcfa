//! What systemd is told: readiness, what the daemon is doing, that it makes progress, that it reloads and stops. Without
//! `$NOTIFY_SOCKET` nobody is told anything.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use certroll_core::ports::Clock;
use sd_notify::NotifyState;

use super::heart::Heart;
use super::state::State;
use crate::status::{ServiceWord, StatusView};

/// Time between two looks at the status line and the heart where systemd asks for no watchdog.
const PERIOD: Duration = Duration::from_secs(10);

/// Tells that the daemon is ready.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Tells that a new configuration is being read. [`ready`] ends it.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        // Without the time systemd would take the message for a fault.
        Err(error) => tracing::debug!(error = %error, "the monotonic clock cannot be read"),
    }
}

/// Tells that the daemon is stopping.
pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping at the next safe point")]);
}

/// Messages that wait where systemd does not read them. It always does; a manager that hangs must not hang us.
const WAITING: usize = 64;

/// Hands messages to a thread of its own: sending blocks while the manager does not read.
fn tell(states: &[NotifyState<'_>]) {
    static SENDER: OnceLock<SyncSender<String>> = OnceLock::new();
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    let sender = SENDER.get_or_init(|| {
        let (send, messages) = sync_channel::<String>(WAITING);
        std::thread::spawn(move || {
            for message in messages {
                if let Err(error) = sd_notify::notify(&[NotifyState::Custom(&message)]) {
                    tracing::debug!(error = %error, "systemd cannot be told");
                }
            }
        });
        send
    });
    let message: Vec<String> = states.iter().map(|state| state.to_string().trim_end().to_owned()).collect();
    if sender.try_send(message.join("\n")).is_err() {
        tracing::debug!("systemd does not read what it is told");
    }
}

/// Keeps the status line up to date, and feeds the watchdog as long as the heart beats.
pub async fn run(heart: Heart, state: Arc<State>, clock: Arc<dyn Clock>) {
    let asked = watchdog();
    // A third of what is asked for: one late turn is no miss.
    let period = asked.map_or(PERIOD, |asked| (asked / 3).min(PERIOD));
    let mut changes = state.changes();
    let mut line = String::new();
    let mut warned = false;
    loop {
        let now = status_line(&state.view(clock.now()));
        if now != line {
            tell(&[NotifyState::Status(&now)]);
            line = now;
        }
        if heart.is_alive() {
            warned = false;
            if asked.is_some() {
                tell(&[NotifyState::Watchdog]);
            }
        } else if !warned {
            warned = true;
            tracing::error!("no progress is made; the watchdog is not fed");
        }
        tokio::select! {
            // An error cannot be: the state is held here.
            _ = changes.changed() => {}
            () = tokio::time::sleep(period) => {}
        }
    }
}

/// The time within which systemd wants to hear of progress, if it does.
fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

/// What `systemctl status` shows, in a line.
pub fn status_line(view: &StatusView) -> String {
    if view.stopping {
        return "stopping at the next safe point".to_owned();
    }
    let mut parts = Vec::new();
    match (view.services.len(), view.last_look) {
        (0, _) => parts.push("no service is configured".to_owned()),
        (_, None) => parts.push("making its first look".to_owned()),
        (services, Some(_)) => {
            let counted = ServiceWord::ALL.into_iter().filter_map(|word| {
                let count = view.services.iter().filter(|service| service.state == word).count();
                (count > 0).then(|| format!("{count} {}", word.word()))
            });
            let noun = if services == 1 { "service" } else { "services" };
            parts.push(format!("{services} {noun}: {}", counted.collect::<Vec<_>>().join(", ")));
        }
    }
    let serves = view.services.iter().flat_map(|service| &service.serves);
    let ends = serves.filter_map(|served| served.not_after).min();
    if let Some(ends) = ends {
        parts.push(format!("first certificate ends {}", ends.strftime("%Y-%m-%d")));
    }
    if view.paused.is_some() {
        parts.push("paused".to_owned());
    }
    if view.refused_configuration.is_some() {
        parts.push("the last configuration was refused".to_owned());
    }
    parts.join("; ")
}
