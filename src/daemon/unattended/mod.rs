//! The process that runs for years: `certroll run`.
//!
//! One task looks and begins (`reconcile`); others only ask it to (`schedule`, events, people). Rollouts are led beside it.
//! Every task that ends before it is asked to ends the process with its cause: a daemon that does half of its work is
//! worse than one that is started anew.

pub mod generation;
pub mod heart;
pub mod monitoring;
pub mod pauses;
pub mod reconcile;
pub mod reload;
pub mod schedule;
pub mod state;
pub mod supervise;
pub mod systemd;
pub mod teller;
pub mod tokens;
pub mod webhook;
pub mod witness;

use std::sync::Arc;
use std::time::Duration;

use certroll_core::ports::{Clock, JournalError};
use certroll_engine::locks::ServiceLocks;
use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};

use crate::activation::{Reason, activations};
use crate::adapters::SystemClock;
use crate::admin::server::{Desk, Socket, SocketError, serve};
use crate::assembly::AssemblyError;
use crate::config::Settings;
use crate::http::assembly;
use crate::http::listener::{self, ListenError, Listener, ListenerLimits, ListenerSettings};
use crate::notify::SetupError;
use crate::records::Records;
use crate::telemetry::Control;
use crate::telemetry::metrics::{Metrics, MetricsError};
use generation::{Generation, Lasting};
use heart::Heart;
use monitoring::Watchtower;
use pauses::{PauseError, Pauses};
use reconcile::{Parts, ReconcileError, Reconciler};
use reload::{Load, Reloader, Reloads};
use state::State;
use supervise::{TaskFault, Tasks};
use teller::Teller;
use webhook::{Intake, Reception};
use witness::{Chronicle, Scribe};

/// How long the reconciler may take from the start to its first word: the journal is read in between.
const FIRST_WORD: Duration = Duration::from_secs(120);

