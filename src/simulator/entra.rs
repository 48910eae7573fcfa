//! Microsoft Entra ID: the token endpoint, its keys, and the managed-identity endpoint of virtual machines.
//!
//! Tokens are JWTs signed by RS256, but what makes one valid is that this value issued it: keys are public here.

mod delivery_token;
mod jwt;
mod keys;
mod managed_identity;
mod refusal;
mod token_endpoint;

use std::collections::HashMap;

use jiff::Timestamp;
use rcgen::KeyPair;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::message::{Reply, Request};
use crate::pki::{self, KeyKind};

pub use delivery_token::{DELIVERY_ROLE, DeliveryToken, Deviation, TokenVersion};
pub use keys::{SigningKey, SigningKeys};
use refusal::Refusal;

/// Seconds that an application's token lives: the usual hour less one second that Entra answers.
const TOKEN_LIFETIME: i64 = 3599;
/// Seconds that a managed identity's token lives: a day less one second.
const MANAGED_IDENTITY_LIFETIME: i64 = 86_399;

/// The tenants and applications of one simulated cloud, and every token it has issued.
#[derive(Clone, Debug)]
pub struct Entra {
    /// Tenant ids.
    pub tenants: Vec<String>,
    /// Login hosts that lead here, the current one first.
    pub login_hosts: Vec<String>,
    /// Host in the issuer of tokens of the first form, such as `sts.windows.net`.
    pub issuer_host: String,
    /// Resources that tokens can be had for, such as `https://vault.azure.cn`; a slash at the end makes no difference.
    pub resources: Vec<String>,
    /// What a federated token must say as its audience.
    pub federation_audience: String,
    /// Seconds that a token of an application lives.
    pub token_lifetime: i64,
    /// Seconds that a token of a managed identity lives.
    pub managed_identity_lifetime: i64,
    /// Applications in no order.
    pub applications: Vec<Application>,
    /// Identities that the simulated machine has; one without a resource id is the system's.
    pub managed_identities: Vec<ManagedIdentity>,
    /// Application id of Event Grid in this cloud: who the tokens to webhooks are issued to.
    pub event_grid_application: String,
    /// Keys in use and published.
    pub signing_keys: SigningKeys,
    grants: HashMap<String, Grant>,
    tokens: Vec<String>,
    refused: usize,
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
    /// Client certificates in DER; RSA.
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

/// What a token stands for.
#[derive(Clone, Debug)]
struct Grant {
    caller: Caller,
    audience: String,
    expires: Timestamp,
}

impl Federation {
    /// A token as this credential's issuer would project it into a pod.
    pub fn token(&self, audience: &str, now: Timestamp, lifetime: i64) -> String {
        let (key, id) = federation_key();
        let second = now.as_second();
        let claims = json!({
            "aud": [audience],
            "iss": self.issuer,
            "sub": self.subject,
            "iat": second,
            "nbf": second,
            "exp": second + lifetime,
            "jti": Uuid::new_v4().to_string(),
        });
        jwt::sign(&key, &id, &claims)
    }
}

impl Entra {
    /// The public cloud with one tenant.
    pub fn public(tenant: &str) -> Self {
        Self {
            tenants: vec![tenant.to_owned()],
            login_hosts: owned(&["login.microsoftonline.com", "login.windows.net"]),
            issuer_host: "sts.windows.net".to_owned(),
            resources: owned(&[
                "https://management.azure.com",
                "https://management.core.windows.net",
                "https://vault.azure.net",
                "https://storage.azure.com",
            ]),
            federation_audience: "api://AzureADTokenExchange".to_owned(),
            token_lifetime: TOKEN_LIFETIME,
            managed_identity_lifetime: MANAGED_IDENTITY_LIFETIME,
            applications: Vec::new(),
            managed_identities: Vec::new(),
            event_grid_application: "4962773b-9cdb-44cf-a8bf-237846a00ab7".to_owned(),
            signing_keys: SigningKeys::default(),
            grants: HashMap::new(),
            tokens: Vec::new(),
            refused: 0,
        }
    }

    /// The China cloud, operated by 21Vianet, with one tenant.
    pub fn china(tenant: &str) -> Self {
        Self {
            login_hosts: owned(&["login.partner.microsoftonline.cn", "login.chinacloudapi.cn"]),
            issuer_host: "sts.chinacloudapi.cn".to_owned(),
            resources: owned(&[
                "https://management.chinacloudapi.cn",
                "https://management.core.chinacloudapi.cn",
                "https://vault.azure.cn",
                "https://storage.azure.com",
            ]),
            federation_audience: "api://AzureADTokenExchangeChina".to_owned(),
            // Microsoft does not publish the one of China: made up.
            event_grid_application: "7d1c0f42-96b3-4e0a-8a57-3c5de2f18b60".to_owned(),
            ..Self::public(tenant)
        }
    }

    /// The US Government cloud with one tenant.
    pub fn us_government(tenant: &str) -> Self {
        Self {
            login_hosts: owned(&["login.microsoftonline.us", "login.usgovcloudapi.net"]),
            resources: owned(&[
                "https://management.usgovcloudapi.net",
                "https://management.core.usgovcloudapi.net",
                "https://vault.usgovcloudapi.net",
                "https://storage.azure.com",
            ]),
            federation_audience: "api://AzureADTokenExchangeUSGov".to_owned(),
            event_grid_application: "54316b56-3481-47f9-8f30-0300f5542a7b".to_owned(),
            ..Self::public(tenant)
        }
    }

