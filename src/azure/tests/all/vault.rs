//! The vault reader.

use std::time::Duration;

use certroll_azure::{BodyLimit, Operation};
use certroll_core::id::{ObjectKind, ObjectName, VaultName};
use certroll_core::ports::{CertificateImport, FaultKind, PortError, SecretValue};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::fake::{Reply, Seen};
use crate::world::{VAULT, world, world_with};

fn vault() -> VaultName {
    "shop-kv".parse().unwrap()
}

fn name() -> ObjectName {
    "shop-tls".parse().unwrap()
}

fn listed(number: usize) -> Value {
    json!({ "id": format!("https://{VAULT}/secrets/item-{number}"), "attributes": { "enabled": true, "updated": 1 } })
}

fn certificate() -> Value {
    json!({
        "id": format!("https://{VAULT}/certificates/shop-tls/0f3a"),
        "sid": format!("https://{VAULT}/secrets/shop-tls/0f3a"),
        "cer": "AQIDBA==",
        "attributes": { "enabled": true, "created": 1 },
    })
}

#[tokio::test]
async fn a_list_is_read_page_by_page_with_one_token() {
    let world = world(|seen: &Seen, _| {
        let page: usize = match seen.target.split("skip=").nth(1) {
            Some(rest) => rest.parse().unwrap(),
            None => 0,
        };
        let value: Vec<Value> = (page * 25..(page * 25 + 25).min(60)).map(listed).collect();
        let next = format!("https://{VAULT}:443/secrets?api-version=7.6&skip={}", page + 1);
        Reply::json(200, &json!({ "value": value, "nextLink": if page < 2 { next } else { String::new() } }))
    })
    .await;
    let found = world.azure.vault_reader().list(&vault(), ObjectKind::Secret).await.unwrap();
    assert_eq!(found.len(), 60);
    assert_eq!(found[59].name.as_str(), "item-59");
    let seen = world.fake.seen();
    let targets: Vec<&str> = seen.iter().map(|seen| seen.target.as_str()).collect();
    assert_eq!(
        targets,
        [
            "/secrets?api-version=7.4&maxresults=25",
            "/secrets?api-version=7.6&skip=1",
            "/secrets?api-version=7.6&skip=2"
        ]
    );
    assert_eq!(world.fake.token_requests().len(), 1);
    let token = &world.fake.token_requests()[0];
    assert_eq!(token.target, "/tenant/oauth2/v2.0/token");
    assert!(token.body.contains("scope=https%3A%2F%2Fvault.azure.cn%2F.default"), "{}", token.body);
    let first = &seen[0];
    assert_eq!(first.header("authorization"), "Bearer canary-token-1");
    assert_eq!(first.header("user-agent"), concat!("certroll/", env!("CARGO_PKG_VERSION")));
    let ids: Vec<&str> = seen.iter().map(|seen| seen.header("x-ms-client-request-id")).collect();
    assert!(ids[0].len() == 36 && ids[0] != ids[1], "{ids:?}");
    let counts = world.azure.calls();
    assert_eq!((counts.len(), counts[0].operation, counts[0].count), (1, Operation::VaultList, 3));
}

#[tokio::test]
async fn a_next_page_elsewhere_is_refused_before_anything_is_sent() {
    for next in [
        "https://evil.example/secrets?skip=1",
        "https://other-kv.vault.azure.cn/secrets?skip=1",
        "https://shop-kv.vault.azure.cn:8443/secrets?skip=1",
        "http://shop-kv.vault.azure.cn/secrets?skip=1",
        "/secrets?skip=1",
    ] {
        let world =
            world(move |_, _| Reply::json(200, &json!({ "value": [listed(1)], "nextLink": next }))).await;
        let fault = world.azure.vault_reader().list(&vault(), ObjectKind::Secret).await.unwrap_err();
        assert!(matches!(&fault, PortError::Permanent(_)), "{next}: {fault}");
        assert_eq!(fault.kind(), FaultKind::ForeignHost, "{next}");
        assert_eq!(world.fake.seen().len(), 1, "{next}");
        let hosts = world.fake.connects();
        assert_eq!(hosts, ["login.chinacloudapi.cn:443", "shop-kv.vault.azure.cn:443"], "{next}");
    }
}

