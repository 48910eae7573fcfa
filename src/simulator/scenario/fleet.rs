//! A large world, for tests of scale.

use jiff::Timestamp;

use super::{ServicePlan, Stored, certificate_of, cloud, vault};
use crate::clock::Pace;
use crate::cloud::Cloud;
use crate::names::Names;
use crate::pki::{Authority, Issued, LeafRequest};
use crate::vault::Material;

/// Vault.
pub const VAULT: &str = "fleet-kv";
/// Region.
pub const LOCATION: &str = "chinaeast2";

/// A vault of so many certificates (`tls-0000`…) and plain secrets (`text-0000`…), and so many services (`svc-0000`…),
/// of one role with two instances each. Service number n uses certificate number n, counted around.
pub fn fleet(
    certificates: usize,
    secrets: usize,
    services: usize,
    pace: Pace,
    now: Timestamp,
) -> (Cloud, Vec<Stored>) {
    let mut cloud = cloud(Names::china(), pace, now);
    vault(&mut cloud, VAULT, LOCATION);
    let issuer = Authority::root("Contoso Fleet", now);
    // Locking a PFX takes milliseconds, so only certificates that a service uses are all different.
    let distinct = services.clamp(1, certificates.max(1));
    let made: Vec<(Issued, Material)> = (0..distinct.min(certificates))
        .map(|number| {
            let issued = issuer.issue(&LeafRequest::server(&format!("svc-{number:04}.contoso.com"), now));
            let material = Material::pkcs12(&issued);
            (issued, material)
        })
        .collect();
    let stored: Vec<Stored> = (0..certificates)
        .map(|number| {
            let (issued, material) = &made[number % distinct];
            certificate_of(&mut cloud, VAULT, &format!("tls-{number:04}"), issued, material)
        })
        .collect();
    for number in 0..secrets {
        let vault = cloud.vault_mut(VAULT).expect("the vault was added");
        vault.set_secret(&format!("text-{number:04}"), "a connection string", None, now);
    }
    for number in 0..services {
        let mut plan = ServicePlan::new(&format!("svc-{number:04}"), LOCATION).role("Web", 2);
        if let Some(stored) = stored.get(number % certificates.max(1)) {
            plan = plan.certificate("Tls", stored);
        }
        plan.build(&mut cloud);
    }
    (cloud, stored)
}
