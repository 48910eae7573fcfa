//! Somebody who watches exchanges and may act in the middle of one: a test that ends the client's process when a request
//! arrives, or between its effect and its answer.

use std::fmt;

use crate::call::Call;
use crate::cloud::Cloud;
use crate::message::Request;

/// Where an exchange stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The whole request is here, and nothing was done.
    Arrived,
    /// It had its effect, and nothing was answered.
    Done,
}

/// What becomes of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It goes on.
    GoOn,
    /// The connection is cut: without any effect where the request had only arrived.
    Cut,
}

/// An exchange that is watched.
#[derive(Clone, Copy, Debug)]
pub struct Passing<'a> {
    /// Where it stands.
    pub moment: Moment,
    /// What is asked for.
    pub call: Call,
    /// The request.
    pub request: &'a Request,
}

/// Called with the cloud held: nothing else happens meanwhile, and asking the simulator for it would wait for ever.
pub type Watcher = Box<dyn FnMut(&mut Cloud, Passing<'_>) -> Then + Send>;

/// The one who watches, if anybody does.
#[derive(Default)]
pub(super) struct Watching(Option<Watcher>);

impl Watching {
    pub(super) fn begin(&mut self, watcher: Watcher) {
        self.0 = Some(watcher);
    }

    pub(super) fn tell(&mut self, cloud: &mut Cloud, passing: Passing<'_>) -> Then {
        self.0.as_mut().map_or(Then::GoOn, |watcher| watcher(cloud, passing))
    }
}

impl fmt::Debug for Watching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watching").field(&self.0.is_some()).finish()
    }
}
