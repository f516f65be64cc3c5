//! The part of the parser that reads sequences, lifecycles, memberships, consent and shares.

use super::{Parser, op};
use crate::Error;
use crate::ast::*;
use crate::calendar::Span;
use crate::lex::Token;

/// Steps of one sequence.
const STEPS_MAX: usize = 20;
/// Periods that "regularly" looks back.
const PERIODS_MAX: u32 = 400;

impl Parser<'_> {
    /// The forms that begin with a word of their own but leave that word free as an attribute's name.
    pub(super) fn special(&mut self, word: &str) -> Option<Result<Condition, Error>> {
        let follows_text = matches!(self.ahead(1), Token::Text(_));
        let ends = matches!(self.ahead(1), Token::End | Token::Sign(")"))
            || self.is_word(1, "and")
            || self.is_word(1, "or");
        Some(match word {
            "stopped" if follows_text => self.stopped(),
            "resumed" if follows_text => self.resumed(),
            "regularly" if follows_text => self.regularly(),
            "entered" | "left" if self.is_word(1, "segment") => self.passed(word),
            "consents" if self.is_word(1, "to") => self.consent(Says::Consents, 2),
            "withdrew" if self.is_word(1, "consent") => self.consent(Says::Withdrew, 2),
            "subscribed" if self.is_word(1, "to") => self.consent(Says::Subscribed, 2),
            "unsubscribed" if self.is_word(1, "from") => self.consent(Says::Unsubscribed, 2),
            "everyone" if ends => {
                self.next();
                Ok(Condition::Everyone)
            }
            _ => return None,
        })
    }

    pub(super) fn sequence(&mut self) -> Result<Condition, Error> {
        let first = self.event()?;
        let mut then: Vec<Then> = Vec::new();
        while self.take_word("then") {
            self.node()?;
            if then.len() + 2 > STEPS_MAX {
                return Err(self.fail(format!("a sequence has at most {STEPS_MAX} steps")));
            }
            let not = self.take_word("not");
            let event = self.event()?;
            let within = if self.take_word("within") { Some(self.span()?) } else { None };
            then.push(Then { not, event, within });
        }
        if then.is_empty() {
            return self.expected(&["'then', as in \"A\" then \"B\" within 2 hours"]);
        }
        let whole = if self.take_word("all") {
            self.word("within")?;
            Some(self.span()?)
        } else {
            None
        };
        let same = if self.take_word("with") {
            self.take_word("the");
            self.word("same")?;
            Some(self.path()?)
        } else {
            None
        };
        Ok(Condition::Sequence { first, then, whole, same, window: self.window()? })
    }

    pub(super) fn did(&mut self) -> Result<Condition, Error> {
        self.next();
        let event = self.event()?;
        if !self.take_word("for") {
            return Ok(Condition::Did { event, window: self.window()? });
        }
        self.word("the")?;
        self.word("first")?;
        self.word("time")?;
        match self.window()? {
            Some(window) => Ok(Condition::FirstTime { event, window }),
            None => self.expected(&["'in last 30 days' or another window"]),
        }
    }

    fn stopped(&mut self) -> Result<Condition, Error> {
        self.next();
        let event = self.event()?;
        self.word("for")?;
        let quiet = self.span()?;
        self.word("after")?;
        let times = self.times()?;
        self.word("in")?;
        Ok(Condition::Stopped { event, quiet, times, before: self.span()? })
    }

    fn resumed(&mut self) -> Result<Condition, Error> {
        self.next();
        let event = self.event()?;
        let window = self.window()?;
        for word in ["after", "a", "pause", "of"] {
            self.word(word)?;
        }
        Ok(Condition::Resumed { event, window, pause: self.span()? })
    }

    fn regularly(&mut self) -> Result<Condition, Error> {
        self.next();
        let event = self.event()?;
        let times = if matches!(self.peek(), Token::Number(_)) { self.times()? } else { 1 };
        self.word("in")?;
        let periods = self.whole(PERIODS_MAX)?;
        self.word("of")?;
        self.word("last")?;
        let before = self.at;
        let last = self.span()?;
        if last.amount < periods || last.amount > PERIODS_MAX {
            self.at = before;
            return Err(self.fail(format!(
                "{periods} of {last} cannot be: look back on at least {periods} and at most {PERIODS_MAX}"
            )));
        }
        Ok(Condition::Regularly { event, times, periods, last })
    }

    fn times(&mut self) -> Result<u32, Error> {
        let number = self.whole(1_000)?;
        if !self.take_word("time") {
            self.word("times")?;
        }
        Ok(number)
    }

    pub(super) fn whole(&mut self, max: u32) -> Result<u32, Error> {
        let Token::Number(number) = *self.peek() else { return self.expected(&["a whole number"]) };
        if number.fract() != 0.0 || number < 1.0 || number > f64::from(max) {
            return Err(self.fail(format!("here stands a whole number from 1 to {max}")));
        }
        self.next();
        Ok(number as u32)
    }

    fn passed(&mut self, word: &str) -> Result<Condition, Error> {
        let Some(passage) = Passage::from_word(word) else {
            return self.expected(&["'entered'", "'left'"]);
        };
        self.at += 2;
        let segment = self.text("the segment's name in double quotes")?;
        Ok(Condition::Passed { passage, segment, window: self.window()? })
    }

    fn consent(&mut self, says: Says, skip: usize) -> Result<Condition, Error> {
        self.at += skip;
        let what = match says {
            Says::Consents => "the purpose in double quotes",
            Says::Withdrew => {
                self.word("to")?;
                "the purpose in double quotes"
            }
            Says::Subscribed | Says::Unsubscribed => {
                self.word("topic")?;
                "the topic in double quotes"
            }
        };
        let about = self.text(what)?;
        let by = if self.take_word("by") { Some(self.text("how, in double quotes")?) } else { None };
        Ok(Condition::Consent { says, about, by, window: self.window()? })
    }

    /// What stands after `in random`.
    pub(super) fn random(&mut self) -> Result<Condition, Error> {
        let first = self.percent()?;
        let (from, to) = if self.take_word("to") { (first, self.percent()?) } else { (0.0, first) };
        if from >= to {
            return Err(self.fail("a share goes from the lower to the higher per cent"));
        }
        self.word("of")?;
        Ok(Condition::Random { from, to, name: self.text("the draw's name in double quotes")? })
    }

    fn percent(&mut self) -> Result<f64, Error> {
        let Token::Number(number) = *self.peek() else {
            return self.expected(&["per cent, as in 'in random 20% of \"spring\"'"]);
        };
        if !(0.0..=100.0).contains(&number) {
            return Err(self.fail("a share is from 0% to 100%"));
        }
        self.next();
        self.sign("%")?;
        Ok(number)
    }

    /// `any`, `all` or `none` of a list, as far as its opening parenthesis.
    pub(super) fn quantifier(&mut self) -> Result<Option<(Quantifier, Path)>, Error> {
        let Token::Word(word) = self.peek() else { return Ok(None) };
        let Some(quantifier) = Quantifier::from_word(word) else { return Ok(None) };
        self.next();
        let path = self.path()?;
        self.sign("(")?;
        Ok(Some((quantifier, path)))
    }

    pub(super) fn attribute(&mut self) -> Result<Condition, Error> {
        let path = self.path()?;
        let before = self.at;
        let test = self.test()?;
        if !self.take_word("for") {
            return Ok(Condition::Attribute { path, test });
        }
        let refuse = if test.is_relative() {
            Some("a test against the present is not held for a time: leave out 'for'")
        } else if test == Test::Missing {
            Some("an absence has no beginning: 'is missing' takes no 'for'")
        } else {
            None
        };
        if let Some(message) = refuse {
            self.at = before;
            return Err(self.fail(message));
        }
        Ok(Condition::Held { path, test, span: self.span()? })
    }

    pub(super) fn length(&mut self) -> Result<Test, Error> {
        let signs = ["'='", "'!='", "'<'", "'<='", "'>'", "'>='"];
        let Token::Sign(sign) = *self.peek() else { return self.expected(&signs) };
        let Some(op) = op(sign) else { return self.expected(&signs) };
        self.next();
        let Token::Number(number) = *self.peek() else { return self.expected(&["a whole number"]) };
        if number.fract() != 0.0 || !(0.0..=f64::from(Span::AMOUNT_MAX)).contains(&number) {
            return Err(self.fail("a length is a whole number from 0"));
        }
        self.next();
        Ok(Test::Length { op, number: number as u32 })
    }

    /// Whether `between 20 days ago` stands here.
    pub(super) fn is_ago(&self) -> bool {
        self.is_word(0, "between")
            && matches!(self.ahead(1), Token::Number(_))
            && matches!(self.ahead(2), Token::Word(_))
            && self.is_word(3, "ago")
    }

    pub(super) fn ago(&mut self) -> Result<Window, Error> {
        self.next();
        let before = self.at;
        let from = self.span()?;
        self.word("ago")?;
        self.word("and")?;
        let to = self.span()?;
        self.word("ago")?;
        if from.micros_max() <= to.micros_max() {
            self.at = before;
            return Err(
                self.fail(format!("nothing lies between {from} ago and {to} ago: the longer time first"))
            );
        }
        Ok(Window::Ago { from, to })
    }
}
