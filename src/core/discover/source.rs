//! Which vault object each certificate of a service comes from.

use std::collections::BTreeSet;

use super::probe::{Leaf, probes};
use super::proposal::{About, Finding, Mapped, NotProposed, Proposal, Source, Surplus, Unread};
use super::survey::{CANDIDATES, Survey, bears, continues};
use crate::cscfg::{CertificateEntry, EntryThumbprint, MentionKind, ServiceConfiguration};
use crate::id::{CloudServiceId, ObjectKind, SecretIdentifier, Thumbprint, VaultName, VaultObject};
use crate::plan::{ObjectKey, REMOTE_ACCESS, Unreadable, VaultContent};
use crate::policy::Mode;
use crate::target::cloud_service::{CloudServiceModel, OsProfile, SecretGroup};

/// Proposes one service.
///
/// # Errors
/// The service cannot be read, or not understood.
pub fn propose(service: &CloudServiceId, survey: &Survey) -> Result<Proposal, NotProposed> {
    let not_proposed = |reason: String, hint: Option<String>| NotProposed { reason, hint };
    let model = match survey.observation.services.get(service) {
        Some(Ok(model)) => model,
        Some(Err(unreadable)) => {
            return Err(not_proposed(unreadable.brief().to_owned(), unreadable.hint.clone()));
        }
        None => return Err(not_proposed("it was not looked at".to_owned(), None)),
    };
    let configuration = model.configuration().map_err(|error| not_proposed(chain(&error), None))?;
    let profile = model.os_profile().map_err(|error| not_proposed(chain(&error), None))?;
    let at = At { survey, configuration: &configuration, profile: &profile };
    let mut notes = Vec::new();
    let mode = if model.has_key_vault_extension() {
        notes.push(
            "the Key Vault extension rotates certificates of this service already, so that certroll only observes it: \
             take the extension away, or leave the service to it"
                .to_owned(),
        );
        Mode::Observe
    } else {
        Mode::Auto
    };
    let certificates = at.findings();
    let unread = at.unread_by_cause();
    at.truncated(&unread, &mut notes);
    let fqdns = fqdns(model, survey, &mut notes);
    let content_of = |finding: &Finding| at.content_of_thumbprint(finding.thumbprint?);
    let leaves: Vec<Leaf<'_>> = certificates
        .iter()
        .filter(|finding| !matches!(finding.source, Source::Left { .. }))
        .filter_map(|finding| Some(Leaf { finding, content: content_of(finding)? }))
        .collect();
    let probes = probes(&leaves, &fqdns, survey.probe_port, &mut notes);
    Ok(Proposal {
        service: service.clone(),
        location: model.location(),
        roles: configuration.roles().iter().map(|role| (role.name.clone(), role.instances)).collect(),
        mode,
        surplus: at.surplus(),
        unread,
        probes,
        certificates,
        notes,
    })
}

/// An error with its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        said.push_str(": ");
        said.push_str(&error.to_string());
        cause = error.source();
    }
    said
}

/// The public DNS names of a service, and why there are not more.
fn fqdns(model: &CloudServiceModel, survey: &Survey, notes: &mut Vec<String>) -> Vec<String> {
    let mut found = Vec::new();
    for id in model.public_addresses() {
        match survey.addresses.get(&id) {
            Some(Ok(address)) => match address.fqdn.as_ref().filter(|fqdn| is_host(fqdn)) {
                Some(fqdn) => found.push(fqdn.clone()),
                None => notes
                    .push(format!("no probe is proposed: public IP address `{}` has no DNS name", id.name())),
            },
            Some(Err(unreadable)) => {
                notes.push(format!("no probe is proposed: {}", with_hint(unreadable)));
            }
            None => {}
        }
    }
    found
}

fn is_host(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
}

fn with_hint(unreadable: &Unreadable) -> String {
    match &unreadable.hint {
        Some(hint) => format!("{}; {hint}", unreadable.brief()),
        None => unreadable.brief().to_owned(),
    }
}

/// One service among everything that was seen.
struct At<'a> {
    survey: &'a Survey,
    configuration: &'a ServiceConfiguration,
    profile: &'a OsProfile,
}

/// How the reference of a certificate was found.
struct Carrier<'a> {
    url: &'a SecretIdentifier,
    /// Others that carry it, too.
    others: Vec<&'a SecretIdentifier>,
    /// Nothing could be read of it: it was concluded.
    concluded: Option<&'static str>,
}

