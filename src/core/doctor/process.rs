//! The process and its machine: tokens, clock, journal.

use jiff::{SignedDuration, Timestamp};

use super::{Check, Finding, Mend, Subject, Verdict, failed};
use crate::ports::{FaultKind, JournalError, JournalFault, PortError, ServerTime};

/// From here on the clock is a warning: many times what a network adds, a fraction of what tokens bear.
const SKEW_NOTABLE: SignedDuration = SignedDuration::from_secs(60);
/// From here on it is a failure: Entra ID and Azure bear five minutes.
const SKEW_BAD: SignedDuration = SignedDuration::from_secs(300);
/// Free space under which the journal is a warning: years of rollouts, each of which is at most some megabytes.
const SPACE_NOTABLE: u64 = 256 * 1024 * 1024;
/// Free space under which it is a failure: the largest cscfg, its answers and the log beside the database fit in.
const SPACE_BAD: u64 = 16 * 1024 * 1024;

/// A token that was given. When it expires says nothing: it is renewed by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// Which identity gave it.
    pub identity: String,
    /// The tenant.
    pub tenant: Option<String>,
    /// The application.
    pub application: Option<String>,
    /// The object id.
    pub object: Option<String>,
}

/// What asking for a token came to.
pub fn token(check: Check, granted: &Result<Granted, PortError>) -> Finding {
    let subject = Subject::Identity;
    match granted {
        Ok(granted) => {
            let named = |name: &str, value: &Option<String>| {
                value.as_ref().map(|value| format!(", {name} {value}")).unwrap_or_default()
            };
            let what = format!(
                "{} gives one{}{}{}",
                granted.identity,
                named("application", &granted.application),
                named("object", &granted.object),
                named("tenant", &granted.tenant)
            );
            Finding::good(check, &subject, what)
        }
        Err(error) => {
            let mut finding = failed(check, &subject, error);
            if error.kind() == FaultKind::NoToken {
                finding.verdict = Verdict::Failure;
                finding.what = error.to_string();
                finding.mend = error.fault().hint.clone().map(Mend::Words);
            }
            finding
        }
    }
}

/// How far this machine's clock is ahead of a server's; negative where it is behind. What the network and the whole
/// seconds of `Date` may explain is taken off: zero says that the clocks may agree.
pub fn ahead(time: &ServerTime) -> SignedDuration {
    let latest = time.server + SignedDuration::from_secs(1);
    if time.asked > latest {
        time.asked.duration_since(latest)
    } else if time.answered < time.server {
        time.answered.duration_since(time.server)
    } else {
        SignedDuration::ZERO
    }
}

/// What the clocks of Azure's servers say of this machine's.
pub fn clock(readings: &[(String, Result<ServerTime, PortError>)]) -> Finding {
    let (check, subject) = (Check::Clock, Subject::Machine);
    let known = readings.iter().filter_map(|(server, time)| Some((server, ahead(time.as_ref().ok()?))));
    let Some((server, ahead)) = known.max_by_key(|(_, ahead)| ahead.abs()) else {
        let why = match readings.first() {
            Some((server, Err(error))) => format!("`{server}` told no time: {}", super::vault::short(error)),
            _ => "no server told its time".to_owned(),
        };
        return Finding::not_checked(check, &subject, why);
    };
    let count = readings.iter().filter(|(_, time)| time.is_ok()).count();
    let verdict = match ahead.abs() {
        off if off >= SKEW_BAD => Verdict::Failure,
        off if off >= SKEW_NOTABLE => Verdict::Warning,
        _ => return Finding::good(check, &subject, format!("it agrees with {count} of Azure's servers")),
    };
    let direction = if ahead.is_positive() { "ahead of" } else { "behind" };
    let what = format!("it is {} s {direction} `{server}`", ahead.abs().as_secs());
    Finding::new(check, &subject, verdict, what).mend(Mend::Command("timedatectl set-ntp true".into()))
}

/// What the journal's directory is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectoryEvidence {
    /// It is there.
    Present {
        /// Permission bits.
        mode: u32,
        /// Whether this user may write it.
        writable: bool,
    },
    /// It is not there.
    Absent {
        /// The nearest directory above it that is there, and whether this user may make a directory in it.
        above: String,
        /// Whether that may be written.
        writable: bool,
    },
    /// It cannot be looked at.
    Unknown(String),
}

/// Who wrote himself into the journal's lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The program, such as `certroll run`.
    pub program: String,
    /// Its process id.
    pub pid: u32,
    /// Its host.
    pub host: String,
    /// Since when.
    pub since: Timestamp,
    /// Whether such a process runs on this host; unknown where it is another host.
    pub runs: Option<bool>,
}

