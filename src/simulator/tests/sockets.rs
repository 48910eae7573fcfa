//! The simulator over sockets, as a client with a proxy setting and a trusted authority meets it.

use std::sync::Arc;
use std::time::Duration;

use certroll_simulator::call::Call;
use certroll_simulator::clock::Pace;
use certroll_simulator::faults::{Effect, Fault};
use certroll_simulator::pki::{KeyKind, LeafRequest};
use certroll_simulator::scenario::{CLIENT_ID, CLIENT_SECRET, TENANT, shop};
use certroll_simulator::{Moment, Simulator, Then};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use tokio::io::AsyncWriteExt;

use crate::support::World;

fn client(simulator: &Simulator) -> reqwest::Client {
    // Fails once it is installed, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .proxy(reqwest::Proxy::all(simulator.proxy_url()).unwrap())
        .tls_certs_only([reqwest::Certificate::from_pem(simulator.ca_pem().as_bytes()).unwrap()])
        .build()
        .unwrap()
}

async fn token(client: &reqwest::Client) -> String {
    let form = format!(
        "grant_type=client_credentials&client_id={CLIENT_ID}&client_secret={CLIENT_SECRET}&scope={}",
        "https%3A%2F%2Fmanagement.core.chinacloudapi.cn%2F.default"
    );
    let reply = client
        .post(format!("https://login.partner.microsoftonline.cn/{TENANT}/oauth2/v2.0/token"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form)
        .send()
        .await
        .unwrap();
    assert_eq!(reply.status(), 200);
    let body: Value = reply.json().await.unwrap();
    body["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_renewal_through_the_proxy_ends_at_the_endpoint() {
    let mut world = World::new();
    world.renew();
    // The old leaf has an elliptic key, the new one an RSA key.
    let request = LeafRequest::server(shop::DNS_NAME, world.cloud.now()).key(KeyKind::Rsa2048);
    world.shop.renew_leaf_as(&mut world.cloud, &request);
    let body = world.update_body();
    let url = format!("https://management.chinacloudapi.cn{}", world.path(""));
    let new_leaf = world.shop.leaf.der.clone();
    let simulator = Simulator::start(world.cloud).await.unwrap();
    let client = client(&simulator);
    let token = token(&client).await;

    assert_eq!(client.get(&url).send().await.unwrap().status(), 401);
    let model: Value = client.get(&url).bearer_auth(&token).send().await.unwrap().json().await.unwrap();
    assert_eq!(model["name"], "shop");
    assert_ne!(leaf(&simulator).await.unwrap(), new_leaf);

    let reply = client.put(&url).bearer_auth(&token).json(&body).send().await.unwrap();
    assert_eq!(reply.status(), 200);
    let poll = reply.headers()["azure-asyncoperation"].to_str().unwrap().to_owned();
    let status = async || -> Value {
        client.get(&poll).bearer_auth(&token).send().await.unwrap().json().await.unwrap()
    };
    assert_eq!(status().await["status"], "InProgress");
    simulator.with(certroll_simulator::cloud::Cloud::finish);
    assert_eq!(status().await["status"], "Succeeded");
    assert_eq!(leaf(&simulator).await.unwrap(), new_leaf);
    let text = simulator.ledger().to_ndjson();
    assert!(!text.contains(&token) && !text.contains(CLIENT_SECRET));
    assert!(simulator.stop().refused_connects.is_empty());
}

/// The leaf that the shop's endpoint presents.
async fn leaf(simulator: &Simulator) -> Option<Vec<u8>> {
    let address = simulator.endpoint_address(shop::SERVICE, shop::ENDPOINT).unwrap();
    let config =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anything))
            .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from(shop::DNS_NAME).unwrap();
    let mut tls = connector.connect(name, stream).await.ok()?;
    let leaf = tls.get_ref().1.peer_certificates()?.first()?.to_vec();
    let _ = tls.shutdown().await;
    Some(leaf)
}

#[tokio::test]
async fn a_vault_is_read_with_the_machines_identity_and_nothing_secret_is_kept() {
    let simulator = Simulator::start(World::new().cloud).await.unwrap();
    let client = client(&simulator);
    let own = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let url = format!(
        "{}?api-version=2018-02-01&resource=https://vault.azure.cn",
        simulator.managed_identity_url()
    );
    let reply: Value = own.get(url).header("metadata", "true").send().await.unwrap().json().await.unwrap();
    let token = reply["access_token"].as_str().unwrap();
    let url = "https://shop-kv.vault.azure.cn/secrets/contoso-root?api-version=7.4";
    assert_eq!(client.get(url).send().await.unwrap().status(), 401);
    let secret: Value = client.get(url).bearer_auth(token).send().await.unwrap().json().await.unwrap();
    let value = secret["value"].as_str().unwrap();
    let text = simulator.ledger().to_ndjson();
    assert!(!text.contains(value.lines().next().unwrap()) && !text.contains(token));
    assert_eq!(simulator.ledger().count("GET", |path| path == "/secrets/contoso-root"), 2);
}

