//! What happens by chance, planned for the whole of a seed when it begins, and done when it is due: between two polls, or
//! in the middle of one.

use certroll_simulator::call::Call;
use certroll_simulator::cloud::{Cloud, Outcome};
use certroll_simulator::entra::Caller;
use certroll_simulator::faults::{Times, catalogue};
use certroll_simulator::message::Request;
use certroll_simulator::scenario;
use certroll_simulator::service::instance::InstanceState;
use certroll_simulator::vault::Throttle;
use jiff::{SignedDuration, Timestamp};

use super::fleet::{Part, Sickness, without_thumbprints};
use super::papers::Flavour;
use super::season::{Season, is_down};
use super::trouble::Trouble;

/// Minutes of a day.
const DAY: u64 = 24 * 60;

/// Something that happens.
#[derive(Clone, Debug)]
pub(super) enum Happening {
    /// A new version.
    Upload { object: usize, flavour: Flavour, sickness: Option<Sickness> },
    /// The same certificate once more, as a new version.
    UploadAgain { object: usize },
    /// An authority is renewed, and with it all that it issued, in dribs.
    NewAuthority { family: usize },
    /// The newest version is disabled.
    Disable { object: usize },
    /// A version is enabled.
    Enable { object: usize, version: usize },
    /// An object is deleted, softly.
    Delete { object: usize },
    /// It is recovered.
    Recover { object: usize },
    /// A host is down.
    Down(Outage),
    /// A vault's firewall is closed, or opened.
    Firewall { vault: usize, closed: bool },
    /// A vault answers few calls, or any number.
    Limit { vault: usize, limited: bool },
    /// Somebody edits a service.
    Edit { service: usize, edit: Edit },
    /// An instance goes down by itself.
    Fall { service: usize },
    /// It comes up again.
    Rise { service: usize, instance: usize },
}

/// What somebody else does to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    Tag,
    Setting,
    Scale,
    Restart,
}

/// A host that is down.
#[derive(Clone, Debug)]
pub(super) struct Outage {
    pub(super) target: Target,
    pub(super) manner: Manner,
    pub(super) until: Timestamp,
}

/// Which host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Identity,
    ResourceManager,
    Vault(String),
}

/// How it is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    NoConnection,
    Broken,
    Unavailable,
    Throttled,
}

impl Happening {
    fn word(&self) -> &'static str {
        match self {
            Self::Upload { sickness: Some(_), .. } => "uploads that fail",
            Self::Upload { flavour: Flavour::Good, .. } => "renewals",
            Self::Upload { .. } => "uploads that guards refuse",
            Self::UploadAgain { .. } => "repeated uploads",
            Self::NewAuthority { .. } => "new authorities",
            Self::Disable { .. } => "versions disabled",
            Self::Enable { .. } => "versions enabled",
            Self::Delete { .. } => "objects deleted",
            Self::Recover { .. } => "objects recovered",
            Self::Down(_) => "outages",
            Self::Firewall { .. } => "changes of a firewall",
            Self::Limit { .. } => "changes of a limit",
            Self::Edit { .. } => "edits by others",
            Self::Fall { .. } => "instances down",
            Self::Rise { .. } => "instances up",
        }
    }

    /// Whether it belongs to what must be complete at the end: the rest of a batch, what ends a trouble.
    fn mends(&self) -> bool {
        match self {
            Self::Upload { flavour: Flavour::Good, sickness: None, .. }
            | Self::Enable { .. }
            | Self::Recover { .. }
            | Self::Rise { .. } => true,
            Self::Firewall { closed, .. } => !closed,
            Self::Limit { limited, .. } => !limited,
            Self::Upload { .. }
            | Self::UploadAgain { .. }
            | Self::NewAuthority { .. }
            | Self::Disable { .. }
            | Self::Delete { .. }
            | Self::Down(_)
            | Self::Edit { .. }
            | Self::Fall { .. } => false,
        }
    }
}

