//! Who a local process speaks for, by the kernel's word and the host's files (passwd(5), group(5)).
//!
//! The person is the audit login uid where there is one: it survives `su` and `sudo`. Groups of directory users (LDAP, SSSD)
//! are not in the files; those the kernel holds for the process count where it runs as that very person.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::people::{Approver, Channel, Person};
use crate::identity::procfs;

/// How much of a file is looked at. A host with ten thousand users has under a megabyte.
const MAX_FILE: u64 = 4 << 20;
/// What the kernel says of a process without a login.
const UNSET: u32 = u32::MAX;

/// Why it is not known who speaks.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    /// The process is gone, or cannot be looked at.
    #[error("process {pid} cannot be looked at")]
    Process {
        /// Which.
        pid: u32,
        /// Why.
        source: io::Error,
    },
    /// Its number belongs to another user's process.
    #[error("process {0} is not the one that connected")]
    Another(u32),
}

/// Where a host keeps what is asked.
#[derive(Clone, Debug)]
pub struct Host {
    proc: PathBuf,
    passwd: PathBuf,
    group: PathBuf,
}

impl Default for Host {
    fn default() -> Self {
        Self { proc: "/proc".into(), passwd: "/etc/passwd".into(), group: "/etc/group".into() }
    }
}

impl Host {
    /// The person behind a process of `uid`.
    ///
    /// # Errors
    /// When that cannot be established.
    pub fn approver(&self, pid: u32, uid: u32) -> Result<Approver, Unknown> {
        let failed = |source| Unknown::Process { pid, source };
        let directory = self.proc.join(pid.to_string());
        let status = read(&directory.join("status")).map_err(failed)?;
        let status = String::from_utf8_lossy(&status);
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_default().split_ascii_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<u32>>()
        };
        if !field("Uid:").contains(&uid) {
            return Err(Unknown::Another(pid));
        }
        let login = match read(&directory.join("loginuid")) {
            Ok(bytes) => procfs::id(&bytes).filter(|login| *login != UNSET),
            // A kernel without audit knows of no logins.
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        let held = if login.is_none_or(|login| login == uid) { field("Groups:") } else { Vec::new() };
        let person = login.unwrap_or(uid);
        let user = self.user(|_, number| number == person);
        let name = user.as_ref().map(|user| user.0.as_str());
        let mut held: BTreeSet<u32> = held.into_iter().collect();
        held.extend(user.as_ref().map(|user| user.2));
        let groups = self.groups(name, &held);
        Ok(Approver { person: Person::local(person, name), groups, channel: Channel::Socket })
    }

    /// Somebody who is known by a user name of this host.
    #[must_use]
    pub fn named(&self, name: &str, channel: Channel) -> Approver {
        let user = self.user(|known, _| known == name);
        let held = user.as_ref().map(|user| user.2).into_iter().collect();
        let groups = self.groups(Some(name), &held);
        Approver { person: Person::named(name, user.map(|user| user.1)), groups, channel }
    }

    /// The number of a group.
    #[must_use]
    pub fn group_id(&self, name: &str) -> Option<u32> {
        lines(&self.group).iter().filter_map(|line| group(line)).find(|group| group.0 == name).map(|group| group.1)
    }

    /// The first user that fits: name, number, primary group.
    fn user(&self, fits: impl Fn(&str, u32) -> bool) -> Option<(String, u32, u32)> {
        lines(&self.passwd).iter().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next().filter(|name| !name.is_empty())?;
            let uid = fields.nth(1)?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            fits(name, uid).then(|| (name.to_owned(), uid, gid))
        })
    }

    /// The names of the groups that list a user, or whose numbers are held.
    fn groups(&self, user: Option<&str>, held: &BTreeSet<u32>) -> BTreeSet<String> {
        let lines = lines(&self.group);
        let all = lines.iter().filter_map(|line| group(line));
        let of = all.filter(|(_, gid, members)| held.contains(gid) || user.is_some_and(|user| members.contains(&user)));
        of.map(|(name, ..)| name.to_owned()).collect()
    }
}

fn group(line: &str) -> Option<(&str, u32, Vec<&str>)> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?;
    let gid = fields.nth(1)?.parse().ok()?;
    Some((name, gid, fields.next().unwrap_or_default().split(',').collect()))
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A file that is not there has no lines: nobody is in any group then.
fn lines(path: &Path) -> Vec<String> {
    let bytes = read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn host(login: Option<&str>, status: &str) -> (tempfile::TempDir, Host) {
        let dir = tempfile::tempdir().unwrap();
        let process = dir.path().join("42");
        fs::create_dir(&process).unwrap();
        fs::write(process.join("status"), status).unwrap();
        if let Some(login) = login {
            fs::write(process.join("loginuid"), login).unwrap();
        }
        let [passwd, group] = ["passwd", "group"].map(|name| dir.path().join(name));
        fs::write(&passwd, "root:x:0:0::/:\nada:x:1000:100::/:\nbob:x:1001:101::/:\n").unwrap();
        fs::write(&group, "root:x:0:\nada:x:100:\ndba:x:200:bob,ada\nsecurity:x:201:bob\nldap:x:300:\n").unwrap();
        let host = Host { proc: dir.path().to_owned(), passwd, group };
        (dir, host)
    }

    const ROOT: &str = "Name:\tx\nUid:\t0\t0\t0\t0\nGroups:\t0 300 \n";

    #[test]
    fn sudo_changes_nothing_about_who_speaks() {
        let (_dir, host) = host(Some("1000"), ROOT);
        let approver = host.approver(42, 0).unwrap();
        assert_eq!(approver.person, Person::local(1000, Some("ada")));
        // Hers, and not root's that her process holds.
        assert_eq!(approver.groups, ["ada", "dba"].map(str::to_owned).into());
    }

    #[test]
    fn without_a_login_the_user_speaks() {
        for login in [None, Some("4294967295")] {
            let (_dir, host) = host(login, ROOT);
            let approver = host.approver(42, 0).unwrap();
            assert_eq!(approver.person, Person::local(0, Some("root")));
            assert_eq!(approver.groups, ["ldap", "root"].map(str::to_owned).into());
        }
    }

    #[test]
    fn another_process_is_not_believed() {
        let (_dir, host) = host(None, ROOT);
        assert!(matches!(host.approver(42, 1000), Err(Unknown::Another(42))));
        assert!(matches!(host.approver(43, 0), Err(Unknown::Process { pid: 43, .. })));
    }

    #[test]
    fn names_are_looked_up() {
        let (_dir, host) = host(None, ROOT);
        let bob = host.named("bob", Channel::Link);
        assert!(bob.person.is(&Person::local(1001, None)));
        assert_eq!(bob.groups, ["dba", "security"].map(str::to_owned).into());
        let stranger = host.named("eve", Channel::Link);
        assert!(stranger.groups.is_empty());
        assert_eq!(host.group_id("dba"), Some(200));
        assert_eq!(host.group_id("none"), None);
    }
}
