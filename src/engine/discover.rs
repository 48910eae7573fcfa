//! Looks at what is deployed, of which no configuration tells yet. What is worth looking at is core's to say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use certroll_core::discover::{ProbeFinding, ProposedProbe, Survey, Want, wants};
use certroll_core::id::{CloudServiceId, ObjectKind, VaultName};
use certroll_core::plan::{Need, Unreadable};
use certroll_core::ports::{FaultKind, Inventory, ListedObject, PortError, Subscription};
use certroll_core::target::cloud_service::CloudServiceModel;
use futures::StreamExt;

use crate::observe::{AT_ONCE, look_at};
use crate::outside::Outside;
use crate::patience::Patience;
use crate::world::World;

/// Most subscriptions that are listed when nobody names any. Each costs a call at least; somebody who sees more names
/// those that hold cloud services.
pub const SUBSCRIPTIONS: usize = 500;
/// Rounds of looking: objects, contents, lists, candidates and what they hold. More would mean that it never ends.
const ROUNDS: usize = 10;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// The subscriptions; none means all that the identity sees.
    pub subscriptions: Vec<String>,
    /// Vaults to search besides those that the services reference.
    pub vaults: BTreeSet<VaultName>,
    /// Services that a configuration names already.
    pub known: BTreeSet<CloudServiceId>,
    /// The port at which endpoints listen, where it is not that of HTTPS.
    pub probe_port: Option<u16>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Discovered {
    /// The subscriptions that were listed, each with its name, if that is known.
    pub subscriptions: BTreeMap<String, Option<String>>,
    /// Services of those subscriptions that a configuration names already.
    pub known: BTreeSet<CloudServiceId>,
    /// Everything that was seen of all of them.
    pub survey: Survey,
    /// What could not be listed.
    pub failed: Vec<PortError>,
    /// Subscriptions that were named and do not exist.
    pub absent: Vec<String>,
    /// The subscriptions that the identity sees, where one that was named does not exist.
    pub seen: Vec<Subscription>,
    /// What was left out on purpose, with the reason.
    pub left_out: Vec<String>,
}

/// What is being done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Subscriptions are listed.
    Subscriptions,
    /// The services of a subscription are listed.
    Services {
        /// Which one it is, counted from 1.
        number: usize,
        /// Of how many.
        of: usize,
        /// Services found so far.
        found: usize,
    },
    /// Vaults and addresses are read.
    Reading {
        /// Services that this is for.
        services: usize,
        /// What was read so far.
        read: usize,
        /// What is to be read next, as far as it is known.
        next: usize,
    },
    /// Endpoints are tried.
    Probing {
        /// How many.
        endpoints: usize,
    },
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subscriptions => f.write_str("listing the subscriptions"),
            Self::Services { number, of, found } => {
                write!(f, "listing cloud services: subscription {number} of {of}, found so far: {found}")
            }
            Self::Reading { services, read, next } => {
                write!(
                    f,
                    "cloud services: {services}; reading their vaults and addresses: {read} of {}",
                    read + next
                )
            }
            Self::Probing { endpoints } => write!(f, "trying the endpoints: {endpoints}"),
        }
    }
}

/// Looks at every service of the scope and at everything that proposing it needs.
pub async fn discover(
    scope: &Scope,
    inventory: &dyn Inventory,
    outside: &Outside,
    watch: &(dyn Fn(Progress) + Sync),
) -> Discovered {
    let mut discovered = Discovered::default();
    watch(Progress::Subscriptions);
    let subscriptions = subscriptions(scope, inventory, &mut discovered).await;
    let mut models: BTreeMap<CloudServiceId, CloudServiceModel> = BTreeMap::new();
    for (at, subscription) in subscriptions.iter().enumerate() {
        watch(Progress::Services { number: at + 1, of: subscriptions.len(), found: models.len() });
        match outside.services.list(&subscription.id).await {
            Ok(listed) => {
                for model in listed {
                    match model.id() {
                        Ok(id) => {
                            if scope.known.contains(&id) {
                                discovered.known.insert(id.clone());
                            }
                            models.insert(id, model);
                        }
                        Err(error) => discovered.left_out.push(format!("a cloud service: {error}")),
                    }
                }
            }
            Err(error) => {
                if error.kind() == FaultKind::NotFound {
                    discovered.absent.push(subscription.id.clone());
                }
                discovered.failed.push(error);
            }
        }
        discovered.subscriptions.insert(subscription.id.clone(), subscription.name.clone());
    }
    if !discovered.absent.is_empty() && !scope.subscriptions.is_empty() {
        // For whoever mistyped one; that it fails, too, is not worth a word.
        discovered.seen = inventory.subscriptions().await.unwrap_or_default();
    }
    discovered.survey.vaults.clone_from(&scope.vaults);
    discovered.survey.probe_port = scope.probe_port;
    survey(models, &mut discovered.survey, inventory, outside, watch).await;
    if !scope.vaults.is_empty() {
        name_vaults(&subscriptions, inventory, &mut discovered).await;
    }
    discovered
}

