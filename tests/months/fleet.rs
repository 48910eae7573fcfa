//! What a seed starts with: vaults, objects, services, and the policy that names them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use certroll_core::policy::{
    CertificateMapping, Follow, GuardPolicy, Mode, Policy, ProbePolicy, ProbedEndpoint, ServicePolicy, Window,
};
use certroll_core::ports::ProbeEndpoint;
use certroll_simulator::clock::{Durations, Pace};
use certroll_simulator::cloud::Cloud;
use certroll_simulator::names::Names;
use certroll_simulator::scenario::{self, ServicePlan, Stored};
use certroll_simulator::service::Service;
use certroll_simulator::service::model::UpgradeMode;
use certroll_simulator::switches::Switches;
use certroll_simulator::vault::{Kind, Vault};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::papers::{FIRST_DAY, Flavour, Made, Wanted, day_of, made, name_of, on_grid};
use super::season::URGENT;
use crate::support::chance::Chance;

/// Region of everything.
const LOCATION: &str = "chinaeast2";
/// The family of leaves whose issuers no service holds.
const PUBLIC: usize = 99;
/// Endpoint of the services that have one.
const ENDPOINT: &str = "https";

/// Everything that a seed starts with, and what is known of it without asking the cloud.
#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) vaults: Vec<String>,
    pub(super) objects: Vec<Object>,
    pub(super) services: Vec<Member>,
    pub(super) families: Vec<Family>,
    /// The thumbprint that each secret identifier stands for, in lower case.
    pub(super) carried: BTreeMap<String, String>,
}

/// An object of a vault.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) vault: String,
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) part: Part,
    pub(super) deleted: bool,
    /// In order of creation.
    pub(super) versions: Vec<Version>,
}

/// What an object's versions hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The leaf of a slot, issued by a family, with so many days of life.
    Leaf {
        slot: usize,
        family: usize,
        lifetime: i64,
    },
    Intermediate {
        family: usize,
    },
    Root {
        family: usize,
    },
}

/// A version of an object.
#[derive(Clone, Debug)]
pub(super) struct Version {
    pub(super) id: String,
    /// Its secret identifier, in lower case.
    pub(super) url: String,
    pub(super) made: Arc<Made>,
    pub(super) flavour: Flavour,
    pub(super) enabled: bool,
    pub(super) sickness: Option<Sickness>,
}

/// What becomes of every update that brings a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sickness {
    /// The operation fails.
    Fails,
    /// The first instance of the first role does not come up.
    NotReady,
    /// The instances present what they had.
    PresentsOld,
    /// The operation succeeds and leaves the service failed.
    StateFailed,
    /// The operation hangs until Azure itself gives it up.
    Hangs,
}

/// Authorities whose certificates services hold as secrets.
#[derive(Debug)]
pub(super) struct Family {
    /// The slot of the first service that it issued for: names the authorities, the same ones in every seed.
    pub(super) mark: usize,
    pub(super) generation: u32,
    pub(super) intermediate: usize,
    pub(super) root: usize,
}

/// A service, as it is known without asking the cloud.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    /// The objects that its references follow, by number.
    pub(super) objects: Vec<usize>,
    pub(super) observed: bool,
    pub(super) probed: bool,
    pub(super) window: Option<Window>,
    /// Its cscfg without thumbprints: no update may change a byte of it.
    pub(super) text: String,
}

impl Fleet {
    /// The newest enabled version of an object.
    pub(super) fn newest(&self, object: usize) -> Option<&Version> {
        let object = &self.objects[object];
        if object.deleted { None } else { object.versions.iter().rev().find(|version| version.enabled) }
    }

    /// The services that follow an object.
    pub(super) fn followers(&self, object: usize) -> impl Iterator<Item = &Member> {
        self.services.iter().filter(move |service| service.objects.contains(&object))
    }

    /// The member of that name.
    pub(super) fn member(&self, name: &str) -> Option<usize> {
        self.services.iter().position(|member| member.name == name)
    }

    /// A new version of an object, current from now on. A certificate that was issued on the same day differs.
    pub(super) fn upload(
        &mut self,
        cloud: &mut Cloud,
        chance: &mut Chance,
        object: usize,
        flavour: Flavour,
        sickness: Option<Sickness>,
    ) {
        let now = cloud.now();
        let made = self.issued(object, flavour, now);
        self.store(cloud, chance, object, &made, flavour, sickness);
    }

