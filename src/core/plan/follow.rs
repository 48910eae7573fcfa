//! Which vault object each reference and each cscfg certificate of a service follows.

use super::observation::ObjectKey;
use crate::cscfg::{CertificateEntry, EntryThumbprint, ServiceConfiguration};
use crate::id::SecretIdentifier;
use crate::policy::{CertificateMapping, Follow, ServicePolicy};
use crate::target::cloud_service::OsProfile;

/// The certificate that encrypts the password of remote desktop users. The setting beside it holds a password that
/// only this certificate opens, so that replacing it breaks the login: it is left alone unless it is mapped.
pub(crate) const REMOTE_ACCESS: &str = "Microsoft.WindowsAzure.Plugins.RemoteAccess.PasswordEncryption";

/// One thing that is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Followed {
    /// The vault object.
    pub(super) key: ObjectKey,
    /// The reference that follows it; `None` for the source of a mapping.
    pub(super) reference: Option<SecretIdentifier>,
}

/// Everything that a service follows. A reference whose certificates are all mapped elsewhere is known only once the
/// contents are, so every reference is named where references follow.
pub(super) fn followed(
    policy: &ServicePolicy,
    configuration: &ServiceConfiguration,
    profile: &OsProfile,
) -> Vec<Followed> {
    let mut all: Vec<Followed> = policy
        .certificates
        .iter()
        .filter(|mapping| configuration.certificates().iter().any(|entry| binds(mapping, entry)))
        .map(|mapping| Followed { key: ObjectKey::from(&mapping.source), reference: None })
        .collect();
    match policy.follow {
        Follow::Listed => {}
        Follow::References => {
            all.extend(
                profile
                    .urls()
                    .map(|url| Followed { key: ObjectKey::from(url), reference: Some(url.clone()) }),
            );
        }
    }
    all
}

/// Whether an entry without a mapping follows its reference.
pub(super) fn follows(policy: &ServicePolicy, entry: &CertificateEntry) -> bool {
    policy.follow == Follow::References
        && !entry.name.eq_ignore_ascii_case(REMOTE_ACCESS)
        && entry.thumbprint != EntryThumbprint::Empty
}

/// Whether a mapping is about an entry of the cscfg.
pub(super) fn binds(mapping: &CertificateMapping, entry: &CertificateEntry) -> bool {
    mapping.name.eq_ignore_ascii_case(&entry.name)
        && mapping.role.as_ref().is_none_or(|role| role == &entry.role)
}

/// The mapping of an entry: one that names the role goes before one that does not.
pub(super) fn mapping_of<'a>(
    policy: &'a ServicePolicy,
    entry: &CertificateEntry,
) -> Option<&'a CertificateMapping> {
    let fits = |mapping: &&CertificateMapping| binds(mapping, entry);
    policy
        .certificates
        .iter()
        .filter(fits)
        .find(|mapping| mapping.role.is_some())
        .or_else(|| policy.certificates.iter().find(fits))
}
