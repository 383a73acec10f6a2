//! The detectors there are, and sets of them.

/// What a detector finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Detector {
    /// A payment card's number: issuer's range, length and check digit (ISO/IEC 7812).
    Pan,
    /// An account's number: country, its length and two check digits (ISO 13616).
    Iban,
    /// A mail address.
    Email,
    /// A social security number of the United States: its rules, and a word that says so.
    UsSsn,
    /// A telephone number: international (E.164), or national beside a word that says so.
    Phone,
    /// A JSON web token (RFC 7519).
    Jwt,
    /// A private key in PEM (RFC 7468).
    PrivateKey,
    /// An access key id of AWS.
    AwsKey,
    /// A token of GitHub, with its checksum where it has one.
    GithubToken,
    /// A key or token of Google Cloud.
    GcpKey,
    /// A token or webhook of Slack.
    SlackToken,
    /// A key of another service that is known by its prefix.
    VendorToken,
    /// What follows `password=`, `Bearer`, or stands in a URL before the `@`.
    Secret,
    /// An address of IPv4.
    Ipv4,
    /// An address of IPv6.
    Ipv6,
}

impl Detector {
    /// Every detector.
    pub const ALL: [Self; 15] = [
        Self::Pan,
        Self::Iban,
        Self::Email,
        Self::UsSsn,
        Self::Phone,
        Self::Jwt,
        Self::PrivateKey,
        Self::AwsKey,
        Self::GithubToken,
        Self::GcpKey,
        Self::SlackToken,
        Self::VendorToken,
        Self::Secret,
        Self::Ipv4,
        Self::Ipv6,
    ];

    /// The name used in classifications.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pan => "pan",
            Self::Iban => "iban",
            Self::Email => "email",
            Self::UsSsn => "us-ssn",
            Self::Phone => "phone",
            Self::Jwt => "jwt",
            Self::PrivateKey => "private-key",
            Self::AwsKey => "aws-key",
            Self::GithubToken => "github-token",
            Self::GcpKey => "gcp-key",
            Self::SlackToken => "slack-token",
            Self::VendorToken => "vendor-token",
            Self::Secret => "secret",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        }
    }

    /// Whether what it finds opens something, rather than being about somebody.
    pub(super) fn is_secret(self) -> bool {
        match self {
            Self::Jwt
            | Self::PrivateKey
            | Self::AwsKey
            | Self::GithubToken
            | Self::GcpKey
            | Self::SlackToken
            | Self::VendorToken
            | Self::Secret => true,
            Self::Pan | Self::Iban | Self::Email | Self::UsSsn | Self::Phone | Self::Ipv4 | Self::Ipv6 => false,
        }
    }

    /// The detector of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|detector| detector.as_str() == name)
    }
}

/// A set of detectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Detectors(u16);

impl Detectors {
    /// All of them.
    #[must_use]
    pub fn all() -> Self {
        Detector::ALL.into_iter().collect()
    }

    /// Whether one is in the set.
    #[must_use]
    pub fn has(self, detector: Detector) -> bool {
        self.0 & (1 << detector as u16) != 0
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Detector> for Detectors {
    fn from_iter<I: IntoIterator<Item = Detector>>(detectors: I) -> Self {
        Self(detectors.into_iter().fold(0, |set, detector| set | 1 << detector as u16))
    }
}