    fn issued(&self, object: usize, flavour: Flavour, now: Timestamp) -> Arc<Made> {
        let of =
            |family: usize| self.families.get(family).map_or((PUBLIC, 0), |one| (one.mark, one.generation));
        let versions = u32::try_from(self.objects[object].versions.len()).unwrap();
        made(match self.objects[object].part {
            Part::Leaf { slot, family, lifetime } => {
                let day = on_grid(day_of(now));
                // Where a version was issued on this day, another one is made.
                let leaf = |nth| Wanted::Leaf { slot, by: of(family), day, nth, lifetime, flavour };
                let taken = |wanted: Wanted| {
                    let made = made(wanted);
                    self.objects[object].versions.iter().any(|one| one.made.thumbprint == made.thumbprint)
                };
                (0..=versions).map(leaf).find(|wanted| !taken(*wanted)).unwrap()
            }
            Part::Intermediate { family } => Wanted::Intermediate { of: of(family) },
            Part::Root { family } => Wanted::Root { of: of(family) },
        })
    }

    /// Stores a certificate as a new version: one that is there already too, as people do who upload a file again.
    pub(super) fn store(
        &mut self,
        cloud: &mut Cloud,
        chance: &mut Chance,
        object: usize,
        made: &Arc<Made>,
        flavour: Flavour,
        sickness: Option<Sickness>,
    ) -> Stored {
        let now = cloud.now();
        let known = &mut self.objects[object];
        let vault = cloud.vault_mut(&known.vault).unwrap();
        let id = chance.version();
        match known.kind {
            Kind::Certificate => vault.create_certificate_version_as(&known.name, &id, &made.material, now),
            Kind::Secret => vault.set_secret_as(&known.name, &id, &made.value, None, now),
        };
        let stored = Stored::of(vault, known.kind, &known.name, &id, &made.issued, made.data);
        let url = stored.url.to_ascii_lowercase();
        self.carried.insert(url.clone(), made.thumbprint.clone());
        let made = Arc::clone(made);
        known.versions.push(Version { id, url, made, flavour, enabled: true, sickness });
        stored
    }

    /// Enables or disables a version.
    pub(super) fn set_enabled(&mut self, cloud: &mut Cloud, object: usize, version: usize, enabled: bool) {
        let now = cloud.now();
        let known = &mut self.objects[object];
        let version = &mut known.versions[version];
        version.enabled = enabled;
        let vault: &mut Vault = cloud.vault_mut(&known.vault).unwrap();
        vault.set_enabled(known.kind, &known.name, &version.id, enabled, now);
    }
}

/// A cscfg without its thumbprints.
pub(super) fn without_thumbprints(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut digits = String::new();
    for character in text.chars().chain(['\n']) {
        if character.is_ascii_hexdigit() {
            digits.push(character);
            continue;
        }
        out.push_str(if digits.len() == 40 { "#" } else { &digits });
        digits.clear();
        out.push(character);
    }
    out
}

/// Builds the world of a seed.
pub(super) fn build(chance: &mut Chance) -> (Cloud, Fleet, Policy) {
    let mut cloud = scenario::cloud(Names::china(), Pace::Stepped, FIRST_DAY);
    cloud.ledger.keep(0);
    cloud.durations = Durations {
        operation: Duration::from_secs(90),
        update_domain: Duration::from_secs(2 * chance.between(20, 120)),
        health_gate: Duration::from_secs(30 * 60),
    };
    // An hour is what an application's token lives. Signing one takes as long as ten requests, so that most seeds have
    // tokens that live longer.
    cloud.entra.token_lifetime = if chance.percent(8) { 3_600 } else { 20 * 86_400 };
    if chance.percent(50) {
        let turned = Switches::each_turned();
        cloud.switches = chance.pick(&turned).1;
    }
    let mut fleet = Fleet {
        vaults: (0..chance.between(2, 4)).map(|number| format!("vault-{number}")).collect(),
        objects: Vec::new(),
        services: Vec::new(),
        families: Vec::new(),
        carried: BTreeMap::new(),
    };
    for vault in &fleet.vaults {
        scenario::vault(&mut cloud, vault, LOCATION);
    }
    // Many small fleets find more than a few large ones.
    let count = if chance.percent(85) { chance.between(10, 15) } else { chance.between(16, 40) };
    let services =
        (0..usize::try_from(count).unwrap()).map(|slot| add(&mut cloud, &mut fleet, chance, slot)).collect();
    let policy = Policy {
        services,
        settle: Duration::from_secs(60 * chance.between(1, 120)),
        urgent_before_expiry: Duration::try_from(URGENT).unwrap(),
    };
    (cloud, fleet, policy)
}

