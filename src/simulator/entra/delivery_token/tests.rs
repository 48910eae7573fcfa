use base64::engine::general_purpose::STANDARD;
use url::Url;

use super::*;
use crate::entra::jwt::Jwt;
use crate::message::Request;

const NOW: Timestamp = Timestamp::constant(1_795_392_000, 0);
const TENANT: &str = "11111111-aaaa-4bbb-8ccc-000000000001";
const WEBHOOK: &str = "44444444-aaaa-4bbb-8ccc-000000000004";
const SKEW: i64 = 300;

fn document(entra: &mut Entra, url: &str) -> Value {
    let request = Request {
        method: "GET".to_owned(),
        url: Url::parse(url).unwrap(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    let reply = entra.answer(&request, NOW);
    assert_eq!(reply.status, 200, "{url}");
    reply.body.unwrap()
}

/// What is wrong with a token, judged by the published documents and Microsoft's list of what to check.
fn objections(entra: &mut Entra, version: TokenVersion, token: &str) -> Vec<&'static str> {
    let authority = format!("https://{}/{TENANT}", entra.login_hosts[0]);
    let (place, application) = match version {
        TokenVersion::One => ("", "appid"),
        TokenVersion::Two => ("/v2.0", "azp"),
    };
    let discovery = document(entra, &format!("{authority}{place}/.well-known/openid-configuration"));
    let keys = document(entra, discovery["jwks_uri"].as_str().unwrap());
    let Some(jwt) = Jwt::parse(token) else { return vec!["form"] };
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == jwt.header["kid"]).cloned();
    let mut wrong = Vec::new();
    let mut check = |name, holds: bool| {
        if !holds {
            wrong.push(name);
        }
    };
    check("alg", jwt.header["alg"] == "RS256");
    check("kid", key.is_some());
    check("signature", key.is_some_and(|key| is_signed(&jwt, &key)));
    let (now, claims) = (NOW.as_second(), &jwt.claims);
    check("iss", claims["iss"] == discovery["issuer"]);
    check("aud", claims["aud"] == WEBHOOK);
    check("tid", claims["tid"] == TENANT);
    check("exp", claims["exp"].as_i64().is_some_and(|exp| now < exp + SKEW));
    check("nbf", claims["nbf"].as_i64().is_some_and(|nbf| nbf <= now + SKEW));
    check("application", claims[application] == entra.event_grid_application.as_str());
    let has_role = |role: &Value| role == DELIVERY_ROLE;
    check("roles", claims["roles"].as_array().is_some_and(|roles| roles.iter().any(has_role)));
    wrong
}

/// By the certificate, after making sure that `n` and `e` say the same.
fn is_signed(jwt: &Jwt<'_>, key: &Value) -> bool {
    let certificate = STANDARD.decode(key["x5c"][0].as_str().unwrap()).unwrap();
    let (_, parsed) = x509_parser::parse_x509_certificate(&certificate).unwrap();
    let x509_parser::public_key::PublicKey::RSA(public) = parsed.public_key().parsed().unwrap() else {
        panic!("a key of another kind")
    };
    assert_eq!(URL_SAFE_NO_PAD.decode(key["n"].as_str().unwrap()).unwrap(), public.modulus[1..]);
    assert_eq!(URL_SAFE_NO_PAD.decode(key["e"].as_str().unwrap()).unwrap(), public.exponent);
    jwt.signed_by(&parsed.public_key().subject_public_key.data)
}

fn clouds() -> [Entra; 3] {
    [Entra::public(TENANT), Entra::china(TENANT), Entra::us_government(TENANT)]
}

#[test]
fn nothing_is_wrong_with_an_honest_token_of_either_form_in_any_cloud() {
    for mut entra in clouds() {
        for version in [TokenVersion::One, TokenVersion::Two] {
            let wanted = DeliveryToken::new(version, TENANT, WEBHOOK);
            let token = entra.delivery_token(&wanted, NOW);
            assert_eq!(objections(&mut entra, version, &token), [""; 0], "{version:?}");
            assert!(entra.issued_tokens().any(|issued| issued == token), "no log may hold it");
        }
    }
}

#[test]
fn each_deviation_is_wrong_in_what_it_says() {
    let mut entra = Entra::china(TENANT);
    for version in [TokenVersion::One, TokenVersion::Two] {
        for deviation in Deviation::ALL {
            let expected: &[&str] = match deviation {
                Deviation::WrongAudience | Deviation::NoAudience => &["aud"],
                Deviation::WrongIssuer | Deviation::OtherFormsIssuer | Deviation::NoIssuer => &["iss"],
                Deviation::OtherTenant => &["iss", "tid"],
                Deviation::WrongTenantClaim | Deviation::NoTenantClaim => &["tid"],
                Deviation::WrongApplication | Deviation::NoApplication => &["application"],
                Deviation::MissingRole | Deviation::OtherRole => &["roles"],
                Deviation::Expired | Deviation::NoExpiry => &["exp"],
                Deviation::NotYetValid => &["nbf"],
                Deviation::UnknownKey | Deviation::NoKeyId => &["kid", "signature"],
                Deviation::ForgedKeyId
                | Deviation::EmbeddedKey
                | Deviation::NoSignature
                | Deviation::TamperedClaims
                | Deviation::TamperedSignature => &["signature"],
                Deviation::AlgorithmNone
                | Deviation::HmacWithPublicPem
                | Deviation::HmacWithPublicDer
                | Deviation::MislabelledAlgorithm => &["alg", "signature"],
                Deviation::NotAToken => &["form"],
            };
            let wanted = DeliveryToken::new(version, TENANT, WEBHOOK).deviating(deviation);
            let token = entra.delivery_token(&wanted, NOW);
            assert_eq!(objections(&mut entra, version, &token), expected, "{version:?} {deviation:?}");
        }
    }
}

#[test]
fn a_forger_signs_with_the_public_key_as_shared_secret() {
    // RFC 4231, test case 6.
    let tag = hmac_by_long_secret(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First");
    let hex: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

#[test]
fn a_token_of_before_a_roll_over_holds_until_its_key_is_retired() {
    let mut entra = Entra::public(TENANT);
    let wanted = DeliveryToken::new(TokenVersion::Two, TENANT, WEBHOOK);
    let before = entra.delivery_token(&wanted, NOW);
    entra.signing_keys.roll_over();
    let after = entra.delivery_token(&wanted, NOW);
    for token in [&before, &after] {
        assert_eq!(objections(&mut entra, TokenVersion::Two, token), [""; 0]);
    }
    entra.signing_keys.retire(SigningKey::First);
    assert_eq!(objections(&mut entra, TokenVersion::Two, &before), ["kid", "signature"]);
    assert_eq!(objections(&mut entra, TokenVersion::Two, &after), [""; 0]);
}

#[test]
fn the_documents_of_keys_name_their_issuer_in_the_second_form_only() {
    let mut entra = Entra::china(TENANT);
    let authority = format!("https://login.partner.microsoftonline.cn/{TENANT}");
    let first = document(&mut entra, &format!("{authority}/discovery/keys"));
    let second = document(&mut entra, &format!("{authority}/discovery/v2.0/keys"));
    assert_eq!(first["keys"][0].get("issuer"), None);
    assert_eq!(second["keys"][0]["issuer"], format!("{authority}/v2.0"));
    assert_eq!(first["keys"][0]["x5t"], first["keys"][0]["kid"]);
    let configuration = document(&mut entra, &format!("{authority}/.well-known/openid-configuration"));
    assert_eq!(configuration["issuer"], format!("https://sts.chinacloudapi.cn/{TENANT}/"));
}
