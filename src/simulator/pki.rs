//! Certificate authorities and leaves made on the spot, for vaults, for endpoints and for the simulated hosts
//! themselves.
//!
//! Nothing here is a secret: authorities live as long as the value that holds them, and the RSA keys are printed in
//! this repository. Packing into PKCS#12 is in [`pfx`](crate::pfx).

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, SanType, SerialNumber,
};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use sha1::{Digest, Sha1};

/// Three RSA-2048 test keys, made once with `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048`, because ring
/// signs with RSA but cannot make keys. They protect nothing.
const RSA_KEYS: [&str; 3] = [
    include_str!("pki/rsa2048-first.pem"),
    include_str!("pki/rsa2048-second.pem"),
    include_str!("pki/rsa2048-third.pem"),
];

/// How long an authority is valid from a day before its making: longer than any test's clock runs.
const AUTHORITY_YEARS: i32 = 20;
/// Length of a year where exactness does not matter.
const YEAR: SignedDuration = SignedDuration::from_hours(365 * 24);
/// Authorities and default leaves begin this long before their making, so that a client's skewed clock accepts them.
const BACKDATED: SignedDuration = SignedDuration::from_hours(24);
/// Lifetime of a leaf for which nobody said otherwise; about what public authorities issue in 2026.
const LEAF_LIFETIME: SignedDuration = SignedDuration::from_hours(199 * 24);

/// What kind of key a leaf has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyKind {
    /// P-256, made fresh.
    #[default]
    Ec256,
    /// RSA with 2048 bits, one of the three keys of this repository.
    Rsa2048,
    /// Another RSA key, for tests that need two different ones.
    OtherRsa2048,
    /// The last one.
    ThirdRsa2048,
}

/// A certificate authority: a root, or one below it.
#[derive(Clone, Debug)]
pub struct Authority {
    signer: Arc<KeyPair>,
    params: CertificateParams,
    der: Vec<u8>,
    issuers: Vec<Vec<u8>>,
}

/// What a leaf shall look like.
#[derive(Clone, Debug)]
pub struct LeafRequest {
    /// Subject common name.
    pub common_name: String,
    /// Subject alternative names: DNS names, or IP addresses in their usual text form.
    pub dns_names: Vec<String>,
    /// Begin of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
    /// Whether the extended key usage says serverAuth; it says clientAuth otherwise, since none at all would allow both.
    pub server_auth: bool,
    /// Whether the certificate may itself issue, for the guards that keep leaf and authority apart.
    pub is_authority: bool,
    /// Key to make or take.
    pub key: KeyKind,
}

/// A certificate with its key and those above it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The certificate.
    pub der: Vec<u8>,
    /// Its private key, PKCS#8 in DER.
    pub key_pkcs8: Vec<u8>,
    /// Its issuers, nearest first, root last; empty if it signed itself.
    pub chain: Vec<Vec<u8>>,
}

impl LeafRequest {
    /// A server certificate for one DNS name, valid from a day before `now` for half a year.
    pub fn server(name: &str, now: Timestamp) -> Self {
        Self {
            common_name: name.to_owned(),
            dns_names: vec![name.to_owned()],
            not_before: now - BACKDATED,
            not_after: now + LEAF_LIFETIME,
            ..Self::default()
        }
    }

    /// With these subject alternative names in place of those it had.
    #[must_use]
    pub fn dns_names(mut self, names: &[&str]) -> Self {
        self.dns_names = names.iter().map(|&name| name.to_owned()).collect();
        self
    }

    /// Valid between these instants.
    #[must_use]
    pub fn valid(mut self, not_before: Timestamp, not_after: Timestamp) -> Self {
        self.not_before = not_before;
        self.not_after = not_after;
        self
    }

    /// With a key of this kind.
    #[must_use]
    pub fn key(mut self, key: KeyKind) -> Self {
        self.key = key;
        self
    }

    /// With the extended key usage clientAuth in place of serverAuth.
    #[must_use]
    pub fn without_server_auth(mut self) -> Self {
        self.server_auth = false;
        self
    }

    /// As a certificate that may issue others.
    #[must_use]
    pub fn authority(mut self) -> Self {
        self.is_authority = true;
        self
    }

    /// The certificate, signed with its own key.
    pub fn self_signed(&self) -> Issued {
        let key = key_pair(self.key);
        let certificate = self.params().self_signed(&key).expect("the requested fields encode");
        Issued { der: certificate.der().to_vec(), key_pkcs8: key.serialize_der(), chain: Vec::new() }
    }

