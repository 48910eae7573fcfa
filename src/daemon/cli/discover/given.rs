//! What was given by command line and environment, and is to stand in a new configuration.

use std::path::Path;

use toml::{Table, Value};

use crate::config::Environment;

/// The tables that say which Azure, who asks, and by which way. What runs the daemon may have another environment.
const SECTIONS: [&str; 4] = ["custom_cloud", "api", "identity", "http"];

/// The keys to write: those of the top, then tables.
pub(super) struct Given {
    pub(super) cloud: String,
    pub(super) tables: Vec<(&'static str, Table)>,
    /// What was given and does not belong into a file.
    pub(super) left_out: Vec<String>,
}

/// Collects them. `configuration` is where the configuration would be: relative paths start there.
pub(super) fn sections(environment: &Environment, configuration: &Path) -> Given {
    let mut given = Given { cloud: "public".to_owned(), tables: Vec::new(), left_out: Vec::new() };
    let mut tables = SECTIONS.map(|name| (name, Table::new()));
    for (name, path, value) in environment.overrides() {
        match path.as_slice() {
            [key] if key == "cloud" => value.trim_matches('"').clone_into(&mut given.cloud),
            [section, key] => {
                let Some((_, table)) = tables.iter_mut().find(|(known, _)| known == section) else {
                    continue;
                };
                if section == "http" && key == "proxy" && value.contains('@') {
                    given.left_out.push(format!("`{name}` holds a password: it stays in the environment"));
                    continue;
                }
                table.insert(key.clone(), written(key, value, configuration));
            }
            _ => {}
        }
    }
    let identity = tables.iter_mut().find(|(name, _)| *name == "identity");
    if let Some((_, table)) = identity {
        table.entry("kind").or_insert_with(|| Value::String("auto".to_owned()));
    }
    given.tables = tables.into_iter().filter(|(_, table)| !table.is_empty()).collect();
    given
}

/// The value as a file has it: variables may be written with TOML's quotes or without, and lists are TOML.
fn written(key: &str, value: &str, configuration: &Path) -> Value {
    let parsed: Option<Value> = toml::from_str::<Table>(&format!("value = {value}"))
        .ok()
        .and_then(|mut table| table.remove("value"))
        .filter(|value| value.is_str() || value.is_array());
    match parsed {
        Some(Value::Array(items)) => Value::Array(items),
        parsed => {
            let text = parsed.as_ref().and_then(Value::as_str).unwrap_or(value);
            Value::String(if key.ends_with("_file") {
                absolute(text, configuration)
            } else {
                text.to_owned()
            })
        }
    }
}

/// The new file may lie in another directory than the one from which relative paths start.
fn absolute(path: &str, configuration: &Path) -> String {
    if path.starts_with('$') || Path::new(path).is_absolute() {
        return path.to_owned();
    }
    let directory = configuration.parent().unwrap_or(Path::new(""));
    let joined = directory.join(path);
    std::path::absolute(&joined).unwrap_or(joined).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_is_written_and_a_password_is_not() {
        let environment = Environment::from([
            ("CERTROLL__CLOUD", "china"),
            ("CERTROLL__IDENTITY__KIND", "\"client_secret\""),
            ("CERTROLL__IDENTITY__CLIENT_SECRET_FILE", "secret"),
            ("CERTROLL__IDENTITY__CLIENT_CERTIFICATE_PASSWORD_FILE", "$CREDENTIALS_DIRECTORY/p"),
            ("CERTROLL__HTTP__NO_PROXY", "[\".corp\"]"),
            ("CERTROLL__HTTP__PROXY", "http://me:canary@proxy:3128"),
            ("CERTROLL__ROLLOUT__LONGEST", "2h"),
        ]);
        let given = sections(&environment, Path::new("/etc/certroll/certroll.toml"));
        assert_eq!(given.cloud, "china");
        let told: Vec<String> = given
            .tables
            .iter()
            .flat_map(|(name, table)| table.iter().map(move |(key, value)| format!("{name}.{key} = {value}")))
            .collect();
        assert_eq!(
            told,
            [
                "identity.client_certificate_password_file = \"$CREDENTIALS_DIRECTORY/p\"",
                "identity.client_secret_file = \"/etc/certroll/secret\"",
                "identity.kind = \"client_secret\"",
                "http.no_proxy = [\".corp\"]",
            ]
        );
        assert_eq!(given.left_out.len(), 1);
        assert!(!given.left_out[0].contains("canary"));

        let given = sections(&Environment::default(), Path::new("certroll.toml"));
        assert_eq!((given.cloud.as_str(), given.tables.len()), ("public", 1));
    }
}
