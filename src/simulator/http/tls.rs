//! TLS for the simulated hosts, with certificates made when a host is first asked for.

use std::io;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::{Shared, lock};
use crate::pki::LeafRequest;

impl Shared {
    /// The TLS setting for a host of the cloud.
    pub(crate) fn tls(&self, host: &str) -> io::Result<Arc<ServerConfig>> {
        if let Some(config) = lock(&self.hosts).get(host) {
            return Ok(config.clone());
        }
        let issued = self.authority.issue(&LeafRequest::server(host, Timestamp::now()));
        let chain = vec![CertificateDer::from(issued.der)];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(issued.key_pkcs8));
        let mut config =
            server().with_no_client_auth().with_single_cert(chain, key).map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let config = Arc::new(config);
        lock(&self.hosts).insert(host.to_owned(), config.clone());
        Ok(config)
    }
}

/// A TLS server that needs no provider to be installed for the process.
pub(crate) fn server() -> rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has suites for TLS 1.2 and 1.3")
}
