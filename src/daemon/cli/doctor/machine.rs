//! What this machine tells of the journal and of the certificate that the identity has. Looked at, never touched.

use std::path::Path;

use certroll_core::certificate::open_file;
use certroll_core::doctor::process::{DirectoryEvidence, Holder, JournalEvidence};
use certroll_core::doctor::{Check, Finding, Mend, Subject, Verdict, life};
use certroll_core::ports::JournalError;
use certroll_journal::Writer;
use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::config::{IdentitySettings, JournalSettings, Secret, Settings, read_limited};

/// Largest file of a certificate: a chain with its key has some 10 KB.
const FILE: u64 = 1024 * 1024;

/// Everything about the journal. `opened` is what reading it came to.
pub(super) fn journal(settings: &JournalSettings, opened: &Result<(), JournalError>) -> JournalEvidence {
    let path = settings.directory.as_path();
    let named = Writer::named_in(path);
    let holder = named.map(|writer| Holder {
        runs: runs(&writer),
        program: writer.program,
        pid: writer.pid,
        host: writer.host,
        since: writer.since,
    });
    JournalEvidence {
        path: path.display().to_string(),
        directory: directory(path),
        opened: opened.clone(),
        holder,
        free: free(nearest(path)),
    }
}

/// The directory itself, or the nearest one above it that is there.
fn nearest(path: &Path) -> &Path {
    path.ancestors().find(|one| one.exists()).unwrap_or(if path.is_absolute() {
        Path::new("/")
    } else {
        Path::new(".")
    })
}

fn directory(path: &Path) -> DirectoryEvidence {
    match std::fs::metadata(path) {
        Ok(found) => DirectoryEvidence::Present { mode: mode(&found), writable: may_write(path) },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let above = match nearest(path) {
                // A relative path has nothing above its first part.
                empty if empty.as_os_str().is_empty() => Path::new("."),
                above => above,
            };
            DirectoryEvidence::Absent {
                above: above.display().to_string(),
                writable: above.is_dir() && may_write(above),
            }
        }
        Err(error) => DirectoryEvidence::Unknown(error.to_string()),
    }
}

#[cfg(unix)]
fn mode(found: &std::fs::Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&found.permissions()) & 0o7777
}

#[cfg(not(unix))]
fn mode(_: &std::fs::Metadata) -> u32 {
    0o700
}

/// Whether files may be made there, by asking the system and not by making one.
#[cfg(unix)]
fn may_write(path: &Path) -> bool {
    use rustix::fs::{Access, access};
    access(path, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

#[cfg(not(unix))]
fn may_write(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| !found.permissions().readonly())
}

#[cfg(unix)]
fn free(path: &Path) -> Result<u64, String> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let told = rustix::fs::statvfs(path).map_err(|error| format!("the free space is not told: {error}"))?;
    Ok(told.f_bavail.saturating_mul(told.f_frsize))
}

#[cfg(not(unix))]
fn free(_: &Path) -> Result<u64, String> {
    Err("the free space is not told on this system".to_owned())
}

/// Whether a process of that number runs here. Another may have taken the number, which is then a wrong comfort and no
/// harm: the lock itself is the system's.
fn runs(writer: &Writer) -> Option<bool> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    (host.trim() == writer.host).then(|| Path::new("/proc").join(writer.pid.to_string()).exists())
}

/// The client certificate of the configuration, if the identity proves itself by one.
pub(super) fn identity_certificate(settings: &Settings, now: Timestamp) -> Option<Finding> {
    let IdentitySettings::ClientCertificate { certificate, .. } = &settings.identity else { return None };
    let place = (Check::IdentityCertificate, &Subject::Identity);
    let password = certificate.password.as_ref().map(Secret::reveal);
    Some(of_file(place, "the client certificate", &certificate.file, password, settings, now))
}

/// The time that is left to the certificate in a file.
pub(super) fn of_file(
    (check, subject): (Check, &Subject),
    what: &str,
    file: &Path,
    password: Option<&str>,
    settings: &Settings,
    now: Timestamp,
) -> Finding {
    let read = read_limited(file, FILE).map(Zeroizing::new).map_err(|error| error.to_string());
    match read.and_then(|bytes| open_file(&bytes, password).map_err(|error| error.to_string())) {
        Ok(opened) => {
            let validity = (opened.leaf.not_before(), opened.leaf.not_after());
            let near = &settings.notify.watch.near_expiry;
            let finding = life::of((check, subject), what, validity, near, now);
            if finding.verdict == Verdict::Good {
                return finding;
            }
            finding.mend(Mend::Words(format!("renew it in `{}`", file.display())))
        }
        Err(reason) => {
            let what = format!("{what} in `{}` cannot be read: {reason}", file.display());
            Finding::new(check, subject, Verdict::Failure, what)
        }
    }
}