#[tokio::test]
async fn lists_end() {
    let same = format!("https://{VAULT}/secrets?api-version=7.4&maxresults=25");
    let circle =
        world(move |_, _| Reply::json(200, &json!({ "value": [listed(1)], "nextLink": same }))).await;
    let fault = circle.azure.vault_reader().list(&vault(), ObjectKind::Secret).await.unwrap_err();
    assert!(fault.to_string().contains("read already"), "{fault}");
    assert_eq!(circle.fake.seen().len(), 1);

    for (pages, items, reason) in [(3, 1_000, "more than 3 pages"), (1_000, 2, "more than 2 items")] {
        let endless = world_with(
            |options| (options.limits.pages, options.limits.items) = (pages, items),
            |seen, _| {
                let next = format!("https://{VAULT}/secrets?skip={}", seen.target.len());
                Reply::json(200, &json!({ "value": [listed(1)], "nextLink": format!("{next}{}", "0".repeat(seen.target.len())) }))
            },
        )
        .await;
        let fault = endless.azure.vault_reader().list(&vault(), ObjectKind::Secret).await.unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Malformed);
        assert!(fault.to_string().contains(reason), "{fault}");
        assert_eq!(endless.fake.seen().len(), 3);
    }
}

#[tokio::test]
async fn objects_are_read_by_version_or_current() {
    let world = world(|seen, _| match seen.path() {
        "/certificates/shop-tls" | "/certificates/shop-tls/0f3a" => Reply::json(200, &certificate()),
        "/secrets/shop-tls/0f3a" => Reply::json(
            200,
            &json!({ "id": format!("https://{VAULT}/secrets/shop-tls/0f3a"), "value": "a\nb",
                "attributes": { "enabled": true } }),
        ),
        "/certificates/shop-tls/versions" => Reply::json(
            200,
            &json!({ "value": [{ "id": format!("https://{VAULT}/certificates/shop-tls/0f3a"),
                "attributes": { "enabled": false, "created": 5 } }], "nextLink": null }),
        ),
        _ => Reply::error(404, "CertificateNotFound"),
    })
    .await;
    let reader = world.azure.vault_reader();
    let version = "0F3A".parse().unwrap();
    for version in [None, Some(&version)] {
        let found = reader.certificate(&vault(), &name(), version).await.unwrap();
        assert_eq!(found.der, [1, 2, 3, 4]);
        assert_eq!(found.secret.as_str(), "https://shop-kv.vault.azure.cn/secrets/shop-tls/0f3a");
    }
    let found = reader.secret(&vault(), &name(), Some(&version)).await.unwrap();
    assert_eq!(found.value.as_str(), "a\nb");
    let versions = reader.versions(&"shop-kv/certificates/shop-tls".parse().unwrap()).await.unwrap();
    assert_eq!((versions.len(), versions[0].enabled), (1, false));
    let fault = reader.secret(&vault(), &"absent".parse().unwrap(), None).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::NotFound);
    assert_eq!(
        fault.to_string(),
        "reading vault secret `shop-kv/secrets/absent`: it does not exist (404 CertificateNotFound): what happened"
    );
}

#[tokio::test]
async fn reads_are_repeated_within_limits() {
    let seconds = |world: &crate::world::World| -> Vec<f64> {
        world.clock.slept().iter().map(Duration::as_secs_f64).collect()
    };
    for (trouble, kind) in [
        (503, FaultKind::ServiceFault),
        (429, FaultKind::Throttled),
        (0, FaultKind::Unreachable),
        (1, FaultKind::Unreachable),
    ] {
        let troubled = move || match trouble {
            0 => Reply::Cut,
            1 => Reply::CutBody,
            status => Reply::error(status, "Trouble"),
        };
        let passing =
            world(move |_, before| if before < 2 { troubled() } else { Reply::json(200, &certificate()) })
                .await;
        assert!(passing.azure.vault_reader().certificate(&vault(), &name(), None).await.is_ok(), "{trouble}");
        let waits = seconds(&passing);
        assert!(
            waits.len() == 2 && (0.5..=1.0).contains(&waits[0]) && (1.0..=2.0).contains(&waits[1]),
            "{waits:?}"
        );

        let lasting = world(move |_, _| troubled()).await;
        let fault = lasting.azure.vault_reader().certificate(&vault(), &name(), None).await.unwrap_err();
        assert_eq!(fault.kind(), kind);
        assert!(matches!(fault, PortError::Retryable { .. }));
        assert_eq!(lasting.fake.seen().len(), 5, "{trouble}");
    }
    let patient = world(|_, before| match before {
        0 => Reply::error(429, "Throttled").with("retry-after", "7"),
        1 => Reply::error(429, "Throttled").with("retry-after", "600"),
        2 => Reply::error(429, "Throttled").with("retry-after", "60"),
        _ => Reply::error(429, "Throttled").with("retry-after", "45"),
    })
    .await;
    let fault = patient.azure.vault_reader().certificate(&vault(), &name(), None).await.unwrap_err();
    assert_eq!(
        seconds(&patient),
        [7.0, 60.0, 60.0],
        "a fourth wait would end after the last moment to begin"
    );
    assert!(matches!(fault, PortError::Retryable { after: Some(after), .. } if after.as_secs() == 45));
}

