//! How long a look waits for one vault. A vault that hangs must not keep the services of the others from their
//! certificates, so that it is given up after a while, and soon once it is known to hang.

use std::time::Duration;

use certroll_core::id::VaultName;
use certroll_core::plan::Unreadable;
use tokio::time::{Instant, timeout_at};

use crate::world::World;

/// What a look waits for a vault. Hundreds of objects are read in this time, with a repetition where the vault asks for
/// one; a connection that hangs takes longer than this.
const USUAL: Duration = Duration::from_secs(60);
/// What it waits for one that was given up at the last look: answers usually take tenths of a second.
const SHORT: Duration = Duration::from_secs(5);
/// Every so many looks such a vault is given the usual time again, which it may need while it recovers.
const AGAIN: u32 = 6;

/// The time that a vault has left in a round of a look.
pub(crate) struct Patience<'a> {
    vault: &'a VaultName,
    world: &'a World,
    whole: Duration,
    until: Instant,
}

impl<'a> Patience<'a> {
    /// Begins now.
    pub(crate) fn with(vault: &'a VaultName, world: &'a World) -> Self {
        let whole = match world.given_up(vault) {
            given_up if given_up % AGAIN == 0 => USUAL,
            _ => SHORT,
        };
        Self { vault, world, whole, until: Instant::now() + whole }
    }

    /// Waits for a read, as long as the vault has time left.
    pub(crate) async fn wait<T>(
        &self,
        read: impl Future<Output = Result<T, Unreadable>>,
    ) -> Result<T, Unreadable> {
        timeout_at(self.until, read).await.unwrap_or_else(|_| {
            Err(Unreadable {
                reason: format!(
                    "the vault `{}` did not answer within {} s",
                    self.vault,
                    self.whole.as_secs()
                ),
                short: None,
                hint: Some(
                    "look whether the network lets certroll reach it: firewall, private endpoint, proxy"
                        .to_owned(),
                ),
                gone: false,
            })
        })
    }

    /// Tells what became of it: the next look is as patient as this one was answered.
    pub(crate) fn end(self) {
        let late = Instant::now() >= self.until;
        if late && self.world.given_up(self.vault) == 0 {
            tracing::warn!(vault = %self.vault, after_s = self.whole.as_secs(), "a vault that does not answer is given up");
        }
        self.world.note_given_up(self.vault, late);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_vault_that_hangs_is_given_up_soon_and_tried_in_earnest_now_and_then() {
        let (world, vault) = (World::new(), "slow-kv".parse().unwrap());
        let mut waited = Vec::new();
        for _ in 0..8 {
            let begun = Instant::now();
            let patience = Patience::with(&vault, &world);
            let error = patience.wait(std::future::pending::<Result<(), _>>()).await.unwrap_err();
            assert!(error.reason.contains("`slow-kv` did not answer within") && !error.gone);
            patience.end();
            waited.push(begun.elapsed().as_secs());
        }
        assert_eq!(waited, [60, 5, 5, 5, 5, 5, 60, 5]);
        let patience = Patience::with(&vault, &world);
        assert_eq!(patience.wait(async { Ok(1) }).await, Ok(1));
        patience.end();
        assert_eq!(Patience::with(&vault, &world).whole, USUAL, "it answers again");
    }
}
