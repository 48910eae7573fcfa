use super::*;
use crate::pki::{Issued, LeafRequest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::PublicKeyData as _;
use sha1::{Digest as _, Sha1};
use url::Url;

const NOW: Timestamp = Timestamp::constant(1_795_392_000, 0);
const TENANT: &str = "11111111-aaaa-4bbb-8ccc-000000000001";
const CLIENT: &str = "22222222-aaaa-4bbb-8ccc-000000000002";
const OBJECT: &str = "33333333-aaaa-4bbb-8ccc-000000000003";
const ENDPOINT: &str =
    "https://login.partner.microsoftonline.cn/11111111-aaaa-4bbb-8ccc-000000000001/oauth2/v2.0/token";
const SCOPE: (&str, &str) = ("scope", "https://vault.azure.cn/.default");
const BEARER: (&str, &str) =
    ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");

fn federation() -> Federation {
    Federation {
        issuer: "https://oidc.example.test/cluster/".to_owned(),
        subject: "system:serviceaccount:ops:certroll".to_owned(),
    }
}

fn client_certificate() -> Issued {
    LeafRequest { key: KeyKind::Rsa2048, ..LeafRequest::default() }.self_signed()
}

fn entra() -> Entra {
    let mut entra = Entra::china(TENANT);
    entra.applications.push(Application {
        tenant: TENANT.to_owned(),
        client_id: CLIENT.to_owned(),
        object_id: OBJECT.to_owned(),
        secrets: vec!["s3cret~".to_owned()],
        certificates: Vec::new(),
        federations: vec![federation()],
    });
    entra
}

fn post(url: &str, fields: &[(&str, &str)]) -> Request {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    Request {
        method: "POST".to_owned(),
        url: Url::parse(url).unwrap(),
        headers: vec![("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())],
        body: body.into_bytes(),
    }
}

fn get(url: &str, headers: &[(&str, &str)]) -> Request {
    Request {
        method: "GET".to_owned(),
        url: Url::parse(url).unwrap(),
        headers: headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
        body: Vec::new(),
    }
}

fn ask(entra: &mut Entra, fields: &[(&str, &str)]) -> Reply {
    let mut all = vec![("grant_type", "client_credentials"), ("client_id", CLIENT), SCOPE];
    all.retain(|(name, _)| fields.iter().all(|(other, _)| other != name));
    all.extend(fields.iter().copied().filter(|(_, value)| *value != "-"));
    entra.answer(&post(ENDPOINT, &all), NOW)
}

fn code(reply: &Reply) -> (u16, u64) {
    let body = reply.body.as_ref().unwrap();
    let code = body["error_codes"][0].as_u64().unwrap();
    assert!(body["error_description"].as_str().unwrap().starts_with(&format!("AADSTS{code}: ")));
    (reply.status, code)
}

fn token(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.body.as_ref().unwrap()["access_token"].as_str().unwrap().to_owned()
}

fn bearer(token: &str) -> Request {
    get("https://shop-kv.vault.azure.cn/secrets", &[("authorization", &format!("Bearer {token}"))])
}

fn vault() -> Vec<String> {
    owned(&["https://vault.azure.cn"])
}

#[test]
fn a_secret_buys_a_token_that_holds_until_its_end() {
    let mut entra = entra();
    let reply = ask(&mut entra, &[("client_secret", "s3cret~")]);
    assert_eq!(reply.body.as_ref().unwrap()["expires_in"], 3599);
    let token = token(&reply);
    let caller =
        Caller { object_id: OBJECT.to_owned(), app_id: CLIENT.to_owned(), tenant: TENANT.to_owned() };
    assert_eq!(entra.authenticate(&bearer(&token), &vault(), NOW), Ok(caller));
    let end = Timestamp::from_second(NOW.as_second() + 3599).unwrap();
    assert_eq!(entra.authenticate(&bearer(&token), &vault(), end), Err(TokenFault::Expired));
    let resource_manager = owned(&["https://management.chinacloudapi.cn/"]);
    assert_eq!(entra.authenticate(&bearer(&token), &resource_manager, NOW), Err(TokenFault::WrongAudience));
    let mut forged = token.clone();
    forged.replace_range(forged.len() - 2.., "AA");
    assert_eq!(entra.authenticate(&bearer(&forged), &vault(), NOW), Err(TokenFault::Malformed));
    assert_eq!(
        entra.authenticate(&get("https://shop-kv.vault.azure.cn/", &[]), &vault(), NOW),
        Err(TokenFault::Missing)
    );
    assert_eq!(entra.issued_tokens().collect::<Vec<_>>(), [token.as_str()]);
    entra.revoke(&token);
    assert_eq!(entra.authenticate(&bearer(&token), &vault(), NOW), Err(TokenFault::Malformed));
}

#[test]
fn a_slash_at_the_resources_end_stays_in_the_audience() {
    let mut entra = entra();
    let scope = ("scope", "https://management.chinacloudapi.cn//.default");
    let token = token(&ask(&mut entra, &[("client_secret", "s3cret~"), scope]));
    let jwt = jwt::Jwt::parse(&token).unwrap();
    assert_eq!(jwt.claims["aud"], "https://management.chinacloudapi.cn/");
    assert_eq!(jwt.claims["iss"], format!("https://sts.chinacloudapi.cn/{TENANT}/"));
    assert_eq!(jwt.claims["exp"].as_i64(), Some(NOW.as_second() + 3599));
}

#[test]
fn what_is_wrong_is_named_as_entra_names_it() {
    let mut entra = entra();
    let secret = ("client_secret", "s3cret~");
    for (fields, expected) in [
        (vec![("client_secret", "other")], (401, 7_000_215)),
        (vec![], (401, 7_000_218)),
        (vec![secret, ("grant_type", "-")], (400, 900_144)),
        (vec![secret, ("client_id", "-")], (400, 900_144)),
        (vec![secret, ("scope", "-")], (400, 900_144)),
        (vec![secret, ("grant_type", "password")], (400, 70_003)),
        (vec![secret, ("client_id", OBJECT)], (400, 700_016)),
        (vec![secret, ("scope", "https://vault.azure.net/.default")], (400, 500_011)),
        (vec![secret, ("scope", "https://vault.azure.cn")], (400, 1_002_012)),
        (vec![("client_assertion", "x.y.z"), BEARER], (401, 50_027)),
        (vec![("client_assertion", "x.y.z")], (400, 900_144)),
    ] {
        assert_eq!(code(&ask(&mut entra, &fields)), expected, "{fields:?}");
    }
    let unknown = ENDPOINT.replace(TENANT, OBJECT);
    let reply = entra.answer(&post(&unknown, &[("grant_type", "client_credentials")]), NOW);
    assert_eq!(code(&reply), (400, 90_002));
    let mut as_json = post(ENDPOINT, &[("grant_type", "client_credentials")]);
    as_json.headers[0].1 = "application/json".to_owned();
    assert_eq!(code(&entra.answer(&as_json, NOW)), (400, 900_144));
    assert_eq!(code(&entra.answer(&get(ENDPOINT, &[]), NOW)), (400, 900_561));
    assert_eq!((entra.issued(), entra.refused()), (0, 14));
}

#[test]
fn a_federated_token_must_match_in_everything() {
    let mut entra = entra();
    let audience = "api://AzureADTokenExchangeChina";
    let mut exchange = |federation: &Federation, audience: &str, made: Timestamp| {
        let assertion = federation.token(audience, made, 3600);
        ask(&mut entra, &[("client_assertion", &assertion), BEARER])
    };
    token(&exchange(&federation(), audience, NOW));
    let other_issuer = Federation { issuer: "https://oidc.example.test/other/".to_owned(), ..federation() };
    assert_eq!(code(&exchange(&other_issuer, audience, NOW)), (401, 700_211));
    let other_subject = Federation { subject: "system:serviceaccount:ops:x".to_owned(), ..federation() };
    assert_eq!(code(&exchange(&other_subject, audience, NOW)), (401, 700_213));
    assert_eq!(code(&exchange(&federation(), "api://AzureADTokenExchange", NOW)), (401, 700_212));
    let old = Timestamp::from_second(NOW.as_second() - 4000).unwrap();
    assert_eq!(code(&exchange(&federation(), audience, old)), (401, 700_024));

    let assertion = federation().token(audience, NOW, 3600);
    let other_key = {
        let jwt = jwt::Jwt::parse(&assertion).unwrap();
        jwt::sign(&pki::key_pair(KeyKind::Rsa2048), "cluster-key", &jwt.claims)
    };
    assert_eq!(code(&ask(&mut entra, &[("client_assertion", &other_key), BEARER])), (401, 50_027));
}

#[test]
fn a_client_certificate_signs_its_own_assertion() {
    let certificate = client_certificate();
    let mut entra = entra();
    entra.applications[0].certificates.push(certificate.der.clone());
    let claims = |audience: &str, expires: i64| {
        json!({ "aud": audience, "iss": CLIENT, "sub": CLIENT, "jti": "1", "nbf": NOW.as_second(),
            "exp": NOW.as_second() + expires })
    };
    let x5t = URL_SAFE_NO_PAD.encode(Sha1::digest(&certificate.der));
    let key = pki::key_pair(KeyKind::Rsa2048);
    let mut present = |key: &KeyPair, x5t: &str, claims: &Value| {
        let assertion = jwt::sign(key, x5t, claims);
        ask(&mut entra, &[("client_assertion", &assertion), BEARER])
    };
    token(&present(&key, &x5t, &claims(ENDPOINT, 600)));
    assert_eq!(code(&present(&key, "AAAA", &claims(ENDPOINT, 600))), (401, 700_027));
    let other = pki::key_pair(KeyKind::OtherRsa2048);
    assert_eq!(code(&present(&other, &x5t, &claims(ENDPOINT, 600))), (401, 700_027));
    let elsewhere = ENDPOINT.replace("partner.microsoftonline.cn", "microsoftonline.com");
    assert_eq!(code(&present(&key, &x5t, &claims(&elsewhere, 600))), (401, 700_023));
    assert_eq!(code(&present(&key, &x5t, &claims(ENDPOINT, -600))), (401, 700_024));
}

#[test]
fn a_machine_asks_for_its_identity() {
    const URL: &str = "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.cn";
    let metadata = [("metadata", "true")];
    let mut entra = entra();
    let ask = |entra: &mut Entra, rest: &str, headers: &[(&str, &str)]| {
        entra.managed_identity_answer(&get(&format!("{URL}{rest}"), headers), NOW)
    };
    assert_eq!(ask(&mut entra, "", &metadata).status, 400, "no identity");
    entra.managed_identities.push(ManagedIdentity {
        tenant: TENANT.to_owned(),
        client_id: CLIENT.to_owned(),
        object_id: OBJECT.to_owned(),
        resource_id: Some("/subscriptions/s/x".to_owned()),
    });
    let reply = ask(&mut entra, "", &metadata);
    let body = reply.body.clone().unwrap();
    assert_eq!(body["expires_in"], "86399");
    assert_eq!(body["expires_on"], (NOW.as_second() + 86_399).to_string());
    assert!(entra.authenticate(&bearer(&token(&reply)), &vault(), NOW).is_ok());
    for selector in [format!("&client_id={CLIENT}"), format!("&object_id={OBJECT}")] {
        token(&ask(&mut entra, &selector, &metadata));
    }
    token(&ask(&mut entra, "&msi_res_id=/Subscriptions/S/X", &metadata));
    for (version, status) in [("2019-08-01", 200), ("2018-02-02", 400)] {
        let url = URL.replace("2018-02-01", version);
        assert_eq!(entra.managed_identity_answer(&get(&url, &metadata), NOW).status, status, "{version}");
    }
    for (rest, headers) in [
        ("", &[][..]),
        ("&client_id=other", &metadata),
        ("&client_id=a&object_id=b", &metadata),
        ("", &[("metadata", "true"), ("x-forwarded-for", "10.0.0.1")]),
    ] {
        assert_eq!(ask(&mut entra, rest, headers).status, 400, "{rest}");
    }
    let mut second = entra.managed_identities[0].clone();
    second.client_id = "other".to_owned();
    entra.managed_identities.push(second);
    assert_eq!(ask(&mut entra, "", &metadata).status, 400, "two to choose from");
    entra.managed_identities.pop();
    let wrong = URL.replace("vault.azure.cn", "vault.azure.cn%2F.default");
    let reply = entra.managed_identity_answer(&get(&wrong, &metadata), NOW);
    assert_eq!(reply.body.unwrap()["error"], "invalid_resource");
}

#[test]
fn published_keys_verify_tokens_and_rotate() {
    let mut entra = entra();
    let base = format!("https://login.partner.microsoftonline.cn/{TENANT}");
    let discovery =
        entra.answer(&get(&format!("{base}/v2.0/.well-known/openid-configuration"), &[]), NOW).body.unwrap();
    assert_eq!(discovery["issuer"], format!("{base}/v2.0"));
    let keys_url = discovery["jwks_uri"].as_str().unwrap().to_owned();
    let published = |entra: &mut Entra| -> Vec<String> {
        let keys = entra.answer(&get(&keys_url, &[]), NOW).body.unwrap();
        keys["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| {
                assert_eq!(URL_SAFE_NO_PAD.decode(key["n"].as_str().unwrap()).unwrap().len(), 256);
                key["kid"].as_str().unwrap().to_owned()
            })
            .collect()
    };
    let first = entra.sign(&json!({ "aud": "webhook" }));
    let first = jwt::Jwt::parse(&first).unwrap();
    assert!(first.signed_by(pki::key_pair(KeyKind::Rsa2048).der_bytes()));
    let kid = |jwt: &jwt::Jwt<'_>| jwt.header["kid"].as_str().unwrap().to_owned();
    assert_eq!(published(&mut entra), [kid(&first)]);
    assert_eq!(entra.signing_keys.roll_over(), SigningKey::Second.id());
    let second = entra.sign(&json!({ "aud": "webhook" }));
    let second = jwt::Jwt::parse(&second).unwrap();
    assert_eq!(published(&mut entra), [kid(&second), kid(&first)]);
    entra.signing_keys.retire(SigningKey::First);
    assert_eq!(published(&mut entra), [kid(&second)]);
    entra.signing_keys.add(SigningKey::Third);
    assert_eq!(published(&mut entra), [SigningKey::Third.id(), kid(&second)]);
}
