//! The integration suite: the real daemon on the real kernel, between hosts made of network namespaces.

mod path;
mod transfer;
