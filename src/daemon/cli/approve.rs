//! `certroll approve`: say yes to the change that a service waits with.

use certroll_core::plan::{PlanDigest, PlannedUpdate};
use clap::Args;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::confirm::confirm;
use super::exit::Exit;
use super::failure::Failure;
use super::terminal::printable;
use super::{Context, output, report};
use crate::admin::{ApproveRequest, client};

/// Approve the change that a service with `mode = "approve"` waits with
///
/// Shows the change that the running certroll has planned and asks. The approval is for exactly this change: where the
/// service or the vault is another before it begins, the new plan waits for a person again.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  certroll approve shop                  shows the change, asks, and lets it begin
  certroll approve --yes shop            without a question, for scripts
  certroll approve --yes --plan 3f0a… shop
                                         only if it is the plan of a notice or of `certroll status`

Exit codes:
  0   approved; the change begins, in its window where it has one
  65  nothing waits for approval, or the plan is another by now
  69  no daemon answers
  75  the answer was not `y`
  Others as for every command: see `certroll --help`.")]
pub struct ApproveArguments {
    /// The service, by name or resource id
    #[arg(value_name = "SERVICE")]
    pub service: String,

    /// The plan that is approved, by its digest or the first eight digits of it or more
    #[arg(long, value_name = "DIGEST")]
    pub plan: Option<String>,

    /// Do not ask. Needed where nobody can answer
    #[arg(long)]
    pub yes: bool,
}

/// Fewest digits by which a plan is named: one in four thousand million would be another's.
const DIGITS: usize = 8;

#[derive(Deserialize)]
struct Waiting {
    plan: PlanDigest,
    update: PlannedUpdate,
}

/// Runs the command.
///
/// # Errors
/// The configuration is wrong, no daemon answers, nothing waits, or nobody said yes.
pub async fn run(arguments: &ApproveArguments, context: &Context) -> Result<Exit, Failure> {
    let admin = context.admin()?;
    let socket = &admin.socket;
    let path = client::path(["services", &arguments.service, "update"]);
    let waiting: Waiting = client::get(socket, &path).await?;
    let service = &waiting.update.service;
    let name = service.name();
    if let Some(plan) = &arguments.plan {
        let plan = plan.to_ascii_lowercase();
        if plan.len() < DIGITS || !waiting.plan.as_str().starts_with(&plan) {
            let error = format!("the plan of `{name}` that waits is {}, not {plan}", waiting.plan);
            return Err(Failure::new(Exit::DataErr, error)
                .hint(format!("look at it: `certroll approve {name}` shows it and asks")));
        }
    }
    let heading = context.stderr.heading(&printable(&service.to_string()));
    let shown = report::update_text(&waiting.update, Timestamp::now(), &context.stderr);
    output::write_message(&format!("{heading}\n{shown}\nplan {}\n", waiting.plan));
    confirm(arguments.yes, "Approve this change?", "approved", context)?;
    let request = ApproveRequest { service: service.clone(), plan: waiting.plan.clone() };
    let _: Value = client::post(socket, "/approve", &request).await?;
    if context.json {
        output::write_json(&json!({ "format": 1, "service": service, "plan": waiting.plan }))?;
    } else {
        output::write_message(&format!("approved; `certroll status {name}` says how it goes\n"));
    }
    Ok(Exit::Ok)
}
