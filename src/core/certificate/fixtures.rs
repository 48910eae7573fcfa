//! What the tests of this module read: the files of `fixtures/`, and certificates made on the spot.

use super::x509::Certificate;

/// `(name, content)` of files that are part of the test binary.
macro_rules! embed {
    ($folder:literal, $suffix:literal: $($name:literal)*) => {
        &[$(($name, include_bytes!(concat!("../fixtures/", $folder, "/", $name, $suffix)) as &[u8])),*]
    };
}

const PKI: &[(&str, &[u8])] = embed!("pki", ".cer": "root" "issuing" "rsa" "ec" "other" "weak");

pub(super) const PFX: &[(&str, &[u8])] = embed!("pfx", ".pfx":
    "rc2-40" "3des" "rc2-128_2des" "aes-128" "aes-192" "aes-256" "pbes2-3des" "special-3des" "special-aes" "no-mac"
    "empty-plain" "empty-plain-no-mac" "empty-rc2-40" "empty-3des" "empty-3des-no-mac" "empty-aes"
    "certificates-only" "null-plain" "null-rc2-40" "null-3des" "null-aes-256" "null-3des-no-mac" "null-vault"
    "prf-sha1" "prf-sha224" "prf-sha256" "prf-sha384" "prf-sha512" "pbmac1" "ber" "nested" "two-chains"
    "two-chains-two-keys" "two-chains-no-key" "foreign-key" "key-only" "enveloped" "signed" "scrypt" "endless"
);

const SECRETS: &[(&str, &[u8])] = embed!("secret", "":
    "pkcs8.pem" "pkcs1.pem" "sec1.pem" "sec1-without-point.pem" "encrypted-key.pem" "bundle.p7b" "az-encoded.txt"
);

/// The password of the containers that have one.
pub(super) const PASSWORD: &str = "correct horse";
/// The password of `special-*`.
pub(super) const SPECIAL: &str = "pässwörd-密码-🔑";

fn find(files: &[(&str, &'static [u8])], name: &str) -> &'static [u8] {
    files.iter().find(|(known, _)| *known == name).map(|(_, content)| *content).unwrap()
}

pub(super) fn cer(name: &str) -> Certificate {
    Certificate::parse(find(PKI, name)).unwrap()
}

pub(super) fn pfx(name: &str) -> &'static [u8] {
    find(PFX, name)
}

pub(super) fn secret(name: &str) -> &'static [u8] {
    find(SECRETS, name)
}

/// Certificates of P-256 and other keys, new with each run.
pub(super) mod made {
    use rcgen::{
        BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
        PKCS_ECDSA_P384_SHA384, SignatureAlgorithm,
    };

    use super::Certificate;

    pub(in super::super) struct Authority {
        pub(in super::super) certificate: Certificate,
        params: CertificateParams,
        key: KeyPair,
    }

    pub(in super::super) fn params(common_name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params
    }

    pub(in super::super) fn authority(common_name: &str) -> Authority {
        authority_with(common_name, &PKCS_ECDSA_P384_SHA384)
    }

    pub(in super::super) fn authority_with(
        common_name: &str,
        algorithm: &'static SignatureAlgorithm,
    ) -> Authority {
        let mut params = params(common_name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate_for(algorithm).unwrap();
        let certificate = Certificate::parse(params.self_signed(&key).unwrap().der()).unwrap();
        Authority { certificate, params, key }
    }

    /// The first authority's name and key, signed by the second.
    pub(in super::super) fn cross(subject: &Authority, issuer: &Authority) -> Certificate {
        signed(&subject.params, &subject.key, issuer)
    }

    pub(in super::super) fn leaf(issuer: &Authority, host: &str) -> Certificate {
        signed(&params(host), &KeyPair::generate().unwrap(), issuer)
    }

    pub(in super::super) fn self_signed(params: &CertificateParams) -> Certificate {
        let key = KeyPair::generate().unwrap();
        Certificate::parse(params.self_signed(&key).unwrap().der()).unwrap()
    }

    fn signed(params: &CertificateParams, key: &KeyPair, issuer: &Authority) -> Certificate {
        let issuer = Issuer::from_params(&issuer.params, &issuer.key);
        Certificate::parse(params.signed_by(key, &issuer).unwrap().der()).unwrap()
    }
}