/// Why the daemon cannot start, or ended before it was asked to.
#[derive(Debug, Error)]
pub enum RunError {
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// What a person paused is not known.
    #[error(transparent)]
    Pauses(#[from] PauseError),
    /// The settings do not fit together, or a file that they name cannot be used.
    #[error(transparent)]
    Assembly(#[from] AssemblyError),
    /// The admin socket cannot be made.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// An address cannot be listened at.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A channel of notices cannot be set up.
    #[error(transparent)]
    Channel(#[from] SetupError),
    /// A fault of the program.
    #[error("the metrics cannot be made")]
    Metrics(#[from] MetricsError),
    /// The system refuses to tell of signals.
    #[error("signals cannot be heard")]
    Signals(#[source] std::io::Error),
    /// The reconciler ended.
    #[error(transparent)]
    Reconcile(#[from] ReconcileError),
    /// A task ended by itself, or panicked.
    #[error(transparent)]
    Task(#[from] TaskFault),
}

/// How the daemon ended where nothing failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything came to a safe point.
    Drained,
    /// A second signal asked to leave at once.
    AtOnce,
}

/// What the daemon is started with.
pub struct Start {
    /// The settings.
    pub settings: Settings,
    /// Reads them again.
    pub load: Load,
    /// Changes what is logged.
    pub log: Control,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

enum Heard {
    Stop,
    Reload,
}

impl Signals {
    fn new() -> Result<Self, RunError> {
        let hear = |kind| signal(kind).map_err(RunError::Signals);
        Ok(Self {
            terminate: hear(SignalKind::terminate())?,
            interrupt: hear(SignalKind::interrupt())?,
            hangup: hear(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Heard {
        tokio::select! {
            _ = self.terminate.recv() => Heard::Stop,
            _ = self.interrupt.recv() => Heard::Stop,
            _ = self.hangup.recv() => Heard::Reload,
        }
    }
}

/// Runs until a signal asks to stop.
///
/// # Errors
/// It cannot start, or a task ended before it was asked to.
pub async fn run(start: Start) -> Result<Ended, RunError> {
    let Start { settings, load, log } = start;
    // First, so that no signal of the start is lost.
    let mut signals = Signals::new()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let records = Records::write(&settings.journal, "certroll run").await?;
    let pauses = Pauses::open(&settings.journal.directory)?;
    let socket = Socket::bind(&settings.admin.socket)?;
    let monitoring = match settings.monitoring.listen {
        None => None,
        Some(address) => {
            let limits = ListenerLimits::default();
            Some(Listener::bind(&ListenerSettings { address, tls: None, limits }).await?)
        }
    };
    let events = match &settings.events {
        None => None,
        Some(events) => Some(Listener::bind(&assembly::listener(events)).await?),
    };
    let state =
        Arc::new(State::new(settings.cloud.name.clone(), settings.policy.clone(), pauses, clock.now()));
    let metrics = Arc::new(Metrics::new()?);
    let teller = Arc::new(Teller::start(&settings, Arc::clone(&clock)).await?);
    let lasting = Lasting {
        clock: Arc::clone(&clock),
        records: records.clone(),
        observer: Arc::new(Scribe { state: Arc::clone(&state) }),
        locks: ServiceLocks::new(),
    };
    let generation = Arc::new(Generation::new(settings, &lasting, None)?);
    let (generations, generation_seen) = watch::channel(generation);
    let (activator, activations) = activations();
    let (ask_to_stop, stop) = watch::channel(false);
    let heart = Heart::new(FIRST_WORD);

    let mut tasks = Tasks::new();
    let reconciler = Reconciler::new(Parts {
        generations: generation_seen.clone(),
        clock: Arc::clone(&clock),
        state: Arc::clone(&state),
        witness: Arc::new(Chronicle {
            state: Arc::clone(&state),
            metrics: Arc::clone(&metrics),
            teller: Arc::clone(&teller),
            generations: generation_seen.clone(),
            clock: Arc::clone(&clock),
        }),
        activator: activator.clone(),
        activations,
        heart: heart.clone(),
        stop: stop.clone(),
        events: events.is_some(),
    });
    tasks.spawn(RECONCILE, async move { reconciler.run().await.map_err(RunError::from) });
    // Who asks for more waits for a place.
    let (ask, mut asked) = mpsc::channel(ASKERS);
    let desk = Desk {
        reload: ask,
        state: Arc::clone(&state),
        activator: activator.clone(),
        journal: Arc::clone(&records.journal),
        clock: Arc::clone(&clock),
    };
    tasks.spawn_endless(ADMIN, serve(socket, desk, stop.clone()));
    let times =
        schedule::run(generation_seen.clone(), Arc::clone(&clock), Arc::clone(&state), activator.clone());
    tasks.spawn_endless("schedule", times);
    tasks.spawn_endless("systemd", systemd::run(heart.clone(), Arc::clone(&state), Arc::clone(&clock)));
    let mut reception = None;
    if let Some(listener) = events {
        tracing::info!(address = %listener.address(), "events are listened for");
        let intake = Intake {
            state: Arc::clone(&state),
            activator: activator.clone(),
            metrics: Arc::clone(&metrics),
            teller: Arc::clone(&teller),
            clock: Arc::clone(&clock),
        };
        reception = Reception::new(&generation_seen.borrow(), intake);
        if let Some(reception) = &reception {
            tasks.spawn_endless(EVENTS, listener::serve(listener, reception.router(), stop.clone()));
        }
    }
    let watchtower = Watchtower {
        state: Arc::clone(&state),
        heart,
        metrics,
        generations: generation_seen.clone(),
        clock: Arc::clone(&clock),
        journal: Arc::clone(&records.journal),
    };
    if let Some(listener) = monitoring {
        tracing::info!(address = %listener.address(), "monitoring is listened for");
        let answers = listener::serve(listener, monitoring::router(watchtower), stop.clone());
        tasks.spawn_endless(MONITORING, answers);
    }

    // Nobody can have closed it yet.
    let _ = activator.activate(Reason::Start);
    systemd::ready();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        cloud = %state.view(clock.now()).cloud,
        services = state.policy().services.len(),
        "certroll is running"
    );
    let reloader = Arc::new(Reloader {
        load,
        generations,
        lasting,
        state: Arc::clone(&state),
        activator,
        teller: Arc::clone(&teller),
        reception,
        log,
    });
    let mut reloads = Reloads::new(reloader);
    let cause = loop {
        tokio::select! {
            heard = signals.next() => match heard {
                Heard::Stop => break None,
                Heard::Reload => reloads.ask(None),
            },
            Some(asker) = asked.recv() => reloads.ask(Some(asker)),
            Some(done) = reloads.done() => if let Err(source) = done {
                break Some(RunError::from(TaskFault::Broken { task: "reload", source }));
            },
            Some(end) = tasks.next_end() => break Some(end.unasked()),
        }
    };
    // Whoever still asks is told that it stops.
    drop(asked);
    state.stopping();
    systemd::stopping();
    match &cause {
        None => tracing::info!("stopping at the next safe point; a second signal leaves at once"),
        Some(cause) => tracing::error!(cause = %cause, "stopping, since a part of certroll ended"),
    }
    ask_to_stop.send_replace(true);
    let (ended, fault) = tokio::select! {
        fault = drain(&mut tasks, reloads, &teller) => (Ended::Drained, fault),
        () = asked_again(&mut signals) => {
            tracing::warn!("left at once; the next start goes on with what has no ending");
            (Ended::AtOnce, None)
        }
    };
    // What ended it is the cause; what failed only while it stopped is one where there is no other.
    cause.or(fault).map_or(Ok(ended), Err)
}

/// How many may ask for a reload while the daemon does something else.
const ASKERS: usize = 8;
/// The task whose end is the end of a drain.
const RECONCILE: &str = "reconcile";
const ADMIN: &str = "admin";
const EVENTS: &str = "events";
const MONITORING: &str = "monitoring";
/// How long answers under way may take once nothing else is done. The listeners have limits of their own, which are shorter.
const ANSWERS: Duration = Duration::from_secs(15);

/// Waits until what runs has come to a safe point, then as long as telling people and answers under way may take. Gives the
/// first fault among the tasks that end meanwhile.
async fn drain(tasks: &mut Tasks<RunError>, mut reloads: Reloads, teller: &Teller) -> Option<RunError> {
    let first = tasks.ended(&[RECONCILE]).await;
    // A reload may be changing the channels by which people are told.
    reloads.settle().await;
    drop(reloads);
    let answers = tokio::time::timeout(ANSWERS, tasks.ended(&[ADMIN, EVENTS, MONITORING]));
    let ((), answers) = tokio::join!(teller.stop(), answers);
    first.or(answers.unwrap_or_default())
}

async fn asked_again(signals: &mut Signals) {
    while !matches!(signals.next().await, Heard::Stop) {}
}
