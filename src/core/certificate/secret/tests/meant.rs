//! Which of several certificates is meant, and what is said when nothing can be.

use super::super::super::fixtures::{PASSWORD, cer, pfx, secret};
use super::super::*;

fn message(bytes: &[u8], password: Option<&str>) -> String {
    open_file(bytes, password).unwrap_err().to_string()
}

#[test]
fn the_key_tells_the_leaf() {
    let opened = open_file(pfx("two-chains"), None).unwrap();
    assert_eq!(opened.leaf, cer("ec"));
    assert_eq!(opened.chain, [cer("issuing"), cer("root")]);
    assert_eq!(opened.unrelated, [cer("other")]);
}

#[test]
fn without_a_key_the_chain_tells_it() {
    let both = [pem("root"), pem("ec"), pem("issuing"), pem("ec")].concat();
    assert_eq!(open(&both, None).unwrap().leaf, cer("ec"));
    // An authority that issued nothing here.
    let stray = [pem("weak"), pem("root"), pem("ec")].concat();
    let opened = open(&stray, None).unwrap();
    assert_eq!((opened.leaf, opened.unrelated.len()), (cer("ec"), 2));
    let authorities = [pem("root"), pem("issuing")].concat();
    assert_eq!(open(&authorities, None).unwrap().leaf, cer("issuing"));
}

#[test]
fn a_key_of_nobody_is_said_to_be() {
    let opened = open_file(pfx("foreign-key"), None).unwrap();
    assert_eq!(opened.leaf, cer("ec"));
    assert!(matches!(opened.key, Key::Foreign(_)) && !opened.key.matches());
}

#[test]
fn what_may_be_meant_is_named() {
    for name in ["two-chains-no-key", "two-chains-two-keys"] {
        let message = message(pfx(name), None);
        let (ec, other) = (cer("ec"), cer("other"));
        for part in [
            "it holds several certificates that may be meant: ",
            &format!("{} (C=US, O=Contoso, CN=shop.contoso.com)", ec.thumbprint()),
            &format!("{} (C=US, O=Contoso, CN=mail.contoso.com)", other.thumbprint()),
            "; expected one with its chain, or the key of one",
        ] {
            assert!(message.contains(part), "{message}");
        }
    }
}

