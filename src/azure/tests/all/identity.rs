//! Tokens: the cache, the chain, the machine's identity.

use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use certroll_azure::{
    Answer, Audience, Azure, ClientCertificate, Environment, Executor, IdentityKind, ManagedIdentity,
    Outgoing, Sent, Transport, TransportFault, Wires,
};
use certroll_core::ports::{FaultKind, PortError};
use serde_json::json;

use crate::fake::{Fake, Reply};
use crate::world::{CLIENT_SECRET, StepClock, options, token, world};

/// What the metadata endpoint does.
#[derive(Clone, Copy, Debug)]
enum Metadata {
    BlackHole,
    Refuses,
    Unassigned,
    Gives,
}

#[derive(Debug)]
struct FakeMetadata {
    does: Metadata,
    urls: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl Transport for FakeMetadata {
    async fn send(&self, request: Outgoing) -> Result<Answer, TransportFault> {
        self.urls.lock().unwrap().push(request.url.to_string());
        let asked = request.headers.contains_key("metadata");
        let (status, body) = match self.does {
            Metadata::BlackHole => std::future::pending().await,
            Metadata::Refuses => {
                let message = "connection refused".to_owned();
                return Err(TransportFault { kind: FaultKind::Unreachable, sent: Sent::No, message });
            }
            Metadata::Unassigned => {
                (400, json!({ "error": "invalid_request", "error_description": "Identity not found" }))
            }
            Metadata::Gives if !asked => (400, json!({})),
            Metadata::Gives => {
                let expires = azure_core::time::OffsetDateTime::now_utc().unix_timestamp() + 86_400;
                let claims = "eyJ0aWQiOiJ0IiwiYXBwaWQiOiJhIiwib2lkIjoibyJ9";
                (
                    200,
                    json!({ "access_token": format!("h.{claims}.s"), "expires_on": expires.to_string(),
                    "resource": "r", "token_type": "Bearer" }),
                )
            }
        };
        let body = body.to_string().into_bytes().into();
        Ok(Answer { status, headers: Default::default(), body })
    }
}

/// An az command that prints what it is told to.
#[derive(Debug)]
struct FakeAz {
    code: i32,
    stdout: String,
    stderr: &'static str,
    runs: Arc<AtomicUsize>,
}

#[async_trait]
impl Executor for FakeAz {
    async fn run(&self, _: &OsStr, args: &[&OsStr]) -> std::io::Result<Output> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        assert!(args.iter().any(|arg| arg.to_string_lossy().contains("az account get-access-token")));
        Ok(Output {
            status: ExitStatus::from_raw(self.code << 8),
            stdout: self.stdout.clone().into_bytes(),
            stderr: self.stderr.as_bytes().to_vec(),
        })
    }
}

struct Machine {
    azure: Azure,
    urls: Arc<Mutex<Vec<String>>>,
    runs: Arc<AtomicUsize>,
    clock: Arc<StepClock>,
    fake: Fake,
}

