//! Everything that is looked at.

use serde::{Serialize, Serializer};

/// One check. The order is that of the report within a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    /// A token for Resource Manager.
    TokenForResourceManager,
    /// A token for key vaults.
    TokenForVaults,
    /// The certificate by which the identity proves itself.
    IdentityCertificate,
    /// The vault's resource can be read.
    VaultRead,
    /// Listing secrets, by trying.
    SecretsList,
    /// Reading followed secrets, by trying.
    SecretsGet,
    /// Listing vault certificates, by trying.
    CertificatesList,
    /// Reading followed vault certificates, by trying.
    CertificatesGet,
    /// Services may fetch from the vault.
    EnabledForDeployment,
    /// `Microsoft.KeyVault/vaults/deploy/action`.
    Deploy,
    /// The service can be read.
    ServiceRead,
    /// `Microsoft.Compute/cloudServices/write`.
    ServiceWrite,
    /// What is below the service: instances, update domains.
    BelowService,
    /// Whether the service is idle and its last operation succeeded.
    ServiceState,
    /// How updates walk the update domains.
    UpgradeMode,
    /// The Key Vault extension for PaaS.
    Extension,
    /// A source vault is in the service's subscription.
    VaultSubscription,
    /// A source vault is in the service's region.
    VaultRegion,
    /// What `certroll plan` says.
    Plan,
    /// The time that is left to a certificate.
    CertificateLife,
    /// Whether anything answers where the webhook listens.
    Listening,
    /// The webhook's own certificate.
    WebhookCertificate,
    /// The vault's event subscription against the webhook's settings.
    Subscription,
    /// Whether somebody answers at the public address.
    PublicAddress,
    /// The clock against those of Azure's servers.
    Clock,
    /// The journal's directory.
    JournalDirectory,
    /// The record in it.
    Journal,
    /// Free space for it.
    JournalSpace,
}

impl Check {
    /// All of them.
    pub const ALL: [Self; 28] = [
        Self::TokenForResourceManager,
        Self::TokenForVaults,
        Self::IdentityCertificate,
        Self::VaultRead,
        Self::SecretsList,
        Self::SecretsGet,
        Self::CertificatesList,
        Self::CertificatesGet,
        Self::EnabledForDeployment,
        Self::Deploy,
        Self::ServiceRead,
        Self::ServiceWrite,
        Self::BelowService,
        Self::ServiceState,
        Self::UpgradeMode,
        Self::Extension,
        Self::VaultSubscription,
        Self::VaultRegion,
        Self::Plan,
        Self::CertificateLife,
        Self::Listening,
        Self::WebhookCertificate,
        Self::Subscription,
        Self::PublicAddress,
        Self::Clock,
        Self::JournalDirectory,
        Self::Journal,
        Self::JournalSpace,
    ];

