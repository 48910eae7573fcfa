//! `certroll status`: what the running daemon does, at a glance.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

use super::elapsed::{elapsed, left_until, moment};
use super::exit::Exit;
use super::failure::Failure;
use super::table::Table;
use super::terminal::{Terminal, printable};
use super::{Context, output, select};
use crate::admin::client;
use crate::status::{FORMAT, ServiceView, ServiceWord, StatusView};

/// Time between two answers with `--watch`.
const PERIOD: Duration = Duration::from_secs(2);

/// Show how each service stands, and what it serves until when
///
/// Asks the running daemon by its admin socket, and changes nothing.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  certroll status                 every service
  certroll status shop            one service, with all reasons and certificates
  certroll status --watch         anew every two seconds, until Ctrl-C
  certroll status --json          for scripts

States:
  current      it has the newest versions
  planned      a change of it begins as soon as its turn comes
  waiting      a change is to be made later: for a window, a person, an earlier stage, or a batch to complete
  running      a rollout of it runs
  blocked      a change must not be made like this: a guard refuses it, or an earlier one failed
  unreadable   it, or what it references, could not be read
  unknown      it was not looked at yet

Exit codes:
  0   the daemon answered
  69  no daemon answers
  77  this user may not ask it
  Others as for every command: see `certroll --help`.")]
pub struct StatusArguments {
    /// A service, by name or resource id; every service if absent
    #[arg(value_name = "SERVICE")]
    pub service: Option<String>,

    /// Show it anew every two seconds
    #[arg(long)]
    pub watch: bool,
}

/// Runs the command.
///
/// # Errors
/// The configuration is wrong, or no daemon answers.
pub async fn run(arguments: &StatusArguments, context: &Context) -> Result<Exit, Failure> {
    let admin = context.admin()?;
    loop {
        let mut view: StatusView = client::get(&admin.socket, "/status").await?;
        if view.format != FORMAT {
            let error = format!("the daemon answers in format {}; expected {FORMAT}", view.format);
            return Err(Failure::new(Exit::Protocol, error).hint("use the command of the daemon's version"));
        }
        if let Some(name) = &arguments.service {
            let known = view.services.iter().map(|service| &service.service);
            let wanted = select::named(known, name, "looked after by the running certroll")?.clone();
            view.services.retain(|service| service.service == wanted);
        }
        let whole = arguments.service.is_some();
        if arguments.watch && context.stdout.width().is_some() && !context.json {
            // To the first cell, and nothing below: what was there is drawn over without a flicker.
            output::write_data("\u{1b}[H\u{1b}[2J")?;
        }
        if context.json {
            output::write_json(&view)?;
        } else {
            output::write_data(&text(&view, whole, Timestamp::now(), &context.stdout))?;
        }
        if !arguments.watch {
            return Ok(Exit::Ok);
        }
        tokio::time::sleep(PERIOD).await;
    }
}

/// What the daemon says, for people; `whole` with every reason and certificate.
pub fn text(view: &StatusView, whole: bool, now: Timestamp, terminal: &Terminal) -> String {
    let mut shown = head(view, now, terminal);
    if view.services.is_empty() {
        shown.push_str("\nno service is configured\n");
        return shown;
    }
    shown.push('\n');
    if whole {
        for service in &view.services {
            shown.push_str(&one(service, now, terminal));
        }
        return shown;
    }
    let mut table =
        Table::new(["SERVICE", "STATE", "SERVES UNTIL", "WHY"]).never_cut("SERVICE").never_cut("STATE");
    for service in &view.services {
        table.row([
            printable(service.service.name()),
            word(service),
            until(service, now),
            printable(&why(service, now)),
        ]);
    }
    shown.push_str(&table.render(terminal));
    for vault in view.vaults.iter().filter(|vault| vault.fault.is_some()) {
        let fault = vault.fault.as_deref().unwrap_or_default();
        let read = vault.last_read.map_or_else(
            || "never read since the start".to_owned(),
            |at| format!("last read {} ago", ago(at, now)),
        );
        let label = terminal.notable(&format!("vault `{}`:", vault.vault));
        shown.push_str(&format!("\n{label} {} ({read})\n", printable(fault)));
    }
    shown
}