#[tokio::test]
async fn an_automatic_pace_needs_nobody_to_step() {
    let mut world = World::new();
    world.renew();
    let body = world.update_body();
    let (mut cloud, shop) = shop::shop(Pace::Automatic, jiff::Timestamp::now());
    // The same world with a clock that runs: certificates are another set, so the vaults' come along.
    cloud.vaults = world.cloud.vaults.clone();
    cloud.durations.operation = Duration::from_millis(3);
    cloud.durations.update_domain = Duration::from_millis(2);
    drop(shop);
    let url = format!("https://management.chinacloudapi.cn{}", world.path(""));
    let simulator = Simulator::start(cloud).await.unwrap();
    let client = client(&simulator);
    let token = token(&client).await;
    let reply = client.put(&url).bearer_auth(&token).json(&body).send().await.unwrap();
    let poll = reply.headers()["azure-asyncoperation"].to_str().unwrap().to_owned();
    loop {
        let state: Value = client.get(&poll).bearer_auth(&token).send().await.unwrap().json().await.unwrap();
        match state["status"].as_str().unwrap() {
            "InProgress" => tokio::task::yield_now().await,
            status => break assert_eq!(status, "Succeeded"),
        }
    }
    assert_eq!(leaf(&simulator).await.unwrap(), world.shop.leaf.der);
}

#[tokio::test]
async fn a_host_of_no_cloud_is_refused_and_noted() {
    let simulator = Simulator::start(World::new().cloud).await.unwrap();
    let client = client(&simulator);
    for url in [
        "https://evil.example/",
        "https://other-kv.vault.azure.cn/secrets",
        "https://management.chinacloudapi.cn:8443/",
        "http://169.254.169.254/metadata/identity/oauth2/token",
    ] {
        let outcome = client.get(url).send().await;
        assert!(outcome.is_err() || outcome.unwrap().status() == 502, "{url}");
    }
    assert_eq!(
        simulator.stop().refused_connects,
        [
            "evil.example:443",
            "other-kv.vault.azure.cn:443",
            "management.chinacloudapi.cn:8443",
            "169.254.169.254:80"
        ]
    );
}

#[tokio::test]
async fn a_cut_connection_gives_no_answer_and_a_delayed_one_waits_for_its_time() {
    let world = World::new();
    let url = format!("https://management.chinacloudapi.cn{}", world.path(""));
    let simulator = Simulator::start(world.cloud).await.unwrap();
    let client = client(&simulator);
    let token = token(&client).await;
    simulator.with(|cloud| cloud.fault(Fault::next(Call::GetCloudService, Effect::CutBefore)));
    assert!(client.get(&url).bearer_auth(&token).send().await.is_err());
    simulator.with(|cloud| {
        cloud.fault(Fault::next(Call::GetCloudService, Effect::Delay(Duration::from_secs(30))));
    });
    let waiting = tokio::spawn(client.get(&url).bearer_auth(&token).send());
    while simulator.with(|cloud| cloud.ledger.count("GET", |_| true)) < 2 {
        tokio::task::yield_now().await;
    }
    assert!(!waiting.is_finished());
    simulator.with(|cloud| cloud.advance(Duration::from_secs(30)));
    assert_eq!(waiting.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let world = World::new();
    let url = format!("https://management.chinacloudapi.cn{}", world.path(""));
    let simulator = Simulator::start(world.cloud).await.unwrap();
    let reply = client(&simulator).put(&url).body(vec![b' '; 5 * 1024 * 1024]).send().await;
    // The answer may be lost when the connection closes under a body that is still being sent.
    assert!(reply.is_err() || reply.unwrap().status() == 413);
    assert!(simulator.ledger().is_empty());
}

#[test]
fn the_authoritys_certificate_is_pem() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let pem = runtime.block_on(async { Simulator::start(World::new().cloud).await.unwrap().ca_pem() });
    assert!(CertificateDer::from_pem_slice(pem.as_bytes()).is_ok());
}

/// Takes whatever is presented: the test looks at it itself.
#[derive(Debug)]
struct Anything;

impl rustls::client::danger::ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls_pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

#[tokio::test]
async fn whoever_watches_may_cut_a_request_on_arrival_and_after_its_effect() {
    for (at, updating) in [(Moment::Arrived, false), (Moment::Done, true)] {
        let mut world = World::new();
        world.renew();
        let body = world.update_body();
        let url = format!("https://management.chinacloudapi.cn{}", world.path(""));
        let simulator = Simulator::start(world.cloud).await.unwrap();
        let client = client(&simulator);
        let token = token(&client).await;
        let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
        let noted = Arc::clone(&seen);
        simulator.watch(move |cloud, passing| {
            let busy = cloud.service(shop::SERVICE).unwrap().operation().is_some();
            noted.lock().unwrap().push((passing.call, passing.moment, busy));
            if passing.call == Call::PutCloudService && passing.moment == at { Then::Cut } else { Then::GoOn }
        });
        let put = client.put(&url).bearer_auth(&token).json(&body).send().await;
        assert!(put.is_err(), "{put:?}");
        let mut expected = vec![(Call::PutCloudService, Moment::Arrived, false)];
        if updating {
            expected.push((Call::PutCloudService, Moment::Done, true));
        }
        assert_eq!(*seen.lock().unwrap(), expected);
        simulator.with(|cloud| {
            assert_eq!(cloud.service(shop::SERVICE).unwrap().operation().is_some(), updating);
        });
        let ledger = simulator.ledger();
        let statuses: Vec<u16> = ledger.puts_of(shop::SERVICE).iter().map(|one| one.status).collect();
        assert_eq!(statuses, [if updating { 200 } else { 504 }]);
    }
}
