//! What must be looked at next, so that a service can be planned. Asked again until nothing more is wanted: the engine
//! fetches, this decides.

use std::collections::BTreeSet;

use super::follow::{Followed, followed, mapping_of};
use super::observation::{Form, ObjectKey, Observation, ObservedVersion, VaultContent};
use super::resolve::content;
use crate::cscfg::ServiceConfiguration;
use crate::id::{CloudServiceId, ObjectKind, SecretIdentifier, SourceVaultId, Thumbprint};
use crate::policy::{Guard, ServicePolicy};
use crate::target::cloud_service::{OsProfile, SecretGroup};

/// One thing to look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// The newest version of a vault object.
    Object(ObjectKey),
    /// What a version of a vault certificate is, without its key.
    Certificate(SecretIdentifier),
    /// What a secret holds, opened.
    Secret(SecretIdentifier),
    /// Whether a version that stays is still there and enabled. What it holds may be known from earlier; this is not.
    Kept(SecretIdentifier),
    /// Where a vault is.
    Vault(SourceVaultId),
    /// The role instances of a service that is to be changed.
    Instances(CloudServiceId),
}

/// What is still unknown of one service. Empty when planning can answer.
pub fn needs(policy: &ServicePolicy, observation: &Observation) -> BTreeSet<Need> {
    let Some(Ok(model)) = observation.services.get(&policy.service) else { return BTreeSet::new() };
    let (Ok(configuration), Ok(profile)) = (model.configuration(), model.os_profile()) else {
        return BTreeSet::new();
    };
    let followed = followed(policy, &configuration, &profile);

    let objects: BTreeSet<Need> = followed
        .iter()
        .filter(|followed| !observation.objects.contains_key(&followed.key))
        .map(|followed| Need::Object(followed.key.clone()))
        .collect();
    if !objects.is_empty() {
        return objects;
    }
    // A service that holds the newest version of everything needs no content, unless a mapping binds a name, or nobody
    // knows yet when what it serves ends.
    if is_settled(&followed, observation, &profile) {
        let mut known = mapped_contents(&followed, observation);
        known.extend(served_contents(&followed, &configuration, observation, &profile));
        if !known.is_empty() || mapped_names_hold(policy, &configuration, observation) {
            return known;
        }
    }
    let mut wanted = contents(policy, &configuration, &followed, observation, &profile);
    if policy.guards.holds(Guard::Placement) {
        let groups = profile.groups().iter().map(SecretGroup::source_vault);
        let mapped = policy.certificates.iter().filter_map(|mapping| mapping.source_vault.as_ref());
        let unseen = groups.chain(mapped).filter(|vault| !observation.vaults.contains_key(vault));
        wanted.extend(unseen.map(|vault| Need::Vault(vault.clone())));
    }
    if policy.guards.holds(Guard::Enabled) {
        let leaves = |url: &SecretIdentifier| {
            let mut of_url = followed.iter().filter(|followed| followed.reference.as_ref() == Some(url));
            of_url.any(|followed| {
                newest(observation, &followed.key).is_some_and(|newest| &newest.secret != url)
            })
        };
        let stay = profile.urls().filter(|url| !leaves(url) && !observation.kept.contains_key(url));
        wanted.extend(stay.map(|url| Need::Kept(url.clone())));
    }
    if !observation.instances.contains_key(&policy.service) {
        wanted.insert(Need::Instances(policy.service.clone()));
    }
    wanted
}

/// Whether every followed reference is the newest version, and every mapped source is among the secrets.
pub(super) fn is_settled(followed: &[Followed], observation: &Observation, profile: &OsProfile) -> bool {
    followed.iter().all(|followed| match observation.objects.get(&followed.key) {
        Some(Ok(object)) => match &object.newest {
            Ok(newest) => match &followed.reference {
                Some(reference) => &newest.secret == reference,
                None => profile.urls().any(|url| url == &newest.secret),
            },
            Err(_) => false,
        },
        // An object that is gone has no newest version to move to.
        Some(Err(unreadable)) => unreadable.gone && followed.reference.is_some(),
        None => false,
    })
}

/// The newest versions of mapped sources: their thumbprints show whether the mapped name holds them.
fn mapped_contents(followed: &[Followed], observation: &Observation) -> BTreeSet<Need> {
    followed
        .iter()
        .filter(|followed| followed.reference.is_none())
        .filter_map(|followed| {
            let object = observation.objects.get(&followed.key)?.as_ref().ok()?;
            let secret = &object.newest.as_ref().ok()?.secret;
            (!observation.contents.contains_key(secret)).then(|| content_need(object.kind, secret))
        })
        .collect()
}

