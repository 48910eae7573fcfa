//! Posts JSON to a URL that is a secret: no redirect is followed, the answer is bounded, and no error names the URL.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{NoProxy, StatusCode, header};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::Value;

use super::SendError;
use crate::config::{HttpSettings, Secret, read_limited};

/// Largest file of certificates: the bundle of all public roots has a quarter of this.
const CA_FILE_LIMIT: u64 = 1024 * 1024;
/// Longest piece of an answer that is read, in bytes: what a service says of a refusal. The rest is left unread.
const ANSWER: usize = 4 * 1024;
/// Longest piece of an answer that an error repeats, in characters.
const REPEATED: usize = 200;
/// Connections idle for longer are closed: notices are rare.
const IDLE: Duration = Duration::from_secs(30);

/// Posts to one URL.
pub(super) struct Client {
    http: reqwest::Client,
    url: Secret,
}

impl Client {
    /// A client with the proxy and the authorities of `[http]`.
    pub(super) fn new(url: &Secret, settings: &HttpSettings) -> Result<Self, String> {
        let builder = outgoing(settings)?;
        let http = builder.build().map_err(|fault| chain(&fault.without_url()))?;
        Ok(Self { http, url: url.clone() })
    }

    /// Posts a body. Any answer of success counts.
    pub(super) async fn post(
        &self,
        body: Value,
        headers: &[(&'static str, String)],
    ) -> Result<(), SendError> {
        self.post_text(body.to_string(), headers).await
    }

    /// Posts a body that was written out, since its very bytes are signed.
    pub(super) async fn post_text(
        &self,
        body: String,
        headers: &[(&'static str, String)],
    ) -> Result<(), SendError> {
        let mut request =
            self.http.post(self.url.reveal()).header(header::CONTENT_TYPE, "application/json").body(body);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let fault = |fault: reqwest::Error| SendError::new(chain(&fault.without_url()));
        let mut response = request.send().await.map_err(fault)?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let after = response
            .headers()
            .get(header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        let mut answer = Vec::new();
        while answer.len() < ANSWER
            && let Ok(Some(chunk)) = response.chunk().await
        {
            answer.extend_from_slice(&chunk[..chunk.len().min(ANSWER - answer.len())]);
        }
        Err(SendError { message: refused(status, &answer), after })
    }
}

/// A client with the proxy and the authorities of `[http]`, which follows no redirect and repeats nothing.
pub(crate) fn outgoing(settings: &HttpSettings) -> Result<reqwest::ClientBuilder, String> {
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls(settings)?)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .pool_idle_timeout(IDLE)
        .user_agent(concat!("certroll/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(settings.connect_timeout);
    Ok(match &settings.proxy {
        None => builder,
        Some(proxy) => {
            let mut made = reqwest::Proxy::all(proxy.url.as_str())
                .map_err(|_| "the proxy of `[http]` cannot be used".to_owned())?;
            if let Some((user, password)) = &proxy.credentials {
                made = made.basic_auth(user, password.reveal());
            }
            let exceptions = NoProxy::from_string(&settings.no_proxy.join(","));
            builder.no_proxy().proxy(made.no_proxy(exceptions))
        }
    })
}

fn refused(status: StatusCode, answer: &[u8]) -> String {
    let expected = if status.is_redirection() { " and no redirect, which is not followed" } else { "" };
    let mut message = format!("expected an answer of success (2xx){expected}, found {}", status.as_u16());
    let answer = String::from_utf8_lossy(answer);
    let words: Vec<&str> =
        answer.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    // An answer that repeats the URL would give it away.
    let shown: String = words
        .iter()
        .map(|word| if word.contains("://") || word.contains("sig=") { "(left out)" } else { word })
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(REPEATED)
        .collect();
    if !shown.is_empty() {
        message.push_str(&format!(": {shown}"));
    }
    message
}

/// TLS with the system's roots, or the embedded ones where it has none, and those of the configuration.
fn tls(settings: &HttpSettings) -> Result<rustls::ClientConfig, String> {
    let mut roots = certroll_azure::public_roots().store;
    for certificate in CertificateDer::pem_slice_iter(&authorities(settings)?) {
        let certificate = certificate.map_err(|fault| format!("`[http] ca_file` is damaged: {fault}"))?;
        roots.add(certificate).map_err(|fault| format!("`[http] ca_file` is damaged: {fault}"))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|fault| fault.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

/// What `[http] ca_file` holds; nothing where there is none.
pub(super) fn authorities(settings: &HttpSettings) -> Result<Vec<u8>, String> {
    match &settings.ca_file {
        None => Ok(Vec::new()),
        Some(path) => read_limited(path, CA_FILE_LIMIT)
            .map_err(|fault| format!("`{}` cannot be read: {fault}", path.display())),
    }
}

/// An error with what led to it, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
