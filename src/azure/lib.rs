//! certroll-azure