    /// Answers a request to a login host: the token endpoint, discovery and keys.
    pub fn answer(&mut self, request: &Request, now: Timestamp) -> Reply {
        let segments = request.segments();
        let path: Vec<&str> = segments.iter().map(String::as_str).collect();
        let post_only = || {
            let text =
                format!("The endpoint only accepts POST requests. Received a {} request.", request.method);
            Err(Refusal::request("invalid_request", 900_561, text))
        };
        let get = request.method == "GET";
        let answer = match path.as_slice() {
            [tenant, "oauth2", "v2.0", "token"] if request.method == "POST" => {
                self.token_answer(request, tenant, now)
            }
            [_, "oauth2", "v2.0", "token"] => post_only(),
            [tenant, ".well-known", "openid-configuration"] if get => self
                .known_tenant(tenant)
                .map(|tenant| Reply::json(200, self.discovery_document(&tenant, false))),
            [tenant, "v2.0", ".well-known", "openid-configuration"] if get => self
                .known_tenant(tenant)
                .map(|tenant| Reply::json(200, self.discovery_document(&tenant, true))),
            [tenant, "discovery", "keys"] if get => {
                self.known_tenant(tenant).map(|tenant| Reply::json(200, self.key_document(&tenant, false)))
            }
            [tenant, "discovery", "v2.0", "keys"] if get => {
                self.known_tenant(tenant).map(|tenant| Reply::json(200, self.key_document(&tenant, true)))
            }
            _ => return Reply::empty(404),
        };
        answer.unwrap_or_else(|refusal| {
            self.refused += 1;
            refusal.reply(request.url.host_str().unwrap_or_default(), now)
        })
    }

    /// Who sent a request, if its bearer token holds for one of these audiences.
    pub fn authenticate(
        &self,
        request: &Request,
        audiences: &[String],
        now: Timestamp,
    ) -> Result<Caller, TokenFault> {
        let token = request
            .header("authorization")
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .ok_or(TokenFault::Missing)?;
        let grant = self.grants.get(token).ok_or(TokenFault::Malformed)?;
        if now >= grant.expires {
            return Err(TokenFault::Expired);
        }
        if !audiences.iter().any(|audience| same_resource(audience, &grant.audience)) {
            return Err(TokenFault::WrongAudience);
        }
        Ok(grant.caller.clone())
    }

    /// A token for a caller without asking over HTTP; `lifetime` in seconds.
    pub fn issue(&mut self, caller: &Caller, audience: &str, now: Timestamp, lifetime: i64) -> String {
        let second = now.as_second();
        let expires = second + lifetime;
        let token = self.sign(&json!({
            "aud": audience,
            "iss": self.first_issuer(&caller.tenant),
            "iat": second,
            "nbf": second,
            "exp": expires,
            "appid": caller.app_id,
            "appidacr": "1",
            "idp": self.first_issuer(&caller.tenant),
            "idtyp": "app",
            "oid": caller.object_id,
            "sub": caller.object_id,
            "tid": caller.tenant,
            // Makes two tokens of one second differ, as real ones do.
            "uti": Uuid::new_v4().simple().to_string(),
            "ver": "1.0",
        }));
        let expires = Timestamp::from_second(expires).expect("a token's expiry is a date");
        let grant = Grant { caller: caller.clone(), audience: audience.to_owned(), expires };
        self.grants.insert(token.clone(), grant);
        token
    }

    /// A token with these claims under the key in use: for those that Azure sends to others, such as Event Grid's to
    /// a webhook. This Entra's own resources do not take it.
    pub fn sign(&mut self, claims: &Value) -> String {
        let key = self.signing_keys.in_use;
        let token = jwt::sign(&key.pair(), &key.id(), claims);
        self.tokens.push(token.clone());
        token
    }

    /// Makes a token worthless at once.
    pub fn revoke(&mut self, token: &str) {
        self.grants.remove(token);
    }

    /// How many tokens were issued.
    pub fn issued(&self) -> usize {
        self.tokens.len()
    }

    /// How many token requests were refused at a login host.
    pub fn refused(&self) -> usize {
        self.refused
    }

    /// Every token ever issued, in order: no log may hold one.
    pub fn issued_tokens(&self) -> impl Iterator<Item = &str> {
        self.tokens.iter().map(String::as_str)
    }

    /// The issuer in tokens of the first form.
    pub fn first_issuer(&self, tenant: &str) -> String {
        format!("https://{}/{tenant}/", self.issuer_host)
    }

    /// The issuer in tokens of the second form.
    pub fn second_issuer(&self, tenant: &str) -> String {
        format!("{}/v2.0", self.authority(tenant))
    }

    /// Where a tenant's tokens are asked for.
    fn authority(&self, tenant: &str) -> String {
        format!("https://{}/{tenant}", self.login_hosts[0])
    }
}

/// Whether two spellings mean one resource.
fn same_resource(one: &str, other: &str) -> bool {
    one.trim_end_matches('/').eq_ignore_ascii_case(other.trim_end_matches('/'))
}

/// The key of every foreign issuer, with its id.
fn federation_key() -> (KeyPair, String) {
    (pki::key_pair(KeyKind::OtherRsa2048), "cluster-key".to_owned())
}

fn owned(values: &[&str]) -> Vec<String> {
    values.iter().map(|&value| value.to_owned()).collect()
}

#[cfg(test)]
mod tests;
