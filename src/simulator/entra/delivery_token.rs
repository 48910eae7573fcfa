//! The tokens that Event Grid presents to a webhook secured by Entra, and every way in which one can be wrong.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use rcgen::PublicKeyData as _;
use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::crypto::tls13::OkmBlock;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::keys::{self, SigningKey};
use super::{Entra, jwt};
use crate::pki;

/// The role that a webhook's application defines and that Event Grid has to be assigned.
pub const DELIVERY_ROLE: &str = "AzureEventGridSecureWebhookSubscriber";
/// A tenant, application or audience that nobody configured.
const STRANGER: &str = "0badc0de-0000-4000-8000-00000000beef";
/// Seconds that a token lives: about the hour that Entra gives to an application.
const LIFETIME: i64 = 3599;
/// Seconds by which an expired token is too old and one that is not yet valid too early: more than the five minutes
/// by which clocks may differ.
const BEYOND_SKEW: i64 = 600;

/// Which form the token has. The webhook's application decides it by `requestedAccessTokenVersion`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenVersion {
    /// 1.0, where nothing was requested.
    #[default]
    One,
    /// 2.0.
    Two,
}

/// What a delivery's token shall say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryToken {
    /// Form.
    pub version: TokenVersion,
    /// Tenant that issues it: `azureActiveDirectoryTenantId` of the subscription.
    pub tenant: String,
    /// `aud`: the webhook's application id, or in the first form the App ID URI where the subscription names that.
    pub audience: String,
    /// Roles that Event Grid was assigned. Without any, the claim is left out.
    pub roles: Vec<String>,
    /// Seconds that it lives.
    pub lifetime: i64,
    /// What is wrong with it.
    pub deviation: Option<Deviation>,
}

/// What is wrong with a token. A webhook must refuse each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deviation {
    /// For another application.
    WrongAudience,
    /// No audience.
    NoAudience,
    /// By an issuer that is no Entra at all.
    WrongIssuer,
    /// By this tenant, as the other form's issuer writes itself.
    OtherFormsIssuer,
    /// No issuer.
    NoIssuer,
    /// By another tenant, whose tokens have the same keys: issuer and `tid` are that tenant's.
    OtherTenant,
    /// The issuer is right, `tid` is another tenant.
    WrongTenantClaim,
    /// No `tid`.
    NoTenantClaim,
    /// To another application than Event Grid.
    WrongApplication,
    /// No `appid` or `azp`.
    NoApplication,
    /// No roles.
    MissingRole,
    /// Another role.
    OtherRole,
    /// `exp` is ten minutes ago.
    Expired,
    /// No `exp`.
    NoExpiry,
    /// `nbf` is in ten minutes.
    NotYetValid,
    /// Signed by a key that is published nowhere, under an id that is unknown.
    UnknownKey,
    /// Signed by another key under the id of the one in use.
    ForgedKeyId,
    /// No key id at all.
    NoKeyId,
    /// Signed by a key that the token brings along.
    EmbeddedKey,
    /// `alg` is `none`, and there is no signature.
    AlgorithmNone,
    /// `alg` is `RS256`, and there is no signature.
    NoSignature,
    /// `alg` is `HS256`, and the shared secret is the published key as PEM.
    HmacWithPublicPem,
    /// `alg` is `HS256`, and the shared secret is the published key as DER.
    HmacWithPublicDer,
    /// `alg` says `RS512`, the signature is by RS256.
    MislabelledAlgorithm,
    /// A claim was changed after signing.
    TamperedClaims,
    /// One bit of the signature was turned.
    TamperedSignature,
    /// Not a token.
    NotAToken,
}

impl DeliveryToken {
    /// A token that nothing is wrong with.
    pub fn new(version: TokenVersion, tenant: &str, audience: &str) -> Self {
        Self {
            version,
            tenant: tenant.to_owned(),
            audience: audience.to_owned(),
            roles: vec![DELIVERY_ROLE.to_owned()],
            lifetime: LIFETIME,
            deviation: None,
        }
    }

    /// The same with this wrong.
    #[must_use]
    pub fn deviating(mut self, deviation: Deviation) -> Self {
        self.deviation = Some(deviation);
        self
    }
}

