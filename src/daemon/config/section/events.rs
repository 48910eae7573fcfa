//! `[events]`: the webhook that Event Grid delivers to.

use std::net::SocketAddr;

use certroll_core::cloud::AzureCloud;
use http::HeaderName;
use http::header::AUTHORIZATION;
use schemars::JsonSchema;
use serde::Deserialize;

use super::cloud::host;
use crate::config::at::At;
use crate::config::check::Checker;
use crate::config::secret::Secret;
use crate::http::tls::{ServerCertificate, TlsFiles};

/// `[events]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventsKeys {
    /// Address and port of the webhook. Without it there is none.
    listen: Option<At<String>>,
    /// The file of the certificate that is presented, with its intermediates, as PEM.
    certificate_file: Option<At<String>>,
    /// The file of the certificate's private key, as PEM.
    key_file: Option<At<String>>,
    /// Whether deliveries must prove whom they are from.
    authentication: At<Demand>,
    /// Largest body of a delivery, in KiB.
    #[schemars(range(min = 64, max = 8192))]
    body_limit_kib: At<u32>,
    /// Connections at once.
    #[schemars(range(min = 16, max = 10_000))]
    connections: At<u32>,
    /// By which names Event Grid asks for consent to subscriptions of the CloudEvents schema.
    origins: Option<At<Vec<At<String>>>>,
    /// A secret that subscriptions send with each delivery.
    shared_secret: Option<At<SharedSecretKeys>>,
    /// Tokens of Microsoft Entra ID that Event Grid sends with each delivery.
    entra: Option<At<EntraKeys>>,
}

/// The value of `authentication`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Demand {
    Required,
    None,
}

/// `[events.shared_secret]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SharedSecretKeys {
    /// The header that holds it.
    header: Option<At<String>>,
    /// The parameter of the query that holds it.
    query: Option<At<String>>,
    /// The file that holds the secret.
    secret_file: Option<At<String>>,
    /// The environment variable that holds the secret.
    secret_env: Option<At<String>>,
    /// The file that holds the secret before it.
    previous_secret_file: Option<At<String>>,
    /// The environment variable that holds the secret before it.
    previous_secret_env: Option<At<String>>,
}

/// `[events.entra]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EntraKeys {
    /// The tenant's id.
    #[schemars(required)]
    tenant_id: Option<At<String>>,
    /// For whom tokens may be: the id of the application that stands for the webhook, and its URIs.
    #[schemars(required)]
    audiences: Option<At<Vec<At<String>>>>,
    /// The application of Event Grid, where it is not the cloud's own.
    application_id: Option<At<String>>,
    /// The role that Event Grid must have.
    role: Option<At<String>>,
}

/// The webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventsSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What TLS is served with; none for plain HTTP behind something that ends TLS.
    pub tls: Option<TlsFiles>,
    /// The shared secret.
    pub shared_secret: Option<SharedSecretSettings>,
    /// Tokens of Microsoft Entra ID. Without them and without a secret everything is believed.
    pub entra: Option<EntraSettings>,
    /// Names of Event Grid that are consented to.
    pub origins: Vec<String>,
    /// Largest body, in bytes.
    pub body_limit: usize,
    /// Connections at once.
    pub connections: usize,
}

/// A shared secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedSecretSettings {
    /// The header that holds it.
    pub header: Option<HeaderName>,
    /// The parameter of the query that holds it.
    pub query: Option<String>,
    /// The secret.
    pub current: Secret,
    /// The one before it.
    pub previous: Option<Secret>,
}

/// Whose tokens are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntraSettings {
    /// The tenant's id, in lower case.
    pub tenant_id: String,
    /// For whom tokens may be.
    pub audiences: Vec<String>,
    /// The application of Event Grid, in lower case.
    pub application_id: String,
    /// The role that it must have.
    pub role: String,
}

const LISTEN: &str = "an address and a port, such as `0.0.0.0:8443` or `[::1]:8080`";
/// Shortest secret that is taken: 64 bits in hexadecimal. Strangers may guess as often as they like.
const SHORTEST: usize = 16;
/// Longest: Event Grid's own limit on a header's value.
const LONGEST: usize = 4096;
const NEW_SECRET: &str = "openssl rand -hex 32";
/// The role's name that Microsoft's documents prescribe.
const ROLE: &str = "AzureEventGridSecureWebhookSubscriber";

