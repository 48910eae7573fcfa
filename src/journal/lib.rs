//! certroll-journal
