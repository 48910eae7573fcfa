//! The plan that is rolled out, and the service in everything that it may show: real values, made once.

use super::super::super::{Event, Initiator};
use super::azure::{Content, Mode, Provisioning};
use crate::id::RolloutId;
use crate::plan::tests::world::{now, renewed};
use crate::plan::{PlannedUpdate, ServiceState};
use crate::target::cloud_service::CloudServiceModel;

pub(super) struct Scene {
    pub(super) update: PlannedUpdate,
    models: Vec<(Content, Provisioning, CloudServiceModel)>,
}

impl Scene {
    /// A service whose certificate was renewed, with an endpoint that must show it.
    pub(super) fn new(mode: Mode) -> Self {
        let (mut world, ..) = renewed();
        world.probe("shop.contoso.com", None);
        world.policy.probe.binding = true;
        if mode != Mode::Auto {
            world.upgrade_mode = "Manual";
        }
        let update = world.planned();
        let base = world.model();
        let mut models = Vec::new();
        for (new, edited) in [(false, false), (false, true), (true, false), (true, true)] {
            for provisioning in [Provisioning::Succeeded, Provisioning::Failed, Provisioning::Updating] {
                let content = Content { new, edited };
                let state = if new { &update.wanted } else { &update.expected };
                models.push((content, provisioning, model(&base, state, edited, provisioning)));
            }
        }
        Self { update, models }
    }

    pub(super) fn opened(&self) -> Event {
        Event::Opened {
            rollout: RolloutId::new(now(), &self.update.service),
            update: Box::new(self.update.clone()),
            by: Initiator::Unattended,
            undoes: None,
        }
    }

    pub(super) fn model(&self, content: Content, provisioning: Provisioning) -> &CloudServiceModel {
        let mut all = self.models.iter();
        let found = all.find(|(c, p, _)| (*c, *p) == (content, provisioning));
        &found.expect("every content was made").2
    }

    /// What a model shows.
    pub(super) fn shown(&self, model: &CloudServiceModel) -> (Content, Provisioning) {
        let found = self.models.iter().find(|(_, _, made)| made == model);
        let (content, provisioning, _) = found.expect("models are those that were made");
        (*content, *provisioning)
    }
}

fn model(
    base: &CloudServiceModel,
    state: &ServiceState,
    edited: bool,
    provisioning: Provisioning,
) -> CloudServiceModel {
    let mut value = base.value().clone();
    value["properties"]["configuration"] = state.configuration.clone().into();
    value["properties"]["osProfile"] = state.os_profile.to_value();
    value["properties"]["provisioningState"] = match provisioning {
        Provisioning::Succeeded => "Succeeded",
        Provisioning::Failed => "Failed",
        Provisioning::Updating => "Updating",
    }
    .into();
    if edited {
        value["tags"]["team"] = "api".into();
    }
    CloudServiceModel::new(value).unwrap()
}
