//! The certificate that a listener presents: read from files, and read again when they change, so that whatever renews it
//! need not tell certroll.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::config::read_limited;

/// Largest file: a chain with its key has some 10 KB.
const FILE: u64 = 1024 * 1024;
/// Longest chain that is presented. Clients refuse longer ones.
const CHAIN: usize = 10;

/// Where a certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and its intermediates in PEM, the leaf first.
    pub certificate: PathBuf,
    /// The private key in PEM. It may be the same file.
    pub key: PathBuf,
}

/// Why a certificate cannot be presented.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("`{path}` cannot be read: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file holds something else.
    #[error("`{path}` holds {found}; expected {expected}")]
    Content {
        /// The file.
        path: String,
        /// What it holds.
        found: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// The key is of another certificate, or of a kind that TLS does not use.
    #[error("the key in `{key}` cannot be used with the certificate in `{certificate}`: {reason}")]
    Pair {
        /// The certificate's file.
        certificate: String,
        /// The key's file.
        key: String,
        /// Why.
        reason: String,
    },
}

/// What became of a look at the files.
#[derive(Debug)]
pub enum Refreshed {
    /// They are as they were at the last look.
    Unchanged,
    /// The new certificate is presented from now on.
    Replaced,
    /// They changed, and cannot be used: what was presented before stays. Told once for each change.
    Refused(CertificateError),
}

/// What tells that a file has changed, without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    /// A file that was put in the place of another has another number.
    inode: u64,
}

impl Stamp {
    /// None for a file that is not there: that is a state as well.
    fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        let (modified, length) = (metadata.modified().ok(), metadata.len());
        Some(Self { modified, length, inode: inode(&metadata) })
    }
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}

type Stamps = [Option<Stamp>; 2];

/// The certificate that is presented now.
pub struct ServerCertificate {
    files: TlsFiles,
    provider: Arc<CryptoProvider>,
    current: RwLock<Arc<CertifiedKey>>,
    seen: Mutex<Stamps>,
}

impl std::fmt::Debug for ServerCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerCertificate").field("files", &self.files).finish_non_exhaustive()
    }
}

impl ServerCertificate {
    /// Reads the files.
    ///
    /// # Errors
    /// They cannot be read or do not belong together.
    pub fn load(files: TlsFiles) -> Result<Self, CertificateError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        // Before reading: a change meanwhile is seen as one by the next look.
        let seen = stamps(&files);
        let current = read(&files, &provider)?;
        Ok(Self { files, provider, current: RwLock::new(current), seen: Mutex::new(seen) })
    }

    /// Looks at the files, and reads them if they have changed. It blocks as long as the file system does.
    pub fn refresh(&self) -> Refreshed {
        // What the locks guard is replaced whole.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = stamps(&self.files);
        if *seen == stamps {
            return Refreshed::Unchanged;
        }
        *seen = stamps;
        match read(&self.files, &self.provider) {
            Ok(certificate) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = certificate;
                Refreshed::Replaced
            }
            Err(error) => Refreshed::Refused(error),
        }
    }

    /// TLS 1.2 and 1.3 with this certificate, HTTP/1.1.
    pub(super) fn server_config(self: &Arc<Self>) -> Result<ServerConfig, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

impl ResolvesServerCert for ServerCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn stamps(files: &TlsFiles) -> Stamps {
    [Stamp::of(&files.certificate), Stamp::of(&files.key)]
}

fn read(files: &TlsFiles, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, CertificateError> {
    let chain = chain(&files.certificate)?;
    let path = files.key.display().to_string();
    let content = Zeroizing::new(content(&files.key)?);
    let key = PrivateKeyDer::from_pem_slice(&content).map_err(|_| CertificateError::Content {
        path: path.clone(),
        found: "no private key that can be read".to_owned(),
        expected: "an unencrypted private key in PEM",
    })?;
    let pair = CertifiedKey::from_der(chain, key, provider).map_err(|error| CertificateError::Pair {
        certificate: files.certificate.display().to_string(),
        key: path,
        reason: error.to_string(),
    })?;
    Ok(Arc::new(pair))
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let bytes = content(path)?;
    let refused = |found: String| CertificateError::Content {
        path: path.display().to_string(),
        found,
        expected: "a certificate in PEM, and its intermediates after it",
    };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| refused(format!("damaged PEM ({error})")))?;
    match chain.len() {
        0 => Err(refused("no certificate".to_owned())),
        1..=CHAIN => Ok(chain),
        more => Err(refused(format!("{more} certificates"))),
    }
}

fn content(path: &Path) -> Result<Vec<u8>, CertificateError> {
    read_limited(path, FILE)
        .map_err(|source| CertificateError::File { path: path.display().to_string(), source })
}
