//! Planning: from the configuration and what was seen to what is to be changed, service by service.
//!
//! Ask [`needs`] what to look at until it wants nothing more, then [`plan`] answers.

mod approval;
mod compose;
mod follow;
mod foreseen;
mod moves;
mod needs;
mod observation;
mod report;
mod resolve;
mod saved;
mod serves;
mod service;
mod stage;
mod undo;
mod update;
mod vaults;

#[cfg(test)]
pub(crate) mod tests;

pub(crate) use follow::REMOTE_ACCESS;

pub use approval::{ApprovedUpdate, NotApproved};
pub use foreseen::{Foresight, foresee};
pub use needs::{Need, followed_objects, needs};
pub use observation::{
    Form, KeyPresence, NoEnabledVersion, ObjectKey, Observation, ObservedObject, ObservedVersion, Unreadable,
    VaultContent,
};
pub use report::{
    PlanReport, Reason, ServedCertificate, ServiceReport, StageTrouble, Status, Violation, Wait,
};
pub use saved::{SavedPlan, SavedPlanError};
pub use service::Occasion;
pub use undo::{undo, undo_needs};
pub use update::{
    BlastRadius, CertificateChange, CertificateSummary, Difference, PlanDigest, PlannedProbe, PlannedUpdate,
    RoleRadius, SecretChange, ServiceState, SettingChange,
};
pub use vaults::{NewestVersion, VaultReading};

use jiff::Timestamp;

use crate::policy::Policy;

/// Plans every service of the policy: by stage, and within a stage the service first whose deployed certificates end
/// first. A service that cannot be planned stops no other.
pub fn plan(policy: &Policy, observation: &Observation, now: Timestamp, occasion: Occasion) -> PlanReport {
    let mut services: Vec<ServiceReport> = policy
        .services
        .iter()
        .map(|service| service::plan_service(policy, service, observation, now, occasion))
        .collect();
    let ends = |report: &ServiceReport| match &report.status {
        Status::Planned { update } | Status::Waiting { update, .. } => {
            update.deployed_until.unwrap_or(Timestamp::MAX)
        }
        Status::Current | Status::Blocked { .. } | Status::Unreadable { .. } => Timestamp::MAX,
    };
    services.sort_by_key(|report| (report.stage, ends(report)));
    stage::hold_back(&mut services, policy, now);
    PlanReport { at: now, services, vaults: vaults::readings(observation) }
}
