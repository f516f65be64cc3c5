//! The tags that ask the host, and those that choose between whole sections: `fallback` and `variant`.

use super::{Body, For, Kind, Node, Syntax, Tag, is_space, strip};
use crate::error::Result;
use crate::escape::Context;
use crate::expression::{Expr, Parser, Path, Step, Token, Wrong};

/// A tag that asks the host.
#[derive(Debug)]
pub(crate) struct Supply {
    pub asked: Asked,
    pub arguments: Vec<(Box<str>, Expr)>,
    pub fallback: Option<Expr>,
    pub then: Then,
}

/// What is asked for.
#[derive(Debug)]
pub(crate) enum Asked {
    Recommend(Option<Expr>),
    Item(Expr, Expr),
    Feed(Expr),
    Coupon(Expr),
}

/// What becomes of the answer.
#[derive(Debug)]
pub(crate) enum Then {
    Print(Context),
    Assign(u32),
}

/// Named variants of a section.
#[derive(Debug)]
pub(crate) struct Variant {
    pub chosen: Expr,
    pub arms: Vec<(Vec<Expr>, Body)>,
    pub otherwise: Option<Body>,
}

/// How the answer is named at the end of a tag.
enum Name {
    As(String),
    For(String),
    None,
}

/// Arguments of an asking tag, in any order, then `as name` or `for name`.
struct Read {
    positional: Vec<Expr>,
    named: Vec<(Box<str>, Expr)>,
    name: Name,
}

fn read(p: &mut Parser<'_>) -> std::result::Result<Read, Wrong> {
    let mut found = Read { positional: vec![], named: vec![], name: Name::None };
    loop {
        p.sign(',');
        if p.is_end() {
            return Ok(found);
        }
        let is_key = *p.ahead(1) == Token::Sign(':');
        match p.peek() {
            Token::Id(word) if word == "as" && !is_key => {
                p.id()?;
                found.name = Name::As(p.id()?);
                p.end()?;
            }
            Token::Id(word) if word == "for" && !is_key => {
                p.id()?;
                found.name = Name::For(p.id()?);
                p.end()?;
            }
            Token::Id(_) if is_key => {
                let key = p.id()?;
                p.expect_sign(':')?;
                if found.named.iter().any(|(known, _)| **known == *key) {
                    return Err((p.offset(), format!("'{key}' is given twice")));
                }
                found.named.push((key.into(), p.expression()?));
            }
            _ => found.positional.push(p.expression()?),
        }
    }
}

fn take(named: &mut Vec<(Box<str>, Expr)>, key: &str) -> Option<Expr> {
    let at = named.iter().position(|(known, _)| **known == *key)?;
    Some(named.remove(at).1)
}

impl<'s> Syntax<'s> {
    /// `recommend`, `catalog`, `feed` and `coupon`.
    pub(super) fn supply(&mut self, tag: &Tag<'s>) -> Result<(Kind, bool)> {
        let Read { mut positional, mut named, name } = self.with(tag, read)?;
        let fallback = take(&mut named, "fallback");
        let form = match tag.name {
            "recommend" => "recommend limit: 4, category: 'lamps' as items",
            "catalog" => "catalog 'products', event.product_id as item",
            "feed" => "feed 'weather', city: customer.city as weather",
            _ => "coupon 'spring' as code",
        };
        let wrong = |what: &str| format!("Syntax Error in '{}' - {what}. Valid syntax: {form}", tag.name);
        positional.reverse();
        let asked = match tag.name {
            "recommend" => Asked::Recommend(take(&mut named, "limit")),
            "catalog" => {
                let catalog = positional.pop().or_else(|| take(&mut named, "name"));
                let id = take(&mut named, "id").or_else(|| positional.pop());
                let (Some(catalog), Some(id)) = (catalog, id) else {
                    return self.error(tag.at, wrong("it needs the catalogue's name and an item's id"));
                };
                Asked::Item(catalog, id)
            }
            other => {
                let Some(first) = positional.pop() else {
                    return self.error(tag.at, wrong("it needs a name in quotes"));
                };
                if other == "feed" { Asked::Feed(first) } else { Asked::Coupon(first) }
            }
        };
        if !positional.is_empty() {
            return self.error(tag.at, wrong("it has an argument without a name too many"));
        }
        if !named.is_empty() && matches!(asked, Asked::Item(..) | Asked::Coupon(_)) {
            return self.error(tag.at, wrong(&format!("it knows no argument '{}'", named[0].0)));
        }
        let looped = matches!(asked, Asked::Recommend(_) | Asked::Feed(_));
        let supply = |then| Kind::Supply(Box::new(Supply { asked, arguments: named, fallback, then }));
        match name {
            Name::As(name) => Ok((supply(Then::Assign(self.symbols.slot(&name))), true)),
            Name::None if tag.name == "coupon" => Ok((supply(Then::Print(self.scanner.at_output())), false)),
            Name::For(name) if looped => self.supplied_loop(tag, &name, supply),
            Name::For(_) => self.error(tag.at, wrong("it gives one thing: name it with 'as'")),
            Name::None => self.error(tag.at, wrong("the answer needs a name: end with 'as name'")),
        }
    }

