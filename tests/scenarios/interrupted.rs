//! A process that is asked to end leaves its rollout as it is, and the next one goes on from the journal.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use certroll_core::id::{CloudServiceId, RolloutId};
use certroll_core::ports::{JournalError, JournalFault, Recorded, RolloutJournal};
use certroll_core::rollout::{Ending, Event, Rollout};
use certroll_core::standing::{Decided, Decision, Standings};
use certroll_engine::rollout::{Outcome, RolloutError};
use certroll_engine::rollouts::Carried;
use certroll_journal::memory::MemoryJournal;
use certroll_simulator::call::Call;
use certroll_simulator::faults::{Effect, Fault, Which};
use certroll_simulator::scenario::ServicePlan;
use certroll_simulator::service::model::UpgradeMode;
use certroll_simulator::switches::{ManualOperation, Switches};
use tokio::sync::watch;

use crate::support::azure::{Azure, HOUR, renewed_shop, renewed_shop_with};

/// Carries the planned update until the first event of this word, then asks to stop, and goes on from the record.
async fn stopped_at(azure: &Azure, word: &'static str) -> Ending {
    let update = azure.planned().await;
    let (stop, stopped) = watch::channel(false);
    let stop = Arc::new(stop);
    let asked = Arc::clone(&stop);
    azure.heard.once(word, move || {
        asked.send_replace(true);
    });
    let outcome = azure.drive_until(update, stopped).await;
    let Outcome::Interrupted { rollout } = outcome else { panic!("not interrupted at `{word}`") };
    assert_eq!(rollout.ending(), None);
    let last = azure.journal.records().pop().unwrap();
    assert_ne!(last.event.word(), "ended");
    match azure.resume().await {
        Outcome::Ended { ending, .. } => ending,
        Outcome::Interrupted { .. } => panic!("nobody asked it to stop"),
    }
}

