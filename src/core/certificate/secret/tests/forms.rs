//! Every form of secret is read, described, and told apart by what Cloud Services make of it.

use ::base64::Engine as _;
use ::base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::super::super::fixtures::{PASSWORD, SPECIAL, cer, pfx, secret};
use super::super::*;

fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

fn container(opened: &OpenedSecret) -> &Pkcs12Form {
    match &opened.form.container {
        Container::Pkcs12(form) => form,
        other => panic!("{other:?}"),
    }
}

fn describe(opened: &OpenedSecret) -> String {
    let form = container(opened);
    let ciphers: Vec<_> = form.ciphers.iter().map(ToString::to_string).collect();
    format!("{:?}; {}; {:?}", form.mac, ciphers.join(", "), form.password)
}

#[test]
fn every_pkcs12_opens() {
    let [given, special, none] = [Some(PASSWORD), Some(SPECIAL), None];
    for (name, password, leaf, chain, expected) in [
        ("rc2-40", given, "rsa", 2, "Hmac(Sha1); RC2-40, 3DES; Given"),
        ("3des", given, "rsa", 2, "Hmac(Sha1); 3DES; Given"),
        ("rc2-128_2des", given, "rsa", 0, "Hmac(Sha1); RC2-128, 3DES with two keys; Given"),
        ("aes-128", given, "ec", 0, "Hmac(Sha384); PBES2 AES-128 with SHA-256; Given"),
        ("aes-192", given, "ec", 0, "Hmac(Sha512); PBES2 AES-192 with SHA-256; Given"),
        ("aes-256", given, "rsa", 2, "Hmac(Sha256); PBES2 AES-256 with SHA-256; Given"),
        ("pbes2-3des", given, "ec", 0, "Hmac(Sha224); PBES2 3DES with SHA-256; Given"),
        ("special-3des", special, "ec", 0, "Hmac(Sha1); 3DES; Given"),
        ("special-aes", special, "ec", 0, "Hmac(Sha256); PBES2 AES-256 with SHA-256; Given"),
        ("no-mac", given, "ec", 0, "None; PBES2 AES-256 with SHA-256; Given"),
        ("empty-plain", none, "ec", 0, "Hmac(Sha1); ; Empty"),
        ("empty-plain-no-mac", none, "ec", 2, "None; ; Unused"),
        ("empty-rc2-40", none, "ec", 0, "Hmac(Sha1); RC2-40, 3DES; Empty"),
        ("empty-3des", none, "rsa", 2, "Hmac(Sha1); 3DES; Empty"),
        ("empty-3des-no-mac", none, "ec", 0, "None; 3DES; Empty"),
        ("empty-aes", none, "ec", 2, "Hmac(Sha256); PBES2 AES-256 with SHA-256; Empty"),
        ("null-plain", none, "ec", 2, "Hmac(Sha1); ; Null"),
        ("null-rc2-40", none, "ec", 2, "Hmac(Sha1); RC2-40; Null"),
        ("null-3des", none, "ec", 2, "Hmac(Sha1); 3DES; Null"),
        ("null-aes-256", none, "ec", 2, "Hmac(Sha1); PBES2 AES-256 with SHA-256; Null"),
        ("null-3des-no-mac", none, "ec", 0, "None; 3DES; Null"),
        ("null-vault", none, "rsa", 2, "Hmac(Sha1); 3DES; Null"),
        ("prf-sha1", given, "ec", 0, "Hmac(Sha1); PBES2 AES-256 with SHA-1; Given"),
        ("prf-sha224", given, "ec", 0, "Hmac(Sha224); PBES2 AES-256 with SHA-224; Given"),
        ("prf-sha256", given, "ec", 0, "Hmac(Sha256); PBES2 AES-256 with SHA-256; Given"),
        ("prf-sha384", given, "ec", 0, "Hmac(Sha384); PBES2 AES-256 with SHA-384; Given"),
        ("prf-sha512", given, "ec", 0, "Hmac(Sha512); PBES2 AES-256 with SHA-512; Given"),
        ("pbmac1", given, "ec", 0, "Pbmac1(Sha256); PBES2 AES-256 with SHA-256; Given"),
        ("ber", given, "ec", 1, "Hmac(Sha1); PBES2 AES-256 with SHA-256; Given"),
        ("nested", none, "ec", 0, "Hmac(Sha1); ; Empty"),
    ] {
        let opened = open_file(pfx(name), password).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(opened.leaf, cer(leaf), "{name}");
        let issuers = [cer("issuing"), cer("root")];
        assert_eq!(opened.chain, issuers[..chain], "{name}");
        assert!(opened.key.matches() && opened.other_keys == 0 && opened.unrelated.is_empty(), "{name}");
        assert_eq!(describe(&opened), expected, "{name}");
        assert_eq!(opened.form.wrapping, Wrapping::None, "{name}");
    }
}

