//! Child processes: their output kept off stdout, their ends awaited, none left behind.

use std::fmt::Display;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// What a command of this program ends with: the message is the one line a person reads.
pub(crate) type Outcome<T = ()> = Result<T, String>;

/// How often the end of a child is looked for.
const POLL: Duration = Duration::from_millis(20);

/// Adds what was being done to an error.
pub(crate) trait Context<T> {
    /// `what: error`.
    fn context(self, what: impl Display) -> Outcome<T>;
}

impl<T, E: Display> Context<T> for Result<T, E> {
    fn context(self, what: impl Display) -> Outcome<T> {
        self.map_err(|error| format!("{what}: {error}"))
    }
}

/// The standard error stream as a child's output, so that stdout belongs to the program the user asked for.
pub(crate) fn to_stderr() -> Stdio {
    use std::os::fd::AsFd;
    match io::stderr().as_fd().try_clone_to_owned() {
        Ok(descriptor) => Stdio::from(descriptor),
        Err(_) => Stdio::null(),
    }
}

/// Names a step on stderr.
pub(crate) fn header(step: &str) {
    eprintln!("\n=== {step}");
}

fn shown(command: &Command) -> String {
    let words: Vec<_> = std::iter::once(command.get_program()).chain(command.get_args()).collect();
    words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Runs a command with its output on stderr.
///
/// # Errors
/// The command and how it ended, unless it ended with 0.
pub(crate) fn run(command: &mut Command) -> Outcome {
    run_to(command, to_stderr())
}

/// Runs a command whose stdout is ours.
///
/// # Errors
/// The command and how it ended, unless it ended with 0.
pub(crate) fn run_visible(command: &mut Command) -> Outcome {
    run_to(command, Stdio::inherit())
}

fn run_to(command: &mut Command, stdout: Stdio) -> Outcome {
    let status = command.stdout(stdout).status().context(format_args!("cannot run `{}`", shown(command)))?;
    if status.success() { Ok(()) } else { Err(format!("`{}` ended with {status}", shown(command))) }
}

/// What a command prints, or `None` if it cannot be run or fails.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Where a program of this name is on `PATH`.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Becomes another program; returns only if that is impossible.
pub(crate) fn exec(command: &mut Command) -> Outcome {
    let error = command.exec();
    Err(format!("cannot run `{}`: {error}", shown(command)))
}

/// A child that does not outlive this value.
pub(crate) struct Running {
    name: &'static str,
    child: Child,
}

impl Running {
    /// Starts a child whose stdout is a pipe.
    ///
    /// # Errors
    /// The command, if it cannot be started.
    pub(crate) fn start(name: &'static str, command: &mut Command) -> Outcome<Self> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context(format_args!("cannot start `{}`", shown(command)))?;
        Ok(Self { name, child })
    }

    /// What this child is called in messages.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Its process number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its standard output, once.
    pub(crate) fn stdout(&mut self) -> Outcome<std::process::ChildStdout> {
        self.child.stdout.take().ok_or_else(|| format!("{}: its output is read already", self.name))
    }

    /// Its exit status if it has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits for it to end by itself.
    pub(crate) fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            let status = self.ended();
            if status.is_some() || Instant::now() >= deadline {
                return status;
            }
            thread::sleep(POLL);
        }
    }

    /// Asks it to end (SIGTERM); kills it if it has not after `limit`. `None` if it could not be awaited.
    pub(crate) fn stop(&mut self, limit: Duration) -> Option<ExitStatus> {
        if self.ended().is_none() {
            output(Command::new("kill").args(["-TERM", &self.id().to_string()]));
        }
        self.wait(limit).or_else(|| {
            // Ended in between, or about to.
            let _ = self.child.kill();
            self.child.wait().ok()
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ended().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