/// An object with its first version, which was issued some time before the first day.
fn object(
    cloud: &mut Cloud,
    fleet: &mut Fleet,
    chance: &mut Chance,
    (vault, kind, part): (String, Kind, Part),
    name: String,
) -> (usize, Stored) {
    let number = fleet.objects.len();
    fleet.objects.push(Object { vault, name, kind, part, deleted: false, versions: Vec::new() });
    let made = match part {
        Part::Leaf { slot, family, lifetime } => {
            let age = chance.between(1, u64::try_from(lifetime).unwrap() - 10);
            let (by, flavour) = ((mark(fleet, family), 0), Flavour::Good);
            made(Wanted::Leaf {
                slot,
                by,
                day: on_grid(-i64::try_from(age).unwrap()),
                nth: 0,
                lifetime,
                flavour,
            })
        }
        Part::Intermediate { family } => made(Wanted::Intermediate { of: (mark(fleet, family), 0) }),
        Part::Root { family } => made(Wanted::Root { of: (mark(fleet, family), 0) }),
    };
    let stored = fleet.store(cloud, chance, number, &made, Flavour::Good, None);
    (number, stored)
}

fn mark(fleet: &Fleet, family: usize) -> usize {
    fleet.families.get(family).map_or(PUBLIC, |one| one.mark)
}

/// The newest version as it is deployed with a new service.
fn deployed(cloud: &Cloud, fleet: &Fleet, object: usize) -> Stored {
    let known = &fleet.objects[object];
    let version = known.versions.last().unwrap();
    let vault = cloud.vault(&known.vault).unwrap();
    Stored::of(vault, known.kind, &known.name, &version.id, &version.made.issued, version.made.data)
}

fn leaf(
    cloud: &mut Cloud,
    fleet: &mut Fleet,
    chance: &mut Chance,
    (slot, family): (usize, usize),
) -> (usize, Stored) {
    let kind = if chance.percent(70) { Kind::Certificate } else { Kind::Secret };
    let vault = chance.pick(&fleet.vaults).clone();
    let part = Part::Leaf { slot, family, lifetime: [90, 120, 150][slot % 3] };
    object(cloud, fleet, chance, (vault, kind, part), format!("tls-{slot:02}"))
}

/// The family of a service that holds its chain: sometimes that of the service before.
fn family(cloud: &mut Cloud, fleet: &mut Fleet, chance: &mut Chance, slot: usize) -> usize {
    if !fleet.families.is_empty() && chance.percent(50) {
        return fleet.families.len() - 1;
    }
    let number = fleet.families.len();
    let vault = chance.pick(&fleet.vaults).clone();
    fleet.families.push(Family { mark: slot, generation: 0, intermediate: 0, root: 0 });
    let mut authority = |part, name: &str| {
        let what = (vault.clone(), Kind::Secret, part);
        object(cloud, fleet, chance, what, format!("{name}-{number:02}")).0
    };
    let intermediate = authority(Part::Intermediate { family: number }, "issuing");
    let root = authority(Part::Root { family: number }, "root");
    let family = &mut fleet.families[number];
    (family.intermediate, family.root) = (intermediate, root);
    number
}

