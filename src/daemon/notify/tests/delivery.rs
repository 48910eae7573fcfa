//! The notifier: who gets what, when, and what survives.

use std::sync::Arc;
use std::time::Duration;

use certroll_core::notice::{Memory, Notice, NoticeKind, Severity};
use certroll_core::ports::NoticeSink;
use certroll_journal::OutboxStore;

use super::clock::HandClock;
use super::web::{Answer, Web};
use super::{http, notice, now, settings, webhook};
use crate::config::{ChannelSettings, NotifySettings};
use crate::notify::{Channels, Notifier};

const SECOND: Duration = Duration::from_secs(1);

struct Place {
    directory: tempfile::TempDir,
    clock: Arc<HandClock>,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), clock: Arc::new(HandClock::new(now())) }
    }

    async fn notifier(&self, notify: &NotifySettings) -> Notifier {
        self.with_outbox(notify, Notifier::outbox(self.directory.path())).await
    }

    async fn with_outbox(&self, notify: &NotifySettings, outbox: Option<OutboxStore>) -> Notifier {
        let clock = Arc::clone(&self.clock) as _;
        let channels = Channels::new(notify, &http(None)).unwrap();
        Notifier::start(channels, outbox, clock).await
    }

    /// What still waits for a channel.
    async fn waiting(&self, channel: &str) -> usize {
        let outbox = OutboxStore::open(self.directory.path()).unwrap();
        outbox.due(channel, jiff::Timestamp::MAX, 100).await.unwrap().len()
    }
}

fn key(request: &super::web::Request) -> String {
    request.json()["notice"]["key"].as_str().unwrap().to_owned()
}

fn of(kind: NoticeKind, severity: Severity, key: &str) -> Notice {
    Notice { kind, severity, ..notice(key) }
}

#[tokio::test]
async fn notices_go_where_kind_and_severity_send_them_and_repetitions_nowhere() {
    let place = Place::new();
    let (mut all, mut some) = (Web::start(None).await, Web::start(None).await);
    let picky = ChannelSettings {
        kinds: [NoticeKind::NearExpiry, NoticeKind::UpdateStuck].into(),
        least_severity: Severity::Critical,
        ..webhook("some", &some.url)
    };
    let notifier = place.notifier(&settings(vec![webhook("all", &all.url), picky])).await;
    use NoticeKind::{Blocked, NearExpiry, UpdateStuck};
    for notice in [
        of(NearExpiry, Severity::Warning, "a"),
        of(NearExpiry, Severity::Critical, "b"),
        of(Blocked, Severity::Critical, "c"),
        of(NearExpiry, Severity::Critical, "b"),
        of(UpdateStuck, Severity::Critical, "d"),
    ] {
        notifier.tell(notice);
    }
    let mut told = Vec::new();
    for _ in 0..4 {
        told.push(key(&all.request().await));
    }
    assert_eq!(told, ["a", "b", "c", "d"]);
    assert_eq!([key(&some.request().await), key(&some.request().await)], ["b", "d"]);
    notifier.stop(10 * SECOND).await;
    all.nothing_more();
    some.nothing_more();
}

#[tokio::test]
async fn a_channel_that_hangs_holds_up_neither_another_nor_who_tells() {
    let place = Place::new();
    let (mut dead, mut alive) = (Web::start(None).await, Web::start(None).await);
    dead.answers(Answer::Hang);
    let notifier =
        place.notifier(&settings(vec![webhook("dead", &dead.url), webhook("alive", &alive.url)])).await;
    notifier.tell(notice("a"));
    notifier.tell(notice("b"));
    assert_eq!(key(&dead.request().await), "a");
    assert_eq!([key(&alive.request().await), key(&alive.request().await)], ["a", "b"]);
    dead.nothing_more();
}

#[tokio::test]
async fn what_was_refused_is_sent_again_later_and_others_before_it() {
    let place = Place::new();
    let mut web = Web::start(None).await;
    web.answers(Answer::status("503 Busy", "", "")).answers(Answer::status(
        "429 Slow",
        "retry-after: 40\r\n",
        "",
    ));
    let notifier = place.notifier(&settings(vec![webhook("hook", &web.url)])).await;
    notifier.tell(notice("a"));
    assert_eq!(key(&web.request().await), "a");
    notifier.tell(notice("b"));
    assert_eq!(key(&web.request().await), "b");
    notifier.tell(notice("c"));
    assert_eq!(key(&web.request().await), "c");
    place.clock.advance(15);
    assert_eq!(key(&web.request().await), "a");
    place.clock.advance(25);
    assert_eq!(key(&web.request().await), "b");
    notifier.stop(10 * SECOND).await;
    web.nothing_more();
    assert_eq!(place.waiting("hook").await, 0);
}

