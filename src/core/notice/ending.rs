//! What is told of a rollout that is over.

use jiff::Timestamp;

use super::wording::{counted, moment, span};
use super::{Draft, Notice, NoticeKind, Severity, Subject, service_key};
use crate::id::{CloudServiceId, RolloutId};
use crate::plan::PlannedUpdate;
use crate::rollout::{Ending, Initiator, Rollout};

/// The key of what is told of a rollout that ended in front of a person.
pub(super) fn stuck_key(service: &CloudServiceId, rollout: &RolloutId) -> String {
    format!("update_stuck/{}/{rollout}", service_key(service))
}

/// The key of what is told of a set of versions that was put back.
pub(super) fn restored_key(service: &CloudServiceId, rollout: &RolloutId) -> String {
    format!("update_restored/{}/{rollout}", service_key(service))
}

/// What a person who is asked for has to do with a stuck service.
pub(super) fn way_out_of_stuck(service: &CloudServiceId) -> String {
    let name = service.name();
    format!(
        "Look at the service, then either `certroll restore {name}` or, once it is right, `certroll release {name}`."
    )
}

/// The notice of an ending.
pub(super) fn notice(rollout: &Rollout, ending: &Ending, now: Timestamp) -> Notice {
    let update = rollout.update();
    let service = &update.service;
    let (name, what) = (service.name(), what(update));
    let subject = Subject::Service { service: service.clone() };
    let draft = |kind, severity, key| Draft::new(kind, severity, subject.clone(), now, key);
    let whose = match (rollout.undoes(), rollout.by()) {
        (Some(_), _) => "the way back that a person asked for",
        (None, Initiator::Person) => "the change that a person started",
        (None, Initiator::Unattended) => "the change",
    };
    let made = match ending {
        Ending::Verified => {
            let key = format!("update_verified/{}/{}", service_key(service), rollout.id());
            let made = draft(NoticeKind::UpdateVerified, Severity::Info, key);
            let made = match rollout.undoes() {
                None => made.title(&format!("{name}: {what} renewed and verified")),
                Some(_) => made.title(&format!("{name}: {what} put back and verified")),
            };
            let probed = match update.probes.len() {
                0 => String::new(),
                endpoints => format!(", and {} presented the leaf that was wanted", counted(endpoints, "endpoint")),
            };
            made.line(&format!(
                "The service reads back as wanted, its instances are started{}.",
                if update.probe_binding { probed } else { String::new() }
            ))
        }
        Ending::Restored { cause } => draft(NoticeKind::UpdateRestored, Severity::Warning, restored_key(service, rollout.id()))
            .title(&format!("{name}: {what} not renewed, the old state is back"))
            .line(&format!("Why {whose} was turned back: {cause}."))
            .line("The old state was put back and was seen to work.")
            .line(&format!(
                "These versions are not tried again until one of them is superseded: put a corrected version into the \
                 vault, or, if the cause lay elsewhere and is gone, `certroll release {name}`."
            )),
        Ending::Stuck { cause } => draft(NoticeKind::UpdateStuck, Severity::Critical, stuck_key(service, rollout.id()))
            .title(&format!("{name}: a person is needed, the renewal of {what} is stuck"))
            .line(&format!("Why {whose} is stuck: {cause}."))
            .line("certroll leaves the service alone until it is released.")
            .line(&way_out_of_stuck(service)),
        Ending::Abandoned { cause } => {
            // The same plan may be given up at every look while something stands in its way: one thing, told once.
            let key = format!("update_abandoned/{}/{}", service_key(service), update.digest());
            draft(NoticeKind::UpdateAbandoned, Severity::Info, key)
                .title(&format!("{name}: the renewal of {what} was given up, nothing was changed"))
                .line(&format!("Why {whose} was given up: {cause}."))
                .line("It is planned again at the next look.")
        }
    };
    facts(made.service(service), rollout, now).made()
}

fn facts(mut draft: Draft, rollout: &Rollout, now: Timestamp) -> Draft {
    draft = draft.fact("Rollout", rollout.id()).fact("Begun", moment(rollout.opened()));
    draft = draft.fact("Took", span(rollout.opened(), now));
    for change in &rollout.update().certificates {
        let from = change.from.map_or_else(|| "none".to_owned(), |from| from.to_string());
        draft = draft.fact(
            &format!("{} in role {}", change.name, change.role),
            format!("{from} -> {}, valid until {}", change.to, moment(change.after.not_after)),
        );
    }
    draft
}

/// What an update renews, in a few words.
pub(super) fn what(update: &PlannedUpdate) -> String {
    let mut names: Vec<&str> = update.certificates.iter().map(|change| change.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    match names.len() {
        0 => counted(update.secrets.len(), "secret"),
        1..=3 => names.join(", "),
        more => counted(more, "certificate"),
    }
}
