//! Hears what looks and rollouts come to, and passes it on: to the log, the metrics and people.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use certroll_core::gap::EventGap;
use certroll_core::id::CloudServiceId;
use certroll_core::plan::{PlanReport, Status};
use certroll_core::ports::{Clock, Progress, Recorded, RolloutObserver};
use certroll_core::rollout::{Ending, Event, Phase, Rollout};
use certroll_engine::rollout::{Outcome, RolloutError};
use certroll_engine::rollouts::Carried;
use tokio::sync::watch;

use super::generation::Generation;
use super::reconcile::Witness;
use super::state::State;
use super::teller::Teller;
use crate::activation::Reason;
use crate::cli::watch::said;
use crate::telemetry::metrics::Metrics;

/// Passes on what it hears.
pub struct Chronicle {
    /// What is known.
    pub state: Arc<State>,
    /// Every metric.
    pub metrics: Arc<Metrics>,
    /// Tells people.
    pub teller: Arc<Teller>,
    /// The configuration in force, for its clients.
    pub generations: watch::Receiver<Arc<Generation>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Witness for Chronicle {
    fn looked(&self, report: &PlanReport, reasons: &BTreeSet<Reason>, took: Duration) {
        self.metrics.looked(reasons.iter().map(Reason::word), took);
        let words: BTreeSet<&str> = reasons.iter().map(Reason::word).collect();
        let count = |wanted: fn(&Status) -> bool| {
            report.services.iter().filter(|report| wanted(&report.status)).count()
        };
        let planned = count(|status| matches!(status, Status::Planned { .. }));
        let blocked = count(|status| matches!(status, Status::Blocked { .. }));
        let unreadable = count(|status| matches!(status, Status::Unreadable { .. }));
        tracing::debug!(
            reasons = words.into_iter().collect::<Vec<_>>().join(","),
            services = report.services.len(),
            planned,
            blocked,
            unreadable,
            took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "looked"
        );
        self.teller.looked(report, &self.generations.borrow().azure);
        for (vault, reading) in &report.vaults {
            if let Some(fault) = &reading.fault {
                tracing::warn!(vault = %vault, fault = %fault.message, "a vault cannot be read");
            }
        }
    }

    fn gave_up_looking(&self, after: Duration) {
        tracing::warn!(after_s = after.as_secs(), "a look was given up; the next one is made as usual");
    }

    fn gap(&self, gap: &EventGap) {
        self.metrics.gap(gap.vault.as_str());
        self.teller.gap(gap);
        tracing::warn!(
            vault = %gap.vault,
            version = %gap.version,
            last_event = gap.last_event.map(|at| at.to_string()),
            "no event told of a new version that polling found"
        );
    }

    fn carried(&self, service: Option<&CloudServiceId>, carried: &Carried) {
        let service = service.map(CloudServiceId::name).unwrap_or_default();
        match carried {
            Carried::Begun(Outcome::Ended { rollout, ending, journal_lost }) => {
                let first_seen = self.state.first_seen(rollout.update());
                self.metrics.ended(rollout, ending, first_seen, self.clock.now());
                self.teller.ended(rollout, ending);
                self.teller.journal(journal_lost.as_ref().map_or(Ok(()), Err));
                if let Some(error) = journal_lost {
                    tracing::error!(
                        rollout = %rollout.id(), cloud_service = service, error = %error,
                        "the journal lacks the last events of a rollout"
                    );
                }
            }
            Carried::Begun(Outcome::Interrupted { rollout }) => {
                tracing::info!(
                    rollout = %rollout.id(), cloud_service = service,
                    "a rollout is left at a safe point; the next start goes on with it"
                );
            }
            Carried::NotBegun(error) => {
                self.metrics.not_begun();
                if let RolloutError::Journal(error) = error {
                    self.teller.journal(Err(error));
                }
                tracing::error!(cloud_service = service, error = %error, "a change cannot be begun");
            }
            Carried::Locked => {
                tracing::info!(cloud_service = service, "another rollout of the service is under way");
            }
            Carried::WindowClosed => {
                tracing::info!(cloud_service = service, "the window closed before the change began");
            }
            Carried::HeldBack { stage } => {
                tracing::info!(cloud_service = service, stage, "an earlier stage did not end well");
            }
        }
    }
}

/// Writes what rollouts do to the log, and keeps the state up to date.
pub struct Scribe {
    /// What is known.
    pub state: Arc<State>,
}

impl RolloutObserver for Scribe {
    fn resumed(&self, rollout: &Rollout) {
        self.state.resumed(rollout);
    }

    fn recorded(&self, record: &Recorded) {
        // Before the record counts as ended, so that the service can still be named.
        let (service, phase) = self.state.rollout(&record.rollout).unwrap_or_else(|| match &record.event {
            Event::Opened { update, .. } => (update.service.name().to_owned(), Phase::Forward),
            _ => (String::new(), Phase::Forward),
        });
        self.state.recorded(record);
        let (rollout, event) = (&record.rollout, record.event.word());
        let what = said(&record.event, phase);
        match &record.event {
            Event::Ended { ending: Ending::Stuck { .. } } => {
                tracing::error!(%rollout, cloud_service = service, event, what, "a rollout is stuck");
            }
            Event::Ended { ending: Ending::Restored { .. } } => {
                tracing::error!(%rollout, cloud_service = service, event, what, "a rollout was put back");
            }
            Event::Ended { .. } => {
                tracing::info!(%rollout, cloud_service = service, event, what, "a rollout has ended");
            }
            Event::TurnedBack { .. } => {
                tracing::warn!(%rollout, cloud_service = service, event, what, "a rollout is turned back");
            }
            _ => tracing::info!(%rollout, cloud_service = service, event, what, "a rollout goes on"),
        }
    }

    fn waiting(&self, rollout: &certroll_core::id::RolloutId, progress: &Progress) {
        self.state.waiting(rollout, progress);
    }
}
