//! Which hosts are talked to. Every request passes here before it leaves, so that no answer, event or configuration
//! mistake can carry a token or a secret to a host that is not one of the configured cloud.

use std::sync::Arc;

use async_trait::async_trait;
use certroll_core::cloud::AzureCloud;
use certroll_core::ports::FaultKind;
use url::Url;

use super::{Answer, Outgoing, Sent, Transport, TransportFault};

/// A transport that only talks https on port 443 to the hosts of one cloud.
#[derive(Debug)]
pub(crate) struct CloudHosts {
    cloud: AzureCloud,
    inner: Arc<dyn Transport>,
}

impl CloudHosts {
    pub(crate) fn new(cloud: AzureCloud, inner: Arc<dyn Transport>) -> Self {
        Self { cloud, inner }
    }
}

#[async_trait]
impl Transport for CloudHosts {
    async fn send(&self, request: Outgoing) -> Result<Answer, TransportFault> {
        let host = plain_https_host(&request.url).map_err(foreign)?;
        if !self.cloud.trusts(host) {
            return Err(foreign(format!("`{host}` is no host of the cloud `{}`", self.cloud.name)));
        }
        self.inner.send(request).await
    }
}

/// A transport that only talks to the metadata endpoint of the machine itself.
#[derive(Debug)]
pub(crate) struct MetadataHost {
    /// Scheme, host and port of the one endpoint.
    endpoint: Url,
    inner: Arc<dyn Transport>,
}

impl MetadataHost {
    pub(crate) fn new(endpoint: Url, inner: Arc<dyn Transport>) -> Self {
        Self { endpoint, inner }
    }
}

#[async_trait]
impl Transport for MetadataHost {
    async fn send(&self, request: Outgoing) -> Result<Answer, TransportFault> {
        if request.url.origin() != self.endpoint.origin() {
            let host = request.url.host_str().unwrap_or_default();
            return Err(foreign(format!("`{host}` is not the metadata endpoint of this machine")));
        }
        self.inner.send(request).await
    }
}

/// The host of a URL that is https, on the usual port and without user information.
///
/// # Errors
/// What is wrong with it, in words.
pub(crate) fn plain_https_host(url: &Url) -> Result<&str, String> {
    let host = url.host_str().unwrap_or_default();
    if url.scheme() != "https" {
        return Err(format!("the scheme for `{host}` is `{}`; expected `https`", url.scheme()));
    }
    if let Some(port) = url.port() {
        return Err(format!("the port for `{host}` is {port}; expected 443"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("the address of `{host}` carries a user name"));
    }
    Ok(host)
}

fn foreign(message: String) -> TransportFault {
    TransportFault::new(FaultKind::ForeignHost, Sent::No, message)
}

/// A URL that an answer named, for following it with a token: only on `host` itself, the host that was asked.
///
/// # Errors
/// What is wrong with it, in words. The text of the URL is not repeated beyond its host.
pub(crate) fn same_host(text: &str, host: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| "the answer names an address that is not a URL".to_owned())?;
    let named = plain_https_host(&url)?;
    if named.eq_ignore_ascii_case(host) {
        Ok(url)
    } else {
        Err(format!("the answer of `{host}` names `{named}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_host_that_was_asked_is_followed() {
        let host = "shop-kv.vault.azure.cn";
        for good in
            ["https://shop-kv.vault.azure.cn/secrets", "https://SHOP-KV.vault.azure.cn:443/secrets?a=b"]
        {
            assert!(same_host(good, host).is_ok(), "{good}");
        }
        for (bad, reason) in [
            ("http://shop-kv.vault.azure.cn/secrets", "scheme"),
            ("https://shop-kv.vault.azure.cn:8443/secrets", "port"),
            ("https://a:b@shop-kv.vault.azure.cn/secrets", "user name"),
            ("https://other-kv.vault.azure.cn/secrets", "other-kv"),
            ("https://shop-kv.vault.azure.cn.evil.example/", "evil"),
            ("/secrets?page=2", "not a URL"),
        ] {
            let found = same_host(bad, host).unwrap_err();
            assert!(found.contains(reason), "{bad}: {found}");
        }
    }
}
