//! `[approvals]`: who is asked, how, and how long a request waits.

use std::num::NonZeroU32;
use std::time::Duration;

use super::check::{DAY, SECOND, length, number};
use super::error::{Problems, quoted};
use super::raw::RawApprovals;

/// `[approvals]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approvals {
    /// The system group whose members may decide, besides root.
    pub group: Option<String>,
    /// How long a request waits.
    pub expiry: Duration,
    /// How many requests of one identity wait at once.
    pub max_pending: NonZeroU32,
}

impl Approvals {
    const MAX_PENDING: NonZeroU32 = NonZeroU32::MIN.saturating_add(15);
}

impl Default for Approvals {
    fn default() -> Self {
        Self { group: None, expiry: Duration::from_secs(3600), max_pending: Self::MAX_PENDING }
    }
}

pub(super) fn check(raw: &RawApprovals, problems: &mut Problems) -> Approvals {
    let default = Approvals::default();
    let group = raw.group.as_ref().and_then(|text| {
        let name = text.get_ref();
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let good = (1..=32).contains(&name.len()) && name.chars().all(fits);
        if !good {
            let help = Some("the name of a system group, for example \"sallyport-approvers\"".to_owned());
            problems.add(text.span(), format!("{} cannot be a group's name", quoted(name)), help);
        }
        good.then(|| name.clone())
    });
    Approvals {
        group,
        expiry: length("expiry", &raw.expiry, SECOND..=7 * DAY, problems).unwrap_or(default.expiry),
        max_pending: number("max_pending", &raw.max_pending, 1..=1024, problems)
            .and_then(NonZeroU32::new)
            .unwrap_or(default.max_pending),
    }
}
