//! `[identity]`: who certroll is to Azure.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cloud::host;
use crate::config::at::At;
use crate::config::check::Checker;
use crate::config::secret::Secret;

/// `[identity]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IdentityKeys {
    /// How a token is obtained.
    kind: At<IdentityKind>,
    /// The Entra tenant, as an id or a domain.
    tenant_id: Option<At<String>>,
    /// The client id of the application or of a user-assigned managed identity.
    client_id: Option<At<String>>,
    /// The object id of a user-assigned managed identity, instead of its client id.
    object_id: Option<At<String>>,
    /// The resource id of a user-assigned managed identity, instead of its client id.
    resource_id: Option<At<String>>,
    /// The file that holds the client secret.
    client_secret_file: Option<At<String>>,
    /// The environment variable that holds the client secret.
    client_secret_env: Option<At<String>>,
    /// The file that holds the client certificate with its key, as PEM or PKCS#12.
    client_certificate_file: Option<At<String>>,
    /// The file that holds the client certificate's password.
    client_certificate_password_file: Option<At<String>>,
    /// The environment variable that holds the client certificate's password.
    client_certificate_password_env: Option<At<String>>,
    /// The file that holds the token of a federated workload.
    federated_token_file: Option<At<String>>,
    /// The host of Microsoft Entra ID, where it is not the cloud's own.
    pub(crate) authority_host: Option<At<String>>,
}

/// The value of `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IdentityKind {
    Auto,
    WorkloadIdentity,
    ManagedIdentity,
    ClientSecret,
    ClientCertificate,
    AzureCli,
}

/// Who certroll is to Azure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentitySettings {
    /// The first that works: the usual variables of the environment, a federated workload, a managed identity, az.
    Auto {
        /// The tenant, where it does not follow from the environment.
        tenant_id: Option<String>,
        /// The client id, where it does not follow from the environment.
        client_id: Option<String>,
    },
    /// A federated workload. What is absent comes from the variables that the workload's platform sets.
    WorkloadIdentity {
        /// The tenant.
        tenant_id: Option<String>,
        /// The application or user-assigned identity.
        client_id: Option<String>,
        /// The file that holds the platform's token. Read anew for each exchange: the platform renews it.
        federated_token_file: Option<PathBuf>,
    },
    /// A managed identity of the machine that certroll runs on.
    ManagedIdentity(ManagedIdentity),
    /// An application with a secret.
    ClientSecret {
        /// The tenant.
        tenant_id: String,
        /// The application.
        client_id: String,
        /// Its secret.
        secret: Secret,
    },
    /// An application with a certificate.
    ClientCertificate {
        /// The tenant.
        tenant_id: String,
        /// The application.
        client_id: String,
        /// Its certificate.
        certificate: ClientCertificate,
    },
    /// The account that az is logged in with.
    AzureCli {
        /// The tenant, where it is not the account's own.
        tenant_id: Option<String>,
    },
}

impl IdentitySettings {
    /// The name in the configuration.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Auto { .. } => "auto",
            Self::WorkloadIdentity { .. } => "workload_identity",
            Self::ManagedIdentity(_) => "managed_identity",
            Self::ClientSecret { .. } => "client_secret",
            Self::ClientCertificate { .. } => "client_certificate",
            Self::AzureCli { .. } => "azure_cli",
        }
    }
}

/// Which managed identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManagedIdentity {
    /// The machine's own.
    System,
    /// A user-assigned one by its client id.
    ClientId(String),
    /// A user-assigned one by its object id.
    ObjectId(String),
    /// A user-assigned one by its resource id.
    ResourceId(String),
}

/// A certificate that certroll proves itself with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The file: PEM or PKCS#12. It is read when a token is needed, so that it can be renewed.
    pub file: PathBuf,
    /// Its password.
    pub password: Option<Secret>,
}

const TENANT: &str = "the tenant's id (a GUID) or domain";
const CLIENT: &str = "the application's client id (a GUID)";

pub(crate) fn check(keys: &IdentityKeys, checker: &mut Checker<'_>) -> Option<IdentitySettings> {
    let kind = keys.kind.value;
    refuse_unused(keys, checker);
    let tenant_id = keys.tenant_id.as_ref().and_then(|at| plain(at, TENANT, checker));
    let client_id = keys.client_id.as_ref().and_then(|at| plain(at, CLIENT, checker));
    let mut needed = |key: &str, present: bool, expected: &str| {
        if !present {
            checker.missing(&keys.kind.span, &format!("identity.{key}"), expected);
        }
    };
    if matches!(kind, IdentityKind::ClientSecret | IdentityKind::ClientCertificate) {
        needed("tenant_id", keys.tenant_id.is_some(), TENANT);
        needed("client_id", keys.client_id.is_some(), CLIENT);
    }
    match kind {
        IdentityKind::Auto => Some(IdentitySettings::Auto { tenant_id, client_id }),
        IdentityKind::WorkloadIdentity => {
            // The platform may write the file later, so only its path is checked.
            let file = keys.federated_token_file.as_ref();
            let federated_token_file = file.and_then(|at| checker.path(at));
            Some(IdentitySettings::WorkloadIdentity { tenant_id, client_id, federated_token_file })
        }
        IdentityKind::ManagedIdentity => managed(keys, client_id, checker),
        IdentityKind::ClientSecret => {
            if keys.client_secret_file.is_none() && keys.client_secret_env.is_none() {
                needed(
                    "client_secret_file",
                    false,
                    "`client_secret_file = \"/path\"`, `client_secret_file = \"$CREDENTIALS_DIRECTORY/name\"` or \
                     `client_secret_env = \"NAME\"`",
                );
            }
            let secret = checker.secret(keys.client_secret_file.as_ref(), keys.client_secret_env.as_ref());
            Some(IdentitySettings::ClientSecret {
                tenant_id: tenant_id?,
                client_id: client_id?,
                secret: secret?,
            })
        }
        IdentityKind::ClientCertificate => {
            let password = checker.secret(
                keys.client_certificate_password_file.as_ref(),
                keys.client_certificate_password_env.as_ref(),
            );
            let file = match &keys.client_certificate_file {
                Some(at) => checker.private_file(at).map(|(path, content)| {
                    drop(zeroize::Zeroizing::new(content));
                    path
                }),
                None => {
                    checker.missing(
                        &keys.kind.span,
                        "identity.client_certificate_file",
                        "the path of a PEM or PKCS#12 file",
                    );
                    None
                }
            };
            Some(IdentitySettings::ClientCertificate {
                tenant_id: tenant_id?,
                client_id: client_id?,
                certificate: ClientCertificate { file: file?, password },
            })
        }
        IdentityKind::AzureCli => Some(IdentitySettings::AzureCli { tenant_id }),
    }
}

