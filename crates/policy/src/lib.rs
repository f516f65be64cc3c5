//! Judges one message by what is true at this instant: consent, topic, suppression, the state of its source.
//!
//! Pure. The gate calls it inside the transaction that writes the intent; the order of the rules is the order of the
//! reasons given.

/// Attempts after which a message is given up.
pub const ATTEMPTS_MAX: i64 = 8;

/// What is known about a message and its recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Marketing, which consent and topics govern; transactional otherwise.
    pub marketing: bool,
    /// The person's word on the message's topic.
    pub topic_subscribed: Option<bool>,
    /// The person's word on marketing as a whole.
    pub marketing_subscribed: Option<bool>,
    /// The address must not be written to.
    pub suppressed: bool,
    /// The profile is still there.
    pub profile_exists: bool,
    /// The journey it comes from, if any.
    pub source: Source,
    /// Attempts so far.
    pub attempt: i64,
}

/// How the journey that planned a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// In force, or there is none.
    Live,
    /// Nothing goes out until it is resumed.
    Paused,
    /// Deleted.
    Gone,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Hand it over.
    Allow,
    /// Not before its journey is resumed.
    Hold,
    /// Never.
    Skip(Reason),
}

/// Why a message is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The person withdrew from marketing.
    Unsubscribed,
    /// The person left the topic.
    TopicUnsubscribed,
    /// The address bounced, complained or was listed by hand.
    Suppressed,
    /// The profile is gone.
    ProfileGone,
    /// The journey was deleted.
    SourceDeleted,
    /// Too many attempts.
    AttemptsExhausted,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Reason; 6] = [
        Reason::Unsubscribed,
        Reason::TopicUnsubscribed,
        Reason::Suppressed,
        Reason::ProfileGone,
        Reason::SourceDeleted,
        Reason::AttemptsExhausted,
    ];

    /// Stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Reason::Unsubscribed => "unsubscribed",
            Reason::TopicUnsubscribed => "topic_unsubscribed",
            Reason::Suppressed => "suppressed",
            Reason::ProfileGone => "profile_gone",
            Reason::SourceDeleted => "source_deleted",
            Reason::AttemptsExhausted => "attempts_exhausted",
        }
    }

    /// For people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Reason::Unsubscribed => "The person unsubscribed from marketing.",
            Reason::TopicUnsubscribed => "The person left this topic.",
            Reason::Suppressed => "The address is suppressed.",
            Reason::ProfileGone => "The profile is gone.",
            Reason::SourceDeleted => "The journey was deleted.",
            Reason::AttemptsExhausted => "It was attempted too often.",
        }
    }
}

/// Judges a message.
pub fn judge(facts: &Facts) -> Verdict {
    if !facts.profile_exists {
        return Verdict::Skip(Reason::ProfileGone);
    }
    if facts.suppressed {
        return Verdict::Skip(Reason::Suppressed);
    }
    if facts.marketing && facts.marketing_subscribed == Some(false) {
        return Verdict::Skip(Reason::Unsubscribed);
    }
    if facts.marketing && facts.topic_subscribed == Some(false) {
        return Verdict::Skip(Reason::TopicUnsubscribed);
    }
    if facts.source == Source::Gone {
        return Verdict::Skip(Reason::SourceDeleted);
    }
    if facts.attempt >= ATTEMPTS_MAX {
        return Verdict::Skip(Reason::AttemptsExhausted);
    }
    if facts.source == Source::Paused { Verdict::Hold } else { Verdict::Allow }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_opt_out_or_a_suppression_always_wins(
            (topic, marketing) in (any::<Option<bool>>(), any::<Option<bool>>()),
            (suppressed, profile_exists, is_marketing) in any::<(bool, bool, bool)>(),
            source in prop_oneof![Just(Source::Live), Just(Source::Paused), Just(Source::Gone)],
            attempt in 0_i64..20,
        ) {
            let facts = Facts {
                marketing: is_marketing, topic_subscribed: topic, marketing_subscribed: marketing,
                suppressed, profile_exists, source, attempt,
            };
            let verdict = judge(&facts);
            if suppressed {
                prop_assert_ne!(verdict, Verdict::Allow);
            }
            if is_marketing && (topic == Some(false) || marketing == Some(false)) {
                prop_assert_ne!(verdict, Verdict::Allow);
            }
            if !is_marketing && !suppressed && profile_exists && attempt < ATTEMPTS_MAX {
                let wanted = match source {
                    Source::Live => Verdict::Allow,
                    Source::Paused => Verdict::Hold,
                    Source::Gone => Verdict::Skip(Reason::SourceDeleted),
                };
                prop_assert_eq!(verdict, wanted);
            }
            if source != Source::Live {
                prop_assert_ne!(verdict, Verdict::Allow);
            }
        }
    }

    #[test]
    fn codes_are_different_from_each_other() {
        let codes: std::collections::BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
    }
}
