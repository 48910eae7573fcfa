//! Exit codes: those of sysexits(3), which scripts and systemd units can rely on.

use std::process::ExitCode;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// `doctor`: there are warnings.
    Warnings = 1,
    /// `plan`: changes are pending.
    ChangesPending = 2,
    /// `doctor`: something could not be checked.
    NotChecked = 3,
    /// `doctor`: something keeps certroll from its work.
    Failures = 4,
    /// The command line is wrong.
    Usage = 64,
    /// Input data are wrong.
    DataErr = 65,
    /// An input file is not there or cannot be read.
    NoInput = 66,
    /// Azure or another service cannot be reached.
    Unavailable = 69,
    /// A fault of the program itself, or a service that needs a person.
    Software = 70,
    /// The system refuses what is needed.
    OsErr = 71,
    /// An output file cannot be made.
    CantCreat = 73,
    /// Reading or writing failed.
    IoErr = 74,
    /// It may work later.
    TempFail = 75,
    /// An answer from outside is not understood.
    Protocol = 76,
    /// A permission is missing.
    NoPerm = 77,
    /// The configuration is wrong.
    Config = 78,
}

impl Exit {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Ok,
        Self::Warnings,
        Self::ChangesPending,
        Self::NotChecked,
        Self::Failures,
        Self::Usage,
        Self::DataErr,
        Self::NoInput,
        Self::Unavailable,
        Self::Software,
        Self::OsErr,
        Self::CantCreat,
        Self::IoErr,
        Self::TempFail,
        Self::Protocol,
        Self::NoPerm,
        Self::Config,
    ];

    /// Its number.
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// The codes for the long help.
pub(super) const EXIT_CODES: &str = "\
Exit codes:
  0   done
  1   doctor: there are warnings
  2   plan: changes are pending
  3   doctor: something could not be checked
  4   doctor: something keeps certroll from its work
  64  the command line is wrong
  65  input data are wrong; `apply`: a change was put back
  66  an input file cannot be read
  69  a service cannot be reached
  70  a fault of certroll itself; `apply`: a service needs a person
  71  the system refuses what is needed
  73  an output file cannot be made
  74  reading or writing failed
  75  it may work later
  76  an answer is not understood
  77  a permission is missing
  78  the configuration is wrong";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_every_code_and_no_other() {
        let named: Vec<u8> = EXIT_CODES
            .lines()
            .skip(1)
            .map(|line| line.split_whitespace().next().unwrap().parse().unwrap())
            .collect();
        let codes: Vec<u8> = Exit::ALL.into_iter().map(Exit::code).collect();
        assert_eq!(named, codes);
    }
}
