//! To be described by its owner.
fn main() {}