/// The webhook, if one is wanted: `Some(None)` if not, `None` only with an error among the checker's problems.
pub(crate) fn check(
    keys: &EventsKeys,
    cloud: Option<&AzureCloud>,
    checker: &mut Checker<'_>,
) -> Option<Option<EventsSettings>> {
    let Some(listen) = &keys.listen else {
        refuse_unused(keys, checker);
        return Some(None);
    };
    let address = listen.value.parse::<SocketAddr>();
    if address.is_err() {
        checker.error(&listen.span, format!("`{}` is no address with a port", listen.value)).expect(LISTEN);
    }
    let tls = tls(keys, checker);
    let secret = keys.shared_secret.as_ref().map(|table| shared_secret(table, checker));
    let entra = keys.entra.as_ref().map(|table| entra(table, cloud, checker));
    let origins = match &keys.origins {
        None => cloud.and_then(|cloud| cloud.event_grid_origin.clone()).into_iter().collect(),
        Some(origins) => origins.value.iter().filter_map(|at| host(at, checker)).collect(),
    };
    if let Some(header) = keys.header()
        && keys.entra.is_some()
        && header.value.eq_ignore_ascii_case(AUTHORIZATION.as_str())
    {
        checker
            .error(&header.span, "`Authorization` is the header of tokens, and `[events.entra]` wants them")
            .expect("another header, or no `[events.entra]`");
    }
    let proven = keys.shared_secret.is_some() || keys.entra.is_some();
    match keys.authentication.value {
        Demand::Required if !proven => {
            checker
                .error(&listen.span, "everybody could deliver events")
                .expect("`[events.shared_secret]`, `[events.entra]` or both")
                .hint("on a loopback address, `authentication = \"none\"` does without");
        }
        Demand::None if proven => {
            checker
                .error(
                    &keys.authentication.span,
                    "`authentication` is `none`, and there is a table that says how deliveries prove themselves",
                )
                .expect("`authentication = \"required\"`, or neither `[events.shared_secret]` nor `[events.entra]`");
        }
        Demand::None if address.as_ref().is_ok_and(|address| !address.ip().is_loopback()) => {
            checker
                .error(&keys.authentication.span, format!("`{}` can be reached by others", listen.value))
                .expect("`authentication = \"required\"`, or a loopback address such as `127.0.0.1:8080`");
        }
        Demand::Required | Demand::None => {}
    }
    let number = |at: &At<u32>| usize::try_from(at.value).unwrap_or(usize::MAX);
    Some(Some(EventsSettings {
        listen: address.ok()?,
        tls: tls?,
        shared_secret: optional(secret)?,
        entra: optional(entra)?,
        origins,
        body_limit: number(&keys.body_limit_kib) * 1024,
        connections: number(&keys.connections),
    }))
}

/// What was asked for and could not be had is an error; what was not asked for is none.
fn optional<T>(asked: Option<Option<T>>) -> Option<Option<T>> {
    match asked {
        None => Some(None),
        Some(had) => had.map(Some),
    }
}

impl EventsKeys {
    fn header(&self) -> Option<&At<String>> {
        self.shared_secret.as_ref().and_then(|table| table.value.header.as_ref())
    }
}

/// Whoever wrote how deliveries prove themselves believes that there is a webhook.
fn refuse_unused(keys: &EventsKeys, checker: &mut Checker<'_>) {
    let tables = [
        ("shared_secret", keys.shared_secret.as_ref().map(|at| &at.span)),
        ("entra", keys.entra.as_ref().map(|at| &at.span)),
        ("certificate_file", keys.certificate_file.as_ref().map(|at| &at.span)),
        ("key_file", keys.key_file.as_ref().map(|at| &at.span)),
        ("origins", keys.origins.as_ref().map(|at| &at.span)),
    ];
    for (name, span) in tables {
        if let Some(span) = span {
            checker
                .error(span, format!("`events.{name}` is here, and nothing is listened on"))
                .expect(format!("`events.listen`, which is {LISTEN}"));
        }
    }
}

fn tls(keys: &EventsKeys, checker: &mut Checker<'_>) -> Option<Option<TlsFiles>> {
    let (certificate, key) = match (&keys.certificate_file, &keys.key_file) {
        (None, None) => return Some(None),
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(certificate), None) => {
            checker.missing(&certificate.span, "events.key_file", "the path of the private key, as PEM");
            return None;
        }
        (None, Some(key)) => {
            checker.missing(&key.span, "events.certificate_file", "the path of the certificate, as PEM");
            return None;
        }
    };
    let chain = checker.file(certificate);
    let private = checker.private_file(key).map(|(path, content)| {
        drop(zeroize::Zeroizing::new(content));
        path
    });
    let files = TlsFiles { certificate: chain?.0, key: private? };
    if let Err(error) = ServerCertificate::load(files.clone()) {
        checker.error(&certificate.span, error.to_string());
        return None;
    }
    Some(Some(files))
}

