//! The part of the parser that reads what a value must be.

use super::{Parser, op};
use crate::Error;
use crate::ast::*;
use crate::calendar::Unit;
use crate::lex::Token;

const LITERALS: [&str; 3] = ["a number", "a text in double quotes", "true or false"];
const TESTS: [&str; 15] = [
    "=",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "between",
    "in",
    "is",
    "contains",
    "starts with",
    "ends with",
    "matches",
    "length",
    "before, after or on",
];

impl Parser<'_> {
    pub(super) fn number_test(&mut self) -> Result<Test, Error> {
        let before = self.at;
        let test = self.event_test()?;
        let numbers = |values: &[&Literal]| values.iter().all(|value| matches!(value, Literal::Number(_)));
        let fits = match &test {
            Test::Compare { value, .. } => numbers(&[value]),
            Test::Between { low, high } => numbers(&[low, high]),
            Test::In { values } | Test::NotIn { values } => numbers(&values.iter().collect::<Vec<_>>()),
            Test::Missing | Test::Present => true,
            _ => false,
        };
        if !fits {
            self.at = before;
            return self.expected(&["a comparison with a number, as in '> 3'"]);
        }
        Ok(test)
    }

    /// A test whose answer never changes as time passes: events and their properties stay what they are.
    pub(super) fn event_test(&mut self) -> Result<Test, Error> {
        let before = self.at;
        let test = self.test()?;
        if test.is_relative() {
            self.at = before;
            return Err(
                self.fail("a property is not tested against the present; dates compare by before, after, on")
            );
        }
        Ok(test)
    }

    pub(super) fn test(&mut self) -> Result<Test, Error> {
        if let Token::Sign(sign) = *self.peek() {
            let Some(op) = op(sign) else { return self.expected(&TESTS) };
            self.next();
            if matches!(self.peek(), Token::Date(_)) {
                return Err(self.fail("dates compare by words: 'before 2027-01-01', 'after …', 'on …'"));
            }
            return Ok(Test::Compare { op, value: self.literal()? });
        }
        let Token::Word(word) = self.peek().clone() else { return self.expected(&TESTS) };
        match word.to_ascii_lowercase().as_str() {
            "between" => {
                self.next();
                if matches!(self.peek(), Token::Date(_)) {
                    let from = self.when()?;
                    self.word("and")?;
                    return Ok(Test::BetweenDates { from, to: self.when()? });
                }
                let low = self.literal()?;
                self.word("and")?;
                Ok(Test::Between { low, high: self.literal()? })
            }
            "not" if self.is_word(1, "in") => {
                self.at += 2;
                Ok(Test::NotIn { values: self.list()? })
            }
            "in" => {
                self.next();
                if matches!(self.peek(), Token::Sign("(")) {
                    return Ok(Test::In { values: self.list()? });
                }
                if self.take_word("last") {
                    return Ok(Test::InLast { span: self.span()? });
                }
                if self.take_word("next") {
                    return Ok(Test::InNext { span: self.span()? });
                }
                let month = match self.peek() {
                    Token::Word(word) => Month::from_word(word),
                    _ => None,
                };
                let Some(month) = month else {
                    return self.expected(&["'('", "'last'", "'next'", "a month"]);
                };
                self.next();
                Ok(Test::InMonth { month })
            }
            "on" => {
                self.next();
                if let Token::Word(word) = self.peek() {
                    let Some(weekday) = Weekday::from_word(word) else {
                        return self.expected(&["a date", "a weekday"]);
                    };
                    self.next();
                    return Ok(Test::OnWeekday { weekday });
                }
                Ok(Test::On { when: self.when()? })
            }
            "is" => {
                self.next();
                self.is_test()
            }
            "starts" => {
                self.next();
                self.word("with")?;
                Ok(Test::StartsWith { text: self.text("a text in double quotes")? })
            }
            "ends" => {
                self.next();
                self.word("with")?;
                Ok(Test::EndsWith { text: self.text("a text in double quotes")? })
            }
            "contains" => {
                self.next();
                let any = self.is_word(0, "any");
                if (any || self.is_word(0, "all")) && self.is_word(1, "of") {
                    self.at += 2;
                    let values = self.list()?;
                    return Ok(if any { Test::ContainsAny { values } } else { Test::ContainsAll { values } });
                }
                Ok(Test::Contains { value: self.literal()? })
            }
            "matches" => {
                self.next();
                let Token::Pattern(source) = self.peek() else {
                    return self.expected(&["a pattern, as in /^A/"]);
                };
                let pattern = Pattern::new(source).map_err(|message| self.fail(message))?;
                self.next();
                Ok(Test::Matches { pattern })
            }
            "length" => {
                self.next();
                self.length()
            }
            "before" => {
                self.next();
                if self.take_word("last") {
                    return Ok(Test::BeforeLast { span: self.span()? });
                }
                Ok(Test::Before { when: self.when()? })
            }
            "after" => {
                self.next();
                if self.take_word("next") {
                    return Ok(Test::AfterNext { span: self.span()? });
                }
                Ok(Test::After { when: self.when()? })
            }
            _ => self.expected(&TESTS),
        }
    }

    pub(super) fn is_test(&mut self) -> Result<Test, Error> {
        let equal = |value| Ok(Test::Compare { op: Op::Equal, value: Literal::Bool(value) });
        if self.take_word("missing") {
            Ok(Test::Missing)
        } else if self.take_word("present") {
            Ok(Test::Present)
        } else if self.take_word("true") {
            equal(true)
        } else if self.take_word("false") {
            equal(false)
        } else if self.take_word("today") {
            Ok(Test::Today)
        } else if self.take_word("anniversary") {
            if self.take_word("today") {
                return Ok(Test::AnniversaryToday);
            }
            if !self.is_word(0, "in") {
                return self.expected(&["'today'", "'in next 7 days'", "'in last 7 days'"]);
            }
            self.next();
            let last = self.take_word("last");
            if !last && !self.take_word("next") {
                return self.expected(&["'next'", "'last'"]);
            }
            let before = self.at;
            let span = self.span()?;
            if matches!(span.unit, Unit::Seconds | Unit::Minutes | Unit::Hours) {
                self.at = before;
                return Err(self.fail("anniversaries count in days, weeks or months"));
            }
            Ok(if last { Test::AnniversaryInLast { span } } else { Test::AnniversaryInNext { span } })
        } else {
            self.expected(&["missing", "present", "true", "false", "today", "anniversary"])
        }
    }

    pub(super) fn literal(&mut self) -> Result<Literal, Error> {
        let literal = match self.peek() {
            Token::Text(text) => Literal::Text(text.clone()),
            Token::Number(number) => Literal::Number(*number),
            Token::Word(word) if word.eq_ignore_ascii_case("true") => Literal::Bool(true),
            Token::Word(word) if word.eq_ignore_ascii_case("false") => Literal::Bool(false),
            Token::Word(word) => {
                let mut error =
                    self.fail(format!("'{word}' stands without quotes: texts are written \"{word}\""));
                error.expected = LITERALS.iter().map(|each| (*each).to_owned()).collect();
                return Err(error);
            }
            _ => return self.expected(&LITERALS),
        };
        self.next();
        Ok(literal)
    }

    pub(super) fn list(&mut self) -> Result<Vec<Literal>, Error> {
        self.sign("(")?;
        let mut values = vec![self.literal()?];
        while self.take_sign(",") {
            self.node()?;
            values.push(self.literal()?);
        }
        if !self.take_sign(")") {
            return self.expected(&["','", "')'"]);
        }
        Ok(values)
    }
}
