//! Guards about time.

use std::time::Duration;

use super::{Candidate, Objection};

/// The version is enabled: a service cannot fetch a disabled one.
pub(super) fn enabled(candidate: &Candidate<'_>) -> Option<Objection> {
    (!candidate.facts.enabled).then(|| Objection {
        expected: "an enabled version".to_owned(),
        found: format!("version {} is disabled", candidate.facts.version),
        way_out: "enable the version, or add another",
    })
}

/// The certificate, and the vault's own window around it, hold now and for a while.
pub(super) fn validity(candidate: &Candidate<'_>, minimum: Duration) -> Option<Objection> {
    let certificate = &candidate.new.leaf;
    let starts = candidate.facts.not_before.map_or(certificate.not_before(), |not_before| not_before.max(certificate.not_before()));
    let ends = candidate.facts.expires.map_or(certificate.not_after(), |expires| expires.min(certificate.not_after()));
    if starts > candidate.now {
        return Some(Objection {
            expected: format!("a certificate that is valid at {:.0}", candidate.now),
            found: format!("validity starts at {starts}"),
            way_out: "wait until it starts",
        });
    }
    let enough = candidate.now.checked_add(minimum).is_ok_and(|least| ends >= least);
    (!enough).then(|| Objection {
        expected: format!("at least {} of life left at {:.0}", days(minimum), candidate.now),
        found: format!("validity ends at {ends}"),
        way_out: "add a renewed version, or lower `minimum_remaining`",
    })
}

fn days(duration: Duration) -> String {
    let hours = duration.as_secs() / 3600;
    if hours.is_multiple_of(24) { format!("{} days", hours / 24) } else { format!("{hours} hours") }
}

/// The new certificate is not older than the deployed one. A CA's start says nothing: moving to a sibling that was
/// made earlier is usual.
pub(super) fn age(candidate: &Candidate<'_>) -> Option<Objection> {
    let old = candidate.old?;
    let new = &candidate.new.leaf;
    let way_out = "add a version that was issued later, or disable this one";
    if !new.is_ca() && new.not_before() < old.not_before() {
        return Some(Objection {
            expected: format!("a certificate issued at {} or later, as the deployed one was", old.not_before()),
            found: format!("issued at {}", new.not_before()),
            way_out,
        });
    }
    (new.not_after() < old.not_after()).then(|| Objection {
        expected: format!("validity until {} at least, as the deployed one has", old.not_after()),
        found: format!("validity ends at {}", new.not_after()),
        way_out,
    })
}
