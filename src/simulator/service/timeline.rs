//! What will happen to a service and when. An update is laid out whole when it starts, so that the state at any later
//! time follows from the time alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::Durations;
use crate::faults::{Effect, Unready, Which};
use crate::service::instance::{Holdings, Instance, InstanceState};
use crate::service::operation::End;

/// Something that will happen.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) at: Timestamp,
    pub(crate) what: What,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    /// An instance changes state, or what it holds, or both.
    Instance { index: usize, state: Option<InstanceState>, holds: Option<Arc<Holdings>> },
    /// An update domain is being walked, or none any more.
    Domain(Option<u32>),
    /// The running operation ends.
    Ended(End),
    /// The running operation's work is done, though nobody is told: for operations that never end.
    Silence,
    /// The whole service is powered on or off.
    Powered(bool),
    /// This update domain has been walked by hand.
    Walked(u32),
}

/// What each role's instances shall hold, by the role's name in lower case.
pub(crate) type Desired = BTreeMap<String, Arc<Holdings>>;

/// What faults make of an operation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interference {
    pub(crate) fails: Option<(String, String)>,
    pub(crate) never_ends: bool,
    pub(crate) late: Duration,
    pub(crate) never_ready: Vec<(Which, Unready)>,
    pub(crate) keeps_old: Vec<Which>,
    pub(crate) state_failed: bool,
    pub(crate) foreign_poll_host: Option<String>,
    pub(crate) poll_by_location: bool,
}

impl Interference {
    pub(crate) fn of(effects: &[Effect]) -> Self {
        let mut all = Self::default();
        for effect in effects {
            match effect {
                Effect::OperationFails { code, message } => all.fails = Some((code.clone(), message.clone())),
                Effect::OperationNeverEnds => all.never_ends = true,
                Effect::OperationLate(by) => all.late += *by,
                Effect::InstanceNeverReady(which, how) => all.never_ready.push((which.clone(), *how)),
                Effect::OldCertificatePresented(which) => all.keeps_old.push(which.clone()),
                Effect::StateFailed => all.state_failed = true,
                Effect::ForeignPollUrl(host) => all.foreign_poll_host = Some(host.clone()),
                Effect::PollByLocation => all.poll_by_location = true,
                Effect::Reply { .. }
                | Effect::AppliedButReply { .. }
                | Effect::Delay(_)
                | Effect::CutBefore
                | Effect::CutAfter
                | Effect::MalformedJson
                | Effect::Oversized(_)
                | Effect::AddHeader(..)
                | Effect::DropHeader(_)
                | Effect::Status(_)
                | Effect::ForeignNextLink(_) => {}
            }
        }
        all
    }

    fn unready(&self, instance: &str) -> Option<Unready> {
        self.never_ready.iter().find(|(which, _)| which.includes(instance)).map(|(_, how)| *how)
    }

    fn keeps(&self, instance: &str) -> bool {
        self.keeps_old.iter().any(|which| which.includes(instance))
    }
}

/// How certificates reach an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// It is stopped and started.
    Recycle,
    /// It goes on running.
    Live,
}

/// What is walked, and with what.
pub(crate) struct Walk<'a> {
    pub(crate) instances: &'a [Instance],
    pub(crate) desired: &'a Desired,
    pub(crate) durations: Durations,
    pub(crate) delivery: Delivery,
    pub(crate) powered: bool,
    pub(crate) interference: &'a Interference,
}

impl Walk<'_> {
    /// The instances for which `wanted` holds, all at once from `start` on; when that is over.
    pub(crate) fn lay_out(
        &self,
        start: Timestamp,
        wanted: impl Fn(&Instance) -> bool,
        events: &mut Vec<Event>,
    ) -> Timestamp {
        let whole = self.durations.update_domain;
        let mut end = start + whole;
        for (index, instance) in self.instances.iter().enumerate().filter(|(_, one)| wanted(one)) {
            let name = instance.name();
            let new = if self.interference.keeps(&name) {
                None
            } else {
                self.desired.get(&instance.role.to_ascii_lowercase()).cloned()
            };
            let mut push = |at: Timestamp, state, holds| {
                events.push(Event { at, what: What::Instance { index, state, holds } });
            };
            if !self.powered {
                push(start, None, new);
                continue;
            }
            let unready = self.interference.unready(&name);
            if self.delivery == Delivery::Live
                && unready.is_none()
                && instance.state == InstanceState::Started
            {
                push(end, None, new);
                continue;
            }
            push(start, Some(InstanceState::Stopping), None);
            push(start + whole / 4, Some(InstanceState::Busy), None);
            match unready {
                None => {
                    push(start + whole / 2, Some(InstanceState::Starting), new);
                    push(start + whole, Some(InstanceState::Started), None);
                }
                Some(how) => {
                    let state = match how {
                        Unready::Busy => InstanceState::Busy,
                        Unready::Unresponsive => InstanceState::Unresponsive,
                    };
                    push(start + whole / 2, Some(state), new);
                    end = end.max(start + self.durations.health_gate);
                }
            }
        }
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_that_is_never_ready_holds_its_domain_up_until_the_gate() {
        let instance = |number| Instance {
            role: "Web".to_owned(),
            number,
            domain: number,
            state: InstanceState::Started,
            since: Timestamp::UNIX_EPOCH,
            holds: Arc::default(),
        };
        let instances = [instance(0), instance(1)];
        let effect = Effect::InstanceNeverReady(Which::Named(vec!["web_in_1".to_owned()]), Unready::Busy);
        let interference = Interference::of(&[effect]);
        let durations = Durations::default();
        let walk = Walk {
            instances: &instances,
            desired: &Desired::new(),
            durations,
            delivery: Delivery::Recycle,
            powered: true,
            interference: &interference,
        };
        let mut events = Vec::new();
        let start = Timestamp::UNIX_EPOCH;
        assert_eq!(walk.lay_out(start, |one| one.domain == 0, &mut events), start + durations.update_domain);
        assert_eq!(walk.lay_out(start, |one| one.domain == 1, &mut events), start + durations.health_gate);
        let started = |event: &Event| {
            matches!(event.what, What::Instance { index: 1, state: Some(InstanceState::Started), .. })
        };
        assert!(!events.iter().any(started));
    }
}
