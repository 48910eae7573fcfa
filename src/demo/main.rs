//! certroll and a simulated Azure in one program, with a story that shows what certroll does, or left running to try
//! its commands on.

mod directory;
mod handshake;
mod narrate;
mod serve;
mod stage;
mod story;
mod verdict;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use certroll::cli::elapsed::elapsed;
use certroll::cli::output;
use certroll::cli::terminal::{ColorChoice, Terminal, printable};
use certroll::config::Environment;
use clap::Parser;

use directory::{CONFIG, Directory, LEDGER};
use narrate::Narrator;
use stage::{Stage, Tempo};
use story::Twist;
use verdict::Chapter;

/// Show what certroll does, on an Azure that is simulated on this machine
///
/// Tells a story of three renewals in about half a minute: one that works, one that is refused, one that is put back. Each
/// is checked by PUTs that were counted and by TLS connections. Nothing leaves this machine, and nothing is kept unless
/// `--keep` or `--ledger` says so.
#[derive(Debug, Parser)]
#[command(
    name = "certroll-demo",
    version,
    max_term_width = 100,
    after_long_help = "\
Examples:
  certroll-demo                  tell the story
  certroll-demo --keep demo      tell it, and keep what it wrote
  certroll-demo --serve          try certroll's own commands

Exit codes:
  0    everything came out as it must; with `--serve`, it was asked to end
  1    something came out otherwise, or could not be done
  2    the command line is wrong
  130  interrupted"
)]
struct Cli {
    /// Keep the configuration, the journal and the ledger in this directory, which must be new or empty
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,

    /// Write every exchange with the simulated Azure to this file, one JSON object a line
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,

    /// Leave the simulated Azure running, with renewed certificates in its vault, to try certroll's commands on
    #[arg(long)]
    serve: bool,

    /// The port of 127.0.0.1 that the simulated Azure listens on; 0 is a free one
    #[arg(long, requires = "serve", default_value_t = PORT)]
    port: u16,
}

/// Where nothing else is known to listen.
const PORT: u16 = 47443;
/// What shells report for a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    // Before anything else: the first TLS connection takes the provider that it finds.
    let provider = rustls::crypto::ring::default_provider().install_default();
    debug_assert!(provider.is_ok(), "nothing has installed a provider before `main`");
    let cli = Cli::parse();
    let environment = Environment::of_process();
    let stdout = Terminal::stdout(ColorChoice::Auto, &environment);
    let stderr = Terminal::stderr(ColorChoice::Auto, &environment);
    let ended = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")
        .and_then(|runtime| runtime.block_on(run(&cli, stdout)));
    ended.unwrap_or_else(|error| {
        output::write_message(&format!("{} {}\n", stderr.bad("error:"), printable(&format!("{error:#}"))));
        ExitCode::FAILURE
    })
}

async fn run(cli: &Cli, terminal: Terminal) -> Result<ExitCode> {
    // A reader that went away is no reason to end before everything is checked.
    let narrator = Narrator::new(terminal, Arc::new(|text| drop(output::write_data(text))));
    if let Some(file) = &cli.ledger {
        // Whoever named a place that cannot be written to learns it before the story, not after.
        directory::write_private(file, b"")?;
    }
    let directory = match &cli.keep {
        Some(path) => Directory::kept(path)?,
        None => Directory::temporary()?,
    };
    let work = async {
        if cli.serve {
            let mut stage = Stage::set(directory, Tempo::told(), cli.port).await?;
            serve::serve(&mut stage, &narrator).await?;
            keep_ledger(cli, &stage)?;
            Ok(ExitCode::SUCCESS)
        } else {
            let mut stage = Stage::set(directory, Tempo::told(), 0).await?;
            tell(cli, &mut stage, &narrator, None).await
        }
    };
    tokio::select! {
        ended = work => ended,
        // The temporary directory goes with what is dropped here.
        _ = tokio::signal::ctrl_c(), if !cli.serve => {
            output::write_message("\ninterrupted\n");
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

async fn tell(cli: &Cli, stage: &mut Stage, narrator: &Narrator, twist: Option<Twist>) -> Result<ExitCode> {
    let live = std::io::stderr().is_terminal() && narrator.terminal().width().is_some();
    let told = story::tell(stage, narrator, live, twist).await?;
    keep_ledger(cli, stage)?;
    if stage.directory.stays() {
        let path = stage.path().display();
        narrator.verbatim(&format!(
            "\nkept in `{path}`: the configuration, the journal and {LEDGER}. `certroll history --config \
             {path}/{CONFIG}` reads the journal. The simulated Azure has ended; `certroll-demo --serve` leaves one \
             running\n"
        ));
    }
    let wrong = told.chapters.iter().filter(|chapter| !chapter.is_right()).count();
    let time = elapsed(narrator.elapsed());
    if wrong == 0 {
        let all = narrator.terminal().good("Everything came out as it must");
        narrator.verbatim(&format!("\n{all}, in {time}.\n"));
        Ok(ExitCode::SUCCESS)
    } else {
        let titles: Vec<&str> =
            told.chapters.iter().filter(|one| !Chapter::is_right(one)).map(|one| one.title).collect();
        bail!("{wrong} of {} chapters came out wrong: {}", told.chapters.len(), titles.join(", "))
    }
}

/// Writes the ledger to where it was asked for.
fn keep_ledger(cli: &Cli, stage: &Stage) -> Result<()> {
    let ledger = stage.simulator.ledger().to_ndjson();
    if stage.directory.stays() {
        stage.directory.write(LEDGER, &ledger)?;
    }
    match &cli.ledger {
        Some(file) => directory::write_private(file, ledger.as_bytes()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_chapter_that_goes_wrong_fails_the_program_and_the_ledger_is_written_all_the_same() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let place = tempfile::TempDir::new().unwrap();
        let file = place.path().join("ledger.ndjson");
        let cli = Cli::parse_from(["certroll-demo", "--ledger", file.to_str().unwrap()]);
        let narrator = Narrator::new(Terminal::plain(None), Arc::new(|_| {}));
        let mut stage = Stage::set(Directory::temporary().unwrap(), Tempo::quick(), 0).await.unwrap();
        let error = tell(&cli, &mut stage, &narrator, Some(Twist::ThirdWorks)).await.unwrap_err();
        assert_eq!(error.to_string(), "1 of 3 chapters came out wrong: 3 restored");
        assert!(std::fs::read_to_string(file).unwrap().lines().count() > 20);
    }
}
