//! `[notify]`: what people are told, and how.

use std::collections::BTreeSet;
use std::time::Duration;

use certroll_core::notice::{NearExpiry, NoticeKind, Severity, WatchLimits};
use lettre::message::Mailbox;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::config::at::At;
use crate::config::check::Checker;
use crate::config::place::Span;
use crate::config::problem::{nearest, one_of};
use crate::config::secret::Secret;

/// `[notify]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NotifyKeys {
    /// A service that cannot be read for so long is told.
    unreadable_for: At<String>,
    /// Credentials that fail for so long are told.
    credentials_for: At<String>,
    /// What lasts is told again after so long.
    remind_after: At<String>,
    /// A notice that a channel does not take for so long is given up.
    give_up_after: At<String>,
    /// When the end of a certificate that is served is near.
    near_expiry: NearExpiryKeys,
    /// The channels by which people are told.
    channel: Option<Vec<At<ChannelKeys>>>,
}

/// `[notify.near_expiry]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NearExpiryKeys {
    /// The part of its life that is left, in percent.
    #[schemars(range(min = 1, max = 99))]
    percent: At<u32>,
    /// The days that are left.
    #[schemars(range(min = 1, max = 365))]
    days: At<u32>,
}

/// `[[notify.channel]]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ChannelKeys {
    /// Its name in logs.
    #[schemars(required)]
    name: Option<At<String>>,
    /// What it is.
    #[schemars(required)]
    kind: Option<At<ChannelName>>,
    /// Which notices it is for; absent is all.
    kinds: Option<At<Vec<At<String>>>>,
    /// The least that a notice must ask of people.
    least_severity: Option<At<SeverityName>>,
    /// The same thing is not told again within this time.
    repeat_after: Option<At<String>>,
    /// How long one delivery may take.
    timeout: Option<At<String>>,
    /// The file that holds the URL.
    url_file: Option<At<String>>,
    /// The environment variable that holds the URL.
    url_env: Option<At<String>>,
    /// The file that holds the secret that requests are signed with.
    signing_secret_file: Option<At<String>>,
    /// The environment variable that holds the secret that requests are signed with.
    signing_secret_env: Option<At<String>>,
    /// The mail server, as `host` or `host:port`.
    server: Option<At<String>>,
    /// How the connection to the mail server is encrypted.
    security: Option<At<MailSecurity>>,
    /// The user that the mail server knows certroll as.
    username: Option<At<String>>,
    /// The file that holds the user's password.
    password_file: Option<At<String>>,
    /// The environment variable that holds the user's password.
    password_env: Option<At<String>>,
    /// The sender.
    from: Option<At<String>>,
    /// The recipients.
    to: Option<At<Vec<At<String>>>>,
}

/// The value of a channel's `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ChannelName {
    Desktop,
    Webhook,
    Slack,
    Teams,
    Email,
}

impl ChannelName {
    fn word(self) -> &'static str {
        match self {
            Self::Desktop => "desktop",
            Self::Webhook => "webhook",
            Self::Slack => "slack",
            Self::Teams => "teams",
            Self::Email => "email",
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum SeverityName {
    Info,
    Warning,
    Critical,
}

/// How the connection to a mail server is encrypted. There is none that is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MailSecurity {
    /// In clear at first, then by STARTTLS, or not at all.
    Starttls,
    /// From the first byte.
    Tls,
}

/// What people are told, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifySettings {
    /// When something is worth telling.
    pub watch: WatchLimits,
    /// A notice that a channel does not take for so long is given up.
    pub give_up_after: Duration,
    /// The channels, each name once.
    pub channels: Vec<ChannelSettings>,
}

/// One channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelSettings {
    /// Its name.
    pub name: String,
    /// The notices that it is for.
    pub kinds: BTreeSet<NoticeKind>,
    /// The least that a notice must ask of people.
    pub least_severity: Severity,
    /// The same thing is not told again within this time.
    pub repeat_after: Duration,
    /// How long one delivery may take.
    pub timeout: Duration,
    /// What it is.
    pub kind: ChannelKind,
}

/// What a channel is. URLs are secrets: who knows one may post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelKind {
    /// Pop-ups of the session that certroll runs in, by D-Bus.
    Desktop,
    /// JSON to a URL of the operator's.
    Webhook {
        /// The URL.
        url: Secret,
        /// What requests are signed with.
        signing_secret: Option<Secret>,
    },
    /// An incoming webhook of Slack.
    Slack {
        /// The URL.
        url: Secret,
    },
    /// A workflow of Microsoft Teams that receives webhook requests.
    Teams {
        /// The URL.
        url: Secret,
    },
    /// Mail.
    Email(EmailSettings),
}

