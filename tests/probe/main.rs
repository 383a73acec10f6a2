//! The process that tests put into cgroups and namespaces: it does what it is told, one command a line.
//!
//! `sallyport-probe [--netns FILE] [--cgroup DIR] [--user UID] [PROGRAM ARGUMENTS…]` goes where it is told and then
//! becomes PROGRAM, or itself again, reading commands: as a service manager would start it. Each command is answered
//! with `ok WHAT` or `err ERRNO WHAT`. It dies with the test.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a probe that is told nonsense shall say so and die")]

mod commands;
mod sockets;
mod sys;

use std::{env, ffi::OsString, fs, io, os::unix::process::CommandExt, process::Command};

fn main() {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).expect("a tie to the test");
    sallyport_tests::bed::raise_limit();
    let mut words: Vec<OsString> = env::args_os().skip(1).collect();
    let mut moved = false;
    while words.first().is_some_and(|word| word.to_string_lossy().starts_with("--")) {
        let option = words.remove(0);
        let value = words.remove(0);
        place(&option.to_string_lossy(), &value).unwrap_or_else(|error| panic!("{option:?} {value:?}: {error}"));
        moved = true;
    }
    // Whoever becomes another user has lost it.
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).expect("a tie to the test");
    if let Some(program) = words.first() {
        let error = Command::new(program).args(&words[1..]).exec();
        panic!("{program:?}: {error}");
    }
    if moved {
        let error = Command::new("/proc/self/exe").arg0("sallyport-probe").exec();
        panic!("running again: {error}");
    }
    commands::Probe::default().serve();
}

/// Goes somewhere, before the program that runs there starts.
fn place(option: &str, value: &std::ffi::OsStr) -> io::Result<()> {
    let number = || value.to_string_lossy().parse::<u32>().map_err(io::Error::other);
    match option {
        "--netns" => sockets::enter_network(&value.to_string_lossy()),
        "--cgroup" => fs::write(std::path::Path::new(value).join("cgroup.procs"), "0"),
        "--login" => fs::write("/proc/self/loginuid", value.to_string_lossy().as_bytes()),
        "--user" => number().and_then(sys::become_user),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}
