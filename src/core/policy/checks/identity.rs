//! Guards about what a certificate is for.

use super::{Candidate, Objection};
use crate::certificate::{Certificate, ServerAuth, SubjectName, missing_names};
use crate::plan::{Form, KeyPresence};

/// A leaf that had its private key needs it still: without it the instances get a certificate that no server can use.
pub(super) fn key(candidate: &Candidate<'_>) -> Option<Objection> {
    let had_key = match candidate.old {
        // Another's certificate that is only trusted has no key here.
        Some(old) => !old.leaf.is_ca() && old.key != KeyPresence::Absent,
        None => !candidate.new.leaf.is_ca(),
    };
    match candidate.new.key {
        KeyPresence::Matches => None,
        KeyPresence::Absent if had_key => Some(Objection {
            expected: "the private key of the certificate".to_owned(),
            found: "no private key that matches it".to_owned(),
            way_out: "import the certificate together with its key, exportable".into(),
        }),
        KeyPresence::NotRead if had_key => Some(Objection {
            expected: "the private key of the certificate".to_owned(),
            found: "a secret that was not opened".to_owned(),
            way_out: "let certroll read the secret (role Key Vault Secrets User)".into(),
        }),
        KeyPresence::Absent | KeyPresence::NotRead => None,
    }
}

/// Every name that was served is served still.
pub(super) fn names(candidate: &Candidate<'_>) -> Option<Objection> {
    let old = candidate.old_leaf().filter(|old| !old.is_ca())?;
    let missing = missing_names(old.names(), candidate.new.leaf.names());
    (!missing.is_empty()).then(|| {
        let list = |names: &[SubjectName]| {
            names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        };
        let offered = candidate.new.leaf.names();
        Objection {
            expected: format!("that it serves {} too, as the deployed certificate does", list(&missing)),
            found: if offered.is_empty() {
                "no name at all".to_owned()
            } else {
                format!("{} only", list(offered))
            },
            way_out: "have the certificate issued for all names".into(),
        }
    })
}

/// Still fit for TLS servers where it was.
pub(super) fn server_auth(candidate: &Candidate<'_>) -> Option<Objection> {
    let old = candidate.old_leaf().filter(|old| !old.is_ca())?;
    let lost =
        old.server_auth() != ServerAuth::Excluded && candidate.new.leaf.server_auth() == ServerAuth::Excluded;
    lost.then(|| Objection {
        expected: "the extended key usage serverAuth, which the deployed certificate has".to_owned(),
        found: "other extended key usages only".to_owned(),
        way_out: "have the certificate issued for TLS servers".into(),
    })
}

/// A leaf stays a leaf and a CA stays a CA: each goes to another certificate store.
pub(super) fn role(candidate: &Candidate<'_>) -> Option<Objection> {
    let old = candidate.old_leaf()?;
    let word = |certificate: &Certificate| {
        if certificate.is_ca() { "a CA certificate" } else { "an end-entity certificate" }
    };
    (old.is_ca() != candidate.new.leaf.is_ca()).then(|| Objection {
        expected: format!("{}, as the deployed one is", word(old)),
        found: format!("{} (subject `{}`)", word(&candidate.new.leaf), candidate.new.leaf.subject()),
        way_out: "put the certificate into the vault object that it belongs to".into(),
    })
}

/// Cloud Services take the secret in the form in which it is stored.
pub(super) fn form(candidate: &Candidate<'_>) -> Option<Objection> {
    match &candidate.new.form {
        Form::Refused(reason) => Some(Objection {
            expected: "a secret that Cloud Services accept: a vault certificate with a PKCS#12 policy, or base64 of JSON \
                       with `data`, `dataType` and `password`"
                .to_owned(),
            found: reason.clone(),
            way_out: "store it again in one of these forms".into(),
        }),
        Form::NotRead | Form::Accepted | Form::Uncertain(_) => None,
    }
}

/// A form about which Microsoft's documents contradict each other.
pub(super) fn doubtful_form<'a>(candidate: &'a Candidate<'_>) -> Option<&'a str> {
    match &candidate.new.form {
        Form::Uncertain(reason) => Some(reason),
        Form::NotRead | Form::Accepted | Form::Refused(_) => None,
    }
}
