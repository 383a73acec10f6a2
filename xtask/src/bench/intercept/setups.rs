//! What is compared: nothing in between, HAProxy behind an nftables redirect, and our daemon.

use std::fs;
use std::io::{BufRead, ErrorKind, Write};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::site::{Network, Owned, Place, Site, helper};
use super::wire::PORT;
use crate::process::{output, target};

/// Nothing takes this long to start or stop unless something is broken.
const PATIENCE: Duration = Duration::from_secs(30);
/// Starts of the daemon before giving up.
const TRIES: u32 = 5;
/// Where HAProxy listens.
const HAPROXY_PORT: u16 = PORT + 1;
/// Whom HAProxy becomes: not the superuser, whose connections are redirected.
const NOBODY: u32 = 65_534;

/// A load generator at work.
pub(super) struct Load {
    child: Owned,
    orders: ChildStdin,
    answers: Box<dyn BufRead>,
}

impl Load {
    pub(super) fn start(site: &Site, place: Place, network: &Network) -> Result<Self> {
        let mut command = site.command(place, network, target("release/xtask"));
        let (mut child, answers) = helper(command.args(["__bench", "load"]))?;
        let orders = child.stdin.take().context("a load generator without an input")?;
        Ok(Self { child: Owned(child), orders, answers: Box::new(answers) })
    }

    /// Has one order carried out; its numbers.
    pub(super) fn ask(&mut self, order: &str) -> Result<Vec<f64>> {
        writeln!(self.orders, "{order}").with_context(|| format!("no load generator for `{order}`"))?;
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            bail!("the load generator ended at `{order}` ({})", self.child.0.wait()?);
        }
        Ok(line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?)
    }
}

/// One way from load generator to server.
pub(super) struct Setup {
    /// As it is called in the report.
    pub(super) name: &'static str,
    pub(super) load: Load,
    /// The process in between, if there is one.
    pub(super) proxy: Option<u32>,
}

/// HAProxy, passing TCP on.
pub(super) struct Haproxy(Owned);

impl Haproxy {
    /// Starts it in `network`, whose connections it gets from now on.
    pub(super) fn start(site: &Site, network: &Network) -> Result<Self> {
        let path = site.directory.join("haproxy.cfg");
        fs::write(
            &path,
            format!(
                "global\n  nbthread 2\n  uid {NOBODY}\n  gid {NOBODY}\n\
                 defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n\
                 listen bench\n  bind 127.0.0.1:{HAPROXY_PORT}\n  server upstream 127.0.0.1:{PORT}\n"
            ),
        )?;
        let mut command = site.command(Place::Free, network, "haproxy");
        let child = command.arg("-db").arg("-f").arg(&path).spawn().context("cannot start haproxy")?;
        let haproxy = Self(Owned(child));
        network.wait_for(site, HAPROXY_PORT)?;
        network.redirect(site, HAPROXY_PORT)?;
        Ok(haproxy)
    }

    pub(super) fn pid(&self) -> u32 {
        self.0.0.id()
    }
}

/// Our daemon, the release build.
pub(in crate::bench) struct Daemon {
    child: Owned,
    files: Files,
}

#[derive(Clone)]
struct Files {
    config: PathBuf,
    state: PathBuf,
    runtime: PathBuf,
}

impl Files {
    fn of(site: &Site, more: &str) -> Result<Self> {
        let files = Self {
            config: site.directory.join("sallyport.toml"),
            state: site.directory.join("state"),
            runtime: site.directory.join("run"),
        };
        let (scope, bpffs) = (site.managed(), site.directory.join("bpf"));
        let bpffs = bpffs.display();
        fs::write(
            &files.config,
            format!(
                "[scope.bench]\ncgroup = \"{scope}\"\n[intercept]\nbpffs = \"{bpffs}\"\n[telemetry]\nlog = \"text\"\n{more}\n"
            ),
        )?;
        fs::create_dir_all(&files.runtime)?;
        Ok(files)
    }

    fn options<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.arg("--config").arg(&self.config).arg("--state-dir").arg(&self.state);
        command.arg("--runtime-dir").arg(&self.runtime)
    }
}

