//! The newest version of each followed vault object, at the cost of the cheaper of two ways: the list pages of a
//! collection, or one call an object.

use std::collections::{BTreeMap, HashMap};

use certroll_core::certificate::{VersionFacts, newest};
use certroll_core::id::{ObjectKind, ObjectName, SecretIdentifier, VaultName, VaultObject, VersionId};
use certroll_core::plan::{NoEnabledVersion, ObjectKey, ObservedObject, ObservedVersion, Unreadable};
use certroll_core::ports::{FaultKind, ListedObject, PortError};
use futures::StreamExt;

use crate::contents;
use crate::observe::AT_ONCE;
use crate::outside::Outside;
use crate::patience::Patience;
use crate::world::{CurrentFacts, KnownObject, World};

/// Up to this many objects of a collection are asked for one by one without learning how long its list is: the list
/// costs at least one call, so little could be saved.
const FEW: usize = 4;
/// Objects on a list page.
const PAGE: usize = 25;

/// The newest version of each object.
pub(crate) async fn newest_of(
    keys: Vec<ObjectKey>,
    outside: &Outside,
    world: &World,
) -> BTreeMap<ObjectKey, Result<ObservedObject, Unreadable>> {
    let mut by_vault: BTreeMap<VaultName, Vec<ObjectKey>> = BTreeMap::new();
    for key in keys {
        by_vault.entry(key.vault.clone()).or_default().push(key);
    }
    let looked = futures::stream::iter(by_vault)
        .map(|(vault, keys)| of_vault(vault, keys, outside, world))
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>();
    looked.await.into_iter().flatten().collect()
}

