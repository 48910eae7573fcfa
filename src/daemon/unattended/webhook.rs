//! The webhook of the configuration in force. Its listener outlives configurations; who is believed and what counts do not,
//! so that a secret can be changed by a reload.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use certroll_core::policy::Policy;
use certroll_core::ports::Clock;
use tokio::sync::watch;

use super::generation::Generation;
use super::state::State;
use super::teller::Teller;
use crate::activation::Activator;
use crate::http::assembly;
use crate::http::events::{self, Answered, Outcome, Webhook, Witness};
use crate::telemetry::metrics::Metrics;

/// What answers are made from, whatever the configuration.
#[derive(Clone)]
pub struct Intake {
    /// What the daemon knows of itself.
    pub state: Arc<State>,
    /// Asks for looks.
    pub activator: Activator,
    /// Every metric.
    pub metrics: Arc<Metrics>,
    /// Tells people.
    pub teller: Arc<Teller>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The webhook in force, which answers each request that comes from now on.
pub struct Reception {
    intake: Intake,
    current: watch::Sender<Arc<Webhook>>,
}

impl Reception {
    /// The webhook of a configuration. Without one in the configuration there is nothing to answer with.
    pub fn new(generation: &Generation, intake: Intake) -> Option<Self> {
        let first = webhook(generation, &intake)?;
        Some(Self { intake, current: watch::Sender::new(Arc::new(first)) })
    }

    /// What the listener answers with.
    pub fn router(&self) -> Router {
        events::router(self.current.subscribe())
    }

    /// Another configuration is in force, and with it the vaults that it names. One without a webhook leaves the last in
    /// place: whether anything is listened at is for the next start.
    pub fn configured(&self, generation: &Generation) {
        if let Some(next) = webhook(generation, &self.intake) {
            self.current.send_replace(Arc::new(next));
        }
    }
}

fn webhook(generation: &Generation, intake: &Intake) -> Option<Webhook> {
    let known = intake.state.known();
    known.configured(named(&generation.settings.policy));
    let settings = generation.settings.events.as_ref()?;
    Some(Webhook {
        authentication: assembly::authentication(settings, &generation.azure, &intake.clock),
        vaults: Arc::clone(known),
        activator: intake.activator.clone(),
        origins: settings.origins.clone(),
        body_limit: settings.body_limit,
        witness: Arc::new(Register { intake: intake.clone() }),
        clock: Arc::clone(&intake.clock),
    })
}

/// The vaults that the configuration names.
fn named(policy: &Policy) -> BTreeSet<certroll_core::id::VaultName> {
    let mappings = policy.services.iter().flat_map(|service| &service.certificates);
    mappings.map(|mapping| mapping.source.vault.clone()).collect()
}

/// Counts answers, and says of them what a person may need.
struct Register {
    intake: Intake,
}

impl Witness for Register {
    fn answered(&self, answer: &Answered) {
        self.intake.metrics.delivered(answer.outcome.word());
        let vaults: Vec<&str> = answer.vaults.iter().map(certroll_core::id::VaultName::as_str).collect();
        let (answered, vaults) = (answer.outcome.word(), vaults.join(","));
        let by = answer.credential.map(crate::http::authentication::Credential::word);
        match answer.outcome {
            Outcome::Activated => {
                self.intake.state.heard();
                self.intake.teller.heard(&answer.vaults);
                tracing::info!(answered, by, vaults, events = answer.events, "vaults told of changes");
            }
            Outcome::Consented | Outcome::Unsubscribed | Outcome::ConsentRefused => {
                tracing::info!(answered, by, "a subscription was judged");
            }
            Outcome::Refused(refusal) => {
                tracing::warn!(answered, reason = refusal.word(), "a delivery was refused");
            }
            Outcome::Undecided => {
                tracing::warn!(answered, "a delivery cannot be judged: the issuer's keys are not available");
            }
            Outcome::Ignored
            | Outcome::Told
            | Outcome::NotReady
            | Outcome::Stopping
            | Outcome::TooLarge
            | Outcome::Malformed
            | Outcome::Broken
            | Outcome::Method
            | Outcome::Elsewhere => tracing::debug!(answered, by, "a request of the webhook was answered"),
        }
    }
}
