//! What certroll decides. Pure: no input or output, no clock, no randomness; the time, the observation and the policy
//! are arguments, the decision is the result. Read [`plan`] for what is to be changed, [`rollout`] for how a change is
//! led to one of its endings, [`ports`] for what the outside must offer.

pub mod certificate;
pub mod cscfg;
pub mod id;
