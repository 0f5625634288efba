//! The command line. Everything it does is in the library; this only turns an error into one line and an exit status.

#![deny(clippy::print_stderr, clippy::print_stdout)]
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    // A panic is a bug in the program. The user gets one line, not a backtrace.
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(|l| format!(" at {}:{}", l.file(), l.line())).unwrap_or_default();
        let payload = info.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let cause = text.or(payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("unknown cause");
        gpu_resnet::cli::say(format_args!("error: internal error{place}: {cause}"));
    }));
    match std::panic::catch_unwind(gpu_resnet::cli::run) {
        Ok(status) => ExitCode::from(status),
        Err(_) => ExitCode::FAILURE,
    }
}
