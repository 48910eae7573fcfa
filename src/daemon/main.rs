//! certroll
use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else: the first TLS connection takes the provider that it finds.
    let provider = rustls::crypto::ring::default_provider().install_default();
    debug_assert!(provider.is_ok(), "nothing has installed a provider before `main`");
    certroll::run(std::env::args_os())
}
