//! What Compute gets when it fetches a certificateUrl: it reads the vault by itself, past permissions and firewall, and
//! is narrower about values than most clients are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::Value;

use super::material::PKCS12;
use super::{Kind, Reading, Vault};
use crate::pfx::{self, Contents};
use crate::pki;

/// What Compute gets when it fetches a certificateUrl.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeploymentSecret {
    /// The certificate that goes onto the machines.
    pub leaf_der: Vec<u8>,
    /// Its thumbprint: the only one that the secret answers for.
    pub thumbprint: String,
    /// Other certificates of the same secret.
    pub chain: Vec<Vec<u8>>,
    /// Its key, PKCS#8 in DER.
    pub key_pkcs8: Option<Vec<u8>>,
    /// Whether `data` held a plain certificate instead of a PFX.
    pub bare_certificate: bool,
}

/// Compute's error for a certificateUrl.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeploymentRefusal {
    /// Error code.
    pub code: String,
    /// Message.
    pub message: String,
}

/// Whether a bare certificate in `data` is taken: reports say yes, the scale-set questions and answers say no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Data {
    PfxOnly,
    PfxOrCertificate,
}

impl Vault {
    /// What Compute reads at `name` and `version`; `url` is for the messages.
    pub fn deployment_secret(
        &self,
        url: &str,
        name: &str,
        version: &str,
        bare_certificate_accepted: bool,
        now: Timestamp,
    ) -> Result<DeploymentSecret, DeploymentRefusal> {
        let secret = self
            .object(Kind::Secret, name)
            .and_then(|object| object.version(Some(version)))
            .map(|version| &version.secret)
            .ok_or_else(|| {
                refusal(
                    "KeyVaultSecretDoesNotExist",
                    format!("The Key Vault secret referenced with the URL {url} does not exist."),
                )
            })?;
        // Codes and texts of these two are not published; that such references can fail a deployment is.
        if !secret.attributes.enabled {
            return Err(refusal(
                "KeyVaultSecretDisabled",
                format!("The Key Vault secret referenced with the URL {url} is disabled."),
            ));
        }
        if self.behaviour.out_of_validity == Reading::Refused && !secret.attributes.valid_at(now) {
            return Err(refusal(
                "KeyVaultSecretNotValid",
                format!("The Key Vault secret referenced with the URL {url} is expired or not yet valid."),
            ));
        }
        let accepted = if bare_certificate_accepted { Data::PfxOrCertificate } else { Data::PfxOnly };
        let bytes = decoded(&secret.value).ok_or_else(|| {
            refusal(
                "CertificateImproperlyFormatted",
                format!("The secret retrieved from {url} is not a properly encoded Base64 string."),
            )
        })?;
        let is_pfx = secret.content_type.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case(PKCS12));
        if is_pfx {
            return self.deployable(&bytes, "", Data::PfxOnly).ok_or_else(|| bad_data(url));
        }
        let json: Value = serde_json::from_slice(&bytes).ok().filter(Value::is_object).ok_or_else(|| {
            refusal(
                "CertificateImproperlyFormatted",
                format!("The data retrieved from {url} is not deserializable into JSON."),
            )
        })?;
        let is_pfx = json["dataType"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("pfx"));
        let password = match &json["password"] {
            Value::Null => Some(""),
            password => password.as_str(),
        };
        json["data"]
            .as_str()
            .filter(|_| is_pfx)
            .and_then(decoded)
            .zip(password)
            .and_then(|(data, password)| self.deployable(&data, password, accepted))
            .ok_or_else(|| bad_data(url))
    }

    fn deployable(&self, data: &[u8], password: &str, accepted: Data) -> Option<DeploymentSecret> {
        if accepted == Data::PfxOrCertificate
            && let Some(leaf_der) = bare_certificate(data)
        {
            let contents = Contents { leaf: leaf_der, ..Contents::default() };
            return Some(deployed(contents, true));
        }
        if pfx::is_modern(data) && self.behaviour.aes_pfx == Reading::Refused {
            return None;
        }
        pfx::read(data, password).ok().map(|contents| deployed(contents, false))
    }
}

fn deployed(contents: Contents, bare_certificate: bool) -> DeploymentSecret {
    DeploymentSecret {
        thumbprint: pki::thumbprint(&contents.leaf),
        leaf_der: contents.leaf,
        chain: contents.chain,
        key_pkcs8: contents.key_pkcs8,
        bare_certificate,
    }
}

/// A certificate in DER or PEM, as .cer files are.
fn bare_certificate(data: &[u8]) -> Option<Vec<u8>> {
    let is_whole =
        |der: &[u8]| x509_parser::parse_x509_certificate(der).is_ok_and(|(rest, _)| rest.is_empty());
    if is_whole(data) {
        return Some(data.to_vec());
    }
    CertificateDer::from_pem_slice(data).ok().map(|der| der.to_vec()).filter(|der| is_whole(der))
}

/// Base64 as .NET reads it: white space does not count.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let compact: String = text.chars().filter(|character| !character.is_ascii_whitespace()).collect();
    STANDARD.decode(compact).ok().filter(|bytes| !bytes.is_empty())
}

fn bad_data(url: &str) -> DeploymentRefusal {
    refusal(
        "CertificateImproperlyFormatted",
        format!(
            "The secret's JSON representation retrieved from {url} has a data field which is not a properly formatted PFX \
             file, or the password provided does not decode the PFX file correctly."
        ),
    )
}

fn refusal(code: &str, message: String) -> DeploymentRefusal {
    DeploymentRefusal { code: code.to_owned(), message }
}
