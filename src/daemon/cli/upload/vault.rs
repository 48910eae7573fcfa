//! The object in its vault: its newest version before, the new one put there, and the new one as it reads back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use certroll_core::certificate::{self, Certificate, Deployable, Packable, VersionFacts, newest};
use certroll_core::id::{ObjectKind, SecretIdentifier, Thumbprint, VaultObject, VersionId};
use certroll_core::plan::VaultContent;
use certroll_core::ports::{
    CertificateImport, Clock, FaultKind, PortError, PortFault, SecretObject, SecretValue, VaultReader,
    VaultWriter,
};

use super::parcel::Parcel;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::select::near;

/// Looks for a version whose upload went without an answer. A version is there when the vault says so; a few seconds more
/// are for an answer that was lost while the vault was still at work.
const LOOKS: u32 = 3;

/// Longest pause between two of these looks, however rarely operations are asked after: somebody waits.
const PAUSE: Duration = Duration::from_secs(1);

/// A vault object, and the ways to it.
pub(super) struct Target<'a> {
    pub(super) object: &'a VaultObject,
    pub(super) reader: Arc<dyn VaultReader>,
    pub(super) writer: Arc<dyn VaultWriter>,
    pub(super) clock: Arc<dyn Clock>,
    /// How often operations are asked after.
    pub(super) pause: Duration,
}

/// What the object has before.
pub(super) struct Before {
    pub(super) newest: Newest,
    /// Its versions, where they could be listed.
    versions: Option<BTreeSet<VersionId>>,
}

/// The newest enabled version.
pub(super) enum Newest {
    /// The object has no version that counts.
    None,
    /// It is there and cannot be read, or cannot be understood.
    Unreadable { reason: String },
    /// It is this.
    Known { version: VersionId, content: Box<VaultContent> },
}

