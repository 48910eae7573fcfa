//! Judging whether a change took effect: against what is wanted, from evidence alone.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::id::Thumbprint;
use crate::plan::{Difference, PlannedProbe, ServiceState};
use crate::ports::Presentation;
use crate::target::cloud_service::{InstanceState, RoleInstance};

/// What was seen after a change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The service as it was read back.
    pub state: ServiceState,
    /// Its instances.
    pub instances: Vec<RoleInstance>,
    /// What its endpoints presented.
    pub probes: Vec<ProbeEvidence>,
}

/// What one endpoint presented.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeEvidence {
    /// The endpoint, with the leaves that it had to present.
    pub probe: PlannedProbe,
    /// One entry a connection.
    pub presented: Vec<Presentation>,
}

/// What a service has to be like.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Configuration, secrets and everything else.
    pub state: &'a ServiceState,
    /// The instances that were started before the change, by name.
    pub started: &'a [String],
    /// The endpoints that must have been looked at.
    pub probes: &'a [PlannedProbe],
    /// Which leaves the endpoints must present.
    pub generation: Generation,
    /// Whether a probe that fails counts.
    pub probe_binding: bool,
}

/// The leaves of which side of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// Those before.
    Before,
    /// Those after.
    After,
    /// Either: the change is under way.
    Either,
}

impl Generation {
    /// The leaves that an endpoint may present.
    pub fn leaves(self, probe: &PlannedProbe) -> Vec<Thumbprint> {
        match self {
            Self::Before => probe.before.clone(),
            Self::After => probe.after.clone(),
            Self::Either => probe.before.iter().chain(&probe.after).copied().collect(),
        }
    }
}

/// Proof that a service is what was wanted. Made by [`judge`] only.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifiedUpdate {
    evidence: Evidence,
    doubts: Vec<Mismatch>,
}

impl VerifiedUpdate {
    /// What was seen.
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// Probes that failed and do not count.
    pub fn doubts(&self) -> &[Mismatch] {
        &self.doubts
    }
}

/// One thing that is not as it has to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mismatch {
    /// The service reads back other than wanted.
    Model(Difference),
    /// An instance that was started before is not.
    Instance {
        /// Its name.
        name: String,
        /// Its state, in the service's word.
        state: String,
    },
    /// An endpoint presented another leaf, or none.
    Endpoint {
        /// The endpoint.
        endpoint: String,
        /// The address of the connection.
        address: String,
        /// The leaves that it had to present.
        expected: Vec<Thumbprint>,
        /// The leaf that it presented, or why there is none.
        found: Result<Thumbprint, String>,
    },
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Model(difference) => write!(f, "read back, {difference}"),
            Self::Instance { name, state } => {
                write!(f, "instance `{name}`: expected RoleStateStarted as before, found {state}")
            }
            Self::Endpoint { endpoint, address, expected, found } => {
                let expected = expected.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
                write!(f, "endpoint {endpoint}")?;
                // An endpoint that is named by its address has said it.
                if !endpoint.ends_with(address.as_str()) {
                    write!(f, " ({address})")?;
                }
                match found {
                    Ok(found) => write!(f, ": expected leaf {expected}, found {found}"),
                    Err(reason) => write!(f, ": expected leaf {expected}, found none: {reason}"),
                }
            }
        }
    }
}

/// Judges a service by what was seen of it.
///
/// # Errors
/// Everything that is not as it has to be.
pub fn judge(expected: &Expected<'_>, evidence: Evidence) -> Result<VerifiedUpdate, Vec<Mismatch>> {
    let mut mismatches: Vec<Mismatch> =
        expected.state.differences(&evidence.state).into_iter().map(Mismatch::Model).collect();
    mismatches.extend(instances(expected.started, &evidence.instances));
    let probes: Vec<Mismatch> = expected
        .probes
        .iter()
        .flat_map(|planned| {
            let mut seen = evidence.probes.iter().filter(|seen| seen.probe.endpoint == planned.endpoint);
            let presented = seen.next().map(|seen| seen.presented.clone()).unwrap_or_default();
            // The leaves that count are those of the plan, whatever the evidence says that it was to show.
            endpoint(&ProbeEvidence { probe: planned.clone(), presented }, expected.generation)
        })
        .collect();
    let doubts = if expected.probe_binding {
        mismatches.extend(probes);
        Vec::new()
    } else {
        probes
    };
    if mismatches.is_empty() { Ok(VerifiedUpdate { evidence, doubts }) } else { Err(mismatches) }
}

/// Instances that were started before and are not started now. One that is gone counts; one that is new does not.
pub fn instances(started: &[String], now: &[RoleInstance]) -> Vec<Mismatch> {
    started
        .iter()
        .filter_map(|name| {
            let found = now.iter().find(|instance| instance.name.eq_ignore_ascii_case(name));
            match found {
                Some(instance) if instance.state == InstanceState::Started => None,
                Some(instance) => {
                    Some(Mismatch::Instance { name: name.clone(), state: instance.state.to_string() })
                }
                None => Some(Mismatch::Instance { name: name.clone(), state: "no such instance".to_owned() }),
            }
        })
        .collect()
}

/// Connections that showed another leaf than those of a generation. An endpoint that was not reached once counts.
pub fn endpoint(seen: &ProbeEvidence, generation: Generation) -> Vec<Mismatch> {
    let expected = generation.leaves(&seen.probe);
    let mismatch = |address: &str, found: Result<Thumbprint, String>| Mismatch::Endpoint {
        endpoint: seen.probe.endpoint.to_string(),
        address: address.to_owned(),
        expected: expected.clone(),
        found,
    };
    if seen.presented.is_empty() {
        return vec![mismatch(&seen.probe.endpoint.address, Err("no connection was made".to_owned()))];
    }
    let mut mismatches: Vec<Mismatch> = Vec::new();
    for presentation in &seen.presented {
        let found = match &presentation.outcome {
            Ok(chain) => match chain.first() {
                Some(leaf) if expected.contains(leaf) => continue,
                Some(leaf) => mismatch(&presentation.address, Ok(*leaf)),
                None => mismatch(&presentation.address, Err("no certificate was presented".to_owned())),
            },
            Err(reason) => mismatch(&presentation.address, Err(reason.clone())),
        };
        if !mismatches.contains(&found) {
            mismatches.push(found);
        }
    }
    mismatches
}