impl<'a> At<'a> {
    fn findings(&self) -> Vec<Finding> {
        let entries = self.configuration.certificates();
        let mut findings: Vec<(Finding, &CertificateEntry)> = Vec::new();
        for entry in entries {
            let same = findings.iter_mut().find(|(_, known)| {
                known.name.eq_ignore_ascii_case(&entry.name) && known.thumbprint == entry.thumbprint
            });
            if let Some((finding, _)) = same {
                finding.roles.push(entry.role.clone());
                continue;
            }
            let every_role = entries
                .iter()
                .filter(|other| other.name.eq_ignore_ascii_case(&entry.name))
                .all(|other| other.thumbprint == entry.thumbprint);
            let thumbprint = entry.thumbprint.known();
            let finding = Finding {
                name: entry.name.clone(),
                roles: vec![entry.role.clone()],
                every_role,
                thumbprint,
                about: thumbprint
                    .and_then(|thumbprint| self.content_of_thumbprint(thumbprint))
                    .map(|content| About::from(&content.leaf)),
                source: self.source(entry),
                settings: Vec::new(),
                notes: Vec::new(),
            };
            findings.push((finding, entry));
        }
        findings.into_iter().map(|(finding, _)| self.with_settings(finding)).collect()
    }

    fn source(&self, entry: &CertificateEntry) -> Source {
        if entry.name.eq_ignore_ascii_case(REMOTE_ACCESS) {
            let reason = "only this certificate opens the password of remote desktop users that a setting holds: it \
                          does not follow unless it is listed";
            return Source::Left { reason: reason.to_owned() };
        }
        match &entry.thumbprint {
            EntryThumbprint::Known(thumbprint) => self.source_of(*thumbprint),
            EntryThumbprint::Empty => {
                Source::Left { reason: "its thumbprint is empty: there is nothing to follow".to_owned() }
            }
            EntryThumbprint::Unreadable(reason) => Source::Unresolved {
                reason: format!("its thumbprint in the cscfg cannot be read: {reason}"),
                hint: Some(
                    "correct the service configuration and update the service once by hand".to_owned(),
                ),
            },
        }
    }

    fn source_of(&self, thumbprint: Thumbprint) -> Source {
        let twin = self.twin(thumbprint);
        let Some(carrier) = self.carrier(thumbprint) else {
            return match twin {
                Some(twin) => self.mapped(
                    twin.clone(),
                    format!(
                        "no reference that can be read carries it; `{twin}` holds the certificate of this thumbprint"
                    ),
                    None,
                ),
                None => self.unresolved(thumbprint),
            };
        };
        let key = ObjectKey::from(carrier.url);
        let object = match self.survey.observation.objects.get(&key) {
            Some(Ok(object)) => object,
            other => {
                return match (twin, other) {
                    (Some(twin), _) => self.mapped(
                        twin.clone(),
                        format!(
                            "the reference to `{key}` carries it and cannot be read; `{twin}` holds the same certificate"
                        ),
                        None,
                    ),
                    (None, Some(Err(unreadable))) => Source::Unresolved {
                        reason: match self.survey.content(carrier.url) {
                            Some(_) => format!("`{key}` carries it: {}", unreadable.brief()),
                            None => format!("`{key}` must carry it, and cannot be read"),
                        },
                        hint: unreadable.hint.clone(),
                    },
                    (None, _) => Source::Unresolved {
                        reason: format!("`{key}` carries it, and was not looked at"),
                        hint: None,
                    },
                };
            }
        };
        let own = carrier.url.object(object.kind);
        if object.newest.is_err() && twin.is_none() {
            return Source::Unresolved {
                reason: format!("no version of `{own}` is enabled"),
                hint: Some("enable or add a version in the vault".to_owned()),
            };
        }
        if self.survey.is_named_after_its_thumbprint(carrier.url) {
            return self.named_after(own, carrier.url, twin);
        }
        if object.kind == ObjectKind::Secret
            && let Some(twin) = twin
        {
            return self.mapped(
                twin.clone(),
                format!("secret `{own}` and vault certificate `{twin}` hold the same certificate"),
                Some(format!(
                    "which of the two is renewed? This follows the vault certificate; name `{own}` to follow the \
                     secret, and delete the other one"
                )),
            );
        }
        if self.differ(&carrier) {
            let others: Vec<String> =
                carrier.others.iter().map(|url| format!("`{}`", self.object(url))).collect();
            return self.mapped(
                own.clone(),
                format!("`{own}` and {} carry it, and their newest versions differ", others.join(", ")),
                Some("which of them is renewed for this service?".to_owned()),
            );
        }
        Source::Followed { object: own }
    }

