//! Whether tokens can be had, told from how calls ended.

use std::collections::BTreeMap;

use certroll_azure::{CallCount, Outcome};
use certroll_core::ports::FaultKind;

/// Calls as of the last look, by what the token was for.
#[derive(Debug, Default)]
pub struct TokenTally {
    before: BTreeMap<&'static str, Calls>,
}

/// Calls with one kind of token: those that worked, and those for which there was none or a refused one.
#[derive(Clone, Copy, Debug, Default)]
struct Calls {
    worked: u64,
    failed: u64,
}

impl TokenTally {
    /// Takes the counters of now, and judges what they gained since the last time: an error names what there was no token
    /// for. Nothing where no call tells.
    ///
    /// Where some calls with a kind of token work and others are refused, the token is not to blame: a vault of another
    /// tenant refuses it, and is reported as a vault that cannot be read.
    pub fn judge(&mut self, calls: impl IntoIterator<Item = CallCount>) -> Option<Result<(), String>> {
        let mut now: BTreeMap<&'static str, Calls> = BTreeMap::new();
        for call in calls {
            let of = now.entry(call.operation.audience()).or_default();
            match call.outcome {
                Outcome::Ok => of.worked += call.count,
                Outcome::Fault(FaultKind::NoToken | FaultKind::Unauthorized) => of.failed += call.count,
                Outcome::Fault(_) => {}
            }
        }
        let (mut worked, mut lacking) = (false, Vec::new());
        for (audience, now) in &now {
            let before = self.before.get(audience).copied().unwrap_or_default();
            let gained = (now.worked.saturating_sub(before.worked), now.failed.saturating_sub(before.failed));
            match gained {
                (1.., _) => worked = true,
                (0, 1..) => lacking.push(*audience),
                (0, 0) => {}
            }
        }
        self.before = now;
        match (lacking.is_empty(), worked) {
            (false, _) => Some(Err(format!(
                "no identity gave a token for {}, or the token was refused; the log has each attempt",
                lacking.join(" and ")
            ))),
            (true, true) => Some(Ok(())),
            (true, false) => None,
        }
    }

    /// The clients that are asked from now on count from zero.
    pub fn begin_anew(&mut self) {
        self.before.clear();
    }
}

#[cfg(test)]
mod tests {
    use certroll_azure::Operation;

    use super::*;

    const OK: Outcome = Outcome::Ok;
    const NO_TOKEN: Outcome = Outcome::Fault(FaultKind::NoToken);
    const REFUSED: Outcome = Outcome::Fault(FaultKind::Unauthorized);
    const FORBIDDEN: Outcome = Outcome::Fault(FaultKind::Forbidden);

    fn judged(tally: &mut TokenTally, calls: &[(Operation, Outcome, u64)]) -> Option<Result<(), String>> {
        let count = |(operation, outcome, count): &(Operation, Outcome, u64)| CallCount {
            operation: *operation,
            outcome: *outcome,
            count: *count,
        };
        tally.judge(calls.iter().map(count))
    }

    #[test]
    fn only_what_came_since_the_last_time_counts() {
        let mut tally = TokenTally::default();
        let (list, read) = (Operation::VaultList, Operation::ServiceRead);
        assert_eq!(judged(&mut tally, &[]), None);
        let failing = judged(&mut tally, &[(list, OK, 3), (read, NO_TOKEN, 1)]);
        assert!(failing.unwrap().unwrap_err().contains("a token for Azure Resource Manager,"));
        assert_eq!(judged(&mut tally, &[(list, OK, 3), (read, NO_TOKEN, 1)]), None);
        assert_eq!(judged(&mut tally, &[(list, OK, 4), (read, NO_TOKEN, 1)]), Some(Ok(())));
        let both = judged(&mut tally, &[(list, OK, 4), (list, REFUSED, 2), (read, NO_TOKEN, 2)]);
        let said = both.unwrap().unwrap_err();
        assert!(said.contains("Azure Resource Manager") && said.contains("Key Vault"), "{said}");
        tally.begin_anew();
        assert_eq!(judged(&mut tally, &[(list, OK, 1)]), Some(Ok(())));
    }

    #[test]
    fn a_token_that_some_take_is_not_to_blame() {
        let mut tally = TokenTally::default();
        let list = Operation::VaultList;
        assert_eq!(judged(&mut tally, &[(list, OK, 1), (list, REFUSED, 5)]), Some(Ok(())));
        assert_eq!(judged(&mut tally, &[(list, OK, 1), (list, REFUSED, 5), (list, FORBIDDEN, 2)]), None);
    }
}
