//! For each call of a rollout and each fault of the simulator's catalogue: the ending, what was sent, and what is
//! deployed afterwards. `--nocapture` prints the table.

use std::fmt::Write;
use std::sync::Arc;

use certroll_core::rollout::Ending;
use certroll_simulator::call::Call;
use certroll_simulator::cloud::Cloud;
use certroll_simulator::faults::catalogue::{Leaves, Named, of_the_operation, on_the_way};
use certroll_simulator::faults::{Effect, Fault, Times, Unready, Which};
use certroll_simulator::service::model::UpgradeMode;
use certroll_simulator::switches::{ManualOperation, Switches};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::holds::{Held, held};
use crate::support::azure::{Azure, Deployed, renewed_shop_with, shop_service};

/// Cases that run at once. They share two processors with everything else, and each waits for its own simulator.
const AT_ONCE: usize = 12;
/// Places at which a read is struck: capture, the look before the PUT, and what follows it.
const POSITIONS: u32 = 3;

/// Endings that a case may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Verified,
    Restored,
    Stuck,
    /// Verified, or abandoned where the fault struck before anything was sent.
    Harmless,
    /// Any but abandoned after a change: what holds for all cases is asserted all the same.
    Any,
}

struct Case {
    name: String,
    faults: Vec<Fault>,
    expected: Expected,
}

/// What came of a case.
struct Row {
    name: String,
    ending: String,
    sent: usize,
    forward: usize,
    back: usize,
    wrong: Vec<String>,
}

impl Case {
    fn of(named: &Named, after: u32, expected: Expected) -> Self {
        let name =
            if after == 0 { named.name.clone() } else { format!("{}, call {}", named.name, after + 1) };
        Self { name, faults: vec![named.fault.clone().after(after)], expected }
    }

    fn and(mut self, earlier: &Fault, name: &str) -> Self {
        self.name = format!("{name}; then {}", self.name);
        self.faults.insert(0, earlier.clone());
        self
    }
}

/// How a rollout ends whose operation, or one of its walks, is struck.
fn after_operation(named: &Named) -> Expected {
    match (named.leaves, &named.fault.effect) {
        (Leaves::Nothing | Leaves::Done, _) => Expected::Verified,
        // It may still be running: nothing is sent into it.
        (Leaves::Broken, Effect::OperationNeverEnds) => Expected::Stuck,
        (Leaves::Broken, _) => Expected::Restored,
    }
}

async fn carried(cloud: Cloud, case: Case) -> Row {
    // A late answer is waited for by the real clock.
    let late = case.faults.iter().any(|fault| matches!(fault.effect, Effect::Delay(_)));
    let timeout = if late { "1s" } else { "60s" };
    let azure = Azure::start_waiting(cloud, |simulator| shop_service(simulator, ""), timeout).await;
    let before = azure.deployed();
    let update = azure.planned().await;
    let wanted = update.wanted.configuration.clone();
    for fault in &case.faults {
        azure.with(|cloud| cloud.fault(fault.clone()));
    }
    let ending = azure.roll_out(update).await;
    row(&azure, case, &before, &wanted, &ending)
}

fn row(azure: &Azure, case: Case, before: &Deployed, wanted: &str, ending: &Ending) -> Row {
    let Held { sent, forward, back, mut wrong } = held(azure, before, wanted, ending);
    let expected = match case.expected {
        Expected::Verified => ending.word() == "verified",
        Expected::Restored => ending.word() == "restored",
        Expected::Stuck => ending.word() == "stuck",
        Expected::Harmless => ["verified", "abandoned"].contains(&ending.word()),
        Expected::Any => true,
    };
    if !expected {
        wrong.push(format!("expected {:?}", case.expected));
    }
    let mut shown = ending.word().to_owned();
    if let Some(cause) = ending.cause() {
        let cause: String = cause.to_string().chars().take(110).collect();
        let _ = write!(shown, ": {cause}");
    }
    Row { name: case.name, ending: shown, sent, forward, back, wrong }
}

/// Carries every case and prints the table.
async fn table(title: &str, cloud: &Cloud, cases: Vec<Case>) {
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for (number, case) in cases.into_iter().enumerate() {
        let (cloud, permits) = (cloud.clone(), Arc::clone(&permits));
        running.spawn(async move {
            let _permit = permits.acquire_owned().await;
            (number, carried(cloud, case).await)
        });
    }
    let mut rows = running.join_all().await;
    rows.sort_by_key(|(number, _)| *number);
    let mut text = format!(
        "\n## {title}\n\n| fault | PUTs sent | new taken | old taken | ending |\n|---|---|---|---|---|\n"
    );
    for (_, row) in &rows {
        let Row { name, sent, forward, back, ending, .. } = row;
        let _ = writeln!(text, "| {name} | {sent} | {forward} | {back} | {ending} |");
    }
    println!("{text}");
    let wrong: Vec<String> = rows
        .into_iter()
        .filter(|(_, row)| !row.wrong.is_empty())
        .map(|(_, row)| format!("{}: {} ({})", row.name, row.wrong.join("; "), row.ending))
        .collect();
    assert!(wrong.is_empty(), "{title}\n{}", wrong.join("\n"));
}

