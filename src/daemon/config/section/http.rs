//! `[http]`: how certroll reaches Azure.

use std::path::PathBuf;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::config::at::At;
use crate::config::check::Checker;
use crate::config::place::Origin;
use crate::config::secret::Secret;

/// `[http]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpKeys {
    /// The proxy that connections go through.
    proxy: Option<At<String>>,
    /// Hosts that are reached without the proxy.
    no_proxy: At<Vec<At<String>>>,
    /// A file of certificates in PEM that are trusted besides the system's roots.
    ca_file: Option<At<String>>,
    /// How long a connection may take to come about.
    connect_timeout: At<String>,
    /// How long an answer may take.
    request_timeout: At<String>,
}

/// How certroll reaches Azure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSettings {
    /// The proxy; `None` leaves the usual variables of the environment in force. Never used for the metadata endpoint.
    pub proxy: Option<ProxySettings>,
    /// Hosts that are reached without the proxy.
    pub no_proxy: Vec<String>,
    /// A file of certificates in PEM that are trusted besides the system's roots; it held at least one when it was
    /// checked.
    pub ca_file: Option<PathBuf>,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// How long an answer may take.
    pub request_timeout: Duration,
}

/// A proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxySettings {
    /// Its URL, without user and password.
    pub url: Url,
    /// User and password.
    pub credentials: Option<(String, Secret)>,
}

const SECOND: Duration = Duration::from_secs(1);
/// Longest time for one call; operations that take longer are polled.
const MOST: Duration = Duration::from_secs(10 * 60);
const PROXY_EXPECTED: &str = "a URL such as `http://proxy.corp:3128`";

pub(crate) fn check(keys: &HttpKeys, checker: &mut Checker<'_>) -> Option<HttpSettings> {
    let proxy = keys.proxy.as_ref().and_then(|at| proxy(at, checker));
    let ca_file = keys.ca_file.as_ref().and_then(|at| ca_file(at, checker));
    for host in &keys.no_proxy.value {
        if host.value.is_empty() || host.value.contains('/') || host.value.contains(char::is_whitespace) {
            checker
                .error(&host.span, format!("`{}` is no host", host.value))
                .expect("a host name, a domain such as `.corp.example`, an address or a range of addresses");
        }
    }
    let connect_timeout = checker.duration(&keys.connect_timeout, SECOND, MOST);
    let request_timeout = checker.duration(&keys.request_timeout, SECOND, MOST);
    Some(HttpSettings {
        proxy,
        no_proxy: keys.no_proxy.value.iter().map(|at| at.value.clone()).collect(),
        ca_file,
        connect_timeout: connect_timeout?,
        request_timeout: request_timeout?,
    })
}

fn proxy(at: &At<String>, checker: &mut Checker<'_>) -> Option<ProxySettings> {
    // The value is not repeated in messages: it may hold a password.
    let Ok(mut url) = Url::parse(&at.value) else {
        checker.error(&at.span, "the proxy is no URL").expect(PROXY_EXPECTED);
        return None;
    };
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        checker
            .error(&at.span, "the proxy's URL begins with neither `http://` nor `https://`")
            .expect(PROXY_EXPECTED);
        return None;
    }
    let credentials = (!url.username().is_empty() || url.password().is_some())
        .then(|| (url.username().to_owned(), Secret::new(url.password().unwrap_or_default())));
    if credentials.is_some() && !matches!(checker.sources.origin(&at.span), Origin::Environment(_)) {
        checker
            .error(&at.span, "the proxy's password does not belong into a configuration file")
            .hint("set `CERTROLL__HTTP__PROXY` in the environment instead");
        return None;
    }
    // Both are allowed for the schemes that are accepted above.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Some(ProxySettings { url, credentials })
}

fn ca_file(at: &At<String>, checker: &mut Checker<'_>) -> Option<PathBuf> {
    let (path, content) = checker.file(at)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
    match certificates {
        Ok(found) if !found.is_empty() => Some(path),
        Ok(_) => {
            checker
                .error(&at.span, format!("`{}` holds no certificate", path.display()))
                .expect("certificates in PEM");
            None
        }
        Err(fault) => {
            checker
                .error(&at.span, format!("`{}` is damaged: {fault}", path.display()))
                .expect("certificates in PEM");
            None
        }
    }
}
