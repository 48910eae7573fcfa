//! Log messages: text for people on a terminal, a JSON object a line elsewhere, always to standard error.
//!
//! Messages are lower case and hold no values; fields carry them. What may be logged is an allow-list: identifiers,
//! states and numbers, never a token, key, certificate file or cscfg.

use std::io::IsTerminal;

use thiserror::Error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::{LogFormat, LogLevel, LogSettings};

/// Why logging cannot start.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// `CERTROLL_LOG` is no filter.
    #[error(
        "`CERTROLL_LOG` is `{found}`, which is no level and no filter such as `info,certroll_azure=debug`"
    )]
    Filter {
        /// Its value.
        found: String,
        /// What the parser says.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Something else logs already.
    #[error("logging was started twice")]
    Started,
}

/// Starts logging, once in a process.
///
/// `level` (from the command line) goes before `filter` (from `CERTROLL_LOG`), which goes before the settings.
///
/// # Errors
/// The filter is malformed, or logging was started before.
pub fn start(
    settings: LogSettings,
    level: Option<LogLevel>,
    filter: Option<&str>,
    colour: bool,
) -> Result<(), TelemetryError> {
    let filter = filter_of(settings, level, filter)?;
    let json = match settings.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !std::io::stderr().is_terminal(),
    };
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour && !json);
    let started = if json {
        builder.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
    } else {
        builder.with_target(false).try_init()
    };
    started.map_err(|_| TelemetryError::Started)
}

fn filter_of(
    settings: LogSettings,
    level: Option<LogLevel>,
    filter: Option<&str>,
) -> Result<EnvFilter, TelemetryError> {
    let filter = filter.filter(|text| !text.trim().is_empty());
    match (level, filter) {
        (None, Some(text)) => EnvFilter::try_new(text)
            .map_err(|source| TelemetryError::Filter { found: text.to_owned(), source }),
        (level, _) => Ok(EnvFilter::new(directives(level.unwrap_or(settings.level)))),
    }
}

/// Libraries below `debug` would drown our own messages.
fn directives(level: LogLevel) -> String {
    match level {
        LogLevel::Error | LogLevel::Warn | LogLevel::Info => level.name().to_owned(),
        LogLevel::Debug | LogLevel::Trace => {
            let name = level.name();
            format!(
                "info,certroll={name},certroll_core={name},certroll_azure={name},certroll_engine={name},certroll_journal={name}"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_goes_before_the_variable_and_that_before_the_file() {
        let settings = LogSettings { level: LogLevel::Error, format: LogFormat::Text };
        let shown = |level, filter| filter_of(settings, level, filter).unwrap().to_string();
        assert_eq!(shown(None, None), "error");
        assert_eq!(shown(None, Some("warn")), "warn");
        assert_eq!(shown(None, Some(" ")), "error");
        assert_eq!(shown(Some(LogLevel::Info), Some("warn")), "info");
        let fault = filter_of(settings, None, Some("certroll=loud")).unwrap_err();
        assert!(fault.to_string().contains("certroll=loud"), "{fault}");
    }
}
