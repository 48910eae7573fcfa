//! Puts the program together: from settings to the ports that the engine works with.

use std::io::Read;
use std::sync::Arc;

use certroll_azure::{Azure, AzureOptions, IdentityKind, IdentityOptions, Network, Proxy, SetupError};
use certroll_core::ports::{Clock, RolloutObserver};
use certroll_core::rollout::Limits;
use certroll_engine::outside::Outside;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::adapters::{ProbeLimits, TlsProbe};
use crate::config::{HttpSettings, IdentitySettings, ManagedIdentity, RolloutSettings, Settings};
use crate::records::Records;

/// Largest file of certificates: the bundle of all public roots has a quarter of this.
const FILE_LIMIT: u64 = 1024 * 1024;

/// Why the program cannot be put together. All of it is a fault of the configuration or of a file that it names.
#[derive(Debug, Error)]
pub enum AssemblyError {
    /// A file cannot be read.
    #[error("`{path}` cannot be read")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The client certificate cannot be used.
    #[error("the client certificate `{path}` cannot be used: {reason}")]
    ClientCertificate {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// The clients refuse their options.
    #[error(transparent)]
    Azure(#[from] SetupError),
}

/// The clients of Azure, and the ports with them.
#[derive(Clone)]
pub struct Assembled {
    /// The clients, for counters and quota.
    pub azure: Azure,
    /// The ports.
    pub outside: Outside,
    /// The limits of a rollout.
    pub limits: Limits,
}

/// Puts the program together.
///
/// # Errors
/// A file that the settings name cannot be used, or the settings do not fit together.
pub fn assemble(
    settings: &Settings,
    clock: Arc<dyn Clock>,
    records: Records,
    observer: Arc<dyn RolloutObserver>,
) -> Result<Assembled, AssemblyError> {
    let mut options = AzureOptions::new(settings.cloud.clone(), Arc::clone(&clock));
    options.identity = IdentityOptions {
        kind: identity(&settings.identity)?,
        authority_host: None,
        environment: certroll_azure::Environment::of_process(),
    };
    options.network = network(&settings.http)?;
    options.limits.connect = settings.http.connect_timeout;
    options.limits.call = settings.http.request_timeout;
    options.limits.read = options.limits.read.min(settings.http.request_timeout);
    let azure = Azure::new(&options)?;
    let probe = TlsProbe::new(ProbeLimits {
        connections: settings.rollout.probe_connections,
        timeout: settings.rollout.probe_timeout,
    });
    let outside = Outside {
        vaults: azure.vault_reader(),
        services: azure.cloud_services(),
        journal: records.journal,
        versions: records.versions,
        clock,
        probe: Arc::new(probe),
        observer,
    };
    Ok(Assembled { azure, outside, limits: limits(&settings.rollout) })
}

/// The limits of a rollout.
pub fn limits(settings: &RolloutSettings) -> Limits {
    Limits {
        poll_interval: settings.poll_interval,
        no_progress: settings.no_progress_for,
        operation: settings.longest,
        settle: settings.instances_within + settings.probe_within,
        probe: settings.probe_within,
        busy: Limits::default().busy.min(settings.longest),
    }
}

fn network(settings: &HttpSettings) -> Result<Network, AssemblyError> {
    let proxy = match &settings.proxy {
        None => Proxy::Environment,
        Some(proxy) => {
            let mut url = proxy.url.clone();
            if let Some((user, password)) = &proxy.credentials {
                // A URL with a host takes both; the settings have checked that there is one.
                let _ = url.set_username(user);
                let _ = url.set_password(Some(password.reveal()));
            }
            Proxy::Url(url)
        }
    };
    let no_proxy = (!settings.no_proxy.is_empty()).then(|| settings.no_proxy.join(","));
    let ca_pem = match &settings.ca_file {
        None => Vec::new(),
        Some(path) => read(path)?,
    };
    Ok(Network { proxy, no_proxy, ca_pem })
}

fn read(path: &std::path::Path) -> Result<Vec<u8>, AssemblyError> {
    let failed = |source| AssemblyError::File { path: path.display().to_string(), source };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(FILE_LIMIT + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_LIMIT {
        let error = format!("it has more than {FILE_LIMIT} bytes; expected certificates");
        return Err(failed(std::io::Error::new(std::io::ErrorKind::FileTooLarge, error)));
    }
    Ok(bytes)
}

fn identity(settings: &IdentitySettings) -> Result<IdentityKind, AssemblyError> {
    Ok(match settings {
        IdentitySettings::Auto { tenant_id, client_id } => IdentityKind::Auto {
            tenant_id: tenant_id.clone(),
            client_id: client_id.clone(),
            secret: None,
            certificate: None,
        },
        IdentitySettings::WorkloadIdentity { tenant_id, client_id, federated_token_file } => {
            IdentityKind::WorkloadIdentity {
                tenant_id: tenant_id.clone(),
                client_id: client_id.clone(),
                token_file: federated_token_file.clone(),
            }
        }
        IdentitySettings::ManagedIdentity(which) => IdentityKind::ManagedIdentity(match which {
            ManagedIdentity::System => certroll_azure::ManagedIdentity::SystemAssigned,
            ManagedIdentity::ClientId(id) => certroll_azure::ManagedIdentity::ClientId(id.clone()),
            ManagedIdentity::ObjectId(id) => certroll_azure::ManagedIdentity::ObjectId(id.clone()),
            ManagedIdentity::ResourceId(id) => certroll_azure::ManagedIdentity::ResourceId(id.clone()),
        }),
        IdentitySettings::ClientSecret { tenant_id, client_id, secret } => IdentityKind::ClientSecret {
            tenant_id: tenant_id.clone(),
            client_id: client_id.clone(),
            secret: Zeroizing::new(secret.reveal().to_owned()),
        },
        IdentitySettings::ClientCertificate { tenant_id, client_id, certificate } => {
            IdentityKind::ClientCertificate {
                tenant_id: tenant_id.clone(),
                client_id: client_id.clone(),
                certificate: client_certificate(certificate)?,
            }
        }
        IdentitySettings::AzureCli { tenant_id } => IdentityKind::AzureCli { tenant_id: tenant_id.clone() },
    })
}

fn client_certificate(
    settings: &crate::config::ClientCertificate,
) -> Result<certroll_azure::ClientCertificate, AssemblyError> {
    let bytes = Zeroizing::new(read(&settings.file)?);
    let refused = |reason: String| AssemblyError::ClientCertificate {
        path: settings.file.display().to_string(),
        reason,
    };
    let is_pem = bytes.windows(10).any(|window| window == b"-----BEGIN");
    let read = if is_pem {
        certroll_azure::ClientCertificate::from_pem(&bytes)
    } else {
        let password = settings.password.as_ref().map_or("", crate::config::Secret::reveal);
        certroll_azure::ClientCertificate::from_pkcs12(&bytes, password)
    };
    read.map_err(|error| refused(error.to_string()))
}
