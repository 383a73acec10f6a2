//! The file system whose power can be cut: that it is one, and that it loses what it should and nothing else.

use rusqlite::Connection;
use sallyport_tests::{
    Image, PowerCut,
    powercut::{ROOMY, Trouble},
};
use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
    panic,
    path::Path,
    process::Command,
};

fn sync_directory(path: &Path) {
    File::open(path).and_then(|directory| directory.sync_all()).expect("a directory");
}

/// Every outcome that a few hundred cuts of the same moment have.
fn outcomes<T: Ord>(disk: &mut PowerCut, look: impl Fn(&Image) -> T) -> BTreeSet<T> {
    (0..300).map(|seed| look(&disk.cut(seed))).collect()
}

fn read(image: &Image, name: &str) -> Option<Vec<u8>> {
    fs::read(image.path().join(name)).ok()
}

fn number<T>(outcome: io::Result<T>) -> Option<i32> {
    outcome.err().and_then(|error| error.raw_os_error())
}

/// A file of `fill`, synced with its name.
fn synced(disk: &PowerCut, name: &str, fill: &[u8]) -> File {
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(true).open(disk.path().join(name)).expect(name);
    file.write_all(fill).expect("space");
    file.sync_all().expect("a disk");
    sync_directory(disk.path());
    file
}

#[test]
fn what_was_synced_stays_and_what_was_not_may_go() {
    let mut disk = PowerCut::new(ROOMY);
    let file = synced(&disk, "a", &[b'1'; 8192]);
    file.write_all_at(b"2", 0).expect("space");
    file.write_all_at(b"3", 8191).expect("space");
    let ends = outcomes(&mut disk, |image| {
        let bytes = read(image, "a").expect("its name was synced");
        assert!(bytes.len() == 8192 && bytes[1..8191].iter().all(|byte| *byte == b'1'));
        (bytes[0], bytes[8191])
    });
    assert_eq!(ends, BTreeSet::from([(b'1', b'1'), (b'1', b'3'), (b'2', b'1'), (b'2', b'3')]), "in any order");
    assert_eq!(read(&disk.cut(7), "a"), read(&disk.cut(7), "a"), "a cut can be repeated");
    file.sync_data().expect("a disk");
    assert_eq!(outcomes(&mut disk, |image| read(image, "a").map(|bytes| (bytes[0], bytes[8191]))).len(), 1);
}

#[test]
fn a_file_may_be_cut_at_any_length_it_had_and_torn_between_sectors() {
    let mut disk = PowerCut::new(ROOMY);
    let file = synced(&disk, "a", &[b'1'; 4096]);
    file.set_len(100).expect("a file");
    file.write_all_at(&[b'2'; 8192], 0).expect("space");
    let found = outcomes(&mut disk, |image| read(image, "a").expect("a name"));
    let lengths: BTreeSet<usize> = found.iter().map(Vec::len).collect();
    assert!([100, 4096, 8192].iter().all(|length| lengths.contains(length)) && lengths.len() > 20, "{lengths:?}");
    let torn =
        |bytes: &Vec<u8>| bytes.chunks(512).any(|one| one[0] == b'2') && bytes.chunks(512).any(|one| one[0] == 0);
    assert!(found.iter().any(torn), "some are torn");
    for bytes in found.iter().filter(|bytes| bytes.len() == 4096 && bytes.contains(&b'1')) {
        assert!(bytes == &[b'1'; 4096] || bytes[100..].iter().all(|byte| *byte != b'1'), "what was cut off stays off");
    }
}