impl Deviation {
    /// All of them, to loop over.
    pub const ALL: [Self; 27] = [
        Self::WrongAudience,
        Self::NoAudience,
        Self::WrongIssuer,
        Self::OtherFormsIssuer,
        Self::NoIssuer,
        Self::OtherTenant,
        Self::WrongTenantClaim,
        Self::NoTenantClaim,
        Self::WrongApplication,
        Self::NoApplication,
        Self::MissingRole,
        Self::OtherRole,
        Self::Expired,
        Self::NoExpiry,
        Self::NotYetValid,
        Self::UnknownKey,
        Self::ForgedKeyId,
        Self::NoKeyId,
        Self::EmbeddedKey,
        Self::AlgorithmNone,
        Self::NoSignature,
        Self::HmacWithPublicPem,
        Self::HmacWithPublicDer,
        Self::MislabelledAlgorithm,
        Self::TamperedClaims,
        Self::TamperedSignature,
        Self::NotAToken,
    ];
}

impl Entra {
    /// A token as Event Grid presents it to a webhook, signed with the key in use unless it deviates in that.
    pub fn delivery_token(&mut self, wanted: &DeliveryToken, now: Timestamp) -> String {
        let claims = self.delivery_claims(wanted, now);
        let token = self.signed_delivery(wanted, &claims);
        self.tokens.push(token.clone());
        token
    }

    fn delivery_claims(&self, wanted: &DeliveryToken, now: Timestamp) -> Value {
        let is = |deviation| wanted.deviation == Some(deviation);
        let tenant = if is(Deviation::OtherTenant) { STRANGER } else { &wanted.tenant };
        let issuer = match (wanted.version, is(Deviation::OtherFormsIssuer)) {
            _ if is(Deviation::WrongIssuer) => format!("https://login.example/{tenant}/v2.0"),
            (TokenVersion::One, false) | (TokenVersion::Two, true) => self.first_issuer(tenant),
            (TokenVersion::Two, false) | (TokenVersion::One, true) => self.second_issuer(tenant),
        };
        let audience = if is(Deviation::WrongAudience) { STRANGER } else { &wanted.audience };
        let application =
            if is(Deviation::WrongApplication) { STRANGER } else { &self.event_grid_application };
        let second = now.as_second();
        let begins = if is(Deviation::NotYetValid) { second + BEYOND_SKEW } else { second };
        let ends = if is(Deviation::Expired) { second - BEYOND_SKEW } else { begins + wanted.lifetime };
        // Names the service principal of Event Grid in the tenant; any id does.
        let object = Uuid::new_v4().to_string();
        let (application_claim, strength_claim, form) = match wanted.version {
            TokenVersion::One => ("appid", "appidacr", "1.0"),
            TokenVersion::Two => ("azp", "azpacr", "2.0"),
        };
        let mut claims = json!({
            "aud": audience,
            "iss": issuer,
            "iat": begins.min(ends),
            "nbf": begins.min(ends),
            "exp": ends,
            application_claim: application,
            strength_claim: "2",
            "oid": object,
            "sub": object,
            "tid": if is(Deviation::WrongTenantClaim) { STRANGER } else { tenant },
            "uti": Uuid::new_v4().simple().to_string(),
            "ver": form,
        });
        if wanted.version == TokenVersion::One {
            claims["idp"] = json!(issuer);
        }
        match wanted.deviation {
            Some(Deviation::MissingRole) => {}
            Some(Deviation::OtherRole) => claims["roles"] = json!(["EventReader"]),
            _ if wanted.roles.is_empty() => {}
            _ => claims["roles"] = json!(wanted.roles),
        }
        let left_out = match wanted.deviation {
            Some(Deviation::NoAudience) => Some("aud"),
            Some(Deviation::NoIssuer) => Some("iss"),
            Some(Deviation::NoTenantClaim) => Some("tid"),
            Some(Deviation::NoApplication) => Some(application_claim),
            Some(Deviation::NoExpiry) => Some("exp"),
            _ => None,
        };
        without(claims, left_out)
    }

