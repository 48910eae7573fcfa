//! What must hold on every path, judged by the truth of Azure rather than by what certroll believes.

use std::fmt;

use super::super::super::{Cause, Ending, Phase, Rollout};
use super::azure::{Content, Way, Whose};
use super::rollouts::Over;
use super::world::World;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Property {
    CapturedFirst,
    OnePutInFlight,
    NoPutIntoOperation,
    OneForwardEffect,
    WorkOfOthersStays,
    LookedRightBefore,
    NothingLeftChanged,
    VerifiedIsTrue,
    RestoredIsTrue,
    NobodyIsCalledForNothing,
    QuarantineHolds,
    EveryPathEnds,
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CapturedFirst => "nothing is sent before there is something to return to",
            Self::OnePutInFlight => "no PUT is sent while an earlier one may still take effect",
            Self::NoPutIntoOperation => "no PUT is sent into an operation that runs",
            Self::OneForwardEffect => "no PUT forward is sent once one has taken effect",
            Self::WorkOfOthersStays => "no PUT is sent over what others were seen to have changed",
            Self::LookedRightBefore => {
                "every PUT follows a look of the same process, and no time passes between"
            }
            Self::NothingLeftChanged => {
                "a service that was changed, or that may yet be, is left verified, restored or stuck"
            }
            Self::VerifiedIsTrue => "verified: the new state was there, and every instance served it",
            Self::RestoredIsTrue => "restored: the old state was there, and every instance served it",
            Self::NobodyIsCalledForNothing => "stuck: there was a doubt, and a reason is given",
            Self::QuarantineHolds => {
                "versions that were put back are not sent again, and a stuck service is left alone"
            }
            Self::EveryPathEnds => "every path comes to an ending, which stays",
        })
    }
}

/// What is wrong about sending a PUT now.
pub(super) fn of_sending(world: &World, way: Way, rollout: &Rollout) -> Option<Property> {
    let azure = &world.azure;
    let into = |operation: super::azure::Operation| operation.whose != Whose::Others || operation.seen;
    [
        (rollout.captured().is_none(), Property::CapturedFirst),
        (azure.on_its_way.is_some(), Property::OnePutInFlight),
        (azure.waiting.is_some() || azure.running.is_some_and(into), Property::NoPutIntoOperation),
        (way == Way::Forward && azure.forward_took_effect, Property::OneForwardEffect),
        (azure.content.edited && azure.edit_seen, Property::WorkOfOthersStays),
        (!world.witness.looked, Property::LookedRightBefore),
        (world.forbidden, Property::QuarantineHolds),
    ]
    .into_iter()
    .find_map(|(wrong, property)| wrong.then_some(property))
}

/// What is wrong about ending like this.
pub(super) fn of_ending(
    world: &World,
    over: Over,
    rollout: &Rollout,
    ending: Option<&Ending>,
) -> Option<Property> {
    if ending.is_none() || rollout.ending() != ending {
        return Some(Property::EveryPathEnds);
    }
    let (new, old) = world.witness.examined.unwrap_or_default();
    // One that comes late and wants what is there changes nothing any more.
    let there = world.azure.content;
    let unsettled = world.azure.on_its_way.is_some_and(|put| Content::wanted(put.way) != there);
    match over {
        Over::Abandoned => (world.azure.took_effect || unsettled).then_some(Property::NothingLeftChanged),
        Over::Verified if !new => Some(Property::VerifiedIsTrue),
        Over::Restored if !old => Some(Property::RestoredIsTrue),
        Over::Verified | Over::Restored => unsettled.then_some(Property::NothingLeftChanged),
        Over::Stuck => {
            let cause = ending.and_then(Ending::cause)?;
            let back = rollout.phase() == Phase::Back;
            let told = !cause.to_string().is_empty() && matches!(cause, Cause::RestoreFailed { .. }) == back;
            let reason = world.witness.doubt || world.azure.took_effect;
            (!told || !reason).then_some(Property::NobodyIsCalledForNothing)
        }
    }
}
