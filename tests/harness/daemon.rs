//! The daemon under test, and its command line.

use crate::{Bed, PATIENCE, Store, within};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{
    env, fs, io,
    os::unix::{net::UnixDatagram, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::Duration,
};

/// A program of this workspace, as built with these tests; `sallyport` itself may be another, named by
/// `SALLYPORT_UNDER_TEST`: an installed one, say.
pub fn built(name: &str) -> PathBuf {
    if name == "sallyport"
        && let Some(path) = env::var_os("SALLYPORT_UNDER_TEST")
    {
        return path.into();
    }
    let own = env::current_exe().unwrap();
    // target/PROFILE/deps/it-HASH
    let path = own.ancestors().nth(2).expect("a target directory").join(name);
    assert!(path.exists(), "{} is not there: build the workspace first (cargo xtask build)", path.display());
    path
}

/// A running daemon. It is killed, and what it attached is removed with its [`Bed`], when dropped.
pub struct Daemon {
    child: Child,
    notify: UnixDatagram,
    config: PathBuf,
    state: PathBuf,
    runtime: PathBuf,
    log: PathBuf,
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Said {
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

impl Daemon {
    /// Starts a daemon with a configuration, and waits until it says it is ready.
    pub fn start(bed: &Bed, config: &str) -> Self {
        let mut daemon = Self::launch(bed, config);
        daemon.wait_for("READY=1");
        daemon
    }

    /// Starts a daemon and does not wait.
    pub fn launch(bed: &Bed, config: &str) -> Self {
        let path = bed.dir().join("sallyport.toml");
        fs::write(&path, config).unwrap();
        let socket = bed.dir().join("notify.sock");
        let _ = fs::remove_file(&socket);
        let notify = UnixDatagram::bind(&socket).unwrap();
        notify.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let log = bed.dir().join("daemon.log");
        let errors = fs::File::options().append(true).create(true).open(&log).unwrap();
        let (state, runtime) = (bed.state(), bed.runtime());
        let cgroup = bed.cgroup().child("daemon");
        let mut command = Command::new(crate::puppet::program());
        command.arg("--netns").arg(bed.network().here.path()).arg("--cgroup").arg(cgroup.path());
        command.arg(built("sallyport")).arg("run").args(options(&path, &state, &runtime));
        command.env("NOTIFY_SOCKET", &socket).env_remove("RUST_LOG").stdin(Stdio::null()).stderr(errors);
        let child = command.spawn().unwrap();
        Self { child, notify, config: path, state, runtime, log }
    }

    /// Waits until the daemon tells its service manager this.
    pub fn wait_for(&mut self, state: &str) {
        let heard = within(PATIENCE, || {
            let mut buffer = [0; 4096];
            match self.notify.recv(&mut buffer) {
                Ok(read) => {
                    let text = String::from_utf8_lossy(&buffer[..read]).into_owned();
                    text.lines().any(|line| line == state).then_some(())
                }
                Err(_) => match self.child.try_wait().unwrap() {
                    Some(status) => panic!("the daemon ended ({status}) before {state}:\n{}", self.log()),
                    None => None,
                },
            }
        });
        heard.unwrap_or_else(|| panic!("the daemon did not say {state}:\n{}", self.log()));
    }

    /// Writes another configuration and has it read.
    pub fn reload(&mut self, config: &str) {
        fs::write(&self.config, config).unwrap();
        self.signal(Signal::HUP);
        self.wait_for("READY=1");
    }

    /// Holds it still, every thread of it; [`Daemon::thaw`] lets it go on.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        let tasks = format!("/proc/{}/task", self.pid().as_raw_nonzero());
        crate::until("the daemon holds still", || {
            let still = |task: fs::DirEntry| {
                let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
                stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
            };
            fs::read_dir(&tasks).unwrap().flatten().all(still).then_some(())
        });
    }

    /// Undoes [`Daemon::freeze`].
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Stops it in order and waits.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Kills it and waits until it is gone.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        let status = self.wait();
        assert_eq!(status.signal(), Some(libc::SIGKILL), "the daemon had ended before: {status}\n{}", self.log());
    }

    /// Waits until it has ended.
    pub fn wait(&mut self) -> ExitStatus {
        within(PATIENCE, || self.child.try_wait().unwrap()).unwrap_or_else(|| panic!("it goes on:\n{}", self.log()))
    }

    /// What it recorded.
    pub fn store(&self) -> Store {
        Store::of(&self.state)
    }

    /// What it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// `sallyport WORDS` about this daemon.
    pub fn cli(&self, words: &[&str]) -> Said {
        cli(&self.config, &self.state, &self.runtime, words)
    }

    /// What `sallyport status --json` says.
    pub fn status(&self) -> Value {
        let said = self.cli(&["status", "--json"]);
        serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {said:?}"))
    }

    /// One of the kernel half's counters.
    pub fn counter(&self, name: &str) -> u64 {
        self.status()["counters"][name].as_u64().unwrap_or_else(|| panic!("no counter `{name}`"))
    }

    /// The port of its listeners.
    pub fn port(&self) -> u16 {
        let port = self.status()["listener_port"].as_u64().expect("a port");
        u16::try_from(port).unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the daemon's log\n{}---", self.log());
        }
        // Stopped by a signal or not, and gone already or not.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `sallyport WORDS` with the files of a test.
pub fn cli(config: &Path, state: &Path, runtime: &Path, words: &[&str]) -> Said {
    let mut command = Command::new(built("sallyport"));
    command.args(words).args(options(config, state, runtime)).stdin(Stdio::null());
    command.output().unwrap_or_else(|e: io::Error| panic!("{words:?}: {e}")).into()
}

fn options(config: &Path, state: &Path, runtime: &Path) -> Vec<std::ffi::OsString> {
    [("--config", config), ("--state-dir", state), ("--runtime-dir", runtime)]
        .into_iter()
        .flat_map(|(option, path)| [option.into(), path.into()])
        .collect()
}
