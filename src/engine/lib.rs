//! certroll-engine
