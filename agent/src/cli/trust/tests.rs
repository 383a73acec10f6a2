//! Stores of made-up hosts, changed and changed back.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::args::Kind;
use super::manifest::Change;
use super::*;
use crate::cli::screen::tests::Paper;
use crate::config::ThisHost as Machine;

/// A certificate as far as any of this looks at one.
const PEM: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
const DIGEST: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Notes commands, and does what keytool would.
#[derive(Default)]
struct Fake(RefCell<Vec<String>>);

impl Runner for Fake {
    fn run(&self, words: &[String]) -> Result<bool, String> {
        self.0.borrow_mut().push(runner::shown(words));
        let after = |option: &str| words.iter().skip_while(|word| *word != option).nth(1).cloned().unwrap_or_default();
        let (store, alias) = (after("-keystore"), after("-alias"));
        if words[0].ends_with("keytool") {
            let text = fs::read_to_string(&store).unwrap();
            let entry = format!("<{alias}>");
            let text = if words[1] == "-importcert" { format!("{text}{entry}") } else { text.replace(&entry, "") };
            fs::write(store, text).unwrap();
        }
        Ok(true)
    }
}

/// A host's directory, and a state directory.
struct Made {
    root: tempfile::TempDir,
    state: tempfile::TempDir,
    fake: Fake,
}

impl Made {
    fn host(files: &[(&str, &str)]) -> Self {
        let (root, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let made = Self { root, state, fake: Fake::default() };
        files.iter().for_each(|(path, text)| made.write(path, text));
        made
    }

    /// A Debian with two users and two Javas.
    fn debian() -> Self {
        let uid = rustix::process::geteuid().as_raw();
        let passwd = format!(
            "root:x:0:0::/root:/bin/sh\nada:x:{uid}:{uid}::/home/ada:/bin/sh\nbob:x:{uid}:{uid}::/home/bob:/bin/sh\n\
             eve:x:4711:4711::/home/eve:/bin/sh\nbroken\n"
        );
        let made = Self::host(&[
            ("etc/passwd", &passwd),
            ("usr/sbin/update-ca-certificates", ""),
            ("usr/local/share/ca-certificates/other.crt", "other"),
            ("etc/ca-certificates/update.d/jks-keystore", ""),
            ("etc/profile.d/other.sh", ""),
            ("etc/systemd/system.conf", ""),
            ("home/ada/.postgresql/root.crt", "first\n"),
            ("home/bob/.postgresql/root.crt", "no end of line"),
            ("home/eve/.postgresql/root.crt", "not eve's"),
            ("usr/lib/jvm/own/lib/security/cacerts", "keys"),
            ("usr/lib/jvm/own/bin/keytool", ""),
            ("usr/lib/jvm/debian/bin/keytool", ""),
        ]);
        let inside = made.root.path().join("usr/lib/jvm/debian/lib/security");
        fs::create_dir_all(&inside).unwrap();
        symlink("/etc/ssl/certs/java/cacerts", inside.join("cacerts")).unwrap();
        made
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root.path().join(path)).unwrap()
    }

    fn site(&self) -> Site<'_> {
        Site { root: self.root.path(), state: self.state.path(), runner: &self.fake }
    }

    fn stores(&self, skip: &[Kind]) -> Vec<Store> {
        Survey { root: self.root.path(), pem: PEM, digest: DIGEST, skip }.stores()
    }

    fn install(&self) -> Vec<Line> {
        installed(&self.site(), DIGEST, &self.stores(&[])).unwrap()
    }

    fn manifest(&self) -> Manifest {
        Manifest::read(self.state.path()).unwrap().unwrap()
    }

    fn remove(&self) -> BTreeMap<String, Deed> {
        let manifest = self.manifest();
        undone(&self.site(), &manifest).into_iter().map(|line| (line.place, line.deed)).collect()
    }

    /// Every path with its mode and content.
    fn everything(&self) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
        let (mut found, mut open) = (BTreeMap::new(), vec![self.root.path().to_owned()]);
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                let data = path.symlink_metadata().unwrap();
                let text = if data.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
                found.insert(path.clone(), (data.permissions().mode(), text));
                if data.is_dir() {
                    open.push(path);
                }
            }
        }
        found
    }
}

