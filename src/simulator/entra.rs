//! Microsoft Entra ID's token endpoint and the managed-identity endpoint of virtual machines.

use jiff::Timestamp;

use crate::message::{Reply, Request};

/// The tenants and applications of one simulated cloud, and every token it has issued.
#[derive(Clone, Debug)]
pub struct Entra {
    /// Tenant ids.
    pub tenants: Vec<String>,
    /// Login hosts that lead here, the current one first.
    pub login_hosts: Vec<String>,
    /// Resources that tokens can be had for, such as `https://vault.azure.cn`.
    pub resources: Vec<String>,
    /// What a federated token must say as its audience.
    pub federation_audience: String,
    /// Seconds that a token of an application lives.
    pub token_lifetime: i64,
    /// Seconds that a token of a managed identity lives.
    pub managed_identity_lifetime: i64,
    /// Applications by no order.
    pub applications: Vec<Application>,
    /// Identities that the simulated machine has; the first one without `user_assigned` is the system's.
    pub managed_identities: Vec<ManagedIdentity>,
}

/// An application with its service principal and credentials.
#[derive(Clone, Debug, Default)]
pub struct Application {
    /// Tenant that it lives in.
    pub tenant: String,
    /// Application id, which clients call client id.
    pub client_id: String,
    /// Object id of its service principal: what role assignments name.
    pub object_id: String,
    /// Client secrets.
    pub secrets: Vec<String>,
    /// Client certificates in DER.
    pub certificates: Vec<Vec<u8>>,
    /// Federated credentials.
    pub federations: Vec<Federation>,
}

/// One federated credential.
#[derive(Clone, Debug, Default)]
pub struct Federation {
    /// Issuer, compared exactly.
    pub issuer: String,
    /// Subject, compared exactly, such as `system:serviceaccount:ops:certroll`.
    pub subject: String,
    /// Public certificates of the issuer in DER; where empty, the signature is not looked at.
    pub keys: Vec<Vec<u8>>,
}

/// A managed identity of the machine.
#[derive(Clone, Debug, Default)]
pub struct ManagedIdentity {
    /// Tenant that it lives in.
    pub tenant: String,
    /// Client id.
    pub client_id: String,
    /// Object id.
    pub object_id: String,
    /// Resource id where it is user-assigned; `None` for the system-assigned one.
    pub resource_id: Option<String>,
}

/// Who a token speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Object id of the service principal.
    pub object_id: String,
    /// Application id.
    pub app_id: String,
    /// Tenant of the token.
    pub tenant: String,
}

/// What is wrong with a request's bearer token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFault {
    /// No `Authorization: Bearer` header.
    Missing,
    /// Not a token of this Entra, or altered.
    Malformed,
    /// Past its `exp`.
    Expired,
    /// Issued for another resource.
    WrongAudience,
}

impl Entra {
    /// The public cloud with one tenant.
    pub fn public(tenant: &str) -> Self {
        Self {
            tenants: vec![tenant.to_owned()],
            login_hosts: Vec::new(),
            resources: Vec::new(),
            federation_audience: String::new(),
            token_lifetime: 3599,
            managed_identity_lifetime: 86_399,
            applications: Vec::new(),
            managed_identities: Vec::new(),
        }
    }

    /// The China cloud with one tenant.
    pub fn china(tenant: &str) -> Self {
        Self::public(tenant)
    }

    /// The US Government cloud with one tenant.
    pub fn us_government(tenant: &str) -> Self {
        Self::public(tenant)
    }

    /// Answers a request to a login host.
    pub fn answer(&mut self, request: &Request, now: Timestamp) -> Reply {
        let _ = (request, now);
        Reply::empty(404)
    }

    /// Answers a request to the metadata endpoint of a virtual machine.
    pub fn managed_identity_answer(&mut self, request: &Request, now: Timestamp) -> Reply {
        let _ = (request, now);
        Reply::empty(404)
    }

    /// Who sent a request, if its bearer token holds for one of these audiences.
    pub fn authenticate(
        &self,
        request: &Request,
        audiences: &[String],
        now: Timestamp,
    ) -> Result<Caller, TokenFault> {
        let _ = (request, audiences, now);
        Err(TokenFault::Missing)
    }

    /// A token for an application or managed identity without asking over HTTP.
    pub fn issue(&mut self, caller: &Caller, audience: &str, now: Timestamp, lifetime: i64) -> String {
        let _ = (caller, audience, now, lifetime);
        String::new()
    }

    /// How many tokens were issued.
    pub fn issued(&self) -> usize {
        0
    }

    /// Every token ever issued, in order: no log may hold one.
    pub fn issued_tokens(&self) -> impl Iterator<Item = &str> {
        std::iter::empty()
    }
}
