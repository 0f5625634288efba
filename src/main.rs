//! The command line. Everything it does is in the library; this only turns an error into one line and an exit status.

#![deny(clippy::print_stderr, clippy::print_stdout)]
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(gpu_resnet::cli::report_panic));
    match std::panic::catch_unwind(gpu_resnet::cli::run) {
        Ok(status) => ExitCode::from(status),
        Err(_) => ExitCode::FAILURE,
    }
}
