//! Which secret each certificate of the cscfg, and each secret that no certificate names, is to be replaced by.

use std::collections::BTreeSet;

use super::follow::{follows, mapping_of};
use super::observation::{ObjectKey, ObservedVersion, VaultContent};
use super::report::{Reason, Violation};
use super::resolve::{Carried, content, entry_subject, name_its_source};
use super::service::{Halt, Service, each_once, violation};
use crate::cscfg::CertificateEntry;
use crate::id::{SecretIdentifier, SourceVaultId, Thumbprint};
use crate::policy::{CertificateMapping, Follow};
use crate::target::cloud_service::SecretGroup;

/// One replacement.
pub(super) struct Move<'a> {
    /// What is replaced.
    pub(super) what: Replaced,
    /// The mapping that asks for it, if one does.
    pub(super) mapping: Option<&'a CertificateMapping>,
    /// The version that comes.
    pub(super) newest: &'a ObservedVersion,
    /// What it holds.
    pub(super) content: &'a VaultContent,
    /// The resource id of its vault.
    pub(super) vault: SourceVaultId,
    /// The vault object, as people name it.
    pub(super) source: String,
}

/// What a replacement replaces.
pub(super) enum Replaced {
    /// The thumbprint of a certificate of the cscfg.
    Entry(CertificateEntry),
    /// A secret that no certificate of the cscfg names, such as the bootstrap certificate of an extension.
    Surplus(SecretIdentifier),
}

impl Move<'_> {
    /// What is replaced, as messages name it.
    pub(super) fn subject(&self) -> String {
        match &self.what {
            Replaced::Entry(entry) => entry_subject(entry),
            Replaced::Surplus(url) => format!("secret `{url}`, which no certificate of the cscfg names"),
        }
    }
}

/// Every replacement. What already holds the newest certificate is not among them.
pub(super) fn moves<'a>(
    service: &Service<'a>,
    carried: &Carried,
    notes: &mut Vec<String>,
) -> Result<Vec<Move<'a>>, Halt> {
    let mut moves = Vec::new();
    let mut reasons: Vec<Reason> = Vec::new();
    let mut violations: Vec<Violation> = Vec::new();
    for entry in service.configuration.certificates() {
        let mapping = mapping_of(service.policy, entry);
        let old_url = entry.thumbprint.known().and_then(|thumbprint| carried.carriers(thumbprint).next());
        let key = match (mapping, old_url) {
            (Some(mapping), _) => ObjectKey::from(&mapping.source),
            (None, Some(url)) if follows(service.policy, entry) => ObjectKey::from(url),
            (None, _) => continue,
        };
        if mapping.is_none()
            && let Some(old) = entry.thumbprint.known()
            && let Some(violation) = ambiguous(service, carried, entry, old)
        {
            violations.push(violation);
            continue;
        }
        let Some(newest) = service.newest(&key) else { continue };
        if mapping.is_none() && old_url == Some(&newest.secret) {
            continue;
        }
        let content = match opened(service, &newest.secret) {
            Ok(content) => content,
            Err(reason) => {
                reasons.push(reason);
                continue;
            }
        };
        // A secret that no longer can be read is replaced even by one that holds the same certificate, if it is known
        // which one that is.
        let stays = match old_url {
            Some(url) => !carried.by_elimination.contains(url),
            None => !carried.unexplained.is_empty(),
        };
        if entry.thumbprint.known() == Some(content.thumbprint()) && stays {
            if old_url.is_some_and(|url| url != &newest.secret) {
                notes.push(format!(
                    "the newest version of `{key}` holds the certificate that is deployed already"
                ));
            }
            continue;
        }
        match vault_of(service, &newest.secret, mapping) {
            Ok(vault) => moves.push(Move {
                what: Replaced::Entry(entry.clone()),
                mapping,
                newest,
                content,
                vault,
                source: source_name(service, &key),
            }),
            Err(violation) => violations.push(violation),
        }
    }
    if service.policy.follow == Follow::References {
        surplus(service, carried, &mut moves, &mut reasons);
    }
    if !reasons.is_empty() {
        return Err(Halt::Unreadable(each_once(reasons)));
    }
    if violations.is_empty() { Ok(moves) } else { Err(Halt::Blocked(violations)) }
}

