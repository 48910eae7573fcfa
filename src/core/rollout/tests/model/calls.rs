//! The calls of each step (`engine::steps`), and everything that can come of them.

use super::azure::{Azure, DOMAINS, Fate, IntoRunning, Shown, Status, Way};
use super::engine::Engine;
use super::properties::{Property, of_sending};
use super::rollouts::{Act, LIMITS, TICK, Told, Verdict};
use super::world::{At, Call, Next, World};

/// Looks that show another model before the engine believes that it is another (`steps::examine`).
const MODEL_READINGS: u8 = 2;

/// What comes of a call, in words and in the world.
#[derive(Clone, Copy)]
pub(super) enum Outcome {
    /// It goes on there.
    Goes(&'static str, World),
    /// The call changed nothing, and something is written of it: a crash in between is one before both.
    Tells(&'static str, World, Told, Next),
    /// The call should not have been made.
    Violates(&'static str, Property),
}

const fn ticks(limit: std::time::Duration) -> u8 {
    #[expect(clippy::cast_possible_truncation, reason = "the limits of the model are a handful of ticks")]
    let ticks = (limit.as_secs() / TICK.cast_unsigned()) as u8;
    ticks
}

impl Engine<'_> {
    /// Everything that can come of a call.
    pub(super) fn outcomes(&mut self, world: &World, call: Call) -> Vec<Outcome> {
        let azure = &world.azure;
        match call {
            Call::Capture => {
                let told = Told::Captured {
                    content: azure.content,
                    provisioning: azure.provisioning(),
                    instances: azure.instances,
                };
                let mut captured = *world;
                captured.witness.excused = azure.down_by_themselves();
                vec![
                    Outcome::Tells("certroll reads the service, to return to", captured, told, Next::Choose),
                    unreadable(world),
                ]
            }
            Call::Look => self.look(world),
            Call::Send(way) => self.send(world, way),
            Call::Poll { still } => vec![self.poll(world, still)],
            Call::WalkCheck { domain, by_url } => self.walk_check(world, domain, by_url),
            Call::WalkAsk { domain } => self.walk_ask(world, domain),
            Call::WalkPoll { domain } => vec![self.walk_poll(world, domain)],
            Call::DomainLook { domain, left, endpoints_wrong } => {
                vec![self.domain_look(world, domain, left, endpoints_wrong)]
            }
            Call::Examine { left, other_model, endpoints_wrong } => {
                vec![unreadable(world), self.examine(world, left, other_model, endpoints_wrong)]
            }
        }
    }

    fn look(&self, world: &World) -> Vec<Outcome> {
        let azure = &world.azure;
        let told = Told::Looked { content: azure.content, provisioning: azure.provisioning() };
        let mut looked = *world;
        looked.azure.looked_at();
        (looked.fresh, looked.witness.looked) = (true, true);
        let mut outcomes = vec![Outcome::Tells("certroll looks at the service", looked, told, Next::Choose)];
        // A refusal is believed where nothing can be seen: one that was none can be looked at.
        if !world.witness.lied_to {
            outcomes.push(unreadable(world));
        }
        outcomes
    }

    /// Sends a PUT. What becomes of it and what its answer says are two things.
    fn send(&self, world: &World, way: Way) -> Vec<Outcome> {
        let rollout = self.rollouts.get(world.rollout);
        if let Some(violated) = of_sending(world, way, rollout) {
            return vec![Outcome::Violates("certroll sends a PUT", violated)];
        }
        let mut outcomes = Vec::new();
        let mut comes = |label: &'static str, fate: Fate, answer: Told| {
            let mut to = *world;
            to.azure.sent(way, fate, self.facts);
            (to.witness.begun, to.witness.looked) = (true, false);
            to.witness.lied_to = fate == Fate::Taken && answer == Told::Refused;
            to.at = match self.habits.writes_before_it_sends {
                true => At::Write(answer, Next::Choose),
                false => At::Write(Told::PutStarted(way), Next::Write(answer)),
            };
            outcomes.push(Outcome::Goes(label, to));
        };
        let by_url = Told::Accepted { by_url: true };
        let by_resource = Told::Accepted { by_url: false };
        if self.facts.running == IntoRunning::Replaces || !world.azure.is_occupied() {
            comes("certroll sends a PUT: accepted", Fate::Taken, by_url);
            comes("certroll sends a PUT: accepted, without a URL to follow", Fate::Taken, by_resource);
            comes("certroll sends a PUT: it takes effect, the answer is lost", Fate::Taken, Told::Ambiguous);
            comes("certroll sends a PUT: it takes effect, the answer refuses it", Fate::Taken, Told::Refused);
            comes("certroll sends a PUT: refused", Fate::Nothing, Told::Refused);
            if self.facts.shown == Shown::PerhapsLater {
                comes("certroll sends a PUT: accepted, not shown yet", Fate::WillBeTaken, by_url);
                let label = "certroll sends a PUT: accepted, without a URL to follow, not shown yet";
                comes(label, Fate::WillBeTaken, by_resource);
            }
        }
        comes("certroll sends a PUT: it and its answer are lost", Fate::Nothing, Told::Ambiguous);
        comes(
            "certroll sends a PUT: it is on its way, the answer is lost",
            Fate::MayBeTaken,
            Told::Ambiguous,
        );
        if rollout.deferrals == 0 {
            comes("certroll sends a PUT: put off", Fate::Nothing, Told::Deferred);
        }
        comes("certroll sends a PUT: put off, as often as is allowed", Fate::Nothing, Told::DeferredOften);
        outcomes
    }

    fn poll(&mut self, world: &World, still: u8) -> Outcome {
        let Act::Follow { by_url, since } = self.rollouts.act(world.rollout) else {
            unreachable!("an operation is polled while it is followed")
        };
        match confirmed(&world.azure, by_url, false) {
            Status::Succeeded => tells("certroll polls: it succeeded", world, Told::Succeeded),
            Status::Failed => tells("certroll polls: it failed", world, Told::Failed),
            Status::Running if too_long(since, still) => {
                tells("certroll polls: it still runs, for too long", world, Told::TooLong)
            }
            Status::Running => sleeps("certroll polls: it runs", world, Call::Poll { still: still + 1 }),
        }
    }

    fn walk_check(&mut self, world: &World, domain: u8, by_url: bool) -> Vec<Outcome> {
        let azure = &world.azure;
        let status = if by_url { azure.put_status() } else { azure.resource_status() };
        let checked = match status {
            Status::Failed => tells("certroll asks for the PUT's operation: it failed", world, Told::Failed),
            Status::Running | Status::Succeeded => {
                let ask = Next::Call(Call::WalkAsk { domain });
                Outcome::Tells("certroll is to walk", *world, Told::WalkStarted(domain), ask)
            }
        };
        let listed_late = if self.walked_since(world) >= ticks(LIMITS.operation) {
            tells("certroll cannot list the update domains", world, Told::TooLong)
        } else {
            sleeps("certroll cannot list the update domains", world, Call::WalkCheck { domain, by_url })
        };
        vec![checked, listed_late]
    }

    /// Instances move all the time while a domain is walked, so that the clock of an operation without progress, which
    /// [`Engine::poll`] has, does not run out here: half the worlds, and nothing else happens at its end.
    fn walk_ask(&mut self, world: &World, domain: u8) -> Vec<Outcome> {
        let long = self.walked_since(world) > ticks(LIMITS.operation);
        let again = |label: &'static str, from: &World| match long {
            true => tells(label, from, Told::TooLong),
            false => sleeps(label, from, Call::WalkAsk { domain }),
        };
        if world.azure.is_occupied() {
            return vec![again("certroll asks for the walk: not while something runs", world)];
        }
        let mut walked = *world;
        walked.azure.walk(domain);
        let polled = World { at: At::Call(Call::WalkPoll { domain }), ..walked };
        vec![
            Outcome::Goes("certroll asks for the walk: accepted", polled),
            again("certroll asks for the walk: accepted, the answer is lost", &walked),
            tells("certroll asks for the walk: refused", world, Told::Failed),
        ]
    }

