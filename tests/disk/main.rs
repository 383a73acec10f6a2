//! A disk whose power can be cut: a FUSE file system in memory, in a process of its own.
//!
//! `sallyport-disk MOUNTPOINT BYTES [IMAGE]` mounts it, with what is in the directory IMAGE on it, and then does what it
//! is told, one command a line: `cut SEED DIRECTORY`, `resize BYTES`, `trouble none|read-only|sync-fails`, `free`. It is
//! no thread of the test's: a process that waits for its own file system holds what the answer needs, and waits for
//! ever. It dies with the test, and whoever used it gets an error.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a disk that is told nonsense shall say so and die")]

mod disk;
mod file;
mod serve;

use disk::{Disk, Trouble};
use fuser::{Config, MountOption};
use serve::Served;
use std::{
    env, io,
    path::Path,
    sync::{Arc, Mutex},
};

fn main() {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).expect("a tie to the test");
    // A disk does not wait for a processor.
    rustix::process::setpriority_process(None, -19).expect("root");
    let words: Vec<String> = env::args().skip(1).collect();
    let mut disk = Disk::new(words[1].parse().expect("a number of bytes"));
    if let Some(image) = words.get(2) {
        disk.load(Path::new(image)).expect("an image");
    }
    let served = Served(Arc::new(Mutex::new(disk)));
    let mut config = Config::default();
    config.mount_options = vec![MountOption::FSName("sallyport-disk".to_owned()), MountOption::DefaultPermissions];
    let session = fuser::spawn_mount(served.clone(), &words[0], &config).expect("a mount");
    println!("mounted");
    for line in io::stdin().lines() {
        let line = line.expect("text");
        println!("{}", obey(&mut served.disk(), &line));
    }
    drop(session);
}

fn obey(disk: &mut Disk, line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    match words.as_slice() {
        ["cut", seed, directory] => {
            let image = disk.cut(seed.parse().expect("a seed"));
            image.write_into(Path::new(directory)).expect("an empty directory");
        }
        ["resize", bytes] => disk.resize(bytes.parse().expect("a number of bytes")),
        ["trouble", "none"] => disk.set_trouble(None),
        ["trouble", "read-only"] => disk.set_trouble(Some(Trouble::ReadOnly)),
        ["trouble", "sync-fails"] => disk.set_trouble(Some(Trouble::SyncFails)),
        ["free"] => return (disk.space().1 * file::PAGE as u64).to_string(),
        _ => panic!("`{line}` is no command"),
    }
    "done".to_owned()
}
