//! `certroll inspect`: what a certificate file or secret value holds.

use std::path::PathBuf;

use clap::Args;

use super::Context;
use super::exit::Exit;
use super::failure::Failure;

/// Show what a PFX, PEM, DER or secret value holds
#[derive(Clone, Debug, Args)]
pub struct InspectArguments {
    /// The file; `-` is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// The file cannot be read or understood.
pub fn run(_arguments: &InspectArguments, _context: &Context) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Unavailable, "`inspect` is not built yet"))
}