    fn walk_poll(&mut self, world: &World, domain: u8) -> Outcome {
        match confirmed(&world.azure, true, true) {
            Status::Failed => tells("certroll polls the walk: it failed", world, Told::Failed),
            Status::Succeeded => {
                let look = Call::DomainLook { domain, left: ticks(LIMITS.settle), endpoints_wrong: None };
                Outcome::Goes("certroll polls the walk: it succeeded", World { at: At::Call(look), ..*world })
            }
            Status::Running if self.walked_since(world) > ticks(LIMITS.operation) => {
                tells("certroll polls the walk: it still runs, for too long", world, Told::TooLong)
            }
            Status::Running => sleeps("certroll polls the walk: it runs", world, Call::WalkPoll { domain }),
        }
    }

    fn domain_look(&mut self, world: &World, domain: u8, left: u8, endpoints_wrong: Option<u8>) -> Outcome {
        let (up, shown) = self.rollouts.domain(world.rollout, domain, world.azure.instances);
        if up && shown {
            let last = usize::from(domain) + 1 == DOMAINS;
            return tells("certroll finds the domain right", world, Told::DomainDone { domain, last });
        }
        let endpoints_wrong = up.then(|| endpoints_wrong.unwrap_or(0));
        if left == 0 || endpoints_wrong.is_some_and(|since| since >= ticks(LIMITS.probe)) {
            return tells("certroll finds the domain wrong for too long", world, Told::Failed);
        }
        let endpoints_wrong = endpoints_wrong.map(|since| since + 1);
        let look = Call::DomainLook { domain, left: left - 1, endpoints_wrong };
        sleeps("certroll finds the domain not right yet", world, look)
    }

