//! What is seen and done at the wire: outages, faults that strike, and the rules of a PUT.

use certroll_core::rollout::Phase;
use certroll_simulator::call::Call;
use certroll_simulator::cloud::{Cloud, Outcome};
use certroll_simulator::faults::{Effect, Fault, Times, Unready, When, Which};
use certroll_simulator::message::Request;

use super::fleet::{Fleet, Sickness};
use super::season::Season;
use super::trouble::Trouble;
use super::weather::{Manner, Target};
use crate::support::wire::{Customs, Lost};

/// Requests of one pass. A pass with a rollout of every service that all hang makes a tenth of this.
const RUNAWAY: u64 = 200_000;
/// The members of a PUT's `properties` that certroll may send.
const SENT: [&str; 3] = ["configuration", "osProfile", "upgradeMode"];

impl Season {
    /// The outage that a request meets.
    fn outage(&mut self, cloud: &mut Cloud, request: &Request) -> Result<(), Lost> {
        let now = cloud.now();
        let host = request.url.host_str().unwrap_or_default();
        self.outages.retain(|outage| outage.until > now);
        let met = self.outages.iter().find(|outage| match &outage.target {
            Target::Identity => cloud.names.login.iter().any(|login| login == host),
            Target::ResourceManager => cloud.names.resource_manager == host,
            Target::Vault(name) => host.split('.').next() == Some(name.as_str()),
        });
        let Some(manner) = met.map(|outage| outage.manner) else { return Ok(()) };
        self.tally.faults += 1;
        self.trouble(None, Trouble::Outage);
        let reply = |status, code: &str, retry_after| {
            let code = code.to_owned();
            Fault {
                when: When::default(),
                effect: Effect::Reply { status, code, retry_after },
                times: Times::Next(1),
            }
        };
        match manner {
            Manner::NoConnection => return Err(Lost::NoConnection),
            Manner::Broken => return Err(Lost::Broken),
            Manner::Unavailable => cloud.fault(reply(503, "ServiceUnavailable", None)),
            Manner::Throttled => cloud.fault(reply(429, "TooManyRequests", Some(30))),
        }
        Ok(())
    }

    fn put_arrives(&mut self, cloud: &mut Cloud, member: usize, request: &Request) {
        let now = cloud.now();
        let name = self.fleet.services[member].name.clone();
        self.tally.puts += 1;
        let body = request.json().unwrap_or_default();
        let sent = body["properties"].as_object().into_iter().flat_map(|properties| properties.keys());
        let surplus: Vec<&String> = sent.filter(|key| !SENT.contains(&key.as_str())).collect();
        if !surplus.is_empty() {
            self.wrong(now, format_args!("{name}: a PUT carries {surplus:?}"));
        }
        if self.before.as_ref().is_some_and(|running| self.ours.contains(running)) {
            self.wrong(now, format_args!("{name}: a PUT into an operation of certroll's own"));
        }
        let Some(course) = self.open.get_mut(&member) else {
            self.wrong(now, format_args!("{name}: a PUT outside of any rollout"));
            return;
        };
        if !std::mem::take(&mut course.announced) {
            self.wrong(now, format_args!("{name}: a PUT that the journal does not announce"));
            return;
        }
        if course.phase == Phase::Back {
            return;
        }
        let text = String::from_utf8_lossy(&request.body).to_ascii_lowercase();
        let sickness = course.update.wanted.os_profile.urls().find_map(|url| {
            let url = url.to_string().to_ascii_lowercase();
            let before = course.update.expected.os_profile.urls();
            let comes = before.into_iter().all(|before| !before.to_string().eq_ignore_ascii_case(&url));
            let versions = self.fleet.objects.iter().flat_map(|object| &object.versions);
            let sick = versions.into_iter().find(|version| version.url == url)?.sickness;
            sick.filter(|_| comes && text.contains(&url))
        });
        if let Some(sickness) = sickness {
            cloud.fault(Fault::next(Call::PutCloudService, sickness.effect()).on_path(&name));
            self.armed = true;
            self.trouble(Some(member), Trouble::Sick(sickness));
        }
    }

