//! Stages: a canary goes first, and one that failed or waits holds back the later ones.

use jiff::Timestamp;

use super::report::{QUARANTINE, STUCK, ServiceReport, StageTrouble, Status, Wait};
use super::service::urgent;
use crate::id::CloudServiceId;
use crate::policy::{Mode, Policy};

/// Lets the changes of later stages wait for a service of an earlier one whose change failed or waits. A service that a
/// guard refuses or that cannot be read holds nobody back: it would do so until somebody mends it, and the certificates
/// of the others end meanwhile. A change whose deployed certificates end soon does not wait for a service that waits, but
/// it does for one that failed. `services` are in the order of their stages; what is planned in an earlier stage goes
/// first by that order, and the engine heeds how it ends.
pub(super) fn hold_back(services: &mut [ServiceReport], policy: &Policy, now: Timestamp) {
    let mut trouble: Option<(u32, CloudServiceId, StageTrouble)> = None;
    for report in services {
        if report.mode == Mode::Observe {
            continue;
        }
        let held = trouble.clone().filter(|(stage, ..)| *stage < report.stage);
        match (held, &mut report.status) {
            (Some((stage, service, because)), Status::Planned { update }) => {
                match urgent(policy, update, now).filter(|_| because == StageTrouble::Waiting) {
                    None => {
                        let reason = Wait::Stage { stage, service, because };
                        let update = update.clone();
                        report.status = Status::Waiting { until: None, reason, update };
                    }
                    Some(ends) => update.warnings.push(format!(
                        "a deployed certificate ends at {ends}: the change does not wait for stage {stage}"
                    )),
                }
            }
            // Nobody should wait for a window in which nothing will be done.
            (
                Some((stage, service, because @ StageTrouble::Failed)),
                Status::Waiting { until, reason: reason @ (Wait::Settling | Wait::Window), .. },
            ) => (*until, *reason) = (None, Wait::Stage { stage, service, because }),
            _ => {}
        }
        if trouble.is_none() {
            trouble = of(report).map(|because| (report.stage, report.service.clone(), because));
        }
    }
}

fn of(report: &ServiceReport) -> Option<StageTrouble> {
    match &report.status {
        Status::Waiting { .. } => Some(StageTrouble::Waiting),
        Status::Blocked { violations } => violations
            .iter()
            .any(|violation| matches!(violation.guard.as_str(), STUCK | QUARANTINE))
            .then_some(StageTrouble::Failed),
        Status::Current | Status::Planned { .. } | Status::Unreadable { .. } => None,
    }
}
