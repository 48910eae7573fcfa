//! What holds for every rollout, whatever went wrong.

use certroll_core::rollout::{Ending, Limits};
use certroll_simulator::scenario::shop;
use certroll_simulator::service::model::ProvisioningState;

use crate::support::azure::{Azure, Deployed};

/// The PUTs of a rollout, and what of it must not be.
pub(crate) struct Held {
    /// PUTs that were sent.
    pub(crate) sent: usize,
    /// Those with the new state that the service took.
    pub(crate) forward: usize,
    /// Those with the old state that the service took.
    pub(crate) back: usize,
    /// What is wrong.
    pub(crate) wrong: Vec<String>,
}

/// Judges a rollout that ended by the simulated service itself.
pub(crate) fn held(azure: &Azure, before: &Deployed, wanted: &str, ending: &Ending) -> Held {
    let puts = azure.put_exchanges();
    let taken = |wanted_side: bool| {
        let of_side =
            |body: &serde_json::Value| (body["properties"]["configuration"] == wanted) == wanted_side;
        puts.iter().filter(|one| one.status == 200 && of_side(&one.request_body)).count()
    };
    let (forward, back) = (taken(true), taken(false));
    let deployed = azure.deployed();
    let state = azure.with(|cloud| cloud.service(shop::SERVICE).unwrap().provisioning_state());

    let mut wrong = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            wrong.push(what.to_owned());
        }
    };
    let limit = Limits::PUTS as usize;
    must(forward <= 1, "the update took effect more than once");
    must(back <= limit, "the old state was put back more often than allowed");
    must(azure.puts_into_an_operation() == 0, "a PUT was sent into a running operation");
    match ending {
        Ending::Verified => {
            let new = deployed.configuration == wanted
                && deployed.held.iter().all(|(_, _, held)| deployed.configuration.contains(held.as_str()));
            must(new && forward == 1 && back == 0, "verified, and not all is new");
            must(state == ProvisioningState::Succeeded, "verified, and the service's state is not Succeeded");
        }
        Ending::Restored { .. } => {
            must(deployed == *before && back >= 1, "restored, and not all is as before");
            must(state == ProvisioningState::Succeeded, "restored, and the service's state is not Succeeded");
        }
        Ending::Abandoned { .. } => {
            must(deployed == *before && forward + back == 0, "abandoned, and changed");
        }
        Ending::Stuck { .. } => {}
    }
    Held { sent: puts.len(), forward, back, wrong }
}
