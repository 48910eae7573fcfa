//! certroll-core