async fn machine(
    kind: IdentityKind,
    environment: Environment,
    does: Metadata,
    az: (i32, &str, &'static str),
) -> Machine {
    let fake = Fake::start(Box::new(|_, _| {
        Reply::json(401, &json!({ "error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret.\r\nTrace ID: x" }))
    }))
    .await;
    let clock = StepClock::new();
    let mut options = options(&fake, &clock);
    options.identity.kind = kind;
    options.identity.environment = environment;
    let (urls, runs) = (Arc::default(), Arc::default());
    let mut wires = Wires::new(&options).unwrap();
    wires.metadata = Arc::new(FakeMetadata { does, urls: Arc::clone(&urls) });
    wires.executor =
        Arc::new(FakeAz { code: az.0, stdout: az.1.to_owned(), stderr: az.2, runs: Arc::clone(&runs) });
    let azure = Azure::over(&options, wires).unwrap();
    Machine { azure, urls, runs, clock, fake }
}

const NO_AZ: (i32, &str, &str) = (1, "", "ERROR: Please run 'az login' to setup account.");

#[tokio::test]
async fn one_request_serves_all_who_wait() {
    let world = world(|_, _| Reply::text(500, "")).await;
    let calls = (0..50).map(|_| {
        let azure = world.azure.clone();
        tokio::spawn(async move { azure.check_token(Audience::Vault).await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert!(call.await.unwrap().is_ok());
    }
    assert_eq!(world.fake.token_requests().len(), 1);
    world.azure.check_token(Audience::ResourceManager).await.unwrap();
    assert_eq!(world.fake.token_requests().len(), 2, "another audience is another token");
}

#[tokio::test]
async fn a_token_is_renewed_early_and_kept_while_that_fails() {
    let fake = Fake::start(Box::new(|seen, before| {
        assert!(seen.body.contains(CLIENT_SECRET));
        match before {
            0 => token(1, 3600),
            1 => token(2, 3600),
            _ => Reply::text(503, "down"),
        }
    }))
    .await;
    let clock = StepClock::new();
    let azure = Azure::new(&options(&fake, &clock)).unwrap();
    let check = async || azure.check_token(Audience::Vault).await;
    let first = check().await.unwrap();
    clock.step(3600 - 301);
    assert_eq!(check().await.unwrap(), first);
    clock.step(2);
    let second = check().await.unwrap();
    assert!(second.until > first.until);
    assert_eq!(fake.token_requests().len(), 2);

    clock.step(3600 - 200);
    assert_eq!(check().await.unwrap(), second, "the old one serves");
    assert_eq!(check().await.unwrap(), second);
    assert_eq!(fake.token_requests().len(), 3, "and the authority is left alone for a while");
    clock.step(31);
    assert_eq!(check().await.unwrap(), second);
    assert_eq!(fake.token_requests().len(), 4);
    clock.step(200);
    let fault = check().await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::NoToken);
    assert!(matches!(fault, PortError::Retryable { .. }), "an authority that is down comes back: {fault}");
}

#[tokio::test]
async fn a_wrong_secret_is_permanent_and_told_in_the_authority_s_words() {
    let kind = IdentityKind::ClientSecret {
        tenant_id: "tenant".to_owned(),
        client_id: "client".to_owned(),
        secret: CLIENT_SECRET.to_owned().into(),
    };
    let machine = machine(kind, Environment::default(), Metadata::Refuses, NO_AZ).await;
    let fault = machine.azure.check_token(Audience::Vault).await.unwrap_err();
    assert!(matches!(fault, PortError::Permanent(_)));
    assert_eq!(
        fault.to_string(),
        "getting a token for key vaults: no identity gave a token: client_secret: status 401: invalid_client: \
         AADSTS7000215: Invalid client secret."
    );
    assert_eq!(machine.fake.token_requests().len(), 1);
}

#[tokio::test]
async fn a_chain_that_fails_names_every_link() {
    let machine = machine(IdentityKind::default(), Environment::default(), Metadata::Refuses, NO_AZ).await;
    let fault = machine.azure.check_token(Audience::Vault).await.unwrap_err();
    let message = fault.to_string();
    for part in [
        "client_secret or client_certificate: `AZURE_TENANT_ID` or `AZURE_CLIENT_ID` is not set",
        "workload_identity: `AZURE_FEDERATED_TOKEN_FILE` is not set",
        "managed_identity: no metadata endpoint answers on this machine within 2 s",
        "azure_cli: ERROR: Please run 'az login'",
    ] {
        assert!(message.contains(part), "{message}; expected {part}");
    }
    let hint = fault.fault().hint.clone().unwrap();
    assert!(hint.contains("az login") && hint.contains("AzureChinaCloud"), "{hint}");
}

#[tokio::test(start_paused = true)]
async fn a_black_hole_is_given_up_after_the_probe() {
    let begun = tokio::time::Instant::now();
    let az = json!({ "accessToken": "canary", "expires_on": i64::from(i32::MAX) * 2, "tokenType": "Bearer" })
        .to_string();
    let machine =
        machine(IdentityKind::default(), Environment::default(), Metadata::BlackHole, (0, &az, "")).await;
    let found = machine.azure.check_token(Audience::Vault).await.unwrap();
    assert_eq!(found.holder.identity, "azure_cli");
    assert!(begun.elapsed().as_secs() <= 3, "{:?}", begun.elapsed());

    // The link that worked is the one that is asked from then on.
    machine.azure.check_token(Audience::ResourceManager).await.unwrap();
    assert_eq!((machine.urls.lock().unwrap().len(), machine.runs.load(Ordering::SeqCst)), (1, 2));

    // Asked for by name, it gets its whole time and no more.
    let begun = tokio::time::Instant::now();
    let kind = IdentityKind::ManagedIdentity(ManagedIdentity::SystemAssigned);
    let named = self::machine(kind, Environment::default(), Metadata::BlackHole, NO_AZ).await;
    let fault = named.azure.check_token(Audience::Vault).await.unwrap_err();
    assert!(fault.to_string().contains("managed_identity: no token within 20 s"), "{fault}");
    assert!(begun.elapsed().as_secs() <= 21);
}

#[tokio::test]
async fn the_machine_s_identity_is_asked_at_its_address() {
    let environment = [("AZURE_CLIENT_ID", "c0ffee".to_owned())].into_iter().collect();
    let machine = machine(IdentityKind::default(), environment, Metadata::Gives, NO_AZ).await;
    let found = machine.azure.check_token(Audience::Vault).await.unwrap();
    assert_eq!(found.holder.identity, "managed_identity");
    assert_eq!(found.holder.object.as_deref(), Some("o"));
    let urls = machine.urls.lock().unwrap().clone();
    assert_eq!(urls.len(), 2, "a probe and a request");
    let asked = &urls[1];
    assert!(asked.starts_with("http://169.254.169.254/metadata/identity/oauth2/token?"), "{asked}");
    assert!(asked.contains("resource=https%3A%2F%2Fvault.azure.cn&client_id=c0ffee"), "{asked}");
    assert!(machine.fake.connects().is_empty(), "nothing of it goes through the proxy");
    assert_eq!(machine.runs.load(Ordering::SeqCst), 0);

    // A day's token is renewed at half its life.
    machine.clock.step(43_000);
    machine.azure.check_token(Audience::Vault).await.unwrap();
    assert_eq!(machine.urls.lock().unwrap().len(), 2);
    machine.clock.step(400);
    machine.azure.check_token(Audience::Vault).await.unwrap();
    assert_eq!(machine.urls.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn an_identity_that_is_not_assigned_is_told_as_such() {
    let kind = IdentityKind::ManagedIdentity(ManagedIdentity::ClientId("c".to_owned()));
    let machine = machine(kind, Environment::default(), Metadata::Unassigned, NO_AZ).await;
    let fault = machine.azure.check_token(Audience::Vault).await.unwrap_err();
    assert!(fault.to_string().contains("is that identity assigned to this machine?"), "{fault}");
    assert!(matches!(fault, PortError::Permanent(_)));
}

#[tokio::test]
async fn what_az_prints_is_not_repeated() {
    for stdout in [
        r#"{"accessToken":"canary","expires_on":"canary"}"#,
        "canary",
        r#"{"accessToken":"canary","tokenType":"B"}"#,
    ] {
        let kind = IdentityKind::AzureCli { tenant_id: None };
        let machine = machine(kind, Environment::default(), Metadata::Refuses, (0, stdout, "")).await;
        let fault = machine.azure.check_token(Audience::Vault).await.unwrap_err();
        assert!(fault.to_string().contains("the answer of az is not understood"), "{fault}");
        assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
    }
}

#[tokio::test]
async fn certificates_and_service_accounts_are_exchanged() {
    let key = include_str!("../../token/testdata/client-key.pem");
    let pair = rcgen::KeyPair::from_pem(key).unwrap();
    let leaf = rcgen::CertificateParams::new(vec!["c.test".to_owned()]).unwrap().self_signed(&pair).unwrap();
    let certificate = ClientCertificate::from_pem(format!("{key}{}", leaf.pem()).as_bytes()).unwrap();
    let folder = std::env::temp_dir().join(format!("certroll-azure-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let token_file = folder.join("token");
    for kind in [
        IdentityKind::ClientCertificate {
            tenant_id: "tenant".to_owned(),
            client_id: "client".to_owned(),
            certificate,
        },
        IdentityKind::WorkloadIdentity {
            tenant_id: Some("tenant".to_owned()),
            client_id: Some("client".to_owned()),
            token_file: Some(token_file.clone()),
        },
    ] {
        std::fs::write(&token_file, "first-account-token").unwrap();
        let workload = matches!(kind, IdentityKind::WorkloadIdentity { .. });
        let world = crate::world::world_with(|options| options.identity.kind = kind, |_, _| Reply::Cut).await;
        world.azure.check_token(Audience::Vault).await.unwrap();
        std::fs::write(&token_file, "second-account-token").unwrap();
        world.azure.check_token(Audience::ResourceManager).await.unwrap();
        let requests = world.fake.token_requests();
        for (request, token) in requests.iter().zip(["first", "second"]) {
            assert!(request.body.contains("client_assertion_type=urn%3Aietf"), "{}", request.body);
            let expected =
                if workload { format!("{token}-account-token") } else { "client_assertion=eyJ".to_owned() };
            assert!(request.body.contains(&expected), "{}", request.body);
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
