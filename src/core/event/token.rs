//! The bearer token of a delivery: Entra tokens of both versions, signed with RS256.
//!
//! Read first by [`UnverifiedToken::read`], so that the key can be found by its id; believed only as [`VerifiedToken`],
//! which [`UnverifiedToken::verify`] alone makes. Sources: Microsoft identity platform, access tokens; RFC 7515, RFC 7519.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde::Deserialize;
use thiserror::Error;

/// Largest token that is read: those of Entra have some 2 KB.
const TOKEN: usize = 16 * 1024;
/// Longest id of a key, in bytes: those of Entra are thumbprints in base64, of 27 letters.
const KEY_ID: usize = 256;
/// Difference that clocks may have.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// Whom deliveries are believed from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPolicy {
    /// The tenant's id.
    pub tenant: String,
    /// For whom tokens may be: the application's id and its URIs.
    pub audiences: Vec<String>,
    /// Applications that may deliver: Event Grid's id in the cloud.
    pub applications: Vec<String>,
    /// The role that they must have.
    pub role: String,
}

/// The two forms of Entra's tokens. The application that is addressed chooses which it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TokenVersion {
    /// `ver` is `1.0`: the caller is `appid`.
    V1,
    /// `ver` is `2.0`: the caller is `azp`.
    V2,
}

/// A key of the issuer, from its published set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKey {
    /// Whose key it is: the `iss` of tokens that it may sign. Kept with the key, so that no key proves what another
    /// issuer says.
    pub issuer: String,
    /// `kid`.
    pub id: String,
    /// The modulus, big-endian.
    pub modulus: Vec<u8>,
    /// The public exponent, big-endian.
    pub exponent: Vec<u8>,
}

/// What is no token.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum TokenError {
    /// Longer than any token.
    #[error("the token has more than {TOKEN} bytes")]
    TooLong,
    /// Not three parts of base64url, the first two of which are JSON.
    #[error("the token is malformed; expected three parts of base64url")]
    Malformed,
    /// Of a version that is not known.
    #[error("the token is of an unknown version; expected 1.0 or 2.0")]
    Version,
    /// Names no key that it is signed with.
    #[error("the token does not name its key")]
    Key,
    /// Has extensions that would have to be understood (RFC 7515, 4.1.11). Entra writes none.
    #[error("the token has extensions that are not known")]
    Critical,
    /// Signed in another way. `none` and the HMAC family are the known ways to pass a forged token.
    #[error("the token is not signed with RS256")]
    Algorithm,
}

/// Why a token that can be read is not believed. Never names what is in it.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Denied {
    /// The signature is not of that key.
    #[error("the token's signature is wrong")]
    Signature,
    /// Another issuer.
    #[error("the token is of another issuer")]
    Issuer,
    /// For somebody else.
    #[error("the token is for another audience")]
    Audience,
    /// Another tenant.
    #[error("the token is of another tenant")]
    Tenant,
    /// Another application.
    #[error("the token is of another application")]
    Application,
    /// The role is missing.
    #[error("the token lacks the role")]
    Role,
    /// It has ended.
    #[error("the token has expired")]
    Expired,
    /// It has not begun, or says nothing of when it ends.
    #[error("the token is not valid yet, or has no end")]
    NotYetValid,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<serde::de::IgnoredAny>,
}

/// The claims that are judged. A member of another type than documented makes the token malformed.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
struct Claims {
    ver: String,
    iss: String,
    aud: Audience,
    #[serde(default)]
    tid: Option<String>,
    /// The application, in tokens of version 1.
    #[serde(default)]
    appid: Option<String>,
    /// The application, in tokens of version 2.
    #[serde(default)]
    azp: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    exp: Option<i64>,
    #[serde(default)]
    nbf: Option<i64>,
}

/// One, or several (RFC 7519, 4.1.3).
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// A token of which nothing is believed yet.
#[derive(Clone)]
pub struct UnverifiedToken {
    key: String,
    version: TokenVersion,
    claims: Claims,
    signed: String,
    signature: Vec<u8>,
}

/// Proof that a delivery is from whom it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedToken {
    application: String,
}

