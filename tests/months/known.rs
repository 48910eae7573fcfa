//! Defects that seeds have found and that are not mended yet. Each is counted under its name in place of failing, so that
//! a seed that finds another one is seen. Whoever mends one takes its variant away: then the seeds that met it judge it.

use std::collections::BTreeSet;

use certroll_core::plan::ServiceState;
use certroll_simulator::service::Service;
use certroll_simulator::service::model::UpgradeMode;

use super::fleet::{Fleet, Version};
use super::journal::Course;
use super::papers::Flavour;
use super::truth;

/// A defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Known {
    /// A service in Manual mode whose instances were left with other certificates than its model names (a hung operation
    /// that ended stuck before the walk) can never be updated again: while one update domain is walked, the others
    /// present a leaf that is neither the old nor the new one of the plan, which counts as a domain that failed, on the
    /// way back too.
    NeverWalkedAgain,
    /// Where the deployed version is disabled, nothing is known of it after a start of the process: the guards compare
    /// with nothing, and an older version, or one for another name, is deployed and verified.
    NothingToCompare,
    /// A reference that stays and whose object was deleted passes the guard `enabled`, since what it holds is
    /// remembered: the service refuses the update, and the way back too.
    RememberedReference,
    /// A window is asked for when a pass plans, not when a rollout begins: one that had to wait for others of the pass
    /// begins after its window has closed, by minutes or by the hours that an operation may take.
    WindowClosedMeanwhile,
}

impl Known {
    /// Its name in the totals.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::NeverWalkedAgain => "never walked again",
            Self::NothingToCompare => "nothing to compare with",
            Self::RememberedReference => "a remembered reference",
            Self::WindowClosedMeanwhile => "a window closed meanwhile",
        }
    }

    /// What an update that begins meets.
    pub(super) fn at_the_start(fleet: &Fleet, course: &Course, service: &Service) -> BTreeSet<Self> {
        let mut met = BTreeSet::new();
        if service.model.upgrade_mode == UpgradeMode::Manual && !truth::holds_other(service).is_empty() {
            met.insert(Self::NeverWalkedAgain);
        }
        let stays: BTreeSet<String> = truth::references_of(&course.update.wanted)
            .intersection(&truth::references_of(&course.update.expected))
            .cloned()
            .collect();
        if truth::unusable(fleet, &stays) {
            met.insert(Self::RememberedReference);
        }
        if truth::unusable(fleet, &truth::references_of(&course.update.expected)) {
            met.insert(Self::NothingToCompare);
        }
        met
    }

    /// Versions that a verified update brought although they are worse than what they replaced.
    pub(super) fn worse<'a>(
        fleet: &'a Fleet,
        before: &ServiceState,
        after: &ServiceState,
    ) -> Vec<&'a Version> {
        let (before, after) = (truth::references_of(before), truth::references_of(after));
        fleet
            .objects
            .iter()
            .flat_map(|object| {
                let replaced = object.versions.iter().find(|version| before.contains(&version.url));
                object.versions.iter().filter(move |version| {
                    replaced.is_some_and(|replaced| {
                        let other = matches!(version.flavour, Flavour::OtherName | Flavour::ClientOnly)
                            && version.flavour != replaced.flavour;
                        other || version.made.not_after < replaced.made.not_after
                    })
                })
            })
            .filter(|version| after.contains(&version.url) && !before.contains(&version.url))
            .collect()
    }
}