    /// `… for name %} … {% else %} … {% endrecommend %}`: assigned to a name no author can write, then a loop over it.
    fn supplied_loop(
        &mut self,
        tag: &Tag<'s>,
        name: &str,
        supply: impl FnOnce(Then) -> Kind,
    ) -> Result<(Kind, bool)> {
        let closing: &'static str = if tag.name == "feed" { "endfeed" } else { "endrecommend" };
        let hidden = self.symbols.slot(&format!("{} at {}", tag.name, tag.at));
        let slot = self.symbols.slot(name);
        let (mut body, mut blank, stop) = self.nested(&["else", closing], tag)?;
        let mut otherwise = Body::new();
        if stop.name == "else" {
            let (rest, rest_blank, _) = self.nested(&[closing], tag)?;
            otherwise = rest;
            blank &= rest_blank;
        }
        if blank {
            strip(&mut body);
            strip(&mut otherwise);
        }
        let over = Expr::Var(Box::new(Path { slot: hidden, steps: vec![], text: tag.name.into() }));
        let loop_ = For {
            slot,
            name: format!("{name}-{}", tag.name).into(),
            over,
            reversed: false,
            limit: None,
            offset: None,
            resume: false,
            body,
            otherwise,
        };
        let node = |kind, blank| Node { at: tag.at as u32, blank, kind };
        let nodes = vec![node(supply(Then::Assign(hidden)), true), node(Kind::For(Box::new(loop_)), blank)];
        Ok((Kind::Inline(nodes), blank))
    }

    pub(super) fn fallback(&mut self, tag: &Tag<'s>) -> Result<(Kind, bool)> {
        self.without_markup(tag)?;
        let (mut first, mut blank, stop) = self.nested(&["otherwise", "endfallback"], tag)?;
        let mut other = Body::new();
        if stop.name == "otherwise" {
            self.without_markup(&stop)?;
            let (body, body_blank, _) = self.nested(&["endfallback"], tag)?;
            other = body;
            blank &= body_blank;
        }
        if blank {
            strip(&mut first);
            strip(&mut other);
        }
        Ok((Kind::Fallback(first, other), blank))
    }

    fn without_markup(&self, tag: &Tag<'s>) -> Result<()> {
        if tag.markup.trim_matches(is_space).is_empty() {
            return Ok(());
        }
        self.error(tag.at, format!("Syntax Error in '{}' - it takes nothing after it", tag.name))
    }

    pub(super) fn variant(&mut self, tag: &Tag<'s>) -> Result<(Kind, bool)> {
        let chosen = self.with(tag, |p| {
            let slot = p.symbols.slot("variant");
            if p.is_end() {
                return Ok(Path { slot, steps: vec![], text: "variant".into() });
            }
            let name = p.id()?;
            p.end()?;
            let text = format!("variant.{name}").into();
            Ok(Path { slot, steps: vec![Step::Dot(name.into())], text })
        })?;
        let stops = ["when", "else", "endvariant"];
        let (_, _, mut stop) = self.nested(&stops, tag)?;
        let (mut arms, mut otherwise, mut blank) = (Vec::new(), None, true);
        while stop.name != "endvariant" {
            let names = if stop.name == "when" {
                Some(self.with(&stop, |p| {
                    let mut names = vec![p.expression()?];
                    while p.word("or") || p.sign(',') {
                        names.push(p.expression()?);
                    }
                    p.end()?;
                    Ok(names)
                })?)
            } else {
                self.without_markup(&stop)?;
                None
            };
            let (body, body_blank, next) = self.nested(&stops, tag)?;
            blank &= body_blank;
            match names {
                Some(names) => arms.push((names, body)),
                None if otherwise.is_none() => otherwise = Some(body),
                None => return self.error(stop.at, "Syntax Error in 'variant' - a second 'else'"),
            }
            stop = next;
        }
        if arms.is_empty() {
            return self.error(tag.at, "Syntax Error in 'variant' - it needs a {% when 'name' %}");
        }
        let variant = Variant { chosen: Expr::Var(Box::new(chosen)), arms, otherwise };
        Ok((Kind::Variant(Box::new(variant)), blank))
    }
}
