//! Event Grid: what it tells of vaults, how it asks for consent, delivers, and tries again.

mod deliveries;
mod events;
mod handshakes;

use std::collections::BTreeMap;

use certroll_simulator::Simulator;
use certroll_simulator::publisher::{Courier, Delivery, SubscriptionRequest};
use certroll_simulator::scenario::shop::{self, Shop};
use certroll_simulator::vault::Kind;
use jiff::SignedDuration;

use crate::receiver::Receiver;
use crate::support::World;

/// Name of the subscription.
const NAME: &str = "Shop-Events";
/// A secret of the shop's vault.
const SECRET: &str = "plain";

/// A shop, Event Grid and a webhook.
struct Stage {
    simulator: Simulator,
    shop: Shop,
    receiver: Receiver,
}

impl Stage {
    async fn new() -> Self {
        let World { cloud, shop, .. } = World::new();
        Self { simulator: Simulator::start(cloud).await.unwrap(), shop, receiver: Receiver::start().await }
    }

    /// With the plainest subscription, and its handshake forgotten.
    async fn subscribed() -> Self {
        Self::subscribed_as(|request| request).await
    }

    async fn subscribed_as(change: impl FnOnce(SubscriptionRequest) -> SubscriptionRequest) -> Self {
        let stage = Self::new().await;
        let request = change(stage.request());
        stage.publisher().subscribe(request).await.unwrap();
        stage.receiver.take();
        stage
    }

    fn request(&self) -> SubscriptionRequest {
        SubscriptionRequest::new(NAME, shop::VAULT, self.receiver.url("/events"))
    }

    fn publisher(&self) -> Courier {
        self.simulator.publisher()
    }

    /// A new version of the leaf.
    fn renew(&mut self) {
        let Self { simulator, shop, .. } = self;
        simulator.with(|cloud| shop.renew_leaf(cloud));
    }

    /// New versions of a secret, one a second, without end.
    fn secrets(&self, count: usize) -> Vec<String> {
        let one = |_| {
            self.simulator.with(|cloud| {
                cloud.advance(std::time::Duration::from_secs(1));
                let now = cloud.now();
                cloud.vault_mut(shop::VAULT).unwrap().set_secret(SECRET, "value", None, now)
            })
        };
        (0..count).map(one).collect()
    }

    /// A version of the secret that ends in so many days.
    fn secret_until(&self, days: i64) -> String {
        self.simulator.with(|cloud| {
            let now = cloud.now();
            let vault = cloud.vault_mut(shop::VAULT).unwrap();
            let version = vault.set_secret(SECRET, "value", None, now);
            let end = now + SignedDuration::from_hours(24 * days);
            vault.set_validity(Kind::Secret, SECRET, &version, (None, Some(end)), now);
            version
        })
    }

    fn pass(&self, days: u64) {
        self.simulator.with(|cloud| cloud.advance(std::time::Duration::from_secs(days * 24 * 3600)));
    }

    /// How often each type was delivered now.
    async fn types(&self) -> BTreeMap<String, usize> {
        let mut types = BTreeMap::new();
        for delivery in self.publisher().deliver_due().await {
            *types.entry(delivery.event.event_type()).or_default() += 1;
        }
        types
    }
}

fn counted(types: &[(&str, usize)]) -> BTreeMap<String, usize> {
    types.iter().map(|(name, count)| (format!("Microsoft.KeyVault.{name}"), *count)).collect()
}

/// Versions in the order of their deliveries.
fn versions(deliveries: &[Delivery]) -> Vec<String> {
    deliveries.iter().map(|one| one.event.version.clone().unwrap_or_default()).collect()
}
