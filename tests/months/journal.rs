//! What is seen in the journal: the course of each rollout, and whether its ending is true.

use std::collections::BTreeSet;

use certroll_core::plan::{PlannedUpdate, ServiceState};
use certroll_core::ports::Recorded;
use certroll_core::rollout::{Ending, Event, OperationOutcome, Phase};
use certroll_simulator::cloud::Cloud;
use jiff::Timestamp;

use super::known::Known;
use super::season::{Season, URGENT};
use super::trouble::{Trouble, explained};
use super::truth;

/// One rollout, as the journal and the wire show it.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) id: String,
    pub(super) service: usize,
    pub(super) update: Box<PlannedUpdate>,
    pub(super) troubles: BTreeSet<Trouble>,
    /// Known defects that it may meet.
    pub(super) known: BTreeSet<Known>,
    /// What is to be returned to, and the instances that were started.
    pub(super) captured: Option<(ServiceState, Vec<String>)>,
    pub(super) phase: Phase,
    /// Whether the journal has announced a PUT that has not arrived.
    pub(super) announced: bool,
    /// PUTs that the service took, by phase.
    pub(super) applied: [u32; 2],
    /// Operations of the way back that failed.
    pub(super) failed_back: u32,
    pub(super) ending: Option<Ending>,
}

impl Season {
    /// An event was written to the journal.
    pub(super) fn recorded(&mut self, cloud: &mut Cloud, record: &Recorded) {
        let now = cloud.now();
        self.tick(cloud);
        let id = record.rollout.as_str();
        if let Event::Opened { update, .. } = &record.event {
            let name = update.service.name().to_owned();
            let Some(service) = self.fleet.member(&name) else { return };
            self.story.tell(now, format_args!("{name}: a rollout is opened"));
            let member = &self.fleet.services[service];
            let observed = member.observed;
            let urgent = update.deployed_until.is_some_and(|until| now >= until - URGENT);
            let open =
                |at: Timestamp| member.window.as_ref().is_none_or(|window| window.opens(at) == Some(at));
            if !open(now) && !urgent {
                self.wrong(now, format_args!("{name}: a rollout begins while the window is closed"));
            }
            if observed {
                self.wrong(now, format_args!("{name}: a service that is only observed is rolled out"));
            }
            let recent = self.recent.iter().filter(|(of, _)| of.is_none_or(|of| of == service));
            let course = Course {
                id: id.to_owned(),
                service,
                update: update.clone(),
                troubles: recent.map(|(_, trouble)| *trouble).collect(),
                known: BTreeSet::new(),
                captured: None,
                phase: Phase::Forward,
                announced: false,
                applied: [0, 0],
                failed_back: 0,
                ending: None,
            };
            let mut course = course;
            let found = cloud.service(&name).unwrap();
            // Whoever started it: what runs now is not this rollout's.
            if found.operation().is_some() {
                course.troubles.insert(Trouble::Operation);
            }
            course.known = Known::at_the_start(&self.fleet, &course);
            if let Some(other) = self.open.insert(service, course) {
                self.wrong(now, format_args!("{name}: {} begins while {} has no ending", id, other.id));
            }
            return;
        }
        let Some(course) = self.open.values_mut().find(|course| course.id == id) else {
            self.wrong(now, format_args!("`{}` is written of {id}, which is not open", record.event.word()));
            return;
        };
        let name = self.fleet.services[course.service].name.clone();
        let told = match &record.event {
            Event::Captured { model, started, .. } => {
                let state = ServiceState::of(model).unwrap();
                course.captured = Some((state, started.clone()));
                None
            }
            Event::PutStarted { phase } => {
                course.announced = true;
                course.phase = *phase;
                Some(format!("a PUT is announced ({phase:?})"))
            }
            Event::OperationEnded { outcome } => {
                if course.phase == Phase::Back && matches!(outcome, OperationOutcome::Failed { .. }) {
                    course.failed_back += 1;
                }
                Some(match outcome {
                    OperationOutcome::Succeeded => "the operation succeeded".to_owned(),
                    OperationOutcome::Failed { failure } => format!("the operation failed: {failure}"),
                    OperationOutcome::TooLong { waited_for } => format!("too long: {waited_for}"),
                })
            }
            Event::TurnedBack { cause } => {
                course.phase = Phase::Back;
                Some(format!("turned back: {cause}"))
            }
            Event::Ended { ending } => {
                let cause = ending.cause().map(|cause| format!(": {cause}")).unwrap_or_default();
                Some(format!("ends {}{cause}", ending.word()))
            }
            Event::Looked { found } => Some(format!("looked: {found:?}")),
            Event::PutRefused { message } => Some(format!("refused: {message}")),
            Event::PutDeferred { message, .. } => Some(format!("put off: {message}")),
            Event::PutAmbiguous { message } => Some(format!("ambiguous: {message}")),
            Event::DomainDone { domain, .. } => Some(format!("update domain {domain} is done")),
            _ => None,
        };
        if let Some(told) = told {
            self.story.tell(now, format_args!("{name}: {told}"));
        }
        if let Event::Ended { ending } = &record.event {
            self.ended(cloud, id, ending);
        }
    }

    fn ended(&mut self, cloud: &Cloud, id: &str, ending: &Ending) {
        let now = cloud.now();
        let Some(service) = self.open.iter().find(|(_, one)| one.id == id).map(|(service, _)| *service)
        else {
            return;
        };
        let Some(mut course) = self.open.remove(&service) else { return };
        let name = self.fleet.services[service].name.clone();
        self.tally.ended(ending);
        let known = self.known(now, &course, ending);
        if let Some(known) = known {
            self.met(now, &name, known);
        }
        if let Some(cause) = ending.cause()
            && known.is_none()
            && !explained(cause, &course.troubles)
        {
            let planted: Vec<Trouble> = course.troubles.iter().copied().collect();
            self.wrong(
                now,
                format_args!(
                    "{name} ends {}, and nothing planted is why: {cause}; {planted:?}",
                    ending.word()
                ),
            );
        }
        if matches!(ending, Ending::Abandoned { .. }) && course.applied != [0, 0] {
            self.wrong(now, format_args!("{name} is abandoned after a PUT took effect"));
        }
        course.ending = Some(ending.clone());
        let found = truth::after(cloud, &self.fleet, &course);
        for what in found {
            self.wrong(now, what);
        }
        if matches!(ending, Ending::Restored { .. } | Ending::Stuck { .. }) {
            let before = truth::references_of(&course.update.expected);
            let wanted = truth::references_of(&course.update.wanted);
            self.failed.entry(service).or_default().push(wanted.difference(&before).cloned().collect());
        }
        self.last.insert(service, course);
    }

    /// A known defect shows.
    fn met(&mut self, now: Timestamp, name: &str, known: Known) {
        *self.tally.known.entry(known.name()).or_default() += 1;
        self.story.tell(now, format_args!("{name}: a known defect: {}", known.name()));
    }

    /// The known defect that made a rollout end as it did.
    fn known(&mut self, now: Timestamp, course: &Course, ending: &Ending) -> Option<Known> {
        if ending.cause().is_none() {
            let worse = Known::worse(&self.fleet, &course.update.expected, &course.update.wanted);
            let refused: Vec<String> = worse.iter().map(|version| version.url.clone()).collect();
            if refused.is_empty() {
                return None;
            }
            if course.known.contains(&Known::NothingToCompare) {
                return Some(Known::NothingToCompare);
            }
            let name = self.fleet.services[course.service].name.clone();
            self.wrong(now, format_args!("{name} is verified with {refused:?}, worse than what it had"));
            return None;
        }
        None
    }
}
