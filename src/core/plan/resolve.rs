//! Which secret of a service carries which thumbprint of its cscfg, today.

use std::collections::{BTreeMap, BTreeSet};

use super::follow::mapping_of;
use super::observation::{Observation, VaultContent};
use super::report::{PLAN, Violation};
use crate::cscfg::{CertificateEntry, EntryThumbprint, ServiceConfiguration};
use crate::id::{SecretIdentifier, Thumbprint};
use crate::policy::ServicePolicy;
use crate::target::cloud_service::OsProfile;

/// What each secret carries.
#[derive(Debug, Default)]
pub(super) struct Carried {
    by_url: BTreeMap<SecretIdentifier, Thumbprint>,
    /// References that could not be read, and whose thumbprint was found because nothing else was left.
    pub(super) by_elimination: BTreeSet<SecretIdentifier>,
    /// References that cannot be read and that no thumbprint of the cscfg is left for.
    pub(super) unexplained: Vec<SecretIdentifier>,
}

impl Carried {
    /// The thumbprint that a secret carries, as far as it is known.
    pub(super) fn thumbprint(&self, url: &SecretIdentifier) -> Option<Thumbprint> {
        self.by_url.get(url).copied()
    }

    /// The secrets that carry a thumbprint.
    pub(super) fn carriers(&self, thumbprint: Thumbprint) -> impl Iterator<Item = &SecretIdentifier> {
        self.by_url.iter().filter(move |(_, carried)| **carried == thumbprint).map(|(url, _)| url)
    }
}

/// Reads what can be read and concludes what must be. A reference that cannot be read is matched if exactly one
/// reference and one thumbprint remain unexplained. Where every certificate that holds one of those thumbprints is
/// mapped, and so gets another secret, it does not matter which reference carries which: all of them leave, unless
/// there are more references than thumbprints. Then some of them carry nothing that the cscfg names, and all stay.
pub(super) fn resolve(
    policy: &ServicePolicy,
    configuration: &ServiceConfiguration,
    profile: &OsProfile,
    observation: &Observation,
) -> Result<Carried, Vec<Violation>> {
    let mut carried = Carried::default();
    let mut unread: Vec<(SecretIdentifier, String)> = Vec::new();
    let mut hint = None;
    for url in profile.urls() {
        match observation.contents.get(url) {
            Some(Ok(content)) => {
                carried.by_url.insert(url.clone(), content.thumbprint());
            }
            Some(Err(unreadable)) => {
                unread.push((url.clone(), unreadable.reason.clone()));
                hint = hint.or(unreadable.hint.as_deref());
            }
            None => unread.push((url.clone(), "it was not looked at".to_owned())),
        }
    }
    let known: BTreeSet<Thumbprint> = carried.by_url.values().copied().collect();
    let open: BTreeSet<Thumbprint> = configuration
        .certificates()
        .iter()
        .filter_map(|entry| entry.thumbprint.known())
        .filter(|thumbprint| !known.contains(thumbprint))
        .collect();

    if unread.is_empty() || open.is_empty() {
        carried.unexplained = unread.into_iter().map(|(url, _)| url).collect();
        return Ok(carried);
    }
    let affected: Vec<&CertificateEntry> = configuration
        .certificates()
        .iter()
        .filter(|entry| entry.thumbprint.known().is_some_and(|thumbprint| open.contains(&thumbprint)))
        .collect();
    let all_mapped = affected.iter().all(|entry| mapping_of(policy, entry).is_some());
    if (unread.len() == 1 && open.len() == 1) || (all_mapped && unread.len() <= open.len()) {
        for ((url, _), thumbprint) in unread.into_iter().zip(open) {
            carried.by_elimination.insert(url.clone());
            carried.by_url.insert(url, thumbprint);
        }
        return Ok(carried);
    }
    if all_mapped {
        carried.unexplained = unread.into_iter().map(|(url, _)| url).collect();
        return Ok(carried);
    }
    Err(affected
        .into_iter()
        .filter(|entry| mapping_of(policy, entry).is_none())
        .map(|entry| unresolved(entry, &unread, hint))
        .collect())
}

fn listed(unread: &[(SecretIdentifier, String)]) -> String {
    unread.iter().map(|(url, reason)| format!("`{url}` ({reason})")).collect::<Vec<_>>().join(", ")
}

/// A certificate of the cscfg of which nobody knows which secret carries it.
fn unresolved(
    entry: &CertificateEntry,
    unread: &[(SecretIdentifier, String)],
    hint: Option<&str>,
) -> Violation {
    let readable = hint.map_or_else(String::new, |hint| format!("{hint}; or "));
    Violation {
        guard: PLAN.to_owned(),
        subject: entry_subject(entry),
        expected: format!("one secret of the service that carries {}", entry.written.trim()),
        found: match unread {
            [_] => format!("one reference that cannot be read: {}", listed(unread)),
            several => format!("{} references that cannot be read: {}", several.len(), listed(unread)),
        },
        hint: format!("{readable}{}", name_its_source(entry)),
    }
}

/// The setting that tells where an entry's certificate comes from.
pub(super) fn name_its_source(entry: &CertificateEntry) -> String {
    format!(
        "name its source with `[[service.certificate]]`, `name = \"{}\"`, `role = \"{}\"`, \
         `source = \"<vault>/certificates/<name>\"`",
        entry.name, entry.role
    )
}

/// An entry of the cscfg, as messages name it.
pub(super) fn entry_subject(entry: &CertificateEntry) -> String {
    format!("certificate `{}` of role `{}` (cscfg line {})", entry.name, entry.role, entry.place.line)
}

/// Entries whose thumbprint cannot be read, each with the reason.
pub(super) fn unreadable_entries(configuration: &ServiceConfiguration) -> Vec<Violation> {
    configuration
        .certificates()
        .iter()
        .filter_map(|entry| match &entry.thumbprint {
            EntryThumbprint::Known(_) | EntryThumbprint::Empty => None,
            EntryThumbprint::Unreadable(reason) => Some(Violation {
                guard: PLAN.to_owned(),
                subject: entry_subject(entry),
                expected: "the 40 hexadecimal digits of a SHA-1 thumbprint".to_owned(),
                found: format!("`{}`: {reason}", entry.written.escape_debug()),
                hint:
                    "correct the thumbprint in the service configuration and update the service once by hand"
                        .to_owned(),
            }),
        })
        .collect()
}

/// The certificate that a secret carries, if it was read.
pub(super) fn content<'a>(observation: &'a Observation, url: &SecretIdentifier) -> Option<&'a VaultContent> {
    observation.contents.get(url)?.as_ref().ok()
}
