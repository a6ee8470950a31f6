//! Compiles anew when the built page changes, or appears.
#![allow(clippy::print_stdout, reason = "how a build script speaks to cargo")]

fn main() {
    println!("cargo:rerun-if-changed=../../web/dist");
}
