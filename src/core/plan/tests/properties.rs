//! What holds of every plan, whatever the service, its vaults and its mappings.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::json;

use super::world::{Make, World, leaf, now, source_vault, vault_id};
use crate::certificate::Certificate;
use crate::cscfg::{ServiceConfiguration, differs_beyond_certificates};
use crate::id::{ObjectKind, RoleName, Thumbprint};
use crate::plan::{Occasion, PlannedUpdate, SavedPlan, Status};
use crate::policy::{Follow, Guard};

/// Certificates made once: three generations of each of four objects, and a CA pair without leaves.
static POOL: LazyLock<Vec<Vec<Certificate>>> = LazyLock::new(|| {
    (0..4)
        .map(|_| (0..3).map(|generation| leaf("shop.contoso.com", 2024 + generation)).collect())
        .chain([(0..3)
            .map(|generation| {
                Make { years: (2020 + generation, 2040 + generation), ..Make::default() }
                    .authority()
                    .certificate
            })
            .collect()])
        .collect()
});

const VAULTS: [&str; 2] = ["shop-kv", "new-kv"];
const ROLES: [&str; 3] = ["Web", "Worker", "Api"];
const NAMES: [&str; 3] = ["ShopTls", "Client", "Root"];

/// How one vault object is: which vault it is in, whether it is a secret, the generations that it holds one after the
/// other, and which of them is deployed, if any.
#[derive(Clone, Debug)]
struct Held {
    vault: usize,
    secret: bool,
    versions: Vec<usize>,
    deployed: Option<usize>,
    disabled: Vec<bool>,
    flagged: bool,
}

#[derive(Clone, Debug)]
struct Case {
    objects: Vec<Held>,
    /// For each role and name: the object whose deployed certificate it holds, and how its thumbprint is spelt.
    entries: BTreeMap<(usize, usize), (usize, u8)>,
    /// Settings of roles: the object whose deployed thumbprint they repeat.
    settings: Vec<(usize, usize, bool)>,
    /// Name, role, source, whether its settings are named.
    mappings: Vec<(usize, Option<usize>, usize, bool)>,
    listed: bool,
    split_group: bool,
    person: bool,
}

fn held() -> impl Strategy<Value = Held> {
    (
        0..2_usize,
        any::<bool>(),
        prop::collection::vec(0..3_usize, 1..4),
        prop::option::weighted(0.85, 0..3_usize),
        prop::collection::vec(prop::bool::weighted(0.1), 3),
        prop::bool::weighted(0.2),
    )
        .prop_map(|(vault, secret, versions, deployed, disabled, flagged)| {
            let deployed = deployed.map(|place| place % versions.len());
            Held { vault, secret, versions, deployed, disabled, flagged }
        })
}

fn case() -> impl Strategy<Value = Case> {
    (
        prop::collection::vec(held(), 5),
        prop::collection::btree_map((0..3_usize, 0..3_usize), (0..5_usize, 0..3_u8), 0..6),
        prop::collection::vec((0..3_usize, 0..5_usize, any::<bool>()), 0..3),
        prop::collection::vec((0..3_usize, prop::option::of(0..3_usize), 0..5_usize, any::<bool>()), 0..3),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.2),
        any::<bool>(),
    )
        .prop_map(|(objects, entries, settings, mappings, listed, split_group, person)| Case {
            objects,
            entries,
            settings,
            mappings,
            listed,
            split_group,
            person,
        })
}

fn spelt(thumbprint: Thumbprint, how: u8) -> String {
    let text = thumbprint.to_string();
    match how {
        0 => text,
        1 => text.to_lowercase(),
        _ => format!(" {} {}", &text[..20], &text[20..]),
    }
}

