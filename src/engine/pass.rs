//! One look at everything, the plan that follows from it, and, where nobody is asked, what it lets through.

use certroll_core::id::CloudServiceId;
use certroll_core::plan::{ApprovedUpdate, Occasion, PlanReport, ServiceReport, plan, undo};
use certroll_core::policy::{Policy, ServicePolicy};
use certroll_core::rollout::{Initiator, Rollout};
use tokio::sync::watch;

use crate::observe::{observe, observe_for_undo};
use crate::outside::Outside;
use crate::rollouts::{Carried, Rollouts};
use crate::world::World;

/// Looks at the services of the policy and at the vault objects that they follow, and plans.
pub async fn look(policy: &Policy, outside: &Outside, world: &World, occasion: Occasion) -> PlanReport {
    let observation = observe(policy, outside, world).await;
    plan(policy, &observation, outside.clock.now(), occasion)
}

/// Looks at a service for the way back from one of its rollouts, and plans that. What is remembered of versions is not
/// asked: the service fetches the old ones at the update, so that they must be there now.
pub async fn look_back(policy: &ServicePolicy, rollout: &Rollout, outside: &Outside) -> ServiceReport {
    let outside = Outside { versions: None, ..outside.clone() };
    let observation = observe_for_undo(policy, rollout, &outside, &World::new()).await;
    undo(policy, rollout, &observation, outside.clock.now())
}

/// What a pass found and did.
#[derive(Debug)]
pub struct Pass {
    /// The plan, as it was before anything was done.
    pub report: PlanReport,
    /// What became of the updates that were let through.
    pub carried: Vec<(CloudServiceId, Carried)>,
}

/// Looks, plans and carries out what nobody has to approve, to the endings.
pub async fn run(policy: &Policy, rollouts: &Rollouts, world: &World, stop: &watch::Receiver<bool>) -> Pass {
    let report = look(policy, &rollouts.outside, world, Occasion::Unattended).await;
    let approved = report
        .services
        .iter()
        .filter_map(|report| ApprovedUpdate::planned(report, Initiator::Unattended))
        // Services that are observed are in the report.
        .filter_map(Result::ok)
        .collect();
    let carried = rollouts.carry_out(approved, stop).await;
    Pass { report, carried }
}
