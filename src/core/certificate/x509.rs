//! One X.509 certificate and what it says. What it says is read once, when it is parsed.

use std::fmt;

use jiff::Timestamp;
use serde::ser::{Serialize, SerializeStruct, Serializer};
use thiserror::Error;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Name;

use super::ber::{self, Reader, SEQUENCE, oid_text};
use super::names::SubjectName;
use super::public_key::{PublicKey, PublicPart};
use super::signature::{SignatureAlgorithm, Verdict};
use crate::id::Thumbprint;

/// Largest certificate that is read. A leaf with a hundred names and its transparency records has 10 KiB; a vault's
/// secret has at most 25 KiB.
pub(super) const CERTIFICATE_LIMIT: usize = 64 * 1024;

/// Longest distinguished name that is shown, in characters. The standard allows 64 for a common name.
const NAME_LIMIT: usize = 1000;

/// One X.509 certificate, parsed strictly: DER without trailing bytes, extensions that decode.
#[derive(Clone)]
pub struct Certificate {
    der: Vec<u8>,
    thumbprint: Thumbprint,
    subject: Name,
    issuer: Name,
    serial: Vec<u8>,
    names: Vec<SubjectName>,
    not_before: Timestamp,
    not_after: Timestamp,
    spki: Vec<u8>,
    public: PublicPart,
    algorithm: SignatureAlgorithm,
    signature: Vec<u8>,
    constraints: Option<(bool, Option<u32>)>,
    may_sign_certificates: bool,
    server_auth: ServerAuth,
    key_id: Option<Vec<u8>>,
    issuer_key_id: Option<Vec<u8>>,
}

/// A distinguished name: for people, and as the bytes that are compared.
#[derive(Clone)]
struct Name {
    text: String,
    der: Vec<u8>,
}

/// Whether a certificate may identify a TLS server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerAuth {
    /// Its extended key usage says so.
    Stated,
    /// It has no extended key usage, or any.
    Unrestricted,
    /// Its extended key usage names other purposes only.
    Excluded,
}

/// Why bytes are not a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CertificateError {
    /// Larger than any certificate.
    #[error("certificate has {found} bytes; expected at most {CERTIFICATE_LIMIT}")]
    TooLarge {
        /// Its size.
        found: usize,
    },
    /// Not DER of a certificate.
    #[error("not an X.509 certificate in DER: {0}")]
    Malformed(String),
    /// Bytes after the end.
    #[error("certificate is followed by {0} bytes that belong to nothing; expected one certificate in DER")]
    Trailing(usize),
    /// An extension that does not decode, so that what it says is not known.
    #[error("certificate has a malformed extension `{0}`")]
    Extension(&'static str),
}

