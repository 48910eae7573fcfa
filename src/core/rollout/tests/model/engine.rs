//! certroll's process as the engine has it (`engine::rollout`): it asks for the next action, makes the calls of its step
//! one by one, and writes before and after them. It may die anywhere.

use super::azure::{Content, Facts};
use super::calls::Outcome;
use super::functions::Habits;
use super::past::Versions;
use super::properties::{Property, of_ending};
use super::rollouts::{Act, Over, Rollouts, Told};
use super::words::Label;
use super::world::{At, Budget, Call, Next, Witness, World};

/// Ticks that a process may be gone for; longer than every limit.
const LONG_GONE: u8 = 5;

/// A change of the world, or the property that it violates.
pub(super) struct Step {
    pub(super) label: Label,
    pub(super) to: Result<World, Property>,
}

pub(super) struct Engine<'a> {
    pub(super) facts: Facts,
    pub(super) habits: Habits,
    pub(super) rollouts: Rollouts<'a>,
}

impl Engine<'_> {
    /// The beginning: an idle service and a plan.
    pub(super) fn begin(&mut self, budget: Budget) -> World {
        self.choose(World::start(budget)).expect("an opened rollout has something to do")
    }

    /// Everything that can happen next.
    pub(super) fn steps(&mut self, world: &World) -> Vec<Step> {
        let mut steps = Vec::new();
        self.crashes(world, &mut steps);
        match world.at {
            At::Over(over) => steps.extend(self.next_rollout(world, over)),
            At::Write(told, next) => steps.push(self.write(*world, told, next)),
            At::Asleep(left, call) => {
                self.without_certroll(world, &mut steps);
                let mut later = self.a_tick_after(*world);
                later.at = if left > 1 { At::Asleep(left - 1, call) } else { At::Call(call) };
                steps.push(Step { label: Label::Passes, to: Ok(later) });
            }
            At::Call(call) => {
                self.without_certroll(world, &mut steps);
                for outcome in self.outcomes(world, call) {
                    steps.push(self.taken_in(outcome));
                }
            }
        }
        steps
    }

    /// The same versions are planned again, or newer ones, where the service shows the old ones and the record of earlier
    /// rollouts holds nothing against it.
    fn next_rollout(&mut self, world: &World, over: Over) -> Vec<Step> {
        let planned = over != Over::Verified && world.azure.content == Content::OLD;
        if world.rollouts == 0 || !planned {
            return Vec::new();
        }
        let mut steps = Vec::new();
        for (versions, label) in [
            (Versions::Same, "the same versions are planned again"),
            (Versions::Newer, "newer versions are planned"),
        ] {
            if self.rollouts.holds(world.past, versions) {
                continue;
            }
            let mut next = World {
                rollout: 0,
                rollouts: world.rollouts - 1,
                witness: Witness::default(),
                forbidden: world.past.forbids(versions),
                ..*world
            };
            (next.azure.took_effect, next.azure.forward_took_effect) = (false, false);
            steps.push(Step { label: Label::Does(label), to: self.choose(next) });
        }
        steps
    }

    /// A process that dies keeps what is written and nothing else. While it sleeps it dies as it does at the call that
    /// comes after.
    fn crashes(&mut self, world: &World, steps: &mut Vec<Step>) {
        if world.crashes == 0 || matches!(world.at, At::Over(_) | At::Asleep(..)) {
            return;
        }
        let mut gone = World { crashes: world.crashes - 1, ..*world };
        gone.fresh &= !self.habits.sends_what_it_just_read;
        gone.witness.doubt |= gone.witness.awaiting;
        (gone.witness.awaiting, gone.witness.looked) = (false, false);
        let label = Label::Does("certroll crashes and begins again at once");
        steps.push(Step { label, to: self.choose(gone) });
        for _ in 0..LONG_GONE {
            gone = self.a_tick_after(gone);
        }
        let label = Label::Does("certroll crashes and is gone for long");
        steps.push(Step { label, to: self.choose(gone) });
    }

    fn a_tick_after(&mut self, mut world: World) -> World {
        world.azure.tick(self.facts);
        world.witness.looked = false;
        world.rollout = self.rollouts.later(world.rollout);
        world
    }

    /// Azure and other people, whatever certroll does. Only right before it calls or while it waits: in between the
    /// order makes no difference.
    fn without_certroll(&self, world: &World, steps: &mut Vec<Step>) {
        for (what, azure) in world.azure.moves(self.facts) {
            steps.push(Step { label: Label::Happens(what), to: Ok(World { azure, ..*world }) });
        }
        if world.others > 0 && !world.witness.lied_to {
            for (what, azure) in world.azure.moves_of_others(self.facts, world.witness.begun) {
                let to = Ok(World { azure, others: world.others - 1, ..*world });
                steps.push(Step { label: Label::Happens(what), to });
            }
        }
    }

    fn taken_in(&mut self, outcome: Outcome) -> Step {
        match outcome {
            Outcome::Goes(label, to) => Step { label: Label::Does(label), to: Ok(to) },
            Outcome::Tells(label, from, told, next) => {
                Step { label: Label::Reads(label, told), to: self.written(from, told, next) }
            }
            Outcome::Violates(label, property) => Step { label: Label::Does(label), to: Err(property) },
        }
    }

    fn write(&mut self, world: World, told: Told, next: Next) -> Step {
        Step { label: Label::Writes(told), to: self.written(world, told, next) }
    }

    fn written(&mut self, mut world: World, told: Told, next: Next) -> Result<World, Property> {
        // Where the fold refuses an event the engine stops with an error, and so does every process after it.
        world.rollout = self.rollouts.tell(world.rollout, told).map_err(|_| Property::EveryPathEnds)?;
        let witness = &mut world.witness;
        match told {
            Told::PutStarted(_) => (witness.awaiting, witness.begun) = (true, true),
            Told::Refused | Told::Deferred | Told::DeferredOften => witness.awaiting = false,
            Told::Accepted { .. } | Told::Ambiguous => (witness.awaiting, witness.doubt) = (false, true),
            Told::Looked { .. } => witness.lied_to = false,
            _ => {}
        }
        match next {
            Next::Choose => self.choose(world),
            Next::Call(call) => Ok(World { at: At::Call(call), ..world }),
            Next::Write(told) => Ok(World { at: At::Write(told, Next::Choose), ..world }),
        }
    }

    /// Asks for the next action and begins its step.
    fn choose(&mut self, mut world: World) -> Result<World, Property> {
        let act = self.rollouts.act(world.rollout);
        world.at = match act {
            Act::Capture => At::Call(Call::Capture),
            Act::Look { wait: 0 } => At::Call(Call::Look),
            Act::Look { wait } => At::Asleep(wait, Call::Look),
            // The look that allowed this PUT was made by a process that is gone.
            Act::Put(_) if !world.fresh => At::Call(Call::Look),
            Act::Put(way) => {
                world.fresh = !self.habits.sends_what_it_just_read;
                if self.habits.writes_before_it_sends {
                    At::Write(Told::PutStarted(way), Next::Call(Call::Send(way)))
                } else {
                    At::Call(Call::Send(way))
                }
            }
            Act::Follow { .. } => At::Call(Call::Poll { still: 0 }),
            Act::Walk { from: domain, by_url, .. } => At::Call(Call::WalkCheck { domain, by_url }),
            Act::Examine { left } => At::Call(Call::Examine { left, other_model: 0, endpoints_wrong: None }),
            Act::Record => At::Write(Told::Decided, Next::Choose),
            Act::Done(over) => {
                let (rollout, ending) =
                    (self.rollouts.get(world.rollout), self.rollouts.ending(world.rollout));
                if let Some(violated) = of_ending(&world, over, rollout, ending) {
                    return Err(violated);
                }
                // Nothing that comes after is of this rollout.
                let past = world.past.after(over);
                let over =
                    World { at: At::Over(over), fresh: false, witness: Witness::default(), past, ..world };
                let bare = World { at: over.at, rollout: over.rollout, ..World::start(Budget::default()) };
                return Ok(if over.rollouts > 0 { over } else { bare });
            }
        };
        let examined = matches!(world.at, At::Write(..));
        if !examined {
            world.witness.examined = None;
        }
        world.witness.doubt |= world.azure.took_effect;
        // A look matters to the PUT alone that comes right after it.
        world.witness.looked &=
            matches!(world.at, At::Write(Told::PutStarted(_), _) | At::Call(Call::Send(_)));
        let followed = matches!(act, Act::Follow { by_url: true, .. } | Act::Walk { by_url: true, .. });
        world.azure.forget(followed);
        Ok(world)
    }
}
