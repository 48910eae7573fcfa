//! The time that is left to certificates.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Check, Finding, Mend, Subject, Verdict};
use crate::notice::NearExpiry;
use crate::plan::{CertificateSummary, ServedCertificate, ServiceReport};

/// Seconds of a day.
const DAY: i64 = 24 * 60 * 60;

/// What is left of one certificate. `what` names it.
pub fn of(
    (check, subject): (Check, &Subject),
    what: &str,
    (not_before, not_after): (Timestamp, Timestamp),
    near: &NearExpiry,
    now: Timestamp,
) -> Finding {
    let left = not_after.duration_since(now);
    let days = left.as_secs().div_euclid(DAY);
    let date = not_after.strftime("%F");
    if left <= SignedDuration::ZERO {
        let what = format!("{what} ended on {date}");
        return Finding::new(check, subject, Verdict::Failure, what);
    }
    if not_before > now {
        let what = format!("{what} is not valid before {}", not_before.strftime("%F %H:%MZ"));
        return Finding::new(check, subject, Verdict::Failure, what);
    }
    let life = Duration::try_from(not_after.duration_since(not_before)).unwrap_or_default();
    let threshold = SignedDuration::try_from(near.threshold(life)).unwrap_or(SignedDuration::MAX);
    let what = format!("{what} ends on {date}, in {days} days");
    let verdict = if left <= threshold { Verdict::Warning } else { Verdict::Good };
    Finding::new(check, subject, verdict, what)
}

/// Every certificate that a service serves.
pub fn served(report: &ServiceReport, near: &NearExpiry, now: Timestamp) -> Vec<Finding> {
    let subject = Subject::Service(report.service.clone());
    report.serves.iter().map(|served| one(report, served, &subject, near, now)).collect()
}

fn one(
    report: &ServiceReport,
    served: &ServedCertificate,
    subject: &Subject,
    near: &NearExpiry,
    now: Timestamp,
) -> Finding {
    let what = format!("certificate `{}` of role `{}`", served.name, served.role);
    let Some(CertificateSummary { not_before, not_after, .. }) = &served.certificate else {
        let why = format!("{what} could not be read in a vault");
        return Finding::not_checked(Check::CertificateLife, subject, why);
    };
    let finding = of((Check::CertificateLife, subject), &what, (*not_before, *not_after), near, now);
    if finding.verdict == Verdict::Good {
        return finding;
    }
    let renewed =
        matches!((&served.version, &served.newest), (Some(deployed), Some(newest)) if deployed != newest);
    finding.mend(if renewed {
        Mend::Command(format!("certroll apply {}", super::mend::quoted(report.service.name())))
    } else {
        Mend::Words("renew it in its vault: the vault holds no newer version".into())
    })
}