#[tokio::test]
async fn a_refused_token_is_renewed_once() {
    let mended = world(|seen, _| {
        if seen.header("authorization") == "Bearer canary-token-1" {
            Reply::error(401, "Unauthorized")
        } else {
            Reply::json(200, &certificate())
        }
    })
    .await;
    assert!(mended.azure.vault_reader().certificate(&vault(), &name(), None).await.is_ok());
    assert_eq!((mended.fake.seen().len(), mended.fake.token_requests().len()), (2, 2));
    assert!(mended.clock.slept().is_empty());

    let refused = world(|_, _| Reply::error(401, "Unauthorized")).await;
    let fault = refused.azure.vault_reader().certificate(&vault(), &name(), None).await.unwrap_err();
    assert!(matches!(fault, PortError::Permanent(_)));
    assert_eq!(fault.kind(), FaultKind::Unauthorized);
    assert_eq!((refused.fake.seen().len(), refused.fake.token_requests().len()), (2, 2));
    refused.azure.vault_reader().certificate(&vault(), &name(), None).await.unwrap_err();
    assert_eq!((refused.fake.seen().len(), refused.fake.token_requests().len()), (3, 2), "not for each call");
}

#[tokio::test]
async fn answers_that_are_not_what_was_asked_for() {
    for (body, reason) in [
        (String::new(), "found an empty body"),
        ("<html>sign in</html>".to_owned(), "a page of HTML"),
        (r#"{"id":"#.to_owned(), "line 1 column 6"),
        ("[]".to_owned(), "expected"),
        (certificate().to_string().replace("AQIDBA==", "?"), "`cer`"),
        (
            certificate().to_string().replace("shop-tls", "other"),
            "the object and version that were asked for",
        ),
        (format!("\u{20}{}", "x".repeat(5_000)), "larger than 4096 bytes"),
    ] {
        let given = body.clone();
        let world = world_with(
            |options| options.limits.body = BodyLimit(4_096),
            move |_, _| Reply::text(200, &given),
        )
        .await;
        let fault = world.azure.vault_reader().certificate(&vault(), &name(), None).await.unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Malformed, "{body}");
        assert!(fault.to_string().contains(reason), "{fault}");
        assert_eq!(world.fake.seen().len(), 1);
    }
    let with_bom = world(|_, _| Reply::text(200, &format!("\u{feff}{}", certificate()))).await;
    assert!(with_bom.azure.vault_reader().certificate(&vault(), &name(), None).await.is_ok());
    let moved = world(|_, _| Reply::text(307, "").with("location", "https://evil.example/")).await;
    let fault = moved.azure.vault_reader().certificate(&vault(), &name(), None).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Malformed);
    assert!(!moved.fake.connects().iter().any(|host| host.contains("evil")));
}

#[tokio::test]
async fn an_unknown_root_and_a_closed_port_are_unreachable() {
    let untrusted = world_with(|options| options.network.ca_pem.clear(), |_, _| Reply::Cut).await;
    let fault = untrusted.azure.check_token(certroll_azure::Audience::Vault).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::NoToken);
    assert!(fault.to_string().contains("certificate"), "{fault}");
    assert!(matches!(fault, PortError::Retryable { .. }));

    let closed = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap();
    let nowhere = world_with(
        |options| {
            options.network.proxy =
                certroll_azure::Proxy::Url(format!("http://user:canary@{closed}").parse().unwrap());
        },
        |_, _| Reply::Cut,
    )
    .await;
    let fault = nowhere.azure.vault_reader().certificate(&vault(), &name(), None).await.unwrap_err();
    assert!(matches!(fault, PortError::Retryable { .. }), "{fault}");
    assert!(!fault.to_string().contains("canary"), "{fault}");
}

fn import() -> CertificateImport {
    CertificateImport {
        value: Zeroizing::new("MIIcanary".to_owned()),
        password: Zeroizing::new("canary-password".to_owned()),
        key: certroll_core::certificate::PublicKey::Rsa { bits: 2048 },
        tags: [("owner".to_owned(), "shop".to_owned())].into(),
    }
}

fn secret_value() -> SecretValue {
    SecretValue { value: Zeroizing::new("canary-value".to_owned()), tags: [].into() }
}