impl Season {
    /// Plans what happens within so many days.
    pub(super) fn foresee(&mut self, start: Timestamp, days: u64) {
        for object in 0..self.fleet.objects.len() {
            if matches!(self.fleet.objects[object].part, Part::Leaf { .. }) {
                self.foresee_leaf(start, days, object);
            }
        }
        let some = |season: &mut Self, count: u64, what: &dyn Fn(&mut Self) -> Happening| {
            for _ in 0..count {
                let at = season.some_time(start, days);
                let happening = what(season);
                season.later(at, happening);
            }
        };
        let services = self.fleet.services.len() as u64;
        let families = self.fleet.families.len() as u64;
        if families > 0 {
            some(self, families * days / 90, &|season| Happening::NewAuthority {
                family: season.chance.place(season.fleet.families.len()),
            });
        }
        some(self, services / 8, &|season| Happening::Disable { object: season.a_leaf() });
        some(self, services / 8, &|season| Happening::UploadAgain { object: season.any_object() });
        some(self, 1, &|season| Happening::Delete { object: season.any_object() });
        some(self, days / 6, &|season| Happening::Down(season.an_outage()));
        some(self, 2, &|season| Happening::Firewall { vault: season.a_vault(), closed: true });
        some(self, 2, &|season| Happening::Limit { vault: season.a_vault(), limited: true });
        some(self, services / 2, &|season| {
            let edit = *season.chance.pick(&[Edit::Tag, Edit::Setting, Edit::Scale, Edit::Restart]);
            Happening::Edit { service: season.a_service(), edit }
        });
        some(self, services / 5, &|season| Happening::Fall { service: season.a_service() });
    }

    fn foresee_leaf(&mut self, start: Timestamp, days: u64, object: usize) {
        for _ in 0..=days / 80 {
            let at = self.some_time(start, days);
            let (flavour, sickness) = match self.chance.below(100) {
                0..80 => (Flavour::Good, None),
                80..90 => {
                    let sick = [
                        Sickness::Fails,
                        Sickness::Fails,
                        Sickness::NotReady,
                        Sickness::PresentsOld,
                        Sickness::StateFailed,
                        Sickness::Hangs,
                    ];
                    (Flavour::Good, Some(*self.chance.pick(&sick)))
                }
                _ => {
                    let bad = [Flavour::OtherName, Flavour::ClientOnly, Flavour::ShortLived];
                    (*self.chance.pick(&bad), None)
                }
            };
            self.later(at, Happening::Upload { object, flavour, sickness });
            // Somebody notices. What comes near the end may stay as it is.
            let late = at > start + SignedDuration::from_hours(24 * (i64::try_from(days).unwrap() - 15));
            let stays = late && self.chance.percent(60);
            if (flavour, sickness) != (Flavour::Good, None) && !stays {
                let mended = self.soon(at, DAY);
                let good = Happening::Upload { object, flavour: Flavour::Good, sickness: None };
                self.later(mended, good);
            }
        }
    }

    /// The weather clears: what would go wrong does not happen any more, what mends is done at once.
    pub(super) fn clear_up(&mut self, cloud: &mut Cloud) {
        self.outages.clear();
        self.disarm(cloud);
        for vault in &mut cloud.vaults {
            vault.firewall_closed = false;
            vault.behaviour.throttle = None;
        }
    }

    /// What of the plan is left to mend, in its order.
    pub(super) fn left_to_mend(&mut self) -> Vec<Happening> {
        std::mem::take(&mut self.queue).into_values().filter(Happening::mends).collect()
    }

    fn later(&mut self, at: Timestamp, happening: Happening) {
        self.queued += 1;
        self.queue.insert((at, self.queued), happening);
    }

    fn some_time(&mut self, start: Timestamp, days: u64) -> Timestamp {
        self.soon(start, days * DAY)
    }