    fn examine(&mut self, world: &World, left: i8, other_model: u8, endpoints_wrong: Option<u8>) -> Outcome {
        let azure = &world.azure;
        let told = Told::Examined { content: azure.content, instances: azure.instances };
        let mut examined = *world;
        let right = |way| azure.is_right(way, world.witness.excused);
        examined.witness.examined = Some((right(Way::Forward), right(Way::Back)));
        match self.rollouts.judge(world.rollout, azure.content, azure.instances) {
            Verdict::Right => tells("certroll examines the service: right", &examined, told),
            Verdict::Wrong { model, only_endpoints } => {
                let other_model = other_model + u8::from(model);
                let endpoints_wrong = only_endpoints.then(|| endpoints_wrong.unwrap_or(0));
                let served_late = endpoints_wrong.is_some_and(|since| since >= ticks(LIMITS.probe));
                if left <= 0 || other_model >= MODEL_READINGS || served_late {
                    return tells("certroll examines the service: wrong", &examined, told);
                }
                let endpoints_wrong = endpoints_wrong.map(|since| since + 1);
                let again = Call::Examine { left: left - 1, other_model, endpoints_wrong };
                sleeps("certroll examines the service: not right yet", world, again)
            }
        }
    }

    fn walked_since(&mut self, world: &World) -> u8 {
        match self.rollouts.act(world.rollout) {
            Act::Walk { since, .. } => since,
            other => unreachable!("an update domain is walked to; found {other:?}"),
        }
    }
}

fn tells(label: &'static str, world: &World, told: Told) -> Outcome {
    Outcome::Tells(label, *world, told, Next::Choose)
}

/// One poll interval, and then another call.
fn sleeps(label: &'static str, world: &World, call: Call) -> Outcome {
    Outcome::Goes(label, World { at: At::Asleep(1, call), ..*world })
}

/// No reading works, for as long as the engine is patient: it gives up, whatever happened meanwhile.
fn unreadable(world: &World) -> Outcome {
    tells("certroll cannot read the service", world, Told::GaveUp)
}

/// The two clocks of an operation.
fn too_long(since: u8, still: u8) -> bool {
    since > ticks(LIMITS.operation) || still > ticks(LIMITS.no_progress)
}

/// What an operation's URL says, and where that is success, what the resource says of it (`steps::operation`).
fn confirmed(azure: &Azure, by_url: bool, walk: bool) -> Status {
    let resource = azure.resource_status();
    let status = match (by_url, walk) {
        (false, _) => return resource,
        (true, false) => azure.put_status(),
        (true, true) => azure.walk_status(),
    };
    match (status, resource) {
        (Status::Succeeded, Status::Running) if walk => Status::Succeeded,
        (Status::Succeeded, resource) => resource,
        (status, _) => status,
    }
}