impl Target<'_> {
    /// Looks at the object before anything is put there.
    ///
    /// # Errors
    /// The vault cannot be reached, or the name belongs to another kind of object.
    pub(super) async fn look(&self) -> Result<Before, Failure> {
        let versions = match self.reader.versions(self.object).await {
            Ok(versions) => versions,
            Err(error) if error.kind() == FaultKind::NotFound => Vec::new(),
            Err(error) if is_about_reading(&error) => {
                let newest = Newest::Unreadable { reason: error.to_string() };
                return Ok(Before { newest, versions: None });
            }
            Err(error) => return Err(failure(&error)),
        };
        let known = versions.iter().map(|facts| facts.version.clone()).collect();
        let newest = match newest(&versions) {
            Err(_) => Newest::None,
            Ok(facts) => match self.content(&facts.version).await? {
                Ok(content) => Newest::Known { version: facts.version.clone(), content: Box::new(content) },
                Err(reason) => Newest::Unreadable { reason },
            },
        };
        Ok(Before { newest, versions: Some(known) })
    }

    /// An object of the vault with nearly the same name, where the object that is named is not there. One list; without an
    /// answer nothing is said.
    pub(super) async fn alike(&self) -> Option<VaultObject> {
        let VaultObject { vault, kind, name } = self.object;
        let listed = self.reader.list(vault, *kind).await.ok()?;
        if listed.iter().any(|object| object.name == *name) {
            return None;
        }
        let unmanaged = listed.iter().filter(|object| *kind == ObjectKind::Certificate || !object.managed);
        let nearest = near(name.as_str(), unmanaged.map(|object| object.name.as_str()))?;
        Some(VaultObject { vault: vault.clone(), kind: *kind, name: nearest.parse().ok()? })
    }

    /// What a version holds, or why that cannot be told.
    async fn content(&self, version: &VersionId) -> Result<Result<VaultContent, String>, Failure> {
        let VaultObject { vault, kind, name } = self.object;
        match self.reader.secret(vault, name, Some(version)).await {
            Ok(secret) if secret.managed && *kind == ObjectKind::Secret => {
                let error = format!(
                    "`{}` is the secret of a vault certificate, which sets it by itself",
                    self.object
                );
                Err(Failure::new(Exit::DataErr, error)
                    .hint(format!("upload the certificate with its key: `--to {vault}/certificates/{name}`")))
            }
            Ok(secret) => Ok(certificate::open(&secret.value, secret.content_type.as_deref())
                .map(VaultContent::of_secret)
                .map_err(|fault| fault.to_string())),
            // A certificate's metadata tell names, validity and key, if not whether the key is there.
            Err(error) if is_about_reading(&error) && *kind == ObjectKind::Certificate => {
                let read = self.reader.certificate(vault, name, Some(version)).await;
                Ok(read.map_err(|error| error.to_string()).and_then(|found| {
                    Certificate::parse(&found.der)
                        .map(VaultContent::of_certificate)
                        .map_err(|fault| fault.to_string())
                }))
            }
            Err(error) if is_about_reading(&error) => Ok(Err(error.to_string())),
            Err(error) => Err(failure(&error)),
        }
    }

    /// Puts the version there, once. Where the answer is missing, looks whether it is there.
    ///
    /// # Errors
    /// It is not there, or nobody can tell.
    pub(super) async fn put(
        &self,
        parcel: &Parcel,
        leaf: &Certificate,
        tags: BTreeMap<String, String>,
        before: &Before,
    ) -> Result<SecretIdentifier, Failure> {
        let VaultObject { vault, kind, name } = self.object;
        let put = match kind {
            ObjectKind::Certificate => {
                let import = CertificateImport {
                    value: parcel.value.clone(),
                    password: parcel.password.clone(),
                    key: leaf.key(),
                    tags,
                };
                self.writer.import_certificate(vault, name, &import).await.map(|found| found.secret)
            }
            ObjectKind::Secret => {
                let secret = SecretValue { value: parcel.value.clone(), tags };
                self.writer.set_secret(vault, name, &secret).await.map(|found| found.identifier)
            }
        };
        match put {
            Ok(identifier) => Ok(identifier),
            Err(PortError::Ambiguous(fault)) => self.find(&fault, parcel, leaf.thumbprint(), before).await,
            Err(error) => Err(failure(&error)),
        }
    }

    /// The version of an upload without an answer. A secret's value is unlike every other, since its salts are; a
    /// certificate's version is one that was not there before and has the thumbprint.
    async fn find(
        &self,
        fault: &PortFault,
        parcel: &Parcel,
        thumbprint: Thumbprint,
        before: &Before,
    ) -> Result<SecretIdentifier, Failure> {
        let unclear = |why: String| {
            Failure::new(Exit::TempFail, Unclear { fault: fault.to_string(), why }).hint(format!(
                "look at the versions of `{}` before you upload again: a second version would be rolled out like any other",
                self.object
            ))
        };
        let Some(known) = &before.versions else {
            return Err(unclear("its versions cannot be listed".to_owned()));
        };
        for look in 1..=LOOKS {
            let versions = match self.reader.versions(self.object).await {
                Ok(versions) => versions,
                Err(error) if error.kind() == FaultKind::NotFound => Vec::new(),
                Err(error) => return Err(unclear(error.to_string())),
            };
            for facts in versions.iter().filter(|facts| !known.contains(&facts.version)) {
                if self
                    .is_ours(facts, parcel, thumbprint)
                    .await
                    .map_err(|error| unclear(error.to_string()))?
                {
                    let VaultObject { vault, name, .. } = self.object;
                    return Ok(self.reader.secret_identifier(vault, name, &facts.version));
                }
            }
            if look < LOOKS {
                let until =
                    self.clock.now().checked_add(self.pause.min(PAUSE)).unwrap_or(jiff::Timestamp::MAX);
                self.clock.sleep_until(until).await;
            }
        }
        Err(unclear(format!("{LOOKS} looks have found no new version with it")))
    }

    async fn is_ours(
        &self,
        facts: &VersionFacts,
        parcel: &Parcel,
        thumbprint: Thumbprint,
    ) -> Result<bool, PortError> {
        let VaultObject { vault, kind, name } = self.object;
        match kind {
            ObjectKind::Certificate => {
                let found = self.reader.certificate(vault, name, Some(&facts.version)).await?;
                Ok(Certificate::parse(&found.der).is_ok_and(|found| found.thumbprint() == thumbprint))
            }
            ObjectKind::Secret => {
                let found = self.reader.secret(vault, name, Some(&facts.version)).await?;
                Ok(found.value == parcel.handed_out)
            }
        }
    }

    /// Reads the new version as a service will, and compares it with what was sent.
    ///
    /// # Errors
    /// It cannot be read, or is not what was sent.
    pub(super) async fn verify(
        &self,
        identifier: &SecretIdentifier,
        packable: &Packable,
    ) -> Result<(), Failure> {
        let VaultObject { vault, name, .. } = self.object;
        let secret = self.reader.secret(vault, name, Some(identifier.version())).await.map_err(|error| {
            let cause = failure(&error);
            let error = NotVerified { identifier: identifier.to_string(), reason: error.to_string() };
            Failure { hint: cause.hint, ..Failure::new(cause.exit, error) }
        })?;
        compare(&secret, packable).map_err(|reason| {
            let error = NotVerified { identifier: identifier.to_string(), reason };
            Failure::new(Exit::Protocol, error).hint(format!(
                "disable version {} before it is rolled out, and tell the makers of certroll",
                identifier.version()
            ))
        })
    }
}