impl ChannelKind {
    /// The word in the configuration.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Desktop => "desktop",
            Self::Webhook { .. } => "webhook",
            Self::Slack { .. } => "slack",
            Self::Teams { .. } => "teams",
            Self::Email(_) => "email",
        }
    }
}

/// Mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailSettings {
    /// The server's host, by which its certificate is checked.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is encrypted.
    pub security: MailSecurity,
    /// User and password.
    pub credentials: Option<(String, Secret)>,
    /// The sender.
    pub from: Mailbox,
    /// The recipients; at least one.
    pub to: Vec<Mailbox>,
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest that a fault may be kept from people.
const QUIET_MOST: Duration = DAY;
/// Longest time between reminders, and between repetitions.
const REPEAT_MOST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Longest that a notice is held for a channel that is down: older ones tell nobody anything.
const GIVE_UP_MOST: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Longest delivery: a mail server that greets slowly on purpose takes half a minute.
const TIMEOUT_MOST: Duration = Duration::from_secs(5 * 60);
/// Without `repeat_after`: a reminder a day is never silenced, a condition that flaps is.
const REPEAT: Duration = Duration::from_secs(12 * 60 * 60);
/// Without `timeout`.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Channels: people have some; more are a mistake in a template.
const CHANNELS: usize = 32;
/// Recipients of one mail. More people belong on a list of the mail server's.
const RECIPIENTS: usize = 50;
/// Shortest secret that is no warning: 16 characters of base64 are 96 bits.
const SECRET_LEAST: usize = 16;

pub(crate) fn check(keys: &NotifyKeys, checker: &mut Checker<'_>) -> Option<NotifySettings> {
    let unreadable_for = checker.duration(&keys.unreadable_for, Duration::ZERO, QUIET_MOST);
    let credentials_for = checker.duration(&keys.credentials_for, Duration::ZERO, QUIET_MOST);
    let remind_after = checker.duration(&keys.remind_after, HOUR, REPEAT_MOST);
    let give_up_after = checker.duration(&keys.give_up_after, MINUTE, GIVE_UP_MOST);
    let near_expiry =
        NearExpiry { percent: keys.near_expiry.percent.value, days: keys.near_expiry.days.value };
    let all = keys.channel.as_deref().unwrap_or_default();
    if let Some(beyond) = all.get(CHANNELS) {
        checker
            .error(&beyond.span, format!("there are {} channels", all.len()))
            .expect(format!("at most {CHANNELS}"));
    }
    let mut names: Vec<&At<String>> = Vec::new();
    for name in all.iter().filter_map(|channel| channel.value.name.as_ref()) {
        if let Some(first) = names.iter().find(|first| first.value == name.value) {
            let place = checker.sources.place(&first.span);
            checker
                .error(&name.span, format!("a channel `{}` is there already, at {place}", name.value))
                .expect("each name once");
        }
        names.push(name);
    }
    // Every channel is checked, so that everything that is wrong is told.
    let channels: Vec<Option<ChannelSettings>> = all.iter().map(|at| channel(at, checker)).collect();
    Some(NotifySettings {
        watch: WatchLimits {
            near_expiry,
            unreadable_for: unreadable_for?,
            credentials_for: credentials_for?,
            remind_after: remind_after?,
        },
        give_up_after: give_up_after?,
        channels: channels.into_iter().collect::<Option<_>>()?,
    })
}