#[test]
fn certificates_without_a_key_open() {
    let opened = open_file(pfx("certificates-only"), None).unwrap();
    assert_eq!((opened.leaf, opened.chain), (cer("issuing"), vec![cer("root")]));
    assert!(matches!(opened.key, Key::None));
}

#[test]
fn base64_may_be_broken_unpadded_or_url_safe() {
    let bytes = pfx("null-vault");
    let broken: String = base64(bytes)
        .as_bytes()
        .chunks(76)
        .map(|line| format!("{}\r\n", str::from_utf8(line).unwrap()))
        .collect();
    for (value, deployable) in [
        (base64(bytes), true),
        (broken, true),
        (format!("\u{feff} {} ", base64(bytes)), true),
        (STANDARD_NO_PAD.encode(bytes), bytes.len().is_multiple_of(3)),
        (URL_SAFE_NO_PAD.encode(bytes), false),
    ] {
        let opened = open(&value, Some("application/x-pkcs12")).unwrap();
        assert_eq!(opened.leaf, cer("rsa"));
        assert_eq!(container(&opened).password, PasswordForm::Null);
        assert_eq!(opened.deployable() == Deployable::Yes, deployable, "{:?}", opened.form);
    }
}

#[test]
fn what_the_command_line_tool_stores_opens_and_deploys() {
    let value = str::from_utf8(secret("az-encoded.txt")).unwrap();
    for content_type in [None, Some(""), Some("application/json")] {
        let opened = open(value, content_type).unwrap();
        assert_eq!((&opened.leaf, opened.chain.len()), (&cer("rsa"), 2));
        assert_eq!(opened.deployable(), Deployable::Yes);
        let Wrapping::Json(form) = opened.form.wrapping else { panic!() };
        assert_eq!(form.password, JsonPassword::Empty);
        assert!(form.encoded.unwrap().white_space);
    }
    assert!(matches!(open(value, Some("application/x-pkcs12")).unwrap().deployable(), Deployable::No(_)));
}