    /// An object that bears the thumbprint of what it holds in its name: the next certificate comes under another one.
    fn named_after(&self, own: VaultObject, url: &SecretIdentifier, twin: Option<VaultObject>) -> Source {
        let named =
            format!("`{own}` is named after its thumbprint, so that the next one comes under another name");
        if let Some(twin) = twin {
            return self.mapped(
                twin.clone(),
                format!("{named}; vault certificate `{twin}` holds the same certificate and keeps its name"),
                None,
            );
        }
        let stable = "upload the next certificate under a name that stays, and name that here; or name each next object \
                      here before certroll can see it";
        match self.successor(url) {
            Some(next) if next.kind == ObjectKind::Certificate => newer(self.mapped(
                next.clone(),
                format!("{named}; vault certificate `{next}` holds a newer certificate for the same subject"),
                None,
            )),
            Some(next) => newer(self.mapped(
                next.clone(),
                format!("{named}; `{next}` holds the newest certificate for the same subject"),
                Some(format!("that one is named after its thumbprint, too: {stable}")),
            )),
            None => {
                let none = match self.survey.content(url) {
                    Some(_) => "no newer one for the same subject was found",
                    None => "what it holds cannot be read, so that no newer one could be looked for",
                };
                self.mapped(own, format!("{named}; {none}"), Some(stable.to_owned()))
            }
        }
    }

    /// The object that holds the newest certificate of all that can take the place of a deployed one, if that is another.
    /// Of two that hold the same one the vault certificate counts, whose name stays.
    fn successor(&self, url: &SecretIdentifier) -> Option<VaultObject> {
        let old = &self.survey.content(url)?.leaf;
        let mut best: Option<(&VaultContent, VaultObject)> = None;
        for vault in self.survey.searched_vaults(self.profile) {
            for kind in [ObjectKind::Secret, ObjectKind::Certificate] {
                for key in self.survey.candidates(&vault, kind) {
                    let Some(content) =
                        self.survey.newest(&key).and_then(|newest| self.survey.content(&newest.secret))
                    else {
                        continue;
                    };
                    let rank = |content: &VaultContent| (content.leaf.not_before(), content.leaf.not_after());
                    let later = best.as_ref().is_none_or(|(known, _)| rank(content) >= rank(known));
                    if later && continues(old, &content.leaf) {
                        best = Some((content, VaultObject { vault: vault.clone(), kind, name: key.name }));
                    }
                }
            }
        }
        best.filter(|(content, _)| {
            content.thumbprint() != old.thumbprint() && content.leaf.not_before() >= old.not_before()
        })
        .map(|(_, object)| object)
    }

    /// A vault certificate of which the current version has this thumbprint.
    fn twin(&self, thumbprint: Thumbprint) -> Option<VaultObject> {
        let carried_by: BTreeSet<ObjectKey> = self
            .profile
            .urls()
            .filter(|url| self.survey.kind_of(url) == ObjectKind::Certificate)
            .map(ObjectKey::from)
            .collect();
        self.survey.searched_vaults(self.profile).into_iter().find_map(|vault| {
            let listed =
                self.survey.listings.get(&(vault.clone(), ObjectKind::Certificate))?.as_ref().ok()?;
            let twin = listed.iter().find(|object| {
                let key = ObjectKey { vault: vault.clone(), name: object.name.clone(), kind: None };
                object.enabled && object.thumbprint == Some(thumbprint) && !carried_by.contains(&key)
            })?;
            Some(VaultObject { vault, kind: ObjectKind::Certificate, name: twin.name.clone() })
        })
    }

