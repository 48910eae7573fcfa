//! What `upload` writes, read by OpenSSL's command without its legacy provider.

use std::path::Path;
use std::process::{Command, Output};

use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD;
use certroll_core::certificate::{Protection, open_to_pack};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ECDSA_P384_SHA384};
use serde_json::Value;
use tempfile::TempDir;
use zeroize::Zeroizing;

const PASSWORD: &str = "battery \"staple\" ü";

/// Runs OpenSSL, whose output has to hold what is expected.
fn openssl(directory: &Path, arguments: &[&str]) -> Output {
    let ran = Command::new("openssl").current_dir(directory).args(arguments).output();
    let output = ran.unwrap_or_else(|fault| panic!("openssl: {fault}; install OpenSSL 3"));
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn protection(random: u8) -> Protection {
    Protection::new(Zeroizing::new(PASSWORD.to_owned()), [random; Protection::RANDOM])
}

/// A leaf with its key and its issuer, and the issuer alone, as PEM; the leaf's key by OpenSSL itself where it is RSA.
fn chain(directory: &Path, rsa: bool) -> (String, String) {
    let ca_key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "Contoso Root");
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let key = if rsa {
        let made = openssl(directory, &["genrsa", "2048"]);
        KeyPair::from_pem(&String::from_utf8(made.stdout).unwrap()).unwrap()
    } else {
        KeyPair::generate().unwrap()
    };
    let leaf = CertificateParams::new(vec!["shop.contoso.com".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
    (format!("{}{}{ca_pem}", leaf.pem(), key.serialize_pem()), ca_pem)
}

/// The certificates and keys that OpenSSL finds in a PFX, as PEM.
fn read_back(directory: &Path, pfx: &[u8], password: &str) -> String {
    std::fs::write(directory.join("written.pfx"), pfx).unwrap();
    std::fs::write(directory.join("password"), password).unwrap();
    let arguments = ["pkcs12", "-in", "written.pfx", "-passin", "file:password", "-nodes", "-info"];
    let output = openssl(directory, &arguments);
    let info = String::from_utf8(output.stderr).unwrap();
    assert!(info.contains("MAC: sha1") && info.contains("pbeWithSHA1And3-KeyTripleDES-CBC"), "{info}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "needs OpenSSL 3"]
fn openssl_reads_what_is_written() {
    for rsa in [false, true] {
        let directory = TempDir::new().unwrap();
        let (leaf, ca) = chain(directory.path(), rsa);
        let packable = open_to_pack(leaf.as_bytes(), None).unwrap();
        let imported = STANDARD.decode(packable.certificate_value(&protection(1)).unwrap().as_bytes());
        let found = read_back(directory.path(), &imported.unwrap(), PASSWORD);
        assert_eq!(found.matches("BEGIN CERTIFICATE").count(), 2, "{found}");
        assert_eq!(found.matches("BEGIN PRIVATE KEY").count(), 1, "{found}");
        assert_eq!(found.matches("localKeyID: 01 00 00 00").count(), 2, "{found}");
        std::fs::write(directory.path().join("found.pem"), &found).unwrap();
        std::fs::write(directory.path().join("sent.pem"), &leaf).unwrap();
        openssl(directory.path(), &["pkey", "-in", "found.pem", "-noout", "-check"]);
        let public = |file| openssl(directory.path(), &["pkey", "-in", file, "-pubout"]).stdout;
        assert_eq!(public("found.pem"), public("sent.pem"));

        // A secret: base64 of JSON with the PFX as `data`.
        for (file, certificates, keys) in [(&leaf, 2, 1), (&ca, 1, 0)] {
            let packable = open_to_pack(file.as_bytes(), None).unwrap();
            let value = packable.secret_value(&protection(2)).unwrap();
            let document: Value =
                serde_json::from_slice(&STANDARD.decode(value.as_bytes()).unwrap()).unwrap();
            assert_eq!(document["dataType"], "pfx");
            let data = STANDARD.decode(document["data"].as_str().unwrap()).unwrap();
            let found = read_back(directory.path(), &data, document["password"].as_str().unwrap());
            assert_eq!(found.matches("BEGIN CERTIFICATE").count(), certificates, "{found}");
            assert_eq!(found.matches("BEGIN PRIVATE KEY").count(), keys, "{found}");
        }
    }
}