    fn put_was_answered(&mut self, cloud: &Cloud, member: usize, outcome: &Outcome) {
        let now = cloud.now();
        let member_name = &self.fleet.services[member].name;
        let running = cloud.service(member_name).and_then(|service| service.operation()).map(str::to_owned);
        let status = match outcome {
            Outcome::Answered(reply) | Outcome::Delayed(reply, _) | Outcome::Garbled(reply, _) => {
                reply.status.to_string()
            }
            Outcome::Cut => "cut".to_owned(),
        };
        let applied = running.is_some() && running != self.before;
        let name = member_name.clone();
        let did = if applied { "takes" } else { "does not take" };
        self.story.tell(now, format_args!("{name}: {did} a PUT ({status})"));
        let Some(operation) = running.filter(|_| applied) else { return };
        self.ours.insert(operation);
        self.tally.applied += 1;
        let Some(course) = self.open.get_mut(&member) else { return };
        course.applied[course.phase as usize] += 1;
        let [forward, back] = course.applied;
        if forward > 1 || back > 1 + course.failed_back {
            self.wrong(now, format_args!("{name}: {forward} PUTs forward and {back} back in one rollout"));
        }
    }
}

impl Sickness {
    fn effect(self) -> Effect {
        let first = Which::Named(vec!["Web_IN_0".to_owned()]);
        match self {
            Self::Fails => Effect::OperationFails {
                code: "InternalExecutionError".to_owned(),
                message: "An internal execution error occurred.".to_owned(),
            },
            Self::NotReady => Effect::InstanceNeverReady(first, Unready::Busy),
            Self::PresentsOld => Effect::OldCertificatePresented(Which::All),
            Self::StateFailed => Effect::StateFailed,
            Self::Hangs => Effect::OperationNeverEnds,
        }
    }
}

/// The member whose model a request puts, or whose update domain it walks.
fn changed_by(fleet: &Fleet, request: &Request) -> Option<(usize, bool)> {
    let certroll = request.header("user-agent").is_some_and(|agent| agent.starts_with("certroll/"));
    if request.method != "PUT" || !certroll {
        return None;
    }
    let segments = request.segments();
    let name = segments.get(7).filter(|_| segments[6].eq_ignore_ascii_case("cloudServices"))?;
    Some((fleet.member(name)?, segments.len() == 8))
}

impl Customs for Season {
    fn arriving(&mut self, cloud: &mut Cloud, request: &Request) -> Result<(), Lost> {
        self.tick(cloud);
        self.requests += 1;
        assert!(self.requests < RUNAWAY, "a pass does not end: {} {}", request.method, request.url);
        self.tally.requests += 1;
        let change = changed_by(&self.fleet, request);
        if let Some((member, model)) = change {
            let name = &self.fleet.services[member].name;
            self.before = cloud.service(name).and_then(|service| service.operation()).map(str::to_owned);
            if model {
                self.put_arrives(cloud, member, request);
            }
        }
        self.outage(cloud, request)
    }

    fn answered(&mut self, cloud: &mut Cloud, request: &Request, outcome: &Outcome) {
        let change = changed_by(&self.fleet, request);
        match change {
            Some((member, true)) => self.put_was_answered(cloud, member, outcome),
            Some((member, false)) => {
                let name = &self.fleet.services[member].name;
                let running = cloud.service(name).and_then(|service| service.operation());
                let fresh =
                    running.map(str::to_owned).filter(|running| Some(running) != self.before.as_ref());
                self.ours.extend(fresh);
            }
            None => {}
        }
        if !self.armed {
            return;
        }
        let struck = cloud.faults.struck();
        let count: u32 = struck.iter().map(|(_, times)| times).sum();
        let new = count.saturating_sub(self.struck);
        self.struck = count;
        if new == 0 {
            return;
        }
        self.tally.faults += u64::from(new);
        let of_operation = Call::PutCloudService;
        let service = request.segments().get(7).and_then(|name| self.fleet.member(name));
        let operation = change.is_some()
            && struck.iter().any(|(fault, times)| {
                *times > 0
                    && matches!(fault.when.call, Some(call) if call == of_operation || call == Call::WalkUpdateDomain)
            });
        let now = cloud.now();
        let path = request.url.path();
        self.story.tell(now, format_args!("struck: {} {path}", request.method));
        self.trouble(service, Trouble::OnTheWay);
        if operation {
            self.trouble(service, Trouble::Operation);
        }
    }
}