    fn signed_delivery(&self, wanted: &DeliveryToken, claims: &Value) -> String {
        let current = self.signing_keys.in_use;
        let foreign = self.signing_keys.foreign();
        let id = current.id();
        // Tokens of the second form name the key by `kid` alone.
        let mut header = match wanted.version {
            TokenVersion::One => json!({ "typ": "JWT", "alg": "RS256", "x5t": id, "kid": id }),
            TokenVersion::Two => json!({ "typ": "JWT", "alg": "RS256", "kid": id }),
        };
        match wanted.deviation {
            Some(Deviation::UnknownKey) => {
                let unknown = URL_SAFE_NO_PAD.encode(Uuid::new_v4().as_bytes());
                header["kid"] = json!(unknown);
                if wanted.version == TokenVersion::One {
                    header["x5t"] = json!(unknown);
                }
                jwt::sign_under(&header, &foreign.pair(), claims)
            }
            Some(Deviation::ForgedKeyId) => jwt::sign_under(&header, &foreign.pair(), claims),
            Some(Deviation::NoKeyId) => {
                jwt::sign_under(&json!({ "typ": "JWT", "alg": "RS256" }), &current.pair(), claims)
            }
            Some(Deviation::EmbeddedKey) => {
                let key = keys::web_key(foreign);
                header["x5c"] = key["x5c"].clone();
                header["jwk"] = key;
                header["jku"] = json!("https://login.example/keys");
                jwt::sign_under(&header, &foreign.pair(), claims)
            }
            Some(Deviation::AlgorithmNone) => {
                header["alg"] = json!("none");
                jwt::with_signature(&jwt::unsigned(&header, claims), &[])
            }
            Some(Deviation::NoSignature) => jwt::with_signature(&jwt::unsigned(&header, claims), &[]),
            Some(Deviation::HmacWithPublicPem) => {
                let pem = pki::pem("PUBLIC KEY", &public_der(current));
                by_hmac(&mut header, claims, pem.as_bytes())
            }
            Some(Deviation::HmacWithPublicDer) => by_hmac(&mut header, claims, &public_der(current)),
            Some(Deviation::MislabelledAlgorithm) => {
                header["alg"] = json!("RS512");
                jwt::sign_under(&header, &current.pair(), claims)
            }
            Some(Deviation::TamperedClaims) => {
                let honest = jwt::sign_under(&header, &current.pair(), claims);
                let mut claims = claims.clone();
                claims["uti"] = json!("tampered");
                let signature = honest.rsplit_once('.').map_or("", |(_, signature)| signature);
                format!("{}.{signature}", jwt::unsigned(&header, &claims))
            }
            Some(Deviation::TamperedSignature) => {
                let signed = jwt::unsigned(&header, claims);
                let honest = jwt::sign_under(&header, &current.pair(), claims);
                let encoded = honest.rsplit_once('.').map_or("", |(_, signature)| signature);
                let mut signature = URL_SAFE_NO_PAD.decode(encoded).expect("it was just encoded");
                signature[0] ^= 1;
                jwt::with_signature(&signed, &signature)
            }
            Some(Deviation::NotAToken) => "neither.a.token".to_owned(),
            _ => jwt::sign_under(&header, &current.pair(), claims),
        }
    }
}

fn without(claims: Value, left_out: Option<&str>) -> Value {
    match claims {
        Value::Object(members) => Value::Object(
            members.into_iter().filter(|(name, _)| Some(name.as_str()) != left_out).collect::<Map<_, _>>(),
        ),
        other => other,
    }
}

/// The `SubjectPublicKeyInfo` of a key.
fn public_der(key: SigningKey) -> Vec<u8> {
    key.pair().subject_public_key_info()
}

/// A token by HS256, as whoever mistakes a public key for a shared secret would check it.
fn by_hmac(header: &mut Value, claims: &Value, secret: &[u8]) -> String {
    header["alg"] = json!("HS256");
    let signed = jwt::unsigned(header, claims);
    jwt::with_signature(&signed, &hmac_by_long_secret(secret, signed.as_bytes()))
}

/// HMAC-SHA-256 by a secret longer than a block of 64 bytes, as every public key is: its hash takes its place.
fn hmac_by_long_secret(secret: &[u8], message: &[u8]) -> Vec<u8> {
    let suite = TLS13_AES_128_GCM_SHA256.tls13().expect("it is a suite of TLS 1.3");
    let secret = suite.common.hash_provider.hash(secret);
    suite.hkdf_provider.hmac_sign(&OkmBlock::new(secret.as_ref()), message).as_ref().to_vec()
}

#[cfg(test)]
mod tests;
