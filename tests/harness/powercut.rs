//! A file system whose power can be cut: what was not synced is lost, or some of it, or torn.
//!
//! A process under test uses it as it would any other. A cut takes nothing from that process: it tells what the disk
//! would hold if the power had gone at that moment, as often as one asks. Who uses it must be another process than
//! the test when it maps files: see `tests/disk`.

use crate::{bed, daemon::built};
use rustix::mount::{UnmountFlags, unmount};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// Enough for every test that does not want it full, bytes.
pub const ROOMY: u64 = 1 << 30;

/// What is wrong with a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    None,
    /// Nothing can be changed: `EROFS`.
    ReadOnly,
    /// What is written is not kept, and the sync says so: `EIO`.
    SyncFails,
}

/// A mounted file system, unmounted when dropped.
pub struct PowerCut {
    disk: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    at: PathBuf,
    _directory: tempfile::TempDir,
}

/// What was on a disk when the power went, in an ordinary directory that is removed with the value.
pub struct Image(tempfile::TempDir);

impl PowerCut {
    /// An empty one of so many bytes. Fails when not root: these tests are never skipped.
    pub fn new(bytes: u64) -> Self {
        Self::start(bytes, None)
    }

    /// One that holds what a power cut left, all of it synced.
    pub fn holding(image: &Image, bytes: u64) -> Self {
        Self::start(bytes, Some(image))
    }

    fn start(bytes: u64, image: Option<&Image>) -> Self {
        assert!(rustix::process::geteuid().is_root(), "a file system is mounted: run the tests as root");
        bed::remove_leftovers();
        let directory = bed::directory();
        let at = directory.path().join("disk");
        fs::create_dir(&at).unwrap();
        let mut command = Command::new(built("sallyport-disk"));
        command.arg(&at).arg(bytes.to_string()).args(image.map(Image::path));
        let mut disk = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (disk.stdin.take().unwrap(), BufReader::new(disk.stdout.take().unwrap()));
        let mut power = Self { disk, input, output, at, _directory: directory };
        assert_eq!(power.answer(), "mounted", "a FUSE file system can be mounted");
        power
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.at
    }

    /// What would be on the disk had the power gone now; the seed says what of the unsynced.
    pub fn cut(&mut self, seed: u64) -> Image {
        let image = Image(bed::directory());
        self.tell(&format!("cut {seed} {}", image.path().display()));
        image
    }

    /// Makes the disk larger, or so small that it is full.
    pub fn resize(&mut self, bytes: u64) {
        self.tell(&format!("resize {bytes}"));
    }

    /// Bytes that are free.
    pub fn free(&mut self) -> u64 {
        self.tell("free").parse().unwrap()
    }

    /// Breaks the disk, or mends it.
    pub fn set_trouble(&mut self, trouble: Trouble) {
        let word = match trouble {
            Trouble::None => "none",
            Trouble::ReadOnly => "read-only",
            Trouble::SyncFails => "sync-fails",
        };
        self.tell(&format!("trouble {word}"));
    }

    fn tell(&mut self, line: &str) -> String {
        writeln!(self.input, "{line}").unwrap();
        self.answer()
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "the disk died");
        line.trim_end().to_owned()
    }
}

impl Drop for PowerCut {
    fn drop(&mut self) {
        // Whoever still has a file open on it gets errors from here on.
        let _ = unmount(&self.at, UnmountFlags::DETACH);
        let _ = self.disk.kill();
        let _ = self.disk.wait();
    }
}

impl Image {
    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}
