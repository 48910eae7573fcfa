//! Everything at one moment: Azure, certroll's process, and what an observer of both remembers.

use super::azure::{Azure, DOMAINS, Way};
use super::past::Past;
use super::rollouts::{Number, Over, Told};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) azure: Azure,
    pub(super) at: At,
    /// What the journal amounts to; also what the process holds in memory.
    pub(super) rollout: Number,
    /// The process has read the service since it began, and has made no PUT of that yet.
    pub(super) fresh: bool,
    pub(super) witness: Witness,
    /// Crashes that may yet come.
    pub(super) crashes: u8,
    /// What others may yet do.
    pub(super) others: u8,
    /// Rollouts that may yet be planned once this one is over.
    pub(super) rollouts: u8,
    /// How those before this one ended.
    pub(super) past: Past,
    /// What this one carries must not be sent, because of those before.
    pub(super) forbidden: bool,
}

/// How often on one path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Budget {
    pub(super) crashes: u8,
    pub(super) others: u8,
    /// Rollouts after the first.
    pub(super) rollouts: u8,
}

/// Where the process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum At {
    /// About to call Azure.
    Call(Call),
    /// Waiting this many ticks before a call.
    Asleep(u8, Call),
    /// It has a decision, or the answer to a call that changes something, that is not written yet.
    Write(Told, Next),
    /// Done.
    Over(Over),
}

/// What comes after writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Next {
    /// The next action is asked for.
    Choose,
    Call(Call),
    Write(Told),
}

/// A call, with what the step that makes it holds in memory, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Call {
    Capture,
    Look,
    Send(Way),
    Poll {
        still: u8,
    },
    /// Lists the update domains, and asks whether the PUT has failed.
    WalkCheck {
        domain: u8,
        by_url: bool,
    },
    WalkAsk {
        domain: u8,
    },
    WalkPoll {
        domain: u8,
    },
    DomainLook {
        domain: u8,
        left: u8,
        endpoints_wrong: Option<u8>,
    },
    Examine {
        left: i8,
        other_model: u8,
        endpoints_wrong: Option<u8>,
    },
}

/// What no event tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Witness {
    /// This process has just looked, and has sent nothing since.
    pub(super) looked: bool,
    /// A PUT of ours was sent, or is about to be.
    pub(super) begun: bool,
    /// `put started` is written, the answer is not.
    pub(super) awaiting: bool,
    /// Of some PUT it was not known that it had no effect.
    pub(super) doubt: bool,
    /// At the last examination: whether everything was right for the way forward, and for the way back.
    pub(super) examined: Option<(bool, bool)>,
    /// Instances that were down at the capture, of an idle service.
    pub(super) excused: [bool; DOMAINS],
    /// The last answer refused a PUT that took effect, and nobody has looked since.
    pub(super) lied_to: bool,
}

impl World {
    /// A planned rollout of an idle service.
    pub(super) fn start(budget: Budget) -> Self {
        let Budget { crashes, others, rollouts } = budget;
        Self {
            azure: Azure::OLD,
            at: At::Call(Call::Capture),
            rollout: 0,
            fresh: false,
            witness: Witness::default(),
            crashes,
            others,
            rollouts,
            past: Past::default(),
            forbidden: false,
        }
    }
}