#[test]
fn names_reach_the_disk_with_their_directory_and_in_order() {
    let mut disk = PowerCut::new(ROOMY);
    drop(synced(&disk, "old", b"old"));
    fs::rename(disk.path().join("old"), disk.path().join("new")).expect("a file");
    let mut file = File::create(disk.path().join("last")).expect("a file");
    file.write_all(b"last").expect("space");
    file.sync_all().expect("a disk");
    let names = |image: &Image| {
        let names = fs::read_dir(image.path()).expect("an image").flatten().map(|entry| entry.file_name());
        let names: BTreeSet<_> = names.map(|name| name.into_string().expect("text")).collect();
        names.into_iter().collect::<Vec<_>>().join(" ")
    };
    let expected = ["old", "new", "last new"].map(str::to_owned);
    assert_eq!(outcomes(&mut disk, names), BTreeSet::from(expected), "a synced file without its name is lost");
    sync_directory(disk.path());
    fs::create_dir(disk.path().join("below")).expect("a directory");
    fs::remove_file(disk.path().join("last")).expect("a file");
    let expected = ["last new", "below last new", "below new"].map(str::to_owned);
    assert_eq!(outcomes(&mut disk, names), BTreeSet::from(expected));
    sync_directory(disk.path());
    assert_eq!(outcomes(&mut disk, names), BTreeSet::from(["below new".to_owned()]));
    let again = PowerCut::holding(&disk.cut(1), ROOMY);
    assert_eq!(fs::read(again.path().join("new")).expect("a file"), b"old");
}

