//! Placeholder until the module is there.
fn main() {}
