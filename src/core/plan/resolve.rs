//! Which secret of a service carries which thumbprint of its cscfg, today.

use std::collections::{BTreeMap, BTreeSet};

use super::follow::mapping_of;
use super::observation::{Observation, VaultContent};
use super::report::Violation;
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
/// reference and one thumbprint remain unexplained, or if as many of both remain and every certificate that holds one
/// of those thumbprints is mapped and so gets another.
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
    let entries_of = |thumbprint: &Thumbprint| {
        let thumbprint = *thumbprint;
        configuration.certificates().iter().filter(move |entry| entry.thumbprint.known() == Some(thumbprint))
    };
    let all_mapped =
        open.iter().all(|open| entries_of(open).all(|entry| mapping_of(policy, entry).is_some()));
    if unread.len() == open.len() && (open.len() == 1 || all_mapped) {
        for ((url, _), thumbprint) in unread.into_iter().zip(open) {
            carried.by_elimination.insert(url.clone());
            carried.by_url.insert(url, thumbprint);
        }
        return Ok(carried);
    }
    let mut violations: Vec<Violation> = open
        .iter()
        .flat_map(entries_of)
        .filter(|entry| mapping_of(policy, entry).is_none())
        .map(|entry| unresolved(entry, &unread, hint))
        .collect();
    if violations.is_empty() {
        violations.push(uneven(open.len(), &unread));
    }
    Err(violations)
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
        guard: "plan".to_owned(),
        subject: entry_subject(entry),
        expected: format!("one secret of the service that carries {}", entry.written.trim()),
        found: format!("{} references that cannot be read: {}", unread.len(), listed(unread)),
        hint: format!(
            "{readable}name its source with `[[service.certificate]]`, `name = \"{}\"`, `role = \"{}\"`, \
             `source = \"<vault>/certificates/<name>\"`",
            entry.name, entry.role
        ),
    }
}

fn uneven(open: usize, unread: &[(SecretIdentifier, String)]) -> Violation {
    Violation {
        guard: "plan".to_owned(),
        subject: "`osProfile.secrets`".to_owned(),
        expected: format!("{open} references for {open} thumbprints that no readable secret carries"),
        found: format!("{} references that cannot be read: {}", unread.len(), listed(unread)),
        hint: "make the references readable (enable or recover the versions), or take those out of `osProfile` that \
               no role needs"
            .to_owned(),
    }
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
                guard: "plan".to_owned(),
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
