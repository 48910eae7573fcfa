//! Certificates, made once for all seeds of a process: making and packing them would be most of the time of a run. They
//! are laid on a grid of days, so that what one seed asks for another has asked for before.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use certroll_simulator::pfx::{self, Contents, Lock};
use certroll_simulator::pki::{Authority, Issued, LeafRequest};
use certroll_simulator::scenario::Data;
use certroll_simulator::vault::{JsonSecret, Material};
use jiff::{SignedDuration, Timestamp};

/// The first day of every run, a Monday.
pub(super) const FIRST_DAY: Timestamp = Timestamp::constant(1_767_571_200, 0);
/// The first authorities are older than every leaf.
const AUTHORITIES_SINCE: i64 = 400;
/// Generations of authorities are some days apart, so that each ends later than the one before.
const GENERATION: i64 = 20;

/// What a leaf is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Flavour {
    /// As the one before.
    Good,
    /// For another name.
    OtherName,
    /// Not for servers.
    ClientOnly,
    /// With so little life that it ends before the one that it replaces.
    ShortLived,
}

/// Which certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Wanted {
    /// The leaf of a slot, issued on a day, which is the so many-th of that day.
    Leaf { slot: usize, by: (usize, u32), day: i64, nth: u32, lifetime: i64, flavour: Flavour },
    /// The intermediate of a family and generation.
    Intermediate { of: (usize, u32) },
    /// Its root.
    Root { of: (usize, u32) },
}

/// A certificate in the forms that vaults hold.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) issued: Issued,
    pub(super) thumbprint: String,
    /// As a vault certificate.
    pub(super) material: Material,
    /// As a JSON secret.
    pub(super) value: String,
    /// Whether the secret has its key.
    pub(super) data: Data,
    pub(super) not_after: Timestamp,
}

type Families = HashMap<(usize, u32), (Authority, Authority)>;

static FAMILIES: LazyLock<Mutex<Families>> = LazyLock::new(Mutex::default);
static MADE: LazyLock<Mutex<HashMap<Wanted, Arc<Made>>>> = LazyLock::new(Mutex::default);

/// The name that the leaf of a slot is for.
pub(super) fn name_of(slot: usize) -> String {
    format!("svc-{slot:02}.contoso.com")
}

/// The day of a time.
pub(super) fn day_of(time: Timestamp) -> i64 {
    time.duration_since(FIRST_DAY).as_secs().div_euclid(24 * 60 * 60)
}

/// The day of issue of what is issued on a day: one in four, so that seeds ask for the same certificates.
pub(super) fn on_grid(day: i64) -> i64 {
    day.div_euclid(4) * 4
}

fn day(number: i64) -> Timestamp {
    FIRST_DAY + SignedDuration::from_hours(24 * number)
}

/// A certificate, made if it was not.
pub(super) fn made(wanted: Wanted) -> Arc<Made> {
    if let Some(made) = MADE.lock().unwrap().get(&wanted) {
        return Arc::clone(made);
    }
    let fresh = Arc::new(make(wanted));
    // Another thread may have made it meanwhile: all take the first.
    Arc::clone(MADE.lock().unwrap().entry(wanted).or_insert(fresh))
}

fn family(of: (usize, u32)) -> (Authority, Authority) {
    let mut families = FAMILIES.lock().unwrap();
    let (root, intermediate) = families.entry(of).or_insert_with(|| {
        let (family, generation) = of;
        let since = day(GENERATION * i64::from(generation) - AUTHORITIES_SINCE);
        let root = Authority::root(&format!("Contoso Root {family}-{generation}"), since);
        let intermediate = root.intermediate(&format!("Contoso Issuing {family}-{generation}"), since);
        (root, intermediate)
    });
    (root.clone(), intermediate.clone())
}

fn make(wanted: Wanted) -> Made {
    let (issued, data, not_after) = match wanted {
        Wanted::Leaf { slot, by, day: issued, lifetime, flavour, nth: _ } => {
            let (_, issuer) = family(by);
            let name = match flavour {
                Flavour::OtherName => format!("other-{}", name_of(slot)),
                Flavour::Good | Flavour::ClientOnly | Flavour::ShortLived => name_of(slot),
            };
            let lifetime = if flavour == Flavour::ShortLived { 5 } else { lifetime };
            let until = day(issued + lifetime);
            let request = LeafRequest::server(&name, day(issued)).valid(day(issued), until);
            let request =
                if flavour == Flavour::ClientOnly { request.without_server_auth() } else { request };
            (issuer.issue(&request), Data::Key, until)
        }
        Wanted::Intermediate { of } => (family(of).1.issued(), Data::CertificateOnly, Timestamp::MAX),
        Wanted::Root { of } => (family(of).0.issued(), Data::CertificateOnly, Timestamp::MAX),
    };
    // Without encryption: half the work of key derivation, for those that write and for those that read. Every form is
    // read in the tests of certificates.
    let lock = Lock::NullUnencrypted;
    let bytes = match data {
        Data::CertificateOnly | Data::Bare => {
            pfx::write_certificates(std::slice::from_ref(&issued.der), lock)
        }
        Data::Key => pfx::write(
            &Contents {
                leaf: issued.der.clone(),
                chain: Vec::new(),
                key_pkcs8: Some(issued.key_pkcs8.clone()),
            },
            lock,
        ),
    };
    Made {
        thumbprint: issued.thumbprint(),
        material: Material::locked(&issued, lock),
        value: JsonSecret::new(&bytes, "").az_value(),
        data,
        not_after,
        issued,
    }
}
