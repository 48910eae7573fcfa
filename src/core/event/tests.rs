//! Deliveries as Event Grid sends them, as others send them, and as nobody should.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn told_with(headers: &[(&str, &str)], body: &[u8]) -> Result<Told, DeliveryError> {
    let header = |name: &str| headers.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    read(&Delivery { header: &header, body })
}

fn told(body: &Value) -> Told {
    told_with(&[], body.to_string().as_bytes()).unwrap()
}

fn notices(told: Told) -> Vec<VaultNotice> {
    match told {
        Told::Events { notices, .. } => notices,
        other => panic!("{other:?}"),
    }
}

const TOPIC: &str = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-certs/providers/Microsoft.KeyVault/vaults/KV-Edge";

fn event_grid() -> Value {
    json!({
        "id": "6f0c2a1e-0000-4000-8000-000000000001", "topic": TOPIC, "subject": "site-tls",
        "eventType": "Microsoft.KeyVault.CertificateNewVersionCreated", "eventTime": "2026-11-23T08:15:30.1234567Z",
        "data": {
            "Id": "https://kv-edge.vault.azure.cn/certificates/site-tls/0f3a9c1d2b4e5f60718293a4b5c6d7e8",
            "VaultName": "kv-edge", "ObjectType": "Certificate", "ObjectName": "site-tls",
            "Version": "0f3a9c1d2b4e5f60718293a4b5c6d7e8", "NBF": null, "EXP": null
        },
        "dataVersion": "1", "metadataVersion": "1"
    })
}

fn cloud_event() -> Value {
    json!({
        "specversion": "1.0", "id": "1", "source": TOPIC, "subject": "site-tls",
        "type": "Microsoft.KeyVault.SecretNewVersionCreated", "time": "2026-11-23T08:15:30.1234567Z",
        "data": { "Id": "https://kv-edge.vault.azure.cn/secrets/site-tls/1", "NBF": 1795421730.0, "EXP": "1812701730" }
    })
}

fn expected() -> VaultNotice {
    VaultNotice {
        vault: "kv-edge".parse().unwrap(),
        kind: NoticeKind::NewVersion,
        object: Some("site-tls".to_owned()),
        at: Some("2026-11-23T08:15:30.1234567Z".parse().unwrap()),
    }
}

#[test]
fn both_schemas_single_and_in_batches_say_the_same() {
    for body in [
        json!([event_grid()]),
        event_grid(),
        cloud_event(),
        json!([cloud_event()]),
        json!([event_grid(), cloud_event()]),
    ] {
        let notices = notices(told(&body));
        assert!(!notices.is_empty() && notices.iter().all(|notice| *notice == expected()), "{body}");
    }
}

#[test]
fn binary_mode_has_its_attributes_in_headers() {
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-type", "Microsoft.KeyVault.SecretNewVersionCreated"),
        ("ce-source", TOPIC),
        ("ce-subject", "site-tls"),
        ("ce-time", "2026-11-23T08:15:30.1234567Z"),
    ];
    let data = cloud_event()["data"].to_string();
    for body in [data.as_bytes(), b""] {
        assert_eq!(notices(told_with(&headers, body).unwrap()), [expected()]);
    }
    assert!(told_with(&headers, b"{").is_err());
    // What says that it is structured is read as such, also with those headers.
    for content_type in ["application/cloudevents+json; charset=utf-8", "Application/CloudEvents-Batch+JSON"]
    {
        let mut headers = headers.to_vec();
        headers.push(("content-type", content_type));
        headers[1].1 = "Microsoft.Storage.BlobCreated";
        let body = json!([cloud_event()]).to_string();
        assert_eq!(notices(told_with(&headers, body.as_bytes()).unwrap()), [expected()]);
    }
}

#[test]
fn names_of_members_in_any_case_with_blanks_and_values_trimmed() {
    let body = json!([{
        "EVENTTYPE ": " Microsoft.KeyVault.CertificateNearExpiry", "Topic": TOPIC, "Subject": " site-tls ",
        "data": { "vaultName": " kv-edge ", "ObjectName ": " site-tls", "nbf": "soon", "exp": 1.5 }
    }]);
    let [notice] = notices(told(&body)).try_into().unwrap();
    assert_eq!((notice.vault.as_str(), notice.kind), ("kv-edge", NoticeKind::NearExpiry));
    assert_eq!(notice.object.as_deref(), Some("site-tls"));
}

#[test]
fn the_vault_is_found_in_whatever_names_it() {
    for data in [
        json!({ "Id": "https://kv-edge.vault.azure.cn/secrets/x/1", "VaultName": "another-kv" }),
        json!({ "Id": "http://evil.example/secrets/x", "VaultName": "kv-edge" }),
        json!({ "VaultName": "kv-edge" }),
        json!({}),
        json!("{\"VaultName\":\"kv-edge\"}"),
        Value::Null,
    ] {
        let mut event = event_grid();
        event["data"] = data.clone();
        assert_eq!(notices(told(&event))[0].vault.as_str(), "kv-edge", "{data}");
    }
}

