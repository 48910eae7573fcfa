//! What is written for a vault is read back, by the same reader that reads everybody else's.

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::super::super::fixtures::{PASSWORD, cer, made, pfx, secret};
use super::super::*;

fn protection(password: &str) -> Protection {
    Protection::new(Zeroizing::new(password.to_owned()), [7; Protection::RANDOM])
}

/// Files with a key and a chain, files with a certificate, and the leaf of each.
fn files() -> Vec<(&'static str, Packable)> {
    let opened = |bytes: &[u8], password| open_to_pack(bytes, password).unwrap();
    vec![
        ("rsa", opened(pfx("3des"), Some(PASSWORD))),
        ("rsa", opened(pfx("null-vault"), None)),
        ("ec", opened(pfx("empty-aes"), None)),
        ("ec", opened(pfx("ber"), Some(PASSWORD))),
        ("rsa", opened(secret("pkcs1.pem"), None)),
        ("rsa", opened(secret("pkcs8.pem"), None)),
        ("ec", opened(secret("sec1.pem"), None)),
        ("ec", opened(secret("sec1-without-point.pem"), None)),
        ("root", opened(cer("root").der(), None)),
        ("issuing", opened(pfx("certificates-only"), None)),
    ]
}

proptest! {
    #[test]
    fn any_password_and_salt_reads_back(
        password in any::<String>(),
        random in any::<[u8; Protection::RANDOM]>(),
        which in any::<prop::sample::Index>(),
    ) {
        let mut files = files();
        let (name, packable) = files.swap_remove(which.index(files.len()));
        let value = packable
            .secret_value(&Protection::new(Zeroizing::new(password.clone()), random))
            .unwrap();
        let opened = open(&value, None).unwrap();
        prop_assert_eq!(&opened.leaf, &cer(name));
        prop_assert_eq!(opened.deployable(), Deployable::Yes);
        prop_assert_eq!(opened.key.matches(), packable.opened().key.matches());
        prop_assert_eq!(&opened.chain, &packable.carried().skip(1).cloned().collect::<Vec<_>>());
        let Wrapping::Json(form) = &opened.form.wrapping else { panic!() };
        let expected = if password.is_empty() { JsonPassword::Empty } else { JsonPassword::Set };
        prop_assert_eq!(form.password, expected);
    }
}

#[test]
fn an_import_opens_with_its_password_and_with_no_other() {
    for (name, packable) in files().into_iter().filter(|(_, packable)| packable.carries_key()) {
        let value = packable.certificate_value(&protection("battery staple")).unwrap();
        let opened = open_file(value.as_bytes(), Some("battery staple")).unwrap();
        assert!(opened.leaf == cer(name) && opened.key.matches());
        assert_eq!(opened.chain, packable.opened().chain);
        let Container::Pkcs12(form) = &opened.form.container else { panic!() };
        assert_eq!((form.mac, &form.ciphers[..]), (MacForm::Hmac(HashName::Sha1), &[Cipher::TripleDes][..]));
        let wrong = open_file(value.as_bytes(), Some("another")).unwrap_err();
        assert_eq!(wrong, SecretError::Pkcs12(Pkcs12Error::WrongPassword));
    }
}

#[test]
fn certificates_without_a_key_go_alone() {
    let packable = open_to_pack(pfx("certificates-only"), None).unwrap();
    assert_eq!(packable.left_out().collect::<Vec<_>>(), [&cer("root")]);
    let opened = open(&packable.secret_value(&protection("p")).unwrap(), None).unwrap();
    assert!(opened.chain.is_empty() && matches!(opened.key, Key::None));
    assert_eq!(packable.certificate_value(&protection("p")).unwrap_err(), PackError::NoKey);
}

#[test]
fn what_no_vault_takes_is_refused() {
    let foreign = open_to_pack(pfx("foreign-key"), Some(PASSWORD))
        .or_else(|_| open_to_pack(pfx("foreign-key"), None))
        .unwrap();
    for result in [foreign.secret_value(&protection("p")), foreign.certificate_value(&protection("p"))] {
        assert_eq!(result.unwrap_err(), PackError::ForeignKey);
    }
    let params = made::params("shop.contoso.com");
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let text = format!("{}{}", params.self_signed(&key).unwrap().pem(), key.serialize_pem());
    let modern = open_to_pack(text.as_bytes(), None).unwrap();
    let refused = modern.secret_value(&protection("p")).unwrap_err();
    assert_eq!(refused, PackError::UnsupportedKey(super::super::super::PublicKey::Ed25519));
    // A leaf with more names than a value has room for.
    let mut params = made::params("shop.contoso.com");
    let name = |n| rcgen::SanType::DnsName(format!("{n}.{}.test", "long".repeat(12)).try_into().unwrap());
    params.subject_alt_names = (0..250).map(name).collect();
    let large = open_to_pack(made::self_signed(&params).der(), None).unwrap();
    let refused = large.secret_value(&protection("p")).unwrap_err();
    assert!(matches!(refused, PackError::TooLarge { found } if found > VALUE_LIMIT), "{refused}");
}

#[test]
fn the_key_of_an_authority_stays_behind() {
    let key = rcgen::KeyPair::generate().unwrap();
    let text = |names: Vec<String>| {
        let mut params = rcgen::CertificateParams::new(names).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::OrganizationName, "Contoso");
        format!("{}{}", params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    };
    let authority = open_to_pack(text(Vec::new()).as_bytes(), None).unwrap();
    assert!(authority.opened().key.matches());
    let opened = open(&authority.secret_value(&protection("p")).unwrap(), None).unwrap();
    assert!(matches!(opened.key, Key::None));
    // A self-signed server certificate that calls itself an authority is a server's all the same.
    let server = open_to_pack(text(vec!["shop.contoso.com".to_owned()]).as_bytes(), None).unwrap();
    let opened = open(&server.secret_value(&protection("p")).unwrap(), None).unwrap();
    assert!(opened.key.matches());
}

#[test]
fn nothing_secret_is_in_a_debug_text() {
    let packable = open_to_pack(secret("pkcs8.pem"), None).unwrap();
    let shown = format!("{packable:?} {:?}", protection("battery staple"));
    assert!(shown.contains("PrivateKey") && !shown.contains("staple") && shown.len() < 4000, "{shown}");
}
