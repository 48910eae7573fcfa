//! Collects what planning wants to know, and asks planning again until it wants nothing more.

use std::collections::{BTreeMap, BTreeSet};

use certroll_core::id::{CloudServiceId, SecretIdentifier};
use certroll_core::plan::{Need, Observation, Unreadable, needs, undo_needs};
use certroll_core::policy::{Policy, ServicePolicy};
use certroll_core::rollout::Rollout;
use certroll_core::standing::Standings;
use certroll_core::target::cloud_service::CloudServiceModel;
use futures::StreamExt;

use crate::contents;
use crate::objects;
use crate::outside::Outside;
use crate::patience::Patience;
use crate::world::World;

/// Calls in flight at once: a vault takes hundreds a second, the sockets and memory of this process are the limit.
pub(crate) const AT_ONCE: usize = 8;
/// From this many services of one subscription on, its list is asked for. A service's own read is one call, and the
/// list of a large subscription many pages.
const LIST_FROM: usize = 3;
/// Rounds of looking. Planning needs objects, then contents; more than a few rounds would mean that it never ends.
const ROUNDS: usize = 8;

/// Everything that planning `policy` needs. What cannot be read is in the observation with its reason.
pub(crate) async fn observe(policy: &Policy, outside: &Outside, world: &World) -> Observation {
    let standings = outside.journal.standings().await.unwrap_or_else(Standings::unknown);
    let services = services(policy, outside, world).await;
    let mut observation = Observation { services, standings, ..Observation::default() };
    for round in 1..=ROUNDS {
        let wanted: BTreeSet<Need> =
            policy.services.iter().flat_map(|service| needs(service, &observation)).collect();
        if wanted.is_empty() {
            tracing::debug!(rounds = round, "observed");
            break;
        }
        look_at(wanted, outside, world, &mut observation).await;
    }
    observation
}

/// Everything that planning the way back from a rollout needs.
pub(crate) async fn observe_for_undo(
    policy: &ServicePolicy,
    rollout: &Rollout,
    outside: &Outside,
    world: &World,
) -> Observation {
    let mut observation = Observation::default();
    let model = outside.services.read(&policy.service).await.map_err(|error| Unreadable::from(&error));
    observation.services.insert(policy.service.clone(), model);
    for _ in 1..=ROUNDS {
        let wanted = undo_needs(rollout, &observation);
        if wanted.is_empty() {
            break;
        }
        look_at(wanted, outside, world, &mut observation).await;
    }
    observation
}

pub(crate) async fn look_at(
    wanted: BTreeSet<Need>,
    outside: &Outside,
    world: &World,
    observation: &mut Observation,
) {
    let mut keys = Vec::new();
    let mut certificates = Vec::new();
    let mut secrets = Vec::new();
    let mut kept = Vec::new();
    let mut vaults = Vec::new();
    let mut instances = Vec::new();
    for need in wanted {
        match need {
            Need::Object(key) => keys.push(key),
            Need::Certificate(secret) => certificates.push(secret),
            Need::Secret(secret) => secrets.push(secret),
            Need::Kept(secret) => kept.push(secret),
            Need::Vault(vault) => vaults.push(vault),
            Need::Instances(service) => instances.push(service),
        }
    }
    observation.objects.extend(objects::newest_of(keys, outside, world).await);
    let read = futures::stream::iter(certificates)
        .map(|secret| async move {
            let read = contents::certificate(&secret, outside, world);
            (secret.clone(), patient(&secret, world, read).await)
        })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>();
    observation.contents.extend(read.await);
    let read = futures::stream::iter(secrets)
        .map(|secret| async move {
            let read = contents::secret(&secret, outside, world);
            (secret.clone(), patient(&secret, world, read).await)
        })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>();
    observation.contents.extend(read.await);
    let read = futures::stream::iter(kept)
        .map(|secret| async move {
            (secret.clone(), patient(&secret, world, objects::kept(&secret, outside)).await)
        })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>();
    observation.kept.extend(read.await);
    let read = futures::stream::iter(vaults)
        .map(|vault| async move {
            let resource = outside.services.vault(&vault).await.map_err(|error| Unreadable::from(&error));
            (vault, resource)
        })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>();
    observation.vaults.extend(read.await);
    let read = futures::stream::iter(instances)
        .map(|service| async move {
            let instances =
                outside.services.instances(&service).await.map_err(|error| Unreadable::from(&error));
            (service, instances)
        })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>();
    observation.instances.extend(read.await);
}

/// Waits for one version as long as its vault has time.
async fn patient<T>(
    secret: &SecretIdentifier,
    world: &World,
    read: impl Future<Output = Result<T, Unreadable>>,
) -> Result<T, Unreadable> {
    Patience::with(secret.vault(), world).wait(read).await
}

/// The services of the policy: by the list of their subscription where that is cheaper, else one by one.
async fn services(
    policy: &Policy,
    outside: &Outside,
    world: &World,
) -> BTreeMap<CloudServiceId, Result<CloudServiceModel, Unreadable>> {
    let mut by_subscription: BTreeMap<String, Vec<CloudServiceId>> = BTreeMap::new();
    for service in &policy.services {
        let subscription = service.service.subscription().to_ascii_lowercase();
        by_subscription.entry(subscription).or_default().push(service.service.clone());
    }
    let mut found = BTreeMap::new();
    let mut one_by_one = Vec::new();
    for (subscription, wanted) in by_subscription {
        if wanted.len() < LIST_FROM || world.lists_lack_configuration(&subscription) {
            one_by_one.extend(wanted);
            continue;
        }
        match outside.services.list(&subscription).await {
            Ok(models) => {
                let mut listed: BTreeMap<CloudServiceId, CloudServiceModel> =
                    models.into_iter().filter_map(|model| Some((model.id().ok()?, model))).collect();
                for service in wanted {
                    match listed.remove(&service) {
                        Some(model) if model.has_configuration() => {
                            found.insert(service, Ok(model));
                        }
                        Some(_) => {
                            world.remember_that_lists_lack_configuration(&subscription);
                            one_by_one.push(service);
                        }
                        // A service that is not listed is read by itself, which tells why.
                        None => one_by_one.push(service),
                    }
                }
            }
            Err(error) => {
                tracing::warn!(subscription, error = %error, "cloud services cannot be listed");
                one_by_one.extend(wanted);
            }
        }
    }
    let read = futures::stream::iter(one_by_one)
        .map(|service| async move {
            let model = outside.services.read(&service).await.map_err(|error| Unreadable::from(&error));
            (service, model)
        })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>();
    found.extend(read.await);
    found
}