/// Everything about the journal.
#[derive(Clone, Debug)]
pub struct JournalEvidence {
    /// The directory of the configuration.
    pub path: String,
    /// What it is like.
    pub directory: DirectoryEvidence,
    /// What opening the record to read came to.
    pub opened: Result<(), JournalError>,
    /// Who holds it.
    pub holder: Option<Holder>,
    /// Free space for this user, in bytes.
    pub free: Result<u64, String>,
}

/// What it comes to.
pub fn journal(evidence: &JournalEvidence) -> Vec<Finding> {
    vec![directory(evidence), record(evidence), space(evidence)]
}

fn directory(evidence: &JournalEvidence) -> Finding {
    let (check, subject) = (Check::JournalDirectory, Subject::Machine);
    let path = &evidence.path;
    let quoted = super::mend::quoted(path);
    match &evidence.directory {
        DirectoryEvidence::Present { writable: false, .. } => {
            let what = format!("this user may not write `{path}`");
            Finding::new(check, &subject, Verdict::Failure, what).mend(Mend::Words(
                "run certroll as the directory's owner, on a disk that is mounted for writing".into(),
            ))
        }
        DirectoryEvidence::Present { mode, .. } if mode & 0o077 != 0 => {
            let what = format!("others may enter `{path}`: expected mode 0700, found 0{:03o}", mode & 0o777);
            Finding::new(check, &subject, Verdict::Warning, what)
                .mend(Mend::Command(format!("chmod 700 {quoted}")))
        }
        DirectoryEvidence::Present { .. } => {
            Finding::good(check, &subject, format!("`{path}` is this user's alone, and may be written"))
        }
        DirectoryEvidence::Absent { writable: true, .. } => {
            Finding::good(check, &subject, format!("`{path}` is not there yet, and can be made"))
        }
        DirectoryEvidence::Absent { above, writable: false } => {
            let what = format!("`{path}` is not there, and this user may not make it in `{above}`");
            Finding::new(check, &subject, Verdict::Failure, what)
                .mend(Mend::Command(format!("install -d -m 0700 -o '<user of certroll>' {quoted}")))
        }
        DirectoryEvidence::Unknown(reason) => {
            let what = format!("`{path}` cannot be looked at: {reason}");
            let mend = "name a directory in `[journal]` that the user of certroll can enter, or make";
            Finding::new(check, &subject, Verdict::Failure, what).mend(Mend::Words(mend.into()))
        }
    }
}

fn record(evidence: &JournalEvidence) -> Finding {
    let (check, subject) = (Check::Journal, Subject::Machine);
    let held = match &evidence.holder {
        None => "nobody holds it".to_owned(),
        Some(Holder { program, pid, host, since, runs }) => {
            let ended = match runs {
                Some(true) => "",
                Some(false) => ", which runs no more: the next start leads on what it left",
                None => ", which cannot be seen from here",
            };
            format!(
                "held by {program} (process {pid} on host `{host}`) since {}{ended}",
                since.strftime("%F %H:%MZ")
            )
        }
    };
    match &evidence.opened {
        Ok(()) if evidence.holder.as_ref().is_some_and(|holder| holder.runs == Some(false)) => {
            Finding::new(check, &subject, Verdict::Notice, held)
        }
        Ok(()) => Finding::good(check, &subject, held),
        Err(error) if error.kind == JournalFault::Absent => {
            Finding::good(check, &subject, "there is none yet: the first rollout makes it")
        }
        Err(error) => {
            let finding = Finding::new(check, &subject, Verdict::Failure, error.to_string());
            match &error.hint {
                Some(hint) => finding.mend(Mend::Words(hint.clone())),
                None => finding,
            }
        }
    }
}

fn space(evidence: &JournalEvidence) -> Finding {
    let (check, subject) = (Check::JournalSpace, Subject::Machine);
    let free = match &evidence.free {
        Ok(free) => *free,
        Err(reason) => return Finding::not_checked(check, &subject, reason),
    };
    let what = format!("{} MiB are free for the journal", free / (1024 * 1024));
    let verdict = match free {
        free if free < SPACE_BAD => Verdict::Failure,
        free if free < SPACE_NOTABLE => Verdict::Warning,
        _ => return Finding::good(check, &subject, what),
    };
    let mend =
        format!("make room on the disk of `{}`, or name another directory in `[journal]`", evidence.path);
    Finding::new(check, &subject, verdict, what).mend(Mend::Words(mend))
}