/// Adds a service, its objects where they are its own, and says what is asked for it.
fn add(cloud: &mut Cloud, fleet: &mut Fleet, chance: &mut Chance, slot: usize) -> ServicePolicy {
    let name = format!("svc-{slot:02}");
    let chained = chance.percent(45).then(|| family(cloud, fleet, chance, slot));
    // A certificate that two services share.
    let shared = fleet.services.last().map(|before| before.objects[0]).filter(|first| {
        let public = matches!(fleet.objects[*first].part, Part::Leaf { family: PUBLIC, .. });
        chained.is_none() && public && chance.percent(25)
    });
    let (first, stored) = match shared {
        Some(object) => (object, deployed(cloud, fleet, object)),
        None => leaf(cloud, fleet, chance, (slot, chained.unwrap_or(PUBLIC))),
    };
    let Part::Leaf { slot: named, .. } = fleet.objects[first].part else { panic!("a leaf comes first") };
    let mut objects = vec![first];
    let mut plan = ServicePlan::new(&name, LOCATION)
        .update_domains(u32::try_from(chance.between(1, 3)).unwrap())
        .tag("owner", "contoso")
        .role("Web", u32::try_from(chance.between(1, 3)).unwrap())
        .setting("Shop.Feature", "feature-0");
    let repeated = chance.percent(25);
    if repeated {
        plan = plan.setting("Shop.Thumbprint", &stored.thumbprint);
    }
    plan = plan.certificate("Tls", &stored);
    if let Some(family) = chained {
        let Family { intermediate, root, .. } = fleet.families[family];
        for (name, object) in [("Issuing", intermediate), ("Root", root)] {
            plan = plan.certificate(name, &deployed(cloud, fleet, object));
            objects.push(object);
        }
    }
    if chance.percent(40) {
        plan = plan.role("Worker", u32::try_from(chance.between(1, 2)).unwrap());
        if chance.percent(50) {
            plan = plan.certificate("Tls", &stored);
        }
        if chance.percent(40) {
            let (second, stored) = leaf(cloud, fleet, chance, (slot + 50, PUBLIC));
            plan = plan.certificate("Internal", &stored);
            objects.push(second);
        }
    }
    let probed = chance.percent(50);
    if probed {
        plan = plan.endpoint(ENDPOINT, "Web", "Tls");
    }
    plan = plan.upgrade_mode(*chance.pick(&[
        UpgradeMode::Auto,
        UpgradeMode::Auto,
        UpgradeMode::Auto,
        UpgradeMode::Auto,
        UpgradeMode::Manual,
        UpgradeMode::Simultaneous,
    ]));
    let window = chance.percent(25).then(|| window(chance));
    let observed = slot > 0 && chance.percent(4);
    let service: &Service = plan.build(cloud);
    let policy = ServicePolicy {
        service: service.id.resource_id().parse().unwrap(),
        follow: Follow::References,
        mode: if observed { Mode::Observe } else { Mode::Auto },
        certificates: if repeated { vec![mapping(&fleet.objects[first])] } else { Vec::new() },
        probe: ProbePolicy {
            endpoints: if probed { vec![probe(&name, &name_of(named))] } else { Vec::new() },
            binding: true,
        },
        guards: GuardPolicy { relaxed: BTreeSet::new(), ..GuardPolicy::default() },
        window: window.clone(),
        // One canary, then the others.
        stage: if slot == 0 { 0 } else { u32::try_from(chance.between(1, 3)).unwrap() },
    };
    let text = without_thumbprints(&service.model.configuration);
    fleet.services.push(Member { name, objects, observed, probed, window, text });
    policy
}

fn mapping(object: &Object) -> CertificateMapping {
    let collection = match object.kind {
        Kind::Certificate => "certificates",
        Kind::Secret => "secrets",
    };
    CertificateMapping {
        name: "Tls".to_owned(),
        role: None,
        source: format!("{}/{collection}/{}", object.vault, object.name).parse().unwrap(),
        source_vault: None,
        settings: vec!["Shop.Thumbprint".to_owned()],
    }
}

fn probe(service: &str, server_name: &str) -> ProbedEndpoint {
    ProbedEndpoint {
        endpoint: ProbeEndpoint {
            address: format!("{service}.{ENDPOINT}:443"),
            server_name: server_name.to_owned(),
        },
        certificate: None,
    }
}

fn window(chance: &mut Chance) -> Window {
    let weekly = *chance.pick(&["Tue-Thu 22:00-06:00", "Sat,Sun 00:00-00:00", "Mon-Sun 01:00-05:00"]);
    let zones = ["Asia/Shanghai", "UTC"];
    let zone = *chance.pick(&zones);
    let time_zone = TimeZone::get(zone).unwrap();
    Window { weekly: vec![weekly.parse().unwrap()], time_zone }
}