const EVENTS: [&str; 6] = ["opened", "captured", "looked", "put started", "put accepted", "operation ended"];

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_that_is_stopped_anywhere_is_continued_and_makes_one_put_in_total() {
    let (cloud, shop) = renewed_shop();
    for word in EVENTS {
        let azure = Azure::shop(cloud.clone()).await;
        assert_eq!(stopped_at(&azure, word).await, Ending::Verified, "{word}");
        assert_eq!((azure.puts(), azure.puts_into_an_operation()), (1, 0), "{word}");
        assert_eq!(azure.leaves(), [shop.stored_leaf.thumbprint.clone()].into());
        let opened = azure.journal.records().iter().filter(|one| one.event.word() == "opened").count();
        assert_eq!(opened, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_is_stopped_anywhere_is_continued() {
    let (mut cloud, _) = renewed_shop();
    cloud.fault(Fault::next(Call::PutCloudService, Effect::OldCertificatePresented(Which::All)));
    for word in ["operation ended", "turned back"] {
        let azure = Azure::shop(cloud.clone()).await;
        let before = azure.deployed();
        let ending = stopped_at(&azure, word).await;
        assert!(matches!(ending, Ending::Restored { .. }), "{word}: {ending:?}");
        assert_eq!((azure.puts(), azure.puts_into_an_operation()), (2, 0), "{word}");
        assert_eq!(azure.deployed(), before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_that_is_stopped_goes_on_at_the_next_domain() {
    let manual = |plan: ServicePlan| plan.upgrade_mode(UpgradeMode::Manual);
    for manual_operation in [ManualOperation::CompletesBeforeWalk, ManualOperation::WaitsForWalk] {
        for word in ["walk started", "update domain done"] {
            let (mut cloud, shop) = renewed_shop_with(manual);
            cloud.switches = Switches { manual_operation, ..Switches::documented() };
            let azure = Azure::shop(cloud).await;
            assert_eq!(stopped_at(&azure, word).await, Ending::Verified, "{manual_operation:?} {word}");
            assert_eq!(azure.puts(), 1);
            assert_eq!(azure.leaves(), [shop.stored_leaf.thumbprint.clone()].into());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_after_sending_and_before_writing_the_answer_looks_first() {
    let (cloud, _) = renewed_shop();
    let azure = Azure::shop(cloud).await;
    let update = azure.planned().await;
    assert_eq!(azure.roll_out(update).await, Ending::Verified);
    // The journal of a process that died right after the PUT: its answer was never written.
    let mut records = azure.journal.records();
    let sent = records.iter().position(|one| matches!(one.event, Event::PutStarted { .. })).unwrap();
    records.truncate(sent + 1);
    let Outcome::Ended { ending, .. } = azure.resume_from(&records).await else { panic!("interrupted") };
    assert_eq!(ending, Ending::Verified);
    assert_eq!(azure.puts(), 1);
}

/// A journal that takes some records, then fails so many times, as on a disk that is full for a while.
struct Full {
    takes: usize,
    fails: usize,
    failed: AtomicUsize,
    kept: MemoryJournal,
}

impl Full {
    fn new(takes: usize, fails: usize) -> Self {
        Self { takes, fails, failed: AtomicUsize::new(0), kept: MemoryJournal::new() }
    }
}

#[async_trait]
impl RolloutJournal for Full {
    async fn append(&self, record: &Recorded) -> Result<(), JournalError> {
        if self.kept.records().len() >= self.takes && self.failed.fetch_add(1, Ordering::SeqCst) < self.fails
        {
            return Err(JournalError::new(JournalFault::Full, "no space left on device"));
        }
        self.kept.append(record).await
    }

    async fn decide(&self, decided: &Decided) -> Result<(), JournalError> {
        self.kept.decide(decided).await
    }

    async fn unfinished(&self) -> Result<Vec<Vec<Recorded>>, JournalError> {
        self.kept.unfinished().await
    }

    async fn history(
        &self,
        service: Option<&CloudServiceId>,
        rollouts: usize,
    ) -> Result<Vec<Vec<Recorded>>, JournalError> {
        self.kept.history(service, rollouts).await
    }

    async fn rollout(&self, rollout: &RolloutId) -> Result<Vec<Recorded>, JournalError> {
        self.kept.rollout(rollout).await
    }

    async fn standings(&self) -> Result<Standings, JournalError> {
        self.kept.standings().await
    }
}

/// Opened, captured, looked, put started: what must be written before the PUT is sent.
const BEFORE_THE_PUT: usize = 4;
/// With put accepted, operation ended, examined, ended: all that a rollout that ends verified writes.
const ALL: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_is_full_lets_no_rollout_start_and_harms_none_that_runs() {
    let (cloud, _) = renewed_shop();
    for records in 0..=ALL {
        let mut azure = Azure::shop(cloud.clone()).await;
        let journal = Arc::new(Full::new(records, usize::MAX));
        azure.assembled.outside.journal = journal;
        let update = azure.planned().await;
        let before = azure.deployed();
        let (_keep, stop) = watch::channel(false);
        let outcome = azure.try_drive(update, stop).await;
        if records < BEFORE_THE_PUT {
            let error = outcome.unwrap_err().to_string();
            assert!(error.contains("no space left on device"), "{records}: {error}");
            assert_eq!((azure.puts(), azure.deployed()), (0, before));
            continue;
        }
        let Outcome::Ended { ending, journal_lost, .. } = outcome.unwrap() else { panic!("interrupted") };
        assert_eq!(ending, Ending::Verified, "{records}");
        assert_eq!(azure.puts(), 1);
        assert_eq!(journal_lost.is_some(), records < ALL, "{records}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_has_room_again_is_given_what_it_could_not_take() {
    let (cloud, _) = renewed_shop();
    for (records, fails) in [(BEFORE_THE_PUT, 1), (BEFORE_THE_PUT, 3), (ALL - 2, 1)] {
        let mut azure = Azure::shop(cloud.clone()).await;
        let journal = Arc::new(Full::new(records, fails));
        azure.assembled.outside.journal = Arc::<Full>::clone(&journal);
        let update = azure.planned().await;
        let Outcome::Ended { ending, journal_lost, .. } = azure.drive(update).await else {
            panic!("interrupted")
        };
        assert_eq!((ending, journal_lost), (Ending::Verified, None), "{records} {fails}");
        let records = journal.kept.records();
        assert_eq!(records.len(), ALL);
        let rollout = Rollout::fold(records.iter().map(|record| (record.at, &record.event))).unwrap();
        assert_eq!(rollout.ending(), Some(&Ending::Verified));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_that_could_not_be_written_before_its_put_is_led_on_once_there_is_room() {
    let (cloud, shop) = renewed_shop();
    for records in 1..BEFORE_THE_PUT {
        let mut azure = Azure::shop(cloud.clone()).await;
        azure.assembled.outside.journal = Arc::new(Full::new(records, 1));
        let update = azure.planned().await;
        let (_keep, stop) = watch::channel(false);
        azure.try_drive(update, stop).await.unwrap_err();
        let recovered = azure.recover().await;
        assert!(recovered[0].carried.is_well(), "{records}: {recovered:?}");
        assert_eq!((azure.puts(), azure.leaves()), (1, [shop.stored_leaf.thumbprint.clone()].into()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_makes_no_sense_calls_a_person_and_holds_the_service() {
    let (cloud, _) = renewed_shop();
    let azure = Azure::shop(cloud).await;
    let update = azure.planned().await;
    let (stop, stopped) = watch::channel(false);
    azure.heard.once("captured", move || {
        stop.send_replace(true);
    });
    azure.drive_until(update, stopped).await;
    let mut last = azure.journal.records().pop().unwrap();
    last.event = Event::DomainDone { domain: 3, last: true };
    azure.journal.append(&last).await.unwrap();

    let recovered = azure.recover().await;
    assert!(matches!(recovered[0].carried, Carried::NotBegun(RolloutError::Record(_))), "{recovered:?}");
    assert_eq!(azure.journal.records().last().unwrap().event.word(), "ended");
    assert!(azure.recover().await.is_empty(), "once");
    assert!(azure.pass().await.carried.is_empty());
    assert_eq!(azure.puts(), 0);
    azure.decide(Decision::Released).await;
    azure.with(|cloud| cloud.advance(HOUR));
    assert!(azure.pass().await.carried[0].1.is_well());
}