fn channel(at: &At<ChannelKeys>, checker: &mut Checker<'_>) -> Option<ChannelSettings> {
    let keys = &at.value;
    let name = match &keys.name {
        Some(name) => plain_name(name, checker),
        None => {
            checker.missing(&at.span, "name", "a name such as `operators`");
            None
        }
    };
    let kinds = kinds(keys, checker);
    let least_severity = match keys.least_severity.as_ref().map(|at| at.value) {
        None | Some(SeverityName::Info) => Severity::Info,
        Some(SeverityName::Warning) => Severity::Warning,
        Some(SeverityName::Critical) => Severity::Critical,
    };
    if let (Some(kinds), Some(written)) = (&kinds, &keys.least_severity)
        && kinds.iter().all(|kind| most_severe(*kind) < least_severity)
    {
        checker
            .error(
                &written.span,
                "no notice of `kinds` asks so much of people: the channel would tell nothing",
            )
            .expect("a lower `least_severity`, or other `kinds`");
    }
    let duration = |at: &Option<At<String>>, least, most, usual, checker: &mut Checker<'_>| match at {
        Some(at) => checker.duration(at, least, most),
        None => Some(usual),
    };
    let repeat_after = duration(&keys.repeat_after, Duration::ZERO, REPEAT_MOST, REPEAT, checker);
    let timeout = duration(&keys.timeout, SECOND, TIMEOUT_MOST, TIMEOUT, checker);
    let Some(kind) = &keys.kind else {
        checker.missing(&at.span, "kind", "`desktop`, `webhook`, `slack`, `teams` or `email`");
        return None;
    };
    refuse_unused(keys, kind.value, checker);
    let kind = match kind.value {
        ChannelName::Desktop => Some(ChannelKind::Desktop),
        ChannelName::Webhook => {
            let signing_secret = signing_secret(keys, checker);
            url(keys, &at.span, kind.value, checker).map(|url| ChannelKind::Webhook { url, signing_secret })
        }
        ChannelName::Slack => url(keys, &at.span, kind.value, checker).map(|url| ChannelKind::Slack { url }),
        ChannelName::Teams => url(keys, &at.span, kind.value, checker).map(|url| ChannelKind::Teams { url }),
        ChannelName::Email => email(keys, &at.span, checker).map(ChannelKind::Email),
    };
    Some(ChannelSettings {
        name: name?,
        kinds: kinds?,
        least_severity,
        repeat_after: repeat_after?,
        timeout: timeout?,
        kind: kind?,
    })
}

/// A name that is fit for a log's field and a command line.
fn plain_name(at: &At<String>, checker: &mut Checker<'_>) -> Option<String> {
    let fits = (1..=64).contains(&at.value.len())
        && at.value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if !fits {
        checker
            .error(&at.span, format!("`{}` is no name", at.value))
            .expect("letters, digits, `-`, `_` and `.`, at most 64");
    }
    fits.then(|| at.value.clone())
}

fn kinds(keys: &ChannelKeys, checker: &mut Checker<'_>) -> Option<BTreeSet<NoticeKind>> {
    let Some(list) = &keys.kinds else { return Some(NoticeKind::all().collect()) };
    if list.value.is_empty() {
        checker
            .error(&list.span, "the list is empty: the channel would tell nothing")
            .expect("at least one kind, or no `kinds` for all");
        return None;
    }
    let mut found = BTreeSet::new();
    let mut wrong = false;
    for at in &list.value {
        if let Ok(kind) = at.value.parse() {
            found.insert(kind);
            continue;
        }
        wrong = true;
        let words = || NoticeKind::all().map(NoticeKind::word);
        let near = nearest(&at.value, words());
        let problem = checker.error(&at.span, format!("`{}` is no kind of notice", at.value));
        problem.expect(one_of(words()));
        if let Some(near) = near {
            problem.hint(format!("did you mean `{near}`?"));
        }
    }
    (!wrong).then_some(found)
}

/// The most that a notice of a kind asks of people.
fn most_severe(kind: NoticeKind) -> Severity {
    match kind {
        NoticeKind::UpdateVerified | NoticeKind::UpdateAbandoned | NoticeKind::Recovered => Severity::Info,
        NoticeKind::UpdateRestored
        | NoticeKind::Blocked
        | NoticeKind::ApprovalNeeded
        | NoticeKind::WindowOverridden
        | NoticeKind::Unreadable
        | NoticeKind::EventGap
        | NoticeKind::ReloadFailed => Severity::Warning,
        NoticeKind::UpdateStuck
        | NoticeKind::NearExpiry
        | NoticeKind::CredentialsFailing
        | NoticeKind::JournalFailing => Severity::Critical,
    }
}

