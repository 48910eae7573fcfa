//! One way to a token: one credential of `azure_identity`, with its time limit and its errors in plain words.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::{AccessToken, Secret, TokenCredential};
use azure_core::http::ClientOptions;
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertionCredential,
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions, Executor,
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential,
    WorkloadIdentityCredentialOptions,
};
use certroll_core::ports::Clock;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderValue};
use url::Url;
use zeroize::Zeroizing;

use super::assertion::{ClientCertificate, Proof};
use super::identity::ManagedIdentity;
use crate::transport::sdk::{Lent, Refusal};
use crate::transport::{Outgoing, Transport};
use crate::words::{chain, printable};

/// Where the metadata service of a virtual machine is, in every cloud.
pub(crate) const METADATA: &str = "http://169.254.169.254/metadata/identity/oauth2/token";
/// How long `auto` waits for a sign of a metadata service. On Azure it answers within milliseconds; elsewhere the
/// address is a black hole, and the credential itself would try for 100 s.
const PROBE: Duration = Duration::from_secs(2);

/// A way to a token.
#[derive(Debug)]
pub(crate) enum Link {
    Secret {
        tenant_id: String,
        client_id: String,
        secret: Zeroizing<String>,
    },
    Certificate {
        tenant_id: String,
        client_id: String,
        certificate: ClientCertificate,
    },
    Workload {
        tenant_id: String,
        client_id: String,
        token_file: PathBuf,
    },
    Managed {
        identity: ManagedIdentity,
        probe: bool,
    },
    Cli {
        tenant_id: Option<String>,
    },
    /// A way that `auto` knows but that is not configured, with what is missing.
    Absent {
        name: &'static str,
        missing: &'static str,
    },
}

impl Link {
    /// The name under which the configuration knows it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Secret { .. } => "client_secret",
            Self::Certificate { .. } => "client_certificate",
            Self::Workload { .. } => "workload_identity",
            Self::Managed { .. } => "managed_identity",
            Self::Cli { .. } => "azure_cli",
            Self::Absent { name, .. } => name,
        }
    }
}

/// What the links work with.
#[derive(Clone)]
pub(crate) struct Means {
    pub(crate) cloud_name: String,
    pub(crate) authority_host: String,
    /// To the token authority.
    pub(crate) authority: Arc<dyn Transport>,
    /// To the metadata endpoint of this machine, never through a proxy.
    pub(crate) metadata: Arc<dyn Transport>,
    /// Whether the metadata endpoint was named by the environment (App Service, Container Apps).
    pub(crate) metadata_named: bool,
    pub(crate) executor: Arc<dyn Executor>,
    pub(crate) user_agent: HeaderValue,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limit: Duration,
}

impl Link {
    /// Asks for a token. The credential is made anew for each attempt: its own cache would return a token that the
    /// service has just refused, and the token of a workload's file would be up to ten minutes old.
    ///
    /// # Errors
    /// Why there is none, and whether that may pass.
    pub(crate) async fn fetch(&self, means: &Means, scope: &str) -> Result<AccessToken, Refusal> {
        let permanent = |reason: &str| Err(Refusal { reason: reason.to_owned(), transient: false });
        match self {
            Self::Absent { missing, .. } => return permanent(missing),
            Self::Managed { probe: true, .. } if !means.metadata_named => probe(means).await?,
            Self::Secret { .. }
            | Self::Certificate { .. }
            | Self::Workload { .. }
            | Self::Managed { .. }
            | Self::Cli { .. } => {}
        }
        let transport = match self {
            Self::Managed { .. } => &means.metadata,
            Self::Secret { .. }
            | Self::Certificate { .. }
            | Self::Workload { .. }
            | Self::Cli { .. }
            | Self::Absent { .. } => &means.authority,
        };
        let lent = Lent::new(Arc::clone(transport), means.user_agent.clone());
        let asking = async {
            let credential = self.credential(means, lent.options())?;
            credential.get_token(&[scope], None).await
        };
        match tokio::time::timeout(means.limit, asking).await {
            Ok(Ok(token)) => Ok(token),
            Ok(Err(fault)) => Err(self.refusal(&lent, &fault)),
            Err(_) => {
                let said = lent.refusal().map(|last| format!(", last {}", last.reason)).unwrap_or_default();
                let reason = format!("no token within {} s{said}", means.limit.as_secs());
                Err(Refusal { reason, transient: true })
            }
        }
    }