fn world(case: &Case) -> World {
    let mut world = World::new();
    for (place, object) in case.objects.iter().enumerate() {
        let kind = if object.secret { ObjectKind::Secret } else { ObjectKind::Certificate };
        let vault = VAULTS[object.vault];
        for (n, generation) in object.versions.iter().enumerate() {
            let short = format!("{vault}/o{place}/{n}");
            world.holds_as(&short, kind, Ok(super::world::opened(&POOL[place][*generation])));
            world.version(&short).enabled = !object.disabled[n];
        }
        if let Some(deployed) = object.deployed {
            let id = vault_id(vault);
            let id = if case.split_group && place % 2 == 1 { id.to_uppercase() } else { id };
            let mut entry = json!({ "certificateUrl": format!("https://{vault}.vault.azure.cn:443/secrets/o{place}/{deployed}") });
            if object.flagged {
                entry["isBootstrapCertificate"] = json!(place == 0);
            }
            world.deliver(&id, entry);
        }
    }
    let holds = |object: usize| {
        let held = &case.objects[object];
        POOL[object][held.versions[held.deployed.unwrap_or(0)]].thumbprint()
    };
    let unreadable = case.objects.iter().any(|held| held.deployed.is_some_and(|place| held.disabled[place]));
    for (n, role) in ROLES.iter().enumerate() {
        world.role(role, &[]);
        for ((in_role, name), (object, spelling)) in &case.entries {
            // A service in which something is lost already and something else cannot be read cannot be told from one
            // that is whole.
            let whole = case.objects[*object].deployed.is_some() || !unreadable;
            if *in_role == n && whole {
                world.roles[n].certificates.push((NAMES[*name].to_owned(), spelt(holds(*object), *spelling)));
            }
        }
    }
    for (n, (role, object, list)) in case.settings.iter().enumerate() {
        let thumbprint = holds(*object).to_string();
        let value = if *list { format!("{thumbprint},{}", "0".repeat(40)) } else { thumbprint };
        world.setting(ROLES[*role], &format!("Setting{n}"), &value);
    }
    for (name, role, object, settings) in &case.mappings {
        let held = &case.objects[*object];
        let collection = if held.secret { "secrets" } else { "certificates" };
        let vault = VAULTS[held.vault];
        let mapping = world.map(NAMES[*name], &format!("{vault}/{collection}/o{object}"));
        mapping.role = role.map(|role| RoleName::new(ROLES[role]));
        mapping.source_vault = Some(source_vault(vault));
        if *settings {
            mapping.settings = (0..case.settings.len()).map(|n| format!("Setting{n}")).collect();
        }
    }
    if case.listed {
        world.policy.follow = Follow::Listed;
    }
    // Versions may be older than what is deployed, and leaves become CAs where a name is mapped anew.
    for guard in
        [Guard::Age, Guard::Role, Guard::Key, Guard::Chain, Guard::Names, Guard::Strength, Guard::Validity]
    {
        world.relax(guard);
    }
    world
}

/// What each wanted secret holds in truth, and whether planning could know.
fn carried_by(world: &World, update: &PlannedUpdate) -> Vec<(bool, Thumbprint)> {
    update
        .wanted
        .os_profile
        .urls()
        .filter_map(|url| {
            let object = &world.objects[&(url.vault().as_str().to_owned(), url.name().as_str().to_owned())];
            let version = object.versions.iter().find(|version| version.id == url.version().as_str())?;
            Some((version.enabled, version.content.as_ref().unwrap().thumbprint()))
        })
        .collect()
}

