//! The part of the parser that reads figures.

use super::{Parser, op};
use crate::Error;
use crate::ast::*;
use crate::calendar::{Span, Unit};
use crate::figure::{Figure, TERMS_MAX, Term};
use crate::lex::Token;

const STARTS: [&str; 8] = [
    "'count'",
    "'sum(…) of'",
    "'avg(…) of'",
    "'top(…) of'",
    "'weeks with'",
    "'days since last'",
    "'time of last'",
    "'score('",
];

/// Reads a figure: what a trait's value is.
///
/// # Errors
/// The first thing that cannot be read, with its place and what could have stood there.
pub fn parse_figure(text: &str) -> Result<Figure, Error> {
    let mut parser = Parser::new(text)?;
    let figure = parser.figure()?;
    if matches!(parser.peek(), Token::Sign(sign) if op(sign).is_some()) {
        return Err(parser.fail("a figure is compared where it is used: leave out the comparison"));
    }
    parser.finish(&["a window such as 'in last 90 days'", "the end"])?;
    Ok(figure)
}

impl Parser<'_> {
    fn figure(&mut self) -> Result<Figure, Error> {
        let Token::Word(word) = self.peek().clone() else { return self.expected(&STARTS) };
        let follows_group = matches!(self.ahead(1), Token::Sign("("));
        match word.to_ascii_lowercase().as_str() {
            "count" => {
                self.next();
                let event = self.event()?;
                Ok(Figure::Count { event, window: self.window()? })
            }
            "score" if follows_group => {
                self.at += 2;
                self.score()
            }
            "days" if self.is_word(1, "since") => {
                self.at += 2;
                let Occasion { which, event } = self.occasion()?;
                Ok(Figure::DaysSince { which, event })
            }
            "time" if self.is_word(1, "of") => {
                self.at += 2;
                let Occasion { which, event } = self.occasion()?;
                Ok(Figure::TimeOf { which, event })
            }
            "hours" | "days" | "weeks" | "months" => {
                let Some(period) = Period::from_word(&word) else { return self.expected(&STARTS) };
                self.next();
                self.word("with")?;
                let event = self.event()?;
                Ok(Figure::Periods { period, event, window: self.window()? })
            }
            _ if follows_group && Aggregate::from_word(&word).is_some() => {
                let Some(function) = Aggregate::from_word(&word) else { return self.expected(&STARTS) };
                self.next();
                self.sign("(")?;
                let property = self.path()?;
                self.sign(")")?;
                self.word("of")?;
                let event = self.event()?;
                Ok(Figure::Aggregate { function, property, event, window: self.window()? })
            }
            _ => self.expected(&STARTS),
        }
    }

    /// What stands in the parentheses of a score.
    fn score(&mut self) -> Result<Figure, Error> {
        let mut terms = vec![self.term()?];
        while self.take_sign("+") {
            self.node()?;
            if terms.len() >= TERMS_MAX {
                return Err(self.fail(format!("a score has at most {TERMS_MAX} terms")));
            }
            terms.push(self.term()?);
        }
        if !self.take_sign(",") {
            return self.expected(&["'+'", "', half-life 14 days'"]);
        }
        self.word("half-life")?;
        let before = self.at;
        let half_life: Span = self.span()?;
        if matches!(half_life.unit, Unit::Months | Unit::Years) {
            self.at = before;
            return Err(self.fail("a half-life has one length: write it in weeks or days"));
        }
        let fifty = if self.take_sign(",") {
            let fifty = self.above_zero("'50 at 4 points'")?;
            if fifty != 50.0 {
                self.at -= 1;
                return Err(self.fail("the scale is told by its middle: '50 at 4 points'"));
            }
            self.word("at")?;
            let points = self.above_zero("how many points make a score of 50")?;
            if !self.take_word("point") {
                self.word("points")?;
            }
            Some(points)
        } else {
            None
        };
        self.sign(")")?;
        Ok(Figure::Score { terms, half_life, fifty })
    }

    fn term(&mut self) -> Result<Term, Error> {
        let weight = self.above_zero("a weight, as in '3 * \"Email Opened\"'")?;
        self.sign("*")?;
        Ok(Term { weight, event: self.event()? })
    }

    fn above_zero(&mut self, what: &str) -> Result<f64, Error> {
        let Token::Number(number) = *self.peek() else { return self.expected(&[what]) };
        if !(number > 0.0 && number < 1e9) {
            return Err(self.fail("here stands a number above 0"));
        }
        self.next();
        Ok(number)
    }
}