fn compare(secret: &SecretObject, packable: &Packable) -> Result<(), String> {
    let read = certificate::open(&secret.value, secret.content_type.as_deref())
        .map_err(|fault| format!("it does not open: {fault}"))?;
    let expected = packable.opened().leaf.thumbprint();
    let found = read.leaf.thumbprint();
    if found != expected {
        return Err(format!("expected {expected}, found {found}"));
    }
    if read.key.matches() != packable.carries_key() {
        return Err(if packable.carries_key() {
            "expected its private key, found none that matches".to_owned()
        } else {
            "expected no private key, found one".to_owned()
        });
    }
    match read.deployable() {
        Deployable::Yes => Ok(()),
        Deployable::Uncertain(reason) | Deployable::No(reason) => Err(reason.to_owned()),
    }
}

/// Whether an error says that one may not read, or that what is there cannot be read: no reason not to write.
fn is_about_reading(error: &PortError) -> bool {
    matches!(
        error.kind(),
        FaultKind::Forbidden | FaultKind::Disabled | FaultKind::Malformed | FaultKind::NotFound
    )
}

/// A call that failed, as the end of the command.
pub(super) fn failure(error: &PortError) -> Failure {
    let exit = match error.kind() {
        FaultKind::NoToken | FaultKind::Unauthorized | FaultKind::Forbidden | FaultKind::Firewall => {
            Exit::NoPerm
        }
        FaultKind::Throttled | FaultKind::Conflict => Exit::TempFail,
        FaultKind::Disabled | FaultKind::NotFound | FaultKind::Refused => Exit::DataErr,
        FaultKind::ServiceFault | FaultKind::Unreachable | FaultKind::TimedOut => Exit::Unavailable,
        FaultKind::Malformed | FaultKind::ForeignHost => Exit::Protocol,
    };
    let hint = error.fault().hint.clone();
    Failure { hint, ..Failure::new(exit, error.clone()) }
}

#[derive(Debug, thiserror::Error)]
#[error("it is not known whether the version was stored: {fault}; {why}")]
struct Unclear {
    fault: String,
    why: String,
}

#[derive(Debug, thiserror::Error)]
#[error("`{identifier}` was stored and is not verified: {reason}")]
struct NotVerified {
    identifier: String,
    reason: String,
}
