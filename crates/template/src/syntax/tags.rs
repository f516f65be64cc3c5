//! The tags that choose, repeat and call.

use super::{Body, For, Include, Kind, Syntax, TableRow, Tag, When, is_space, strip};
use crate::error::Result;
use crate::expression::{Expr, Token};

impl<'s> Syntax<'s> {
    pub(super) fn conditional(&mut self, tag: &Tag<'s>) -> Result<(Kind, bool)> {
        let closing: &'static str = if tag.name == "if" { "endif" } else { "endunless" };
        let mut negated = tag.name == "unless";
        let mut branches = Vec::new();
        let mut otherwise: Option<Body> = None;
        let mut condition = Some(self.with(tag, |p| p.condition())?);
        let mut blank = true;
        loop {
            let (body, body_blank, stop) = self.nested(&["elsif", "else", closing], tag)?;
            blank &= body_blank;
            match condition.take() {
                Some(c) => branches.push((c, std::mem::take(&mut negated), body)),
                None if otherwise.is_none() => otherwise = Some(body),
                None => {}
            }
            match stop.name {
                "elsif" => {
                    let read = self.with(&stop, |p| p.condition())?;
                    if otherwise.is_none() {
                        condition = Some(read);
                    }
                }
                "else" => {}
                _ => break,
            }
        }
        let mut otherwise = otherwise.unwrap_or_default();
        if blank {
            for branch in &mut branches {
                strip(&mut branch.2);
            }
            strip(&mut otherwise);
        }
        Ok((Kind::If(branches, otherwise), blank))
    }

    pub(super) fn case(&mut self, tag: &Tag<'s>) -> Result<(Kind, bool)> {
        let subject = self.with(tag, |p| {
            let e = p.expression()?;
            p.end()?;
            Ok(e)
        })?;
        let stops = ["when", "else", "endcase"];
        let (_, _, mut stop) = self.nested(&stops, tag)?;
        let mut whens = Vec::new();
        let mut blank = true;
        while stop.name != "endcase" {
            let values = if stop.name == "when" {
                Some(self.with(&stop, |p| {
                    let mut values = vec![p.expression()?];
                    while p.word("or") || p.sign(',') {
                        values.push(p.expression()?);
                    }
                    p.end()?;
                    Ok(values)
                })?)
            } else {
                if !stop.markup.trim_matches(is_space).is_empty() {
                    return self.error(stop.at, "Syntax Error in tag 'case' - 'else' takes nothing after it");
                }
                None
            };
            let (body, body_blank, next) = self.nested(&stops, tag)?;
            blank &= body_blank;
            whens.push(match values {
                Some(values) => When::Values(values, body),
                None => When::Else(body),
            });
            stop = next;
        }
        if blank {
            for when in &mut whens {
                match when {
                    When::Values(_, body) | When::Else(body) => strip(body),
                }
            }
        }
        Ok((Kind::Case(subject, whens), blank))
    }

    pub(super) fn for_loop(&mut self, tag: &Tag<'s>) -> Result<(Kind, bool)> {
        let mut loop_ = self.with(tag, |p| {
            let variable = p.id()?;
            if !p.word("in") {
                return Err((p.offset(), "For loops require an 'in' clause".into()));
            }
            let start = p.offset();
            let over = p.expression()?;
            let over_text = tag.markup[start..p.offset()].trim();
            let name = format!("{variable}-{over_text}").into();
            let slot = p.symbols.slot(&variable);
            let reversed = p.word("reversed");
            let (mut limit, mut offset, mut resume) = (None, None, false);
            while !p.is_end() && (p.look(',') || matches!(p.peek(), Token::Id(_))) {
                p.sign(',');
                let is_limit = p.word("limit");
                if !is_limit && !p.word("offset") {
                    let message = "Invalid attribute in for loop. Valid attributes are limit and offset";
                    return Err((p.offset(), message.into()));
                }
                p.expect_sign(':')?;
                if !is_limit && matches!(p.peek(), Token::Id(id) if id == "continue") {
                    p.id()?;
                    resume = true;
                } else if is_limit {
                    limit = Some(p.expression()?);
                } else {
                    offset = Some(p.expression()?);
                }
            }
            p.end()?;
            Ok(For { slot, name, over, reversed, limit, offset, resume, body: vec![], otherwise: vec![] })
        })?;
        let (body, mut blank, stop) = self.nested(&["else", "endfor"], tag)?;
        loop_.body = body;
        let mut stop = stop;
        while stop.name == "else" {
            let (body, body_blank, next) = self.nested(&["else", "endfor"], tag)?;
            loop_.otherwise = body;
            blank &= body_blank;
            stop = next;
        }
        if blank {
            strip(&mut loop_.body);
            strip(&mut loop_.otherwise);
        }
        Ok((Kind::For(Box::new(loop_)), blank))
    }