    fn credential(
        &self,
        means: &Means,
        options: ClientOptions,
    ) -> azure_core::Result<Arc<dyn TokenCredential>> {
        let mut authority = CustomConfiguration::default();
        authority.authority_host = format!("https://{}", means.authority_host);
        let cloud = Arc::new(CloudConfiguration::Custom(authority));
        let client_options = ClientOptions { cloud: Some(cloud), ..options };
        Ok(match self {
            Self::Secret { tenant_id, client_id, secret } => ClientSecretCredential::new(
                tenant_id,
                client_id.clone(),
                Secret::new(secret.as_str().to_owned()),
                Some(ClientSecretCredentialOptions { client_options }),
            )?,
            Self::Certificate { tenant_id, client_id, certificate } => {
                let proof = Proof {
                    certificate: certificate.clone(),
                    client_id: client_id.clone(),
                    audience: format!("https://{}/{tenant_id}/oauth2/v2.0/token", means.authority_host),
                    clock: Arc::clone(&means.clock),
                };
                ClientAssertionCredential::new(
                    tenant_id.clone(),
                    client_id.clone(),
                    proof,
                    Some(ClientAssertionCredentialOptions { client_options }),
                )?
            }
            Self::Workload { tenant_id, client_id, token_file } => {
                WorkloadIdentityCredential::new(Some(WorkloadIdentityCredentialOptions {
                    credential_options: ClientAssertionCredentialOptions { client_options },
                    client_id: Some(client_id.clone()),
                    tenant_id: Some(tenant_id.clone()),
                    token_file_path: Some(token_file.clone()),
                }))?
            }
            Self::Managed { identity, .. } => {
                let user_assigned_id = match identity {
                    ManagedIdentity::SystemAssigned => None,
                    ManagedIdentity::ClientId(id) => Some(UserAssignedId::ClientId(id.clone())),
                    ManagedIdentity::ObjectId(id) => Some(UserAssignedId::ObjectId(id.clone())),
                    ManagedIdentity::ResourceId(id) => Some(UserAssignedId::ResourceId(id.clone())),
                };
                ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
                    user_assigned_id,
                    client_options,
                }))?
            }
            Self::Cli { tenant_id } => AzureCliCredential::new(Some(AzureCliCredentialOptions {
                tenant_id: tenant_id.clone(),
                executor: Some(Arc::clone(&means.executor)),
                ..AzureCliCredentialOptions::default()
            }))?,
            Self::Absent { missing, .. } => {
                let kind = azure_core::error::ErrorKind::Credential;
                return Err(azure_core::Error::with_message(kind, *missing));
            }
        })
    }

    /// The reason in words. What was said on the wire tells more than the credential's own error.
    fn refusal(&self, lent: &Lent, fault: &azure_core::Error) -> Refusal {
        if let Some(said) = lent.refusal() {
            return match self {
                Self::Managed { .. } if said.reason.starts_with("status 400") => Refusal {
                    reason: format!("{}; is that identity assigned to this machine?", said.reason),
                    transient: false,
                },
                _ => said,
            };
        }
        let reason = match self {
            // What az prints on success holds the token, and a parser's error may repeat what it read.
            Self::Cli { .. } if !is_credential_error(fault) => {
                "the answer of az is not understood; expected that of version 2.54 or newer".to_owned()
            }
            _ => {
                let text = chain(fault);
                let text = text.split(" To troubleshoot, visit").next().unwrap_or_default();
                printable(text.rsplit("authentication failed.").next().unwrap_or_default())
            }
        };
        Refusal { reason, transient: false }
    }
}

/// Whether the innermost error is one that the credential worded itself.
fn is_credential_error(fault: &azure_core::Error) -> bool {
    let mut innermost = fault;
    let mut source = std::error::Error::source(fault);
    while let Some(inner) = source {
        if let Some(inner) = inner.downcast_ref::<azure_core::Error>() {
            innermost = inner;
        }
        source = inner.source();
    }
    matches!(innermost.kind(), azure_core::error::ErrorKind::Credential)
}

/// Looks whether there is a metadata service at all. Any answer will do: without the `Metadata` header it is a 400.
async fn probe(means: &Means) -> Result<(), Refusal> {
    let url = Url::parse(METADATA).map_err(|_| Refusal {
        reason: "the metadata endpoint's address is malformed".to_owned(),
        transient: false,
    })?;
    let request =
        Outgoing { method: Method::GET, url, headers: HeaderMap::new(), body: Zeroizing::default() };
    match tokio::time::timeout(PROBE, means.metadata.send(request)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Refusal {
            reason: format!("no metadata endpoint answers on this machine within {} s", PROBE.as_secs()),
            transient: true,
        }),
    }
}

/// Runs the az command, and ends it when the caller stops waiting.
#[derive(Debug)]
pub(crate) struct Command;

#[async_trait]
impl Executor for Command {
    async fn run(&self, program: &OsStr, args: &[&OsStr]) -> std::io::Result<Output> {
        tokio::process::Command::new(program)
            .args(args)
            .env_remove("AZURE_CLIENT_SECRET")
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
    }
}
