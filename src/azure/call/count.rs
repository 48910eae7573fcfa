//! How many calls were made, by operation and outcome, for the daemon's metrics.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use certroll_core::ports::{FaultKind, PortError};

use crate::transport::Answer;

/// What is asked of Azure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Operation {
    /// One page of a vault's certificates or secrets.
    VaultList,
    /// One page of an object's versions.
    VaultVersions,
    /// One vault certificate.
    VaultCertificate,
    /// One vault secret with its value.
    VaultSecret,
    /// One page of a subscription's cloud services.
    ServiceList,
    /// One cloud service.
    ServiceRead,
    /// A PUT of a cloud service.
    ServicePut,
    /// A look at a running operation.
    OperationPoll,
    /// One page of role instances.
    RoleInstances,
    /// One page of update domains.
    UpdateDomains,
    /// A PUT of an update domain.
    UpdateDomainWalk,
    /// A key vault as a resource.
    VaultResource,
    /// An import of a vault certificate.
    CertificateImport,
    /// A new version of a vault secret.
    SecretSet,
    /// One page of the subscriptions.
    SubscriptionList,
    /// One page of a subscription's key vaults.
    VaultResourceList,
    /// A public IP address.
    PublicAddress,
    /// One page of what is permitted at a scope.
    Permissions,
    /// One page of a vault's event subscriptions.
    EventSubscriptions,
    /// The time of a server.
    ServerTime,
}

impl Operation {
    /// The name in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::VaultList => "vault_list",
            Self::VaultVersions => "vault_versions",
            Self::VaultCertificate => "vault_certificate",
            Self::VaultSecret => "vault_secret",
            Self::ServiceList => "service_list",
            Self::ServiceRead => "service_read",
            Self::ServicePut => "service_put",
            Self::OperationPoll => "operation_poll",
            Self::RoleInstances => "role_instances",
            Self::UpdateDomains => "update_domains",
            Self::UpdateDomainWalk => "update_domain_walk",
            Self::VaultResource => "vault_resource",
            Self::CertificateImport => "certificate_import",
            Self::SecretSet => "secret_set",
            Self::SubscriptionList => "subscription_list",
            Self::VaultResourceList => "vault_resource_list",
            Self::PublicAddress => "public_address",
            Self::Permissions => "permissions",
            Self::EventSubscriptions => "event_subscriptions",
            Self::ServerTime => "server_time",
        }
    }

    /// What the token of such a call is for.
    pub fn audience(self) -> &'static str {
        match self {
            Self::VaultList
            | Self::VaultVersions
            | Self::VaultCertificate
            | Self::VaultSecret
            | Self::CertificateImport
            | Self::SecretSet => "Key Vault",
            Self::ServiceList
            | Self::ServiceRead
            | Self::ServicePut
            | Self::OperationPoll
            | Self::RoleInstances
            | Self::UpdateDomains
            | Self::UpdateDomainWalk
            | Self::VaultResource
            | Self::SubscriptionList
            | Self::VaultResourceList
            | Self::PublicAddress
            | Self::Permissions
            | Self::EventSubscriptions
            | Self::ServerTime => "Azure Resource Manager",
        }
    }
}

/// How a call ended, as far as a metric tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// With the answer that was asked for.
    Ok,
    /// With a fault of this kind.
    Fault(FaultKind),
}

impl Outcome {
    /// The name in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Fault(kind) => match kind {
                FaultKind::NoToken => "no_token",
                FaultKind::Unauthorized => "unauthorized",
                FaultKind::Forbidden => "forbidden",
                FaultKind::Firewall => "firewall",
                FaultKind::Disabled => "disabled",
                FaultKind::NotFound => "not_found",
                FaultKind::Throttled => "throttled",
                FaultKind::Conflict => "conflict",
                FaultKind::Refused => "refused",
                FaultKind::ServiceFault => "service_fault",
                FaultKind::Unreachable => "unreachable",
                FaultKind::TimedOut => "timed_out",
                FaultKind::Malformed => "malformed",
                FaultKind::ForeignHost => "foreign_host",
            },
        }
    }
}

/// Calls of one operation that ended in one way since the start. Every attempt counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallCount {
    /// What was asked.
    pub operation: Operation,
    /// How it ended.
    pub outcome: Outcome,
    /// How often.
    pub count: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counts(Mutex<BTreeMap<(Operation, Outcome), u64>>);

impl Counts {
    pub(crate) fn note(&self, operation: Operation, outcome: Outcome) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((operation, outcome)).or_default() += 1;
    }

    pub(crate) fn all(&self) -> Vec<CallCount> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(&(operation, outcome), &count)| CallCount { operation, outcome, count }).collect()
    }
}

pub(crate) fn outcome(result: &Result<Answer, PortError>) -> Outcome {
    match result {
        Ok(_) => Outcome::Ok,
        Err(fault) => Outcome::Fault(fault.kind()),
    }
}
