//! Ports that the process itself implements: the time and the look at TLS endpoints.

mod clock;
mod probe;

pub use clock::SystemClock;
pub use probe::{ProbeLimits, TlsProbe};
