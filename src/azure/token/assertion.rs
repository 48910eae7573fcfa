//! A client certificate's proof: a JSON web token signed with its key, which the authority exchanges for an access token.
//!
//! Source: Microsoft's description of certificate credentials' assertions (header `x5t` or `x5t#S256`, `aud` the token
//! endpoint, a short life). `azure_identity` has such a credential of its own, but it needs OpenSSL.

use std::fmt;
use std::sync::Arc;

use azure_core::http::ClientMethodOptions;
use azure_identity::ClientAssertion;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use certroll_core::id::Thumbprint;
use certroll_core::ports::Clock;
use jiff::Timestamp;
use p12_keystore::Pkcs12Archive;
use ring::digest;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use thiserror::Error;
use zeroize::Zeroize;

use crate::words::printable;

/// How long a proof is good for, in seconds: long enough for a slow proxy, short if it leaks.
const LIFE: i64 = 600;
/// How far into the past it is valid, in seconds, for an authority whose clock is behind ours.
const LEEWAY: i64 = 60;

/// A certificate with its RSA key.
#[derive(Clone)]
pub struct ClientCertificate {
    key: Arc<RsaKeyPair>,
    x5t: String,
    x5t_s256: String,
}

/// Why a client certificate cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientCertificateError {
    /// There is no certificate in it.
    #[error("it holds no certificate; expected PEM with `CERTIFICATE` and `PRIVATE KEY`")]
    NoCertificate,
    /// There is no key in it, or one that is encrypted.
    #[error(
        "it holds no private key that can be read; expected an unencrypted `PRIVATE KEY` or `RSA PRIVATE KEY`"
    )]
    NoKey,
    /// The key is of another kind, or too small.
    #[error("its key is refused ({0}); expected RSA of 2048 bits or more")]
    Key(String),
    /// The PKCS#12 file does not open.
    #[error("it does not open as PKCS#12: {0}; is the password right?")]
    Pkcs12(String),
    /// None of the certificates belongs to the key.
    #[error("none of its certificates belongs to its key")]
    Mismatch,
}

impl ClientCertificate {
    /// Reads PEM: one private key and the certificate that belongs to it, in any order, with or without its chain.
    ///
    /// # Errors
    /// A part is missing, or they do not belong together.
    pub fn from_pem(pem: &[u8]) -> Result<Self, ClientCertificateError> {
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect();
        let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| ClientCertificateError::NoKey)?;
        Self::from_der(chain.iter().map(AsRef::as_ref), key)
    }

    /// Reads PKCS#12 (a `.pfx` file): one private key and the certificate that belongs to it.
    ///
    /// # Errors
    /// It cannot be opened with the password, or holds no such pair.
    pub fn from_pkcs12(pfx: &[u8], password: &str) -> Result<Self, ClientCertificateError> {
        let archive = Pkcs12Archive::from_pkcs12(pfx, password)
            .map_err(|reason| ClientCertificateError::Pkcs12(printable(&reason.to_string())))?;
        let [bag] = archive.keys.as_slice() else { return Err(ClientCertificateError::NoKey) };
        // The archive's own copy is its reader's and is not wiped.
        let key = PrivateKeyDer::Pkcs8(bag.key.as_der().to_vec().into());
        Self::from_der(archive.certs.iter().map(|bag| bag.cert.as_der()), key)
    }

    /// Takes certificates and their key as DER. The key is wiped.
    ///
    /// # Errors
    /// The key is not RSA, or belongs to none of the certificates.
    pub fn from_der<'a>(
        chain: impl IntoIterator<Item = &'a [u8]>,
        mut key: PrivateKeyDer<'static>,
    ) -> Result<Self, ClientCertificateError> {
        let pair = match &key {
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            _ => return Err(ClientCertificateError::Key("it is no RSA key".to_owned())),
        };
        key.zeroize();
        let pair = pair.map_err(|reason| ClientCertificateError::Key(reason.to_string()))?;
        let mut any = false;
        for der in chain {
            any = true;
            if public_key(der).as_deref() == Some(pair.public().as_ref()) {
                return Ok(Self {
                    x5t: URL_SAFE_NO_PAD.encode(Thumbprint::of_der(der).as_bytes()),
                    x5t_s256: URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, der)),
                    key: Arc::new(pair),
                });
            }
        }
        Err(if any { ClientCertificateError::Mismatch } else { ClientCertificateError::NoCertificate })
    }

    /// A proof for one token endpoint at one time.
    fn proof(
        &self,
        client_id: &str,
        audience: &str,
        now: Timestamp,
    ) -> Result<String, ring::error::Unspecified> {
        let header = json!({ "alg": "RS256", "typ": "JWT", "x5t": self.x5t, "x5t#S256": self.x5t_s256 });
        let claims = json!({
            "aud": audience,
            "iss": client_id,
            "sub": client_id,
            "jti": azure_core::Uuid::new_v4().to_string(),
            "nbf": now.as_second() - LEEWAY,
            "exp": now.as_second() + LIFE,
        });
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").field("x5t", &self.x5t).finish_non_exhaustive()
    }
}

