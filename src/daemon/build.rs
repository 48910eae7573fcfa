//! What `certroll --version` says of how it was built. Nothing here may differ between two builds of one commit.

use std::env::var;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=src/daemon/build.rs");
    println!("cargo:rerun-if-env-changed=CERTROLL_COMMIT");
    // Named by who releases, who knows that nothing was changed since; a build cannot know that of its tree.
    let commit = var("CERTROLL_COMMIT").ok().filter(|named| !named.trim().is_empty());
    println!(
        "cargo:rustc-env=CERTROLL_BUILD_COMMIT={}",
        commit.as_deref().unwrap_or("not named: this is no release")
    );
    let features = var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    let linked =
        if features.split(',').any(|feature| feature == "crt-static") { "statically" } else { "dynamically" };
    let target = var("TARGET").unwrap_or_default();
    println!("cargo:rustc-env=CERTROLL_BUILD_TARGET={target}, linked {linked}");
    let compiler = Command::new(var("RUSTC").unwrap_or_else(|_| "rustc".to_owned()))
        .arg("--version")
        .output()
        .ok()
        .and_then(|told| String::from_utf8(told.stdout).ok())
        .unwrap_or_default();
    println!("cargo:rustc-env=CERTROLL_BUILD_COMPILER={}", compiler.trim());
    println!("cargo:rustc-env=CERTROLL_BUILD_PROFILE={}", var("PROFILE").unwrap_or_default());
}