fn automatic() -> Cloud {
    renewed_shop_with(|plan| plan).0
}

fn manual(reading: ManualOperation) -> Cloud {
    let (mut cloud, _) = renewed_shop_with(|plan| plan.upgrade_mode(UpgradeMode::Manual));
    cloud.switches = Switches { manual_operation: reading, ..Switches::documented() };
    cloud
}

#[tokio::test(flavor = "multi_thread")]
async fn each_read_of_a_rollout_at_each_place() {
    let mut cases = Vec::new();
    for call in [Call::GetCloudService, Call::ListRoleInstances, Call::GetOperation] {
        for named in on_the_way(call) {
            cases.extend((0..POSITIONS).map(|after| Case::of(&named, after, Expected::Harmless)));
        }
    }
    table("a read fails once", &automatic(), cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_put_and_its_operation() {
    let call = Call::PutCloudService;
    let on_the_way = on_the_way(call).into_iter().map(|named| Case::of(&named, 0, Expected::Verified));
    let operation = of_the_operation(call).into_iter().map(|named| {
        let expected = after_operation(&named);
        Case::of(&named, 0, expected)
    });
    let cases = on_the_way.chain(operation).collect();
    table("the PUT", &automatic(), cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_put_that_puts_the_old_state_back() {
    let call = Call::PutCloudService;
    // Every instance got the new certificates and serves nothing: there is something to put back.
    let first = Fault::next(call, Effect::InstanceNeverReady(Which::All, Unready::Unresponsive));
    let on_the_way = on_the_way(call).into_iter().map(|named| Case::of(&named, 1, Expected::Restored));
    let operation = of_the_operation(call).into_iter().map(|named| {
        let expected = match &named.fault.effect {
            // A restore that failed is sent again, within its limit.
            Effect::OperationFails { .. } | Effect::StateFailed => Expected::Restored,
            _ if named.leaves == Leaves::Broken => Expected::Stuck,
            _ => Expected::Restored,
        };
        Case::of(&named, 1, expected)
    });
    let cases = on_the_way.chain(operation).map(|case| case.and(&first, "unresponsive")).collect();
    table("the PUT of the way back", &automatic(), cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_of_a_walk() {
    for reading in [ManualOperation::CompletesBeforeWalk, ManualOperation::WaitsForWalk] {
        let mut cases = Vec::new();
        if reading == ManualOperation::WaitsForWalk {
            let listed = on_the_way(Call::ListUpdateDomains);
            cases.extend(listed.iter().map(|named| Case::of(named, 0, Expected::Verified)));
        }
        // While the PUT's operation runs, a walk is refused, and asked for again.
        let first = u32::from(reading == ManualOperation::CompletesBeforeWalk);
        for after in first..first + 2 {
            if after == first {
                let asked = on_the_way(Call::WalkUpdateDomain);
                cases.extend(asked.iter().map(|named| Case::of(named, after, Expected::Verified)));
            }
            for named in of_the_operation(Call::WalkUpdateDomain) {
                let waits = reading == ManualOperation::WaitsForWalk;
                let expected = match (&named.fault.effect, after_operation(&named)) {
                    // The PUT's operation waits for walks that do not come any more: a person is called.
                    (_, Expected::Restored) if waits => Expected::Any,
                    (Effect::ForeignPollUrl(_), _) if waits => Expected::Any,
                    (_, expected) => expected,
                };
                cases.push(Case::of(&named, after, expected));
            }
        }
        for named in on_the_way(Call::PutCloudService) {
            cases.push(Case::of(&named, 0, Expected::Verified));
        }
        table(&format!("the walk, {reading:?}"), &manual(reading), cases).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_fail_from_some_time_on() {
    let reply = || Effect::Reply { status: 503, code: "ServiceUnavailable".to_owned(), retry_after: None };
    let mut cases = Vec::new();
    for call in [Call::GetCloudService, Call::ListRoleInstances, Call::GetOperation, Call::PutCloudService] {
        for after in 0..3 {
            let fault = Fault::always(call, reply()).after(after);
            cases.push(Case {
                name: format!("{call:?}: 503 always, from call {}", after + 1),
                faults: vec![fault.clone()],
                expected: match call {
                    // The service itself tells how its operation goes.
                    Call::GetOperation => Expected::Verified,
                    _ => Expected::Any,
                },
            });
        }
    }
    for (name, effect) in [
        (
            "429 always",
            Effect::Reply { status: 429, code: "TooManyRequests".to_owned(), retry_after: Some(60) },
        ),
        ("cut before the effect always", Effect::CutBefore),
    ] {
        let fault = Fault { times: Times::Always, ..Fault::next(Call::PutCloudService, effect) };
        cases.push(Case {
            name: format!("PutCloudService: {name}"),
            faults: vec![fault],
            expected: Expected::Any,
        });
    }
    table("a call fails for good", &automatic(), cases).await;
}
