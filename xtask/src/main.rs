//! Tidy checks, generated docs and benches; not shipped.
fn main() {}
