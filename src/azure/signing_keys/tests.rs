//! Which keys are kept, how often they are read, and what is said when they cannot be.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::*;

const TENANT: &str = "0b1f6471-1bf0-4dda-aec3-cb9272f09590";

/// The authority: which keys it publishes, and what is asked of it.
#[derive(Debug)]
struct Authority {
    keys: Mutex<Vec<&'static str>>,
    jwks_host: Mutex<String>,
    down: Mutex<bool>,
    asked: Mutex<Vec<String>>,
    requests: AtomicUsize,
}

#[async_trait]
impl Transport for Authority {
    async fn send(&self, request: Outgoing) -> Result<Answer, TransportFault> {
        assert!(!request.headers.contains_key("authorization"));
        self.requests.fetch_add(1, Ordering::SeqCst);
        self.asked.lock().unwrap().push(request.url.as_str().to_owned());
        // Others get their turn while this one waits.
        tokio::task::yield_now().await;
        if *self.down.lock().unwrap() {
            return Err(TransportFault::new(FaultKind::Unreachable, Sent::No, "connection refused"));
        }
        let second = request.url.path().contains("v2.0");
        let host = self.jwks_host.lock().unwrap().clone();
        let body = if request.url.path().ends_with("openid-configuration") {
            let (issuer, keys) = if second {
                (format!("https://login.partner.microsoftonline.cn/{TENANT}/v2.0"), "discovery/v2.0/keys")
            } else {
                (format!("https://sts.chinacloudapi.cn/{TENANT}/"), "discovery/keys")
            };
            json!({ "issuer": issuer, "jwks_uri": format!("https://{host}/{TENANT}/{keys}") })
        } else {
            let keys = self.keys.lock().unwrap();
            let mut keys: Vec<Value> = keys
                .iter()
                .map(|id| json!({ "kty": "RSA", "use": "sig", "kid": id, "n": "AAECAw", "e": "AQAB", "x5c": [] }))
                .collect();
            keys.push(json!({ "kty": "EC", "kid": "curve", "x": "AQ", "y": "AQ" }));
            keys.push(json!({ "kty": "RSA", "use": "enc", "kid": "encryption", "n": "AQ", "e": "AQAB" }));
            keys.push(json!({ "kty": "RSA", "kid": "broken", "n": "*", "e": "AQAB" }));
            json!({ "keys": keys })
        };
        Ok(Answer {
            status: 200,
            headers: HeaderMap::new(),
            body: Zeroizing::new(body.to_string().into_bytes()),
        })
    }
}

struct StepClock(Mutex<Timestamp>);

impl StepClock {
    fn step(&self, by: SignedDuration) {
        *self.0.lock().unwrap() += by;
    }
}

#[async_trait]
impl Clock for StepClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    async fn sleep_until(&self, _: Timestamp) {}
}

struct World {
    authority: Arc<Authority>,
    clock: Arc<StepClock>,
    keys: TenantKeys,
}

fn world() -> World {
    let authority = Arc::new(Authority {
        keys: Mutex::new(vec!["first"]),
        jwks_host: Mutex::new("login.partner.microsoftonline.cn".to_owned()),
        down: Mutex::default(),
        asked: Mutex::default(),
        requests: AtomicUsize::default(),
    });
    let clock = Arc::new(StepClock(Mutex::new("2026-11-23T08:00:00Z".parse().unwrap())));
    let hosts = vec!["login.partner.microsoftonline.cn".to_owned(), "login.chinacloudapi.cn".to_owned()];
    let transport = AuthorityHosts::new(hosts, Arc::clone(&authority) as Arc<dyn Transport>);
    let keys = TenantKeys::new(
        "login.chinacloudapi.cn".to_owned(),
        Arc::new(transport),
        TENANT.to_owned(),
        Arc::clone(&clock) as Arc<dyn Clock>,
        HeaderValue::from_static("certroll/test"),
    );
    World { authority, clock, keys }
}

impl World {
    async fn ask(&self, id: &str) -> Result<KeyAnswer, KeysUnavailable> {
        self.keys.key(TokenVersion::V1, id).await
    }

    /// Requests since the last time that this was asked.
    fn requests(&self) -> usize {
        self.authority.requests.swap(0, Ordering::SeqCst)
    }

    async fn knows(&self, id: &str) -> bool {
        matches!(self.ask(id).await, Ok(KeyAnswer::Known(key)) if key.id == id)
    }
}

