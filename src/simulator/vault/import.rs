//! What an import accepts: a PFX with its password, or PEM with an unencrypted PKCS#8 key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde_json::Value;

use super::fields;
use super::material::{Material, PEM_FILE, PKCS12};
use super::refusal::bad_parameter;
use crate::message::Reply;
use crate::pfx::{self, Contents, Lock};
use crate::pki::Issued;

/// Longest password and subject.
const MAX_TEXT: usize = 200;

/// Reads the body of an import.
pub(super) fn material(body: &Value) -> Result<Material, Reply> {
    let value = fields::text(body, "value")?
        .ok_or_else(|| bad_parameter("The request body must contain the property value."))?;
    let password = fields::text(body, "pwd")?.unwrap_or_default();
    if password.chars().count() > MAX_TEXT {
        return Err(bad_parameter("Property pwd is longer than 200 characters."));
    }
    let policy = &body["policy"];
    let content_type = fields::text(&policy["secret_props"], "contentType")?;
    let is_pem = match content_type {
        Some(PKCS12) => false,
        Some(PEM_FILE) => true,
        None => value.contains("-----BEGIN"),
        Some(_) => {
            return Err(bad_parameter(
                "The content type of the certificate policy must be application/x-pkcs12 or application/x-pem-file.",
            ));
        }
    };
    let contents = if is_pem { from_pem(value)? } else { from_pfx(value, password)? };
    let Some(key_pkcs8) = contents.key_pkcs8 else {
        return Err(bad_parameter(
            "Private key is not specified in the specified X.509 certificate content. Please specify private key in the \
             X.509 certificate content.",
        ));
    };
    let issued = Issued { der: contents.leaf, key_pkcs8, chain: contents.chain };
    if x509_parser::parse_x509_certificate(&issued.der).is_err() {
        return Err(unreadable("X.509"));
    }
    Ok(if is_pem { Material::pem(&issued) } else { Material::pkcs12(&issued) })
}

fn from_pfx(value: &str, password: &str) -> Result<Contents, Reply> {
    let der = STANDARD.decode(value).map_err(|_| unreadable("PKCS#12"))?;
    pfx::read(&der, password).map_err(|_| unreadable("PKCS#12"))
}

fn from_pem(value: &str) -> Result<Contents, Reply> {
    let certificates: Vec<Vec<u8>> = CertificateDer::pem_slice_iter(value.as_bytes())
        .map(|certificate| certificate.map(|der| der.to_vec()))
        .collect::<Result<_, _>>()
        .map_err(|_| unreadable("PEM"))?;
    let keys: Vec<Vec<u8>> = PrivatePkcs8KeyDer::pem_slice_iter(value.as_bytes())
        .map(|key| key.map(|der| der.secret_pkcs8_der().to_vec()))
        .collect::<Result<_, _>>()
        .map_err(|_| unreadable("PEM"))?;
    let Some((leaf, chain)) = certificates.split_first() else { return Err(unreadable("PEM")) };
    let contents = Contents { leaf: leaf.clone(), chain: chain.to_vec(), key_pkcs8: keys.into_iter().next() };
    if contents.key_pkcs8.is_none() {
        return Ok(contents);
    }
    // The leaf goes to the front, wherever the file had it: that is what packing and reading back does.
    pfx::read(&pfx::write(&contents, Lock::NullUnencrypted), "").map_err(|_| unreadable("PEM"))
}

fn unreadable(form: &str) -> Reply {
    bad_parameter(&format!(
        "The specified {form} X.509 certificate content can not be read. Please check if certificate is in valid {form} \
         format."
    ))
}