fn head(view: &StatusView, now: Timestamp, terminal: &Terminal) -> String {
    let mut shown = format!(
        "certroll {} in {}, running for {}, process {}\n",
        printable(&view.version),
        printable(&view.cloud),
        ago(view.since, now),
        view.pid
    );
    let looked = match (view.looking, view.last_look) {
        (Some(since), _) => format!("looking for {}", ago(since, now)),
        (None, Some(at)) => format!("looked {} ago", ago(at, now)),
        (None, None) => "has not looked yet".to_owned(),
    };
    let next = view.next_look.map(|at| format!(", next look in {}", ago(now, at))).unwrap_or_default();
    shown.push_str(&format!("{looked}{next}\n"));
    if view.stopping {
        shown.push_str(&format!("{}\n", terminal.notable("it is stopping: nothing begins any more")));
    }
    if let Some(pause) = &view.paused {
        let text = format!("everything is paused{}", paused(pause));
        shown.push_str(&format!("{}\n", terminal.notable(&printable(&text))));
    }
    if let Some(why) = &view.refused_configuration {
        let label = terminal.bad("the last configuration was refused; an older one is in force:");
        shown.push_str(&format!("{label}\n{}\n", printable(why)));
    }
    shown
}

fn paused(pause: &crate::status::PauseView) -> String {
    let until = pause
        .until
        .map_or_else(|| " until somebody resumes it".to_owned(), |at| format!(" until {}", moment(at)));
    pause.reason.as_ref().map_or_else(|| until.clone(), |reason| format!("{until}: {reason}"))
}

fn word(service: &ServiceView) -> String {
    if service.paused.is_some() && service.state != ServiceWord::Running {
        return format!("{}, paused", service.state.word());
    }
    service.state.word().to_owned()
}

/// The end of the certificate that ends first, named where it is none of the leaves: a chain serves as long as all of it.
fn until(service: &ServiceView, now: Timestamp) -> String {
    let ends = service.serves.iter().filter_map(|served| Some((served.not_after?, served)));
    match ends.min_by_key(|(end, served)| (*end, served.leaf != Some(true))) {
        Some((end, served)) => {
            let which = if served.leaf == Some(false) { format!(", {}", served.name) } else { String::new() };
            format!("{} ({}{which})", end.strftime("%F"), left_until(end, now))
        }
        None => "not known".to_owned(),
    }
}

fn why(service: &ServiceView, now: Timestamp) -> String {
    let mut parts = Vec::new();
    if let Some(rollout) = &service.rollout {
        parts.push(format!("for {}", ago(rollout.since, now)));
    }
    parts.extend(service.why.first().cloned());
    if service.why.len() > 1 {
        parts.push(format!("and {} more", service.why.len() - 1));
    }
    if let Some(until) = service.until {
        parts.push(format!("in {}", ago(now, until)));
    }
    if service.plan.is_some() {
        parts.push(format!("`certroll approve {}`", service.service.name()));
    }
    if let Some(pause) = &service.paused {
        parts.push(format!("paused{}", paused(pause)));
    }
    parts.join("; ")
}

fn one(service: &ServiceView, now: Timestamp, terminal: &Terminal) -> String {
    let mut shown = format!("{}\n", terminal.heading(&printable(&service.service.to_string())));
    shown.push_str(&format!("  {}, stage {}\n", word(service), service.stage));
    for reason in &service.why {
        shown.push_str(&format!("  {}\n", printable(reason)));
    }
    if let Some(until) = service.until {
        shown.push_str(&format!("  not before {}\n", moment(until)));
    }
    if let Some(rollout) = &service.rollout {
        let since = moment(rollout.since);
        shown.push_str(&format!(
            "  rollout {} since {since}: {}\n",
            rollout.rollout,
            printable(&rollout.step)
        ));
    }
    if let Some(plan) = &service.plan {
        let name = service.service.name();
        shown.push_str(&format!("  to approve: `certroll approve {name}`, plan {plan}\n"));
    }
    if let Some(pause) = &service.paused {
        shown.push_str(&format!("  paused{}\n", printable(&paused(pause))));
    }
    let mut table = Table::new(["ROLE", "CERTIFICATE", "THUMBPRINT", "ENDS"]).never_cut("THUMBPRINT");
    for served in &service.serves {
        let ends = served.not_after.map_or_else(
            || "not known".to_owned(),
            |end| format!("{} ({})", end.strftime("%F"), left_until(end, now)),
        );
        table.row([printable(&served.role), printable(&served.name), served.thumbprint.to_string(), ends]);
    }
    if !table.is_empty() {
        shown.push_str(&table.render(terminal));
    }
    shown
}

/// The time between two moments; nothing where clocks differ.
fn ago(then: Timestamp, now: Timestamp) -> String {
    elapsed(Duration::try_from(now.duration_since(then)).unwrap_or_default())
}