/// Keys that the chosen kind does not use are contradictions: whoever wrote them believes in another channel.
fn refuse_unused(keys: &ChannelKeys, kind: ChannelName, checker: &mut Checker<'_>) {
    use ChannelName::{Email, Slack, Teams, Webhook};
    let span = |at: &Option<At<String>>| at.as_ref().map(|at| at.span.clone());
    let rules: [(&str, Option<Span>, &[ChannelName]); 11] = [
        ("url_file", span(&keys.url_file), &[Webhook, Slack, Teams]),
        ("url_env", span(&keys.url_env), &[Webhook, Slack, Teams]),
        ("signing_secret_file", span(&keys.signing_secret_file), &[Webhook]),
        ("signing_secret_env", span(&keys.signing_secret_env), &[Webhook]),
        ("server", span(&keys.server), &[Email]),
        ("security", keys.security.as_ref().map(|at| at.span.clone()), &[Email]),
        ("username", span(&keys.username), &[Email]),
        ("password_file", span(&keys.password_file), &[Email]),
        ("password_env", span(&keys.password_env), &[Email]),
        ("from", span(&keys.from), &[Email]),
        ("to", keys.to.as_ref().map(|at| at.span.clone()), &[Email]),
    ];
    for (key, span, kinds) in rules {
        let Some(span) = span.filter(|_| !kinds.contains(&kind)) else { continue };
        checker
            .error(&span, format!("`{key}` is not used with `kind = \"{}\"`", kind.word()))
            .expect(format!("no `{key}`, or `kind` to be {}", one_of(kinds.iter().map(|kind| kind.word()))));
    }
}

/// The URL. It is repeated nowhere: who knows it may post.
fn url(keys: &ChannelKeys, channel: &Span, kind: ChannelName, checker: &mut Checker<'_>) -> Option<Secret> {
    let Some(at) = keys.url_file.as_ref().or(keys.url_env.as_ref()) else {
        let expected =
            "`url_file = \"/path\"`, `url_file = \"$CREDENTIALS_DIRECTORY/name\"` or `url_env = \"NAME\"`";
        checker.missing(channel, "url_file", expected);
        return None;
    };
    let secret = checker.secret(keys.url_file.as_ref(), keys.url_env.as_ref())?;
    let Ok(parsed) = Url::parse(secret.reveal()) else {
        checker.error(&at.span, "what it holds is no URL").expect("a URL that begins with `https://`");
        return None;
    };
    let local = match parsed.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match (parsed.scheme(), kind) {
        ("https", _) => {}
        ("http", ChannelName::Webhook) if local => {}
        ("http", ChannelName::Webhook) => {
            checker
                .warning(&at.span, "the URL begins with `http://`: notices cross the network in clear")
                .hint("use `https://`; trust an authority of your own with `[http] ca_file`");
        }
        _ => {
            checker
                .error(&at.span, "the URL that it holds does not begin with `https://`")
                .expect("a URL that begins with `https://`");
            return None;
        }
    }
    Some(secret)
}

fn signing_secret(keys: &ChannelKeys, checker: &mut Checker<'_>) -> Option<Secret> {
    let at = keys.signing_secret_file.as_ref().or(keys.signing_secret_env.as_ref())?;
    let secret = checker.secret(keys.signing_secret_file.as_ref(), keys.signing_secret_env.as_ref())?;
    if secret.reveal().chars().count() < SECRET_LEAST {
        checker.warning(&at.span, "the signing secret is short").hint(format!(
            "use at least {SECRET_LEAST} characters by chance, such as of `openssl rand -base64 32`"
        ));
    }
    Some(secret)
}

fn email(keys: &ChannelKeys, channel: &Span, checker: &mut Checker<'_>) -> Option<EmailSettings> {
    let security = keys.security.as_ref().map_or(MailSecurity::Starttls, |at| at.value);
    let server = match &keys.server {
        Some(at) => server(at, security, checker),
        None => {
            checker.missing(channel, "server", "the mail server, such as `smtp.corp.example:587`");
            None
        }
    };
    let from = match &keys.from {
        Some(at) => mailbox(at, checker),
        None => {
            checker.missing(channel, "from", "the sender, such as `certroll <certroll@corp.example>`");
            None
        }
    };
    let to = match &keys.to {
        Some(at) if (1..=RECIPIENTS).contains(&at.value.len()) => {
            let found: Vec<Option<Mailbox>> = at.value.iter().map(|at| mailbox(at, checker)).collect();
            found.into_iter().collect::<Option<Vec<_>>>()
        }
        Some(at) => {
            checker
                .error(&at.span, format!("the list has {} recipients", at.value.len()))
                .expect(format!("1 to {RECIPIENTS}"));
            None
        }
        None => {
            checker.missing(channel, "to", "a list of recipients, such as `[\"operators@corp.example\"]`");
            None
        }
    };
    let password_at = keys.password_file.as_ref().or(keys.password_env.as_ref());
    let password = checker.secret(keys.password_file.as_ref(), keys.password_env.as_ref());
    let credentials = match (&keys.username, password_at) {
        (None, None) => Some(None),
        (Some(user), None) => {
            checker
                .error(&user.span, "there is a user and no password")
                .expect("`password_file` or `password_env` besides, or no `username`");
            None
        }
        (None, Some(password)) => {
            checker
                .error(&password.span, "there is a password and no user")
                .expect("`username` besides, or no password");
            None
        }
        (Some(user), Some(_)) => password.map(|password| Some((user.value.clone(), password))),
    };
    let (host, port) = server?;
    Some(EmailSettings { host, port, security, credentials: credentials?, from: from?, to: to? })
}