impl Certificate {
    /// Reads a certificate.
    ///
    /// # Errors
    /// Anything but DER of exactly one certificate.
    pub fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > CERTIFICATE_LIMIT {
            return Err(CertificateError::TooLarge { found: der.len() });
        }
        let malformed = |error: ber::BerError| CertificateError::Malformed(error.to_string());
        // The parser below does not say what is cut off.
        Reader::new(der).expect(SEQUENCE, "Certificate").map_err(malformed)?;
        let (rest, parsed) =
            X509Certificate::from_der(der).map_err(|error| CertificateError::Malformed(reason(&error)))?;
        if !rest.is_empty() {
            return Err(CertificateError::Trailing(rest.len()));
        }
        let tbs = &parsed.tbs_certificate;
        let spki = tbs.subject_pki.raw;
        let public = PublicPart::of_spki(spki).map_err(malformed)?;
        let mut certificate = Self {
            der: der.to_vec(),
            thumbprint: Thumbprint::of_der(der),
            subject: Name::of(&tbs.subject),
            issuer: Name::of(&tbs.issuer),
            serial: tbs.raw_serial().to_vec(),
            names: Vec::new(),
            not_before: timestamp(tbs.validity.not_before),
            not_after: timestamp(tbs.validity.not_after),
            spki: spki.to_vec(),
            public,
            algorithm: SignatureAlgorithm::of(&parsed.signature_algorithm),
            signature: parsed.signature_value.data.to_vec(),
            constraints: None,
            may_sign_certificates: true,
            server_auth: ServerAuth::Unrestricted,
            key_id: None,
            issuer_key_id: None,
        };
        let mut has_alternative_names = false;
        for extension in tbs.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::SubjectAlternativeName(alternative) => {
                    has_alternative_names = true;
                    for name in &alternative.general_names {
                        certificate.names.extend(subject_name(name)?);
                    }
                }
                ParsedExtension::BasicConstraints(basic) => {
                    certificate.constraints = Some((basic.ca, basic.path_len_constraint));
                }
                ParsedExtension::KeyUsage(usage) => {
                    certificate.may_sign_certificates = usage.key_cert_sign();
                }
                ParsedExtension::ExtendedKeyUsage(usage) => {
                    certificate.server_auth = match usage {
                        usage if usage.server_auth => ServerAuth::Stated,
                        usage if usage.any => ServerAuth::Unrestricted,
                        _ => ServerAuth::Excluded,
                    };
                }
                ParsedExtension::SubjectKeyIdentifier(id) => certificate.key_id = Some(id.0.to_vec()),
                ParsedExtension::AuthorityKeyIdentifier(id) => {
                    certificate.issuer_key_id = id.key_identifier.as_ref().map(|id| id.0.to_vec());
                }
                ParsedExtension::ParseError { .. } => {
                    if let Some(name) = essential_extension(extension.oid.as_bytes()) {
                        return Err(CertificateError::Extension(name));
                    }
                }
                _ => {}
            }
        }
        if !has_alternative_names {
            let common_names = tbs.subject.iter_common_name().filter_map(|name| name.as_str().ok());
            certificate.names.extend(common_names.filter_map(SubjectName::of_common_name));
        }
        Ok(certificate)
    }

    /// The certificate as it was read.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// SHA-1 of the DER, by which Windows and the cscfg name the certificate.
    pub fn thumbprint(&self) -> Thumbprint {
        self.thumbprint
    }

    /// The subject, its parts in the order in which they are encoded. For people; control characters are escaped.
    pub fn subject(&self) -> &str {
        &self.subject.text
    }

    /// The issuer, written like the subject.
    pub fn issuer(&self) -> &str {
        &self.issuer.text
    }

    /// The serial number in upper-case hexadecimal digits.
    pub fn serial(&self) -> String {
        let digits = ber::magnitude(&self.serial);
        digits.iter().map(|byte| format!("{byte:02X}")).collect()
    }

    /// The host names and addresses that it serves: its alternative names or, where it has no such extension, a
    /// common name that reads like a host.
    pub fn names(&self) -> &[SubjectName] {
        &self.names
    }

    /// Valid from.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// Valid until, inclusive.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// The kind and size of its key.
    pub fn key(&self) -> PublicKey {
        self.public.kind()
    }

    /// How its issuer signed it.
    pub fn signature(&self) -> SignatureAlgorithm {
        self.algorithm.clone()
    }

    /// Whether its basic constraints make it an authority.
    pub fn is_ca(&self) -> bool {
        self.constraints.is_some_and(|(ca, _)| ca)
    }

    /// How many more authorities may follow below it; `None` for any number.
    pub fn path_length(&self) -> Option<u32> {
        self.constraints.and_then(|(ca, length)| length.filter(|_| ca))
    }

    /// Whether it may identify a TLS server.
    pub fn server_auth(&self) -> ServerAuth {
        self.server_auth
    }

    /// Whether subject and issuer are the same name, as in a root.
    pub fn is_self_issued(&self) -> bool {
        self.subject.der == self.issuer.der
    }

    /// Whether this certificate's key signed the other one: the names chain, the key identifiers do not contradict,
    /// it is not barred from signing certificates and the signature verifies. A signature by an algorithm that is not
    /// known here counts as good, since this orders chains and grants no trust. A self-signed one issued itself.
    pub fn issued(&self, other: &Certificate) -> bool {
        if other.issuer.der != self.subject.der {
            return false;
        }
        if let (Some(own), Some(wanted)) = (&self.key_id, &other.issuer_key_id)
            && own != wanted
        {
            return false;
        }
        // A version 1 root has no basic constraints; a self-signed leaf may say that it is no authority.
        let barred = self.constraints.is_some_and(|(ca, _)| !ca) || !self.may_sign_certificates;
        if barred && self != other {
            return false;
        }
        other.algorithm.verify(&self.public, other.signed_bytes(), &other.signature) != Verdict::Forged
    }

    /// Its SubjectPublicKeyInfo.
    pub fn public_key_der(&self) -> &[u8] {
        &self.spki
    }

    pub(super) fn public(&self) -> &PublicPart {
        &self.public
    }

    /// The part that the issuer signed: the first element inside.
    fn signed_bytes(&self) -> &[u8] {
        ber::whole_sequence(&self.der, "Certificate")
            .and_then(|mut inside| inside.expect(SEQUENCE, "TBSCertificate"))
            .map_or(&[], |element| element.whole)
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({} {})", self.thumbprint, self.subject.text)
    }
}

