//! certroll