/// What the references of a settled service hold, as long as a thumbprint of its cscfg is not explained: vault certificates
/// first, which are read without a key, then secrets. Versions never change, so that each is read once.
fn served_contents(
    followed: &[Followed],
    configuration: &ServiceConfiguration,
    observation: &Observation,
    profile: &OsProfile,
) -> BTreeSet<Need> {
    let explained: BTreeSet<Thumbprint> =
        profile.urls().filter_map(|url| content(observation, url)).map(VaultContent::thumbprint).collect();
    let mut named = configuration.certificates().iter().filter_map(|entry| entry.thumbprint.known());
    if named.all(|thumbprint| explained.contains(&thumbprint)) {
        return BTreeSet::new();
    }
    let of_kind = |wanted: ObjectKind| -> BTreeSet<Need> {
        followed
            .iter()
            .filter_map(|followed| {
                let reference = followed.reference.as_ref()?;
                let object = observation.objects.get(&followed.key)?.as_ref().ok()?;
                let unread = object.kind == wanted && !observation.contents.contains_key(reference);
                unread.then(|| content_need(object.kind, reference))
            })
            .collect()
    };
    let certificates = of_kind(ObjectKind::Certificate);
    if certificates.is_empty() { of_kind(ObjectKind::Secret) } else { certificates }
}

/// Whether each mapped name holds the newest version of its source.
pub(super) fn mapped_names_hold(
    policy: &ServicePolicy,
    configuration: &ServiceConfiguration,
    observation: &Observation,
) -> bool {
    configuration.certificates().iter().all(|entry| {
        let Some(mapping) = mapping_of(policy, entry) else { return true };
        newest(observation, &ObjectKey::from(&mapping.source))
            .and_then(|newest| content(observation, &newest.secret))
            .is_some_and(|content| entry.thumbprint.known() == Some(content.thumbprint()))
    })
}

/// The newest version of an object, if it was read and has one.
pub(super) fn newest<'a>(observation: &'a Observation, key: &ObjectKey) -> Option<&'a ObservedVersion> {
    observation.objects.get(key)?.as_ref().ok()?.newest.as_ref().ok()
}

/// Every secret that the service has, by metadata where that is enough, and every newest version that is to come,
/// opened. One that comes may be among the secrets already, when somebody has begun the change by hand.
fn contents(
    policy: &ServicePolicy,
    configuration: &ServiceConfiguration,
    followed: &[Followed],
    observation: &Observation,
    profile: &OsProfile,
) -> BTreeSet<Need> {
    let names_hold = mapped_names_hold(policy, configuration, observation);
    let mut wanted = BTreeSet::new();
    let mut incoming = BTreeSet::new();
    for followed in followed {
        let Some(newest) = newest(observation, &followed.key) else { continue };
        let stays = match &followed.reference {
            Some(reference) => &newest.secret == reference,
            None => names_hold && profile.urls().any(|url| url == &newest.secret),
        };
        if stays {
            continue;
        }
        incoming.insert(&newest.secret);
        let opened = match observation.contents.get(&newest.secret) {
            Some(Ok(content)) => content.form != Form::NotRead,
            Some(Err(_)) => true,
            None => false,
        };
        if !opened {
            wanted.insert(Need::Secret(newest.secret.clone()));
        }
    }
    for url in profile.urls().filter(|url| !incoming.contains(url) && !observation.contents.contains_key(url))
    {
        wanted.insert(content_need(kind_of(url, observation), url));
    }
    wanted
}

fn content_need(kind: ObjectKind, secret: &SecretIdentifier) -> Need {
    match kind {
        ObjectKind::Certificate => Need::Certificate(secret.clone()),
        ObjectKind::Secret => Need::Secret(secret.clone()),
    }
}

/// What a reference is, from what was learned of its object. A reference whose object is not followed is read as a
/// secret, which works for both.
fn kind_of(url: &SecretIdentifier, observation: &Observation) -> ObjectKind {
    let open = ObjectKey::from(url);
    let keys = [
        open.clone(),
        ObjectKey { kind: Some(ObjectKind::Certificate), ..open.clone() },
        ObjectKey { kind: Some(ObjectKind::Secret), ..open },
    ];
    keys.iter()
        .filter_map(|key| observation.objects.get(key))
        .find_map(|object| object.as_ref().ok())
        .map_or(ObjectKind::Secret, |object| object.kind)
}

/// Every object that a service follows: what a poll has to ask the vaults for.
pub fn followed_objects(
    policy: &ServicePolicy,
    configuration: &ServiceConfiguration,
    profile: &OsProfile,
) -> BTreeSet<ObjectKey> {
    followed(policy, configuration, profile).into_iter().map(|followed| followed.key).collect()
}
