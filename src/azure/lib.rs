//! certroll's clients for Microsoft Entra ID, Key Vault and Azure Resource Manager.
//!
//! [`Azure`] is made from [`AzureOptions`] and gives the two ports that the engine calls,
//! [`VaultReader`] and [`CloudServices`], and [`VaultWriter`] for `upload`. It
//! decides nothing, and keeps no state but tokens, counters and what it was told of remaining limits.
//!
//! Reads are repeated within limits. A write is sent once, whatever happens: the error's type tells whether it may have
//! taken effect. A token goes to the hosts of the configured cloud and to no other.
//!
//! Read next: `call` for what happens around each request, `token` for identities, `transport` for the network, `vault`
//! and `services` for the two ports.

mod call;
mod options;
mod services;
mod signing_keys;
mod token;
mod transport;
mod vault;
mod words;

use std::fmt;
use std::sync::Arc;

/// Runs commands: how the az command is asked for a token.
pub use azure_identity::Executor;
use certroll_core::event::SigningKeys;
use certroll_core::ports::{CloudServices, Inspection, Inventory, PortError, VaultReader, VaultWriter};
use jiff::Timestamp;
use reqwest::header::HeaderValue;
use url::Url;

use call::Caller;
pub use call::{CallCount, Operation, Outcome, Quota};
pub use options::{AzureOptions, Limits, Network, Proxy, SetupError};
use services::{Services, Surroundings};
use signing_keys::{AuthorityHosts, TenantKeys};
pub use token::{
    ClientCertificate, ClientCertificateError, Environment, IdentityKind, IdentityOptions, ManagedIdentity,
    TokenHolder,
};
use token::{Command, METADATA, Means, Tokens};
use transport::client::Client;
use transport::guard::{CloudHosts, MetadataHost};
pub use transport::{
    Answer, BodyLimit, Outgoing, PublicRoots, Sent, Transport, TransportFault, public_roots,
};
use vault::Vaults;

/// What the program calls itself towards Azure.
const USER_AGENT: &str = concat!("certroll/", env!("CARGO_PKG_VERSION"));

/// The clients of one cloud and one identity, with their shared connections and tokens. Cheap to clone.
#[derive(Clone)]
pub struct Azure {
    caller: Arc<Caller>,
    /// To the authorities of the cloud, without a token.
    authorities: Arc<dyn Transport>,
}

/// The ways to the network, for tests that put something else in their place.
pub struct Wires {
    /// To the hosts of the cloud.
    pub cloud: Arc<dyn Transport>,
    /// To the metadata endpoint of the machine.
    pub metadata: Arc<dyn Transport>,
    /// Runs the az command.
    pub executor: Arc<dyn Executor>,
}

impl fmt::Debug for Wires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wires").finish_non_exhaustive()
    }
}

impl Wires {
    /// The wires of production.
    ///
    /// # Errors
    /// A certificate or the proxy of the options cannot be used.
    pub fn new(options: &AzureOptions) -> Result<Self, SetupError> {
        Ok(Self {
            cloud: Arc::new(Client::for_cloud(&options.network, &options.limits)?),
            metadata: Arc::new(Client::for_metadata(&options.limits)?),
            executor: Arc::new(Command),
        })
    }
}

impl Azure {
    /// Makes the clients. Reads certificates and files, makes no call.
    ///
    /// # Errors
    /// The options cannot be used.
    pub fn new(options: &AzureOptions) -> Result<Self, SetupError> {
        Self::over(options, Wires::new(options)?)
    }

