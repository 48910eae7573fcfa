//! Who said that a change may be made: the one place that turns a plan into something that the engine carries out.

use jiff::Timestamp;
use thiserror::Error;

use super::report::{ServiceReport, Status};
use super::update::PlannedUpdate;
use crate::id::RolloutId;
use crate::policy::Mode;
use crate::rollout::Initiator;
use crate::standing::{Held, Standings};

/// An update that may be carried out. Made here and nowhere else.
#[derive(Clone, Debug, PartialEq)]
pub struct ApprovedUpdate {
    update: Box<PlannedUpdate>,
    by: Initiator,
    undoes: Option<RolloutId>,
    until: Option<Timestamp>,
}

/// Why an update is not carried out.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NotApproved {
    /// The service is only observed.
    #[error("the service has `mode = \"observe\"`: it is reported on and never changed")]
    Observed,
    /// The record of earlier rollouts holds it.
    #[error("{0}")]
    Held(Held),
}

impl ApprovedUpdate {
    /// What planning let through, with the record of earlier rollouts before it. A service that waits for approval is
    /// not planned but waiting, so that of the planned ones only those that are observed are left out.
    ///
    /// # Errors
    /// The service is only observed.
    pub fn planned(report: &ServiceReport, by: Initiator) -> Option<Result<Self, NotApproved>> {
        let Status::Planned { update } = &report.status else { return None };
        Some(match report.mode {
            Mode::Observe => Err(NotApproved::Observed),
            Mode::Auto | Mode::Approve => {
                Ok(Self { update: update.clone(), by, undoes: None, until: report.closes })
            }
        })
    }

    /// A saved plan that a person confirmed. The record is asked once more, since the plan may be older than the last
    /// rollout.
    ///
    /// # Errors
    /// The service is only observed, or the record holds it.
    pub fn saved(update: PlannedUpdate, mode: Mode, standings: &Standings) -> Result<Self, NotApproved> {
        if mode == Mode::Observe {
            return Err(NotApproved::Observed);
        }
        match standings.held(&update, |_| None) {
            Some(held) => Err(NotApproved::Held(held)),
            None => Ok(Self { update: Box::new(update), by: Initiator::Person, undoes: None, until: None }),
        }
    }

    /// A way back that a person asked for. Neither being stuck nor quarantine stands against it: it leads away from both.
    ///
    /// # Errors
    /// The service is only observed, or a rollout of it has no ending.
    pub fn undoing(
        rollout: RolloutId,
        update: PlannedUpdate,
        mode: Mode,
        standings: &Standings,
    ) -> Result<Self, NotApproved> {
        if mode == Mode::Observe {
            return Err(NotApproved::Observed);
        }
        match standings.unfinished(&update.service) {
            Some(held) => Err(NotApproved::Held(held)),
            None => Ok(Self {
                update: Box::new(update),
                by: Initiator::Person,
                undoes: Some(rollout),
                until: None,
            }),
        }
    }

    /// The update.
    pub fn update(&self) -> &PlannedUpdate {
        &self.update
    }

    /// Who decided.
    pub fn by(&self) -> Initiator {
        self.by
    }

    /// The rollout that it puts back.
    pub fn undoes(&self) -> Option<&RolloutId> {
        self.undoes.as_ref()
    }

    /// The last moment at which it may begin: its window closes then.
    pub fn until(&self) -> Option<Timestamp> {
        self.until
    }

    /// Its parts, for the rollout that is opened.
    pub fn into_parts(self) -> (Box<PlannedUpdate>, Initiator, Option<RolloutId>) {
        (self.update, self.by, self.undoes)
    }
}