#[test]
fn every_type_of_a_vault_is_known_and_no_other() {
    for (event_type, kind) in [
        ("Microsoft.KeyVault.CertificateNewVersionCreated", Some(NoticeKind::NewVersion)),
        ("Microsoft.KeyVault.KeyNewVersionCreated", Some(NoticeKind::NewVersion)),
        ("microsoft.keyvault.secretnearexpiry", Some(NoticeKind::NearExpiry)),
        ("Microsoft.KeyVault.SecretExpired", Some(NoticeKind::Expired)),
        ("Microsoft.KeyVault.VaultAccessPolicyChanged", Some(NoticeKind::AccessChanged)),
        ("Microsoft.KeyVault.SecretRotated", None),
        ("Microsoft.Storage.BlobCreated", None),
        ("Microsoft.KeyVault.", None),
        ("", None),
    ] {
        let mut event = event_grid();
        event["eventType"] = event_type.into();
        match (told(&json!([event])), kind) {
            (Told::Events { notices, ignored: 0 }, Some(kind)) => assert_eq!(notices[0].kind, kind),
            (Told::Events { notices, ignored: 1 }, None) => assert_eq!(notices, []),
            (other, _) => panic!("{event_type}: {other:?}"),
        }
    }
}

#[test]
fn a_validation_is_answered_with_its_code() {
    for data in [
        json!({ "validationCode": "512d38b6", "validationUrl": "https://rp.eventgrid.azure.net:553/validate" }),
        json!("{\"validationCode\":\"512d38b6\"}"),
    ] {
        let body = json!([{
            "id": "1", "topic": TOPIC, "subject": "", "data": data,
            "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent"
        }]);
        let vault = Some("kv-edge".parse().unwrap());
        assert_eq!(told(&body), Told::Validation { code: "512d38b6".to_owned(), vault });
    }
    // Without a code there is nothing to answer with, and a code is no place to be echoed from.
    for data in [json!({}), json!({ "validationCode": "x".repeat(300) })] {
        let body = json!([{ "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "data": data }]);
        assert_eq!(told(&body), Told::Events { notices: Vec::new(), ignored: 1 });
    }
    // Among others it is none, and hides nothing.
    let validation = json!({ "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "topic": TOPIC,
        "data": { "validationCode": "512d38b6" } });
    let told = told(&json!([validation, event_grid()]));
    assert_eq!(told, Told::Events { notices: vec![expected()], ignored: 1 });
}

#[test]
fn a_deleted_subscription_says_so() {
    for word in ["SubscriptionDeletion", "unsubscribe"] {
        assert_eq!(told_with(&[("aeg-event-type", word)], b"[]"), Ok(Told::Unsubscribed));
    }
}

#[test]
fn what_can_never_be_understood_is_named_with_its_place() {
    for (body, said) in [
        ("", "no JSON, at line 1, column 0"),
        ("[{]", "no JSON, at line 1, column 3"),
        ("3", "the body is a number"),
        ("[{}, \"x\"]", "event 2 is a text"),
        ("[[]]", "event 1 is an array"),
    ] {
        let error = told_with(&[], body.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(said), "{body}: {error}");
    }
    let many = json!(vec![json!({}); EVENTS + 1]);
    let error = told_with(&[], many.to_string().as_bytes()).unwrap_err();
    assert_eq!(error, DeliveryError::TooMany { found: EVENTS + 1 });
    assert_eq!(told(&json!(vec![json!({}); EVENTS])), Told::Events { notices: Vec::new(), ignored: EVENTS });
    // Deep nesting is an error, not the end of the stack.
    assert!(told_with(&[], "[".repeat(100_000).as_bytes()).is_err());
}

proptest! {
    #[test]
    fn no_body_and_no_token_is_more_than_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..400), text in ".{0,200}") {
        let _ = told_with(&[], &bytes);
        let _ = told_with(&[("ce-specversion", "1.0"), ("ce-type", &text)], &bytes);
        let _ = UnverifiedToken::read(&text);
    }
}

const NOW: i64 = 1_795_421_730;

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn policy() -> TokenPolicy {
    TokenPolicy {
        tenant: "tenant-1".to_owned(),
        audiences: vec!["app-1".to_owned(), "api://app-1".to_owned()],
        applications: vec!["4962773b-9cdb-44cf-a8bf-237846a00ab7".to_owned()],
        role: "AzureEventGridSecureWebhookSubscriber".to_owned(),
    }
}

fn v1() -> Value {
    json!({
        "ver": "1.0", "iss": "https://sts.chinacloudapi.cn/tenant-1/", "aud": "api://app-1",
        "appid": "4962773b-9cdb-44cf-a8bf-237846a00ab7", "tid": "tenant-1",
        "roles": ["AzureEventGridSecureWebhookSubscriber"], "exp": NOW + 3600, "nbf": NOW - 60
    })
}

fn v2() -> Value {
    json!({
        "ver": "2.0", "iss": "https://login.partner.microsoftonline.cn/tenant-1/v2.0", "aud": ["app-1", "other"],
        "azp": "4962773B-9cdb-44cf-a8bf-237846a00ab7", "tid": "TENANT-1",
        "roles": ["Reader", "AzureEventGridSecureWebhookSubscriber"], "exp": NOW + 3600
    })
}

fn token(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", part(header), part(claims), URL_SAFE_NO_PAD.encode("no signature"))
}

fn read_token(claims: &Value) -> UnverifiedToken {
    UnverifiedToken::read(&token(&json!({ "alg": "RS256", "kid": "key-1" }), claims)).unwrap()
}

fn judged(claims: &Value) -> Result<VerifiedToken, Denied> {
    let token = read_token(claims);
    let issuer = match token.version() {
        TokenVersion::V1 => "https://sts.chinacloudapi.cn/tenant-1/",
        TokenVersion::V2 => "https://login.partner.microsoftonline.cn/tenant-1/v2.0",
    };
    super::token::claims_of(&token, issuer, &policy(), now())
}

#[test]
fn both_versions_of_entra_tokens_are_known() {
    for claims in [v1(), v2()] {
        assert!(judged(&claims).is_ok(), "{claims}");
        assert_eq!(read_token(&claims).key(), "key-1");
    }
}

#[test]
fn each_claim_must_be_as_it_has_to_be() {
    for (name, value, denied) in [
        ("iss", json!("https://sts.chinacloudapi.cn/tenant-2/"), Denied::Issuer),
        ("iss", json!("https://sts.chinacloudapi.cn/tenant-1"), Denied::Issuer),
        ("aud", json!("app-2"), Denied::Audience),
        ("aud", json!([]), Denied::Audience),
        ("tid", json!("tenant-2"), Denied::Tenant),
        ("tid", Value::Null, Denied::Tenant),
        ("appid", json!("11111111-0000-4000-8000-000000000001"), Denied::Application),
        ("appid", Value::Null, Denied::Application),
        // What the other version has is of no account.
        ("ver", json!("2.0"), Denied::Issuer),
        ("roles", json!(["Reader"]), Denied::Role),
        ("roles", json!([]), Denied::Role),
        ("exp", json!(NOW - 301), Denied::Expired),
        ("exp", Value::Null, Denied::NotYetValid),
        ("nbf", json!(NOW + 301), Denied::NotYetValid),
    ] {
        let mut claims = v1();
        claims[name] = value.clone();
        assert_eq!(judged(&claims), Err(denied), "{name}: {value}");
    }
    let mut claims = v1();
    claims["azp"] = claims["appid"].take();
    assert_eq!(judged(&claims), Err(Denied::Application), "a caller in the claim of the other version");
    // Clocks may differ by five minutes.
    for (name, seconds) in [("exp", NOW - 299), ("nbf", NOW + 299)] {
        let mut claims = v1();
        claims[name] = seconds.into();
        assert!(judged(&claims).is_ok(), "{name}");
    }
}

#[test]
fn a_token_that_is_none_or_proves_nothing_is_refused() {
    let header = |alg: &str| json!({ "alg": alg, "kid": "key-1" });
    for alg in ["none", "None", "HS256", "RS384", "rs256", "PS256", ""] {
        assert_eq!(UnverifiedToken::read(&token(&header(alg), &v1())).unwrap_err(), TokenError::Algorithm);
    }
    for text in ["", "a.b", "a.b.c", "....", "e30.e30.e30"] {
        assert_eq!(UnverifiedToken::read(text).unwrap_err(), TokenError::Malformed, "{text}");
    }
    assert_eq!(UnverifiedToken::read(&"a".repeat(20_000)).unwrap_err(), TokenError::TooLong);
    let mut claims = v1();
    claims["exp"] = json!("tomorrow");
    assert_eq!(UnverifiedToken::read(&token(&header("RS256"), &claims)).unwrap_err(), TokenError::Malformed);
    for ver in [json!("3.0"), json!("")] {
        let mut claims = v1();
        claims["ver"] = ver;
        assert_eq!(
            UnverifiedToken::read(&token(&header("RS256"), &claims)).unwrap_err(),
            TokenError::Version
        );
    }
    for (header, error) in [
        (json!({ "alg": "RS256" }), TokenError::Key),
        (json!({ "alg": "RS256", "kid": "" }), TokenError::Key),
        (json!({ "alg": "RS256", "kid": "k".repeat(300) }), TokenError::Key),
        (json!({ "alg": "RS256", "kid": "key-1", "crit": ["b64"], "b64": false }), TokenError::Critical),
    ] {
        assert_eq!(UnverifiedToken::read(&token(&header, &v1())).unwrap_err(), error, "{header}");
    }
    let said = format!("{:?} {}", read_token(&v1()), Denied::Tenant);
    assert!(!said.contains("tenant-1"), "{said}");
}

#[test]
fn a_signature_of_another_key_is_refused_before_anything_else_counts() {
    let issuer = "https://sts.chinacloudapi.cn/tenant-1/".to_owned();
    let key =
        SigningKey { issuer, id: "key-1".to_owned(), modulus: vec![0xab; 256], exponent: vec![1, 0, 1] };
    let later = now() + SignedDuration::from_hours(1000);
    assert_eq!(read_token(&v1()).verify(&key, &policy(), later), Err(Denied::Signature));
}
