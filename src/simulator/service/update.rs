//! What an accepted change does to a service: it is laid out as events, and each event is let happen in its turn.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::instance::InstanceState;
use super::model::{ProvisioningState, UpgradeMode};
use super::operation::End;
use super::timeline::{Delivery, Event, Interference, Walk, What};
use super::{Accepted, Ended, PendingWalk, Running, Service};
use crate::clock::Durations;
use crate::switches::ManualOperation;

impl Service {
    /// Starts carrying out a change; the operations that this cancels.
    pub(crate) fn accept(
        &mut self,
        change: Accepted,
        operation: &str,
        interference: Interference,
        manual: ManualOperation,
        durations: Durations,
        now: Timestamp,
    ) -> Vec<Ended> {
        let cancelled = self.cancel(now);
        self.model = change.model;
        self.cscfg = change.cscfg;
        if change.touches_last_modified {
            self.touch(now);
        }
        let prepared = now + durations.operation * 2 / 3;
        let finish = durations.operation / 3 + interference.late;
        let failure = change.failure.or_else(|| {
            let untouched = interference.never_ready.is_empty();
            interference.fails.clone().filter(|_| untouched)
        });
        let running = Running { operation: operation.to_owned(), state_failed: interference.state_failed };
        if let Some((code, message)) = failure {
            self.running = Some(running);
            self.events.push(Event {
                at: prepared + interference.late,
                what: What::Ended(End::Failed { code, message }),
            });
            return cancelled;
        }
        self.resize(now, InstanceState::Busy);
        (self.delivered, self.desired) = (change.delivered, change.desired);
        let end = match &interference.fails {
            Some((code, message)) => End::Failed { code: code.clone(), message: message.clone() },
            None => End::Succeeded,
        };
        let mut events = Vec::new();
        let done = match self.model.upgrade_mode {
            UpgradeMode::Manual => {
                let never_ends = interference.never_ends;
                let mut pending = PendingWalk {
                    walked: BTreeSet::new(),
                    waits: None,
                    delivery: change.delivery,
                    interference,
                };
                match manual {
                    ManualOperation::CompletesBeforeWalk => {
                        self.running = Some(running);
                        let what = if never_ends { What::Silence } else { What::Ended(end) };
                        self.events.push(Event { at: prepared + finish, what });
                    }
                    ManualOperation::WaitsForWalk => pending.waits = Some(running),
                }
                self.pending = Some(pending);
                return cancelled;
            }
            UpgradeMode::Auto => {
                let walk = self.walk(durations, change.delivery, &interference);
                let mut at = prepared;
                for domain in 0..=self.max_domain() {
                    events.push(Event { at, what: What::Domain(Some(domain)) });
                    at = walk.lay_out(at, |one| one.domain == domain, &mut events);
                }
                at
            }
            UpgradeMode::Simultaneous => {
                let walk = self.walk(durations, change.delivery, &interference);
                events.push(Event { at: prepared, what: What::Domain(Some(0)) });
                walk.lay_out(prepared, |_| true, &mut events)
            }
        };
        events.push(Event { at: done, what: What::Domain(None) });
        let what = if interference.never_ends { What::Silence } else { What::Ended(end) };
        events.push(Event { at: done + finish, what });
        self.running = Some(running);
        self.schedule(events);
        cancelled
    }

    /// Starts the walk of one update domain of an update by hand. Returns whether there is anything to do.
    pub(crate) fn walk_domain(
        &mut self,
        domain: u32,
        operation: &str,
        faults: &Interference,
        durations: Durations,
        now: Timestamp,
    ) {
        let mut events = Vec::new();
        let mut at = now;
        if let Some(pending) = &self.pending
            && !pending.walked.contains(&domain)
        {
            let mut interference = pending.interference.clone();
            interference.never_ready.extend(faults.never_ready.iter().cloned());
            interference.keeps_old.extend(faults.keeps_old.iter().cloned());
            events.push(Event { at, what: What::Domain(Some(domain)) });
            let walk = self.walk(durations, pending.delivery, &interference);
            at = walk.lay_out(at, |one| one.domain == domain, &mut events);
            events.push(Event { at, what: What::Domain(None) });
        }
        let end = match &faults.fails {
            Some((code, message)) => End::Failed { code: code.clone(), message: message.clone() },
            None => End::Succeeded,
        };
        if end == End::Succeeded {
            events.push(Event { at, what: What::Walked(domain) });
        }
        let what = if faults.never_ends { What::Silence } else { What::Ended(end) };
        events.push(Event { at: at + faults.late, what });
        self.running = Some(Running { operation: operation.to_owned(), state_failed: faults.state_failed });
        self.schedule(events);
    }

