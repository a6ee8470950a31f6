//! Builds, tests and runs Gloaming. `./x` at the root calls this.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for a terminal")]

mod bench;
mod build;
mod check;
mod counts;
mod fingerprint;
mod licences;
mod lock;
mod needs;
mod place;
mod run;
mod serve;
mod steps;
mod test;
mod threats;

use std::process::ExitCode;

const USAGE: &str = "\
./x serve [--open] [OPTION…]   builds what has changed and starts the server on http://127.0.0.1:8420
                               (options go to `gloaming serve`; data rests in .gloaming)
./x build                      leaves the binary, page inside, at target/release/gloaming
./x install [--prefix DIR]     builds, and copies the binary to DIR/bin (default: ~/.local)
./x test [AREA…]               everything, or some of: rust s3 kill wasm browser webkit numbers
./x check                      format, lints, types, licences, and who may depend on whom
./x bench [NAME…]              measures: seal (beside cp), play (beside plain Shaka Player), grants, rooms, forwarder
./x soak [NAME…]               what takes hours: kill seal play rooms fuzz";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", [].as_slice()),
    };
    let result = match command {
        "serve" => serve::serve(rest),
        serve::OPEN => serve::open_when_up(rest),
        "build" => lock::alone(|| build::binary().map(|_| ExitCode::SUCCESS)),
        "install" => build::install(rest),
        "test" => lock::alone(|| test::test(rest)),
        "check" => lock::alone(check::check),
        "bench" => lock::alone(|| bench::bench(rest)),
        "soak" => lock::alone(|| bench::soak(rest)),
        "help" | "-h" | "--help" => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        other => {
            eprintln!("./x does not know {other:?}.\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    result.unwrap_or_else(|error| {
        eprintln!("\n{error:#}");
        ExitCode::FAILURE
    })
}