/// Mappings, locks and appends between two processes, as SQLite's index of the log and its locks need them.
const NEIGHBOURS: &str = r#"
import fcntl, mmap, os, struct, sys
path = sys.argv[1]
fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
os.ftruncate(fd, 32768)
here = mmap.mmap(fd, 32768)
here[0] = 1
ready, go = os.pipe(), os.pipe()
OFD_SETLK = 37
whole = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 4, 2, 0)
if os.fork() == 0:
    fd = os.open(path, os.O_RDWR)
    there = mmap.mmap(fd, 32768)
    assert there[0] == 1, "the mapping is shared"
    there[20000] = 2
    fcntl.fcntl(fd, OFD_SETLK, whole)
    other = os.open(path + "-lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(other, fcntl.LOCK_EX)
    end = os.open(path + "-log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(end, b"child")
    os.write(ready[1], b"x")
    os.read(go[0], 1)
    os._exit(0)
os.read(ready[0], 1)
assert here[20000] == 2, "both ways"
for attempt in (lambda: fcntl.fcntl(fd, OFD_SETLK, whole), lambda: fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 2, 4),
                lambda: fcntl.flock(os.open(path + "-lock", os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB)):
    try:
        attempt()
        sys.exit("a lock that is no lock")
    except BlockingIOError:
        pass
end = os.open(path + "-log", os.O_WRONLY | os.O_APPEND)
os.write(end, b"parent")
assert open(path + "-log").read() == "childparent"
os.unlink(path + "-log")
assert os.fstat(end).st_size == 11, "gone, and still open"
os.write(end, b"!")
os.write(go[1], b"x")
os.wait()
fcntl.fcntl(fd, OFD_SETLK, whole)
here.flush()
os.pwrite(fd, b"\3", 5)
assert here[5] == 3, "a write is seen through the mapping"
os.posix_fallocate(fd, 32768, 4096)
assert os.fstat(fd).st_size == 36864
"#;

#[test]
fn it_is_a_file_system_as_others_are() {
    let disk = PowerCut::new(ROOMY);
    let said = Command::new("python3").args(["-c", NEIGHBOURS]).arg(disk.path().join("shared")).output();
    let said = said.expect("python3: cargo xtask setup");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let mut file = synced(&disk, "a", &vec![7; 1_000_000]);
    file.seek(SeekFrom::Start(500_000)).expect("a file");
    let mut rest = Vec::new();
    file.read_to_end(&mut rest).expect("a file");
    assert!(rest.len() == 500_000 && rest.iter().all(|byte| *byte == 7));
    fs::create_dir_all(disk.path().join("b/c")).expect("directories");
    assert_eq!(number(fs::remove_dir(disk.path().join("b"))), Some(libc::ENOTEMPTY));
    assert_eq!(number(fs::rename(disk.path().join("a"), disk.path().join("b/a"))), Some(libc::EXDEV));
}

#[test]
fn a_full_and_a_read_only_disk_refuse_with_their_numbers_until_mended() {
    let mut disk = PowerCut::new(1 << 20);
    let file = synced(&disk, "a", &[1; 4096]);
    let shown = rustix::fs::statvfs(disk.path()).expect("a file system");
    assert_eq!((shown.f_blocks, shown.f_bavail), (256, 255));
    let ballast = File::create(disk.path().join("ballast")).expect("a file");
    let written = (0..).take_while(|at| ballast.write_all_at(&[2; 4096], at * 4096).is_ok()).count();
    assert_eq!((written, disk.free()), (255, 0));
    assert_eq!(number(file.write_all_at(b"x", 4096)), Some(libc::ENOSPC));
    file.write_all_at(b"x", 0).expect("what is there can be written over");
    disk.resize(2 << 20);
    file.write_all_at(b"x", 4096).expect("space");
    drop(ballast);
    fs::remove_file(disk.path().join("ballast")).expect("a file");
    disk.resize(1 << 20);
    assert_eq!(disk.free(), (1 << 20) - 8192, "what has no name takes no space");
    disk.set_trouble(Trouble::ReadOnly);
    assert_eq!(number(file.write_all_at(b"x", 0)), Some(libc::EROFS));
    assert_eq!(number(File::create(disk.path().join("b"))), Some(libc::EROFS));
    assert_eq!(number(fs::remove_file(disk.path().join("a"))), Some(libc::EROFS));
    assert_eq!(fs::read(disk.path().join("a")).expect("still read").len(), 4097);
    disk.set_trouble(Trouble::None);
    file.sync_all().expect("a disk");
    file.write_all_at(b"y", 0).expect("mended");
    disk.set_trouble(Trouble::SyncFails);
    assert_eq!(number(file.sync_all()), Some(libc::EIO));
    disk.set_trouble(Trouble::None);
    file.sync_all().expect("mended");
    assert_eq!(
        outcomes(&mut disk, |image| read(image, "a").expect("a name")[0]),
        BTreeSet::from([b'x']),
        "lost for good"
    );
}

/// How many of twenty rows, committed one by one, a database holds that was cut after the last of them; `None` when it is broken.
fn rows_left(synchronous: &str) -> BTreeSet<Option<u32>> {
    let mut disk = PowerCut::new(ROOMY);
    let mode =
        format!("PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}; PRAGMA wal_autocheckpoint = 12;");
    let conn = Connection::open(disk.path().join("db")).expect("a database");
    conn.execute_batch(&mode).expect("a mode");
    conn.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, fill BLOB)").expect("a table");
    for id in 0..20 {
        conn.execute("INSERT INTO t VALUES (?, randomblob(100))", [id]).expect("a row");
    }
    let look = |image: &Image| {
        let count = || -> rusqlite::Result<u32> {
            let conn = Connection::open(image.path().join("db"))?;
            let good: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
            if good != "ok" {
                return Err(rusqlite::Error::InvalidQuery);
            }
            conn.query_row("SELECT count(*) FROM t", [], |row| row.get(0))
        };
        count().ok()
    };
    (0..100).map(|seed| look(&disk.cut(seed))).collect()
}

#[test]
fn sqlite_keeps_its_promises_on_it_and_no_others() {
    assert_eq!(rows_left("FULL"), BTreeSet::from([Some(20)]), "each commit is synced");
    let normal = rows_left("NORMAL");
    assert!(normal.len() > 1 && normal.iter().all(Option::is_some), "some are lost, and nothing is broken: {normal:?}");
    let off = rows_left("OFF");
    assert!(off.contains(&None), "what is never synced breaks: {off:?}");
}

#[test]
fn a_test_that_panics_leaves_nothing_mounted() {
    let mounted =
        |at: &Path| fs::read_to_string("/proc/self/mounts").expect("mounts").contains(&at.display().to_string());
    let disk = PowerCut::new(ROOMY);
    let at = disk.path().to_owned();
    assert!(mounted(&at));
    let file = File::create(at.join("open")).expect("a file");
    let quiet = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let outcome = panic::catch_unwind(panic::AssertUnwindSafe(move || {
        let _disk = disk;
        panic::resume_unwind(Box::new("a failing test"));
    }));
    panic::set_hook(quiet);
    assert!(outcome.is_err() && !mounted(&at) && !at.exists(), "{} is still there", at.display());
    drop(file);
}