    /// Within so many minutes.
    fn soon(&mut self, now: Timestamp, minutes: u64) -> Timestamp {
        now + SignedDuration::from_mins(i64::try_from(self.chance.between(5, minutes)).unwrap())
    }

    fn a_service(&mut self) -> usize {
        self.chance.place(self.fleet.services.len())
    }

    fn a_vault(&mut self) -> usize {
        self.chance.place(self.fleet.vaults.len())
    }

    fn any_object(&mut self) -> usize {
        self.chance.place(self.fleet.objects.len())
    }

    fn a_leaf(&mut self) -> usize {
        let service = self.a_service();
        self.fleet.services[service].objects[0]
    }

    fn an_outage(&mut self) -> Outage {
        let vault = self.a_vault();
        let vault = Target::Vault(self.fleet.vaults[vault].clone());
        Outage {
            target: self.chance.pick(&[Target::Identity, Target::ResourceManager, vault]).clone(),
            manner: *self.chance.pick(&[
                Manner::NoConnection,
                Manner::Broken,
                Manner::Unavailable,
                Manner::Throttled,
            ]),
            // Until when is decided when it begins.
            until: Timestamp::MIN,
        }
    }

    /// Something happens.
    pub(super) fn happen(&mut self, cloud: &mut Cloud, happening: Happening) {
        let now = cloud.now();
        *self.tally.happenings.entry(happening.word()).or_default() += 1;
        match happening {
            Happening::Upload { object, flavour, sickness } => {
                self.fleet.upload(cloud, &mut self.chance, object, flavour, sickness);
                let what = &self.fleet.objects[object];
                let sick = sickness.map(|sickness| format!(", of which {sickness:?}")).unwrap_or_default();
                self.story.tell(now, format_args!("{}: a new version, {flavour:?}{sick}", what.name));
            }
            Happening::UploadAgain { object } => {
                let Some(newest) = self.fleet.newest(object).cloned() else { return };
                let (made, flavour, sickness) = (newest.made, newest.flavour, newest.sickness);
                self.fleet.store(cloud, &mut self.chance, object, &made, flavour, sickness);
                let what = &self.fleet.objects[object];
                self.story.tell(now, format_args!("{}: the same certificate once more", what.name));
            }
            Happening::NewAuthority { family } => self.renew_authority(now, family),
            Happening::Disable { object } => self.disable(cloud, object),
            Happening::Enable { object, version } => {
                self.fleet.set_enabled(cloud, object, version, true);
                let what = &self.fleet.objects[object];
                self.story.tell(now, format_args!("{}: version {version} is enabled", what.name));
            }
            Happening::Delete { object } => {
                let what = &mut self.fleet.objects[object];
                if what.deleted {
                    return;
                }
                what.deleted = true;
                cloud.vault_mut(&what.vault).unwrap().delete(&what.name);
                self.story.tell(now, format_args!("{}: deleted", what.name));
                self.unusable(object);
                let back = self.soon(now, 2 * DAY);
                self.later(back, Happening::Recover { object });
            }
            Happening::Recover { object } => {
                let what = &mut self.fleet.objects[object];
                what.deleted = false;
                cloud.vault_mut(&what.vault).unwrap().recover(&what.name);
                self.story.tell(now, format_args!("{}: recovered", what.name));
            }
            Happening::Down(mut outage) => {
                outage.until = self.soon(now, DAY);
                self.story.tell(
                    now,
                    format_args!(
                        "{:?} is down: {:?} until {:.0}",
                        outage.target, outage.manner, outage.until
                    ),
                );
                self.outages.push(outage);
            }
            Happening::Firewall { vault, closed } => {
                let name = self.fleet.vaults[vault].clone();
                cloud.vault_mut(&name).unwrap().firewall_closed = closed;
                self.story.tell(now, format_args!("{name}: firewall closed: {closed}"));
                if closed {
                    let open = self.soon(now, 3 * DAY);
                    self.later(open, Happening::Firewall { vault, closed: false });
                }
            }
            Happening::Limit { vault, limited } => {
                let name = self.fleet.vaults[vault].clone();
                let limit = Throttle { requests: 2, window: 10, retry_after: Some(4) };
                cloud.vault_mut(&name).unwrap().behaviour.throttle = limited.then_some(limit);
                self.story.tell(now, format_args!("{name}: limited: {limited}"));
                if limited {
                    let open = self.soon(now, 2 * DAY);
                    self.later(open, Happening::Limit { vault, limited: false });
                }
            }
            Happening::Edit { service, edit } => self.edit(cloud, service, edit),
            Happening::Fall { service } => self.fall(cloud, service),
            Happening::Rise { service, instance } => {
                self.down.remove(&(service, instance));
                let name = &self.fleet.services[service].name;
                if is_down(cloud, name, instance) {
                    cloud.service_mut(name).unwrap().instances[instance].state = InstanceState::Started;
                    self.story.tell(now, format_args!("{name}: instance {instance} is up again"));
                }
            }
        }
    }