impl VerifiedToken {
    /// The application that delivered.
    pub fn application(&self) -> &str {
        &self.application
    }
}

impl std::fmt::Debug for UnverifiedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnverifiedToken").field("key", &self.key).finish_non_exhaustive()
    }
}

impl UnverifiedToken {
    /// Reads a token, without believing it.
    ///
    /// # Errors
    /// It is none, or is signed in a way that proves nothing.
    pub fn read(token: &str) -> Result<Self, TokenError> {
        if token.len() > TOKEN {
            return Err(TokenError::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed);
        let header: Header = serde_json::from_slice(&decoded(header)?).map_err(|_| TokenError::Malformed)?;
        if header.alg != "RS256" {
            return Err(TokenError::Algorithm);
        }
        if header.crit.is_some() {
            return Err(TokenError::Critical);
        }
        let key = header.kid.filter(|key| !key.is_empty() && key.len() <= KEY_ID).ok_or(TokenError::Key)?;
        let claims: Claims = serde_json::from_slice(&decoded(claims)?).map_err(|_| TokenError::Malformed)?;
        let version = match claims.ver.as_str() {
            "1.0" => TokenVersion::V1,
            "2.0" => TokenVersion::V2,
            _ => return Err(TokenError::Version),
        };
        let signature = decoded(signature)?;
        Ok(Self { key, version, claims, signed: signed.to_owned(), signature })
    }

    /// `kid`: which key of the issuer it says that it is signed with.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Which form it has, and so whose keys it is to be judged by.
    pub fn version(&self) -> TokenVersion {
        self.version
    }

    /// Believes it, or says why not.
    ///
    /// # Errors
    /// The first thing that is not as it has to be. The signature comes first: nothing else of a forged token counts.
    pub fn verify(
        &self,
        key: &SigningKey,
        policy: &TokenPolicy,
        now: Timestamp,
    ) -> Result<VerifiedToken, Denied> {
        let components = RsaPublicKeyComponents { n: &key.modulus, e: &key.exponent };
        components
            .verify(&RSA_PKCS1_2048_8192_SHA256, self.signed.as_bytes(), &self.signature)
            .map_err(|_| Denied::Signature)?;
        claims_of(self, &key.issuer, policy, now)
    }
}

/// Judges the claims of a token whose signature was found right.
pub(super) fn claims_of(
    token: &UnverifiedToken,
    issuer: &str,
    policy: &TokenPolicy,
    now: Timestamp,
) -> Result<VerifiedToken, Denied> {
    let Claims { ver: _, iss, aud, tid, appid, azp, roles, exp, nbf } = &token.claims;
    if iss != issuer {
        return Err(Denied::Issuer);
    }
    let audiences = match aud {
        Audience::One(one) => std::slice::from_ref(one),
        Audience::Several(several) => several,
    };
    if !audiences.iter().any(|audience| policy.audiences.contains(audience)) {
        return Err(Denied::Audience);
    }
    if !tid.as_ref().is_some_and(|tenant| tenant.eq_ignore_ascii_case(&policy.tenant)) {
        return Err(Denied::Tenant);
    }
    // Each version has its own claim; the other one is of no account.
    let application = match token.version {
        TokenVersion::V1 => appid,
        TokenVersion::V2 => azp,
    };
    let application = application.as_ref().ok_or(Denied::Application)?;
    if !policy.applications.iter().any(|allowed| allowed.eq_ignore_ascii_case(application)) {
        return Err(Denied::Application);
    }
    if !roles.contains(&policy.role) {
        return Err(Denied::Role);
    }
    let moment = |seconds: i64| Timestamp::from_second(seconds).map_err(|_| Denied::NotYetValid);
    let ends = moment(exp.ok_or(Denied::NotYetValid)?)?;
    if now.checked_sub(SKEW).is_ok_and(|now| now >= ends) {
        return Err(Denied::Expired);
    }
    if let Some(begins) = nbf
        && now.checked_add(SKEW).is_ok_and(|now| moment(*begins).map_or(true, |begins| now < begins))
    {
        return Err(Denied::NotYetValid);
    }
    Ok(VerifiedToken { application: application.clone() })
}
