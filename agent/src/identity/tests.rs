//! The attestor against real processes, and against `/proc` trees that tell something else.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use sallyport_ebpf as abi;
use tempfile::TempDir;

use super::snapshot::kernel_dev;
use super::{AttestError, Attestation, Attestor, Identity, procfs};

const PROC: &str = "/proc";

/// Ends its process with the test.
struct Running(Child);

impl Running {
    fn sh(script: &str) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    fn sleep() -> Self {
        let child = Self(Command::new("sleep").args(["1000", "1"]).spawn().unwrap());
        wait_for(|| fs::read(format!("/proc/{}/cmdline", child.pid())).unwrap().starts_with(b"sleep"));
        child
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Waits for the script to say something.
    fn heard(&mut self) {
        let mut byte = [0];
        self.0.stdout.as_mut().unwrap().read_exact(&mut byte).unwrap();
    }

    fn say(&mut self) {
        self.0.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait_for(mut done: impl FnMut() -> bool) {
    for _ in 0..500 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("waited five seconds in vain");
}

fn cgroup_root() -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let mount = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2")).expect("no cgroup v2 is mounted");
    PathBuf::from(mount.split(' ').nth(1).unwrap())
}

fn read(pid: u32, file: &str) -> Vec<u8> {
    fs::read(format!("/proc/{pid}/{file}")).unwrap()
}

/// What the kernel half would have captured of a real process.
fn captured(pid: u32) -> abi::Task {
    let status = procfs::status(&read(pid, "status")).unwrap();
    let cgroup = read(pid, "cgroup");
    let cgroup = cgroup_root().join(procfs::cgroup(&cgroup).unwrap().trim_start_matches('/'));
    let exe = fs::metadata(format!("/proc/{pid}/exe")).unwrap();
    abi::Task {
        start_ns: procfs::stat(&read(pid, "stat")).unwrap().start_ticks * procfs::TICK_NS + 4_321,
        exec_id: 1,
        cgroup: fs::metadata(cgroup).unwrap().ino(),
        exe_ino: exe.ino(),
        exe_dev: kernel_dev(exe.dev()),
        tgid: pid,
        tid: pid,
        uid: status.uid,
        gid: status.gid,
        loginuid: procfs::id(&read(pid, "loginuid")).unwrap(),
        audit_session: procfs::id(&read(pid, "sessionid")).unwrap(),
        facts: abi::FACT_START | abi::FACT_AUDIT | abi::FACT_EXE,
    }
}

fn attestor() -> Attestor {
    Attestor::new("example.org", "h1", PathBuf::from(PROC), cgroup_root()).unwrap()
}

/// A `/proc` and a cgroup tree of our own making, for a process id that lives.
struct Fake {
    dir: TempDir,
    process: Running,
    task: abi::Task,
}

impl Fake {
    const TICKS: u64 = 777;

    fn new(cgroup: &str) -> Self {
        let (dir, process) = (tempfile::tempdir().unwrap(), Running::sleep());
        let pid = process.pid();
        let cgroup_dir = dir.path().join("cgroup").join(cgroup.trim_start_matches('/'));
        fs::create_dir_all(&cgroup_dir).unwrap();
        let image = dir.path().join("image");
        fs::write(&image, b"abc").unwrap();
        let exe = fs::metadata(&image).unwrap();
        let fake = Self {
            task: abi::Task {
                start_ns: Self::TICKS * procfs::TICK_NS + 1,
                exec_id: 3,
                cgroup: fs::metadata(&cgroup_dir).unwrap().ino(),
                exe_ino: exe.ino(),
                exe_dev: kernel_dev(exe.dev()),
                tgid: pid,
                tid: pid,
                uid: 1000,
                gid: 100,
                loginuid: abi::UNSET,
                audit_session: abi::UNSET,
                facts: abi::FACT_START | abi::FACT_AUDIT | abi::FACT_EXE,
            },
            dir,
            process,
        };
        fs::create_dir_all(fake.proc()).unwrap();
        fake.write("stat", &stat(pid, Self::TICKS));
        fake.write("status", &format!("Name:\tx\nTgid:\t{pid}\nUid:\t1000\t0\t0\t0\nGid:\t100\t0\t0\t0\n"));
        fake.write("cgroup", &format!("0::{cgroup}\n"));
        fake.write("loginuid", "4294967295");
        fake.write("sessionid", "4294967295");
        fake.write("cmdline", "agent\0--token\0hunter2\0");
        symlink(image, fake.proc().join("exe")).unwrap();
        fake
    }

    fn proc(&self) -> PathBuf {
        self.dir.path().join("proc").join(self.process.pid().to_string())
    }

    fn write(&self, file: &str, content: &str) {
        fs::write(self.proc().join(file), content).unwrap();
    }

    fn attestor(&self) -> Attestor {
        let passwd = self.dir.path().join("passwd");
        fs::write(&passwd, "ada:x:1000:100::/:/bin/sh\neve:x:1001:100::/:/bin/sh\n").unwrap();
        let (proc, cgroup) = (self.dir.path().join("proc"), self.dir.path().join("cgroup"));
        Attestor::new("example.org", "h1", proc, cgroup).unwrap().with_passwd(passwd)
    }

    fn attest(&self) -> Arc<Identity> {
        self.attestor().attest(&self.task).unwrap()
    }
}

fn stat(pid: u32, ticks: u64) -> String {
    format!("{pid} (x) R 1 1) S 0 7 7 -1 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 {ticks} 1 2 3\n")
}

fn name(identity: &Identity) -> &str {
    identity.workload.as_str().strip_prefix("spiffe://example.org/host/h1").unwrap()
}

#[test]
fn a_living_process_is_attested_in_full() {
    let child = Running::sleep();
    let task = captured(child.pid());
    let identity = attestor().attest(&task).unwrap();
    let process = &identity.process;
    assert_eq!(process.attestation, Attestation::Live);
    assert_eq!((process.tgid, process.started, process.uid), (child.pid(), task.start_ns, task.uid));
    assert_eq!(process.argv, ["sleep", "1000", "1"]);
    let exe = process.executable.as_ref().unwrap();
    assert_eq!((exe.path.as_path(), exe.on_host), (fs::canonicalize("/bin/sleep").unwrap().as_path(), true));
    assert!(exe.sha256.is_some());
    assert_eq!(process.parents.first().unwrap().pid, std::process::id());
    assert!(process.parents.iter().all(|parent| parent.started <= process.started));
}

#[test]
fn a_hit_needs_every_captured_fact_to_be_the_same() {
    let child = Running::sleep();
    let task = captured(child.pid());
    let attestor = attestor();
    assert!(attestor.cached(&task).is_none());
    let identity = attestor.attest(&task).unwrap();
    let other_thread = abi::Task { tid: 1, ..task };
    assert!(Arc::ptr_eq(&attestor.cached(&other_thread).unwrap(), &identity));
    for other in [
        abi::Task { start_ns: task.start_ns + 1, ..task },
        abi::Task { exec_id: 2, ..task },
        abi::Task { cgroup: task.cgroup + 1, ..task },
        abi::Task { exe_ino: task.exe_ino + 1, ..task },
        abi::Task { uid: task.uid + 1, ..task },
        abi::Task { gid: task.gid + 1, ..task },
        abi::Task { loginuid: 7, ..task },
        abi::Task { audit_session: 7, ..task },
        abi::Task { facts: task.facts & !abi::FACT_START, ..task },
    ] {
        assert!(attestor.cached(&other).is_none(), "{other:?}");
    }
}

#[test]
fn without_a_start_time_nothing_is_cached() {
    let child = Running::sleep();
    let task = abi::Task { facts: 0, start_ns: 0, ..captured(child.pid()) };
    let attestor = attestor();
    let identity = attestor.attest(&task).unwrap();
    assert_eq!(identity.process.attestation, Attestation::Live);
    assert_ne!(identity.process.started, 0);
    assert!(attestor.cached(&task).is_none());
}

#[test]
fn a_process_that_is_gone_keeps_only_what_the_kernel_captured() {
    let mut child = Running::sh("read x");
    let task = captured(child.pid());
    child.say();
    child.0.wait().unwrap();
    let identity = attestor().attest(&task).unwrap();
    let process = &identity.process;
    assert_eq!(process.attestation, Attestation::KernelOnly);
    assert_eq!((process.tgid, process.started, process.uid), (task.tgid, task.start_ns, task.uid));
    assert!(process.executable.is_none() && process.argv.is_empty() && process.parents.is_empty());
    assert_eq!(process.cgroup_id, task.cgroup);
    assert!(!process.cgroup.is_empty(), "the cgroup is still there and must be found by its id");
}

#[test]
fn a_zombie_is_gone() {
    let mut child = Running::sh("read x");
    let task = captured(child.pid());
    child.say();
    wait_for(|| procfs::stat(&read(task.tgid, "stat")).unwrap().state == b'Z');
    assert_eq!(attestor().attest(&task).unwrap().process.attestation, Attestation::KernelOnly);
}

#[test]
fn a_process_that_runs_another_image_is_not_named_by_it() {
    let mut child = Running::sh("echo; read x; exec sleep 1000");
    child.heard();
    let task = captured(child.pid());
    child.say();
    wait_for(|| fs::metadata(format!("/proc/{}/exe", child.pid())).unwrap().ino() != task.exe_ino);
    let identity = attestor().attest(&task).unwrap();
    assert_eq!(identity.process.attestation, Attestation::KernelOnly);
    assert!(identity.process.executable.is_none() && identity.process.argv.is_empty());
}

#[test]
fn a_name_the_process_gave_itself_changes_nothing() {
    let mut child = Running::sh("printf ') R 1 1' > /proc/$$/comm; echo; read x");
    child.heard();
    assert_eq!(read(child.pid(), "comm"), b") R 1 1\n");
    let identity = attestor().attest(&captured(child.pid())).unwrap();
    assert_eq!(identity.process.attestation, Attestation::Live);
    assert_eq!(identity.process.parents.first().unwrap().pid, std::process::id());
}

#[test]
fn a_thread_that_connects_is_its_process() {
    let (tid, identity) = std::thread::spawn(|| {
        let tid = rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned();
        let task = abi::Task { tid, ..captured(std::process::id()) };
        (tid, attestor().attest(&task).unwrap())
    })
    .join()
    .unwrap();
    assert_ne!(tid, std::process::id());
    assert_eq!(identity.process.tgid, std::process::id());
    assert_eq!(identity.process.attestation, Attestation::Live);
}

#[test]
fn workloads_are_named_by_what_root_made() {
    let id = "0123456789abcdef".repeat(4);
    for (cgroup, expected) in [
        ("/system.slice/cron.service", "/unit/cron.service"),
        ("/system.slice/pg@15-main.service", "/unit/pg_4015-main.service"),
        ("/user.slice/user-1000.slice/session-2.scope", "/user/ada"),
        ("/user.slice/user-1001.slice/user@1001.service/app.slice/bot.service", "/user/eve/unit/bot.service"),
        ("/user.slice/user-5.slice/session-2.scope", "/uid/5"),
        ("/system.slice/docker-ID.scope", "/container/ID"),
        ("/docker/ID", "/container/ID"),
        ("/system.slice/ci.service/docker-ID.scope", "/unit/ci.service/container/ID"),
        ("/user.slice/user-1000.slice/user@1000.service/libpod-ID.scope", "/user/ada/container/ID"),
    ] {
        let fake = Fake::new(&cgroup.replace("ID", &id));
        let identity = fake.attest();
        assert_eq!(identity.process.attestation, Attestation::Live, "{cgroup}");
        assert_eq!(name(&identity), expected.replace("ID", &id), "{cgroup}");
    }
}

#[test]
fn secrets_in_arguments_are_masked() {
    assert_eq!(Fake::new("/system.slice/cron.service").attest().process.argv, ["agent", "--token", "***"]);
}

#[test]
fn a_person_is_who_logged_in() {
    let mut fake = Fake::new("/user.slice/user-1000.slice/session-2.scope");
    fake.write("loginuid", "1001");
    fake.write("sessionid", "2");
    (fake.task.loginuid, fake.task.audit_session) = (1001, 2);
    let identity = fake.attest();
    assert_eq!(name(&identity), "/user/eve");
    let login = identity.process.login.as_ref().unwrap();
    assert_eq!((login.uid, login.session, login.user.as_deref()), (1001, Some(2), Some("eve")));
    // Without the kernel's word, /proc is asked.
    fake.task.facts &= !abi::FACT_AUDIT;
    assert_eq!(fake.attest().process.login, identity.process.login);
}

#[test]
fn outside_every_unit_the_program_names_the_workload() {
    let fake = Fake::new("/sandbox");
    let path = fs::canonicalize(fake.dir.path()).unwrap().join("image");
    let exe = fake.attest();
    let expected = super::SpiffeId::new(
        &super::TrustDomain::new("example.org").unwrap(),
        ["host", "h1", "exe"].into_iter().chain(path.to_str().unwrap().split('/').skip(1)).map(str::as_bytes),
    );
    assert_eq!(exe.workload, expected.unwrap());
    // A path that is not the host's names nothing: the content does.
    fs::remove_file(fake.proc().join("exe")).unwrap();
    symlink("../../image", fake.proc().join("exe")).unwrap();
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(name(&fake.attest()), format!("/exe-sha256/{digest}"));
}

#[test]
fn whatever_differs_from_the_capture_is_not_believed() {
    type Change = (&'static str, fn(&mut Fake));
    let pid_reused: fn(&mut Fake) = |fake| fake.write("stat", &stat(fake.process.pid(), Fake::TICKS + 1));
    let changes: [Change; 10] = [
        ("another start time", pid_reused),
        ("another executable", |fake| fake.task.exe_ino += 1),
        ("another uid", |fake| fake.task.uid = 0),
        ("another gid", |fake| fake.task.gid = 0),
        ("another login", |fake| fake.write("loginuid", "0")),
        ("another audit session", |fake| fake.write("sessionid", "9")),
        ("another cgroup", |fake| {
            fs::create_dir_all(fake.dir.path().join("cgroup/system.slice/other.service")).unwrap();
            fake.write("cgroup", "0::/system.slice/other.service\n");
        }),
        ("a cgroup outside the namespace", |fake| fake.write("cgroup", "0::/../other\n")),
        ("no stat", |fake| fs::remove_file(fake.proc().join("stat")).unwrap()),
        ("a malformed status", |fake| fake.write("status", "Name:\tx\n")),
    ];
    for (what, change) in changes {
        let mut fake = Fake::new("/system.slice/cron.service");
        change(&mut fake);
        let attestor = fake.attestor();
        let identity = attestor.attest(&fake.task).unwrap();
        assert_eq!(identity.process.attestation, Attestation::KernelOnly, "{what}");
        assert!(identity.process.executable.is_none() && identity.process.argv.is_empty(), "{what}");
        assert_eq!(name(&identity), "/unit/cron.service", "{what}");
        assert!(attestor.cached(&fake.task).is_none(), "{what}");
    }
}

#[test]
fn another_device_is_believed_only_with_a_proven_start() {
    let mut fake = Fake::new("/system.slice/cron.service");
    fake.task.exe_dev += 1;
    assert_eq!(fake.attest().process.attestation, Attestation::Live);
    fake.task.facts &= !abi::FACT_START;
    assert_eq!(fake.attest().process.attestation, Attestation::KernelOnly);
}

#[test]
fn a_cgroup_seen_before_is_known_after_it_is_removed() {
    let mut fake = Fake::new("/system.slice/job.service");
    let attestor = fake.attestor();
    attestor.attest(&fake.task).unwrap();
    fs::remove_dir(fake.dir.path().join("cgroup/system.slice/job.service")).unwrap();
    fake.task.exec_id += 1;
    let identity = attestor.attest(&fake.task).unwrap();
    assert_eq!((name(&identity), identity.process.attestation), ("/unit/job.service", Attestation::KernelOnly));
}

#[test]
fn what_nothing_names_is_denied() {
    let mut fake = Fake::new("/system.slice/cron.service");
    let attestor = fake.attestor();
    assert!(matches!(attestor.attest(&abi::Task::default()), Err(AttestError::NoProcess)));
    fs::remove_dir_all(fake.proc()).unwrap();
    fake.task.cgroup = u64::MAX;
    assert_eq!(
        name(&attestor.attest(&fake.task).unwrap()),
        format!("/exe-inode/{}.{}/{}", fake.task.exe_dev >> 20, fake.task.exe_dev & 0xf_ffff, fake.task.exe_ino)
    );
    fake.task.facts &= !abi::FACT_EXE;
    assert!(matches!(attestor.attest(&fake.task), Err(AttestError::Unnamed { .. })));
}

#[test]
fn names_that_fit_no_id_are_refused_at_the_start() {
    let new = |domain, host| Attestor::new(domain, host, Path::new(PROC).into(), Path::new("/sys/fs/cgroup").into());
    assert!(new("Example.org", "h1").is_err());
    assert!(new("example.org", "").is_err());
    assert!(new("example.org", "db_1.example").is_ok());
}
