//! The world of the demo and of most tests: in Azure China, a vault `shop-kv` and a service `shop` with two roles. Its
//! leaf is a vault certificate; intermediate and root are JSON secrets, the case that people get stuck on.

use jiff::{SignedDuration, Timestamp};

use super::{Data, ServicePlan, Stored, certificate, cloud, json_secret, vault};
use crate::clock::Pace;
use crate::cloud::Cloud;
use crate::names::Names;
use crate::pki::{Authority, Issued, LeafRequest};

/// Vault.
pub const VAULT: &str = "shop-kv";
/// Service.
pub const SERVICE: &str = "shop";
/// Endpoint.
pub const ENDPOINT: &str = "https";
/// Region.
pub const LOCATION: &str = "chinaeast2";
/// Name that the leaf is for.
pub const DNS_NAME: &str = "shop.contoso.com";
/// Vault certificate of the leaf.
pub const LEAF: &str = "shop-tls";
/// Secret of the intermediate.
pub const INTERMEDIATE: &str = "contoso-intermediate";
/// Secret of the root.
pub const ROOT: &str = "contoso-root";
/// What is left of the first leaf.
const REMAINING: SignedDuration = SignedDuration::from_hours(24 * 12);
/// How long the first leaf has been valid.
const AGE: SignedDuration = SignedDuration::from_hours(24 * 170);

/// The shop's certificates, as they are now in its vault.
#[derive(Clone, Debug)]
pub struct Shop {
    /// Root.
    pub root: Authority,
    /// Intermediate.
    pub intermediate: Authority,
    /// Leaf.
    pub leaf: Issued,
    /// The leaf's version in the vault.
    pub stored_leaf: Stored,
    /// The intermediate's.
    pub stored_intermediate: Stored,
    /// The root's.
    pub stored_root: Stored,
    generation: u32,
}

/// The shop in China, with everything deployed and a leaf that expires in twelve days.
pub fn shop(pace: Pace, now: Timestamp) -> (Cloud, Shop) {
    shop_in(Names::china(), LOCATION, pace, now, |plan| plan)
}

/// The shop in another cloud or region, or with a plan that is changed before it is built.
pub fn shop_in(
    names: Names,
    location: &str,
    pace: Pace,
    now: Timestamp,
    change: impl FnOnce(ServicePlan) -> ServicePlan,
) -> (Cloud, Shop) {
    let mut cloud = cloud(names, pace, now);
    vault(&mut cloud, VAULT, location);
    let root = Authority::root("Contoso Root 1", now - AGE);
    let intermediate = root.intermediate("Contoso Issuing 1", now - AGE);
    let leaf = intermediate.issue(&LeafRequest::server(DNS_NAME, now).valid(now - AGE, now + REMAINING));
    let stored_leaf = certificate(&mut cloud, VAULT, LEAF, &leaf);
    let stored_intermediate =
        json_secret(&mut cloud, VAULT, INTERMEDIATE, &intermediate.issued(), Data::CertificateOnly);
    let stored_root = json_secret(&mut cloud, VAULT, ROOT, &root.issued(), Data::CertificateOnly);
    let plan = ServicePlan::new(SERVICE, location)
        .role("Web", 2)
        .setting("Shop.TlsThumbprint", &stored_leaf.thumbprint)
        .certificate("ShopTls", &stored_leaf)
        .certificate("ContosoIntermediate", &stored_intermediate)
        .certificate("ContosoRoot", &stored_root)
        .role("Worker", 2)
        .certificate("ShopTls", &stored_leaf)
        .endpoint(ENDPOINT, "Web", "ShopTls")
        .tag("owner", "shop");
    change(plan).build(&mut cloud);
    let shop =
        Shop { root, intermediate, leaf, stored_leaf, stored_intermediate, stored_root, generation: 1 };
    (cloud, shop)
}

impl Shop {
    /// Renews everything: a new root, a new intermediate below it and a new leaf, each a new version.
    pub fn renew(&mut self, cloud: &mut Cloud) {
        let now = cloud.now();
        self.generation += 1;
        self.root = Authority::root(&format!("Contoso Root {}", self.generation), now);
        self.intermediate = self.root.intermediate(&format!("Contoso Issuing {}", self.generation), now);
        self.renew_leaf(cloud);
        self.stored_intermediate =
            json_secret(cloud, VAULT, INTERMEDIATE, &self.intermediate.issued(), Data::CertificateOnly);
        self.stored_root = json_secret(cloud, VAULT, ROOT, &self.root.issued(), Data::CertificateOnly);
    }

    /// Renews the leaf below the intermediate that is there.
    pub fn renew_leaf(&mut self, cloud: &mut Cloud) {
        let request = LeafRequest::server(DNS_NAME, cloud.now());
        self.renew_leaf_as(cloud, &request);
    }

    /// Renews the leaf as another one than it was: without a name, without serverAuth, expired, as an authority.
    pub fn renew_leaf_as(&mut self, cloud: &mut Cloud, request: &LeafRequest) {
        self.leaf = self.intermediate.issue(request);
        self.stored_leaf = certificate(cloud, VAULT, LEAF, &self.leaf);
    }

    /// Renews the leaf for another name, so that the one served so far is lost.
    pub fn renew_leaf_with_a_name_lost(&mut self, cloud: &mut Cloud) {
        let request = LeafRequest::server("other.contoso.com", cloud.now());
        self.renew_leaf_as(cloud, &request);
    }

    /// Issues the leaf from a new intermediate that is not put into the vault, so that the chain has a gap.
    pub fn renew_leaf_with_a_broken_chain(&mut self, cloud: &mut Cloud) {
        self.generation += 1;
        let name = format!("Contoso Issuing {}", self.generation);
        self.intermediate = self.root.intermediate(&name, cloud.now());
        self.renew_leaf(cloud);
    }
}