impl Daemon {
    /// Starts it in `network`, with `more` in its configuration; returns when it has said that it is ready. Somebody else's daemon or command may come up
    /// at the same moment and be in the way of the canary, so there are a few tries.
    pub(in crate::bench) fn start(site: &Site, network: &Network, more: &str) -> Result<Self> {
        for _ in 0..TRIES {
            wait_until_alone(None);
            match Self::try_start(site, network, more) {
                Ok(daemon) => return Ok(daemon),
                Err(error) => eprintln!("warning: {error:#}; once more"),
            }
        }
        bail!("the daemon cannot be started")
    }

    fn try_start(site: &Site, network: &Network, more: &str) -> Result<Self> {
        let files = Files::of(site, more)?;
        let address = site.directory.join("notify");
        // What an earlier one was told is of no interest.
        let _ = fs::remove_file(&address);
        let notices = UnixDatagram::bind(&address)?;
        notices.set_read_timeout(Some(Duration::from_millis(200)))?;
        let log = fs::File::create(site.directory.join("daemon.log"))?;
        let mut command = site.command(Place::Daemon, network, target("release/sallyport"));
        files.options(&mut command).arg("run").env("NOTIFY_SOCKET", &address).stderr(log).stdout(Stdio::null());
        let child = Owned(command.spawn().context("cannot start the daemon")?);
        let mut daemon = Self { child, files };
        if let Err(error) = daemon.wait_until_ready(&notices) {
            let log = fs::read_to_string(site.directory.join("daemon.log")).unwrap_or_default();
            return Err(error.context(format!("the daemon's log:\n{log}")));
        }
        Ok(daemon)
    }

    fn wait_until_ready(&mut self, notices: &UnixDatagram) -> Result<()> {
        let mut message = [0; 4096];
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            match notices.recv(&mut message) {
                Ok(length) => {
                    let text = String::from_utf8_lossy(message.get(..length).unwrap_or_default());
                    if text.lines().any(|line| line == "READY=1") {
                        return Ok(());
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(e) => return Err(e.into()),
            }
            if let Some(status) = self.child.0.try_wait()? {
                bail!("the daemon ended before it was ready ({status})");
            }
        }
        bail!("the daemon is not ready after {} s", PATIENCE.as_secs())
    }

    pub(in crate::bench) fn pid(&self) -> u32 {
        self.child.0.id()
    }

    /// Has it read its policies and its classification again.
    pub(in crate::bench) fn reload_policies(&self) -> Result<()> {
        let mut reload = Command::new(target("release/sallyport"));
        output(self.files.options(&mut reload).args(["policy", "reload"])).map(|_| ())
    }

    /// Ends it and takes its programs out of the kernel.
    pub(in crate::bench) fn stop(mut self) -> Result<()> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).context("no such process")?;
        kill_process(pid, Signal::TERM).context("cannot end the daemon")?;
        wait(&mut self.child.0)?;
        let mut detach = Command::new(target("release/sallyport"));
        output(self.files.options(&mut detach).args(["bypass", "--detach", "--reason", "benchmark"])).map(|_| ())
    }
}

/// Whether no other daemon than `ours` runs: all have their programs at the root of the cgroups.
pub(in crate::bench) fn is_alone(ours: Option<u32>) -> bool {
    let ours = ours.map(|pid| pid.to_string()).unwrap_or_default();
    let is_other = |entry: fs::DirEntry| {
        let name = fs::read_to_string(entry.path().join("comm"));
        name.is_ok_and(|name| name.trim() == "sallyport") && entry.file_name() != ours.as_str()
    };
    fs::read_dir("/proc").is_ok_and(|all| !all.flatten().any(is_other))
}

/// Waits for that, but not for ever; whether it came true.
pub(in crate::bench) fn wait_until_alone(ours: Option<u32>) -> bool {
    let start = Instant::now();
    while !is_alone(ours) {
        if start.elapsed() > PATIENCE {
            return false;
        }
        sleep(Duration::from_millis(20));
    }
    true
}

fn wait(child: &mut Child) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait()? {
            return if status.success() { Ok(()) } else { bail!("the daemon ended badly ({status})") };
        }
        sleep(Duration::from_millis(2));
    }
    bail!("the daemon does not stop")
}