async fn of_vault(
    vault: VaultName,
    keys: Vec<ObjectKey>,
    outside: &Outside,
    world: &World,
) -> Vec<(ObjectKey, Result<ObservedObject, Unreadable>)> {
    let patience = Patience::with(&vault, world);
    let mut listings: HashMap<ObjectKind, HashMap<ObjectName, ListedObject>> = HashMap::new();
    let mut failed: HashMap<ObjectKind, Unreadable> = HashMap::new();
    for kind in [ObjectKind::Certificate, ObjectKind::Secret] {
        if !worth_listing(&vault, kind, &keys, world) {
            continue;
        }
        let listed = outside.vaults.list(&vault, kind);
        let listed = async { listed.await.map_err(|error| Unreadable::from(&error)) };
        match patience.wait(listed).await {
            Ok(listed) => {
                world.remember_pages(&vault, kind, listed.len().div_ceil(PAGE).max(1));
                listings
                    .insert(kind, listed.into_iter().map(|object| (object.name.clone(), object)).collect());
            }
            Err(unreadable) => {
                tracing::warn!(vault = %vault, collection = kind.collection(), error = %unreadable.reason, "a vault cannot be listed");
                failed.insert(kind, unreadable);
            }
        }
    }
    let (listings, failed, time) = (&listings, &failed, &patience);
    let objects = futures::stream::iter(keys)
        .map(|key| async move {
            let object = time.wait(of_object(&key, listings, failed, outside, world)).await;
            (key, object)
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    patience.end();
    objects
}

/// Whether a collection's list costs less than asking for its followed objects one by one. An object whose kind is not
/// known counts for both.
fn worth_listing(vault: &VaultName, kind: ObjectKind, keys: &[ObjectKey], world: &World) -> bool {
    let followed = keys
        .iter()
        .filter(|key| match world.object(key).map(|known| known.object.kind).or(key.kind) {
            Some(known) => known == kind,
            // Listing the certificates tells which of the unknown ones are certificates.
            None => kind == ObjectKind::Certificate,
        })
        .count();
    followed > FEW && world.pages(vault, kind).is_none_or(|pages| pages <= followed)
}

async fn of_object(
    key: &ObjectKey,
    listings: &HashMap<ObjectKind, HashMap<ObjectName, ListedObject>>,
    failed: &HashMap<ObjectKind, Unreadable>,
    outside: &Outside,
    world: &World,
) -> Result<ObservedObject, Unreadable> {
    let known = world.object(key);
    let kind = known.as_ref().map(|known| known.object.kind).or(key.kind);
    if let Some(unreadable) = kind.and_then(|kind| failed.get(&kind)).filter(|unreadable| !unreadable.gone) {
        // The whole vault fails: asking for each object would only fail more often.
        if known.is_some() || failed.len() == 2 {
            return Err(unreadable.clone());
        }
    }
    if let Some(known) = &known
        && let Some(listing) = listings.get(&known.object.kind)
    {
        match (listing.get(&key.name), &known.current) {
            (Some(listed), Some(current)) if listed.enabled && unchanged(listed, current) => {
                return Ok(known.object.clone());
            }
            (Some(_), _) => {}
            (None, _) => {
                world.forget_object(key);
                return Err(Unreadable {
                    reason: format!("{} `{key}` is not in its vault's list", known.object.kind.noun()),
                    short: None,
                    hint: Some("recover it if it was deleted by mistake".to_owned()),
                    gone: true,
                });
            }
        }
    }
    let kind = kind.or_else(|| {
        let certificates = listings.get(&ObjectKind::Certificate)?;
        Some(if certificates.contains_key(&key.name) { ObjectKind::Certificate } else { ObjectKind::Secret })
    });
    let found = match kind {
        Some(ObjectKind::Certificate) => certificate(key, outside, world).await,
        Some(ObjectKind::Secret) => by_versions(key, ObjectKind::Secret, outside, world).await,
        // A reference does not tell its kind: a vault certificate if there is one of that name, else a secret. An
        // identity that may read secrets only sees every object as a secret, which works too.
        None => match certificate(key, outside, world).await {
            Err(error) if matches!(error.kind(), FaultKind::NotFound | FaultKind::Forbidden) => {
                by_versions(key, ObjectKind::Secret, outside, world).await
            }
            other => other,
        },
    };
    match found {
        Ok(mut found) => {
            keep_first_seen(&mut found.object, known.as_ref(), outside);
            world.remember_object(key, found.clone());
            Ok(found.object)
        }
        Err(error) => Err(Unreadable::from(&error)),
    }
}

fn unchanged(listed: &ListedObject, current: &CurrentFacts) -> bool {
    listed.updated == current.updated
        && (listed.thumbprint.is_none() || listed.thumbprint == current.thumbprint)
}

/// A version that was the newest at an earlier look keeps the time of that look. One that is met for the first time
/// counts from its creation, so that a process that starts does not wait for uploads that were complete long ago.
fn keep_first_seen(object: &mut ObservedObject, known: Option<&KnownObject>, outside: &Outside) {
    let Ok(version) = &mut object.newest else { return };
    let now = outside.clock.now();
    version.first_seen = match known.map(|known| &known.object.newest) {
        Some(Ok(before)) if before.secret == version.secret => before.first_seen,
        Some(_) => now,
        None => version.facts.created.map_or(now, |created| created.min(now)),
    };
}

/// One call tells the current version of a vault certificate. Where that is disabled, the versions tell.
async fn certificate(key: &ObjectKey, outside: &Outside, world: &World) -> Result<KnownObject, PortError> {
    match outside.vaults.certificate(&key.vault, &key.name, None).await {
        Ok(object) if object.facts.enabled => {
            contents::remember_met(&object, world);
            let current = CurrentFacts { updated: object.facts.updated, thumbprint: object.thumbprint };
            let newest = ObservedVersion {
                facts: object.facts,
                secret: object.secret,
                first_seen: outside.clock.now(),
            };
            let object = ObservedObject { kind: ObjectKind::Certificate, newest: Ok(newest) };
            Ok(KnownObject { object, current: Some(current) })
        }
        Ok(_) => by_versions(key, ObjectKind::Certificate, outside, world).await,
        Err(error) if error.kind() == FaultKind::Disabled => {
            by_versions(key, ObjectKind::Certificate, outside, world).await
        }
        Err(error) => Err(error),
    }
}

/// The newest enabled version by the list of versions, which carries no value.
async fn by_versions(
    key: &ObjectKey,
    kind: ObjectKind,
    outside: &Outside,
    world: &World,
) -> Result<KnownObject, PortError> {
    let object = VaultObject { vault: key.vault.clone(), kind, name: key.name.clone() };
    let versions = outside.vaults.versions(&object).await?;
    let latest = versions.iter().filter_map(|version| version.created).max();
    let among_latest = |version: &&VersionFacts| version.created == latest;
    let current_enabled = versions.iter().filter(among_latest).all(|version| version.enabled);
    let Ok(mut newest) = newest(&versions) else {
        let newest = Err(NoEnabledVersion { versions: versions.len() });
        return Ok(KnownObject { object: ObservedObject { kind, newest }, current: None });
    };
    // Key Vault tells times in whole seconds. Of two versions of one second only the vault knows which is current.
    if current_enabled && versions.iter().filter(among_latest).count() > 1 {
        let current = current_version(key, kind, outside).await?;
        newest = versions.iter().find(|version| version.version == current).unwrap_or(newest);
    }
    let (secret, thumbprint) = match kind {
        ObjectKind::Certificate => {
            let read = outside.vaults.certificate(&key.vault, &key.name, Some(&newest.version)).await?;
            contents::remember_met(&read, world);
            (read.secret, read.thumbprint)
        }
        ObjectKind::Secret => {
            (outside.vaults.secret_identifier(&key.vault, &key.name, &newest.version), None)
        }
    };
    let current = current_enabled.then_some(CurrentFacts { updated: newest.updated, thumbprint });
    let version = ObservedVersion { facts: newest.clone(), secret, first_seen: outside.clock.now() };
    Ok(KnownObject { object: ObservedObject { kind, newest: Ok(version) }, current })
}

/// Whether a version is there and enabled, by the list of its secret's versions, which carries no value and has the
/// secrets of vault certificates, too.
pub(crate) async fn kept(secret: &SecretIdentifier, outside: &Outside) -> Result<(), Unreadable> {
    let object = secret.object(ObjectKind::Secret);
    let versions = outside.vaults.versions(&object).await.map_err(|error| Unreadable::from(&error))?;
    let place = || format!("version {} of `{object}`", secret.version());
    match versions.iter().find(|version| version.version == *secret.version()) {
        Some(version) if version.enabled => Ok(()),
        Some(_) => Err(Unreadable::content(format!("{} is disabled", place()), None)),
        None => Err(Unreadable::content(format!("{} does not exist", place()), None)),
    }
}

/// Which version a vault gives where none is named.
async fn current_version(
    key: &ObjectKey,
    kind: ObjectKind,
    outside: &Outside,
) -> Result<VersionId, PortError> {
    Ok(match kind {
        ObjectKind::Certificate => {
            outside.vaults.certificate(&key.vault, &key.name, None).await?.facts.version
        }
        ObjectKind::Secret => outside.vaults.secret(&key.vault, &key.name, None).await?.facts.version,
    })
}