    fn params(&self) -> CertificateParams {
        let mut params = subject(&self.common_name, self.not_before, self.not_after);
        params.subject_alt_names = self.dns_names.iter().map(|name| alternative_name(name)).collect();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        if self.is_authority {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages.push(KeyUsagePurpose::KeyCertSign);
        } else {
            params.is_ca = IsCa::ExplicitNoCa;
        }
        params.extended_key_usages = vec![if self.server_auth {
            ExtendedKeyUsagePurpose::ServerAuth
        } else {
            ExtendedKeyUsagePurpose::ClientAuth
        }];
        params
    }
}

impl Default for LeafRequest {
    fn default() -> Self {
        // A fixed year, so that values made from defaults do not depend on the machine's clock.
        let not_before = Timestamp::constant(1_795_392_000, 0);
        Self {
            common_name: "leaf.example.test".to_owned(),
            dns_names: vec!["leaf.example.test".to_owned()],
            not_before,
            not_after: not_before + LEAF_LIFETIME,
            server_auth: true,
            is_authority: false,
            key: KeyKind::Ec256,
        }
    }
}

impl Authority {
    /// A self-signed authority.
    pub fn root(common_name: &str, now: Timestamp) -> Self {
        let signer = key_pair(KeyKind::Ec256);
        let params = authority_params(common_name, now);
        let der = params.self_signed(&signer).expect("an authority's fields encode").der().to_vec();
        Self { signer: Arc::new(signer), params, der, issuers: Vec::new() }
    }

    /// An authority that this one certifies.
    pub fn intermediate(&self, common_name: &str, now: Timestamp) -> Self {
        let signer = key_pair(KeyKind::Ec256);
        let params = authority_params(common_name, now);
        let der = params
            .signed_by(&signer, &Issuer::from_params(&self.params, &*self.signer))
            .expect("an authority's fields encode")
            .der()
            .to_vec();
        Self { signer: Arc::new(signer), params, der, issuers: self.chain() }
    }

    /// A certificate for a key made for it.
    pub fn issue(&self, request: &LeafRequest) -> Issued {
        let key = key_pair(request.key);
        let der = request
            .params()
            .signed_by(&key, &Issuer::from_params(&self.params, &*self.signer))
            .expect("the requested fields encode")
            .der()
            .to_vec();
        Issued { der, key_pkcs8: key.serialize_der(), chain: self.chain() }
    }

    /// The authority's own certificate.
    pub fn certificate_der(&self) -> &[u8] {
        &self.der
    }

    /// The authority's own certificate as PEM, as for a file of trusted authorities.
    pub fn certificate_pem(&self) -> String {
        pem("CERTIFICATE", &self.der)
    }

    /// The authority's private key, PKCS#8 in DER.
    pub fn key_pkcs8(&self) -> Vec<u8> {
        self.signer.serialize_der()
    }

    /// This authority and its issuers, root last: what a leaf has above it.
    pub fn chain(&self) -> Vec<Vec<u8>> {
        let mut chain = vec![self.der.clone()];
        chain.extend(self.issuers.iter().cloned());
        chain
    }

    /// The authority's certificate with its key, as if it were a leaf: for vault objects that hold an authority.
    pub fn issued(&self) -> Issued {
        Issued { der: self.der.clone(), key_pkcs8: self.key_pkcs8(), chain: self.issuers.clone() }
    }
}

impl Issued {
    /// SHA-1 over the certificate, as the cscfg and Resource Manager write it.
    pub fn thumbprint(&self) -> String {
        thumbprint(&self.der)
    }

    /// The certificate and those above it.
    pub fn full_chain(&self) -> Vec<Vec<u8>> {
        let mut chain = vec![self.der.clone()];
        chain.extend(self.chain.iter().cloned());
        chain
    }

    /// Key, certificate and chain as PEM, the key as unencrypted PKCS#8: what a vault certificate of the PEM kind
    /// holds.
    pub fn pem(&self) -> String {
        let mut text = pem("PRIVATE KEY", &self.key_pkcs8);
        for certificate in self.full_chain() {
            text.push_str(&pem("CERTIFICATE", &certificate));
        }
        text
    }
}

/// SHA-1 over a certificate's DER, 40 upper-case hexadecimal digits.
pub fn thumbprint(der: &[u8]) -> String {
    Sha1::digest(der).iter().map(|byte| format!("{byte:02X}")).collect()
}

