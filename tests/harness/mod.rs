//! What the tests stand on: cgroups, namespaces, servers and the daemon under test.
