//! The one place where wall-clock time and randomness enter; everything else takes them as values.

use std::fmt;
use std::sync::Arc;

use crate::Timestamp;

/// A source of the present instant; cheap to clone. Tests pass a simulated one.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The machine's clock.
    pub fn system() -> Clock {
        #[expect(clippy::disallowed_methods, reason = "the one reading of the wall clock")]
        Clock(Arc::new(|| {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            Timestamp::from_micros(since.map_or(0, |d| d.as_micros() as i64))
        }))
    }

    /// A clock that reads from `now`.
    pub fn from_fn(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Clock {
        Clock(Arc::new(now))
    }

    /// The present instant.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// `N` bytes from the operating system's secure source: keys, tokens, salts.
///
/// # Panics
/// When the operating system has no randomness to give; nothing secret can be made then.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(clippy::expect_used, reason = "without randomness no key may be made")]
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// `2 * N` lower-case hexadecimal digits of fresh randomness.
pub fn random_hex<const N: usize>() -> String {
    use std::fmt::Write;
    random_bytes::<N>().iter().fold(String::with_capacity(2 * N), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
