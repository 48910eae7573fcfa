//! `POST /{tenant}/oauth2/v2.0/token` with `grant_type=client_credentials`, the only grant that a service uses.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use serde_json::json;
use sha1::{Digest as _, Sha1};
use url::form_urlencoded;

use super::jwt::Jwt;
use super::refusal::Refusal;
use super::{Application, Caller, Entra, federation_key};
use crate::message::{Reply, Request};

/// The one kind of assertion: RFC 7523.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Clocks may differ by this much: five minutes, Entra's documented tolerance.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// The form fields of a token request.
struct Form(Vec<(String, String)>);

impl Form {
    fn field(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn need(&self, name: &str) -> Result<&str, Refusal> {
        self.field(name).ok_or_else(|| Refusal::missing(name))
    }
}

/// Which assertion a client presented.
enum Proof<'a> {
    Secret(&'a str),
    Assertion(&'a str),
}

impl Entra {
    /// A token for the application that the form proves to be.
    pub(super) fn token_answer(
        &mut self,
        request: &Request,
        tenant: &str,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let is_form = request
            .header("content-type")
            .is_some_and(|kind| kind.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded"));
        let fields = form_urlencoded::parse(&request.body);
        let form = Form(if is_form { fields.into_owned().collect() } else { Vec::new() });
        let grant = form.need("grant_type")?;
        let tenant = self.known_tenant(tenant)?;
        if grant != "client_credentials" {
            return Err(Refusal::request(
                "unsupported_grant_type",
                70_003,
                format!("The app requested an unsupported grant type '{grant}'."),
            ));
        }
        let client_id = form.need("client_id")?;
        let application = self
            .applications
            .iter()
            .find(|known| known.tenant == tenant && known.client_id.eq_ignore_ascii_case(client_id))
            .ok_or_else(|| {
                Refusal::request(
                    "unauthorized_client",
                    700_016,
                    format!(
                        "Application with identifier '{client_id}' was not found in the directory '{tenant}'. \
                         This can happen if the application has not been installed by the administrator of the \
                         tenant or consented to by any user in the tenant. You may have sent your \
                         authentication request to the wrong tenant."
                    ),
                )
            })?;
        match proof(&form)? {
            Proof::Secret(secret) => check_secret(application, secret)?,
            Proof::Assertion(assertion) => self.check_assertion(application, assertion, &tenant, now)?,
        }
        let audience = self.audience(form.need("scope")?, &tenant)?;
        let caller = Caller {
            object_id: application.object_id.clone(),
            app_id: application.client_id.clone(),
            tenant: tenant.clone(),
        };
        let lifetime = self.token_lifetime;
        let token = self.issue(&caller, &audience, now, lifetime);
        Ok(Reply::json(
            200,
            json!({
                "token_type": "Bearer",
                "expires_in": lifetime,
                "ext_expires_in": lifetime,
                "access_token": token,
            }),
        )
        .with_header("cache-control", "no-store, no-cache"))
    }

    pub(super) fn known_tenant(&self, asked: &str) -> Result<String, Refusal> {
        self.tenants.iter().find(|known| known.eq_ignore_ascii_case(asked)).cloned().ok_or_else(|| {
            Refusal::request(
                "invalid_request",
                90_002,
                format!(
                    "Tenant '{asked}' not found. Check to make sure you have the correct tenant ID and are signing \
                     into the correct cloud. Check with your subscription administrator, this may happen if there \
                     are no active subscriptions for the tenant."
                ),
            )
        })
    }

    /// What the token is for: the scope without its `/.default`, once, so that a resource with a slash at its end
    /// keeps it.
    fn audience(&self, scope: &str, tenant: &str) -> Result<String, Refusal> {
        let Some(resource) = scope.strip_suffix("/.default").filter(|resource| !resource.contains(' '))
        else {
            return Err(Refusal::request(
                "invalid_scope",
                1_002_012,
                format!(
                    "The provided value for scope {scope} is not valid. Client credential flows must have a scope \
                     value with /.default suffixed to the resource identifier (application ID URI)."
                ),
            ));
        };
        self.known_resource(resource, tenant)
    }

    /// A resource, if this cloud has it.
    pub(super) fn known_resource(&self, resource: &str, tenant: &str) -> Result<String, Refusal> {
        if self.resources.iter().any(|known| super::same_resource(known, resource)) {
            return Ok(resource.to_owned());
        }
        Err(Refusal::request(
            "invalid_resource",
            500_011,
            format!(
                "The resource principal named {resource} was not found in the tenant named {tenant}. This can happen \
                 if the application has not been installed by the administrator of the tenant or consented to by any \
                 user in the tenant. You might have sent your authentication request to the wrong tenant."
            ),
        ))
    }

    fn check_assertion(
        &self,
        application: &Application,
        assertion: &str,
        tenant: &str,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let jwt = Jwt::parse(assertion)
            .ok_or_else(|| Refusal::client(50_027, "JWT token is invalid or malformed."))?;
        if jwt.text("iss").is_some_and(|issuer| issuer.eq_ignore_ascii_case(&application.client_id)) {
            check_certificate(application, &jwt)?;
            check_own_claims(application, &jwt)?;
            let endpoints = self.login_hosts.iter().flat_map(|host| {
                [
                    format!("https://{host}/{tenant}/oauth2/v2.0/token"),
                    format!("https://{host}/{tenant}/v2.0"),
                ]
            });
            if !endpoints.into_iter().any(|endpoint| jwt.is_for(&endpoint)) {
                return Err(Refusal::client(
                    700_023,
                    "Client assertion audience claim does not match Realm issuer.",
                ));
            }
        } else {
            self.check_federation(application, &jwt)?;
        }
        check_times(&jwt, now)
    }

    /// A token of another issuer: each of issuer, subject and audience has to equal what was registered.
    fn check_federation(&self, application: &Application, jwt: &Jwt<'_>) -> Result<(), Refusal> {
        let issuer = jwt.text("iss").unwrap_or_default();
        let subject = jwt.text("sub").unwrap_or_default();
        let no_match = |code, what: &str, value: &str| {
            Refusal::client(
                code,
                format!(
                    "No matching federated identity record found for presented assertion {what} '{value}'. Check your \
                     federated identity credential Subject, Audience and Issuer against the presented assertion. \
                     https://learn.microsoft.com/entra/workload-id/workload-identity-federation"
                ),
            )
        };
        let mut of_issuer = application.federations.iter().filter(|known| known.issuer == issuer).peekable();
        if of_issuer.peek().is_none() {
            return Err(no_match(700_211, "issuer", issuer));
        }
        if !of_issuer.any(|known| known.subject == subject) {
            return Err(no_match(700_213, "subject", subject));
        }
        if !jwt.is_for(&self.federation_audience) {
            return Err(no_match(700_212, "audience", jwt.text("aud").unwrap_or_default()));
        }
        if !jwt.signed_by(federation_key().0.public_key_raw()) {
            return Err(Refusal::client(
                50_027,
                "JWT token is invalid or malformed. The signature could not be verified.",
            ));
        }
        Ok(())
    }
}

fn proof<'a>(form: &'a Form) -> Result<Proof<'a>, Refusal> {
    if let Some(assertion) = form.field("client_assertion") {
        let kind = form.need("client_assertion_type")?;
        if kind != JWT_BEARER {
            return Err(Refusal::request(
                "invalid_request",
                50_027,
                format!("The client assertion type '{kind}' is not supported."),
            ));
        }
        return Ok(Proof::Assertion(assertion));
    }
    form.field("client_secret").map(Proof::Secret).ok_or_else(|| {
        Refusal::client(
            7_000_218,
            "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
        )
    })
}

fn check_secret(application: &Application, secret: &str) -> Result<(), Refusal> {
    if application.secrets.iter().any(|known| known == secret) {
        return Ok(());
    }
    Err(Refusal::client(
        7_000_215,
        format!(
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, \
             not the client secret ID, for a secret added to app '{}'.",
            application.client_id
        ),
    ))
}

/// The header names a registered certificate by `x5t` or `x5t#S256`, and that certificate's key made the signature.
fn check_certificate(application: &Application, jwt: &Jwt<'_>) -> Result<(), Refusal> {
    let named = |certificate: &[u8]| {
        let sha1 = URL_SAFE_NO_PAD.encode(Sha1::digest(certificate));
        let sha256 = TLS13_AES_128_GCM_SHA256
            .tls13()
            .map(|suite| URL_SAFE_NO_PAD.encode(suite.common.hash_provider.hash(certificate).as_ref()));
        jwt.header["x5t"] == sha1.as_str()
            || sha256.is_some_and(|sha256| jwt.header["x5t#S256"] == sha256.as_str())
    };
    let Some(certificate) = application.certificates.iter().find(|certificate| named(certificate)) else {
        return Err(Refusal::client(
            700_027,
            format!(
                "The certificate with identifier used to sign the client assertion is not registered on application. \
                 [Reason - The key was not found., Thumbprint of key used by client: '{}', \
                 Please visit the Azure Portal, Graph Explorer or directly use MS Graph to see configured keys for \
                 app Id '{}'.]",
                jwt.header["x5t"].as_str().unwrap_or_default(),
                application.client_id
            ),
        ));
    };
    let signed = x509_parser::parse_x509_certificate(certificate)
        .is_ok_and(|(_, parsed)| jwt.signed_by(&parsed.public_key().subject_public_key.data));
    if !signed {
        return Err(Refusal::client(
            700_027,
            "Client assertion contains an invalid signature. [Reason - The key used is not the registered one.]",
        ));
    }
    Ok(())
}

fn check_own_claims(application: &Application, jwt: &Jwt<'_>) -> Result<(), Refusal> {
    if jwt.text("sub").is_none_or(|subject| !subject.eq_ignore_ascii_case(&application.client_id)) {
        return Err(Refusal::client(
            700_021,
            "Client assertion application identifier doesn't match 'client_id' parameter. Review the documentation \
             at https://docs.microsoft.com/azure/active-directory/develop/active-directory-certificate-credentials .",
        ));
    }
    Ok(())
}

fn check_times(jwt: &Jwt<'_>, now: Timestamp) -> Result<(), Refusal> {
    let at =
        |claim: &str| jwt.claims[claim].as_i64().and_then(|seconds| Timestamp::from_second(seconds).ok());
    let begun = at("nbf").is_none_or(|begin| begin <= now + SKEW);
    let lasting = at("exp").is_some_and(|end| end > now - SKEW);
    if begun && lasting {
        return Ok(());
    }
    let shown = |claim| at(claim).map(|instant| instant.to_string()).unwrap_or_default();
    Err(Refusal::client(
        700_024,
        format!(
            "Client assertion is not within its valid time range. Current time: {now}, assertion valid from {}, expiry \
             time of assertion {}.",
            shown("nbf"),
            shown("exp")
        ),
    ))
}