    /// The name in reports, the same in text and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::TokenForResourceManager => "resource-manager-token",
            Self::TokenForVaults => "vault-token",
            Self::IdentityCertificate => "identity-certificate",
            Self::VaultRead => "vault-read",
            Self::SecretsList => "secrets-list",
            Self::SecretsGet => "secrets-get",
            Self::CertificatesList => "certificates-list",
            Self::CertificatesGet => "certificates-get",
            Self::EnabledForDeployment => "enabled-for-deployment",
            Self::Deploy => "deploy",
            Self::ServiceRead => "service-read",
            Self::ServiceWrite => "service-write",
            Self::BelowService => "instances-read",
            Self::ServiceState => "service-state",
            Self::UpgradeMode => "upgrade-mode",
            Self::Extension => "key-vault-extension",
            Self::VaultSubscription => "vault-subscription",
            Self::VaultRegion => "vault-region",
            Self::Plan => "plan",
            Self::CertificateLife => "certificate-life",
            Self::Listening => "listening",
            Self::WebhookCertificate => "webhook-certificate",
            Self::Subscription => "event-subscription",
            Self::PublicAddress => "public-address",
            Self::Clock => "clock",
            Self::JournalDirectory => "journal-directory",
            Self::Journal => "journal",
            Self::JournalSpace => "journal-space",
        }
    }

    /// What is looked at, and how, for the document.
    pub fn looks_at(self) -> &'static str {
        match self {
            Self::TokenForResourceManager => "asks for a token for Resource Manager",
            Self::TokenForVaults => "asks for a token for key vaults",
            Self::IdentityCertificate => "reads the client certificate of the configuration",
            Self::VaultRead => "reads the vault as a resource",
            Self::SecretsList => "lists the vault's secrets",
            Self::SecretsGet => "reads each secret that is followed",
            Self::CertificatesList => "lists the vault's certificates",
            Self::CertificatesGet => "reads each vault certificate that is followed",
            Self::EnabledForDeployment => "reads `enabledForDeployment` of the vault's resource",
            Self::Deploy => {
                "asks Resource Manager whether `Microsoft.KeyVault/vaults/deploy/action` is permitted on the vault"
            }
            Self::ServiceRead => "reads the service",
            Self::ServiceWrite => {
                "asks Resource Manager whether `Microsoft.Compute/cloudServices/write` is permitted on the service; in \
                 Manual mode `updateDomains/write` too"
            }
            Self::BelowService => "reads the service's role instances",
            Self::ServiceState => "reads `provisioningState`",
            Self::UpgradeMode => "reads `upgradeMode`",
            Self::Extension => "looks for the extension `KeyVaultForPaaS`",
            Self::VaultSubscription => "compares the ids of service and vault",
            Self::VaultRegion => "compares the regions of service and vault",
            Self::Plan => "plans, as `certroll plan` does",
            Self::CertificateLife => "reads the end of each certificate that the cscfg names",
            Self::Listening => "connects to `events.listen`",
            Self::WebhookCertificate => "reads `events.certificate_file` and `events.key_file`",
            Self::Subscription => "lists the vault's event subscriptions and compares them with `[events]`",
            Self::PublicAddress => {
                "with `--reach-webhook` sends an `OPTIONS` without credentials to the address that an event \
                 subscription names"
            }
            Self::Clock => "compares this machine's clock with the `Date` of answers",
            Self::JournalDirectory => "looks at the directory's mode and whether it may be written",
            Self::Journal => "opens the journal to read it, and tells who holds it",
            Self::JournalSpace => "asks how much space is free",
        }
    }

    /// Why it matters.
    pub fn why(self) -> &'static str {
        match self {
            Self::TokenForResourceManager => "without a token no service can be read or changed",
            Self::TokenForVaults => "without a token no vault can be read",
            Self::IdentityCertificate => "once it has ended Entra ID gives no more tokens for it",
            Self::VaultRead => {
                "without it nobody can tell beforehand whether services may fetch from the vault"
            }
            Self::SecretsList => "new versions are found by listing",
            Self::SecretsGet => {
                "a new version is opened before it is deployed: its key, chain and form are checked"
            }
            Self::CertificatesList => "new versions are found by listing",
            Self::CertificatesGet => "thumbprint and secret identifier of a new version are read from it",
            Self::EnabledForDeployment => {
                "Azure fetches the certificates itself, and refuses an update that names a vault that is not enabled"
            }
            Self::Deploy => {
                "Resource Manager refuses an update by somebody who may not deploy from the vault"
            }
            Self::ServiceRead => "an update is made from the service as it is",
            Self::ServiceWrite => "an update is a write of the whole service",
            Self::BelowService => {
                "an update is done when every instance runs again, and that is read from them"
            }
            Self::ServiceState => "an update waits until no other operation runs",
            Self::UpgradeMode => "in Manual mode each update domain waits for a call, which certroll makes",
            Self::Extension => "two hands that rotate one certificate undo each other's work",
            Self::VaultSubscription => {
                "Cloud Services fetch certificates from vaults of their own subscription only"
            }
            Self::VaultRegion => "Cloud Services fetch certificates from vaults of their own region only",
            Self::Plan => "what is blocked or unreadable is not renewed",
            Self::CertificateLife => "clients refuse a certificate that has ended",
            Self::Listening => "events are taken by the running daemon only",
            Self::WebhookCertificate => {
                "Event Grid delivers only where a public authority's certificate is presented"
            }
            Self::Subscription => "without events a change is found by the next poll, and not at once",
            Self::PublicAddress => "Event Grid must reach the webhook from the internet",
            Self::Clock => {
                "tokens are refused when clocks differ by more than five minutes, and windows open at a wrong time"
            }
            Self::JournalDirectory => "no rollout starts unless it can be recorded",
            Self::Journal => {
                "what was begun is led on, and what failed is left alone, by what the journal says"
            }
            Self::JournalSpace => "a full disk refuses to start rollouts",
        }
    }
}

impl Serialize for Check {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
