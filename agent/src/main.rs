//! The `sallyport` binary.
fn main() {}
