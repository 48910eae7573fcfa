//! TLS endpoints of services: what somebody outside would be presented. Each connection goes to the next instance that
//! is started, as a load balancer would send it, and sees what *that* instance holds now.

use std::sync::Arc;

use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::cloud::Cloud;
use crate::http::{Shared, tls_server};
use crate::service::Endpoint;
use crate::service::instance::{Holdings, Instance, InstanceState};

/// Longest chain that is built from what an instance holds: real ones have one or two intermediates.
const MAX_CHAIN: usize = 6;
/// Bytes read of a request before it is answered.
const REQUEST_BUFFER: usize = 4096;

/// What one connection is presented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    /// The instance that serves it.
    pub instance: String,
    /// Leaf first.
    pub chain: Vec<Vec<u8>>,
    /// The leaf's key, PKCS#8.
    pub key_pkcs8: Vec<u8>,
}

/// What the connection number `turn` to an endpoint would be presented, if any instance of its role is started and
/// holds a certificate with a key.
pub fn presented(cloud: &Cloud, service: &str, endpoint: &str, turn: usize) -> Option<Presented> {
    let service = cloud.service(service)?;
    let endpoint = service.endpoints.iter().find(|one| one.name.eq_ignore_ascii_case(endpoint))?;
    let started = |one: &&Instance| {
        one.role.eq_ignore_ascii_case(&endpoint.role)
            && one.state == InstanceState::Started
            && service.powered
    };
    let up: Vec<&Instance> = service.instances.iter().filter(started).collect();
    let instance = up.get(turn.checked_rem(up.len())?)?;
    let leaf = instance.holds.certificate(&endpoint.certificate)?;
    Some(Presented {
        instance: instance.name(),
        chain: chain(&leaf.der, &instance.holds, endpoint),
        key_pkcs8: leaf.key_pkcs8.clone()?,
    })
}

/// Serves an endpoint until the simulator ends.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>, service: String, endpoint: String) {
    let mut turn = 0;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.ended() => return,
        };
        let Ok((stream, _)) = accepted else { continue };
        let Ok(permit) = shared.connections.clone().acquire_owned().await else { return };
        let found = shared.with(|cloud| presented(cloud, &service, &endpoint, turn));
        turn = turn.wrapping_add(1);
        // Nobody is up: the connection is closed without a word.
        let Some(found) = found else { continue };
        let shared = shared.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = handshake(stream, found) => {}
                () = shared.ended() => {}
            }
            drop(permit);
        });
    }
}

async fn handshake(stream: TcpStream, presented: Presented) {
    let instance = presented.instance.clone();
    let Some(acceptor) = acceptor(presented) else { return };
    let Ok(mut tls) = acceptor.accept(stream).await else { return };
    let mut request = vec![0; REQUEST_BUFFER];
    if tls.read(&mut request).await.is_ok_and(|read| read > 0) {
        let body = format!("{instance}\n");
        let reply = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        // Whoever only looks at the certificate has left by now.
        let _ = tls.write_all(reply.as_bytes()).await;
    }
    let _ = tls.shutdown().await;
}

fn acceptor(presented: Presented) -> Option<TlsAcceptor> {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(presented.key_pkcs8));
    let key = rustls::crypto::ring::sign::any_supported_type(&key).ok()?;
    let chain = presented.chain.into_iter().map(CertificateDer::from).collect();
    let resolver = SingleCertAndKey::from(CertifiedKey::new(chain, key));
    let config = tls_server().with_no_client_auth().with_cert_resolver(Arc::new(resolver));
    Some(TlsAcceptor::from(Arc::new(config)))
}

/// The leaf and what the instance holds above it, matched by name as Windows does; roots are not sent.
fn chain(leaf: &[u8], holds: &Holdings, endpoint: &Endpoint) -> Vec<Vec<u8>> {
    let allowed = |name: &str| {
        endpoint.chain.as_ref().is_none_or(|names| names.iter().any(|one| one.eq_ignore_ascii_case(name)))
    };
    let candidates: Vec<(Vec<u8>, Vec<u8>, &Vec<u8>)> = holds
        .certificates
        .iter()
        .filter(|(name, _)| allowed(name))
        .filter_map(|(_, one)| names_in(&one.der).map(|(subject, issuer)| (subject, issuer, &one.der)))
        .filter(|(subject, issuer, _)| subject != issuer)
        .collect();
    let mut chain = vec![leaf.to_vec()];
    let mut wanted = names_in(leaf).map(|(_, issuer)| issuer);
    while let Some(issuer) = wanted {
        let next = candidates.iter().find(|(subject, _, der)| *subject == issuer && !chain.contains(der));
        let Some((_, above, der)) = next.filter(|_| chain.len() < MAX_CHAIN) else { break };
        chain.push((*der).clone());
        wanted = Some(above.clone());
    }
    chain
}

/// Subject and issuer of a certificate, as raw names.
fn names_in(der: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    Some((certificate.subject().as_raw().to_vec(), certificate.issuer().as_raw().to_vec()))
}
