//! A process that does what a test says; see `tests/probe`.

use std::{
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// The probe's program, next to the daemon's.
pub fn program() -> PathBuf {
    crate::daemon::built("sallyport-probe")
}

/// A probe, running. It is killed when dropped.
pub struct Puppet {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// The answer of a process that was killed.
pub const GONE: i32 = libc::ESRCH;

/// What a command came to: what was said, or the error number.
pub type Answer = Result<String, i32>;

impl Puppet {
    /// Starts a probe with options of its own, such as `--cgroup DIR`.
    pub fn start<S: AsRef<std::ffi::OsStr>>(options: impl IntoIterator<Item = S>) -> Self {
        let mut command = Command::new(program());
        command.args(options).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the probe is built with the tests");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Tells it something without waiting; [`Puppet::answer`] then waits.
    pub fn tell(&mut self, line: &str) {
        let input = self.input.as_mut().expect("the probe was not ended");
        // One that was killed says so when it is asked for its answer.
        let _ = writeln!(input, "{line}");
    }

    /// The answer to the oldest command that has none yet; [`GONE`] when the process is.
    pub fn answer(&mut self) -> Answer {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        if line.is_empty() {
            return Err(GONE);
        }
        match line.trim_end_matches('\n').split_once(' ') {
            Some(("ok", what)) => Ok(what.to_owned()),
            Some(("err", what)) => Err(what.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)),
            _ => panic!("the probe said `{line}`"),
        }
    }

    /// Tells it something, and what it came to.
    pub fn ask(&mut self, line: &str) -> Answer {
        self.tell(line);
        self.answer()
    }

    /// Tells it something that must work.
    pub fn must(&mut self, line: &str) -> String {
        self.ask(line).unwrap_or_else(|number| panic!("`{line}`: {}", std::io::Error::from_raw_os_error(number)))
    }

    /// Tells it something that must fail with this error number.
    pub fn refused(&mut self, line: &str, number: i32) {
        let answer = self.ask(line);
        let name = |number| std::io::Error::from_raw_os_error(number).to_string();
        let shown = answer.as_ref().map_err(|number| name(*number));
        assert!(answer.as_ref().err() == Some(&number), "`{line}`: {shown:?} instead of {}", name(number));
    }

    /// Ends it in order, and waits.
    pub fn end(mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