/// The subject's public key as the certificate carries it.
fn public_key(der: &[u8]) -> Option<Vec<u8>> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    Some(certificate.public_key().subject_public_key.data.to_vec())
}

/// Makes proofs for `azure_identity`.
pub(crate) struct Proof {
    pub(crate) certificate: ClientCertificate,
    pub(crate) client_id: String,
    pub(crate) audience: String,
    pub(crate) clock: Arc<dyn Clock>,
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proof").finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl ClientAssertion for Proof {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        self.certificate.proof(&self.client_id, &self.audience, self.clock.now()).map_err(|_| {
            let kind = azure_core::error::ErrorKind::Credential;
            azure_core::Error::with_message(kind, "the client certificate's key does not sign")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    /// A key of this test and of nothing else, made by `openssl genpkey -algorithm RSA`.
    const KEY: &str = include_str!("testdata/client-key.pem");

    fn certificate_for(key: &str) -> String {
        let key = rcgen::KeyPair::from_pem(key).unwrap();
        let params = rcgen::CertificateParams::new(vec!["certroll.test".to_owned()]).unwrap();
        params.self_signed(&key).unwrap().pem()
    }

    #[test]
    fn a_proof_verifies_with_the_certificate_s_key() {
        let leaf = certificate_for(KEY);
        let pem = format!("{KEY}\n{leaf}");
        let certificate = ClientCertificate::from_pem(pem.as_bytes()).unwrap();
        let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        let audience = "https://login.chinacloudapi.cn/t/oauth2/v2.0/token";
        let proof = certificate.proof("app", audience, now).unwrap();
        let (signed, signature) = proof.rsplit_once('.').unwrap();
        let der = CertificateDer::from_pem_slice(leaf.as_bytes()).unwrap();
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public_key(&der).unwrap())
            .verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap())
            .unwrap();
        let part = |index: usize| -> serde_json::Value {
            let text = signed.split('.').nth(index).unwrap();
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
        };
        assert_eq!(part(0)["alg"], "RS256");
        let x5t = URL_SAFE_NO_PAD.encode(Thumbprint::of_der(&der).as_bytes());
        assert_eq!(part(0)["x5t"], x5t.as_str());
        assert_eq!(part(1)["aud"], audience);
        assert_eq!(part(1)["exp"], now.as_second() + 600);
    }

    #[test]
    fn pkcs12_is_read_with_its_password() {
        use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, LocalKeyId, PrivateKey, PrivateKeyChain};
        let leaf = CertificateDer::from_pem_slice(certificate_for(KEY).as_bytes()).unwrap();
        let PrivateKeyDer::Pkcs8(key) = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap() else {
            panic!("the key is PKCS#8")
        };
        let chain = PrivateKeyChain::new(
            LocalKeyId(vec![1]),
            PrivateKey::from_der(key.secret_pkcs8_der()).unwrap(),
            [Certificate::from_der(&leaf).unwrap()],
        );
        let mut store = KeyStore::new();
        store.add_entry("client", KeyStoreEntry::PrivateKeyChain(chain));
        let pfx = store.writer("password").write().unwrap();
        let found = ClientCertificate::from_pkcs12(&pfx, "password").unwrap();
        assert_eq!(found.x5t, URL_SAFE_NO_PAD.encode(Thumbprint::of_der(&leaf).as_bytes()));
        for (bytes, password) in [(&pfx[..], "other"), (&pfx[..100], "password"), (b"garbage", "")] {
            let fault = ClientCertificate::from_pkcs12(bytes, password).unwrap_err();
            assert!(matches!(fault, ClientCertificateError::Pkcs12(_)), "{fault}");
        }
    }

    #[test]
    fn what_does_not_belong_together_is_refused() {
        let other = rcgen::generate_simple_self_signed(vec!["other.test".to_owned()]).unwrap();
        let mixed = format!("{KEY}\n{}", other.cert.pem());
        let leaf = certificate_for(KEY);
        let ec = format!("{}\n{leaf}", other.signing_key.serialize_pem());
        for (pem, reason) in [
            (mixed, "none of its certificates belongs to its key"),
            (leaf, "no private key"),
            (KEY.to_owned(), "no certificate"),
            (ec, "key is refused"),
            ("garbage".to_owned(), "no private key"),
        ] {
            let found = ClientCertificate::from_pem(pem.as_bytes()).unwrap_err().to_string();
            assert!(found.contains(reason), "{found}; expected {reason}");
        }
    }
}
