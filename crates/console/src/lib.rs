//! The console's files as bytes in the binary. It stands beside the loop: `api` serves what is here at `/`, and the
//! browser asks `api` for everything else.
//!
//! The files come from `web/` (see `build.rs`). A binary built without Node holds none and serves [`FALLBACK`].

/// A file of the console as it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asset {
    /// The path below `/`, without the leading slash.
    pub path: &'static str,
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// The value of `ETag`, with its quotes.
    pub etag: &'static str,
    /// Whether the name holds a hash of the content, so that it may be cached for ever.
    pub immutable: bool,
    /// The file.
    pub bytes: &'static [u8],
    /// The file as gzip, where that is smaller.
    pub gzip: Option<&'static [u8]>,
}

impl Asset {
    /// The value of `Cache-Control`: for ever where the name carries a hash, else asked again each time.
    pub fn cache_control(&self) -> &'static str {
        if self.immutable { "public, max-age=31536000, immutable" } else { "no-cache" }
    }
}

include!(concat!(env!("OUT_DIR"), "/table.rs"));

/// The page shown at `/` by a binary that was built without the console.
pub const FALLBACK: &str = include_str!("fallback.html");

/// The value of `Content-Security-Policy` for the console's pages: nothing from elsewhere, except the pictures of a
/// mail shown in its sandboxed frame.
///
/// Styles are inline because the component library sets them on elements.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; img-src 'self' data: http: https:; style-src 'self' 'unsafe-inline'; font-src 'self' data:; connect-src 'self'; frame-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Finds a file by its path below `/`; the empty path is `index.html`.
///
/// Cost: a binary search over some dozens of names.
pub fn asset(path: &str) -> Option<Asset> {
    find(TABLE, path)
}

/// Whether this binary holds the console.
pub fn is_built() -> bool {
    asset("index.html").is_some()
}

fn find(table: &[Asset], path: &str) -> Option<Asset> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = if path.is_empty() { "index.html" } else { path };
    table.binary_search_by(|asset| asset.path.cmp(path)).ok().map(|index| table[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &[Asset] = &[
        Asset {
            path: "assets/a-1.js",
            content_type: "text/javascript; charset=utf-8",
            etag: "\"1\"",
            immutable: true,
            bytes: b"1",
            gzip: None,
        },
        Asset {
            path: "index.html",
            content_type: "text/html; charset=utf-8",
            etag: "\"2\"",
            immutable: false,
            bytes: b"2",
            gzip: None,
        },
    ];

    #[track_caller]
    fn check(path: &str, expected: Option<&str>) {
        assert_eq!(find(SMALL, path).map(|asset| asset.path), expected, "{path}");
    }

    #[test]
    fn a_path_finds_its_file_and_nothing_else() {
        check("", Some("index.html"));
        check("/", Some("index.html"));
        check("/index.html", Some("index.html"));
        check("assets/a-1.js", Some("assets/a-1.js"));
        check("assets", None);
        check("../index.html", None);
        check("segments/1", None);
        check("//index.html", None);
    }

    #[test]
    fn only_hashed_names_are_cached_for_ever() {
        assert!(SMALL[0].cache_control().contains("immutable"));
        assert_eq!(SMALL[1].cache_control(), "no-cache");
    }

    #[test]
    fn the_table_is_sorted_and_its_entries_can_be_found() {
        for entry in TABLE {
            assert_eq!(asset(entry.path).map(|found| found.etag), Some(entry.etag), "{}", entry.path);
            assert!(entry.gzip.is_none_or(|packed| packed.len() < entry.bytes.len()), "{}", entry.path);
        }
        assert_eq!(is_built(), !TABLE.is_empty());
    }

    #[test]
    fn the_fallback_says_what_to_install() {
        assert!(FALLBACK.contains("Node 20"));
    }
}
