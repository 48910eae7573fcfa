//! What a request asks for, in one word: the name by which faults and counts speak of it.

use crate::arm::route::Route;
use crate::message::Request;
use crate::names::Host;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// A token.
    Token,
    /// The document by which a validator of tokens finds issuer and keys, of either form.
    OpenIdConfiguration,
    /// The keys that tokens are signed with, at either place.
    SigningKeys,
    /// List of a vault's certificates.
    ListCertificates,
    /// List of a certificate's versions.
    ListCertificateVersions,
    /// A certificate.
    GetCertificate,
    /// Import of a certificate.
    ImportCertificate,
    /// List of a vault's secrets.
    ListSecrets,
    /// List of a secret's versions.
    ListSecretVersions,
    /// A secret with its value.
    GetSecret,
    /// A new version of a secret.
    SetSecret,
    /// A vault as a resource.
    GetVault,
    /// List of the vaults of a subscription or group.
    ListVaults,
    /// A cloud service.
    GetCloudService,
    /// List of the cloud services of a group.
    ListCloudServices,
    /// List of the cloud services of a subscription.
    ListAllCloudServices,
    /// A new model of a cloud service.
    PutCloudService,
    /// New tags of a cloud service.
    PatchCloudService,
    /// State of a cloud service as a whole.
    GetInstanceView,
    /// List of role instances.
    ListRoleInstances,
    /// One role instance, or its view.
    GetRoleInstance,
    /// List of roles, or one.
    ListRoles,
    /// List of update domains, or one.
    ListUpdateDomains,
    /// The walk of one update domain.
    WalkUpdateDomain,
    /// Start, power-off, restart, reimage or rebuild.
    PowerAction,
    /// State of an operation.
    GetOperation,
    /// List of subscriptions.
    ListSubscriptions,
    /// A public IP address.
    GetPublicAddress,
    /// What the caller may do with a resource.
    ListPermissions,
    /// List of a vault's event subscriptions.
    ListEventSubscriptions,
    /// Anything else.
    Other,
}

impl Call {
    /// Whether it starts a long-running operation.
    pub fn starts_operation(self) -> bool {
        matches!(self, Call::PutCloudService | Call::WalkUpdateDomain | Call::PowerAction)
    }

    pub(crate) fn of(host: &Host, request: &Request) -> Self {
        match host {
            Host::Login => Self::of_entra(request),
            Host::Vault(_) => Self::of_vault(request),
            Host::ResourceManager => {
                Route::of(request).map_or(Call::Other, |route| route.call(&request.method))
            }
        }
    }

    fn of_entra(request: &Request) -> Self {
        let path = request.url.path().to_ascii_lowercase();
        if path.ends_with("/.well-known/openid-configuration") {
            Call::OpenIdConfiguration
        } else if path.ends_with("/discovery/keys") || path.ends_with("/discovery/v2.0/keys") {
            Call::SigningKeys
        } else {
            Call::Token
        }
    }

    fn of_vault(request: &Request) -> Self {
        let segments: Vec<String> = request.segments().iter().map(|part| part.to_ascii_lowercase()).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match (request.method.as_str(), segments.as_slice()) {
            ("GET", ["certificates"]) => Call::ListCertificates,
            ("GET", ["certificates", _, "versions"]) => Call::ListCertificateVersions,
            ("GET", ["certificates", _] | ["certificates", _, _]) => Call::GetCertificate,
            ("POST", ["certificates", _, "import"]) => Call::ImportCertificate,
            ("GET", ["secrets"]) => Call::ListSecrets,
            ("GET", ["secrets", _, "versions"]) => Call::ListSecretVersions,
            ("GET", ["secrets", _] | ["secrets", _, _]) => Call::GetSecret,
            ("PUT", ["secrets", _]) => Call::SetSecret,
            _ => Call::Other,
        }
    }
}
