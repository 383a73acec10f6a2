//! May this identity open a flow to this target? Pure: values in, a decision out.
//!
//! A flow that may go on is a [`Permitted`], which only this module makes. Without a policy file everything that is
//! identified is permitted and recorded; what can never be right is denied.

use crate::{
    identity::Identity,
    intercept::{OrigDst, arrival::Intercepted},
};
use std::{net::IpAddr, sync::Arc};

/// An intercepted, identified connection that may go on.
///
/// It cannot be made without a decision:
/// ```compile_fail
/// fn skip(intercepted: sallyport::intercept::arrival::Intercepted,
///     identity: std::sync::Arc<sallyport::identity::Identity>) -> sallyport::policy::Permitted {
///     sallyport::policy::Permitted { intercepted, identity }
/// }
/// ```
pub struct Permitted {
    intercepted: Intercepted,
    identity: Arc<Identity>,
}

impl Permitted {
    /// The connection.
    pub fn intercepted(&self) -> &Intercepted {
        &self.intercepted
    }

    /// Who opened it.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// The connection, once it was recorded.
    pub(crate) fn into_intercepted(self) -> Intercepted {
        self.intercepted
    }
}

/// A connection that may not go on, and why.
pub struct Denied {
    /// The connection, to be reset.
    pub intercepted: Intercepted,
    /// Who opened it.
    pub identity: Arc<Identity>,
    /// For the record.
    pub why: Denial,
}

/// Why a connection is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// The proxy would connect to itself.
    #[error("the destination is the proxy's own listener")]
    OwnListener,
    /// Port zero, or an address no TCP connection can have as its end.
    #[error("the destination is no address a connection can end at")]
    NoDestination,
}

/// Decides whether the connection may be opened. `own_port` is the port of the proxy's listeners.
///
/// # Errors
/// The denied connection, with the reason.
pub fn connect(intercepted: Intercepted, identity: Arc<Identity>, own_port: u16) -> Result<Permitted, Box<Denied>> {
    match judge(intercepted.destination(), own_port) {
        None => Ok(Permitted { intercepted, identity }),
        Some(why) => Err(Box::new(Denied { intercepted, identity, why })),
    }
}

fn judge(destination: OrigDst, own_port: u16) -> Option<Denial> {
    let (ip, port) = (destination.0.ip(), destination.0.port());
    // Every loopback and unspecified address reaches the listeners; other addresses of this host do not.
    if port == own_port && (ip.is_loopback() || ip.is_unspecified()) {
        return Some(Denial::OwnListener);
    }
    let nowhere = match ip {
        IpAddr::V4(v4) => v4.is_broadcast() || v4.is_multicast(),
        IpAddr::V6(v6) => v6.is_multicast(),
    };
    (port == 0 || nowhere).then_some(Denial::NoDestination)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_judged_as_the_table_says() {
        let own = 20_001;
        let table = [
            ("10.0.0.5:5432", None),
            ("[2001:db8::5]:5432", None),
            ("127.0.0.1:5432", None),
            ("127.0.0.1:20001", Some(Denial::OwnListener)),
            ("127.9.8.7:20001", Some(Denial::OwnListener)),
            ("0.0.0.0:20001", Some(Denial::OwnListener)),
            ("[::1]:20001", Some(Denial::OwnListener)),
            ("[::]:20001", Some(Denial::OwnListener)),
            ("10.0.0.5:20001", None),
            ("10.0.0.5:0", Some(Denial::NoDestination)),
            ("255.255.255.255:80", Some(Denial::NoDestination)),
            ("224.0.0.1:80", Some(Denial::NoDestination)),
            ("[ff02::1]:80", Some(Denial::NoDestination)),
        ];
        for (destination, expected) in table {
            assert_eq!(judge(OrigDst(destination.parse().unwrap()), own), expected, "{destination}");
        }
    }
}
