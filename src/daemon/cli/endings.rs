//! How rollouts ended, for people and for scripts, with the exit code that follows.

use certroll_core::id::CloudServiceId;
use certroll_core::rollout::{Phase, Rollout};
use certroll_engine::rollout::RolloutError;
use serde_json::{Value, json};

use super::exit::Exit;
use super::table::Table;
use super::terminal::{Terminal, printable};
use crate::work::{Carried, Ending, Outcome, Recovered};

/// What stands in place of an ending where a rollout did not come to one.
pub const WITHOUT_ENDING: [&str; 3] = ["interrupted", "not begun", "held back"];

/// What became of one rollout, or of an update that did not become one.
#[derive(Debug)]
pub struct Row {
    /// The service's name, or the rollout's where the record does not tell the service.
    name: String,
    service: Option<CloudServiceId>,
    rollout: Option<String>,
    /// Whether an earlier run began it.
    continued: bool,
    carried: Carried,
}

impl From<(CloudServiceId, Carried)> for Row {
    fn from((service, carried): (CloudServiceId, Carried)) -> Self {
        let rollout = match &carried {
            Carried::Begun(Outcome::Ended { rollout, .. } | Outcome::Interrupted { rollout }) => {
                Some(rollout.id().to_string())
            }
            Carried::NotBegun(_) | Carried::Locked | Carried::WindowClosed | Carried::HeldBack { .. } => None,
        };
        Self { name: service.name().to_owned(), service: Some(service), rollout, continued: false, carried }
    }
}

impl From<Recovered> for Row {
    fn from(recovered: Recovered) -> Self {
        let Recovered { rollout, service, carried } = recovered;
        let rollout = rollout.to_string();
        let name = service.as_ref().map_or_else(|| rollout.clone(), |service| service.name().to_owned());
        Self { name, service, rollout: Some(rollout), continued: true, carried }
    }
}

/// What became of each, for people.
pub fn endings_text(rows: &[Row], terminal: &Terminal) -> String {
    // Nothing is cut: the reasons are what a person needs here.
    let mut table =
        Table::new(["SERVICE", "ENDING", "WHY"]).never_cut("SERVICE").never_cut("ENDING").never_cut("WHY");
    for row in rows {
        let (ending, why) = ending(&row.carried);
        table.row([printable(&row.name), ending.to_owned(), printable(&why)]);
    }
    table.render(terminal)
}

/// The same for scripts.
pub(super) fn endings_json(rows: &[Row]) -> Value {
    let services: Vec<Value> = rows
        .iter()
        .map(|row| {
            let (ending, why) = ending(&row.carried);
            json!({
                "service": row.service,
                "rollout": row.rollout,
                "continued": row.continued,
                "ending": ending,
                "why": why
            })
        })
        .collect();
    json!({ "format": 1, "services": services })
}

/// What all of them together mean for a script.
pub(super) fn exit_of(rows: &[Row]) -> Exit {
    worst(rows.iter().map(|row| exit(&row.carried)))
}

fn ending(carried: &Carried) -> (&'static str, String) {
    let [interrupted, not_begun, held_back] = WITHOUT_ENDING;
    match carried {
        Carried::Begun(Outcome::Ended { ending, journal_lost, .. }) => {
            let mut why = ending.cause().map_or_else(String::new, ToString::to_string);
            if let Some(error) = journal_lost {
                why.push_str(&format!(" (the journal lacks the last events: {error})"));
            }
            (ending.word(), why)
        }
        Carried::Begun(Outcome::Interrupted { rollout }) => (interrupted, left(rollout)),
        Carried::NotBegun(error) => (not_begun, error.to_string()),
        Carried::Locked => (not_begun, "another rollout of it is under way".to_owned()),
        Carried::WindowClosed => (not_begun, "its window closed before its turn came".to_owned()),
        Carried::HeldBack { stage } => (held_back, format!("stage {stage} did not end well")),
    }
}

/// What an interrupted rollout leaves, in words that say what to do.
fn left(rollout: &Rollout) -> String {
    let stage = rollout.stage().word();
    if !rollout.may_have_changed() {
        return format!("the rollout was {stage}: nothing was changed; `certroll apply` goes on with it");
    }
    let sent = match rollout.phase() {
        Phase::Forward => "the update was sent",
        Phase::Back => "the old state was sent",
    };
    format!(
        "{sent}, and the rollout was {stage}: Azure goes on by itself; `certroll apply` goes on with the rollout"
    )
}

fn exit(carried: &Carried) -> Exit {
    match carried {
        Carried::Begun(Outcome::Ended { ending, .. }) => match ending {
            Ending::Verified => Exit::Ok,
            Ending::Restored { .. } => Exit::DataErr,
            Ending::Stuck { .. } => Exit::Software,
            Ending::Abandoned { .. } => Exit::TempFail,
        },
        Carried::Begun(Outcome::Interrupted { .. })
        | Carried::Locked
        | Carried::WindowClosed
        | Carried::HeldBack { .. } => Exit::TempFail,
        // A record that is damaged has become a stuck rollout.
        Carried::NotBegun(RolloutError::Record(_)) => Exit::Software,
        Carried::NotBegun(_) => Exit::IoErr,
    }
}

/// The one that most needs a person.
pub(super) fn worst(exits: impl IntoIterator<Item = Exit>) -> Exit {
    const ORDER: [Exit; 5] = [Exit::Software, Exit::DataErr, Exit::IoErr, Exit::Unavailable, Exit::TempFail];
    let exits: Vec<Exit> = exits.into_iter().collect();
    ORDER.into_iter().find(|exit| exits.contains(exit)).unwrap_or(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_that_of_the_worst_ending() {
        assert_eq!(worst([]), Exit::Ok);
        assert_eq!(worst([Exit::Ok, Exit::TempFail]), Exit::TempFail);
        assert_eq!(worst([Exit::TempFail, Exit::DataErr, Exit::Ok]), Exit::DataErr);
        assert_eq!(worst([Exit::Unavailable, Exit::Software, Exit::DataErr]), Exit::Software);
    }
}
