//! An Azure on loopback, written from Microsoft's documents and recordings. It shares no type with the client.
//!
//! One plain value, [`cloud::Cloud`], holds everything simulated: time, vaults, services, faults, the ledger of every
//! exchange. [`Simulator`] serves it behind a CONNECT proxy on 127.0.0.1 that ends TLS with an authority of its own;
//! it sends nothing anywhere else but [events](publisher) to webhooks on loopback. Worlds to start from are in [`scenario`], what goes wrong is in [`faults`], and what
//! no document settles is in [`switches`].
//!
//! ```no_run
//! use certroll_simulator::call::Call;
//! use certroll_simulator::clock::Pace;
//! use certroll_simulator::faults::{Effect, Fault};
//! use certroll_simulator::scenario::shop;
//! use certroll_simulator::Simulator;
//!
//! # async fn story() -> std::io::Result<()> {
//! let (mut cloud, mut shop) = shop::shop(Pace::Stepped, jiff::Timestamp::now());
//! cloud.fault(Fault::next(Call::PutCloudService, Effect::CutAfter));
//! let simulator = Simulator::start(cloud).await?;
//! let (_proxy, _trusted) = (simulator.proxy_url(), simulator.ca_pem());
//! simulator.with(|cloud| shop.renew(cloud));
//! // … the client under test sees the new versions and updates the service …
//! simulator.with(|cloud| while cloud.step() {});
//! assert_eq!(simulator.ledger().puts_of(shop::SERVICE).len(), 1);
//! let cloud = simulator.stop();
//! assert!(cloud.refused_connects.is_empty());
//! # Ok(())
//! # }
//! ```

pub mod arm;
pub mod call;
pub mod clock;
pub mod cloud;
pub mod endpoint;
pub mod entra;
pub mod faults;
mod http;
pub mod ledger;
pub mod message;
pub mod names;
pub mod pfx;
pub mod pki;
pub mod publisher;
pub mod rates;
pub mod scenario;
pub mod service;
pub mod switches;
pub mod vault;

pub use http::{Moment, Passing, Simulator, Then, Watcher};
