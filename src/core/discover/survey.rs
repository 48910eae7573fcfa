//! What was seen of everything that is deployed, and what is still to be looked at before a service can be proposed.

use std::collections::{BTreeMap, BTreeSet};

use crate::certificate::Certificate;
use crate::cscfg::ServiceConfiguration;
use crate::id::{
    CloudServiceId, ObjectKind, ObjectName, PublicAddressId, SecretIdentifier, SourceVaultId, Thumbprint,
    VaultName,
};
use crate::plan::{Need, ObjectKey, Observation, ObservedVersion, Unreadable, VaultContent};
use crate::ports::{ListedObject, PublicAddress};
use crate::target::cloud_service::{OsProfile, SecretGroup};

/// Most objects of a collection that are looked at to find the successor of a certificate whose object is named after its
/// thumbprint. Each costs a call or two; a vault with more holds other things than the certificates of its services.
pub const CANDIDATES: usize = 200;

/// Everything that was seen. What could not be read is there with its reason, and stops nothing else.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// Services, vault objects and what their versions hold.
    pub observation: Observation,
    /// What collections of vaults hold.
    pub listings: BTreeMap<(VaultName, ObjectKind), Result<Vec<ListedObject>, Unreadable>>,
    /// Public addresses of the services.
    pub addresses: BTreeMap<PublicAddressId, Result<PublicAddress, Unreadable>>,
    /// Vaults that a person wants searched, besides those that services reference.
    pub vaults: BTreeSet<VaultName>,
    /// The port at which a person says that endpoints listen; that of HTTPS if nobody says.
    pub probe_port: Option<u16>,
    /// Resource ids of vaults, as far as they are known.
    pub vault_ids: BTreeMap<VaultName, SourceVaultId>,
}

/// One thing to look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Want {
    /// What planning asks for, too.
    Look(Need),
    /// What a collection of a vault holds.
    Listing(VaultName, ObjectKind),
    /// A public address.
    Address(PublicAddressId),
}

/// What is still unknown of one service. Empty when [`propose`](super::propose) can answer.
pub fn wants(service: &CloudServiceId, survey: &Survey) -> BTreeSet<Want> {
    let Some(Ok(model)) = survey.observation.services.get(service) else { return BTreeSet::new() };
    let (Ok(configuration), Ok(profile)) = (model.configuration(), model.os_profile()) else {
        return BTreeSet::new();
    };
    let addresses = model.public_addresses();
    let mut wanted: BTreeSet<Want> = addresses
        .into_iter()
        .filter(|address| !survey.addresses.contains_key(address))
        .map(Want::Address)
        .collect();
    let objects: BTreeSet<Want> = profile
        .urls()
        .map(ObjectKey::from)
        .filter(|key| !survey.observation.objects.contains_key(key))
        .map(|key| Want::Look(Need::Object(key)))
        .collect();
    if !objects.is_empty() {
        wanted.extend(objects);
        return wanted;
    }
    let contents: BTreeSet<Want> =
        profile.urls().filter_map(|url| survey.content_of(url, survey.kind_of(url))).collect();
    if !contents.is_empty() {
        wanted.extend(contents);
        return wanted;
    }
    wanted.extend(survey.searched(&configuration, &profile));
    wanted
}

impl Survey {
    /// Everything that could not be read, with all that is known of the reason.
    pub fn unreadable(&self) -> impl Iterator<Item = &Unreadable> {
        let observed = &self.observation;
        let services = observed.services.values().filter_map(|read| read.as_ref().err());
        let objects = observed.objects.values().filter_map(|read| read.as_ref().err());
        let contents = observed.contents.values().filter_map(|read| read.as_ref().err());
        let listings = self.listings.values().filter_map(|read| read.as_ref().err());
        let addresses = self.addresses.values().filter_map(|read| read.as_ref().err());
        services.chain(objects).chain(contents).chain(listings).chain(addresses)
    }

    /// Whether a reference belongs to a vault certificate or is a secret of its own. Open where its object cannot be read;
    /// then its version is read as a secret, which works for both.
    pub(super) fn kind_of(&self, url: &SecretIdentifier) -> ObjectKind {
        let object = self.observation.objects.get(&ObjectKey::from(url));
        object.and_then(|object| object.as_ref().ok()).map_or(ObjectKind::Secret, |object| object.kind)
    }

    /// What a version holds, where it was read.
    pub(super) fn content(&self, url: &SecretIdentifier) -> Option<&VaultContent> {
        self.observation.contents.get(url)?.as_ref().ok()
    }

    /// The newest version of an object, where it was read and has one.
    pub(super) fn newest(&self, key: &ObjectKey) -> Option<&ObservedVersion> {
        self.observation.objects.get(key)?.as_ref().ok()?.newest.as_ref().ok()
    }