fn shared_secret(table: &At<SharedSecretKeys>, checker: &mut Checker<'_>) -> Option<SharedSecretSettings> {
    let keys = &table.value;
    let header = keys.header.as_ref().map(|at| {
        let name = at.value.parse::<HeaderName>().ok();
        if name.is_none() {
            checker
                .error(&at.span, format!("`{}` is no name of a header", at.value))
                .expect("such as `X-Certroll-Secret`");
        }
        name
    });
    let query = keys.query.as_ref().map(|at| {
        let fits = !at.value.is_empty() && at.value.bytes().all(is_unreserved);
        if !fits {
            checker
                .error(&at.span, format!("`{}` is no name of a parameter", at.value))
                .expect("letters, digits, `-`, `.`, `_` and `~`, such as `code`");
        }
        fits.then(|| at.value.clone())
    });
    if header.is_none() && query.is_none() {
        checker.missing(
            &table.span,
            "header",
            "`header = \"X-Certroll-Secret\"`, `query = \"code\"` or both: where the secret is sent",
        );
    }
    if keys.secret_file.is_none() && keys.secret_env.is_none() {
        checker.missing(
            &table.span,
            "secret_file",
            "`secret_file = \"/path\"`, `secret_file = \"$CREDENTIALS_DIRECTORY/name\"` or `secret_env = \"NAME\"`",
        );
    }
    let mut one = |file: &Option<At<String>>, env: &Option<At<String>>| {
        let at = file.as_ref().or(env.as_ref())?;
        let secret = checker.secret(file.as_ref(), env.as_ref())?;
        let length = secret.reveal().len();
        // What needs no encoding means the same in a header and in a URL, whoever writes it.
        let fault = if length < SHORTEST {
            format!("the secret has {length} characters, which can be guessed")
        } else if length > LONGEST {
            format!("the secret has {length} characters, which Event Grid does not send")
        } else if !secret.reveal().bytes().all(is_unreserved) {
            "the secret has characters that a URL encodes".to_owned()
        } else {
            return Some(secret);
        };
        checker
            .error(&at.span, fault)
            .expect(format!("{SHORTEST} to {LONGEST} letters, digits, `-`, `.`, `_` and `~`"))
            .hint(format!("a good one: {NEW_SECRET}"));
        None
    };
    let current = one(&keys.secret_file, &keys.secret_env);
    let asked = keys.previous_secret_file.as_ref().or(keys.previous_secret_env.as_ref());
    let previous = asked.map(|at| (at, one(&keys.previous_secret_file, &keys.previous_secret_env)));
    if let (Some(current), Some((at, Some(previous)))) = (&current, &previous)
        && current == previous
    {
        checker
            .warning(&at.span, "the previous secret is the current one")
            .expect("the secret before it, or no key");
    }
    Some(SharedSecretSettings {
        header: optional(header)?,
        query: optional(query)?,
        current: current?,
        previous: optional(previous.map(|(_, previous)| previous))?,
    })
}

/// RFC 3986, 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn entra(
    table: &At<EntraKeys>,
    cloud: Option<&AzureCloud>,
    checker: &mut Checker<'_>,
) -> Option<EntraSettings> {
    let keys = &table.value;
    let tenant_id = match &keys.tenant_id {
        Some(at) => guid(at, checker),
        None => {
            checker.missing(&table.span, "tenant_id", "the tenant's id (a GUID)");
            None
        }
    };
    let audiences = match &keys.audiences {
        Some(at) if !at.value.is_empty() => Some(at.value.iter().map(|at| audience(&at.value)).collect()),
        Some(at) => {
            checker.error(&at.span, "the list is empty, so that no token is for us").expect(AUDIENCES);
            None
        }
        None => {
            checker.missing(&table.span, "audiences", AUDIENCES);
            None
        }
    };
    let application_id = match (&keys.application_id, cloud) {
        (Some(at), _) => guid(at, checker),
        // The cloud's own mistakes are reported where it is named.
        (None, None) => None,
        (None, Some(cloud)) => {
            if cloud.event_grid_application.is_none() {
                checker.missing(
                    &table.span,
                    "application_id",
                    &format!(
                        "the application id of Event Grid: no document names it for the cloud `{}`; \
                         `az ad sp list --display-name Microsoft.EventGrid --query [].appId` shows it",
                        cloud.name
                    ),
                );
            }
            cloud.event_grid_application.clone()
        }
    };
    Some(EntraSettings {
        tenant_id: tenant_id?,
        audiences: audiences?,
        application_id: application_id?,
        role: keys.role.as_ref().map_or(ROLE, |at| at.value.as_str()).to_owned(),
    })
}

const AUDIENCES: &str =
    "the id of the application that stands for the webhook, and its URI, such as `api://certroll-events`";

/// Entra writes ids in lower case; URIs are compared as they are.
fn audience(text: &str) -> String {
    if is_guid(text) { text.to_ascii_lowercase() } else { text.to_owned() }
}

fn guid(at: &At<String>, checker: &mut Checker<'_>) -> Option<String> {
    if !is_guid(&at.value) {
        checker
            .error(&at.span, format!("`{}` is no GUID", at.value))
            .expect("an id such as `72f988bf-86f1-41af-91ab-2d7cd011db47`");
        return None;
    }
    Some(at.value.to_ascii_lowercase())
}

fn is_guid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
