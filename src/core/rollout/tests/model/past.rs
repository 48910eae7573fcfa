//! What earlier rollouts of a path left behind, and what the real standings let be planned after them.

use super::super::super::{Cause, Ending, Event};
use super::functions::Functions;
use super::rollouts::Over;
use super::scene::Scene;
use crate::plan::tests::world::now;
use crate::ports::Recorded;
use crate::standing::Standings;

/// How the rollouts before ended, as far as it matters to what comes after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Past {
    restored: bool,
    stuck: bool,
}

/// Which versions are planned next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Versions {
    Same,
    /// Others of the same objects: the set before is superseded.
    Newer,
}

impl Past {
    pub(super) fn after(self, over: Over) -> Self {
        Self { restored: self.restored || over == Over::Restored, stuck: self.stuck || over == Over::Stuck }
    }

    /// Whether sending these versions would be wrong, whatever the standings say.
    pub(super) fn forbids(self, versions: Versions) -> bool {
        self.stuck || (self.restored && versions == Versions::Same)
    }

    /// What the functions under test say.
    pub(super) fn held(self, versions: Versions, functions: &Functions, scene: &Scene) -> bool {
        let cause = || Cause::NotSent { message: "it failed".to_owned() };
        let restored = self.restored.then(|| Ending::Restored { cause: cause() });
        let stuck = self.stuck.then(|| Ending::Stuck { cause: cause() });
        let mut standings = Standings::default();
        for ending in restored.into_iter().chain(stuck) {
            let opened = scene.opened();
            let Event::Opened { rollout, .. } = &opened else { unreachable!("a scene opens a rollout") };
            let rollout = rollout.clone();
            for event in [opened, Event::Ended { ending }] {
                standings.record(&Recorded { at: now(), rollout: rollout.clone(), event });
            }
        }
        (functions.held)(&standings, &scene.update, versions == Versions::Newer)
    }
}