    fn content_of(&self, url: &SecretIdentifier, kind: ObjectKind) -> Option<Want> {
        let read = self.observation.contents.contains_key(url);
        let need = match kind {
            ObjectKind::Certificate => Need::Certificate(url.clone()),
            ObjectKind::Secret => Need::Secret(url.clone()),
        };
        (!read).then_some(Want::Look(need))
    }

    /// The vaults in which a service's certificates are looked for.
    pub(super) fn searched_vaults(&self, profile: &OsProfile) -> BTreeSet<VaultName> {
        let of_groups = profile.groups().iter().map(SecretGroup::source_vault).map(SourceVaultId::vault);
        let of_urls = profile.urls().map(SecretIdentifier::vault);
        of_groups.chain(of_urls).chain(&self.vaults).cloned().collect()
    }

    /// Searches vaults where a reference alone does not tell what is followed: for vault certificates, where a secret or
    /// nothing that can be read carries a certificate; for more, where an object is named after its thumbprint.
    fn searched(&self, configuration: &ServiceConfiguration, profile: &OsProfile) -> BTreeSet<Want> {
        let known: BTreeSet<Thumbprint> =
            profile.urls().filter_map(|url| self.content(url)).map(VaultContent::thumbprint).collect();
        let unexplained = configuration
            .certificates()
            .iter()
            .filter_map(|entry| entry.thumbprint.known())
            .any(|thumbprint| !known.contains(&thumbprint));
        let secrets = profile.urls().any(|url| self.kind_of(url) == ObjectKind::Secret);
        let named_after: Vec<&SecretIdentifier> =
            profile.urls().filter(|url| self.is_named_after_its_thumbprint(url)).collect();
        let mut kinds = Vec::new();
        if unexplained || secrets || !named_after.is_empty() {
            kinds.push(ObjectKind::Certificate);
        }
        if !named_after.is_empty() {
            kinds.push(ObjectKind::Secret);
        }
        let vaults = self.searched_vaults(profile);
        let mut wanted = BTreeSet::new();
        for vault in &vaults {
            for kind in &kinds {
                if !self.listings.contains_key(&(vault.clone(), *kind)) {
                    wanted.insert(Want::Listing(vault.clone(), *kind));
                } else if !named_after.is_empty() {
                    wanted.extend(
                        self.candidates(vault, *kind).iter().filter_map(|key| self.candidate(key, *kind)),
                    );
                }
            }
        }
        wanted
    }

    fn candidate(&self, key: &ObjectKey, kind: ObjectKind) -> Option<Want> {
        match self.observation.objects.get(key) {
            None => Some(Want::Look(Need::Object(key.clone()))),
            Some(_) => self.content_of(&self.newest(key)?.secret, kind),
        }
    }

    /// Objects of a vault that may hold the successor of a certificate: its vault certificates, of which no key is read,
    /// and secrets that are named after a thumbprint. A secret of any other name is not opened: it may be anything.
    pub(super) fn candidates(&self, vault: &VaultName, kind: ObjectKind) -> Vec<ObjectKey> {
        let Some(Ok(listed)) = self.listings.get(&(vault.clone(), kind)) else { return Vec::new() };
        listed
            .iter()
            .filter(|object| match kind {
                ObjectKind::Certificate => true,
                ObjectKind::Secret => !object.managed && names_a_thumbprint(&object.name),
            })
            .filter(|object| object.enabled)
            .take(CANDIDATES)
            .map(|object| ObjectKey { vault: vault.clone(), name: object.name.clone(), kind: Some(kind) })
            .collect()
    }

    /// Whether the object of a reference bears the thumbprint of what it holds in its name, so that the next certificate
    /// comes under another one. Where somebody has put another certificate under the same name, the name says nothing.
    pub(super) fn is_named_after_its_thumbprint(&self, url: &SecretIdentifier) -> bool {
        match self.content(url) {
            Some(content) => {
                let newest = self.newest(&ObjectKey::from(url));
                let elsewhere = newest.is_some_and(|newest| &newest.secret != url);
                bears(url.name(), content.thumbprint()) && !elsewhere
            }
            None => names_a_thumbprint(url.name()),
        }
    }
}

/// Whether a name holds a certain thumbprint.
pub(super) fn bears(name: &ObjectName, thumbprint: Thumbprint) -> bool {
    name.as_str().to_ascii_uppercase().contains(&thumbprint.to_string())
}

/// Whether a name holds a run of exactly forty hexadecimal digits.
pub(super) fn names_a_thumbprint(name: &ObjectName) -> bool {
    const DIGITS: usize = 40;
    name.as_str().split(|c: char| !c.is_ascii_hexdigit()).any(|run| run.len() == DIGITS)
}

/// Whether a certificate can take the place of another: it is for the same subject and of the same kind, and serves the
/// names that the other one serves.
pub(super) fn continues(old: &Certificate, new: &Certificate) -> bool {
    old.subject() == new.subject()
        && old.is_ca() == new.is_ca()
        && crate::certificate::missing_names(old.names(), new.names()).is_empty()
}
