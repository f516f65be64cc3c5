//! How far a mail got, and what the answer says about the address, the sender, or neither.

/// Sender and recipient as the server is told.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// The return path.
    pub from: String,
    /// The recipient.
    pub to: String,
}

/// How far a mail got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The server has taken it.
    Accepted {
        /// What it said.
        answer: String,
    },
    /// Certainly not taken; may be tried again.
    Deferred {
        /// The code; 0 when there was none.
        code: u16,
        /// What it said, or what went wrong.
        answer: String,
    },
    /// Refused for good.
    Rejected {
        /// The code.
        code: u16,
        /// What it said.
        answer: String,
    },
    /// Handed over without an answer.
    InDoubt {
        /// What went wrong.
        answer: String,
    },
}

/// What a refusal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The address is gone for good: unknown user, unknown host, moved, takes no mail.
    Address,
    /// Us: authentication, alignment, reverse name, reputation of the domain's setup.
    Sender,
    /// Anything else: this mail, this moment, this mailbox.
    Neither,
}

impl Blame {
    /// For events: `hard`, `sender`, `soft`.
    pub const fn class(self) -> &'static str {
        match self {
            Blame::Address => "hard",
            Blame::Sender => "sender",
            Blame::Neither => "soft",
        }
    }
}

/// Source: RFC 3463; RFC 7505 for 5.1.10.
const ADDRESS: [&str; 4] = ["5.1.1", "5.1.2", "5.1.6", "5.1.10"];
/// Source: RFC 7372, and the bulk sender rules of Gmail (5.7.25 to 5.7.32, 5.7.40) and Microsoft (5.7.515).
const SENDER: [&str; 15] = [
    "5.7.20", "5.7.21", "5.7.22", "5.7.23", "5.7.24", "5.7.25", "5.7.26", "5.7.27", "5.7.28", "5.7.29",
    "5.7.30", "5.7.31", "5.7.32", "5.7.40", "5.7.515",
];
/// Words of servers that give no enhanced code; they stand for an unknown user and nothing else.
const UNKNOWN_USER: [&str; 9] = [
    "user unknown",
    "unknown user",
    "no such user",
    "unknown recipient",
    "recipient unknown",
    "no such recipient",
    "no such mailbox",
    "unknown local part",
    "user does not exist",
];

impl Delivery {
    /// What a refusal is about. A refusal that is not clearly about the address suppresses nobody.
    pub fn blame(&self) -> Blame {
        let Delivery::Rejected { code, answer } = self else { return Blame::Neither };
        if let Some(enhanced) = enhanced_code(answer) {
            return if ADDRESS.contains(&enhanced) {
                Blame::Address
            } else if SENDER.contains(&enhanced) {
                Blame::Sender
            } else {
                Blame::Neither
            };
        }
        let words = answer.to_lowercase();
        let unknown =
            matches!(code, 550 | 551 | 553) && UNKNOWN_USER.iter().any(|phrase| words.contains(phrase));
        if unknown { Blame::Address } else { Blame::Neither }
    }

    /// The address itself is gone for good.
    pub fn is_hard(&self) -> bool {
        self.blame() == Blame::Address
    }
}

/// The enhanced code of an answer: the word after the three digits, such as `5.1.1`. Source: RFC 2034.
pub(crate) fn enhanced_code(answer: &str) -> Option<&str> {
    let rest = answer.get(3..)?.strip_prefix(['-', ' '])?;
    let word = rest.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
    let parts: Vec<&str> = word.split('.').collect();
    let is_code = parts.len() == 3
        && matches!(parts[0], "2" | "4" | "5")
        && parts[1..].iter().all(|part| (1..=3).contains(&part.len()));
    is_code.then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blame(answer: &str) -> Blame {
        let code = answer[..3].parse().unwrap();
        Delivery::Rejected { code, answer: answer.to_owned() }.blame()
    }

    #[test]
    fn only_a_gone_address_is_hard() {
        for answer in [
            "550 5.1.1 <a@b.example>: Recipient address rejected: User unknown",
            "550-5.1.1 The email account that you tried to reach does not exist. 550 5.1.1 Please try",
            "556 5.1.10 Recipient address has null MX",
            "550 5.1.2 Bad destination system",
            "551 5.1.6 Mailbox has moved",
            "550 No such user here",
            "550 unknown recipient",
        ] {
            assert_eq!(blame(answer), Blame::Address, "{answer}");
        }
        for answer in [
            "552 5.2.2 mailbox full, user unknown to quota",
            "554 5.7.1 blocked; see https://b.example/?5.1.1 and 5.1.1",
            "550 5.1.1.1 no code of three parts",
            "550 rejected by policy",
            "554 no such user",
            "550 5.2.1 disabled",
            "550 5.1.8 bad sender",
        ] {
            assert_eq!(blame(answer), Blame::Neither, "{answer}");
        }
    }

    #[test]
    fn a_fault_of_the_sender_blames_no_address() {
        for code in ["5.7.26", "5.7.515", "5.7.25", "5.7.27", "5.7.29", "5.7.30", "5.7.32", "5.7.40"] {
            let answer = format!("550 {code} user unknown to you, perhaps, but your mail is unauthenticated");
            assert_eq!(blame(&answer), Blame::Sender, "{answer}");
        }
    }

    #[test]
    fn what_was_not_refused_blames_nobody() {
        let answer = "450 5.1.1 odd".to_owned();
        assert_eq!(Delivery::Deferred { code: 450, answer: answer.clone() }.blame(), Blame::Neither);
        assert_eq!(Delivery::InDoubt { answer: answer.clone() }.blame(), Blame::Neither);
        assert_eq!(Delivery::Accepted { answer }.blame(), Blame::Neither);
    }
}
