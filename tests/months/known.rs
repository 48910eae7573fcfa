//! Defects that seeds have found and that are not mended yet. Each is counted under its name in place of failing, so that
//! a seed that finds another one is seen. Whoever mends one takes its variant away: then the seeds that met it judge it.

use std::collections::BTreeSet;

use certroll_core::plan::ServiceState;

use super::fleet::{Fleet, Version};
use super::journal::Course;
use super::papers::Flavour;
use super::truth;

/// A defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Known {
    /// Where the deployed version is disabled, nothing is known of it after a start of the process: the guards compare
    /// with nothing, and an older version, or one for another name, is deployed and verified.
    NothingToCompare,
}

impl Known {
    /// Its name in the totals.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::NothingToCompare => "nothing to compare with",
        }
    }

    /// What an update that begins meets.
    pub(super) fn at_the_start(fleet: &Fleet, course: &Course) -> BTreeSet<Self> {
        let mut met = BTreeSet::new();
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