fn managed(
    keys: &IdentityKeys,
    client_id: Option<String>,
    checker: &mut Checker<'_>,
) -> Option<IdentitySettings> {
    let object_id =
        keys.object_id.as_ref().and_then(|at| plain(at, "the identity's object id (a GUID)", checker));
    let named = [&keys.client_id, &keys.object_id, &keys.resource_id];
    let mut named = named.into_iter().flatten();
    if let (Some(_), Some(second)) = (named.next(), named.next()) {
        checker
            .error(&second.span, "a managed identity is named twice")
            .expect("one of `client_id`, `object_id` and `resource_id`");
        return None;
    }
    let resource_id = match &keys.resource_id {
        Some(at) if !at.value.to_ascii_lowercase().contains("/providers/microsoft.managedidentity/") => {
            checker
                .error(&at.span, format!("`{}` is not the resource id of a managed identity", at.value))
                .expect("`/subscriptions/<subscription id>/resourceGroups/<group>/providers/Microsoft.ManagedIdentity/userAssignedIdentities/<name>`");
            return None;
        }
        other => other.as_ref().map(|at| at.value.clone()),
    };
    let identity = match (client_id, object_id, resource_id) {
        (Some(id), _, _) => ManagedIdentity::ClientId(id),
        (_, Some(id), _) => ManagedIdentity::ObjectId(id),
        (_, _, Some(id)) => ManagedIdentity::ResourceId(id),
        (None, None, None) => ManagedIdentity::System,
    };
    Some(IdentitySettings::ManagedIdentity(identity))
}

/// Keys that the chosen kind does not use are contradictions: whoever wrote them believes in another identity.
fn refuse_unused(keys: &IdentityKeys, checker: &mut Checker<'_>) {
    use IdentityKind::{Auto, AzureCli, ClientCertificate, ClientSecret, ManagedIdentity, WorkloadIdentity};
    let kind = keys.kind.value;
    type Rule<'a> = (&'a str, &'a Option<At<String>>, &'a [IdentityKind]);
    let rules: [Rule<'_>; 10] = [
        ("tenant_id", &keys.tenant_id, &[Auto, WorkloadIdentity, ClientSecret, ClientCertificate, AzureCli]),
        (
            "client_id",
            &keys.client_id,
            &[Auto, WorkloadIdentity, ManagedIdentity, ClientSecret, ClientCertificate],
        ),
        ("object_id", &keys.object_id, &[ManagedIdentity]),
        ("resource_id", &keys.resource_id, &[ManagedIdentity]),
        ("client_secret_file", &keys.client_secret_file, &[ClientSecret]),
        ("client_secret_env", &keys.client_secret_env, &[ClientSecret]),
        ("client_certificate_file", &keys.client_certificate_file, &[ClientCertificate]),
        ("client_certificate_password_file", &keys.client_certificate_password_file, &[ClientCertificate]),
        ("client_certificate_password_env", &keys.client_certificate_password_env, &[ClientCertificate]),
        ("federated_token_file", &keys.federated_token_file, &[WorkloadIdentity]),
    ];
    for (key, value, kinds) in rules {
        let Some(at) = value else { continue };
        if !kinds.contains(&kind) {
            let names = kinds.iter().map(|kind| kind_name(*kind));
            checker
                .error(&at.span, format!("`{key}` is not used with `kind = \"{}\"`", kind_name(kind)))
                .expect(format!("no `{key}`, or `kind` to be {}", crate::config::problem::one_of(names)));
        }
    }
}

fn kind_name(kind: IdentityKind) -> &'static str {
    match kind {
        IdentityKind::Auto => "auto",
        IdentityKind::WorkloadIdentity => "workload_identity",
        IdentityKind::ManagedIdentity => "managed_identity",
        IdentityKind::ClientSecret => "client_secret",
        IdentityKind::ClientCertificate => "client_certificate",
        IdentityKind::AzureCli => "azure_cli",
    }
}

/// A GUID or a domain: both become a piece of a URL.
fn plain(at: &At<String>, expected: &str, checker: &mut Checker<'_>) -> Option<String> {
    let fits = !at.value.is_empty()
        && at.value.len() <= 253
        && at.value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
    if !fits {
        checker.error(&at.span, format!("`{}` is not an id", at.value)).expect(expected);
    }
    fits.then(|| at.value.clone())
}

pub(crate) fn authority_host(keys: &IdentityKeys, checker: &mut Checker<'_>) -> Option<String> {
    keys.authority_host.as_ref().and_then(|at| host(at, checker))
}
