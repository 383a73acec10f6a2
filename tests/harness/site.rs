//! A bed with a directory of policies, and people who approve.

use crate::{Bed, Daemon, Said, Server, daemon::built, network::THERE4, until};
use serde_json::Value;
use std::{fs, path::PathBuf, process::Command};

/// A bed whose daemon follows policies.
pub struct Site {
    /// The world.
    pub bed: Bed,
    /// The policies' directory.
    pub policies: PathBuf,
}

impl Site {
    /// One with this policy; an empty text is none.
    pub fn new(policy: &str) -> Self {
        let bed = Bed::new();
        let policies = bed.dir().join("policies");
        fs::create_dir(&policies).unwrap();
        let site = Self { bed, policies };
        if !policy.is_empty() {
            site.write(policy);
        }
        site
    }

    /// Replaces the policy.
    pub fn write(&self, text: &str) {
        // As an operator should: a file is there as a whole or not at all.
        let new = self.policies.join(".new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.policies.join("a.cedar")).unwrap();
    }

    /// A configuration with keys of the scope, and `rest`, which begins in `[policy]`.
    pub fn config(&self, scope: &str, rest: &str) -> String {
        let section = format!("[policy]\ndirectory = \"{}\"\n{rest}\n", self.policies.display());
        self.bed.config(&self.bed.scope(scope), "", &section)
    }

    /// A server at a port of the other host.
    pub fn server(&self, port: u16) -> Server {
        Server::echo(&self.bed.network().there, (THERE4, port))
    }

    /// `sallyport approvals WORDS` by somebody who logged in with this uid, and became root.
    pub fn by(&self, login: u32, words: &[&str]) -> Said {
        self.as_user(&format!("echo {login} > /proc/self/loginuid && exec \"$@\""), words)
    }

    /// `sallyport approvals WORDS` behind a shell's script, which runs it as `"$@"`.
    pub fn as_user(&self, script: &str, words: &[&str]) -> Said {
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(built("sallyport")).arg("approvals").args(words);
        command.arg("--runtime-dir").arg(self.bed.runtime());
        command.output().expect("a shell").into()
    }
}

impl Daemon {
    /// What waits for people.
    pub fn approvals(&self) -> Vec<Value> {
        self.cli(&["approvals", "list", "--json"]).json()["approvals"].as_array().expect("a list").clone()
    }

    /// The name of the only request that waits.
    pub fn waiting(&self) -> String {
        let one = until("a request waits", || self.approvals().into_iter().next());
        one["id"].as_str().expect("a name").to_owned()
    }
}

impl Said {
    /// It must have gone well.
    pub fn good(&self) -> &Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// What was printed, which is JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}
