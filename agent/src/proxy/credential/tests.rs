//! Tests of fetching secrets.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::*;

fn written(text: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    (dir, path)
}

fn fetched(secret: &Secret) -> Result<Password, CredentialError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(fetch(secret, None))
}

#[track_caller]
fn is(found: Result<Password, CredentialError>, expected: &str) {
    assert_eq!(found.unwrap(), Password::new(expected.as_bytes().to_vec()).unwrap());
}

#[test]
fn a_file_has_it_in_its_first_line() {
    for text in ["hunter2", "hunter2\n", "hunter2\r\nnot this\n"] {
        let (_dir, path) = written(text.as_bytes(), 0o600);
        is(fetched(&Secret::File(path)), "hunter2");
    }
    let (_dir, path) = written(b" with blanks \n", 0o400);
    is(fetched(&Secret::File(path)), " with blanks ");
}

#[test]
fn what_others_can_read_is_refused_with_what_to_do() {
    for mode in [0o640, 0o604, 0o620, 0o666, 0o611] {
        let (_dir, path) = written(b"hunter2", mode);
        let error = fetched(&Secret::File(path.clone())).unwrap_err().to_string();
        assert!(error.ends_with(&format!("chmod 600 {}", path.display())), "{mode:o}: {error}");
    }
}

#[test]
fn what_is_no_password_is_refused() {
    for text in [&b""[..], b"\nhunter2", b"a\0b\n"] {
        let (_dir, path) = written(text, 0o600);
        let error = fetched(&Secret::File(path)).unwrap_err();
        assert!(matches!(error, CredentialError::NoPassword { .. }), "{error}");
    }
    let (_dir, path) = written(&vec![b'x'; (64 << 10) + 1], 0o600);
    assert!(matches!(fetched(&Secret::File(path)), Err(CredentialError::Long { .. })));
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(fetched(&Secret::File(dir.path().to_owned())), Err(CredentialError::NoFile(_))));
    assert!(matches!(fetched(&Secret::File(dir.path().join("x"))), Err(CredentialError::Unreadable { .. })));
}

#[test]
fn a_file_of_keys_is_read_as_systemd_reads_it() {
    let text =
        b"# A=comment\nOTHER=1\nA = bare \nB='quoted \"\\'\nC=\"with \\\" and \\\\ and \\n\"\nA2=x\nD=1\nD=2\nE=\n";
    let (_dir, path) = written(text, 0o600);
    let fetch = |key: &str| fetched(&Secret::EnvFile { path: path.clone(), key: key.to_owned() });
    for (key, expected) in [("A", "bare"), ("B", "quoted \"\\"), ("C", "with \" and \\ and \\n"), ("D", "2")] {
        is(fetch(key), expected);
    }
    assert!(matches!(fetch("E"), Err(CredentialError::NoPassword { .. })));
    assert!(matches!(fetch("F"), Err(CredentialError::NoKey { .. })));
}

#[tokio::test]
async fn a_credential_of_the_unit_is_found_by_its_name() {
    let (dir, _) = written(b"hunter2\n", 0o400);
    let at = Some(dir.path().as_os_str());
    is(fetch(&Secret::Systemd("secret".to_owned()), at).await, "hunter2");
    for (name, at) in [("other", at), ("secret", None)] {
        let error = fetch(&Secret::Systemd(name.to_owned()), at).await.unwrap_err();
        assert!(matches!(error, CredentialError::NoCredential(_)), "{error}");
    }
}

fn shell(script: &str) -> Vec<String> {
    ["/bin/sh", "-c", script].map(str::to_owned).to_vec()
}

#[tokio::test]
async fn a_command_prints_it() {
    is(fetch(&Secret::Command(shell("echo hunter2; echo more")), None).await, "hunter2");
    // Without a shell, nothing is expanded.
    let words = ["/bin/echo", "$HOME;x"].map(str::to_owned).to_vec();
    is(fetch(&Secret::Command(words), None).await, "$HOME;x");
}

#[tokio::test]
async fn a_command_that_fails_tells_nothing_of_its_output() {
    let error = fetch(&Secret::Command(shell("echo hunter2; echo hunter2 >&2; exit 3")), None).await.unwrap_err();
    assert_eq!(error.to_string(), "/bin/sh failed: exit status: 3; run it as the daemon does to see why");
    let error = fetch(&Secret::Command(vec!["/no/such".to_owned()]), None).await.unwrap_err();
    assert!(error.to_string().starts_with("/no/such cannot be started"), "{error}");
}

#[tokio::test]
async fn a_command_is_held_to_its_bounds() {
    let long = command::output(&shell("head -c 2000 /dev/zero"), COMMAND_TIME, 1000).await;
    assert!(matches!(long, Err(command::CommandError::Long(1000))));
    let slow = command::output(&shell("cat /dev/zero > /dev/null"), Duration::from_millis(50), 1000).await;
    assert!(matches!(slow, Err(command::CommandError::Slow(_))));
}
