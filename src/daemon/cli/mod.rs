//! The command line. Each command has a file; this one has what they share and chooses among them.

pub mod activate;
pub mod apply;
pub mod approve;
mod asking;
pub mod certificate_file;
pub mod check;
pub mod completions;
mod confirm;
pub mod discover;
pub mod doctor;
pub mod elapsed;
pub mod endings;
pub mod exit;
pub mod failure;
pub mod history;
pub mod inspect;
mod interrupts;
mod leading;
pub mod man;
pub mod notify;
pub mod output;
pub mod pause;
pub mod plan;
pub mod release;
pub mod reload;
pub mod report;
pub mod restore;
pub mod run;
pub mod select;
pub mod status;
pub mod table;
pub mod terminal;
pub mod upload;
mod waiting;
pub mod watch;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgAction, Args, Parser, Subcommand};
use jiff::Timestamp;

use crate::config::{self, AdminSettings, Environment, LogLevel, LogSettings, Settings};
use crate::telemetry;
use exit::{EXIT_CODES, Exit};
use failure::Failure;
use terminal::{ColorChoice, Terminal, printable};

/// What `--version` prints: the version, then how it was built, by `build.rs`.
const LONG_VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\ncommit    ",
    env!("CERTROLL_BUILD_COMMIT"),
    "\ntarget    ",
    env!("CERTROLL_BUILD_TARGET"),
    "\ncompiler  ",
    env!("CERTROLL_BUILD_COMPILER"),
    "\nprofile   ",
    env!("CERTROLL_BUILD_PROFILE"),
);

/// Carries renewed certificates from Azure Key Vault into Azure Cloud Services (extended support).
///
/// A cloud service pins each certificate twice: by thumbprint in its configuration (cscfg) and by a versioned secret URL.
/// A renewed certificate changes nothing until both are edited. certroll edits them, waits until the service runs with
/// the new certificate, looks whether it is served, and puts the old state back if it is not.
#[derive(Debug, Parser)]
#[command(name = "certroll", version, long_version = LONG_VERSION, max_term_width = 100, after_long_help = EXIT_CODES)]
struct Cli {
    #[command(flatten)]
    global: GlobalArguments,
    #[command(subcommand)]
    command: Command,
}

/// The configuration where none is named.
const DEFAULT_CONFIG: &str = "/etc/certroll/certroll.toml";

/// What every command takes.
#[derive(Clone, Debug, Args)]
struct GlobalArguments {
    /// The configuration. Files of the directory with `.d` in place of `.toml` beside it are read too
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "CERTROLL_CONFIG",
        default_value = DEFAULT_CONFIG,
        hide_env_values = true,
        help_heading = "Global options"
    )]
    config: PathBuf,

    /// The least important messages that are logged. Goes before `CERTROLL_LOG`
    #[arg(long, global = true, value_name = "LEVEL", help_heading = "Global options")]
    log_level: Option<LogLevel>,

    /// Log more: `-v` debug, `-vv` trace
    #[arg(
        short,
        long,
        global = true,
        action = ArgAction::Count,
        conflicts_with = "log_level",
        help_heading = "Global options"
    )]
    verbose: u8,

    /// Whether to use colour. Nothing is said by colour alone
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true,
        help_heading = "Global options"
    )]
    color: ColorChoice,

    /// Print data as JSON
    #[arg(long, global = true, help_heading = "Global options")]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArguments),
    Check(check::CheckArguments),
    Inspect(inspect::InspectArguments),
    Plan(plan::PlanArguments),
    Apply(apply::ApplyArguments),
    History(history::HistoryArguments),
    Restore(restore::RestoreArguments),
    Release(release::ReleaseArguments),
    Status(status::StatusArguments),
    Activate(activate::ActivateArguments),
    Reload(reload::ReloadArguments),
    Approve(approve::ApproveArguments),
    Pause(pause::PauseArguments),
    Resume(pause::ResumeArguments),
    Notify(notify::NotifyArguments),
    Upload(upload::UploadArguments),
    Discover(discover::DiscoverArguments),
    Doctor(doctor::DoctorArguments),
    Completions(completions::CompletionsArguments),
    Man(man::ManArguments),
}

/// What a command is given besides its own arguments.
#[derive(Clone, Debug)]
pub struct Context {
    /// The main configuration file.
    pub config: PathBuf,
    /// The environment.
    pub environment: Environment,
    /// Standard output.
    pub stdout: Terminal,
    /// Standard error.
    pub stderr: Terminal,
    /// Whether data are printed as JSON.
    pub json: bool,
    /// The level that the command line asks for.
    pub log_level: Option<LogLevel>,
    /// When the command started.
    pub now: Timestamp,
}

impl Context {
    /// Whether nobody named a configuration and the usual one is not there: commands that can work without one do.
    pub fn has_no_configuration(&self) -> bool {
        self.config == std::path::Path::new(DEFAULT_CONFIG) && !self.config.exists()
    }