#[tokio::test]
async fn each_version_has_its_own_document_and_issuer() {
    let world = world();
    for (version, issuer, discovery) in [
        (TokenVersion::V1, format!("https://sts.chinacloudapi.cn/{TENANT}/"), ""),
        (TokenVersion::V2, format!("https://login.partner.microsoftonline.cn/{TENANT}/v2.0"), "v2.0/"),
    ] {
        let Ok(KeyAnswer::Known(key)) = world.keys.key(version, "first").await else { panic!() };
        let expected =
            SigningKey { issuer, id: "first".to_owned(), modulus: vec![1, 2, 3], exponent: vec![1, 0, 1] };
        assert_eq!(key, expected);
        let asked = std::mem::take(&mut *world.authority.asked.lock().unwrap());
        let first =
            format!("https://login.chinacloudapi.cn/{TENANT}/{discovery}.well-known/openid-configuration");
        assert_eq!(asked[0], first);
        assert_eq!(asked.len(), 2);
    }
    // What is no RSA key for signatures is none.
    for id in ["curve", "encryption", "broken"] {
        assert!(!world.knows(id).await, "{id}");
    }
}

#[tokio::test]
async fn keys_are_read_once_and_then_daily() {
    let world = world();
    assert!(world.knows("first").await && world.knows("first").await);
    assert_eq!(world.requests(), 2);
    world.clock.step(REFRESH - SignedDuration::from_secs(1));
    assert!(world.knows("first").await);
    assert_eq!(world.requests(), 0);
    world.clock.step(SignedDuration::from_secs(1));
    *world.authority.keys.lock().unwrap() = vec!["second"];
    assert_eq!(world.ask("first").await, Ok(KeyAnswer::Foreign), "it was withdrawn");
    assert!(world.knows("second").await);
    assert_eq!(world.requests(), 2);
}

#[tokio::test]
async fn an_unknown_key_is_looked_for_within_a_limit() {
    let world = world();
    assert!(world.knows("first").await);
    world.requests();
    // Just read: nothing is refused that a fresh look might know, and nobody can make us ask again and again.
    world.clock.step(SignedDuration::from_secs(60));
    *world.authority.keys.lock().unwrap() = vec!["first", "second"];
    for _ in 0..100 {
        let unavailable = world.ask("second").await.unwrap_err();
        assert_eq!(unavailable.retry_after, Duration::from_secs(240));
    }
    assert_eq!(world.requests(), 0);
    assert!(world.knows("first").await);
    world.clock.step(SignedDuration::from_secs(240));
    assert!(world.knows("second").await);
    assert_eq!(world.requests(), 2);
    world.clock.step(PAUSE);
    assert_eq!(world.ask("invented").await, Ok(KeyAnswer::Foreign), "a fresh look does not have it");
    assert_eq!(world.requests(), 2);
}

#[tokio::test]
async fn many_who_ask_at_once_cause_one_look() {
    let world = world();
    let (one, two, three) = tokio::join!(world.ask("first"), world.ask("first"), world.ask("invented"));
    assert!(matches!((one, two), (Ok(KeyAnswer::Known(_)), Ok(KeyAnswer::Known(_)))));
    assert_eq!(
        three,
        Ok(KeyAnswer::Foreign),
        "the look that it waited for began before, and ended after it asked"
    );
    assert_eq!(world.requests(), 2);
}

#[tokio::test]
async fn old_keys_serve_while_the_authority_is_away_but_not_for_ever() {
    let world = world();
    assert!(world.knows("first").await);
    *world.authority.down.lock().unwrap() = true;
    world.requests();
    world.clock.step(REFRESH);
    assert!(world.knows("first").await && world.knows("first").await);
    assert_eq!(world.requests(), 1, "a failed attempt is not repeated at once");
    world.clock.step(PAUSE_AFTER_FAILURE);
    assert!(world.knows("first").await);
    assert_eq!(world.requests(), 1);
    world.clock.step(STALE);
    assert!(world.ask("first").await.unwrap_err().reason.contains("refused"));
    *world.authority.down.lock().unwrap() = false;
    world.clock.step(PAUSE_AFTER_FAILURE);
    assert!(world.knows("first").await);
}

#[tokio::test]
async fn without_any_key_nothing_is_refused() {
    let world = world();
    *world.authority.down.lock().unwrap() = true;
    for _ in 0..10 {
        let unavailable = world.ask("first").await.unwrap_err();
        assert_eq!(unavailable.retry_after, Duration::from_secs(30));
    }
    assert_eq!(world.requests(), 1);
}

#[tokio::test]
async fn keys_come_from_an_authority_of_the_cloud_only() {
    for host in [
        "evil.example",
        "login.microsoftonline.com",
        "login.chinacloudapi.cn:8443",
        "a@login.chinacloudapi.cn",
    ] {
        let world = world();
        *world.authority.jwks_host.lock().unwrap() = host.to_owned();
        world.ask("first").await.unwrap_err();
        assert_eq!(world.requests(), 1, "{host}: the keys were not asked for");
    }
}
