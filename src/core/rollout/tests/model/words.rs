//! A path in words that a person can follow.

use super::azure::{Aftermath, Azure, Move, Operation, Way, Whose};
use super::rollouts::{Number, Rollouts, Told};
use super::world::World;

/// What happened.
#[derive(Clone, Copy, Debug)]
pub(super) enum Label {
    Happens(Move),
    Does(&'static str),
    /// Something that changes nothing, and what is written of it: a crash in between is one before both.
    Reads(&'static str, Told),
    Writes(Told),
    Passes,
}

impl Label {
    /// In words; the rollout is that before.
    fn words(self, rollout: Number, rollouts: &mut Rollouts<'_>) -> String {
        match self {
            Self::Does(what) => what.to_owned(),
            Self::Reads(what, told) => {
                format!("{what}, writes `{}`", rollouts.event(rollout, told).word())
            }
            Self::Writes(told) => format!("certroll writes `{}`", rollouts.event(rollout, told).word()),
            Self::Passes => "a poll interval passes".to_owned(),
            Self::Happens(what) => match what {
                Move::EndsWell(Aftermath::Right) => "the operation succeeds",
                Move::EndsWell(Aftermath::OneDown) => "the operation succeeds, an instance is down",
                Move::EndsWell(Aftermath::AsBefore) => {
                    "the operation succeeds, instances serve what they did"
                }
                Move::EndsBadly { down: false } => "the operation fails",
                Move::EndsBadly { down: true } => "the operation fails, an instance is down",
                Move::Arrives => "the PUT that was on its way takes effect",
                Move::InstancesComeUp => "the instances come up",
                Move::OthersEdit => "somebody edits the service",
                Move::OthersUpdate => "somebody puts an update of their own",
                Move::OthersRestart => "somebody restarts an instance",
                Move::OthersMakeTheChange => "somebody makes the same change by hand",
            }
            .to_owned(),
        }
    }
}

/// Numbered lines: what happened, and what is so afterwards.
pub(super) fn path(steps: &[(Label, World)], rollouts: &mut Rollouts<'_>) -> String {
    let mut text = String::new();
    // The first rollout is that which was opened.
    let mut before = 0;
    for (n, (label, world)) in steps.iter().enumerate() {
        let label = label.words(before, rollouts);
        before = world.rollout;
        let (azure, rollout) = (shown(&world.azure), rollouts.word(world.rollout));
        text += &format!("{:>4}. {label:<76} | {azure}; the rollout is {rollout}\n", n + 1);
    }
    text
}

fn shown(azure: &Azure) -> String {
    let way = |way: Way| match way {
        Way::Forward => "forward",
        Way::Back => "back",
    };
    let mut parts = vec![
        match (azure.content.new, azure.content.edited) {
            (false, false) => "old",
            (false, true) => "old with an edit",
            (true, false) => "new",
            (true, true) => "new with an edit",
        }
        .to_owned(),
    ];
    match azure.running {
        Some(Operation { whose: Whose::Put(put), .. }) => parts.push(format!("our PUT {} runs", way(put))),
        Some(Operation { whose: Whose::Walk(domain), .. }) => parts.push(format!("walk {domain} runs")),
        Some(Operation { whose: Whose::Others, .. }) => parts.push("others' operation runs".to_owned()),
        None if azure.failed => parts.push("failed".to_owned()),
        None => {}
    }
    if let Some(put) = azure.waiting {
        parts.push(format!("our PUT {} waits for the walk", way(put)));
    }
    if let Some(put) = azure.on_its_way {
        parts.push(format!("our PUT {} is on its way", way(put.way)));
    }
    let instances: Vec<&str> = azure
        .instances
        .iter()
        .map(|one| match (one.up, one.new) {
            (false, _) => "down",
            (true, false) => "old",
            (true, true) => "new",
        })
        .collect();
    format!("{}; instances {}", parts.join(", "), instances.join(" "))
}
