//! Who followed a link: what the hit itself shows, and what came before it to the same message.

use model::Timestamp;
use model::time::SECOND;

use crate::recipient::Hint;

/// Links that a program follows one after another; a person reads in between.
const TOGETHER: i64 = 2 * SECOND;
/// Nobody has read a mail so soon after it was handed over.
const SOON: i64 = 5 * SECOND;
/// So many different links at once, or all where a mail has fewer.
const LINKS_MANY: usize = 3;

/// An earlier hit of a message.
#[derive(Clone, Debug)]
pub(crate) struct Hit {
    /// `Email Opened`, `Email Link Clicked` or another.
    pub name: String,
    /// When.
    pub at: Timestamp,
    /// The link, of a click.
    pub link: String,
}

/// The class of a click's actor and the reason: nothing is dropped, and a class never blocks an opt-out.
pub(crate) fn of_click(
    hint: &Hint,
    link: &str,
    links: usize,
    earlier: &[Hit],
    sent_at: Option<Timestamp>,
    now: Timestamp,
) -> (&'static str, &'static str) {
    let (class, reason) = hint.actor();
    if class != "person" {
        return (class, reason);
    }
    let recent = earlier.iter().filter(|hit| hit.name == "Email Link Clicked" && now - hit.at < TOGETHER);
    let mut followed: Vec<&str> = recent.map(|hit| hit.link.as_str()).chain([link]).collect();
    followed.sort_unstable();
    followed.dedup();
    if followed.len() >= links.clamp(2, LINKS_MANY) {
        return ("scanner", "several links of the mail within 2 seconds");
    }
    let shown = earlier.iter().any(|hit| hit.name == "Email Opened");
    if !shown && sent_at.is_some_and(|sent| now - sent < SOON) {
        return ("scanner", "within 5 seconds of delivery, and no picture was loaded");
    }
    (class, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person() -> Hint {
        let user_agent = "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0".to_owned();
        Hint { method: "GET".to_owned(), user_agent, ip: None }
    }

    fn hit(name: &str, second: i64, link: &str) -> Hit {
        Hit { name: name.to_owned(), at: Timestamp::from_secs(second), link: link.to_owned() }
    }

    fn class(earlier: &[Hit], links: usize, sent: i64, now: i64) -> &'static str {
        let (sent, now) = (Timestamp::from_secs(sent), Timestamp::from_secs(now));
        of_click(&person(), "a", links, earlier, Some(sent), now).0
    }

    #[test]
    fn whoever_follows_links_faster_than_anybody_reads_is_a_scanner() {
        let click = "Email Link Clicked";
        assert_eq!(class(&[], 3, 0, 100), "person");
        assert_eq!(class(&[hit(click, 99, "a")], 3, 0, 100), "person", "the same link twice");
        assert_eq!(class(&[hit(click, 99, "b")], 3, 0, 100), "person", "two of three");
        assert_eq!(class(&[hit(click, 99, "b")], 2, 0, 100), "scanner", "both of two");
        assert_eq!(class(&[hit(click, 99, "b"), hit(click, 99, "c")], 9, 0, 100), "scanner");
        assert_eq!(
            class(&[hit(click, 90, "b"), hit(click, 80, "c")], 9, 0, 100),
            "person",
            "one after another"
        );
    }

    #[test]
    fn a_click_right_after_delivery_without_a_picture_is_a_scanners() {
        assert_eq!(class(&[], 3, 96, 100), "scanner");
        assert_eq!(class(&[hit("Email Opened", 98, "")], 3, 96, 100), "person");
        assert_eq!(class(&[], 3, 95, 100), "person");
        assert_eq!(of_click(&person(), "a", 3, &[], None, Timestamp::from_secs(1)).0, "person");
    }

    #[test]
    fn what_the_hit_itself_shows_goes_first() {
        let hint = Hint { method: "HEAD".to_owned(), ..person() };
        assert_eq!(of_click(&hint, "a", 3, &[], None, Timestamp::from_secs(1)), hint.actor());
    }
}
