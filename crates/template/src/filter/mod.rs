//! The standard filters and ours, found by name at compile time.

mod date;
mod hash;
mod list;
mod locale;
mod math;
mod text;

use crate::error::Fault;
use crate::number;
use crate::render::Run;
use crate::value::Val;

/// The arguments of one call.
pub(crate) struct Args<'a> {
    pub positional: Vec<Val<'a>>,
    pub named: Vec<(&'a str, Val<'a>)>,
}

impl<'a> Args<'a> {
    pub(crate) fn get(&self, i: usize) -> Option<&Val<'a>> {
        self.positional.get(i)
    }
    pub(crate) fn need(&self, i: usize) -> Result<&Val<'a>, Fault> {
        match self.positional.get(i) {
            Some(v) => Ok(v),
            None => {
                let (given, expected) = (self.positional.len() + 1, i + 2);
                Fault::value(format!("wrong number of arguments (given {given}, expected {expected})"))
            }
        }
    }
    fn most(&self, n: usize) -> Result<(), Fault> {
        if self.positional.len() <= n {
            return Ok(());
        }
        let (given, expected) = (self.positional.len() + 1, n + 1);
        Fault::value(format!("wrong number of arguments (given {given}, expected {expected})"))
    }
    fn text(&self, i: usize) -> Result<String, Fault> {
        Ok(self.need(i)?.to_text().into_owned())
    }
    fn integer(&self, i: usize, default: i64) -> Result<i64, Fault> {
        self.get(i).map_or(Ok(default), number::integer)
    }
    pub(crate) fn named(&self, key: &str) -> Option<&Val<'a>> {
        self.named.iter().find(|(k, _)| *k == key).map(|(_, v)| v)
    }
}

pub(crate) type Out<'a> = Result<Val<'a>, Fault>;

/// A filter.
pub(crate) type Filter = for<'a, 'o, 'x, 'y> fn(&'x mut Run<'a, 'o>, Val<'a>, &'y Args<'a>) -> Out<'a>;

/// The filter called `name`.
pub(crate) fn find(name: &str) -> Option<Filter> {
    let filter: Filter = match name {
        "abs" => math::abs,
        "at_least" => math::at_least,
        "at_most" => math::at_most,
        "ceil" => math::ceil,
        "divided_by" => math::divided_by,
        "floor" => math::floor,
        "minus" => math::minus,
        "modulo" => math::modulo,
        "plus" => math::plus,
        "round" => math::round,
        "times" => math::times,
        "money" => locale::money,
        "number" => locale::number,
        "pluralize" => locale::pluralize,
        "t" => locale::t,
        "md5" => hash::md5,
        "sha1" => hash::sha1,
        "sha256" => hash::sha256,
        "sha512" => hash::sha512,
        "hmac_md5" => hash::hmac_md5,
        "hmac_sha1" => hash::hmac_sha1,
        "hmac_sha256" => hash::hmac_sha256,
        "hmac_sha512" => hash::hmac_sha512,
        "append" => text::append,
        "base64_decode" => text::base64_decode,
        "base64_encode" => text::base64_encode,
        "base64_url_safe_decode" => text::base64_url_safe_decode,
        "base64_url_safe_encode" => text::base64_url_safe_encode,
        "capitalize" => text::capitalize,
        "downcase" => text::downcase,
        "escape" | "h" => text::escape,
        "escape_once" => text::escape_once,
        "lstrip" => text::lstrip,
        "newline_to_br" => text::newline_to_br,
        "prepend" => text::prepend,
        "raw" => text::raw,
        "remove" => text::remove,
        "remove_first" => text::remove_first,
        "remove_last" => text::remove_last,
        "replace" => text::replace,
        "replace_first" => text::replace_first,
        "replace_last" => text::replace_last,
        "rstrip" => text::rstrip,
        "slice" => text::slice,
        "split" => text::split,
        "squish" => text::squish,
        "strip" => text::strip,
        "strip_html" => text::strip_html,
        "strip_newlines" => text::strip_newlines,
        "truncate" => text::truncate,
        "truncatewords" => text::truncatewords,
        "upcase" => text::upcase,
        "url_decode" => text::url_decode,
        "url_encode" => text::url_encode,
        "url_escape" => text::url_escape,
        "url_param_escape" => text::url_param_escape,
        "compact" => list::compact,
        "concat" => list::concat,
        "find" => list::find,
        "find_index" => list::find_index,
        "first" => list::first,
        "group_by" => list::group_by,
        "has" => list::has,
        "join" => list::join,
        "last" => list::last,
        "map" => list::map,
        "reject" => list::reject,
        "reverse" => list::reverse,
        "size" => list::size,
        "sort" => list::sort,
        "sort_natural" => list::sort_natural,
        "sum" => list::sum,
        "uniq" => list::uniq,
        "where" => list::where_,
        "date" => date::date,
        "default" => default,
        "json" => json,
        _ => return None,
    };
    Some(filter)
}

fn default<'a>(_: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(1)?;
    let other = args.get(0).cloned().unwrap_or_else(|| Val::text(""));
    let allow_false = args.named("allow_false").is_some_and(Val::truthy);
    let take = match &value {
        Val::Nil => true,
        Val::Bool(b) => !b && !allow_false,
        v => v.is_empty() || matches!(v, Val::Empty | Val::Blank),
    };
    Ok(if take { other } else { value })
}

fn json<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(0)?;
    run.step(value.len().unwrap_or(0) as u64)?;
    let text = value.to_json().to_string();
    run.reserve(text.len())?;
    Ok(Val::text(text))
}
