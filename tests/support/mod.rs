//! What the tests share: running the real program in a directory of its own.

pub(crate) mod azure;
pub(crate) mod chance;
#[cfg(unix)]
pub(crate) mod daemon;
pub(crate) mod documents;
pub(crate) mod live;
pub(crate) mod program;
pub(crate) mod strikes;
pub(crate) mod wire;
pub(crate) mod written;
