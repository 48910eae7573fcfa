//! What the simulated services really are, held against what certroll says of them.

use std::collections::{BTreeMap, BTreeSet};

use certroll_core::plan::{ServiceState, Status, Wait};
use certroll_core::rollout::Ending;
use certroll_simulator::cloud::Cloud;
use certroll_simulator::service::Service;
use certroll_simulator::service::instance::{Instance, InstanceState};

use super::fleet::{Fleet, Member, Sickness, without_thumbprints};
use super::journal::Course;
use super::papers::Flavour;
use super::trouble::Trouble;

/// How a service stands when a seed is over.
pub(super) type Stand = Result<&'static str, String>;

/// The secret identifiers of a service, in lower case.
fn references(service: &Service) -> BTreeSet<String> {
    service.model.certificate_urls().map(str::to_ascii_lowercase).collect()
}

pub(super) fn references_of(state: &ServiceState) -> BTreeSet<String> {
    state.os_profile.urls().map(|url| url.to_string().to_ascii_lowercase()).collect()
}

/// What must hold of a service at any time: thumbprints and references belong together, and nothing else was touched.
pub(super) fn whole(fleet: &Fleet, member: &Member, service: &Service) -> Vec<String> {
    let mut wrong = Vec::new();
    let name = &member.name;
    let carried: BTreeSet<&String> =
        references(service).iter().filter_map(|url| fleet.carried.get(url)).collect();
    let named: BTreeSet<&String> =
        service.cscfg.roles.iter().flat_map(|role| &role.certificates).map(|one| &one.thumbprint).collect();
    if carried != named {
        wrong.push(format!(
            "{name} is half changed: its cscfg names {named:?}, its secrets carry {carried:?}"
        ));
    }
    if carried.len() != service.model.certificate_urls().count() {
        wrong.push(format!("{name} references one certificate twice"));
    }
    let vaults: BTreeSet<String> =
        service.model.secrets.iter().map(|group| group.vault_id.to_ascii_lowercase()).collect();
    if vaults.len() != service.model.secrets.len() {
        wrong.push(format!("{name} has two groups for one vault"));
    }
    if without_thumbprints(&service.model.configuration) != member.text {
        wrong.push(format!("{name}: the cscfg differs in more than thumbprints"));
    }
    let settings = service.model.configuration.split("Shop.Thumbprint\" value=\"").nth(1);
    let repeated = settings.and_then(|text| text.split('"').next());
    let leaf = service.cscfg.role("Web").and_then(|role| role.certificate("Tls"));
    if let (Some(repeated), Some(leaf)) = (repeated, leaf)
        && repeated != leaf.thumbprint
    {
        wrong.push(format!("{name}: the setting repeats {repeated}, the certificate is {}", leaf.thumbprint));
    }
    wrong
}

/// Instances that do not hold what the model says.
pub(super) fn holds_other(service: &Service) -> Vec<String> {
    let differs = |instance: &&Instance| {
        let wanted: BTreeMap<&str, &str> = service
            .cscfg
            .role(&instance.role)
            .into_iter()
            .flat_map(|role| &role.certificates)
            .map(|one| (one.name.as_str(), one.thumbprint.as_str()))
            .collect();
        let held: BTreeMap<&str, &str> = instance
            .holds
            .certificates
            .iter()
            .map(|(name, one)| (name.as_str(), one.thumbprint.as_str()))
            .collect();
        wanted != held
    };
    service.instances.iter().filter(differs).map(Instance::name).collect()
}

