//! Log messages to standard error: text for people on a terminal and for the systemd journal, a JSON object a line elsewhere.
//!
//! Messages are lower case and hold no values; fields carry them. What may be logged is an allow-list: identifiers,
//! states and numbers, never a token, key, certificate file or cscfg.

pub mod metrics;

use std::io::IsTerminal;

use thiserror::Error;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{Compact, Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

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
    /// The settings ask for the journal, and it is not there.
    #[error("the systemd journal cannot be reached; expected it since `log.format` is `journald`")]
    Journal {
        /// Why.
        source: std::io::Error,
    },
    /// Something else logs already.
    #[error("logging was started twice")]
    Started,
}

/// Changes what is logged while the process runs.
#[derive(Clone, Debug)]
pub struct Control {
    filter: reload::Handle<EnvFilter, Registry>,
    /// What the command line or the environment asked for goes before every configuration.
    fixed: bool,
}

impl Control {
    /// Logs by the level of other settings from now on.
    pub fn apply(&self, settings: LogSettings) {
        if self.fixed {
            return;
        }
        if let Err(error) = self.filter.reload(EnvFilter::new(directives(settings.level))) {
            tracing::warn!(error = %error, "the level of messages cannot be changed");
        }
    }
}

/// Starts logging, once in a process.
///
/// `level` (from the command line) goes before `filter` (from `CERTROLL_LOG`), which goes before the settings.
///
/// # Errors
/// The filter is malformed, logging was started before, or the journal that is asked for cannot be reached.
pub fn start(
    settings: LogSettings,
    level: Option<LogLevel>,
    filter: Option<&str>,
    colour: bool,
) -> Result<Control, TelemetryError> {
    let fixed = level.is_some() || filter.is_some_and(|text| !text.trim().is_empty());
    let (filter, handle) = reload::Layer::new(filter_of(settings, level, filter)?);
    let written = match form(settings.format, std::io::stderr().is_terminal(), goes_to_journal()) {
        Form::Journald => tracing_journald::layer()
            .map_err(|source| TelemetryError::Journal { source })?
            .with_syslog_identifier("certroll".to_owned())
            .with_field_prefix(Some("CERTROLL".to_owned()))
            .boxed(),
        Form::Json => fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(false)
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .boxed(),
        Form::Lines => {
            fmt::layer().with_writer(std::io::stderr).with_ansi(false).event_format(Lines::new()).boxed()
        }
        Form::Text => fmt::layer().with_writer(std::io::stderr).with_ansi(colour).with_target(false).boxed(),
    };
    // The filter is the innermost layer, by whose type its handle is known.
    tracing_subscriber::registry()
        .with(filter)
        .with(written)
        .try_init()
        .map_err(|_| TelemetryError::Started)?;
    Ok(Control { filter: handle, fixed })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    Json,
    /// By the journal's own protocol, with every field by itself; what `journalctl` shows is the message alone.
    Journald,
    /// Text for the journal to read from standard error.
    Lines,
}

/// A line of text with message and fields, behind its priority (sd-daemon(3)), by which the journal shows and filters it.
/// The journal knows the time and the program.
struct Lines(Format<Compact, ()>);

impl Lines {
    fn new() -> Self {
        Self(fmt::format().compact().without_time().with_level(false).with_target(false).with_ansi(false))
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let priority = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        write!(writer, "<{priority}>")?;
        self.0.format_event(context, writer, event)
    }
}

fn form(format: LogFormat, terminal: bool, journal: bool) -> Form {
    match format {
        LogFormat::Json => Form::Json,
        LogFormat::Text => Form::Text,
        LogFormat::Journald => Form::Journald,
        LogFormat::Auto if terminal => Form::Text,
        LogFormat::Auto if journal => Form::Lines,
        LogFormat::Auto => Form::Json,
    }
}

/// Whether standard error is connected to the systemd journal: `$JOURNAL_STREAM` has its device and inode
/// (systemd.exec(5)). A process that redirected it inherits the variable all the same.
fn goes_to_journal() -> bool {
    use std::os::unix::fs::MetadataExt;
    let Ok(named) = std::env::var("JOURNAL_STREAM") else { return false };
    std::fs::metadata("/dev/stderr").is_ok_and(|found| named == format!("{}:{}", found.dev(), found.ino()))
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

/// Libraries are one step behind: what they tell at our level would drown our own messages.
fn directives(level: LogLevel) -> String {
    match level {
        LogLevel::Error | LogLevel::Warn => level.name().to_owned(),
        LogLevel::Info | LogLevel::Debug | LogLevel::Trace => {
            let name = level.name();
            let libraries = if level == LogLevel::Info { "warn" } else { "info" };
            format!(
                "{libraries},certroll={name},certroll_core={name},certroll_azure={name},certroll_engine={name},certroll_journal={name}"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_form_of_what_they_go_to() {
        for (format, terminal, journal, expected) in [
            (LogFormat::Auto, true, false, Form::Text),
            (LogFormat::Auto, true, true, Form::Text),
            (LogFormat::Auto, false, true, Form::Lines),
            (LogFormat::Auto, false, false, Form::Json),
            (LogFormat::Text, false, true, Form::Text),
            (LogFormat::Json, true, true, Form::Json),
            (LogFormat::Journald, true, false, Form::Journald),
        ] {
            assert_eq!(form(format, terminal, journal), expected, "{format:?} {terminal} {journal}");
        }
    }

    #[test]
    fn lines_for_the_journal_have_priority_message_and_fields() {
        use std::sync::{Arc, Mutex};
        #[derive(Clone, Default)]
        struct Kept(Arc<Mutex<Vec<u8>>>);
        impl std::io::Write for Kept {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let kept = Kept::default();
        let writer = kept.clone();
        let layer =
            fmt::layer().with_ansi(false).with_writer(move || writer.clone()).event_format(Lines::new());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::info!(cloud_service = "shop", event = "put accepted", "a rollout goes on");
            // A value from elsewhere makes no line, and thus no message, of its own.
            tracing::event!(Level::WARN, what = "two\n<0>lines", "a service is stuck");
            tracing::event!(Level::ERROR, "no way on");
            tracing::debug!("asked");
        });
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                r#"<6>a rollout goes on cloud_service="shop" event="put accepted""#,
                r#"<4>a service is stuck what="two\n<0>lines""#,
                "<3>no way on",
                "<7>asked",
            ]
        );
    }

    #[test]
    fn the_command_line_goes_before_the_variable_and_that_before_the_file() {
        let settings = LogSettings { level: LogLevel::Error, format: LogFormat::Text };
        let shown = |level, filter| filter_of(settings, level, filter).unwrap().to_string();
        assert_eq!(shown(None, None), "error");
        assert_eq!(shown(None, Some("warn")), "warn");
        assert_eq!(shown(None, Some(" ")), "error");
        assert_eq!(
            shown(Some(LogLevel::Info), Some("warn")),
            "certroll_journal=info,certroll_engine=info,certroll_azure=info,certroll_core=info,certroll=info,warn"
        );
        let fault = filter_of(settings, None, Some("certroll=loud")).unwrap_err();
        assert!(fault.to_string().contains("certroll=loud"), "{fault}");
    }
}
