//! Plans in files.

use serde_json::Value;

use super::world::{now, renewed};
use crate::plan::{SavedPlan, SavedPlanError};

fn saved() -> (SavedPlan, String) {
    let (mut world, ..) = renewed();
    world.probe("shop.contoso.com", None);
    let plan = SavedPlan::new(now(), vec![world.planned()]);
    let text = plan.to_json();
    (plan, text)
}

#[test]
fn a_plan_reads_back_as_it_was_written() {
    let (plan, text) = saved();
    assert_eq!(SavedPlan::read(&text).unwrap(), plan);
    assert_eq!(SavedPlan::read(&text).unwrap().to_json(), text);
}

#[test]
fn another_format_or_shape_is_refused() {
    let (_, text) = saved();
    let other = text.replacen("\"format\": 1", "\"format\": 2", 1);
    assert!(matches!(SavedPlan::read(&other), Err(SavedPlanError::Format { found: 2 })));
    let unknown = text.replacen("\"format\": 1", "\"format\": 1, \"more\": 1", 1);
    assert!(matches!(SavedPlan::read(&unknown), Err(SavedPlanError::Unreadable(_))));
    for cut in [0, 1, text.len() / 2, text.len() - 2] {
        assert!(SavedPlan::read(&text[..cut]).is_err(), "{cut}");
    }
}

/// Every place of a JSON value that holds a text, number or boolean.
fn leaves(value: &Value, path: &str, all: &mut Vec<String>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(key, value)| {
            leaves(value, &format!("{path}/{}", key.replace('~', "~0").replace('/', "~1")), all);
        }),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, value)| leaves(value, &format!("{path}/{n}"), all));
        }
        Value::Null => {}
        _ => all.push(path.to_owned()),
    }
}

#[test]
fn a_plan_with_any_altered_value_is_refused() {
    let (_, text) = saved();
    let value: Value = serde_json::from_str(&text).unwrap();
    let mut places = Vec::new();
    leaves(&value["updates"], "/updates", &mut places);
    assert!(places.len() > 30, "{places:#?}");
    for place in places {
        let mut altered = value.clone();
        let leaf = altered.pointer_mut(&place).unwrap();
        *leaf = match &leaf {
            Value::Bool(is) => Value::Bool(!*is),
            Value::Number(_) => 77.into(),
            // Another digit where there is one, so that what is read as a thumbprint or URL stays one.
            Value::String(text) => text
                .chars()
                .rev()
                .enumerate()
                .map(|(n, c)| if n == 0 { if c == '7' { '8' } else { '7' } } else { c })
                .collect::<Vec<_>>()
                .into_iter()
                .rev()
                .collect::<String>()
                .into(),
            other => panic!("{other}"),
        };
        assert!(SavedPlan::read(&altered.to_string()).is_err(), "{place}");
    }
}

#[test]
fn a_plan_that_contradicts_itself_is_refused_whoever_signed_it() {
    let (plan, _) = saved();
    let alter = |change: &dyn Fn(&mut crate::plan::PlannedUpdate)| {
        let mut altered = plan.clone();
        change(&mut altered.updates[0]);
        match SavedPlan::read(&altered.to_json()) {
            Err(SavedPlanError::Altered { reason, .. }) => reason,
            other => panic!("{other:?}"),
        }
    };
    assert!(alter(&|update| update.wanted.configuration += " ").contains("cscfg"));
    assert!(alter(&|update| update.certificates.clear()).contains("cscfg"));
    assert!(alter(&|update| update.wanted.rest["tags"]["team"] = "other".into()).contains("more than"));
    assert!(alter(&|update| update.secrets.clear()).contains("secrets"));
    assert!(
        alter(&|update| update.wanted.os_profile = update.expected.os_profile.clone()).contains("secrets")
    );
    assert!(
        alter(&|update| {
            let mut profile = update.wanted.os_profile.to_value();
            profile["secrets"][0]["sourceVault"]["id"] = super::world::vault_id("other-kv").into();
            update.wanted.os_profile = serde_json::from_value(profile).unwrap();
        })
        .contains("source vault")
    );
    assert!(
        alter(&|update| {
            let mut profile = update.wanted.os_profile.to_value();
            profile["linuxConfiguration"] = "x".into();
            update.wanted.os_profile = serde_json::from_value(profile).unwrap();
        })
        .contains("linuxConfiguration")
    );
}
