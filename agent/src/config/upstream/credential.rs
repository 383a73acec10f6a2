//! `[[target.NAME.credential]]`: whose connections Sallyport logs in, as whom, and where the secret is.

use std::ops::Range;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::DeTable;

use super::globs;
use crate::config::check::directory;
use crate::config::document::Section;
use crate::config::error::{Problems, quoted};
use crate::config::glob::Glob;
use crate::config::raw::Setting;

/// Longest name of a role, bytes: PostgreSQL cuts what is longer (`NAMEDATALEN`).
const MAX_ROLE: usize = 63;

/// One entry; the first that fits a workload holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Who it is for.
    pub whose: Whose,
    /// What is done for them.
    pub uses: Use,
}

/// Which workloads; everybody when all are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whose {
    /// SPIFFE ids.
    pub workloads: Vec<Glob>,
    /// Units of the system's service manager.
    pub units: Vec<Glob>,
    /// Names of users.
    pub users: Vec<Glob>,
}

impl Whose {
    /// Whether a workload is among them: any one pattern that fits is enough.
    #[must_use]
    pub fn fits(&self, workload: &str, unit: Option<&str>, user: Option<&str>) -> bool {
        let any = |patterns: &[Glob], name: Option<&str>| {
            name.is_some_and(|name| patterns.iter().any(|pattern| pattern.matches(name)))
        };
        let everybody = self.workloads.is_empty() && self.units.is_empty() && self.users.is_empty();
        everybody || any(&self.workloads, Some(workload)) || any(&self.units, unit) || any(&self.users, user)
    }
}

/// Who authenticates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Use {
    /// The client itself, untouched.
    Passthrough,
    /// Sallyport.
    Login {
        /// As this role.
        role: String,
        /// With this secret; none when its certificate is enough.
        secret: Option<Secret>,
        /// And takes on this role before the client's first request.
        set_role: Option<String>,
    },
}

/// Where a secret is. It is read for each connection, so that it can be changed at any time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// A file's first line.
    File(PathBuf),
    /// A line `KEY=VALUE` of a file as systemd's `EnvironmentFile=` has them.
    EnvFile {
        /// The file.
        path: PathBuf,
        /// The KEY.
        key: String,
    },
    /// A file of `$CREDENTIALS_DIRECTORY`: `LoadCredential=` or `LoadCredentialEncrypted=` of the unit.
    Systemd(String),
    /// The first line a command prints: its absolute path and arguments, without a shell.
    Command(Vec<String>),
}

/// As written.
pub(super) struct RawCredential {
    workload: Vec<Spanned<String>>,
    unit: Vec<Spanned<String>>,
    user: Vec<Spanned<String>>,
    role: Setting<String>,
    password_file: Setting<String>,
    password_env_file: Setting<String>,
    password_key: Setting<String>,
    systemd_credential: Setting<String>,
    password_command: Vec<Spanned<String>>,
    set_role: Setting<String>,
    passthrough: Setting<bool>,
}

impl RawCredential {
    pub(super) fn read(table: &DeTable<'_>, problems: &mut Problems) -> Self {
        let section = Section::new("target.NAME.credential", Some(table), problems);
        Self {
            workload: section.texts("workload", false, problems),
            unit: section.texts("unit", false, problems),
            user: section.texts("user", false, problems),
            role: section.text("role", problems),
            password_file: section.text("password_file", problems),
            password_env_file: section.text("password_env_file", problems),
            password_key: section.text("password_key", problems),
            systemd_credential: section.text("systemd_credential", problems),
            password_command: section.texts("password_command", false, problems),
            set_role: section.text("set_role", problems),
            passthrough: section.flag("passthrough", problems),
        }
    }

    /// Every setting that says where a secret is, by its place.
    fn sources(&self) -> Vec<Range<usize>> {
        let texts = [&self.password_file, &self.password_env_file, &self.systemd_credential];
        let texts = texts.into_iter().flatten().map(Spanned::span);
        texts.chain(self.password_command.first().map(Spanned::span)).collect()
    }
}

