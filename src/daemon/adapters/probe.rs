//! What a TLS endpoint presents.
//!
//! The handshake is a real one, with the name asked for by SNI, and the server proves that it holds the key of what it
//! presents. Trust, names and validity are not judged: the old certificate must be recognisable when it has expired,
//! and a private root need not be known here. No data are sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use certroll_core::id::Thumbprint;
use certroll_core::ports::{EndpointProbe, Presentation, ProbeEndpoint};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Addresses of one endpoint that are looked at. A name with more is a content network, not a cloud service.
const ADDRESSES: usize = 16;
/// Longest chain that is noted.
const CHAIN: usize = 16;

/// How often and how long.
#[derive(Clone, Copy, Debug)]
pub struct ProbeLimits {
    /// Connections to each address, so that more than one instance behind a load balancer answers.
    pub connections: usize,
    /// Longest time for one connection with its handshake.
    pub timeout: Duration,
}

/// Makes TLS handshakes.
pub struct TlsProbe {
    limits: ProbeLimits,
    provider: Arc<CryptoProvider>,
}

impl std::fmt::Debug for TlsProbe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsProbe").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl TlsProbe {
    /// A probe with these limits.
    pub fn new(limits: ProbeLimits) -> Self {
        Self { limits, provider: Arc::new(rustls::crypto::ring::default_provider()) }
    }

    async fn one(&self, address: SocketAddr, server_name: &str) -> Result<Vec<Thumbprint>, String> {
        let name = ServerName::try_from(server_name.to_owned())
            .map_err(|_| format!("`{server_name}` is neither a host name nor an address"))?;
        let seen = Arc::new(Seen { chain: Mutex::default(), provider: Arc::clone(&self.provider) });
        let verifier: Arc<dyn ServerCertVerifier> = Arc::<Seen>::clone(&seen);
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        // A resumed session presents no certificate.
        config.resumption = rustls::client::Resumption::disabled();
        let handshake = async {
            let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
            TlsConnector::from(Arc::new(config))
                .connect(name, stream)
                .await
                .map_err(|error| error.to_string())
        };
        match tokio::time::timeout(self.limits.timeout, handshake).await {
            Ok(Ok(_stream)) => {
                Ok(std::mem::take(&mut *seen.chain.lock().unwrap_or_else(PoisonError::into_inner)))
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(format!("no handshake within {} ms", self.limits.timeout.as_millis())),
        }
    }
}

#[async_trait]
impl EndpointProbe for TlsProbe {
    async fn presented(&self, endpoint: &ProbeEndpoint) -> Vec<Presentation> {
        let failed =
            |reason: String| vec![Presentation { address: endpoint.address.clone(), outcome: Err(reason) }];
        let resolving = tokio::net::lookup_host(&endpoint.address);
        let addresses: Vec<SocketAddr> = match tokio::time::timeout(self.limits.timeout, resolving).await {
            Ok(Ok(addresses)) => {
                let mut addresses: Vec<SocketAddr> = addresses.collect();
                addresses.sort();
                addresses.dedup();
                addresses.truncate(ADDRESSES);
                addresses
            }
            Ok(Err(error)) => return failed(format!("the name cannot be resolved: {error}")),
            Err(_) => return failed("the name was not resolved in time".to_owned()),
        };
        if addresses.is_empty() {
            return failed("the name has no address".to_owned());
        }
        let attempts =
            addresses.iter().flat_map(|address| std::iter::repeat_n(*address, self.limits.connections));
        let mut presented = Vec::new();
        // One after the other: a load balancer hands connections that come together to one instance more often.
        for address in attempts {
            let outcome = self.one(address, &endpoint.server_name).await;
            presented.push(Presentation { address: address.to_string(), outcome });
        }
        presented
    }
}

/// Notes the chain and lets it pass.
struct Seen {
    chain: Mutex<Vec<Thumbprint>>,
    provider: Arc<CryptoProvider>,
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seen").finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain = std::iter::once(end_entity).chain(intermediates).take(CHAIN);
        *self.chain.lock().unwrap_or_else(PoisonError::into_inner) =
            chain.map(|certificate| Thumbprint::of_der(certificate)).collect();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    async fn probed(address: String, server_name: &str) -> Vec<Presentation> {
        let probe = TlsProbe::new(ProbeLimits { connections: 2, timeout: Duration::from_millis(300) });
        probe.presented(&ProbeEndpoint { address, server_name: server_name.to_owned() }).await
    }

    fn reason(presentation: &Presentation) -> &str {
        presentation.outcome.as_ref().expect_err("nothing was presented")
    }

    #[tokio::test]
    async fn each_connection_says_why_it_failed() {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = closed.local_addr().unwrap().to_string();
        drop(closed);
        let presented = probed(address.clone(), "shop.contoso.com").await;
        assert_eq!(presented.len(), 2);
        assert_eq!(presented[0].address, address);
        assert!(reason(&presented[0]).contains("refused"), "{presented:?}");
    }

    #[tokio::test]
    async fn a_server_that_never_answers_is_left_in_time() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let presented = probed(silent.local_addr().unwrap().to_string(), "shop.contoso.com").await;
        assert!(reason(&presented[0]).contains("no handshake within 300 ms"), "{presented:?}");
    }

    #[tokio::test]
    async fn a_server_that_does_not_speak_tls_is_told() {
        let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = plain.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = plain.accept().await {
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            }
        });
        let presented = probed(address, "shop.contoso.com").await;
        assert!(!reason(&presented[0]).is_empty(), "{presented:?}");
    }

    #[tokio::test]
    async fn a_name_that_is_none_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let presented = probed(listener.local_addr().unwrap().to_string(), "not a name").await;
        assert!(reason(&presented[0]).contains("neither a host name nor an address"), "{presented:?}");
        let unresolved = probed("127.0.0.1".to_owned(), "shop.contoso.com").await;
        assert!(reason(&unresolved[0]).contains("cannot be resolved"), "{unresolved:?}");
    }
}
