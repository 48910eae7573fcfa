//! The main job.

use certroll_core::rollout::Ending;
use certroll_simulator::clock::Pace;
use certroll_simulator::scenario::shop;
use jiff::Timestamp;

use crate::support::azure::{Azure, shop_service};

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_set_reaches_the_service_by_one_put() {
    let (mut cloud, mut shop) = shop::shop(Pace::Stepped, Timestamp::now());
    shop.renew(&mut cloud);
    let azure = Azure::start(cloud, |simulator| shop_service(simulator, "")).await;
    let update = azure.planned().await;
    assert_eq!(update.certificates.len(), 4);
    let ending = azure.roll_out(update).await;
    assert_eq!(ending, Ending::Verified);
    assert_eq!(azure.puts(), 1);
}
