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

    /// Counts what reaches it.
    #[derive(Debug, Default)]
    struct Inner(std::sync::atomic::AtomicUsize);

    #[async_trait]
    impl Transport for Inner {
        async fn send(&self, _: Outgoing) -> Result<Answer, TransportFault> {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Ok(Answer { status: 200, headers: Default::default(), body: Default::default() })
        }
    }

    fn to(url: &str) -> Outgoing {
        let url = url.parse().unwrap();
        Outgoing { method: reqwest::Method::GET, url, headers: Default::default(), body: Default::default() }
    }

    #[tokio::test]
    async fn requests_to_other_hosts_do_not_leave() {
        let inner = Arc::new(Inner::default());
        let wire = || Arc::clone(&inner) as Arc<dyn Transport>;
        let cloud = CloudHosts::new(AzureCloud::china(), wire());
        let metadata = MetadataHost::new("http://169.254.169.254/x".parse().unwrap(), wire());
        for url in ["https://shop-kv.vault.azure.cn/x", "https://management.chinacloudapi.cn:443/"] {
            assert!(cloud.send(to(url)).await.is_ok(), "{url}");
        }
        assert!(metadata.send(to("http://169.254.169.254/y?z")).await.is_ok());
        let before = inner.0.load(std::sync::atomic::Ordering::SeqCst);
        assert_eq!(before, 3);
        for url in [
            "https://evil.example/",
            "https://shop-kv.vault.azure.net/",
            "https://a.shop-kv.vault.azure.cn/",
            "http://shop-kv.vault.azure.cn/",
            "https://shop-kv.vault.azure.cn:8443/",
            "http://169.254.169.254/",
            "https://user@management.chinacloudapi.cn/",
        ] {
            let fault = cloud.send(to(url)).await.unwrap_err();
            assert_eq!((fault.kind, fault.sent), (FaultKind::ForeignHost, Sent::No), "{url}");
        }
        for url in ["https://169.254.169.254/", "http://169.254.169.254:81/", "http://metadata.example/"] {
            assert_eq!(metadata.send(to(url)).await.unwrap_err().kind, FaultKind::ForeignHost, "{url}");
        }
        assert_eq!(inner.0.load(std::sync::atomic::Ordering::SeqCst), before);
    }

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