/// A summary; the certificate itself is public, but nobody wants it in a report.
impl Serialize for Certificate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut summary = serializer.serialize_struct("Certificate", 11)?;
        summary.serialize_field("thumbprint", &self.thumbprint)?;
        summary.serialize_field("subject", self.subject())?;
        summary.serialize_field("issuer", self.issuer())?;
        summary.serialize_field("serial", &self.serial())?;
        summary.serialize_field("names", &self.names)?;
        summary.serialize_field("not_before", &self.not_before)?;
        summary.serialize_field("not_after", &self.not_after)?;
        summary.serialize_field("key", &self.key())?;
        summary.serialize_field("signature", &self.algorithm)?;
        summary.serialize_field("is_ca", &self.is_ca())?;
        summary.serialize_field("server_auth", &self.server_auth)?;
        summary.end()
    }
}

impl Name {
    fn of(name: &X509Name<'_>) -> Self {
        let mut text = String::new();
        for (n, attribute) in name.iter_attributes().enumerate() {
            let kind = oid2abbrev(attribute.attr_type(), oid_registry())
                .map(str::to_owned)
                .or_else(|_| oid_text(attribute.attr_type().as_bytes()).ok_or(()))
                .unwrap_or_default();
            let separator = if n == 0 { "" } else { ", " };
            text.push_str(&format!("{separator}{kind}={}", attribute_text(attribute)));
            if text.len() > NAME_LIMIT {
                break;
            }
        }
        let mut text: String = text.chars().take(NAME_LIMIT).collect();
        if text.is_empty() {
            text.push_str("(no name)");
        }
        Self { text, der: name.as_raw().to_vec() }
    }
}

/// An attribute's text. The old string types hold Latin-1 in practice, whatever the standard says.
fn attribute_text(attribute: &x509_parser::x509::AttributeTypeAndValue<'_>) -> String {
    const BMP_STRING: u32 = 30;
    let bytes = attribute.attr_value().data;
    let text = match attribute.attr_value().tag().0 {
        BMP_STRING => {
            let units = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect::<String>(),
        },
    };
    text.chars()
        .take(NAME_LIMIT)
        .flat_map(|c| {
            let (plain, escaped) =
                if c.is_control() { (None, Some(c.escape_default())) } else { (Some(c), None) };
            plain.into_iter().chain(escaped.into_iter().flatten())
        })
        .collect()
}