fn server(at: &At<String>, security: MailSecurity, checker: &mut Checker<'_>) -> Option<(String, u16)> {
    let usual = match security {
        MailSecurity::Starttls => 587,
        MailSecurity::Tls => 465,
    };
    let split = match at.value.rsplit_once(':') {
        Some((host, port)) => port.parse().ok().filter(|port| *port != 0).map(|port| (host, port)),
        None => Some((at.value.as_str(), usual)),
    };
    let fits = |host: &str| {
        !host.is_empty()
            && host.len() <= 253
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
    };
    match split.filter(|(host, _)| fits(host)) {
        Some((host, port)) => Some((host.to_owned(), port)),
        None => {
            checker
                .error(&at.span, format!("`{}` is no mail server", at.value))
                .expect("`host` or `host:port`, such as `smtp.corp.example:587`");
            None
        }
    }
}

fn mailbox(at: &At<String>, checker: &mut Checker<'_>) -> Option<Mailbox> {
    match at.value.parse() {
        Ok(mailbox) => Some(mailbox),
        Err(fault) => {
            checker
                .error(&at.span, format!("`{}` is no address: {fault}", at.value))
                .expect("`name@host` or `Name <name@host>`");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, Settings, load};

    /// A configuration beside the files that it may name.
    fn read(text: &str) -> Result<Settings, String> {
        let place = tempfile::tempdir().unwrap();
        for (name, content) in [
            ("url", "https://hooks.example/services/T0KEN\n"),
            ("clear", "http://hooks.example/T0KEN"),
            ("local", "http://127.0.0.1:8080/T0KEN"),
            ("no-url", "T0KEN"),
            ("secret", "T0KEN of some length"),
            ("short", "T0KEN"),
        ] {
            std::fs::write(place.path().join(name), content).unwrap();
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt;
                let private = std::fs::Permissions::from_mode(0o600);
                std::fs::set_permissions(place.path().join(name), private).unwrap();
            }
        }
        let main = place.path().join("certroll.toml");
        std::fs::write(&main, text).unwrap();
        let now = "2026-11-23T12:00:00Z".parse().unwrap();
        load(&main, &Environment::from([("MAIL_PASSWORD", "T0KEN")]), now).map_err(|fault| fault.to_string())
    }

    fn channels(text: &str) -> Vec<ChannelSettings> {
        read(text).unwrap().notify.channels
    }

    fn table(rest: &str) -> String {
        format!("[[notify.channel]]\nname = \"ops\"\n{rest}\n")
    }

    #[test]
    fn a_channel_of_few_words_is_for_everything() {
        let all = channels(&table("kind = \"slack\"\nurl_file = \"url\""));
        let [only] = all.as_slice() else { panic!("{all:#?}") };
        assert_eq!(only.kinds.len(), NoticeKind::all().count());
        assert_eq!((only.least_severity, only.repeat_after, only.timeout), (Severity::Info, REPEAT, TIMEOUT));
        assert_eq!(
            only.kind,
            ChannelKind::Slack { url: Secret::new("https://hooks.example/services/T0KEN") }
        );
    }

    #[test]
    fn the_port_of_a_mail_server_follows_from_its_encryption() {
        for (keys, security, port) in [
            ("server = \"smtp.corp\"", MailSecurity::Starttls, 587),
            ("server = \"smtp.corp\"\nsecurity = \"tls\"", MailSecurity::Tls, 465),
            ("server = \"smtp.corp:2525\"\nsecurity = \"tls\"", MailSecurity::Tls, 2525),
        ] {
            let text = table(&format!(
                "kind = \"email\"\nfrom = \"a@corp.example\"\nto = [\"B <b@corp.example>\"]\nusername = \"me\"\n\
                 password_env = \"MAIL_PASSWORD\"\n{keys}"
            ));
            let ChannelKind::Email(mail) = channels(&text).remove(0).kind else { panic!() };
            assert_eq!((mail.host.as_str(), mail.port, mail.security), ("smtp.corp", port, security));
            assert_eq!(mail.credentials, Some(("me".to_owned(), Secret::new("T0KEN"))));
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused_with_what_would_be_right() {
        let mail = "kind = \"email\"\nserver = \"smtp.corp\"\nfrom = \"a@corp\"\nto = [\"b@corp\"]\n";
        for (text, message) in [
            (table(""), "the key `kind` is missing"),
            ("[[notify.channel]]\nkind = \"desktop\"".to_owned(), "the key `name` is missing"),
            (table("kind = \"pager\""), "expected `desktop`, `webhook`, `slack`, `teams` or `email`"),
            (table("kind = \"slack\""), "the key `url_file` is missing"),
            (table("kind = \"slack\"\nurl = \"https://hooks.example/T0KEN\""), "write `url_file = "),
            (table("kind = \"slack\"\nurl_file = \"url\"\nurl_env = \"X\""), "the secret is given twice"),
            (table("kind = \"slack\"\nurl_file = \"no-url\""), "what it holds is no URL"),
            (table("kind = \"slack\"\nurl_file = \"local\""), "does not begin with `https://`"),
            (
                table("kind = \"slack\"\nurl_file = \"url\"\nsigning_secret_file = \"secret\""),
                "`signing_secret_file` is not used with `kind = \"slack\"`",
            ),
            (table("kind = \"desktop\"\nurl_file = \"url\""), "`kind` to be `webhook`, `slack` or `teams`"),
            (table("kind = \"desktop\"\nkinds = []"), "the list is empty"),
            (table("kind = \"desktop\"\nkinds = [\"stuck\", \"blockd\"]"), "did you mean `blocked`?"),
            (
                table("kind = \"desktop\"\nkinds = [\"recovered\"]\nleast_severity = \"warning\""),
                "the channel would tell nothing",
            ),
            (table("kind = \"desktop\"\ntimeout = \"1h\""), "expected `1s` to `5m`"),
            (
                format!("{}{}", table("kind = \"desktop\""), table("kind = \"desktop\"")),
                "a channel `ops` is there already",
            ),
            (table(&format!("{mail}username = \"me\"")), "there is a user and no password"),
            (table(&format!("{mail}password_env = \"MAIL_PASSWORD\"")), "there is a password and no user"),
            (table(&format!("{mail}password = \"T0KEN\"")), "write `password_file = "),
            (table(&mail.replace("smtp.corp", "smtp.corp:0")), "is no mail server"),
            (table(&mail.replace("a@corp", "nobody")), "`nobody` is no address"),
            (table(&mail.replace("\"b@corp\"", "")), "the list has 0 recipients"),
            (table("kind = \"email\""), "the key `server` is missing"),
            ("[notify]\nremind_after = \"1m\"".to_owned(), "expected `1h` to `365d`"),
            ("[notify.near_expiry]\npercent = 100".to_owned(), "a whole number from 1 to 99"),
        ] {
            let fault = read(&text).unwrap_err();
            assert!(fault.contains(message), "{text}\n{fault}");
            assert!(!fault.contains("T0KEN"), "{fault}");
        }
    }

    #[test]
    fn what_is_risky_is_warned_of() {
        for (keys, message) in [
            ("url_file = \"clear\"", Some("notices cross the network in clear")),
            ("url_file = \"local\"", None),
            ("url_file = \"url\"\nsigning_secret_file = \"short\"", Some("the signing secret is short")),
            ("url_file = \"url\"\nsigning_secret_file = \"secret\"", None),
        ] {
            let settings = read(&table(&format!("kind = \"webhook\"\n{keys}"))).unwrap();
            let told: Vec<&str> = settings
                .warnings
                .iter()
                .map(|warning| warning.message.as_str())
                .filter(|message| !message.contains("no service"))
                .collect();
            assert_eq!(told.len(), usize::from(message.is_some()), "{keys}: {told:?}");
            assert!(message.is_none_or(|message| told[0].contains(message)), "{told:?}");
            assert!(!format!("{settings:?}").contains("T0KEN"));
        }
    }
}
