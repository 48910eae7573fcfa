//! What would become of the services if a certain version were in its vault: asked before it is put there.

use std::collections::BTreeSet;

use super::report::{PlanReport, ServiceReport, Status, Violation};
use crate::id::{CloudServiceId, SecretIdentifier};
use crate::policy::checks::{self, Candidate, Findings};
use crate::policy::{Guard, GuardPolicy};

/// What speaks against a version that is to be put into a vault, and whom it concerns.
#[derive(Clone, Debug, Default)]
pub struct Foresight {
    /// Reasons to refuse.
    pub violations: Vec<Violation>,
    /// What a person should know.
    pub warnings: Vec<String>,
    /// The services that would follow it.
    pub followers: Vec<CloudServiceId>,
    /// Services that could not be read, so that nobody knows whether they follow it.
    pub unknown: Vec<CloudServiceId>,
}

/// Judges a version by the plan that was made as if it were in its vault already, and by the newest version that its
/// object has.
///
/// A guard that judges a certificate refuses here what it would refuse a service that follows the object, and is relaxed
/// where it is relaxed for that service. Where no service follows, the guards compare with the newest version of the
/// object. What else blocks a service is told and refuses nothing: an intermediate or a root that is uploaded next may
/// be what its chain wants.
pub fn foresee(
    report: &PlanReport,
    version: &SecretIdentifier,
    candidate: &Candidate<'_>,
    policy: &GuardPolicy,
) -> Foresight {
    let mut foresight = Foresight::default();
    let mut judged = false;
    for service in &report.services {
        if !follows(service, version, &candidate.source) {
            if let Status::Unreadable { reasons } = &service.status {
                foresight.unknown.push(service.service.clone());
                let reason = reasons.first().map_or("", |reason| reason.message.as_str());
                foresight.warnings.push(format!(
                    "it is not known whether service `{}` follows it: {reason}",
                    service.service.name()
                ));
            }
            continue;
        }
        foresight.followers.push(service.service.clone());
        judged |= follower(service, &candidate.source, &mut foresight);
    }
    let mut findings = Findings::default();
    if judged {
        checks::succession(candidate, policy, &mut findings);
    } else {
        checks::stored(candidate, policy, &mut findings);
    }
    foresight.violations.extend(findings.violations);
    foresight.warnings.extend(findings.warnings);
    let mut seen = BTreeSet::new();
    foresight.warnings.retain(|warning| seen.insert(warning.clone()));
    foresight
}

fn follows(service: &ServiceReport, version: &SecretIdentifier, source: &str) -> bool {
    let planned = match &service.status {
        Status::Planned { update } | Status::Waiting { update, .. } => {
            update.secrets.iter().any(|change| change.to.as_ref() == Some(version))
        }
        Status::Blocked { violations } => violations.iter().any(|one| checks::is_about(one, source)),
        Status::Current | Status::Unreadable { .. } => false,
    };
    planned || service.serves.iter().any(|served| served.newest.as_ref() == Some(version))
}

/// Takes over what is said of one service; gives whether its guards have judged the certificate.
fn follower(service: &ServiceReport, source: &str, foresight: &mut Foresight) -> bool {
    let name = service.service.name();
    match &service.status {
        Status::Planned { update } | Status::Waiting { update, .. } => {
            foresight.warnings.extend(update.warnings.iter().cloned());
            true
        }
        Status::Blocked { violations } => {
            for violation in violations {
                if checks::is_about(violation, source) {
                    foresight.violations.push(violation.clone());
                } else {
                    let until = if violation.guard == Guard::Chain.name() {
                        "until the rest of its chain is uploaded too"
                    } else {
                        "whatever is uploaded"
                    };
                    foresight.warnings.push(format!(
                        "service `{name}` will be blocked by `{}`, {until}: {violation}",
                        violation.guard
                    ));
                }
            }
            // Without a change that can be made out, no guard is asked.
            violations.iter().all(|violation| violation.guard.parse::<Guard>().is_ok())
        }
        Status::Unreadable { reasons } => {
            for reason in reasons {
                foresight.warnings.push(format!("service `{name}` could not be planned: {}", reason.message));
            }
            false
        }
        Status::Current => false,
    }
}
