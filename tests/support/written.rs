//! Files of the repository that are generated: compared by every run, written anew when somebody asks for it.

use std::path::{Path, PathBuf};

/// A path from the repository's root.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Compares a generated text with the file that holds it. With `CERTROLL_UPDATE=1` the file is written instead.
pub(crate) fn assert_current(path: &str, generated: &str) {
    let file = repository(path);
    if std::env::var_os("CERTROLL_UPDATE").is_some() {
        std::fs::write(&file, generated).unwrap();
        return;
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == generated,
        "`{path}` is out of date; write it anew with `CERTROLL_UPDATE=1 cargo test --test all`"
    );
}
