//! What an [`Azure`](crate::Azure) is made from.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use certroll_core::cloud::AzureCloud;
use certroll_core::ports::Clock;
use thiserror::Error;
use url::Url;

use crate::token::{Environment, IdentityOptions};
use crate::transport::BodyLimit;

/// Everything that the clients need to know. Make one with [`AzureOptions::new`] and change what differs.
#[derive(Clone)]
pub struct AzureOptions {
    /// The cloud: its hosts, scopes and versions.
    pub cloud: AzureCloud,
    /// Who asks.
    pub identity: IdentityOptions,
    /// How the network is reached.
    pub network: Network,
    /// How long, how often, how much.
    pub limits: Limits,
    /// The time. Waits between attempts go through it; time-outs of the network do not.
    pub clock: Arc<dyn Clock>,
}

impl AzureOptions {
    /// The usual options: identity `auto` with this process's environment, its proxy, the default limits.
    pub fn new(cloud: AzureCloud, clock: Arc<dyn Clock>) -> Self {
        Self {
            cloud,
            identity: IdentityOptions {
                environment: Environment::of_process(),
                ..IdentityOptions::default()
            },
            network: Network::default(),
            limits: Limits::default(),
            clock,
        }
    }
}

impl fmt::Debug for AzureOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AzureOptions")
            .field("cloud", &self.cloud.name)
            .field("identity", &self.identity)
            .field("network", &self.network)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// How the network is reached.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// The proxy for the cloud's hosts. The metadata endpoint of the machine is never asked through a proxy.
    pub proxy: Proxy,
    /// Hosts that are reached without the proxy, in the form of the `NO_PROXY` variable. Only with [`Proxy::Url`].
    pub no_proxy: Option<String>,
    /// PEM certificates that are trusted besides the system's roots.
    pub ca_pem: Vec<u8>,
}

/// Which proxy is used.
#[derive(Clone, Default)]
pub enum Proxy {
    /// What `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` say.
    #[default]
    Environment,
    /// None, whatever the environment says.
    None,
    /// This one, by CONNECT. User name and password in the URL are sent to the proxy.
    Url(Url),
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("Environment"),
            Self::None => f.write_str("None"),
            Self::Url(url) => write!(f, "Url({})", url.host_str().unwrap_or_default()),
        }
    }
}

/// How long, how often, how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Until a connection stands, with its TLS handshake.
    pub connect: Duration,
    /// Between two pieces of an answer, and before the first.
    pub read: Duration,
    /// For one call from its first byte to its last.
    pub call: Duration,
    /// For one identity to give a token. An identity that is not there must not hold up the next one.
    pub identity: Duration,
    /// How often a read is attempted at most.
    pub attempts: u32,
    /// No attempt begins later than this after the first.
    pub attempts_within: Duration,
    /// Pages of one list.
    pub pages: usize,
    /// Items of one list.
    pub items: usize,
    /// Largest answer.
    pub body: BodyLimit,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A host that does not take a connection in 10 s does not take it in 60 s either.
            connect: Duration::from_secs(10),
            // Resource Manager itself gives up after 60 s (a recorded 500 came after 40 s): its own word is better
            // than our time-out, which makes a PUT ambiguous.
            read: Duration::from_secs(75),
            call: Duration::from_secs(100),
            // The az command takes up to ten seconds on a small machine; a metadata endpoint answers within one.
            identity: Duration::from_secs(20),
            // 1 + 2 + 4 + 8 s of waiting: what survives that is left to the next poll.
            attempts: 5,
            attempts_within: Duration::from_secs(150),
            // Vault pages hold 25 objects; 50 000 objects in a vault that serves certificates is a runaway.
            pages: 2_000,
            items: 50_000,
            body: BodyLimit::default(),
        }
    }
}

/// Why the clients cannot be made. All of these are faults of the configuration.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetupError {
    /// The additional roots cannot be used.
    #[error("the additional root certificates cannot be used: {0}")]
    Roots(String),
    /// The proxy cannot be used. Its URL may hold a password and is not repeated.
    #[error("the proxy's address cannot be used; expected `http://host:port`")]
    Proxy,
    /// The HTTP client cannot be built.
    #[error("the HTTP client cannot be built: {0}")]
    Client(String),
    /// An identity lacks something, or what it has cannot be used.
    #[error("the identity `{identity}` cannot be used: {reason}")]
    Identity {
        /// Its kind, as the configuration names it.
        identity: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The token authority is not one of the cloud.
    #[error("the token authority `{found}` is not one of the cloud `{cloud}`; expected {expected}")]
    Authority {
        /// The host that was named.
        found: String,
        /// The cloud's name.
        cloud: String,
        /// Its authorities.
        expected: String,
    },
}