#[test]
fn the_json_document_is_read_however_it_is_spelled() {
    let empty = base64(pfx("empty-3des"));
    let given = base64(pfx("3des"));
    let null = base64(pfx("null-3des"));
    for (json, password) in [
        (format!(r#"{{"data":"{empty}","dataType":"pfx","password":""}}"#), JsonPassword::Empty),
        (format!(r#"{{"Data":"{empty}","DATATYPE":"PFX","Password":null}}"#), JsonPassword::Null),
        (format!(r#"{{"dataType":"Pfx","data":"{null}","more":{{"a":[1]}}}}"#), JsonPassword::Missing),
        (format!(r#"{{"data":"{given}","dataType":"pfx","password":"{PASSWORD}"}}"#), JsonPassword::Set),
    ] {
        let utf16 = |unit: fn(u16) -> [u8; 2]| json.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
        let marked = |mark: &[u8], bytes: &[u8]| [mark, bytes].concat();
        for (bytes, charset) in [
            (json.clone().into_bytes(), Charset::Utf8),
            (format!(" \n{json}\n").into_bytes(), Charset::Utf8),
            (marked(b"\xef\xbb\xbf", json.as_bytes()), Charset::Utf8WithMark),
            (marked(b"\xff\xfe", &utf16(u16::to_le_bytes)), Charset::Utf16),
            (marked(b"\xfe\xff", &utf16(u16::to_be_bytes)), Charset::Utf16),
            (utf16(u16::to_le_bytes), Charset::Utf16),
            (utf16(u16::to_be_bytes), Charset::Utf16),
        ] {
            let opened = open(&base64(&bytes), None).unwrap();
            assert!(opened.key.matches());
            assert_eq!(opened.deployable() == Deployable::Yes, charset == Charset::Utf8);
            let Wrapping::Json(form) = &opened.form.wrapping else { panic!() };
            assert_eq!((form.charset, form.password), (charset, password));
            // As it is, in a file.
            let plain = open_file(&bytes, Some("not asked for")).unwrap();
            assert!(matches!(plain.deployable(), Deployable::No(reason) if reason.contains("as it is")));
        }
    }
}

#[test]
fn data_of_json_may_be_a_bare_certificate() {
    let issuing = cer("issuing");
    let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", base64(issuing.der()));
    for (data, uncertain) in [(base64(issuing.der()), true), (base64(&pem), true), (pem.clone(), false)] {
        let json = serde_json::json!({"data": data, "dataType": "PFX"}).to_string();
        let opened = open(&base64(json), None).unwrap();
        assert_eq!((&opened.leaf, opened.chain.len()), (&issuing, 0));
        match opened.deployable() {
            Deployable::Uncertain(reason) if uncertain => assert!(reason.contains("bare certificate")),
            Deployable::No(reason) if !uncertain => assert!(reason.contains("PEM text")),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn pem_is_read_in_any_order() {
    for (name, leaf, chain, key) in [
        ("pkcs8.pem", "rsa", 2, "RSA 2048"),
        ("pkcs1.pem", "rsa", 2, "RSA 2048"),
        ("sec1.pem", "ec", 0, "EC P-256"),
        ("sec1-without-point.pem", "ec", 0, "EC P-256"),
    ] {
        let text = str::from_utf8(secret(name)).unwrap();
        let flat = text.replace(['\r', '\n'], " ");
        let utf16: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
        for opened in [
            open(text, Some("application/x-pem-file")).unwrap(),
            open(&base64(text), None).unwrap(),
            open(&flat, None).unwrap(),
            open_file(&utf16, None).unwrap(),
        ] {
            assert_eq!(opened.leaf, cer(leaf), "{name}");
            assert_eq!((opened.chain.len(), opened.unrelated.len(), opened.other_keys), (chain, 0, 0));
            let Key::Matches(own) = &opened.key else { panic!("{name}") };
            assert_eq!((own.kind().to_string().as_str(), format!("{own:?}").as_str()), (key, "PrivateKey"));
            assert!(matches!(opened.deployable(), Deployable::No(reason) if reason.contains("PEM")));
        }
    }
}

#[test]
fn a_bare_certificate_is_read() {
    let root = cer("root");
    for opened in [open_file(root.der(), None).unwrap(), open(&base64(root.der()), None).unwrap()] {
        assert_eq!((&opened.leaf, &opened.form.container), (&root, &Container::Der));
        assert!(matches!(opened.deployable(), Deployable::No(_)));
    }
}

#[test]
fn what_cloud_services_accept() {
    let json = |name: &str, kind: &str| {
        let data = base64(pfx(name));
        base64(serde_json::json!({"data": data, "dataType": kind}).to_string())
    };
    let aes = json("empty-aes", "pfx");
    let old = json("empty-3des", "pfx");
    let other = json("empty-3des", "jks");
    let silent = base64(serde_json::json!({"data": base64(pfx("empty-3des"))}).to_string());
    let bare = base64(pfx("null-vault"));
    let certificate = base64(cer("root").der());
    for (value, content_type, answer) in [
        (&bare, Some("application/x-pkcs12"), "yes"),
        (&bare, Some(" Application/X-PKCS12 "), "yes"),
        (&bare, None, "no: it is base64 of a container without a JSON document"),
        (
            &certificate,
            Some("application/x-pkcs12"),
            "no: its content type promises PKCS#12, and it is a bare",
        ),
        (&old, None, "yes"),
        (&old, Some("application/x-pkcs12"), "no: its content type promises PKCS#12, and it is a JSON"),
        (&aes, None, "uncertain: its PFX is encrypted with AES"),
        (&other, None, "no: `dataType` of its JSON is another"),
        (&silent, None, "uncertain: its JSON has no member `dataType`"),
    ] {
        let found = match open(value, content_type).unwrap().deployable() {
            Deployable::Yes => "yes".to_owned(),
            Deployable::Uncertain(reason) => format!("uncertain: {reason}"),
            Deployable::No(reason) => format!("no: {reason}"),
        };
        assert!(found.starts_with(answer), "{found}");
    }
}

#[test]
fn a_form_is_written_for_programs() {
    let opened = open(&base64(pfx("null-vault")), Some("application/x-pkcs12")).unwrap();
    assert_eq!(
        serde_json::to_value(&opened.form).unwrap(),
        serde_json::json!({
            "content_type": "application/x-pkcs12",
            "wrapping": {"kind": "base64", "white_space": false, "unpadded": false, "url_safe": false},
            "container": {
                "kind": "pkcs12", "mac": {"kind": "hmac", "hash": "sha1"}, "ciphers": ["3DES"], "password": "null"
            },
        })
    );
    assert_eq!(serde_json::to_value(&opened.leaf).unwrap()["key"], "RSA 2048");
}