    /// Reads the configuration. Warnings go to standard error.
    ///
    /// # Errors
    /// The configuration is wrong: every problem, with exit code 78.
    pub fn settings(&self) -> Result<Settings, Failure> {
        let settings = config::load(&self.config, &self.environment, self.now)
            .map_err(|fault| Failure::new(Exit::Config, fault))?;
        for warning in &settings.warnings {
            let label = self.stderr.notable("warning:");
            output::write_message(&format!("{label} {}\n", printable(&warning.headline())));
        }
        Ok(settings)
    }

    /// Where the running certroll is asked. A configuration with mistakes is no reason not to ask it: it goes on with the one
    /// that it read before.
    ///
    /// # Errors
    /// The configuration is so wrong that it does not tell; every problem, with exit code 78.
    pub fn admin(&self) -> Result<AdminSettings, Failure> {
        let fault = match config::load(&self.config, &self.environment, self.now) {
            Ok(settings) => return Ok(settings.admin),
            Err(fault) => fault,
        };
        let Some(admin) = config::admin(&self.config, &self.environment, self.now) else {
            return Err(Failure::new(Exit::Config, fault));
        };
        let label = self.stderr.notable("warning:");
        let (file, socket) = (self.config.display().to_string(), admin.socket.display().to_string());
        output::write_message(&format!(
            "{label} the configuration `{}` is wrong: `certroll check` says how; asking the certroll that answers at `{}`\n",
            printable(&file),
            printable(&socket)
        ));
        Ok(admin)
    }

    /// Starts logging for a command that a person waits for: warnings, unless environment or command line ask for more.
    /// The level of the settings is the daemon's.
    ///
    /// # Errors
    /// `CERTROLL_LOG` is malformed.
    pub fn start_telemetry(&self, settings: &Settings) -> Result<(), Failure> {
        let filter = self.environment.get("CERTROLL_LOG");
        let log = LogSettings { level: LogLevel::Warn, ..settings.log };
        telemetry::start(log, self.log_level, filter, self.stderr.has_colour())
            .map(drop)
            .map_err(|fault| Failure::new(Exit::Usage, fault))
    }
}

/// Runs the program with its arguments and gives its exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(fault) => {
            // A reader that went away is no reason to complain.
            let _ = fault.print();
            return match fault.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Ok.into(),
                _ => Exit::Usage.into(),
            };
        }
    };
    let environment = Environment::of_process();
    let global = cli.global;
    let log_level = global.log_level.or(match global.verbose {
        0 => None,
        1 => Some(LogLevel::Debug),
        _ => Some(LogLevel::Trace),
    });
    let context = Context {
        config: global.config,
        stdout: Terminal::stdout(global.color, &environment),
        stderr: Terminal::stderr(global.color, &environment),
        environment,
        json: global.json,
        log_level,
        now: Timestamp::now(),
    };
    let ended = match &cli.command {
        Command::Run(arguments) => on_runtime(run::run(arguments, &context)),
        Command::Check(arguments) => check::run(arguments, &context),
        Command::Inspect(arguments) => inspect::run(arguments, &context),
        Command::Plan(arguments) => on_runtime(plan::run(arguments, &context)),
        Command::Apply(arguments) => on_runtime(apply::run(arguments, &context)),
        Command::History(arguments) => on_runtime(history::run(arguments, &context)),
        Command::Restore(arguments) => on_runtime(restore::run(arguments, &context)),
        Command::Release(arguments) => on_runtime(release::run(arguments, &context)),
        Command::Status(arguments) => on_runtime(status::run(arguments, &context)),
        Command::Activate(arguments) => on_runtime(activate::run(arguments, &context)),
        Command::Reload(arguments) => on_runtime(reload::run(arguments, &context)),
        Command::Approve(arguments) => on_runtime(approve::run(arguments, &context)),
        Command::Pause(arguments) => on_runtime(pause::pause(arguments, &context)),
        Command::Resume(arguments) => on_runtime(pause::resume(arguments, &context)),
        Command::Notify(arguments) => on_runtime(notify::run(arguments, &context)),
        Command::Upload(arguments) => on_runtime(upload::run(arguments, &context)),
        Command::Discover(arguments) => on_runtime(discover::run(arguments, &context)),
        Command::Doctor(arguments) => on_runtime(doctor::run(arguments, &context)),
        Command::Completions(arguments) => completions::run(arguments),
        Command::Man(arguments) => man::run(arguments),
    };
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => {
            if failure.exit != Exit::Ok {
                output::write_message(&failure.render(&context.stderr));
            }
            failure.exit.into()
        }
    }
}

/// Most threads for what waits for the network, however many processors the machine has: two were enough for whatever was
/// measured, and each has a stack and an arena of its own.
const WORKERS: usize = 4;
/// Most threads for what blocks: files, the journal, key derivation, names. Names that nobody answers keep one for half a minute
/// each, which must not keep the journal waiting; with the workers it is still within the `TasksMax=128` of the unit.
const BLOCKING: usize = 64;

/// Runs what talks to the network.
fn on_runtime(command: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(processors.min(WORKERS))
        .max_blocking_threads(BLOCKING)
        .enable_all()
        .build()
        .map_err(|fault| Failure::new(Exit::Software, fault))?;
    runtime.block_on(command)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
