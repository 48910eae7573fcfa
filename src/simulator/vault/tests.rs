use super::*;
use crate::pfx::{self, Contents, Lock};
use crate::pki::{Authority, Issued, KeyKind, LeafRequest, thumbprint};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::SignedDuration;
use serde_json::{Value, json};
use url::Url;

const NOW: Timestamp = Timestamp::constant(1_795_392_000, 0);
const TENANT: &str = "11111111-aaaa-4bbb-8ccc-000000000001";
const OBJECT: &str = "33333333-aaaa-4bbb-8ccc-000000000003";
const DAY: SignedDuration = SignedDuration::from_hours(24);

struct World {
    entra: Entra,
    vault: Vault,
    token: String,
    now: Timestamp,
}

fn caller() -> Caller {
    Caller { object_id: OBJECT.to_owned(), app_id: "app".to_owned(), tenant: TENANT.to_owned() }
}

impl World {
    fn new() -> Self {
        let mut entra = Entra::china(TENANT);
        let token = entra.issue(&caller(), "https://vault.azure.cn", NOW, 3600);
        let mut vault = Vault::new("shop-kv", "vault.azure.cn", TENANT);
        vault.grant(OBJECT, &Permission::ALL);
        Self { entra, vault, token, now: NOW }
    }

    fn send(&mut self, method: &str, url: &str, body: &Value) -> Reply {
        let request = Request {
            method: method.to_owned(),
            url: Url::parse(url).unwrap(),
            headers: vec![("authorization".to_owned(), format!("Bearer {}", self.token))],
            body: if body.is_null() { Vec::new() } else { body.to_string().into_bytes() },
        };
        self.vault.answer(&request, &self.entra, self.now)
    }

    fn ask(&mut self, method: &str, path: &str, body: &Value) -> Reply {
        let separator = if path.contains('?') { '&' } else { '?' };
        self.send(method, &format!("https://shop-kv.vault.azure.cn/{path}{separator}api-version=7.4"), body)
    }

    fn get(&mut self, path: &str) -> Reply {
        self.ask("GET", path, &Value::Null)
    }

    /// All pages of a list, with their sizes.
    fn list(&mut self, path: &str) -> (Vec<Value>, Vec<usize>) {
        let mut reply = self.get(path);
        let (mut all, mut sizes) = (Vec::new(), Vec::new());
        loop {
            assert_eq!(reply.status, 200, "{reply:?}");
            let body = reply.body.unwrap();
            let values = body["value"].as_array().unwrap();
            sizes.push(values.len());
            all.extend(values.iter().cloned());
            match body["nextLink"].as_str() {
                Some(next) if !next.is_empty() => reply = self.send("GET", next, &Value::Null),
                _ => return (all, sizes),
            }
        }
    }
}

fn ok(reply: Reply) -> Value {
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.body.unwrap()
}