    /// The reference that carries a thumbprint: one that was read, else one whose name bears it, else the only one that is
    /// left for the only thumbprint that is left.
    fn carrier(&self, thumbprint: Thumbprint) -> Option<Carrier<'a>> {
        let read = |url: &&SecretIdentifier| {
            self.survey.content(url).is_some_and(|content| content.thumbprint() == thumbprint)
        };
        let mut carriers: Vec<&SecretIdentifier> = self.profile.urls().filter(read).collect();
        // A vault certificate renews itself: it goes before a secret.
        carriers.sort_by_key(|url| self.survey.kind_of(url) != ObjectKind::Certificate);
        if let Some((url, others)) = carriers.split_first() {
            return Some(Carrier { url, others: others.to_vec(), concluded: None });
        }
        let unread = self.unread();
        if let Some(url) = unread.iter().find(|url| bears(url.name(), thumbprint)) {
            return Some(Carrier {
                url,
                others: Vec::new(),
                concluded: Some("its name bears the thumbprint"),
            });
        }
        match (unread.as_slice(), self.unexplained().len()) {
            ([url], 1) => Some(Carrier {
                url,
                others: Vec::new(),
                concluded: Some("it is the only reference that is left for it"),
            }),
            _ => None,
        }
    }

    /// Why a carrier is believed though its version could not be read.
    fn concluded(&self, thumbprint: Thumbprint) -> Option<String> {
        let carrier = self.carrier(thumbprint)?;
        let why = carrier.concluded?;
        Some(format!("the version that is deployed cannot be read; {why}"))
    }

    fn unread(&self) -> Vec<&'a SecretIdentifier> {
        self.profile.urls().filter(|url| self.survey.content(url).is_none()).collect()
    }

    /// Thumbprints of the cscfg that no reference is known to carry.
    fn unexplained(&self) -> BTreeSet<Thumbprint> {
        let known: BTreeSet<Thumbprint> = self
            .profile
            .urls()
            .filter_map(|url| self.survey.content(url))
            .map(VaultContent::thumbprint)
            .collect();
        let entries = self.configuration.certificates().iter();
        entries
            .filter_map(|entry| entry.thumbprint.known())
            .filter(|thumbprint| !known.contains(thumbprint))
            .collect()
    }

    /// Whether references that carry the same certificate move to different ones.
    fn differ(&self, carrier: &Carrier<'_>) -> bool {
        let newest = |url: &SecretIdentifier| {
            let newest = self.survey.newest(&ObjectKey::from(url))?;
            Some(match self.survey.content(&newest.secret) {
                Some(content) => content.thumbprint().to_string(),
                None => newest.secret.to_string(),
            })
        };
        carrier.others.iter().any(|other| newest(other) != newest(carrier.url))
    }

    fn unresolved(&self, thumbprint: Thumbprint) -> Source {
        let unread = self.unread();
        let Some(first) = unread.first() else {
            return Source::Unresolved {
                reason: format!("no reference of the service carries {thumbprint}"),
                hint: Some("name the vault object that it comes from".to_owned()),
            };
        };
        let hint = unread.iter().find_map(|url| self.why_unread(url).1);
        let objects: Vec<String> = unread.iter().map(|url| format!("`{}`", self.object(url))).collect();
        let reason = match objects.len() {
            1 => format!("`{}`, which cannot be read, may carry it", self.object(first)),
            _ => format!("one of {}, which cannot be read, may carry it", objects.join(", ")),
        };
        Source::Unresolved { reason, hint }
    }

    /// Why what a reference holds is not known, and what a person can do about it.
    fn why_unread(&self, url: &SecretIdentifier) -> (String, Option<String>) {
        match self.survey.observation.contents.get(url) {
            Some(Err(unreadable)) => (unreadable.brief().to_owned(), unreadable.hint.clone()),
            _ => (format!("`{}` was not looked at", self.object(url)), None),
        }
    }

    /// References that cannot be read. Those that the same thing mends stand together: what the service said of each would
    /// be told many times over.
    fn unread_by_cause(&self) -> Vec<Unread> {
        let mut found: Vec<Unread> = Vec::new();
        for url in self.unread() {
            let object = self.object(url).to_string();
            let (reason, hint) = self.why_unread(url);
            match found.iter_mut().find(|known| hint.is_some() && known.hint == hint) {
                Some(known) => known.objects.push(object),
                None => found.push(Unread { objects: vec![object], reason, hint }),
            }
        }
        found
    }

    fn object(&self, url: &SecretIdentifier) -> VaultObject {
        url.object(self.survey.kind_of(url))
    }

    fn mapped(&self, object: VaultObject, why: String, decide: Option<String>) -> Source {
        let has_group = |vault: &VaultName| {
            self.profile.groups().iter().map(SecretGroup::source_vault).any(|group| group.vault() == vault)
        };
        let foreign = !has_group(&object.vault);
        let source_vault = foreign.then(|| self.survey.vault_ids.get(&object.vault).cloned()).flatten();
        let decide = if foreign && source_vault.is_none() {
            let add = "the service has no secret of that vault yet: add `source_vault` with the vault's resource id";
            Some(decide.map_or_else(|| add.to_owned(), |decide| format!("{decide}; {add}")))
        } else {
            decide
        };
        Source::Mapped(Mapped { object, source_vault, why, decide, newer: false })
    }

    /// Settings that repeat a certificate's thumbprint make an entry of its own necessary.
    fn with_settings(&self, mut finding: Finding) -> Finding {
        let Some(thumbprint) = finding.thumbprint else { return finding };
        if matches!(finding.source, Source::Left { .. }) {
            return finding;
        }
        if let (false, Some(note)) =
            (matches!(finding.source, Source::Unresolved { .. }), self.concluded(thumbprint))
        {
            finding.notes.push(note);
        }
        for mention in self.configuration.mentions(&thumbprint) {
            let has_its_own = self
                .configuration
                .certificates()
                .iter()
                .any(|entry| entry.role == mention.role && entry.thumbprint.known() == Some(thumbprint));
            // A setting follows the certificate of its own role, where that has one.
            if has_its_own && !finding.roles.contains(&mention.role) {
                continue;
            }
            match mention.kind {
                MentionKind::Alone | MentionKind::InList => {
                    if !finding.settings.contains(&mention.setting) {
                        finding.settings.push(mention.setting);
                    }
                }
                MentionKind::Within => finding.notes.push(format!(
                    "setting `{}` of role `{}` repeats the thumbprint within a longer text, which certroll leaves alone",
                    mention.setting, mention.role
                )),
            }
        }
        if finding.settings.is_empty() {
            return finding;
        }
        match &finding.source {
            Source::Followed { object } => {
                let settings: Vec<String> = finding.settings.iter().map(|name| format!("`{name}`")).collect();
                let why = format!("{} repeats its thumbprint and has to change with it", listed(&settings));
                finding.source = self.mapped(object.clone(), why, None);
            }
            Source::Unresolved { .. } => {
                let settings = std::mem::take(&mut finding.settings);
                finding.notes.push(format!("repeated by the settings {}", settings.join(", ")));
            }
            Source::Mapped(_) | Source::Left { .. } => {}
        }
        finding
    }

    fn content_of_thumbprint(&self, thumbprint: Thumbprint) -> Option<&'a VaultContent> {
        self.profile
            .urls()
            .filter_map(|url| self.survey.content(url))
            .find(|content| content.thumbprint() == thumbprint)
    }

    fn surplus(&self) -> Vec<Surplus> {
        let named: BTreeSet<Thumbprint> =
            self.configuration.certificates().iter().filter_map(|entry| entry.thumbprint.known()).collect();
        let carries: Vec<&SecretIdentifier> = named
            .iter()
            .filter_map(|thumbprint| self.carrier(*thumbprint))
            .map(|carrier| carrier.url)
            .collect();
        let unexplained = !self.unexplained().is_empty();
        let of = |url: &SecretIdentifier| {
            let about = match self.survey.observation.contents.get(url) {
                Some(Ok(content)) if named.contains(&content.thumbprint()) => return None,
                Some(Ok(content)) => Ok(About::from(&content.leaf)),
                // One that cannot be read may be what a certificate of the cscfg comes from.
                _ if unexplained || carries.contains(&url) => return None,
                Some(Err(unreadable)) => Err(unreadable.brief().to_owned()),
                None => Err("it was not looked at".to_owned()),
            };
            Some(Surplus { object: self.object(url).to_string(), about })
        };
        self.profile.urls().filter_map(of).collect()
    }

    /// Says where a vault could not be searched, or not to its end.
    fn truncated(&self, unread: &[Unread], notes: &mut Vec<String>) {
        for vault in self.survey.searched_vaults(self.profile) {
            for kind in [ObjectKind::Certificate, ObjectKind::Secret] {
                match self.survey.listings.get(&(vault.clone(), kind)) {
                    // Told once is enough.
                    Some(Err(unreadable))
                        if unreadable.hint.is_some()
                            && unread.iter().any(|known| known.hint == unreadable.hint) => {}
                    Some(Err(unreadable)) => notes.push(format!(
                        "vault `{vault}` could not be searched for {}: {}",
                        kind.collection(),
                        with_hint(unreadable)
                    )),
                    Some(Ok(_)) if self.survey.candidates(&vault, kind).len() >= CANDIDATES => {
                        notes.push(format!(
                            "of the {} of vault `{vault}` only the first {CANDIDATES} were searched for newer certificates",
                            kind.collection()
                        ));
                    }
                    Some(Ok(_)) | None => {}
                }
            }
        }
    }
}

/// The same for an object that holds a newer certificate than the deployed one.
fn newer(source: Source) -> Source {
    match source {
        Source::Mapped(mapped) => Source::Mapped(Mapped { newer: true, ..mapped }),
        other => other,
    }
}

/// Words as people list them.
fn listed(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [only] => format!("setting {only}"),
        [first @ .., last] => format!("each of the settings {} and {last}", first.join(", ")),
    }
}
