//! Names of user ids, from the host's passwd file (passwd(5)).
//!
//! Directory users (LDAP, SSSD) have no line there; they are known by number only.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// How much of the file is looked at. A host with ten thousand local users has under a megabyte.
const MAX_FILE: u64 = 4 << 20;

/// The name of `uid`, or `None` when there is none or the file cannot be read.
pub(super) fn user_name(passwd: &Path, uid: u32) -> Option<String> {
    let file = File::open(passwd).ok()?;
    BufReader::new(file.take(MAX_FILE)).split(b'\n').map_while(Result::ok).find_map(|line| name_if(&line, uid))
}

fn name_if(line: &[u8], uid: u32) -> Option<String> {
    let mut fields = line.split(|b| *b == b':');
    let name = fields.next().filter(|name| !name.is_empty())?;
    let number = std::str::from_utf8(fields.nth(1)?).ok()?.parse::<u32>().ok()?;
    (number == uid).then(|| String::from_utf8_lossy(name).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_with_that_number_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passwd");
        std::fs::write(&path, "root:x:0:0::/root:/bin/sh\n\n:x:7:7\nbad\nada:x:1000:1000::/:/bin/sh\neve:x:1000:1:")
            .unwrap();
        assert_eq!(user_name(&path, 0).as_deref(), Some("root"));
        assert_eq!(user_name(&path, 1000).as_deref(), Some("ada"));
        assert_eq!(user_name(&path, 7), None);
        assert_eq!(user_name(&path, 5), None);
        assert_eq!(user_name(Path::new("/nonexistent"), 0), None);
    }
}