#[tokio::test]
async fn a_certificate_is_imported_by_one_post() {
    let world = world(|_, _| Reply::json(200, &certificate())).await;
    let found = world.azure.vault_writer().import_certificate(&vault(), &name(), &import()).await.unwrap();
    assert_eq!(found.secret.version().as_str(), "0f3a");
    let seen = world.fake.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(
        (seen[0].method.as_str(), seen[0].target.as_str()),
        ("POST", "/certificates/shop-tls/import?api-version=7.4")
    );
    assert_eq!(seen[0].header("content-type"), "application/json; charset=utf-8");
    let body: Value = serde_json::from_str(&seen[0].body).unwrap();
    assert_eq!((&body["value"], &body["pwd"]), (&json!("MIIcanary"), &json!("canary-password")));
    assert_eq!(body["tags"], json!({ "owner": "shop" }));
    assert_eq!(world.azure.calls()[0].operation, Operation::CertificateImport);
}

#[tokio::test]
async fn a_secret_is_set_by_one_put() {
    let world = world(|seen, _| {
        let value: Value = serde_json::from_str(&seen.body).unwrap();
        let id = format!("https://{VAULT}/secrets/shop-tls/0f3a");
        Reply::json(200, &json!({ "id": id, "value": value["value"], "attributes": { "enabled": true } }))
    })
    .await;
    let found = world.azure.vault_writer().set_secret(&vault(), &name(), &secret_value()).await.unwrap();
    assert_eq!((found.identifier.version().as_str(), found.value.as_str()), ("0f3a", "canary-value"));
    let seen = world.fake.seen();
    assert_eq!(
        (seen.len(), seen[0].method.as_str(), seen[0].target.as_str()),
        (1, "PUT", "/secrets/shop-tls?api-version=7.4")
    );
    assert_eq!(world.azure.calls()[0].operation, Operation::SecretSet);
}

/// What an upload that went wrong tells, and how often it was sent.
async fn failed_import(reply: fn() -> Reply) -> (PortError, usize) {
    let world = world(move |_, _| reply()).await;
    let fault =
        world.azure.vault_writer().import_certificate(&vault(), &name(), &import()).await.unwrap_err();
    assert!(!format!("{fault} {fault:?}").contains("canary"), "{fault:?}");
    (fault, world.fake.seen().len())
}

#[tokio::test]
async fn an_upload_without_a_clear_answer_is_ambiguous_and_sent_once() {
    let other: fn() -> Reply = || {
        let mut answer = certificate();
        answer["sid"] = json!(format!("https://{VAULT}/secrets/other/0f3a"));
        Reply::json(200, &answer)
    };
    for reply in
        [|| Reply::Cut, || Reply::CutBody, || Reply::error(503, "Busy"), || Reply::text(200, "?"), other]
    {
        let (fault, sent) = failed_import(reply).await;
        assert!(matches!(fault, PortError::Ambiguous(_)), "{fault:?}");
        assert_eq!(sent, 1);
    }
}

#[tokio::test]
async fn a_refused_upload_says_what_mends_it() {
    fn refused(status: u16, inner: &str) -> Reply {
        let error = json!({ "code": "X", "message": "m", "innererror": { "code": inner } });
        Reply::json(status, &json!({ "error": error }))
    }
    for (reply, kind, hint) in [
        (
            (|| refused(409, "ObjectIsDeletedButRecoverable")) as fn() -> Reply,
            FaultKind::Refused,
            "az keyvault certificate recover --vault-name shop-kv",
        ),
        (|| refused(403, "ForbiddenByRbac"), FaultKind::Forbidden, "Key Vault Certificates Officer"),
        (
            || refused(403, "ForbiddenByPolicy"),
            FaultKind::Forbidden,
            "--certificate-permissions get list import",
        ),
        (|| refused(400, "BadParameter"), FaultKind::Refused, ""),
    ] {
        let (fault, sent) = failed_import(reply).await;
        assert!(matches!(fault, PortError::Permanent(_)) && fault.kind() == kind, "{fault:?}");
        let told = fault.fault().hint.clone().unwrap_or_default();
        assert!(told.contains(hint) && hint.is_empty() == told.is_empty(), "{told}");
        assert_eq!(sent, 1);
    }
    let (throttled, _) = failed_import(|| Reply::error(429, "Throttled")).await;
    assert!(matches!(throttled, PortError::Retryable { .. }));
    let world = world(|_, _| refused(403, "ForbiddenByRbac")).await;
    let fault = world.azure.vault_writer().set_secret(&vault(), &name(), &secret_value()).await.unwrap_err();
    assert!(fault.fault().hint.as_deref().unwrap().contains("Key Vault Secrets Officer"));
}