/// The subscriptions to list.
async fn subscriptions(
    scope: &Scope,
    inventory: &dyn Inventory,
    discovered: &mut Discovered,
) -> Vec<Subscription> {
    if !scope.subscriptions.is_empty() {
        let named = |id: &String| Subscription { id: id.clone(), name: None, readable: true };
        return scope.subscriptions.iter().map(named).collect();
    }
    let mut seen = match inventory.subscriptions().await {
        Ok(seen) => seen,
        Err(error) => {
            discovered.failed.push(error);
            return Vec::new();
        }
    };
    for gone in seen.iter().filter(|subscription| !subscription.readable) {
        discovered.left_out.push(format!("subscription `{}`: it is disabled or deleted", gone.id));
    }
    seen.retain(|subscription| subscription.readable);
    if seen.len() > SUBSCRIPTIONS {
        discovered.left_out.push(format!(
            "{} subscriptions: only {SUBSCRIPTIONS} are listed where none is named; name others with `--subscription`",
            seen.len() - SUBSCRIPTIONS
        ));
        seen.truncate(SUBSCRIPTIONS);
    }
    seen
}

/// Looks at the services, and asks core again until it wants nothing more.
async fn survey(
    listed: BTreeMap<CloudServiceId, CloudServiceModel>,
    survey: &mut Survey,
    inventory: &dyn Inventory,
    outside: &Outside,
    watch: &(dyn Fn(Progress) + Sync),
) {
    let services: Vec<CloudServiceId> = listed.keys().cloned().collect();
    // Whether lists carry the cscfg is not known of every cloud.
    let models = futures::stream::iter(listed)
        .map(|(id, model)| async move {
            let model = if model.has_configuration() {
                Ok(model)
            } else {
                outside.services.read(&id).await.map_err(|error| Unreadable::from(&error))
            };
            (id, model)
        })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>();
    survey.observation.services.extend(models.await);
    for model in survey.observation.services.values().filter_map(|model| model.as_ref().ok()) {
        let Ok(profile) = model.os_profile() else { continue };
        for group in profile.groups() {
            let vault = group.source_vault();
            survey.vault_ids.entry(vault.vault().clone()).or_insert_with(|| vault.clone());
        }
    }
    let world = World::new();
    let mut read = 0;
    for _ in 0..ROUNDS {
        let wanted: BTreeSet<Want> = services.iter().flat_map(|service| wants(service, survey)).collect();
        if wanted.is_empty() {
            break;
        }
        watch(Progress::Reading { services: services.len(), read, next: wanted.len() });
        read += wanted.len();
        fetch(wanted, survey, inventory, outside, &world).await;
    }
}

async fn fetch(
    wanted: BTreeSet<Want>,
    survey: &mut Survey,
    inventory: &dyn Inventory,
    outside: &Outside,
    world: &World,
) {
    let (mut needs, mut listings, mut addresses) = (BTreeSet::<Need>::new(), Vec::new(), Vec::new());
    for want in wanted {
        match want {
            Want::Look(need) => {
                needs.insert(need);
            }
            Want::Listing(vault, kind) => listings.push((vault, kind)),
            Want::Address(address) => addresses.push(address),
        }
    }
    look_at(needs, outside, world, &mut survey.observation).await;
    let read = futures::stream::iter(listings)
        .map(|(vault, kind)| async move {
            let listed = list(&vault, kind, outside, world).await;
            ((vault, kind), listed)
        })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>();
    survey.listings.extend(read.await);
    let read = futures::stream::iter(addresses)
        .map(|id| async move {
            let address = inventory.public_address(&id).await.map_err(|error| Unreadable::from(&error));
            (id, address)
        })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>();
    survey.addresses.extend(read.await);
}

/// What a collection of a vault holds, waited for as long as the vault has time.
async fn list(
    vault: &VaultName,
    kind: ObjectKind,
    outside: &Outside,
    world: &World,
) -> Result<Vec<ListedObject>, Unreadable> {
    let listed = async { outside.vaults.list(vault, kind).await.map_err(|error| Unreadable::from(&error)) };
    Patience::with(vault, world).wait(listed).await
}

/// Resource ids of the vaults that a person named, which a mapping to one of them needs.
async fn name_vaults(subscriptions: &[Subscription], inventory: &dyn Inventory, discovered: &mut Discovered) {
    for subscription in subscriptions {
        let survey = &mut discovered.survey;
        if survey.vaults.iter().all(|vault| survey.vault_ids.contains_key(vault)) {
            return;
        }
        match inventory.vaults(&subscription.id).await {
            Ok(vaults) => {
                for vault in vaults.into_iter().filter(|vault| survey.vaults.contains(vault.vault())) {
                    survey.vault_ids.entry(vault.vault().clone()).or_insert(vault);
                }
            }
            Err(error) => discovered.failed.push(error),
        }
    }
}

/// Tries the endpoints that nobody tried, each once.
pub async fn try_endpoints<'a>(
    probes: impl Iterator<Item = &'a mut ProposedProbe>,
    outside: &Outside,
    watch: &(dyn Fn(Progress) + Sync),
) {
    let untried: Vec<_> = probes.filter(|probe| probe.finding == ProbeFinding::NotTried).collect();
    if untried.is_empty() {
        return;
    }
    watch(Progress::Probing { endpoints: untried.len() });
    futures::stream::iter(untried)
        .for_each_concurrent(AT_ONCE, |probe| async move {
            let presented = outside.probe.presented(&probe.endpoint).await;
            probe.judge(&presented);
        })
        .await;
}
