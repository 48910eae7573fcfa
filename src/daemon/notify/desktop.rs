//! Pop-ups of the session that certroll runs in. Only the asynchronous call is used, and only under a time limit: the
//! other one waits for ever on a bus that does not answer, and may not be called in a runtime at all.

use certroll_core::notice::{Notice, Severity};
use notify_rust::{Hint, Notification, Urgency};

use super::SendError;
use super::client::chain;

/// Shows a notice. The caller limits the time.
pub(super) async fn send(notice: &Notice) -> Result<(), SendError> {
    let urgency = match notice.severity {
        Severity::Info => Urgency::Low,
        Severity::Warning => Urgency::Normal,
        Severity::Critical => Urgency::Critical,
    };
    let mut popup = Notification::new();
    popup
        .appname("certroll")
        .summary(&notice.title)
        .body(&escaped(&notice.text))
        .icon(icon(notice.severity))
        .hint(Hint::Category("device.error".to_owned()))
        .urgency(urgency);
    popup.show_async().await.map(drop).map_err(|fault| {
        SendError::new(format!("no notification daemon on the session bus took it: {}", chain(&fault)))
    })
}

/// Names of the icon theme's specification, which every theme has.
fn icon(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "dialog-information",
        Severity::Warning => "dialog-warning",
        Severity::Critical => "dialog-error",
    }
}

/// Daemons may read a body as markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_no_markup() {
        assert_eq!(escaped("a <b>&</b>"), "a &lt;b&gt;&amp;&lt;/b&gt;");
    }
}
