//! Guards about time.

use std::time::Duration;

use super::{Candidate, Objection};

/// The version is enabled: a service cannot fetch a disabled one.
pub(super) fn enabled(candidate: &Candidate<'_>) -> Option<Objection> {
    (!candidate.facts.enabled).then(|| Objection {
        expected: "an enabled version".to_owned(),
        found: format!("version {} is disabled", candidate.facts.version),
        way_out: "enable the version, or add another".into(),
    })
}

/// The certificate, and the vault's own window around it, hold now and for a while.
pub(super) fn validity(candidate: &Candidate<'_>, minimum: Duration) -> Option<Objection> {
    let certificate = &candidate.new.leaf;
    let (facts, now) = (candidate.facts, candidate.now);
    if certificate.not_before() > now || facts.not_before.is_some_and(|starts| starts > now) {
        let by_vault = facts.not_before.filter(|starts| *starts > certificate.not_before());
        return Some(Objection {
            expected: format!("a certificate that is valid at {now:.0}"),
            found: match by_vault {
                Some(starts) => format!("a version that the vault hands out from {starts:.0} on"),
                None => format!("validity from {:.0} on", certificate.not_before()),
            },
            way_out: "wait until then, or disable the version so that the one before it counts".into(),
        });
    }
    let by_vault = facts.expires.filter(|expires| *expires < certificate.not_after());
    let ends = by_vault.unwrap_or(certificate.not_after());
    let enough = now.checked_add(minimum).is_ok_and(|least| ends >= least);
    (!enough).then(|| Objection {
        expected: format!("at least {} of life left at {now:.0}", days(minimum)),
        found: match by_vault {
            Some(expires) => format!("a version that the vault hands out until {expires:.0}"),
            None => format!("validity until {ends:.0}"),
        },
        way_out: "add a renewed version, or lower `minimum_remaining`".into(),
    })
}

fn days(duration: Duration) -> String {
    let hours = duration.as_secs() / 3600;
    match hours {
        24 => "one day".to_owned(),
        hours if hours.is_multiple_of(24) => format!("{} days", hours / 24),
        hours => format!("{hours} hours"),
    }
}

/// The new certificate is not older than the deployed one. A CA's start says nothing: moving to a sibling that was
/// made earlier is usual.
pub(super) fn age(candidate: &Candidate<'_>) -> Option<Objection> {
    let old = candidate.old_leaf()?;
    let new = &candidate.new.leaf;
    if !new.is_ca() && new.not_before() < old.not_before() {
        return Some(Objection {
            expected: format!(
                "a certificate issued at {} or later, as the deployed one was",
                old.not_before()
            ),
            found: format!("one issued at {}", new.not_before()),
            way_out: "add a version that was issued later, or disable this one".into(),
        });
    }
    (new.not_after() < old.not_after()).then(|| Objection {
        expected: format!("validity until {} at least, as the deployed one has", old.not_after()),
        found: format!("validity until {}", new.not_after()),
        way_out: "add a version that lasts longer, or disable this one".into(),
    })
}