    fn renew_authority(&mut self, now: Timestamp, family: usize) {
        let known = &mut self.fleet.families[family];
        known.generation += 1;
        let generation = known.generation;
        let issued = self.fleet.objects.iter().enumerate().filter(|(_, object)| match object.part {
            Part::Leaf { family: of, .. } | Part::Intermediate { family: of } | Part::Root { family: of } => {
                of == family
            }
        });
        let objects: Vec<usize> = issued.map(|(number, _)| number).collect();
        self.story.tell(now, format_args!("family {family}: generation {generation}"));
        for object in objects {
            let at = self.soon(now, 36 * 60);
            self.later(at, Happening::Upload { object, flavour: Flavour::Good, sickness: None });
        }
    }

    /// A version or an object that services reference cannot be used.
    fn unusable(&mut self, object: usize) {
        let followers: Vec<usize> =
            self.fleet.followers(object).filter_map(|one| self.fleet.member(&one.name)).collect();
        for service in followers {
            self.trouble(Some(service), Trouble::Disabled);
        }
    }

    fn disable(&mut self, cloud: &mut Cloud, object: usize) {
        let now = cloud.now();
        let versions = &self.fleet.objects[object].versions;
        let Some(version) = versions.iter().rposition(|version| version.enabled) else { return };
        self.fleet.set_enabled(cloud, object, version, false);
        self.story
            .tell(now, format_args!("{}: version {version} is disabled", self.fleet.objects[object].name));
        self.unusable(object);
        let back = self.soon(now, 3 * DAY);
        let good = Happening::Upload { object, flavour: Flavour::Good, sickness: None };
        match self.chance.below(10) {
            0..5 => self.later(back, Happening::Enable { object, version }),
            5..9 => self.later(back, good),
            _ => {}
        }
    }

    fn edit(&mut self, cloud: &mut Cloud, number: usize, edit: Edit) {
        let now = cloud.now();
        let name = self.fleet.services[number].name.clone();
        let turn = self.chance.next() % 1_000;
        if cloud.service(&name).is_some_and(|service| service.operation().is_some()) {
            // Resource Manager would refuse it: they come again.
            let again = self.soon(now, 3 * 60);
            self.later(again, Happening::Edit { service: number, edit });
            return;
        }
        self.story.tell(now, format_args!("{name}: somebody else: {edit:?}"));
        let service = cloud.service_mut(&name).unwrap();
        match edit {
            Edit::Tag => {
                let tags = service.model.tags.get_or_insert_default();
                tags.insert("ticket".to_owned(), turn.to_string().into());
                service.touch(now);
            }
            Edit::Setting => {
                let text = &service.model.configuration;
                let (head, tail) = text.split_once("value=\"feature-").unwrap();
                let (_, tail) = tail.split_once('"').unwrap();
                service.model.configuration = format!("{head}value=\"feature-{turn}\"{tail}");
                service.touch(now);
            }
            Edit::Scale => {
                let count = service.cscfg.role("Web").unwrap().instances;
                let to = if count == 1 || (turn < 500 && count < 4) { count + 1 } else { count - 1 };
                service.scale("Web", to, now).unwrap();
            }
            Edit::Restart => restart(cloud, &name),
        }
        self.fleet.services[number].text =
            without_thumbprints(&cloud.service(&name).unwrap().model.configuration);
        self.trouble(Some(number), if edit == Edit::Restart { Trouble::Restart } else { Trouble::Edit });
    }

