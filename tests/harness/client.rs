//! Programs that are clients under test: as they are, where a test puts them.

use crate::{Bed, PATIENCE, Said, puppet, until, within};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    ffi::OsStr,
    io::{Read, Write},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::Duration,
};

/// How long a client may take that has a lot to do, on a loaded machine.
pub const LONG: Duration = Duration::from_secs(60);

impl Bed {
    /// A program, to be run in a unit on the host under test. It dies with the test.
    pub fn command(&self, unit: &str, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(puppet::program());
        command.arg("--netns").arg(self.network().here.path());
        command.arg("--cgroup").arg(self.unit_cgroup(unit).path()).arg(program);
        command.current_dir(self.dir()).stdin(Stdio::null());
        command
    }
}

/// A program that runs, and what it says. It is killed when dropped.
pub struct Client {
    child: Child,
    shown: String,
    out: Arc<Mutex<Vec<u8>>>,
    err: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Client {
    /// Starts it.
    pub fn start(command: &mut Command) -> Self {
        let shown = format!("{command:?}");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (out, err) = (Arc::<Mutex<Vec<u8>>>::default(), Arc::<Mutex<Vec<u8>>>::default());
        let readers = vec![
            listen(child.stdout.take().unwrap(), Arc::clone(&out)),
            listen(child.stderr.take().unwrap(), Arc::clone(&err)),
        ];
        Self { child, shown, out, err, readers }
    }

    /// Starts it with something to read, and then the end of it.
    pub fn start_with(command: &mut Command, input: &str) -> Self {
        let mut client = Self::start(command.stdin(Stdio::piped()));
        client.say(input);
        drop(client.child.stdin.take());
        client
    }

    /// Gives it something to read; its input must be a pipe.
    pub fn say(&mut self, text: &str) {
        let input = self.child.stdin.as_mut().expect("a pipe");
        input.write_all(text.as_bytes()).unwrap();
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// What it wrote to its output so far.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.out.lock().unwrap()).into_owned()
    }

    /// What it complained of so far.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.err.lock().unwrap()).into_owned()
    }

    /// Waits until it has written this, to either.
    pub fn until_said(&self, text: &str) {
        let what = format!("`{text}` is said");
        until(&what, || (self.out().contains(text) || self.err().contains(text)).then_some(()));
    }

    /// Whether it goes on.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until it has ended, and returns what it said.
    pub fn end(self) -> Said {
        self.end_within(PATIENCE)
    }

    /// As [`Client::end`], of one that takes longer.
    pub fn end_within(mut self, time: Duration) -> Said {
        drop(self.child.stdin.take());
        let ended = within(time, || self.child.try_wait().unwrap());
        let Some(status) = ended else {
            panic!("{} goes on after {time:?}:\n{}\n{}", self.shown, self.out(), self.err())
        };
        self.readers.drain(..).for_each(|reader| reader.join().unwrap());
        Said { code: status.code(), out: self.out(), err: self.err() }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(mut from: impl Read + Send + 'static, into: Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut buffer = vec![0; 65_536];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            into.lock().unwrap().extend_from_slice(&buffer[..read]);
        }
    })
}