fn left(lines: &[Line]) -> Vec<&str> {
    lines.iter().filter(|line| line.deed != Deed::Done).map(|line| line.place.as_str()).collect()
}

#[test]
fn what_was_installed_is_removed_to_the_last_byte() {
    let made = Made::debian();
    let before = made.everything();
    let lines = made.install();
    // Eve's file is not hers.
    assert_eq!(left(&lines), ["/home/eve/.postgresql/root.crt"]);
    assert_eq!(made.read("etc/sallyport/ca.pem"), PEM);
    assert_eq!(made.read("usr/local/share/ca-certificates/sallyport.crt"), PEM);
    let comment = "# Sallyport's local authority 0123456789abcdef: `sallyport trust remove` takes this out\n";
    assert_eq!(made.read("home/ada/.postgresql/root.crt"), format!("first\n{comment}{PEM}"));
    assert_eq!(made.read("home/bob/.postgresql/root.crt"), format!("no end of line\n{comment}{PEM}"));
    assert_eq!(made.read("usr/lib/jvm/own/lib/security/cacerts"), "keys<sallyport-0123456789abcdef>");
    assert!(
        made.read("etc/profile.d/sallyport-trust.sh")
            .contains("export NODE_EXTRA_CA_CERTS=\"${NODE_EXTRA_CA_CERTS:-/etc/sallyport/ca.pem}\"\n")
    );
    assert!(
        made.read("etc/systemd/system.conf.d/60-sallyport-trust.conf").contains(
            "[Manager]\nDefaultEnvironment=\"NODE_EXTRA_CA_CERTS=/etc/sallyport/ca.pem\" \"REQUESTS_CA_BUNDLE="
        )
    );
    assert!(made.manifest().changes.iter().all(|change| made.site().look(change) == Look::InPlace));
    let deeds = made.remove();
    assert!(deeds.values().all(|deed| *deed == Deed::Done), "{deeds:?}");
    assert_eq!(made.everything(), before);
    let commands = made.fake.0.borrow();
    assert_eq!(commands.iter().filter(|line| *line == "update-ca-certificates").count(), 2, "{commands:?}");
    // The file was restored, not changed again.
    assert!(!commands.iter().any(|line| line.contains("-delete")), "{commands:?}");
    assert_eq!(fs::read_dir(made.state.path()).unwrap().count(), 1, "only the manifest, which the caller removes");
}

#[test]
fn what_somebody_changed_since_stays() {
    let made = Made::debian();
    made.install();
    made.write("etc/sallyport/ca.pem", "something else");
    let ada = made.read("home/ada/.postgresql/root.crt");
    made.write("home/ada/.postgresql/root.crt", &format!("# mine\n{ada}another\n"));
    made.write("home/bob/.postgresql/root.crt", "all new\n");
    let keys = made.read("usr/lib/jvm/own/lib/security/cacerts");
    made.write("usr/lib/jvm/own/lib/security/cacerts", &format!("{keys}<theirs>"));
    let looks: Vec<_> = made.manifest().changes.iter().map(|change| made.site().look(change)).collect();
    assert_eq!(looks.iter().filter(|look| **look == Look::Other).count(), 1);
    assert_eq!(looks.iter().filter(|look| **look == Look::Around).count(), 2);
    assert_eq!(looks.iter().filter(|look| **look == Look::Missing).count(), 1);
    let deeds = made.remove();
    assert!(matches!(deeds["/etc/sallyport/ca.pem"], Deed::Left(_)));
    assert_eq!(made.read("etc/sallyport/ca.pem"), "something else");
    assert!(matches!(deeds["/home/ada/.postgresql/root.crt"], Deed::Partly(_)));
    assert_eq!(made.read("home/ada/.postgresql/root.crt"), "# mine\nfirst\nanother\n");
    assert_eq!(deeds["/home/bob/.postgresql/root.crt"], Deed::Gone);
    assert_eq!(made.read("home/bob/.postgresql/root.crt"), "all new\n");
    assert!(matches!(deeds["/usr/lib/jvm/own/lib/security/cacerts"], Deed::Partly(_)));
    assert_eq!(made.read("usr/lib/jvm/own/lib/security/cacerts"), "keys<theirs>");
}

