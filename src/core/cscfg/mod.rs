//! The service configuration (cscfg).