#[test]
fn refusals_say_what_is_wrong() {
    let cut = &pfx("3des")[..2000];
    let mut damaged = pfx("prf-sha256").to_vec();
    damaged[400] ^= 1;
    let json = |text: &str| text.as_bytes().to_vec();
    for (bytes, password, expected) in [
        (
            pfx("3des").to_vec(),
            Some("wrong"),
            "its PKCS#12 cannot be read: it does not open with the password that was given",
        ),
        (
            pfx("no-mac").to_vec(),
            Some("wrong"),
            "its PKCS#12 cannot be read: it does not open with the password that was given",
        ),
        (
            pfx("aes-256").to_vec(),
            None,
            "its PKCS#12 cannot be read: it does not open with an empty password; expected one without a password, or give its password",
        ),
        (
            cut.to_vec(),
            Some(PASSWORD),
            "its PKCS#12 cannot be read: PFX is cut off: it says 4030 bytes, 1996 are left",
        ),
        (
            damaged,
            Some(PASSWORD),
            "its PKCS#12 cannot be read: it does not open with the password that was given",
        ),
        (
            pfx("enveloped").to_vec(),
            None,
            "its PKCS#12 cannot be read: it is encrypted with a public key; expected one protected by a password: export it again that way",
        ),
        (
            pfx("signed").to_vec(),
            None,
            "its PKCS#12 cannot be read: it is signed with a public key; expected one protected by a password: export it again that way",
        ),
        (
            pfx("scrypt").to_vec(),
            Some(PASSWORD),
            "its PKCS#12 cannot be read: it derives its keys by the unknown algorithm 1.3.6.1.4.1.11591.4.11; expected PBKDF2: export it again",
        ),
        (
            pfx("endless").to_vec(),
            Some(PASSWORD),
            "its PKCS#12 cannot be read: it asks for 2147483647 iterations of key derivation; expected at most 2000000 in the whole file: export it again with fewer",
        ),
        (
            pfx("key-only").to_vec(),
            None,
            "it holds no certificate, only a private key; expected at least one",
        ),
        (
            secret("bundle.p7b").to_vec(),
            None,
            "it is a PKCS#7 bundle; expected PKCS#12, PEM or DER: `openssl pkcs7 -print_certs` converts it",
        ),
        (
            secret("encrypted-key.pem").to_vec(),
            None,
            "its PEM cannot be read: the private key of line 1 is encrypted; expected one without a password, as vaults hold it: `openssl pkey -in FILE -out FILE` takes it off",
        ),
        (
            json("-----BEGIN CERTIFICATE-----\nMIIB"),
            None,
            "its PEM cannot be read: the block `CERTIFICATE` of line 1 does not end; expected `-----END CERTIFICATE-----`",
        ),
        (
            json("\n-----BEGIN CERTIFICATE-----\nMI?B\n-----END CERTIFICATE-----"),
            None,
            "its PEM cannot be read: the block `CERTIFICATE` of line 2 is not base64: character 3 is none of its letters",
        ),
        (
            json("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----"),
            None,
            "it holds no certificate; expected at least one",
        ),
        (json(""), None, "it is empty; expected a certificate"),
        (json(" \n"), None, "it is empty; expected a certificate"),
        (
            json("hunter2!"),
            None,
            "it is neither PEM nor JSON, nor base64 (character 8 is none of its letters); expected base64 of PKCS#12 or of JSON, or PEM",
        ),
        (
            json("hunter22"),
            None,
            "it is base64, but of nothing known; expected PKCS#12, a certificate in DER or the JSON document of a secret in it",
        ),
        (
            json("TUlJQg=="),
            None,
            "it is base64 of base64; expected it once: `az keyvault secret set --encoding base64` encodes a file by itself",
        ),
        (
            b"\x89PNG\r\n\xff".to_vec(),
            None,
            "it is neither text nor a certificate container; expected PKCS#12, PEM, DER or the JSON document of a secret",
        ),
        (
            json(r#"{"data":"#),
            None,
            "its JSON cannot be read at line 1, column 8: it is cut off; expected an object with `data`, `dataType` and `password`",
        ),
        (
            json(r#"{"data":1,"password":"hunter2"}"#),
            None,
            "its JSON cannot be read at line 1, column 9: a member has the wrong type or is there twice; expected an object with `data`, `dataType` and `password`",
        ),
        (
            json(r#"{"dataType":"pfx"}"#),
            None,
            "its JSON has no member `data`; expected the base64 of a PFX in it",
        ),
        (
            json(r#"{"data":"?"}"#),
            None,
            "`data` of its JSON is not base64: character 1 is none of its letters",
        ),
        (
            json(r#"{"data":"AAAA"}"#),
            None,
            "`data` of its JSON is base64, but of nothing known; expected the base64 of a PFX",
        ),
        (vec![b'A'; INPUT_LIMIT + 1], None, "it has 1048577 bytes; expected at most 1048576"),
    ] {
        assert_eq!(message(&bytes, password), expected);
    }
}

#[test]
fn bare_keys_and_crowds_are_refused() {
    let keys = str::from_utf8(secret("pkcs8.pem")).unwrap();
    let (key, _) = keys.split_once("-----BEGIN CERTIFICATE").unwrap();
    assert_eq!(
        message(key.as_bytes(), None),
        "it holds no certificate, only a private key; expected at least one"
    );
    let body: String = key.lines().filter(|line| !line.starts_with('-')).collect();
    assert_eq!(
        message(body.as_bytes(), None),
        "it holds a private key without a certificate; expected both, in PKCS#12 or PEM"
    );
    assert_eq!(
        message(pem("ec").repeat(33).as_bytes(), None),
        "it holds 33 certificates; expected at most 32: one with its chain"
    );
    assert_eq!(
        message(pem("ec").repeat(129).as_bytes(), None),
        "its PEM cannot be read: it has more than 128 blocks; expected one certificate with its chain and key"
    );
}

#[test]
fn a_json_document_that_says_a_thing_twice_is_refused() {
    let twice = r#"{"data":"AAAA","Data":"AAAA"}"#;
    assert!(message(twice.as_bytes(), None).contains("there twice"));
}

fn pem(name: &str) -> String {
    use ::base64::Engine as _;
    let body = ::base64::engine::general_purpose::STANDARD.encode(cer(name).der());
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
}