#[test]
fn users_cannot_lead_us_elsewhere() {
    for how in ["link", "hard link", "directory"] {
        let made = Made::debian();
        made.write("etc/shadow", "secrets\n");
        let home = made.root.path().join("home/ada/.postgresql");
        fs::remove_file(home.join("root.crt")).unwrap();
        match how {
            "link" => symlink("../../../etc/shadow", home.join("root.crt")).unwrap(),
            "hard link" => fs::hard_link(made.root.path().join("etc/shadow"), home.join("root.crt")).unwrap(),
            _ => {
                fs::remove_dir(&home).unwrap();
                fs::rename(made.root.path().join("etc/shadow"), made.root.path().join("etc/root.crt")).unwrap();
                symlink("../../etc", &home).unwrap();
            }
        }
        let lines = made.install();
        assert!(left(&lines).contains(&"/home/ada/.postgresql/root.crt"), "{how}");
        let shadow = if how == "directory" { "etc/root.crt" } else { "etc/shadow" };
        assert_eq!(made.read(shadow), "secrets\n", "{how}");
    }
}

#[test]
fn a_link_that_is_put_there_later_is_not_followed_either() {
    let made = Made::debian();
    made.install();
    let path = made.root.path().join("home/ada/.postgresql/root.crt");
    let text = made.read("home/ada/.postgresql/root.crt");
    fs::rename(&path, made.root.path().join("etc/victim")).unwrap();
    symlink("../../../etc/victim", &path).unwrap();
    assert!(matches!(made.remove()["/home/ada/.postgresql/root.crt"], Deed::Left(_)));
    assert_eq!(made.read("etc/victim"), text);
}

#[test]
fn a_file_that_is_somebody_elses_is_left() {
    let made = Made::debian();
    made.write("usr/local/share/ca-certificates/sallyport.crt", "theirs");
    let lines = made.install();
    assert!(left(&lines).contains(&"/usr/local/share/ca-certificates/sallyport.crt"));
    assert!(!made.remove().contains_key("/usr/local/share/ca-certificates/sallyport.crt"));
    assert_eq!(made.read("usr/local/share/ca-certificates/sallyport.crt"), "theirs");
}

#[test]
fn what_was_written_down_and_not_done_is_undone_all_the_same() {
    let made = Made::debian();
    let before = made.everything();
    let changes: Vec<Change> = drafts(&made.stores(&[])).filter_map(|draft| made.site().prepare(draft).ok()).collect();
    let undone: Vec<Deed> = changes.iter().map(|change| made.site().undo(change).unwrap()).collect();
    assert_eq!(undone.iter().filter(|deed| **deed == Deed::Gone).count(), 8, "{undone:?}");
    assert_eq!(made.everything(), before);
}

#[test]
fn other_systems_have_other_places() {
    for (files, expected, command) in [
        (
            &[("etc/pki/ca-trust/source/anchors/x", ""), ("usr/bin/update-ca-trust", "")],
            "/etc/pki/ca-trust/source/anchors/sallyport.pem",
            "update-ca-trust extract",
        ),
        (
            &[("etc/pki/trust/anchors/x", ""), ("usr/sbin/update-ca-certificates", "")],
            "/etc/pki/trust/anchors/sallyport.pem",
            "update-ca-certificates",
        ),
    ] {
        let made = Made::host(files);
        let places: Vec<String> = drafts(&made.stores(&[])).map(place).collect();
        assert_eq!(places, ["/etc/sallyport/ca.pem", expected, command]);
    }
}

#[test]
fn what_is_absent_or_left_out_says_so() {
    let made = Made::host(&[]);
    let absent: Vec<_> =
        made.stores(&[]).iter().filter(|s| matches!(s.verdict, Verdict::Absent(_))).map(|s| s.name).collect();
    assert_eq!(absent, ["system", "libpq", "java", "environment"]);
    let made = Made::debian();
    let skipped = made.stores(&[Kind::System, Kind::Libpq, Kind::Java, Kind::Environment]);
    let places: Vec<String> = drafts(&skipped).map(place).collect();
    assert_eq!(places, ["/etc/sallyport/ca.pem"]);
    made.write("etc/gitconfig", "[http]\n\tsslCAInfo = /x\n");
    assert!(matches!(made.stores(&[]).last().unwrap().verdict, Verdict::Left(_)));
}