/// A certificate that several secrets carry, of which not all have the same newest version: nobody knows which of
/// them it follows.
fn ambiguous(
    service: &Service<'_>,
    carried: &Carried,
    entry: &CertificateEntry,
    old: Thumbprint,
) -> Option<Violation> {
    let urls: Vec<&SecretIdentifier> = carried.carriers(old).collect();
    let to: BTreeSet<Thumbprint> = urls
        .iter()
        .filter_map(|url| {
            let newest = service.newest(&ObjectKey::from(*url))?;
            content(service.observation, &newest.secret).map(VaultContent::thumbprint)
        })
        .collect();
    let listed: Vec<String> = urls.iter().map(|url| format!("`{url}`")).collect();
    (to.len() > 1).then(|| {
        violation(
            &entry_subject(entry),
            &format!("that one secret of the service carries {old}, so that the certificate follows it"),
            &format!("{}, whose newest versions hold different certificates", listed.join(" and ")),
            &name_its_source(entry),
        )
    })
}

/// Secrets that no certificate of the cscfg names follow their own object.
fn surplus<'a>(
    service: &Service<'a>,
    carried: &Carried,
    moves: &mut Vec<Move<'a>>,
    reasons: &mut Vec<Reason>,
) {
    for url in service.profile.urls() {
        let named = carried.thumbprint(url).is_some_and(|thumbprint| {
            service
                .configuration
                .certificates()
                .iter()
                .any(|entry| entry.thumbprint.known() == Some(thumbprint))
        });
        let key = ObjectKey::from(url);
        let Some(newest) = service.newest(&key) else { continue };
        if named || &newest.secret == url {
            continue;
        }
        match opened(service, &newest.secret) {
            Ok(content) if carried.thumbprint(url) == Some(content.thumbprint()) => {}
            Ok(content) => {
                let vault = service
                    .profile
                    .groups()
                    .iter()
                    .find(|group| group.certificates().iter().any(|entry| entry.url() == url))
                    .map(|group| group.source_vault().clone());
                if let Some(vault) = vault {
                    let source = source_name(service, &key);
                    moves.push(Move {
                        what: Replaced::Surplus(url.clone()),
                        mapping: None,
                        newest,
                        content,
                        vault,
                        source,
                    });
                }
            }
            Err(reason) => reasons.push(reason),
        }
    }
}

fn opened<'a>(service: &Service<'a>, secret: &SecretIdentifier) -> Result<&'a VaultContent, Reason> {
    if let Some(content) = content(service.observation, secret) {
        return Ok(content);
    }
    Err(match service.observation.contents.get(secret) {
        Some(Err(unreadable)) => Reason { message: unreadable.reason.clone(), hint: unreadable.hint.clone() },
        _ => Reason { message: format!("`{secret}` was not looked at"), hint: None },
    })
}

/// The object with the collection that it was found in.
fn source_name(service: &Service<'_>, key: &ObjectKey) -> String {
    let kind = service
        .observation
        .objects
        .get(key)
        .and_then(|object| object.as_ref().ok())
        .map(|object| object.kind);
    ObjectKey { kind, ..key.clone() }.to_string()
}

/// The resource id of the vault that a secret is in: of the group that the service has for it, else as configured.
fn vault_of(
    service: &Service<'_>,
    secret: &SecretIdentifier,
    mapping: Option<&CertificateMapping>,
) -> Result<SourceVaultId, Violation> {
    service
        .profile
        .groups()
        .iter()
        .map(SecretGroup::source_vault)
        .find(|vault| vault.vault() == secret.vault())
        .or_else(|| mapping?.source_vault.as_ref().filter(|vault| vault.vault() == secret.vault()))
        .cloned()
        .ok_or_else(|| {
            violation(
                &format!("vault `{}`", secret.vault()),
                "its resource id, from a secret that the service has of it or from the configuration",
                "neither",
                "add `source_vault = \"/subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.KeyVault/vaults/\
                 <name>\"` to the `[[service.certificate]]`",
            )
        })
}