/// The alternative name as a host or address; `None` for the kinds that TLS clients do not ask for.
fn subject_name(name: &GeneralName<'_>) -> Result<Option<SubjectName>, CertificateError> {
    let malformed = CertificateError::Extension("subjectAltName");
    match name {
        GeneralName::DNSName(name) => {
            let printable = name.bytes().all(|byte| byte.is_ascii_graphic());
            if printable { Ok(Some(SubjectName::dns(name))) } else { Err(malformed) }
        }
        GeneralName::IPAddress(bytes) => {
            if let Ok(v4) = <[u8; 4]>::try_from(*bytes) {
                Ok(Some(SubjectName::Ip(v4.into())))
            } else if let Ok(v6) = <[u8; 16]>::try_from(*bytes) {
                Ok(Some(SubjectName::Ip(v6.into())))
            } else {
                Err(malformed)
            }
        }
        GeneralName::Invalid(..) => Err(malformed),
        _ => Ok(None),
    }
}

/// The name of an extension without which the answers above would be wrong.
fn essential_extension(oid: &[u8]) -> Option<&'static str> {
    Some(match oid_text(oid)?.as_str() {
        "2.5.29.14" => "subjectKeyIdentifier",
        "2.5.29.15" => "keyUsage",
        "2.5.29.17" => "subjectAltName",
        "2.5.29.19" => "basicConstraints",
        "2.5.29.35" => "authorityKeyIdentifier",
        "2.5.29.37" => "extKeyUsage",
        _ => return None,
    })
}