/// What an ending says must be so at that moment.
pub(super) fn after(cloud: &Cloud, fleet: &Fleet, course: &Course) -> Vec<String> {
    let member = &fleet.services[course.service];
    let name = &member.name;
    let service = cloud.service(name).unwrap();
    let mut wrong = Vec::new();
    let state = match (&course.ending, &course.captured) {
        (Some(Ending::Verified), _) => &course.update.wanted,
        (Some(Ending::Restored { .. }), Some((captured, _))) => captured,
        (Some(Ending::Restored { .. }), None) => {
            return vec![format!("{name} is restored, and nothing was captured")];
        }
        _ => return wrong,
    };
    let word = course.ending.as_ref().map_or("", Ending::word);
    if service.operation().is_some() && service.domains_to_walk().is_empty() {
        wrong.push(format!("{name} is {word} while an operation runs"));
    }
    if !service.domains_to_walk().is_empty() {
        wrong.push(format!("{name} is {word} with update domains left to walk"));
    }
    if service.model.configuration != state.configuration || references(service) != references_of(state) {
        wrong.push(format!("{name} is {word}, and its model is another"));
    }
    // Where nobody looks at an endpoint, an instance that kept its certificates cannot be told from one that did not.
    let unseen = course.troubles.contains(&Trouble::Operation)
        || course.troubles.contains(&Trouble::Sick(Sickness::PresentsOld));
    let others = holds_other(service);
    if !others.is_empty() && !(unseen && (!member.probed || holds_leaf(service, state))) {
        wrong.push(format!("{name} is {word}, and {others:?} hold other certificates"));
    }
    if let Some((_, started)) = &course.captured {
        let up = |wanted: &&String| {
            service
                .instances
                .iter()
                .any(|one| one.name().eq_ignore_ascii_case(wanted) && one.state == InstanceState::Started)
        };
        let missing: Vec<&String> = started.iter().filter(|name| !up(name)).collect();
        if !missing.is_empty() {
            wrong.push(format!("{name} is {word}, and {missing:?} are not started"));
        }
    }
    wrong
}

/// Whether every instance of the probed role holds the leaf that the model names: then the endpoint was right.
fn holds_leaf(service: &Service, _: &ServiceState) -> bool {
    let leaf = service.cscfg.role("Web").and_then(|role| role.certificate("Tls"));
    let Some(leaf) = leaf else { return false };
    service.instances.iter().filter(|instance| instance.role == "Web").all(|instance| {
        instance.holds.certificate("Tls").is_some_and(|held| held.thumbprint == leaf.thumbprint)
    })
}

/// What happened to a service before.
pub(super) struct Before<'a> {
    /// Its last rollout.
    pub(super) last: Option<&'a Course>,
    /// The references that rollouts brought and did not leave in place.
    pub(super) failed: &'a [BTreeSet<String>],
    /// Whether an earlier stage holds it back.
    pub(super) held_back: bool,
}