    fn fall(&mut self, cloud: &mut Cloud, number: usize) {
        let now = cloud.now();
        let name = self.fleet.services[number].name.clone();
        let service = cloud.service_mut(&name).unwrap();
        let instance = self.chance.place(service.instances.len());
        let up = service.instances[instance].state == InstanceState::Started;
        if !up || service.operation().is_some() {
            return;
        }
        service.instances[instance].state = InstanceState::Unresponsive;
        self.down.insert((number, instance));
        self.story.tell(now, format_args!("{name}: instance {instance} does not answer"));
        self.trouble(Some(number), Trouble::InstanceDown);
        let back = self.soon(now, DAY);
        self.later(back, Happening::Rise { service: number, instance });
    }

    /// Faults that may strike the next pass.
    pub(super) fn arm(&mut self, cloud: &mut Cloud) {
        if self.chance.percent(35) {
            let calls = [
                Call::Token,
                Call::ListCertificates,
                Call::GetCertificate,
                Call::ListSecretVersions,
                Call::GetSecret,
                Call::GetCloudService,
                Call::ListAllCloudServices,
                Call::PutCloudService,
                Call::PutCloudService,
                Call::ListRoleInstances,
                Call::ListUpdateDomains,
                Call::WalkUpdateDomain,
                Call::GetOperation,
            ];
            for _ in 0..self.chance.between(1, 3) {
                let faults = catalogue::on_the_way(*self.chance.pick(&calls));
                let named = self.chance.pick(&faults).clone();
                let after = u32::try_from(self.chance.below(6)).unwrap();
                let times = Times::Next(u32::try_from(self.chance.between(1, 4)).unwrap());
                cloud.fault(named.fault.after(after).times(times));
            }
            self.armed();
        }
        if self.chance.percent(12) {
            let call = *self.chance.pick(&[Call::PutCloudService, Call::WalkUpdateDomain]);
            let faults = catalogue::of_the_operation(call);
            let named = self.chance.pick(&faults).clone();
            let after = u32::try_from(self.chance.below(3)).unwrap();
            cloud.fault(named.fault.after(after));
            self.armed();
        }
    }
}

/// Somebody else restarts every instance.
fn restart(cloud: &mut Cloud, name: &str) {
    let caller = Caller {
        object_id: scenario::IDENTITY_OBJECT_ID.to_owned(),
        app_id: scenario::IDENTITY_CLIENT_ID.to_owned(),
        tenant: scenario::TENANT.to_owned(),
    };
    let now = cloud.now();
    let audience = cloud.names.resource_manager_audiences[0].clone();
    let token = cloud.entra.issue(&caller, &audience, now, 3600);
    let id = cloud.service(name).unwrap().id.resource_id();
    let host = &cloud.names.resource_manager;
    let request = Request {
        method: "POST".to_owned(),
        url: format!("https://{host}{id}/restart?api-version=2022-04-04").parse().unwrap(),
        headers: vec![
            ("authorization".to_owned(), format!("Bearer {token}")),
            ("content-type".to_owned(), "application/json".to_owned()),
        ],
        body: br#"{"roleInstances":["*"]}"#.to_vec(),
    };
    // A fault that was armed for another exchange may strike this one; then nobody has restarted anything.
    let answered = cloud.answer(&request);
    assert!(!matches!(&answered, Outcome::Answered(reply) if reply.status == 400), "{answered:?}");
}
