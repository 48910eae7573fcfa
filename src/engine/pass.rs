//! One look at everything, and the plan that follows from it.

use certroll_core::plan::{Occasion, PlanReport, plan};
use certroll_core::policy::Policy;

use crate::observe::observe;
use crate::outside::Outside;
use crate::world::World;

/// Looks at the services of the policy and at the vault objects that they follow, and plans.
pub async fn look(policy: &Policy, outside: &Outside, world: &World, occasion: Occasion) -> PlanReport {
    let observation = observe(policy, outside, world).await;
    plan(policy, &observation, outside.clock.now(), occasion)
}