fn config() -> Config {
    Config::defaults(&Machine)
}

fn typed(made: &Made, command: &Trust, json: bool) -> (Result<Exit, Failure>, String) {
    let paper = Paper::default();
    let mut screen = paper.screen(json, None);
    let exit = run(|| Ok(config()), made.state.path(), command, &mut screen);
    screen.flush().unwrap();
    (exit, paper.text())
}

fn at(made: &Made) -> Where {
    Where { root: Some(made.root.path().to_owned()) }
}

#[test]
fn the_whole_way_below_a_root() {
    let made = Made::debian();
    let before = made.everything();
    let ask = Trust::Install(Install { at: at(&made), ..Install::default() });
    let (refused, text) = typed(&made, &ask, false);
    assert!(refused.unwrap_err().message().contains("add --yes"));
    assert!(text.contains("append to") && text.contains("/home/ada/.postgresql/root.crt"), "{text}");
    assert_eq!(made.everything(), before);

    let install = Trust::Install(Install { yes: true, at: at(&made), ..Install::default() });
    let (exit, text) = typed(&made, &install, true);
    assert_eq!(exit.unwrap(), Exit::UNAVAILABLE, "commands are left to the operator");
    let told: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(told["changes"].as_array().unwrap().iter().any(|change| change["outcome"] == "left"));
    let pem = fs::read_to_string(certificate_path(made.state.path())).unwrap();
    assert_eq!(made.read("etc/sallyport/ca.pem"), pem);

    let (exit, text) = typed(&made, &Trust::Status(at(&made)), false);
    assert_eq!(exit.unwrap(), Exit::OK, "{text}");
    assert!(text.contains("in place") && !text.contains("missing"), "{text}");
    let (_, text) =
        typed(&made, &Trust::Install(Install { yes: true, at: at(&made), skip: vec![Kind::Libpq, Kind::Java] }), false);
    assert!(text.contains("Installed already"), "{text}");

    made.write("etc/profile.d/sallyport-trust.sh", "changed");
    assert_eq!(typed(&made, &Trust::Status(at(&made)), true).0.unwrap(), Exit::UNAVAILABLE);
    fs::remove_file(made.root.path().join("etc/profile.d/sallyport-trust.sh")).unwrap();
    let (exit, text) = typed(&made, &Trust::Remove(Remove { yes: true, at: at(&made) }), false);
    assert_eq!(exit.unwrap(), Exit::UNAVAILABLE, "{text}");
    assert!(text.contains("was not there any more"), "{text}");
    assert_eq!(made.everything(), before);
    let (exit, text) = typed(&made, &Trust::Status(at(&made)), true);
    assert_eq!(exit.unwrap(), Exit::OK);
    assert!(text.contains("\"installed\":false"), "{text}");
}

#[test]
fn another_certificate_takes_the_place_of_the_first() {
    let made = Made::debian();
    let install = || Trust::Install(Install { yes: true, at: at(&made), skip: vec![Kind::Java] });
    let before = made.everything();
    typed(&made, &install(), false).0.unwrap();
    let first = made.read("etc/sallyport/ca.pem");
    fs::remove_dir_all(made.state.path().join("ca")).unwrap();
    typed(&made, &install(), false).0.unwrap();
    let second = made.read("etc/sallyport/ca.pem");
    assert_ne!(first, second);
    assert!(!made.read("home/ada/.postgresql/root.crt").contains(&first));
    typed(&made, &Trust::Remove(Remove { yes: true, at: at(&made) }), false).0.unwrap();
    assert_eq!(made.everything(), before);
}

#[test]
fn what_is_installed_elsewhere_is_not_mixed_up() {
    let (made, other) = (Made::debian(), Made::debian());
    typed(&made, &Trust::Install(Install { yes: true, at: at(&made), ..Install::default() }), false).0.unwrap();
    for command in [
        Trust::Install(Install { yes: true, at: at(&other), ..Install::default() }),
        Trust::Remove(Remove { yes: true, at: at(&other) }),
        Trust::Status(at(&other)),
    ] {
        let refused = typed(&made, &command, false).0.unwrap_err();
        assert!(refused.message().contains("installed below"), "{}", refused.message());
    }
}