/// A PEM block with lines of 64 characters.
pub fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in body.as_bytes().chunks(64) {
        text.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

/// A certificate around one of the RSA keys that is the same in every run: its thumbprint can name the key.
pub(crate) fn lasting_certificate(kind: KeyKind, common_name: &str) -> Vec<u8> {
    let request = LeafRequest { key: kind, common_name: common_name.to_owned(), ..LeafRequest::default() };
    let mut params = request.params();
    params.subject_alt_names.clear();
    params.serial_number = Some(SerialNumber::from(1));
    params.self_signed(&key_pair(kind)).expect("the requested fields encode").der().to_vec()
}

/// A signing key of that kind.
pub(crate) fn key_pair(kind: KeyKind) -> KeyPair {
    let rsa = |pem: &str| {
        let key = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).expect("the embedded key is PEM");
        KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_RSA_SHA256).expect("the embedded key is RSA")
    };
    match kind {
        KeyKind::Ec256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("the system has randomness"),
        KeyKind::Rsa2048 => rsa(RSA_KEYS[0]),
        KeyKind::OtherRsa2048 => rsa(RSA_KEYS[1]),
        KeyKind::ThirdRsa2048 => rsa(RSA_KEYS[2]),
    }
}

fn authority_params(common_name: &str, now: Timestamp) -> CertificateParams {
    let mut params = subject(common_name, now - BACKDATED, now + YEAR * AUTHORITY_YEARS);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn subject(common_name: &str, not_before: Timestamp, not_after: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    // `time` is no dependency of this crate: its values are reached from the one that rcgen makes.
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since_epoch(not_before);
    params.not_after = epoch + since_epoch(not_after);
    params.use_authority_key_identifier_extension = true;
    // rcgen derives the serial number from the key otherwise, and the RSA keys repeat: two certificates of one issuer
    // must not share a serial.
    params.serial_number = Some(SerialNumber::from_slice(&serial()));
    params
}

fn since_epoch(instant: Timestamp) -> Duration {
    Duration::from_secs(u64::try_from(instant.as_second()).unwrap_or(0))
}

/// A positive serial number of 16 bytes.
fn serial() -> [u8; 16] {
    let mut bytes: [u8; 16] = rand::random();
    bytes[0] = bytes[0] & 0x7f | 0x40;
    bytes
}

fn alternative_name(name: &str) -> SanType {
    match name.parse() {
        Ok(address) => SanType::IpAddress(address),
        Err(_) => SanType::DnsName(name.try_into().expect("a DNS name is ASCII")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::parse_x509_certificate;

    const NOW: Timestamp = Timestamp::constant(1_795_392_000, 0);

    #[test]
    fn each_certificate_is_signed_by_the_next() {
        let root = Authority::root("Test Root", NOW);
        let intermediate = root.intermediate("Test CA", NOW);
        assert_eq!(intermediate.chain(), [intermediate.certificate_der(), root.certificate_der()]);
        for key in [KeyKind::Ec256, KeyKind::Rsa2048] {
            let chain = intermediate.issue(&LeafRequest::server("a.example.test", NOW).key(key)).full_chain();
            assert_eq!(chain.len(), 3);
            for (position, der) in chain.iter().enumerate() {
                let (_, certificate) = parse_x509_certificate(der).unwrap();
                let (_, issuer) = parse_x509_certificate(chain.get(position + 1).unwrap_or(der)).unwrap();
                certificate.verify_signature(Some(issuer.public_key())).unwrap();
                assert_eq!(certificate.issuer(), issuer.subject());
                assert_eq!(certificate.is_ca(), position > 0);
            }
        }
    }

    #[test]
    fn a_leaf_is_as_requested() {
        let end = NOW + SignedDuration::from_hours(1);
        let request = LeafRequest::server("a.example.test", NOW)
            .dns_names(&["b.example.test", "127.0.0.1"])
            .valid(NOW, end)
            .without_server_auth();
        let issued = request.self_signed();
        let (_, certificate) = parse_x509_certificate(&issued.der).unwrap();
        assert_eq!(certificate.subject().to_string(), "CN=a.example.test");
        let names = certificate.subject_alternative_name().unwrap().unwrap();
        assert_eq!(names.value.general_names.len(), 2);
        assert_eq!(certificate.validity().not_before.timestamp(), NOW.as_second());
        assert_eq!(certificate.validity().not_after.timestamp(), end.as_second());
        let usage = certificate.extended_key_usage().unwrap().unwrap().value;
        assert!(usage.client_auth && !usage.server_auth);
        assert!(issued.chain.is_empty());
        assert_ne!(request.self_signed().thumbprint(), issued.thumbprint());
    }

    #[test]
    fn a_thumbprint_is_40_upper_case_digits() {
        assert_eq!(thumbprint(b""), "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709");
    }
}