/// Status, code and inner code.
fn fault(reply: &Reply) -> (u16, String, String) {
    let error = &reply.body.as_ref().unwrap()["error"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (reply.status, text(&error["code"]), text(&error["innererror"]["code"]))
}

fn faults(status: u16, code: &str, inner: &str) -> (u16, String, String) {
    (status, code.to_owned(), inner.to_owned())
}

fn message(reply: &Reply) -> String {
    reply.body.as_ref().unwrap()["error"]["message"].as_str().unwrap().to_owned()
}

fn issued() -> Issued {
    let root = Authority::root("Test Root", NOW);
    root.intermediate("Test CA", NOW).issue(&LeafRequest::server("shop.example.test", NOW))
}

#[test]
fn a_certificate_its_key_and_its_secret_share_name_and_version() {
    let mut world = World::new();
    let issued = issued();
    let version = world.vault.create_certificate_version("Shop-Tls", &issued, NOW);
    assert_eq!(version.len(), 32);
    let bundle = ok(world.get("certificates/shop-tls"));
    assert_eq!(bundle, ok(world.get(&format!("certificates/SHOP-TLS/{}", version.to_uppercase()))));
    let base = "https://shop-kv.vault.azure.cn";
    assert_eq!(bundle["id"], format!("{base}/certificates/Shop-Tls/{version}"));
    assert_eq!(bundle["kid"], format!("{base}/keys/Shop-Tls/{version}"));
    assert_eq!(bundle["sid"], world.vault.secret_url("Shop-Tls", &version));
    assert_eq!(bundle["cer"], STANDARD.encode(&issued.der));
    let x5t =
        base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(bundle["x5t"].as_str().unwrap()).unwrap();
    assert_eq!(x5t.iter().map(|byte| format!("{byte:02X}")).collect::<String>(), thumbprint(&issued.der));
    assert_eq!(bundle["attributes"]["created"], NOW.as_second());
    assert_eq!(bundle["attributes"]["exp"], NOW.as_second() + 199 * 86_400);
    assert_eq!(bundle["policy"]["x509_props"]["sans"]["dns_names"], json!(["shop.example.test"]));
    assert_eq!(bundle["policy"]["x509_props"]["subject"], "CN=shop.example.test");
    assert_eq!(ok(world.get("certificates/shop-tls/policy")), bundle["policy"]);

    let secret = ok(world.get("secrets/shop-tls"));
    assert_eq!(secret["managed"], true);
    assert_eq!(secret["kid"], bundle["kid"]);
    assert_eq!(secret["contentType"], "application/x-pkcs12");
    let value = STANDARD.decode(secret["value"].as_str().unwrap()).unwrap();
    assert_eq!(pfx::read(&value, "").unwrap(), Contents::from(&issued));
    assert!(p12_keystore::Pkcs12Archive::from_pkcs12(&value, "").is_err(), "the form without any byte");
}

#[test]
fn lists_come_in_pages_of_25_with_managed_secrets_among_the_secrets() {
    let mut world = World::new();
    let material = Material::pkcs12(&issued());
    for number in 0..60 {
        world.vault.create_certificate_version(&format!("cert-{number:03}"), &material, NOW);
        world.vault.set_secret(&format!("plain-{number:03}"), "x", None, NOW);
    }
    let (certificates, sizes) = world.list("certificates");
    assert_eq!(sizes, [25, 25, 10]);
    assert_eq!(certificates[59]["id"], "https://shop-kv.vault.azure.cn/certificates/cert-059");
    assert!(certificates[0]["x5t"].is_string() && certificates[0]["cer"].is_null());
    let (secrets, sizes) = world.list("secrets?maxresults=20");
    assert_eq!(sizes, [20; 6]);
    assert_eq!(secrets.iter().filter(|secret| secret["managed"] == true).count(), 60);
    assert!(secrets.iter().all(|secret| secret["value"].is_null()));
    let next = ok(world.get("certificates"))["nextLink"].as_str().unwrap().to_owned();
    assert!(next.starts_with("https://shop-kv.vault.azure.cn:443/certificates?api-version=7.4&$skiptoken="));
    for wrong in
        ["secrets?maxresults=0", "secrets?maxresults=26", "secrets?maxresults=x", "secrets?$skiptoken=%3F"]
    {
        assert_eq!(fault(&world.get(wrong)), faults(400, "BadParameter", ""), "{wrong}");
    }
    world.vault.behaviour.last_page = LastPage::Absent;
    assert!(ok(world.get("certificates/cert-001/versions")).get("nextLink").is_none());
    world.vault.behaviour.last_page = LastPage::Empty;
    assert_eq!(ok(world.get("certificates/cert-001/versions"))["nextLink"], "");
    world.vault.behaviour.last_page = LastPage::Null;
    assert!(ok(world.get("certificates/cert-001/versions")).get("nextLink").unwrap().is_null());
}

#[test]
fn versions_are_listed_by_id_and_the_last_created_is_current() {
    let mut world = World::new();
    let material = Material::pkcs12(&issued());
    let ids = ["f".repeat(32), "0".repeat(32), "8".repeat(32)];
    for (id, hours) in ids.iter().zip(0..) {
        let at = NOW + SignedDuration::from_hours(hours);
        world.vault.create_certificate_version_as("tls", id, &material, at);
    }
    for kind in ["certificates", "secrets"] {
        let (versions, _) = world.list(&format!("{kind}/tls/versions"));
        let found: Vec<&str> = versions
            .iter()
            .map(|version| version["id"].as_str().unwrap().rsplit('/').next().unwrap())
            .collect();
        assert_eq!(found, [&ids[1], &ids[2], &ids[0]]);
        let current = ok(world.get(&format!("{kind}/tls")));
        assert!(current["id"].as_str().unwrap().ends_with(&ids[2]));
    }
    let many: Vec<String> = (0..60).map(|_| world.vault.set_secret("plain", "x", None, NOW)).collect();
    let (versions, sizes) = world.list("secrets/plain/versions");
    assert_eq!((versions.len(), sizes), (60, vec![25, 25, 10]));
    assert_eq!(world.vault.versions("PLAIN"), many);
}

#[test]
fn a_disabled_version_is_refused_and_none_stands_in() {
    let mut world = World::new();
    let material = Material::pkcs12(&issued());
    let first = world.vault.create_certificate_version("tls", &material, NOW);
    let second = world.vault.create_certificate_version("tls", &material, NOW);
    world.vault.set_enabled(Kind::Certificate, "tls", &second, false, NOW + DAY);
    let secret = world.get("secrets/tls");
    assert_eq!(fault(&secret), faults(403, "Forbidden", "SecretDisabled"));
    assert_eq!(message(&secret), "Operation get is not allowed on a disabled secret.");
    assert_eq!(fault(&world.get("certificates/tls")), faults(403, "Forbidden", "CertificateDisabled"));
    world.vault.behaviour.disabled_certificate = Reading::Allowed;
    let bundle = ok(world.get("certificates/tls"));
    assert_eq!(bundle["attributes"]["enabled"], false);
    assert_eq!(bundle["attributes"]["updated"], (NOW + DAY).as_second());
    ok(world.get(&format!("secrets/tls/{first}")));
    let (listed, _) = world.list("certificates");
    assert_eq!(listed[0]["attributes"]["enabled"], false);
    let url = world.vault.secret_url("tls", &second);
    let refusal = world.vault.deployment_secret(&url, "tls", &second, true, NOW).unwrap_err();
    assert!(refusal.message.contains("is disabled"));
}

#[test]
fn validity_is_a_switch_for_secrets_and_no_matter_for_certificates() {
    let mut world = World::new();
    let version = world.vault.create_certificate_version("tls", &issued(), NOW);
    for (validity, inner) in
        [((None, Some(NOW - DAY)), "SecretExpired"), ((Some(NOW + DAY), None), "SecretNotYetValid")]
    {
        world.vault.set_validity(Kind::Certificate, "tls", &version, validity, NOW);
        world.vault.behaviour.out_of_validity = Reading::Allowed;
        ok(world.get("secrets/tls"));
        world.vault.behaviour.out_of_validity = Reading::Refused;
        assert_eq!(fault(&world.get("secrets/tls")), faults(403, "Forbidden", inner));
        ok(world.get("certificates/tls"));
        assert!(world.vault.deployment_secret("u", "tls", &version, true, NOW).is_err());
    }
    world.vault.set_validity(Kind::Certificate, "tls", &version, (None, Some(NOW - DAY)), NOW);
    assert_eq!(message(&world.get("secrets/tls")), "Operation get is not allowed on an expired secret.");
}

#[test]
fn what_is_absent_or_deleted_is_404() {
    let mut world = World::new();
    let version = world.vault.create_certificate_version("tls", &issued(), NOW);
    world.vault.set_secret("plain", "x", None, NOW);
    let other = "0".repeat(32);
    for (path, code) in [
        ("certificates/none".to_owned(), "CertificateNotFound"),
        ("certificates/none/versions".to_owned(), "CertificateNotFound"),
        ("certificates/plain".to_owned(), "CertificateNotFound"),
        (format!("certificates/tls/{other}"), "CertificateNotFound"),
        ("secrets/none".to_owned(), "SecretNotFound"),
        ("secrets/none/versions".to_owned(), "SecretNotFound"),
        (format!("secrets/tls/{other}"), "SecretNotFound"),
        ("certificates/tls/pending".to_owned(), "PendingCertificateNotFound"),
        ("keys".to_owned(), "ResourceNotFound"),
    ] {
        assert_eq!(fault(&world.get(&path)), faults(404, code, ""), "{path}");
    }
    world.vault.delete("tls");
    for path in ["certificates/tls", "certificates/tls/versions", "secrets/tls", "secrets/tls/versions"] {
        assert_eq!(world.get(path).status, 404, "{path}");
    }
    assert!(world.list("certificates").0.is_empty());
    let put = world.ask("PUT", "secrets/tls", &json!({ "value": "x" }));
    assert_eq!(fault(&put), faults(409, "Conflict", "ObjectIsDeletedButRecoverable"));
    let refusal = world.vault.deployment_secret("URL", "tls", &version, true, NOW).unwrap_err();
    assert_eq!(refusal.code, "KeyVaultSecretDoesNotExist");
    assert_eq!(refusal.message, "The Key Vault secret referenced with the URL URL does not exist.");
    world.vault.recover("tls");
    assert!(ok(world.get("secrets/tls"))["id"].as_str().unwrap().ends_with(&version));
}

#[test]
fn a_request_must_bring_a_token_for_this_vault() {
    let mut world = World::new();
    let request = |token: Option<&str>| Request {
        method: "GET".to_owned(),
        url: Url::parse("https://shop-kv.vault.azure.cn/secrets?api-version=7.4").unwrap(),
        headers: token
            .map(|token| ("authorization".to_owned(), format!("Bearer {token}")))
            .into_iter()
            .collect(),
        body: Vec::new(),
    };
    let challenge = |reply: &Reply| {
        assert_eq!(reply.status, 401, "{reply:?}");
        let found = reply.headers.iter().find(|(name, _)| name == "www-authenticate");
        found.map(|(_, value)| value.clone()).unwrap()
    };
    let authority = format!("https://login.partner.microsoftonline.cn/{TENANT}");
    let reply = world.vault.answer(&request(None), &world.entra, NOW);
    assert_eq!(
        challenge(&reply),
        format!("Bearer authorization=\"{authority}\", resource=\"https://vault.azure.cn\"")
    );
    assert!(message(&reply).starts_with("AKV10000"));
    world.vault.behaviour.challenge = Challenge::Scope;
    let reply = world.vault.answer(&request(Some("x")), &world.entra, NOW);
    assert_eq!(
        challenge(&reply),
        format!("Bearer authorization=\"{authority}\", scope=\"https://vault.azure.cn/.default\"")
    );
    let elsewhere = world.entra.issue(&caller(), "https://management.chinacloudapi.cn", NOW, 60);
    assert!(
        message(&world.vault.answer(&request(Some(&elsewhere)), &world.entra, NOW)).starts_with("AKV10022")
    );
    let stranger = Caller { tenant: OBJECT.to_owned(), ..caller() };
    let foreign = world.entra.issue(&stranger, "https://vault.azure.cn", NOW, 60);
    assert!(
        message(&world.vault.answer(&request(Some(&foreign)), &world.entra, NOW)).starts_with("AKV10032")
    );
    world.now = NOW + SignedDuration::from_hours(1);
    challenge(&world.get("secrets"));
}

#[test]
fn permissions_firewall_and_versions() {
    let mut world = World::new();
    world.vault.create_certificate_version("tls", &issued(), NOW);
    let none = BTreeMap::from([(OBJECT.to_owned(), Permission::READ_METADATA.to_vec())]);
    world.vault.access = Access::Rbac(none.clone());
    ok(world.get("secrets"));
    let refused = world.get("secrets/tls");
    assert_eq!(fault(&refused), faults(403, "Forbidden", "ForbiddenByRbac"));
    assert!(message(&refused).contains("Action: 'Microsoft.KeyVault/vaults/secrets/getSecret/action'"));
    assert!(message(&refused).contains("/vaults/shop-kv/secrets/tls'"));
    world.vault.access = Access::Policies(none);
    let refused = world.get("secrets/tls");
    assert_eq!(fault(&refused), faults(403, "Forbidden", "ForbiddenByPolicy"));
    assert!(message(&refused).contains("does not have secrets get permission on key vault"));
    for (method, path) in [
        ("POST", "certificates/tls/import"),
        ("PATCH", "certificates/tls"),
        ("PUT", "secrets/x"),
        ("PATCH", "secrets/x"),
    ] {
        assert_eq!(world.ask(method, path, &json!({})).status, 403, "{method} {path}");
    }
    for query in ["", "?api-version=7.6", "?api-version=2025-07-01", "?api-version=latest"] {
        let reply =
            world.send("GET", &format!("https://shop-kv.vault.azure.cn/secrets{query}"), &Value::Null);
        assert_eq!(fault(&reply), faults(400, "BadParameter", ""), "{query}");
    }
    assert_eq!(fault(&world.get("secrets/a_b")), faults(400, "BadParameter", ""));
    assert_eq!(world.get(&format!("secrets/{}", "a".repeat(128))).status, 400);
    assert_eq!(world.ask("DELETE", "secrets/tls", &Value::Null).status, 405);
    assert_eq!(world.ask("GET", "secrets", &json!({})).status, 400);
    world.vault.firewall_closed = true;
    assert_eq!(fault(&world.get("secrets")), faults(403, "Forbidden", "ForbiddenByFirewall"));
}

#[test]
fn a_limit_answers_429_until_the_window_ends() {
    let mut world = World::new();
    world.vault.behaviour.throttle = Some(Throttle { requests: 2, window: 10, retry_after: None });
    ok(world.get("secrets"));
    ok(world.get("secrets"));
    let refused = world.get("secrets");
    assert_eq!(fault(&refused), faults(429, "Throttled", ""));
    assert!(refused.headers.iter().all(|(name, _)| name != "retry-after"));
    world.vault.behaviour.throttle = Some(Throttle { requests: 2, window: 10, retry_after: Some(7) });
    assert!(world.get("secrets").headers.contains(&("retry-after".to_owned(), "7".to_owned())));
    world.now = NOW + SignedDuration::from_secs(10);
    ok(world.get("secrets"));
}

#[test]
fn an_import_packs_what_it_can_read() {
    let mut world = World::new();
    let issued = issued();
    let contents = Contents::from(&issued);
    for (value, password, policy) in [
        (STANDARD.encode(pfx::write(&contents, Lock::Password("p"))), "p", json!({})),
        (STANDARD.encode(pfx::write(&contents, Lock::Null)), "", json!({})),
        (STANDARD.encode(pfx::write_modern(&contents, "p")), "p", json!({})),
        (issued.pem(), "", json!({ "secret_props": { "contentType": "application/x-pem-file" } })),
    ] {
        let body = json!({ "value": value, "pwd": password, "policy": policy, "tags": { "owner": "shop" } });
        let bundle = ok(world.ask("POST", "certificates/tls/import", &body));
        assert_eq!(bundle["cer"], STANDARD.encode(&issued.der));
        assert_eq!(bundle["tags"]["owner"], "shop");
        assert_eq!(ok(world.get("secrets/tls"))["contentType"], bundle["contentType"]);
    }
    assert_eq!(ok(world.get("secrets/tls"))["value"], issued.pem());
    assert_eq!(world.vault.versions("tls").len(), 4);

    let expired =
        LeafRequest::server("old.example.test", NOW).valid(NOW - DAY - DAY, NOW - DAY).self_signed();
    let pem = issued.pem();
    for value in [
        STANDARD.encode(pfx::write(&contents, Lock::Password("other"))),
        STANDARD.encode(pfx::write(&Contents::from(&expired), Lock::Null)),
        STANDARD.encode(pfx::write_certificates(&issued.chain, Lock::Null)),
        STANDARD.encode(&issued.der),
        "not base64!".to_owned(),
        pem.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"),
        pem.replace("PRIVATE KEY", "EC PRIVATE KEY"),
        "-----BEGIN CERTIFICATE-----".to_owned(),
    ] {
        let reply = world.ask("POST", "certificates/tls/import", &json!({ "value": value }));
        assert_eq!(fault(&reply), faults(400, "BadParameter", ""), "{value}");
    }
    assert_eq!(world.ask("POST", "certificates/tls/import", &json!({})).status, 400);
    world.vault.set_secret("plain", "x", None, NOW);
    let reply = world.ask("POST", "certificates/plain/import", &json!({ "value": pem }));
    assert_eq!(reply.status, 409);
}

#[test]
fn secrets_are_set_and_changed() {
    let mut world = World::new();
    let body = json!({ "value": "first", "contentType": "text/plain", "tags": { "a": "b" }, "attributes": { "exp": 1 } });
    let set = ok(world.ask("PUT", "secrets/Plain", &body));
    assert_eq!(set["value"], "first");
    assert_eq!(
        (&set["contentType"], &set["tags"]["a"], &set["attributes"]["exp"]),
        (&json!("text/plain"), &json!("b"), &json!(1))
    );
    let first = set["id"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    ok(world.ask("PUT", "secrets/plain", &json!({ "value": "second" })));
    let disable = json!({ "attributes": { "enabled": false }, "tags": { "c": "d" } });
    let patched = ok(world.ask("PATCH", &format!("secrets/plain/{first}"), &disable));
    assert!(patched["value"].is_null());
    assert_eq!((&patched["tags"], &patched["attributes"]["enabled"]), (&json!({ "c": "d" }), &json!(false)));
    assert_eq!(world.get(&format!("secrets/plain/{first}")).status, 403);
    assert_eq!(ok(world.get("secrets/plain"))["value"], "second");

    let longest = "x".repeat(25 * 1024);
    ok(world.ask("PUT", "secrets/plain", &json!({ "value": longest })));
    let tags: serde_json::Map<String, Value> =
        (0..16).map(|number| (number.to_string(), "".into())).collect();
    for body in [
        json!({ "value": format!("{longest}x") }),
        json!({ "value": "x", "contentType": "x".repeat(256) }),
        json!({ "value": "x", "tags": tags }),
        json!({ "value": "x", "tags": { "a": "x".repeat(257) } }),
        json!({ "value": "x", "tags": { "x".repeat(257): "a" } }),
        json!({ "value": "x", "attributes": { "enabled": "yes" } }),
        json!({ "value": 1 }),
        json!({}),
        json!([]),
    ] {
        assert_eq!(world.ask("PUT", "secrets/plain", &body).status, 400);
    }
    world.vault.create_certificate_version("tls", &issued(), NOW);
    assert_eq!(world.ask("PUT", "secrets/tls", &json!({ "value": "x" })).status, 409);
    let patched = ok(world.ask("PATCH", "certificates/tls", &json!({ "attributes": { "enabled": false } })));
    assert_eq!(patched["attributes"]["enabled"], false);
    assert_eq!(world.get("secrets/tls").status, 403);
}

#[test]
fn compute_reads_what_it_documents_and_names_what_it_cannot() {
    let mut world = World::new();
    let issued = issued();
    let contents = Contents::from(&issued);
    let mut deploy = |value: &str, content_type: Option<&str>, bare: bool, aes: Reading| {
        let vault = &mut world.vault;
        vault.behaviour.aes_pfx = aes;
        let version = vault.set_secret("x", value, content_type, NOW);
        vault.deployment_secret("URL", "x", &version, bare, NOW)
    };
    let legacy = JsonSecret::new(&pfx::write(&contents, Lock::Password("p")), "p");
    let empty = JsonSecret::new(&pfx::write(&contents, Lock::Password("")), "").without_password();
    let modern = JsonSecret::new(&pfx::write_modern(&contents, "p"), "p").data_type("PFX");
    let plain = STANDARD.encode(pfx::write(&contents, Lock::Null));
    for (value, content_type) in [
        (legacy.value(), None),
        (legacy.az_value(), None),
        (legacy.value(), Some("application/json")),
        (empty.value(), None),
        (modern.value(), None),
        (plain.clone(), Some(PKCS12)),
    ] {
        let secret = deploy(&value, content_type, false, Reading::Allowed).unwrap();
        assert_eq!(secret.thumbprint, issued.thumbprint());
        assert_eq!((secret.chain, secret.key_pkcs8), (issued.chain.clone(), Some(issued.key_pkcs8.clone())));
        assert!(!secret.bare_certificate);
    }
    let az = legacy.az_value();
    assert!(az.ends_with('\n') && az.lines().rev().skip(1).all(|line| line.len() == 76));
    assert_eq!(az.replace('\n', ""), legacy.value());

    let root = issued.chain.last().unwrap();
    let certificates =
        JsonSecret::new(&pfx::write_certificates(std::slice::from_ref(root), Lock::Password("")), "");
    let secret = deploy(&certificates.value(), None, false, Reading::Refused).unwrap();
    assert_eq!((secret.thumbprint, secret.key_pkcs8), (thumbprint(root), None));
    for data in [root.clone(), crate::pki::pem("CERTIFICATE", root).into_bytes()] {
        let bare = JsonSecret::new(&data, "").data_type("PFX").value();
        let secret = deploy(&bare, None, true, Reading::Allowed).unwrap();
        assert_eq!((secret.thumbprint, secret.bare_certificate), (thumbprint(root), true));
        assert!(deploy(&bare, None, false, Reading::Allowed).is_err());
    }

    let json_data = "The secret's JSON representation retrieved from URL has a data field which is not a properly \
                     formatted PFX file, or the password provided does not decode the PFX file correctly.";
    let not_json = "The data retrieved from URL is not deserializable into JSON.";
    let not_base64 = "The secret retrieved from URL is not a properly encoded Base64 string.";
    let wrong = JsonSecret::new(&pfx::write(&contents, Lock::Password("p")), "q");
    for (value, content_type, expected) in [
        (wrong.value(), None, json_data),
        (modern.value(), None, json_data),
        (legacy.clone().data_type("cer").value(), None, json_data),
        (STANDARD.encode(b"{}"), None, json_data),
        (STANDARD.encode(b"other"), Some(PKCS12), json_data),
        (plain, None, not_json),
        (legacy.json(), None, not_base64),
        (issued.pem(), Some(PEM_FILE), not_base64),
    ] {
        let refusal = deploy(&value, content_type, false, Reading::Refused).unwrap_err();
        assert_eq!(refusal.code, "CertificateImproperlyFormatted");
        assert_eq!(refusal.message, expected);
    }
}

#[test]
fn a_thousand_certificates_share_what_they_hold() {
    let mut world = World::new();
    let material = Material::pkcs12(&LeafRequest::default().key(KeyKind::Rsa2048).self_signed());
    for number in 0..1000 {
        world.vault.create_certificate_version(&format!("cert-{number}"), &material, NOW);
        world.vault.set_secret(&format!("plain-{number}"), "x", None, NOW);
    }
    let (certificates, sizes) = world.list("certificates");
    assert_eq!((certificates.len(), sizes.len()), (1000, 40));
    assert_eq!(world.list("secrets").0.len(), 2000);
}