/// The customary "never expires", 31 December 9999, lies a day beyond what a [`Timestamp`] holds.
fn timestamp(time: ASN1Time) -> Timestamp {
    Timestamp::from_second(time.timestamp()).unwrap_or(if time.timestamp() < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

fn reason(error: &x509_parser::nom::Err<x509_parser::error::X509Error>) -> String {
    match error {
        x509_parser::nom::Err::Incomplete(_) => "it is cut off".to_owned(),
        x509_parser::nom::Err::Error(error) | x509_parser::nom::Err::Failure(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CustomExtension, ExtendedKeyUsagePurpose, PKCS_ED25519, SanType};

    use super::super::fixtures::{cer, made};
    use super::super::public_key::Curve;
    use super::*;

    #[test]
    fn a_leaf_says_what_openssl_says() {
        let leaf = cer("rsa");
        assert_eq!(leaf.subject(), "C=US, O=Contoso, CN=shop.contoso.com");
        assert_eq!(leaf.issuer(), "C=US, O=Contoso, CN=Contoso Issuing CA");
        assert_eq!(leaf.serial(), "A1B2C3");
        let names: Vec<_> = leaf.names().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["shop.contoso.com", "*.shop.contoso.com"]);
        assert_eq!(leaf.not_before(), "2026-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(leaf.not_after(), "2036-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(leaf.key(), PublicKey::Rsa { bits: 2048 });
        assert_eq!(leaf.signature().to_string(), "ECDSA with SHA-256");
        assert!(!leaf.is_ca() && !leaf.is_self_issued() && !leaf.signature().is_weak());
        assert_eq!(leaf.server_auth(), ServerAuth::Stated);
        let issuing = cer("issuing");
        assert_eq!(issuing.key(), PublicKey::Ec { curve: Curve::P256 });
        assert_eq!((issuing.is_ca(), issuing.path_length()), (true, Some(0)));
        assert_eq!(issuing.names(), []);
        assert_eq!((cer("root").is_ca(), cer("root").path_length()), (true, None));
        let weak = cer("weak");
        assert_eq!((weak.key().strength_bits(), weak.signature().is_weak()), (80, true));
    }

    #[test]
    fn issuing_is_seen_by_name_key_identifier_and_signature() {
        let (root, issuing, rsa, ec) = (cer("root"), cer("issuing"), cer("rsa"), cer("ec"));
        assert!(root.issued(&root) && root.issued(&issuing) && issuing.issued(&rsa) && issuing.issued(&ec));
        assert!(!root.issued(&rsa) && !issuing.issued(&root) && !rsa.issued(&ec));
        assert!(cer("weak").issued(&cer("weak")));
        // The same name and another key: only the signature tells.
        let (real, impostor) = (made::authority("CA"), made::authority("CA"));
        let leaf = made::leaf(&real, "shop.contoso.com");
        assert!(real.certificate.issued(&leaf));
        assert!(!impostor.certificate.issued(&leaf));
        let modern = made::authority_with("Ed", &PKCS_ED25519);
        assert!(modern.certificate.issued(&made::leaf(&modern, "shop.contoso.com")));
        assert_eq!(modern.certificate.key(), PublicKey::Ed25519);
    }

    #[test]
    fn a_forged_certificate_was_issued_by_nobody() {
        let mut forged = cer("ec").der().to_vec();
        let at = forged.windows(4).position(|bytes| bytes == b"shop").unwrap();
        forged[at..at + 4].copy_from_slice(b"evil");
        assert!(!cer("issuing").issued(&Certificate::parse(&forged).unwrap()));
    }

    #[test]
    fn names_fall_back_to_the_common_name() {
        assert_eq!(made::self_signed(&made::params("Shop.Contoso.com")).names().len(), 1);
        let mut params = made::params("shop.contoso.com");
        params.subject_alt_names = vec![SanType::IpAddress("10.0.0.1".parse().unwrap())];
        assert_eq!(made::self_signed(&params).names(), [SubjectName::Ip("10.0.0.1".parse().unwrap())]);
    }

    #[test]
    fn a_date_beyond_the_calendar_is_the_end_of_time() {
        let mut params = made::params("shop.contoso.com");
        params.not_after = rcgen::date_time_ymd(9999, 12, 31);
        assert_eq!(made::self_signed(&params).not_after(), Timestamp::MAX);
    }

    #[test]
    fn extended_key_usage_is_told_in_three() {
        for (usages, expected) in [
            (vec![], ServerAuth::Unrestricted),
            (vec![ExtendedKeyUsagePurpose::Any], ServerAuth::Unrestricted),
            (vec![ExtendedKeyUsagePurpose::ClientAuth], ServerAuth::Excluded),
            (
                vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth],
                ServerAuth::Stated,
            ),
        ] {
            let mut params = made::params("shop.contoso.com");
            params.extended_key_usages = usages;
            assert_eq!(made::self_signed(&params).server_auth(), expected);
        }
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        let der = cer("ec").der().to_vec();
        let message = |der: &[u8]| Certificate::parse(der).unwrap_err().to_string();
        assert_eq!(
            message(&[&der[..], b"\0\0"].concat()),
            "certificate is followed by 2 bytes that belong to nothing; expected one certificate in DER"
        );
        assert_eq!(
            message(&der[..300]),
            format!(
                "not an X.509 certificate in DER: Certificate is cut off: it says {} bytes, 296 are left",
                der.len() - 4
            )
        );
        assert_eq!(message(b""), "not an X.509 certificate in DER: Certificate is missing");
        assert_eq!(
            message(b"MIIB"),
            "not an X.509 certificate in DER: Certificate is malformed: tag 0x4d where 0x30 is expected"
        );
        assert_eq!(message(&vec![0x30; 70_000]), "certificate has 70000 bytes; expected at most 65536");
        let mut params = made::params("shop.contoso.com");
        params.custom_extensions =
            vec![CustomExtension::from_oid_content(&[2, 5, 29, 19], vec![0x30, 3, 1, 1])];
        let key = rcgen::KeyPair::generate().unwrap();
        assert_eq!(
            message(params.self_signed(&key).unwrap().der()),
            "certificate has a malformed extension `basicConstraints`"
        );
    }

    #[test]
    fn hostile_names_cannot_move_the_cursor() {
        let certificate = made::self_signed(&made::params("a\u{1b}[2Jb\nc"));
        assert_eq!(certificate.subject(), "CN=a\\u{1b}[2Jb\\nc");
        assert!(format!("{certificate:?}").contains(&certificate.thumbprint().to_string()));
    }
}
