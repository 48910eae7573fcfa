//! The listener's own certificate.

use std::path::Path;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::client::{Message, ended};
use super::world::{Wanted, World, delivery, world};
use crate::http::tls::{CertificateError, Refreshed, ServerCertificate, TlsFiles};

const NAME: &str = "certroll.example";

struct Pair {
    certificate: String,
    key: String,
    der: CertificateDer<'static>,
}

fn pair() -> Pair {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![NAME.to_owned()]).unwrap().self_signed(&key).unwrap();
    Pair { certificate: certificate.pem(), key: key.serialize_pem(), der: certificate.der().clone() }
}

/// Puts a file in the place of another, as programs that renew certificates do.
fn put(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(&new, path).unwrap();
}

fn files(directory: &Path, pair: &Pair) -> TlsFiles {
    let files = TlsFiles { certificate: directory.join("chain.pem"), key: directory.join("key.pem") };
    put(&files.certificate, &pair.certificate);
    put(&files.key, &pair.key);
    files
}

/// A connection that trusts these certificates.
async fn connect(world: &World, trusted: &[&Pair]) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    for pair in trusted {
        roots.add(pair.der.clone()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    let stream = TcpStream::connect(world.address).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(NAME).unwrap(), stream).await
}

fn presented(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

#[tokio::test]
async fn events_are_taken_by_tls_and_a_new_certificate_is_presented() {
    let (directory, old, new) = (tempfile::tempdir().unwrap(), pair(), pair());
    let files = files(directory.path(), &old);
    let mut world = world(Wanted { tls: Some(files.clone()), ..Wanted::default() }).await;
    let certificate = world.certificate.clone().unwrap();
    let mut kept = connect(&world, &[&old]).await.unwrap();
    assert_eq!(delivery("shop-kv").exchange(&mut kept).await.unwrap().status, 200);
    assert_eq!(world.activated(), ["shop-kv"]);
    assert!(matches!(certificate.refresh(), Refreshed::Unchanged));

    // Only the certificate: it does not match, is told of once, and the old one stays.
    put(&files.certificate, &new.certificate);
    let Refreshed::Refused(error @ CertificateError::Pair { .. }) = certificate.refresh() else { panic!() };
    assert!(error.to_string().contains("chain.pem"), "{error}");
    assert!(matches!(certificate.refresh(), Refreshed::Unchanged));
    assert_eq!(presented(&connect(&world, &[&old]).await.unwrap()), old.der);

    put(&files.key, &new.key);
    assert!(matches!(certificate.refresh(), Refreshed::Replaced));
    assert_eq!(presented(&connect(&world, &[&new]).await.unwrap()), new.der);
    // Connections that stand are not disturbed.
    assert_eq!(delivery("edge-kv").exchange(&mut kept).await.unwrap().status, 200);

    // Files that are gone or damaged change nothing.
    std::fs::remove_file(&files.key).unwrap();
    assert!(matches!(certificate.refresh(), Refreshed::Refused(CertificateError::File { .. })));
    put(&files.key, "-----BEGIN PRIVATE KEY-----\nAAAA\n");
    assert!(matches!(certificate.refresh(), Refreshed::Refused(_)));
    assert_eq!(presented(&connect(&world, &[&new]).await.unwrap()), new.der);
}

#[tokio::test]
async fn the_listener_looks_at_the_files_by_itself() {
    let (directory, old, new) = (tempfile::tempdir().unwrap(), pair(), pair());
    let files = files(directory.path(), &old);
    let mut wanted = Wanted { tls: Some(files.clone()), ..Wanted::default() };
    wanted.limits.certificate = std::time::Duration::from_millis(1);
    let world = world(wanted).await;
    connect(&world, &[&old]).await.unwrap();
    put(&files.certificate, &new.certificate);
    put(&files.key, &new.key);
    while presented(&connect(&world, &[&old, &new]).await.unwrap()) != new.der {}
}

#[tokio::test]
async fn who_does_not_speak_tls_is_let_go() {
    let (directory, pair) = (tempfile::tempdir().unwrap(), pair());
    let files = files(directory.path(), &pair);
    let mut wanted = Wanted { tls: Some(files), ..Wanted::default() };
    wanted.limits.opening = std::time::Duration::from_millis(30);
    let world = world(wanted).await;
    let mut silent = TcpStream::connect(world.address).await.unwrap();
    ended(&mut silent).await;
    let mut plain = TcpStream::connect(world.address).await.unwrap();
    assert!(Message::options().exchange(&mut plain).await.is_none());
}

#[test]
fn files_that_hold_something_else_are_named() {
    let (directory, pair) = (tempfile::tempdir().unwrap(), pair());
    let files = files(directory.path(), &pair);
    let load = |certificate: &str, key: &str| {
        put(&files.certificate, certificate);
        put(&files.key, key);
        ServerCertificate::load(files.clone()).unwrap_err().to_string()
    };
    for (certificate, key, said) in [
        ("", pair.key.as_str(), "chain.pem` holds no certificate"),
        (&pair.key, &pair.key, "chain.pem` holds no certificate"),
        (&pair.certificate.repeat(11), &pair.key, "holds 11 certificates"),
        (&pair.certificate, "", "key.pem` holds no private key"),
        (&pair.certificate, &super::certificate::pair().key, "cannot be used with the certificate"),
    ] {
        let error = load(certificate, key);
        assert!(error.contains(said), "{said}: {error}");
        assert!(!error.contains("PRIVATE"), "{error}");
    }
}