/// How a service stands at the end, in a word; or why that is not as it has to be.
pub(super) fn stand(
    cloud: &Cloud,
    fleet: &Fleet,
    number: usize,
    status: &Status,
    before: &Before<'_>,
) -> Stand {
    let &Before { last, failed, held_back } = before;
    let member = &fleet.services[number];
    let service = cloud.service(&member.name).unwrap();
    let ending = last.and_then(|course| course.ending.as_ref());
    let newest: Vec<Option<&super::fleet::Version>> =
        member.objects.iter().map(|object| fleet.newest(*object)).collect();
    let have = references(service);
    // The certificate counts, not the version: one that was uploaded twice is not deployed twice.
    let carried: BTreeSet<&String> = have.iter().filter_map(|url| fleet.carried.get(url)).collect();
    let wanted: BTreeSet<&String> = newest.iter().flatten().map(|version| &version.made.thumbprint).collect();
    let up = service.instances.iter().all(|instance| instance.state == InstanceState::Started);
    let right = newest.iter().all(Option::is_some) && carried == wanted;
    let sound = holds_other(service).is_empty() && up && service.operation().is_none();
    let unseen = last.is_some_and(|course| {
        !member.probed
            && (course.troubles.contains(&Trouble::Operation)
                || course.troubles.contains(&Trouble::Sick(Sickness::PresentsOld)))
    });
    match status {
        Status::Current if right && sound => Ok("right"),
        Status::Current if right && matches!(ending, Some(Ending::Stuck { .. })) => {
            Ok("stuck with the newest certificates")
        }
        Status::Current if right && unseen => Ok("right, as far as anybody looked"),
        Status::Planned { .. } | Status::Waiting { .. } if member.observed => Ok("observed"),
        Status::Waiting { reason: Wait::Stage { .. }, .. } => Ok("held back by an earlier stage"),
        Status::Waiting { reason: Wait::Approval { .. }, .. } => Ok("waiting for a person"),
        Status::Planned { .. } | Status::Waiting { .. } if held_back => Ok("held back by an earlier stage"),
        // A window has opened and closed again.
        Status::Planned { .. } | Status::Waiting { .. } => {
            let sick = newest.iter().flatten().any(|version| version.sickness.is_some());
            match ending {
                Some(Ending::Restored { .. }) if sick && sound => Ok("restored"),
                Some(Ending::Restored { .. }) if sick => {
                    Err("restored, and its instances are not right".to_owned())
                }
                Some(Ending::Stuck { .. }) if sick => Ok("stuck"),
                Some(Ending::Abandoned { .. }) if unusable(fleet, &have) => Ok("refused"),
                other => {
                    let waits = match status {
                        Status::Waiting { reason, until, .. } => {
                            format!(", and waits until {until:?}: {reason}")
                        }
                        _ => String::new(),
                    };
                    Err(format!("planned after {:?}{waits}", other.map(Ending::word)))
                }
            }
        }
        Status::Blocked { violations } => {
            let guards: BTreeSet<&str> = violations.iter().map(|one| one.guard.as_str()).collect();
            let bad = |flavours: &[Flavour]| {
                newest.iter().flatten().any(|version| flavours.contains(&version.flavour))
            };
            // What earlier rollouts hold back, with the ending that says why.
            match ending {
                Some(Ending::Restored { .. }) if guards == ["quarantine"].into() && sound => {
                    return Ok("restored");
                }
                Some(Ending::Restored { .. }) if guards == ["quarantine"].into() => {
                    return Err("restored, and its instances are not right".to_owned());
                }
                Some(Ending::Stuck { .. }) if guards == ["stuck"].into() => return Ok("stuck"),
                // A version that had failed was disabled, another one was deployed, and now it is the newest again.
                Some(Ending::Verified) if guards == ["quarantine"].into() && sound => {
                    // A certificate that is uploaded again is the same one.
                    let carried = |set: &BTreeSet<String>| {
                        set.iter().filter_map(|url| fleet.carried.get(url)).collect::<BTreeSet<_>>()
                    };
                    if failed.iter().any(|set| carried(set).is_subset(&wanted)) {
                        return Ok("blocked, since it failed before");
                    }
                }
                _ => {}
            }
            // A version that should not have been deployed: what follows is compared with it.
            let worse = fleet
                .objects
                .iter()
                .flat_map(|object| &object.versions)
                .any(|version| version.flavour != Flavour::Good && have.contains(&version.url));
            if worse && guards.iter().all(|guard| *guard == "names") {
                return Ok("blocked, since it had nothing to compare with");
            }
            let planted = guards.iter().all(|guard| match *guard {
                "names" => bad(&[Flavour::OtherName]),
                "server_auth" => bad(&[Flavour::ClientOnly]),
                // A version that was disabled leaves an older one as the newest.
                "age" => bad(&[Flavour::ShortLived]) || unusable(fleet, &have),
                "validity" => {
                    let now = cloud.now();
                    let soon = now + jiff::SignedDuration::from_hours(24);
                    newest.iter().flatten().any(|version| version.made.not_after < soon)
                }
                "enabled" => unusable(fleet, &have) || newest.iter().any(Option::is_none),
                // The older one may have been issued by authorities that are gone.
                "chain" => unusable(fleet, &have),
                _ => false,
            });
            if planted { Ok("blocked") } else { Err(format!("blocked by {guards:?}: {violations:?}")) }
        }
        other => Err(format!("{other:?}; right: {right}, sound: {sound}")),
    }
}

/// Whether a version that a service references cannot be used.
pub(super) fn unusable(fleet: &Fleet, references: &BTreeSet<String>) -> bool {
    fleet
        .objects
        .iter()
        .flat_map(|object| object.versions.iter().map(move |version| (object.deleted, version)))
        .any(|(deleted, version)| references.contains(&version.url) && (deleted || !version.enabled))
}