#[tokio::test]
async fn what_a_process_could_not_deliver_the_next_one_does() {
    let place = Place::new();
    let mut web = Web::start(None).await;
    let notify = settings(vec![webhook("hook", &web.url)]);
    web.answers(Answer::Hang);
    let killed = place.notifier(&notify).await;
    killed.tell(notice("a"));
    killed.tell(notice("b"));
    assert_eq!(key(&web.request().await), "a");
    killed.settled().await;
    for task in &killed.tasks_to_kill() {
        task.abort();
    }
    drop(killed);
    let notifier = place.notifier(&notify).await;
    assert_eq!([key(&web.request().await), key(&web.request().await)], ["a", "b"]);
    notifier.stop(10 * SECOND).await;
    assert_eq!(place.waiting("hook").await, 0);
}

#[tokio::test]
async fn stopping_gives_each_notice_its_first_chance_and_leaves_the_rest() {
    let place = Place::new();
    let mut web = Web::start(None).await;
    web.answers(Answer::status("503 Busy", "", ""));
    let notifier = place.notifier(&settings(vec![webhook("hook", &web.url)])).await;
    notifier.tell(notice("a"));
    assert_eq!(key(&web.request().await), "a");
    notifier.tell(notice("b"));
    notifier.stop(10 * SECOND).await;
    assert_eq!(key(&web.request().await), "b");
    web.nothing_more();
    assert_eq!(place.waiting("hook").await, 1);
}

#[tokio::test]
async fn without_an_outbox_notices_are_told_from_memory() {
    let place = Place::new();
    let mut web = Web::start(None).await;
    web.answers(Answer::status("503 Busy", "", ""));
    let notifier = place.with_outbox(&settings(vec![webhook("hook", &web.url)]), None).await;
    notifier.tell(notice("a"));
    assert_eq!(key(&web.request().await), "a");
    // A repetition is none for memory, too.
    notifier.tell(notice("a"));
    notifier.tell(notice("b"));
    assert_eq!(key(&web.request().await), "b");
    place.clock.advance(15);
    assert_eq!(key(&web.request().await), "a");
    notifier.stop(10 * SECOND).await;
    web.nothing_more();
}

#[tokio::test]
async fn what_nobody_takes_for_days_is_given_up() {
    let place = Place::new();
    let mut web = Web::start(None).await;
    let notify = settings(vec![webhook("hook", &web.url)]);
    web.answers(Answer::status("410 Gone", "", ""));
    let notifier = place.notifier(&notify).await;
    notifier.tell(notice("a"));
    assert_eq!(key(&web.request().await), "a");
    // Once another one is on its way, the first attempt is over and written down.
    notifier.tell(notice("b"));
    assert_eq!(key(&web.request().await), "b");
    web.answers(Answer::status("410 Gone", "", ""));
    place.clock.advance(3 * 24 * 60 * 60);
    assert_eq!(key(&web.request().await), "a");
    notifier.stop(10 * SECOND).await;
    assert_eq!(place.waiting("hook").await, 0);
    // The channel was not told, so that a reminder is no repetition.
    let notifier = place.notifier(&notify).await;
    notifier.tell(notice("a"));
    assert_eq!(key(&web.request().await), "a");
}

#[tokio::test]
async fn the_memory_of_the_watch_is_kept_behind_the_notices_that_it_speaks_of() {
    let place = Place::new();
    let notify = settings(Vec::new());
    let notifier = place.notifier(&notify).await;
    assert_eq!(notifier.memory().await, Memory::default());
    let mut watch = certroll_core::notice::Watch::new(notify.watch, Memory::default());
    let told = watch.event_gap(&"shop-kv".parse().unwrap(), &["certificates/tls".to_owned()], now());
    notifier.tell(told.unwrap());
    notifier.remember(watch.memory());
    notifier.settled().await;
    drop(notifier);
    assert_eq!(place.notifier(&notify).await.memory().await, *watch.memory());
}
