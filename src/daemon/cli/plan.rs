//! `certroll plan`: what would be changed, and why not more.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use certroll_core::id::RolloutId;
use certroll_core::plan::SavedPlan;
use certroll_core::ports::{Progress, Recorded, RolloutObserver};
use clap::Args;

use super::exit::Exit;
use super::failure::Failure;
use super::select::select;
use super::terminal::Terminal;
use super::waiting::Waiting;
use super::{Context, output, report};
use crate::records::Records;
use crate::work::{PlanReport, Policy, Status, Work};

/// Show what would be changed, without changing anything
///
/// Reads the vaults and the services, and prints for each service whether it is current, planned, waiting, blocked or
/// unreadable. A planned change prints as a diff of the service configuration and of the secrets, with the roles and
/// instances that it restarts.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  certroll plan                          all services
  certroll plan shop                     one service, by its name
  certroll plan --out friday.plan shop   save the plan, to be applied later as it is
  certroll plan --json | jq '.services[] | select(.status == \"blocked\")'

Exit codes:
  0   nothing to do
  2   changes are pending
  65  nothing is pending, and a service is blocked
  69  nothing is pending, and a service could not be read
  Others as for every command: see `certroll --help`.")]
pub struct PlanArguments {
    /// Services to plan, by name or resource id; all if none is given
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,

    /// Save the plan. `certroll apply FILE` carries it out, and refuses if a service has changed since
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// The configuration is wrong, a service is not in it, or the plan cannot be saved.
pub async fn run(arguments: &PlanArguments, context: &Context) -> Result<Exit, Failure> {
    let settings = context.settings()?;
    context.start_telemetry(&settings)?;
    let policy = select(&settings.policy, &arguments.services)?;
    let records = Records::read(&settings.journal).unwrap_or_else(|error| {
        let label = context.stderr.notable("warning:");
        output::write_message(&format!(
            "{label} the journal cannot be read, so that the plan does not heed what it holds back: {error}\n"
        ));
        Records::in_memory()
    });
    let work = Work::new(&settings, records, Arc::new(Silence))
        .map_err(|error| Failure::new(Exit::Config, error))?;
    let report = look(&policy, &work, &context.stderr).await;
    if let Some(path) = &arguments.out {
        save(&report, path)?;
    }
    if context.json {
        output::write_json(&report::json(&report))?;
    } else {
        output::write_data(&report::text(&report, &context.stdout))?;
        if let Some(path) = &arguments.out {
            output::write_message(&format!(
                "services to change: {}; saved to `{}`. `certroll apply {}` carries it out. The file holds the service \
                 configuration: keep it to yourself\n",
                report.planned().count(),
                path.display(),
                path.display()
            ));
        }
    }
    Ok(exit(&report))
}

/// One look for a person, with a sign of life on a terminal where it takes longer than a moment.
pub(super) async fn look(policy: &Policy, work: &Work, stderr: &Terminal) -> PlanReport {
    let what = match policy.services.len() {
        1 => "looking at 1 service and what it follows".to_owned(),
        count => format!("looking at {count} services and what they follow"),
    };
    Waiting::new(stderr, &what).counting(work.azure()).on(work.look(policy)).await
}

/// Nobody watches a plan.
#[derive(Debug)]
pub(super) struct Silence;

impl RolloutObserver for Silence {
    fn recorded(&self, _record: &Recorded) {}
    fn waiting(&self, _rollout: &RolloutId, _progress: &Progress) {}
}

/// Saves the planned updates, readable by their owner only.
fn save(report: &PlanReport, path: &Path) -> Result<(), Failure> {
    let plan = SavedPlan::new(report.at, report.planned().cloned().collect());
    let failed = |error: std::io::Error| {
        Failure::new(Exit::CantCreat, format!("the plan cannot be saved to `{}`: {error}", path.display()))
            .hint("name another file with `--out`")
    };
    // A device, a pipe or a socket is not replaced: `/dev/null` belongs to the whole machine.
    if std::fs::symlink_metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_symlink()) {
        return Err(failed(std::io::Error::other("what is there is not a file")));
    }
    // A file that is there may be readable by others, and a name may be a link: a new one replaces it.
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let beside = PathBuf::from(name);
    let _ = std::fs::remove_file(&beside);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside).map_err(failed)?;
    let written = file.write_all(plan.to_json().as_bytes()).and_then(|()| file.sync_all());
    if let Err(error) = written.and_then(|()| std::fs::rename(&beside, path)) {
        let _ = std::fs::remove_file(&beside);
        return Err(failed(error));
    }
    Ok(())
}

/// What the report means for a script.
fn exit(report: &PlanReport) -> Exit {
    let any = |fits: fn(&Status) -> bool| report.services.iter().any(|service| fits(&service.status));
    if any(|status| matches!(status, Status::Planned { .. } | Status::Waiting { .. })) {
        Exit::ChangesPending
    } else if any(|status| matches!(status, Status::Unreadable { .. })) {
        Exit::Unavailable
    } else if any(|status| matches!(status, Status::Blocked { .. })) {
        Exit::DataErr
    } else {
        Exit::Ok
    }
}