    pub(super) fn table_row(&mut self, tag: &Tag<'s>) -> Result<(Kind, bool)> {
        let mut row = self.with(tag, |p| {
            let variable = p.id()?;
            if !p.word("in") {
                return Err((p.offset(), "For loops require an 'in' clause".into()));
            }
            let over = p.expression()?;
            let slot = p.symbols.slot(&variable);
            let mut row = TableRow { slot, over, cols: None, limit: None, offset: None, body: vec![] };
            p.sign(',');
            while matches!(p.peek(), Token::Id(_)) {
                let at = p.offset();
                let key = p.id()?;
                if !matches!(key.as_str(), "cols" | "limit" | "offset" | "range") {
                    return Err((at, "Invalid attribute in tablerow loop. Valid attributes are cols, limit, offset, and range".into()));
                }
                p.expect_sign(':')?;
                let value = Some(p.expression()?);
                match key.as_str() {
                    "cols" => row.cols = value,
                    "limit" => row.limit = value,
                    "offset" => row.offset = value,
                    _ => {}
                }
                p.sign(',');
            }
            p.end()?;
            Ok(row)
        })?;
        let (body, blank, _) = self.nested(&["endtablerow"], tag)?;
        row.body = body;
        Ok((Kind::TableRow(Box::new(row)), blank))
    }

    pub(super) fn cycle(&mut self, tag: &Tag<'s>) -> Result<(Kind, bool)> {
        let kind = self.with(tag, |p| {
            if p.is_end() {
                return Err((
                    0,
                    "Syntax Error in 'cycle' - Valid syntax: cycle [name :] var [, var2, var3 ...]".into(),
                ));
            }
            let first = p.expression()?;
            let (name, mut values) =
                if p.sign(':') { (Some(first), vec![p.expression()?]) } else { (None, vec![first]) };
            while p.sign(',') {
                if p.is_end() {
                    break;
                }
                values.push(p.expression()?);
            }
            p.end()?;
            let key = match name {
                Some(name) => Err(name),
                None if values.iter().any(|v| matches!(v, Expr::Var(_) | Expr::Range(_))) => {
                    Ok(format!("@{}:{}", tag.at, tag.markup.trim()).into())
                }
                None => Ok(format!("{values:?}").into()),
            };
            Ok(Kind::Cycle { key, values })
        })?;
        Ok((kind, false))
    }

    pub(super) fn include(&mut self, tag: &Tag<'s>) -> Result<(Kind, bool)> {
        let isolated = tag.name == "render";
        let include = self.with(tag, |p| {
            let name = if isolated { Expr::Str(p.string()?.into()) } else { p.expression()? };
            let (mut with, mut each) = (None, false);
            if p.word("for") {
                each = true;
                with = Some(p.expression()?);
            } else if p.word("with") {
                with = Some(p.expression()?);
            }
            let mut alias = None;
            if p.word("as") {
                let id = p.id()?;
                alias = Some(p.symbols.slot(&id));
            }
            if alias.is_none()
                && let Expr::Str(name) = &name
            {
                alias = Some(p.symbols.slot(name.rsplit('/').next().unwrap_or(name)));
            }
            p.sign(',');
            let args = p.named()?;
            let args = args.into_iter().map(|(k, v)| (p.symbols.slot(&k), v)).collect();
            Ok(Include { isolated, name, with, each, alias, args })
        })?;
        match &include.name {
            Expr::Str(name) => self.partials.push(name.to_string()),
            _ => self.dynamic_partials = true,
        }
        Ok((Kind::Include(Box::new(include)), false))
    }
}