fn holds_for(world: &World, update: &PlannedUpdate) -> Result<(), TestCaseError> {
    let before = ServiceConfiguration::parse(world.cscfg()).unwrap();
    let after = ServiceConfiguration::parse(update.wanted.configuration.as_str()).unwrap();

    // Every thumbprint is carried by exactly one secret.
    let carried = carried_by(world, update);
    let mut seen = BTreeSet::new();
    for url in update.wanted.os_profile.urls() {
        prop_assert!(seen.insert(url.clone()), "{} twice", url);
    }
    for entry in after.certificates() {
        let Some(thumbprint) = entry.thumbprint.known() else { continue };
        let carriers: Vec<bool> =
            carried.iter().filter(|(_, held)| *held == thumbprint).map(|(known, _)| *known).collect();
        // A secret that cannot be read may hold a copy of what another brings: nobody can know.
        let known = carriers.iter().filter(|known| **known).count();
        prop_assert!(
            known == 1 || (known == 0 && !carriers.is_empty()),
            "{} of role {} is carried by {carriers:?}",
            &entry.name,
            &entry.role
        );
    }

    // The text: nothing but thumbprints of the named entries and settings.
    let named: BTreeSet<&str> = update.settings.iter().map(|setting| setting.name.as_str()).collect();
    if named.is_empty() {
        prop_assert_eq!(differs_beyond_certificates(&before, &after), None);
    }
    let undone = {
        let mut text = update.wanted.configuration.clone();
        let mut spots: Vec<(usize, usize, String)> = Vec::new();
        for (a, b) in before.certificates().iter().zip(after.certificates()) {
            if a.written != b.written {
                let change = update
                    .certificates
                    .iter()
                    .find(|change| change.role == a.role && change.name == a.name)
                    .expect("no entry changes that the plan does not name");
                prop_assert_eq!(&b.written, &change.to.to_string());
                prop_assert_eq!(a.thumbprint.known(), change.from);
                let start = text_offset(&text, &b.role, &b.name, &b.written);
                spots.push((start, b.written.len(), a.written.clone()));
            }
        }
        spots.sort_by_key(|spot| std::cmp::Reverse(spot.0));
        for (start, length, old) in spots {
            text.replace_range(start..start + length, &old);
        }
        for setting in &update.settings {
            text = text.replace(&setting.to.to_string(), &setting.from.to_string());
        }
        text
    };
    if named.is_empty() {
        prop_assert_eq!(undone, world.cscfg());
    }
    for (a, b) in before.settings().iter().zip(after.settings()) {
        prop_assert!(a.value == b.value || named.contains(a.name.as_str()), "setting {} changed", &a.name);
    }
    prop_assert_eq!(before.roles(), after.roles());
    let names = |configuration: &ServiceConfiguration| {
        configuration
            .certificates()
            .iter()
            .map(|entry| (entry.role.to_string(), entry.name.clone()))
            .collect::<Vec<_>>()
    };
    prop_assert_eq!(names(&before), names(&after));
    prop_assert_eq!(&update.expected.rest, &update.wanted.rest);

    // One group a vault, whatever the case of its id.
    let mut vaults = BTreeSet::new();
    for group in update.wanted.os_profile.groups() {
        prop_assert!(vaults.insert(group.source_vault().as_str().to_ascii_lowercase()));
        prop_assert!(!group.certificates().is_empty());
        for entry in group.certificates() {
            prop_assert_eq!(group.source_vault().vault(), entry.url().vault());
        }
    }
    // Nothing leaves that a remaining thumbprint needs: that would have left it without a carrier. Nothing comes that
    // neither a certificate needs nor follows a secret that was there.
    let old: BTreeSet<_> = world.model().os_profile().unwrap().urls().cloned().collect();
    for url in update.wanted.os_profile.urls().filter(|url| !old.contains(*url)) {
        let needed = update.certificates.iter().any(|change| &change.secret == url);
        let follows = old.iter().any(|old| old.name() == url.name() && old.vault() == url.vault());
        prop_assert!(needed || follows, "{} comes for nothing", url);
    }
    Ok(())
}

/// Where a thumbprint of the text stands, found by role and name.
fn text_offset(text: &str, role: &RoleName, name: &str, written: &str) -> usize {
    let role = text.find(&format!("<Role name=\"{role}\"")).unwrap();
    let tag = role + text[role..].find(&format!("name=\"{name}\"  thumbprint='")).unwrap();
    tag + text[tag..].find(written).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_planned_keeps_the_set_closed(case in case()) {
        let world = world(&case);
        let occasion = if case.person { Occasion::Person } else { Occasion::Unattended };
        let report = world.report(occasion);
        let Status::Planned { update } = &report.services[0].status else { return Ok(()) };
        holds_for(&world, update)?;

        let again = world.after(update).report(occasion);
        prop_assert_eq!(&again.services[0].status, &Status::Current);

        let saved = SavedPlan::new(now(), vec![(**update).clone()]);
        let text = saved.to_json();
        prop_assert_eq!(SavedPlan::read(&text).unwrap(), saved);
        let altered = text.replacen(&update.certificates.first().map_or("shop".to_owned(), |change| change.to.to_string()), &"A".repeat(40), 1);
        prop_assert!(altered == text || SavedPlan::read(&altered).is_err());
    }
}

/// The property says nothing where nothing is planned: a fair part of the cases must be.
#[test]
fn enough_of_the_cases_are_planned() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut counts = BTreeMap::<&str, usize>::new();
    for _ in 0..200 {
        let case = case().new_tree(&mut runner).unwrap().current();
        let word = match world(&case).status() {
            Status::Current => "current",
            Status::Planned { .. } => "planned",
            Status::Waiting { .. } => "waiting",
            Status::Blocked { .. } => "blocked",
            Status::Unreadable { .. } => "unreadable",
        };
        *counts.entry(word).or_default() += 1;
    }
    assert!(counts.get("planned").is_some_and(|planned| *planned >= 40), "{counts:?}");
}