    /// Starts, stops or restarts instances.
    pub(crate) fn power(
        &mut self,
        action: &str,
        wanted: impl Fn(&str) -> bool,
        operation: &str,
        faults: &Interference,
        durations: Durations,
        now: Timestamp,
    ) {
        let mut events = Vec::new();
        let at = match action {
            "poweroff" => {
                for index in 0..self.instances.len() {
                    let stop = |state| What::Instance { index, state: Some(state), holds: None };
                    events.push(Event { at: now, what: stop(InstanceState::Stopping) });
                    events.push(Event {
                        at: now + durations.update_domain,
                        what: stop(InstanceState::Stopped),
                    });
                }
                events.push(Event { at: now + durations.update_domain, what: What::Powered(false) });
                now + durations.update_domain
            }
            "start" => {
                events.push(Event { at: now, what: What::Powered(true) });
                let walk = Walk { powered: true, ..self.walk(durations, Delivery::Recycle, faults) };
                walk.lay_out(now, |_| true, &mut events)
            }
            _ => {
                let walk = self.walk(durations, Delivery::Recycle, faults);
                walk.lay_out(now, |one| wanted(&one.name()), &mut events)
            }
        };
        let end = match &faults.fails {
            Some((code, message)) => End::Failed { code: code.clone(), message: message.clone() },
            None => End::Succeeded,
        };
        let what = if faults.never_ends { What::Silence } else { What::Ended(end) };
        events.push(Event { at: at + durations.operation / 3 + faults.late, what });
        self.running = Some(Running { operation: operation.to_owned(), state_failed: faults.state_failed });
        self.schedule(events);
    }

    pub(super) fn happened(&mut self, at: Timestamp, what: What) -> Option<Ended> {
        match what {
            What::Instance { index, state, holds } => {
                if let Some(instance) = self.instances.get_mut(index) {
                    if let Some(state) = state {
                        (instance.state, instance.since) = (state, at);
                    }
                    if let Some(holds) = holds {
                        instance.holds = holds;
                    }
                }
                None
            }
            What::Domain(domain) => {
                self.walking = domain;
                None
            }
            What::Silence => None,
            What::Powered(on) => {
                self.powered = on;
                None
            }
            What::Walked(domain) => {
                let last = self.max_domain();
                let pending = self.pending.as_mut()?;
                pending.walked.insert(domain);
                if (0..=last).any(|one| !pending.walked.contains(&one)) {
                    return None;
                }
                if pending.waits.is_some() && pending.interference.never_ends {
                    return None;
                }
                let pending = self.pending.take()?;
                let waited = pending.waits?;
                let end = match pending.interference.fails {
                    Some((code, message)) => End::Failed { code, message },
                    None => End::Succeeded,
                };
                self.outcome = outcome(&end, waited.state_failed);
                Some(Ended { operation: waited.operation, at, end })
            }
            What::Ended(end) => {
                let running = self.running.take()?;
                self.outcome = outcome(&end, running.state_failed);
                Some(Ended { operation: running.operation, at, end })
            }
        }
    }

    fn walk<'a>(
        &'a self,
        durations: Durations,
        delivery: Delivery,
        interference: &'a Interference,
    ) -> Walk<'a> {
        Walk {
            instances: &self.instances,
            desired: &self.desired,
            durations,
            delivery,
            powered: self.powered,
            interference,
        }
    }

    /// Drops what runs and waits, for something newer.
    fn cancel(&mut self, now: Timestamp) -> Vec<Ended> {
        self.events.clear();
        self.walking = None;
        let waited = self.pending.take().and_then(|pending| pending.waits);
        [self.running.take(), waited]
            .into_iter()
            .flatten()
            .map(|one| Ended { operation: one.operation, at: now, end: End::Canceled })
            .collect()
    }

    fn schedule(&mut self, events: Vec<Event>) {
        self.events.extend(events);
        // Stable, so that what was laid out first happens first at the same time.
        self.events.sort_by_key(|event| event.at);
    }
}

fn outcome(end: &End, state_failed: bool) -> ProvisioningState {
    match end {
        End::Succeeded if !state_failed => ProvisioningState::Succeeded,
        End::Succeeded | End::Failed { .. } => ProvisioningState::Failed,
        End::Canceled => ProvisioningState::Canceled,
    }
}
