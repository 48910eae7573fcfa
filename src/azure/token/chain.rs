//! Which links there are, from the configuration and the environment.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::assertion::ClientCertificate;
use super::identity::{Environment, IdentityKind, IdentityOptions, ManagedIdentity};
use super::link::Link;
use crate::options::SetupError;

/// The links in the order in which they are tried. An explicit kind has one; `auto` has four, of which some may be
/// absent, so that a person can see why.
///
/// # Errors
/// Something that was asked for by name is missing or unusable.
pub(crate) fn links(options: &IdentityOptions) -> Result<Vec<Link>, SetupError> {
    let environment = &options.environment;
    Ok(match options.kind.clone() {
        IdentityKind::ClientSecret { tenant_id, client_id, secret } => {
            vec![Link::Secret { tenant_id, client_id, secret }]
        }
        IdentityKind::ClientCertificate { tenant_id, client_id, certificate } => {
            vec![Link::Certificate { tenant_id, client_id, certificate }]
        }
        IdentityKind::ManagedIdentity(identity) => vec![Link::Managed { identity, probe: false }],
        IdentityKind::AzureCli { tenant_id } => vec![Link::Cli { tenant_id }],
        IdentityKind::WorkloadIdentity { tenant_id, client_id, token_file } => {
            match workload(environment, tenant_id, client_id, token_file) {
                Link::Absent { name, missing } => {
                    return Err(SetupError::Identity { identity: name, reason: missing.to_owned() });
                }
                link => vec![link],
            }
        }
        IdentityKind::Auto { tenant_id, client_id, secret, certificate } => {
            let tenant_id = tenant_id.or_else(|| variable(environment, "AZURE_TENANT_ID"));
            let client_id = client_id.or_else(|| variable(environment, "AZURE_CLIENT_ID"));
            vec![
                application(environment, tenant_id.clone(), client_id.clone(), secret, certificate)?,
                workload(environment, tenant_id, client_id.clone(), None),
                Link::Managed {
                    identity: client_id.map_or(ManagedIdentity::SystemAssigned, ManagedIdentity::ClientId),
                    probe: true,
                },
                Link::Cli { tenant_id: None },
            ]
        }
    })
}

fn application(
    environment: &Environment,
    tenant_id: Option<String>,
    client_id: Option<String>,
    secret: Option<Zeroizing<String>>,
    certificate: Option<ClientCertificate>,
) -> Result<Link, SetupError> {
    const NAME: &str = "client_secret or client_certificate";
    let secret = secret.or_else(|| variable(environment, "AZURE_CLIENT_SECRET").map(Zeroizing::new));
    let certificate = match (&secret, certificate, environment.get("AZURE_CLIENT_CERTIFICATE_PATH")) {
        (None, None, Some(path)) => {
            let password = environment.get("AZURE_CLIENT_CERTIFICATE_PASSWORD").unwrap_or_default();
            Some(certificate_at(path, password)?)
        }
        (_, given, _) => given,
    };
    let (Some(tenant_id), Some(client_id)) = (tenant_id, client_id) else {
        return Ok(Link::Absent { name: NAME, missing: "`AZURE_TENANT_ID` or `AZURE_CLIENT_ID` is not set" });
    };
    Ok(match (secret, certificate) {
        (Some(secret), _) => Link::Secret { tenant_id, client_id, secret },
        (None, Some(certificate)) => Link::Certificate { tenant_id, client_id, certificate },
        (None, None) => Link::Absent {
            name: NAME,
            missing: "neither `AZURE_CLIENT_SECRET` nor `AZURE_CLIENT_CERTIFICATE_PATH` is set",
        },
    })
}

/// Reads a file of PEM, or of PKCS#12, which is DER and begins with a sequence.
fn certificate_at(path: &str, password: &str) -> Result<ClientCertificate, SetupError> {
    let fault = |reason: String| SetupError::Identity { identity: "client_certificate", reason };
    let bytes = std::fs::read(path).map(Zeroizing::new).map_err(|io| fault(format!("`{path}`: {io}")))?;
    let read = if bytes.first() == Some(&0x30) {
        ClientCertificate::from_pkcs12(&bytes, password)
    } else {
        ClientCertificate::from_pem(&bytes)
    };
    read.map_err(|reason| fault(format!("`{path}`: {reason}")))
}

fn workload(
    environment: &Environment,
    tenant_id: Option<String>,
    client_id: Option<String>,
    token_file: Option<PathBuf>,
) -> Link {
    let tenant_id = tenant_id.or_else(|| variable(environment, "AZURE_TENANT_ID"));
    let client_id = client_id.or_else(|| variable(environment, "AZURE_CLIENT_ID"));
    let token_file =
        token_file.or_else(|| variable(environment, "AZURE_FEDERATED_TOKEN_FILE").map(PathBuf::from));
    let missing = match (tenant_id, client_id, token_file) {
        (Some(tenant_id), Some(client_id), Some(token_file)) => {
            return Link::Workload { tenant_id, client_id, token_file };
        }
        (_, _, None) => "`AZURE_FEDERATED_TOKEN_FILE` is not set",
        (None, _, _) => "`AZURE_TENANT_ID` is not set",
        (_, None, _) => "`AZURE_CLIENT_ID` is not set",
    };
    Link::Absent { name: "workload_identity", missing }
}

fn variable(environment: &Environment, name: &str) -> Option<String> {
    environment.get(name).map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auto(variables: &[(&'static str, &str)]) -> Vec<Link> {
        let environment = variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        links(&IdentityOptions { environment, ..IdentityOptions::default() }).unwrap()
    }

    #[test]
    fn auto_names_every_link_and_what_is_missing() {
        let found = auto(&[]);
        let names: Vec<&str> = found.iter().map(Link::name).collect();
        assert_eq!(
            names,
            ["client_secret or client_certificate", "workload_identity", "managed_identity", "azure_cli"]
        );
        assert!(matches!(found[1], Link::Absent { missing, .. } if missing.contains("FEDERATED")));
    }

    #[test]
    fn the_environment_fills_what_is_not_given() {
        let ids = [("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", "c")];
        let found =
            auto(&[ids[0], ids[1], ("AZURE_CLIENT_SECRET", "s"), ("AZURE_FEDERATED_TOKEN_FILE", "/f")]);
        assert!(matches!(&found[0], Link::Secret { tenant_id, .. } if tenant_id == "t"));
        assert!(matches!(&found[1], Link::Workload { .. }));
        assert!(
            matches!(&found[2], Link::Managed { identity: ManagedIdentity::ClientId(id), probe: true } if id == "c")
        );
    }

    #[test]
    fn what_was_asked_for_by_name_must_be_there() {
        let kind = IdentityKind::WorkloadIdentity {
            tenant_id: Some("t".to_owned()),
            client_id: None,
            token_file: Some("/f".into()),
        };
        let fault = links(&IdentityOptions { kind, ..IdentityOptions::default() }).unwrap_err();
        assert!(fault.to_string().contains("`AZURE_CLIENT_ID` is not set"), "{fault}");
        let environment = [("AZURE_CLIENT_CERTIFICATE_PATH", "/nowhere/client.pem".to_owned())];
        let environment = environment.into_iter().collect();
        let fault = links(&IdentityOptions { environment, ..IdentityOptions::default() }).unwrap_err();
        assert!(fault.to_string().contains("/nowhere/client.pem"), "{fault}");
    }
}