/// Checks one; `certificate` says whether Sallyport has one to show.
pub(super) fn check(
    raw: &RawCredential,
    span: &Range<usize>,
    certificate: bool,
    problems: &mut Problems,
) -> Option<Credential> {
    let whose = Whose { workloads: globs(&raw.workload), units: globs(&raw.unit), users: globs(&raw.user) };
    for text in &raw.workload {
        if !text.get_ref().starts_with("spiffe://") && !text.get_ref().starts_with('*') {
            let message = format!("{} fits no workload: they begin with spiffe://", quoted(text.get_ref()));
            problems.add(text.span(), message, Some(format!("did you mean \"*/{}\"?", text.get_ref())));
        }
    }
    if raw.passthrough.as_ref().is_some_and(|flag| *flag.get_ref()) {
        let others =
            raw.sources().into_iter().chain([&raw.role, &raw.set_role].into_iter().flatten().map(Spanned::span));
        for other in others {
            let help = "the client authenticates itself: drop one of the two".to_owned();
            problems.add(other, "this does not go with `passthrough`", Some(help));
        }
        return Some(Credential { whose, uses: Use::Passthrough });
    }
    let role = match &raw.role {
        Some(name) => role("role", name, problems),
        None => {
            problems.add(span.clone(), "this credential has no `role`", Some("write role = \"NAME\"".to_owned()));
            None
        }
    };
    let secret = secret(raw, span, certificate, problems);
    let set_role = raw.set_role.as_ref().and_then(|name| self::role("set_role", name, problems));
    Some(Credential { whose, uses: Use::Login { role: role?, secret: secret?, set_role } })
}

/// `None` when it is wrong; `Some(None)` when none is needed.
fn secret(
    raw: &RawCredential,
    span: &Range<usize>,
    certificate: bool,
    problems: &mut Problems,
) -> Option<Option<Secret>> {
    const ONE_OF: &str = "one of password_file, password_env_file, systemd_credential and password_command";
    let sources = raw.sources();
    if let Some(second) = sources.get(1) {
        problems.add(second.clone(), "there is another secret already", Some(format!("keep {ONE_OF}")));
        return None;
    }
    if let Some(key) = raw.password_key.as_ref().filter(|_| raw.password_env_file.is_none()) {
        problems.add(key.span(), "`password_key` needs `password_env_file`", None);
    }
    let found = if let Some(path) = &raw.password_file {
        Secret::File(directory("password_file", path, problems)?)
    } else if let Some(path) = &raw.password_env_file {
        let key = raw.password_key.as_ref().map_or_else(|| "PGPASSWORD".to_owned(), |key| key.get_ref().clone());
        Secret::EnvFile { path: directory("password_env_file", path, problems)?, key }
    } else if let Some(name) = &raw.systemd_credential {
        Secret::Systemd(systemd(name, problems)?)
    } else if let Some(program) = raw.password_command.first() {
        directory("password_command", program, problems)?;
        Secret::Command(raw.password_command.iter().map(|word| word.get_ref().clone()).collect())
    } else if certificate {
        return Some(None);
    } else {
        problems.add(span.clone(), "this credential has no secret", Some(format!("write {ONE_OF}")));
        return None;
    };
    Some(Some(found))
}

/// A name systemd accepts: one part of a path.
fn systemd(name: &Spanned<String>, problems: &mut Problems) -> Option<String> {
    let text = name.get_ref();
    if !text.contains(['/', ':']) && text != "." && text != ".." && text.len() <= 255 {
        return Some(text.clone());
    }
    let help = "the ID of LoadCredential=ID:PATH in the unit".to_owned();
    problems.add(name.span(), format!("{} cannot be a credential's name", quoted(text)), Some(help));
    None
}

fn role(key: &str, name: &Spanned<String>, problems: &mut Problems) -> Option<String> {
    if name.get_ref().len() <= MAX_ROLE {
        return Some(name.get_ref().clone());
    }
    problems.add(name.span(), format!("`{key}` is longer than {MAX_ROLE} bytes"), None);
    None
}
