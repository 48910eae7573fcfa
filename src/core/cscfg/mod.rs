//! The service configuration (cscfg).

use thiserror::Error;

/// Stand-in.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("cscfg")]
pub struct CscfgError;

/// Stand-in.
#[derive(Clone, Debug)]
pub struct ServiceConfiguration {
    text: String,
}

impl ServiceConfiguration {
    /// Stand-in.
    ///
    /// # Errors
    /// None.
    pub fn parse(text: impl Into<String>) -> Result<Self, CscfgError> {
        Ok(Self { text: text.into() })
    }

    /// Stand-in.
    pub fn text(&self) -> &str {
        &self.text
    }
}