    /// Makes the clients over other wires. What guards the production's wires guards these too: only hosts of the
    /// cloud are asked, by https, whatever the wire makes of it.
    ///
    /// # Errors
    /// The options cannot be used.
    pub fn over(options: &AzureOptions, wires: Wires) -> Result<Self, SetupError> {
        let cloud = token::with_authority(&options.cloud, &options.identity)?;
        let links = token::links(&options.identity)?;
        let environment = &options.identity.environment;
        let named = environment.get("IDENTITY_ENDPOINT");
        let endpoint = Url::parse(named.unwrap_or(METADATA)).map_err(|_| SetupError::Identity {
            identity: "managed_identity",
            reason: "`IDENTITY_ENDPOINT` is not a URL".to_owned(),
        })?;
        let user_agent = HeaderValue::from_static(USER_AGENT);
        let authorities = AuthorityHosts::new(token::authorities(&cloud), Arc::clone(&wires.cloud));
        let transport: Arc<dyn Transport> = Arc::new(CloudHosts::new(cloud.clone(), wires.cloud));
        let means = Means {
            cloud_name: cloud.name.clone(),
            authority_host: cloud.authority_host.clone(),
            authority: Arc::clone(&transport),
            metadata: Arc::new(MetadataHost::new(endpoint, wires.metadata)),
            metadata_named: named.is_some(),
            executor: wires.executor,
            user_agent: user_agent.clone(),
            clock: Arc::clone(&options.clock),
            limit: options.limits.identity,
        };
        let tokens = Tokens::new(means, links);
        let (limits, clock) = (options.limits.clone(), Arc::clone(&options.clock));
        let caller = Caller::new(cloud, limits, transport, tokens, clock, user_agent);
        Ok(Self { caller: Arc::new(caller), authorities: Arc::new(authorities) })
    }

    /// Reads key vaults.
    pub fn vault_reader(&self) -> Arc<dyn VaultReader> {
        Arc::new(Vaults::new(Arc::clone(&self.caller)))
    }

    /// Puts new versions into key vaults.
    pub fn vault_writer(&self) -> Arc<dyn VaultWriter> {
        Arc::new(Vaults::new(Arc::clone(&self.caller)))
    }

    /// Reads and updates cloud services.
    pub fn cloud_services(&self) -> Arc<dyn CloudServices> {
        Arc::new(Services::new(Arc::clone(&self.caller)))
    }

    /// Finds what is deployed.
    pub fn inventory(&self) -> Arc<dyn Inventory> {
        Arc::new(Services::new(Arc::clone(&self.caller)))
    }

    /// Looks at what stands around vaults and services.
    pub fn inspection(&self) -> Arc<dyn Inspection> {
        Arc::new(Surroundings::new(Arc::clone(&self.caller)))
    }

    /// The keys that tokens of a tenant, given by its id, are signed with. What is returned keeps them, so it is made
    /// once.
    pub fn signing_keys(&self, tenant: &str) -> Arc<dyn SigningKeys> {
        Arc::new(TenantKeys::new(
            self.caller.cloud.authority_host.clone(),
            Arc::clone(&self.authorities),
            tenant.to_owned(),
            self.caller.clock(),
            HeaderValue::from_static(USER_AGENT),
        ))
    }

    /// Gets a token, or says why there is none: what `doctor` asks first.
    ///
    /// # Errors
    /// No identity gave one.
    pub async fn check_token(&self, audience: Audience) -> Result<TokenCheck, PortError> {
        self.caller.check_token(audience).await
    }

    /// Calls since the start, by operation and outcome. Every attempt counts.
    pub fn calls(&self) -> Vec<CallCount> {
        self.caller.counts.all()
    }

    /// What Resource Manager last said is left of its limits.
    pub fn quota(&self) -> Vec<Quota> {
        self.caller.quotas.all()
    }
}

impl fmt::Debug for Azure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Azure").field("cloud", &self.caller.cloud.name).finish_non_exhaustive()
    }
}

/// For whom a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Azure Resource Manager.
    ResourceManager,
    /// Key vaults.
    Vault,
}

/// A token that was given, without the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenCheck {
    /// Whom it speaks for.
    pub holder: TokenHolder,
    /// When it expires.
    pub until: Timestamp,
}
