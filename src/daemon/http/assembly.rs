//! From settings to what the webhook works with.

use std::sync::Arc;

use certroll_azure::Azure;
use certroll_core::event::TokenPolicy;
use certroll_core::ports::Clock;

use super::authentication::{Authentication, EntraTokens, SharedSecret};
use super::listener::{ListenerLimits, ListenerSettings};
use crate::config::EventsSettings;

/// Where the webhook listens, and how much it bears.
pub fn listener(settings: &EventsSettings) -> ListenerSettings {
    ListenerSettings {
        address: settings.listen,
        tls: settings.tls.clone(),
        limits: ListenerLimits { connections: settings.connections, ..ListenerLimits::default() },
    }
}

/// Who is believed. With tokens, the issuer's keys are read when the first one comes.
pub fn authentication(settings: &EventsSettings, azure: &Azure, clock: &Arc<dyn Clock>) -> Authentication {
    let secret = settings.shared_secret.as_ref().map(|secret| {
        let (header, query) = (secret.header.clone(), secret.query.clone());
        SharedSecret::new(&secret.current, secret.previous.as_ref(), header, query)
    });
    let entra = settings.entra.as_ref().map(|entra| {
        let policy = TokenPolicy {
            tenant: entra.tenant_id.clone(),
            audiences: entra.audiences.clone(),
            applications: vec![entra.application_id.clone()],
            role: entra.role.clone(),
        };
        EntraTokens::new(policy, azure.signing_keys(&entra.tenant_id), Arc::clone(clock))
    });
    Authentication { secret, entra }
}
