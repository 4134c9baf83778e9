//! The commands of this workspace: `cargo xtask COMMAND`.
#![forbid(unsafe_code)]

mod bench;
mod demo;
mod extension;
mod interop;
mod openh264;
mod process;
mod setup;
mod test;
mod wheels;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::process::{Outcome, exec};
use crate::setup::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Builds, tests and shows this workspace")]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Send pictures and sound through the development server to a second program and show what arrived
    Demo(demo::Options),
    /// Run every test: Rust, documentation examples, Python
    Test,
    /// Test against independent implementations: the reference wheel, aiortc, a browser
    Interop,
    /// Everything a change has to pass
    Ci,
    /// Run the Python interpreter that has the working tree's sora_sdk
    #[command(disable_help_flag = true)]
    Python {
        /// Passed on as they are
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Run the development server
    #[command(disable_help_flag = true)]
    Devserver {
        /// Passed on as they are
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Build a shared OpenH264 library for H.264 and print its path
    Openh264,
    /// Build the wheels people install, for every platform that can be built from here, and try them
    BuildWheels(wheels::Options),
    /// Measure
    Bench {
        /// What
        #[arg(value_enum, default_value = "media")]
        name: bench::Bench,
    },
}

fn devserver(workspace: &Workspace, arguments: &[OsString]) -> Outcome {
    setup::system_packages()?;
    let program = workspace.devserver()?;
    exec(&mut setup::command(&program, arguments))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = Workspace::find().and_then(|workspace| match &arguments.command {
        Task::Demo(options) => demo::demo(&workspace, options),
        Task::Test => test::test(&workspace),
        Task::Interop => interop::interop(&workspace),
        Task::Ci => test::ci(&workspace),
        Task::Python { arguments } => extension::python(&workspace, arguments),
        Task::Devserver { arguments } => devserver(&workspace, arguments),
        Task::Openh264 => openh264::openh264(&workspace),
        Task::Bench { name } => bench::bench(&workspace, *name),
        Task::BuildWheels(options) => wheels::build_wheels(&workspace, options),
    });
    match outcome {
        Err(reason) => {
            eprintln!("xtask: {reason}");
            ExitCode::FAILURE
        }
        Ok(()) => ExitCode::SUCCESS,
    }
}
