//! The two streams: data on standard output, everything else on standard error.

use std::io::{self, Write};

use serde::Serialize;

use super::exit::Exit;
use super::failure::Failure;

/// Writes data to standard output. A reader that went away (`certroll plan | head`) ends the command quietly.
///
/// # Errors
/// Writing failed.
pub fn write_data(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    match written {
        Err(fault) if fault.kind() == io::ErrorKind::BrokenPipe => Err(Failure::new(Exit::Ok, fault)),
        Err(fault) => Err(Failure::new(Exit::IoErr, fault).hint("standard output could not be written")),
        Ok(()) => Ok(()),
    }
}

/// Writes a value as indented JSON to standard output.
///
/// # Errors
/// Writing failed.
pub fn write_json(value: &impl Serialize) -> Result<(), Failure> {
    let mut text =
        serde_json::to_string_pretty(value).map_err(|fault| Failure::new(Exit::Software, fault))?;
    text.push('\n');
    write_data(&text)
}

/// Writes a message for a person to standard error. There is nowhere to report that this fails.
pub fn write_message(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes());
    let _ = stderr.flush();
}
