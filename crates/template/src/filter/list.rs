//! Filters on lists.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::rc::Rc;

use super::{Args, Out};
use crate::error::Fault;
use crate::number::{Op, calculate, number_of};
use crate::render::Run;
use crate::value::Val;

/// The items of what was given, flattened; a single value counts as a list of one.
pub(super) fn items<'a>(run: &mut Run<'a, '_>, value: &Val<'a>) -> Result<Vec<Val<'a>>, Fault> {
    let mut out = Vec::new();
    flatten(run, value, 0, &mut out)?;
    Ok(out)
}

fn flatten<'a>(
    run: &mut Run<'a, '_>,
    value: &Val<'a>,
    depth: usize,
    out: &mut Vec<Val<'a>>,
) -> Result<(), Fault> {
    if depth > 32 {
        return Fault::limit("Nesting too deep");
    }
    match value {
        Val::Nil => {
            if depth > 0 {
                out.push(Val::Nil);
            }
        }
        Val::List(_) | Val::Array(_) | Val::Range(..) => {
            let n = value.len().unwrap_or(0);
            run.step(n as u64)?;
            run.reserve(n as usize * 32)?;
            for i in 0..n {
                match value.at(i) {
                    Some(v) if v.is_list() => flatten(run, &v, depth + 1, out)?,
                    Some(v) => out.push(v),
                    None => {}
                }
            }
        }
        other => out.push(other.clone()),
    }
    Ok(())
}

fn list(items: Vec<Val<'_>>) -> Val<'_> {
    Val::Array(Rc::from(items))
}

fn property<'a>(run: &Run<'a, '_>, item: &Val<'a>, key: &Val<'a>) -> Result<Val<'a>, Fault> {
    match item {
        Val::Map(_) | Val::Record(_) | Val::Object(_) | Val::Loop(_) | Val::Scope(_) => {
            let mut current = run.part(item, &key.to_text());
            if current.is_none() && key.to_text().contains('.') {
                current = Some(item.clone());
                for part in key.to_text().split('.') {
                    current = current.and_then(|v| v.dotted(part));
                }
            }
            Ok(current.unwrap_or(Val::Nil))
        }
        Val::Str(text) => {
            let key = key.to_text();
            Ok(if text.contains(&*key) { Val::text(key) } else { Val::Nil })
        }
        _ => Fault::value(format!("cannot select the property '{}'", key.to_text())),
    }
}

pub(super) fn join<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(1)?;
    let glue = args.get(0).map_or(Cow::Borrowed(" "), Val::to_text);
    let mut out = String::new();
    for (i, item) in items(run, &value)?.iter().enumerate() {
        if i > 0 {
            out.push_str(&glue);
        }
        let text = item.to_text();
        run.reserve(text.len() + glue.len())?;
        out.push_str(&text);
    }
    Ok(Val::text(out))
}

pub(super) fn first<'a>(_: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(0)?;
    Ok(match &value {
        Val::Str(_) | Val::Safe(_) => {
            Val::text(value.to_text().chars().next().map(String::from).unwrap_or_default())
        }
        _ => value.at(0).unwrap_or(Val::Nil),
    })
}

pub(super) fn last<'a>(_: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(0)?;
    Ok(match &value {
        Val::Str(_) | Val::Safe(_) => {
            Val::text(value.to_text().chars().next_back().map(String::from).unwrap_or_default())
        }
        v if v.is_map() => Val::Nil,
        _ => value.at(-1).unwrap_or(Val::Nil),
    })
}

pub(super) fn size<'a>(_: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(0)?;
    Ok(Val::Int(match value {
        Val::Int(_) => 8,
        v => v.len().unwrap_or(0),
    }))
}

pub(super) fn reverse<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(0)?;
    let mut all = items(run, &value)?;
    all.reverse();
    Ok(list(all))
}

pub(super) fn compact<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(1)?;
    let mut out = Vec::new();
    for item in items(run, &value)? {
        let keep = match args.get(0) {
            Some(key) => !property(run, &item, key)?.is_nil(),
            None => !item.is_nil(),
        };
        if keep {
            out.push(item);
        }
    }
    Ok(list(out))
}

pub(super) fn concat<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(1)?;
    let other = args.need(0)?;
    if !other.is_list() {
        return Fault::value("concat filter requires an array argument");
    }
    let mut all = items(run, &value)?;
    all.extend(items(run, other)?);
    Ok(list(all))
}

pub(super) fn map<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(1)?;
    let key = args.need(0)?;
    let mut out = Vec::new();
    for item in items(run, &value)? {
        out.push(property(run, &item, key)?);
    }
    Ok(list(out))
}

pub(super) fn sum<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(1)?;
    let mut total = Val::Int(0);
    for item in items(run, &value)? {
        let item = match args.get(0) {
            Some(key) if !key.is_nil() => property(run, &item, key)?,
            _ => item,
        };
        total = calculate(Op::Plus, &total, &number_of(&item))?;
    }
    Ok(total)
}

pub(super) fn uniq<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(1)?;
    let mut seen = std::collections::HashSet::new();
    let mut out = Vec::new();
    for item in items(run, &value)? {
        let key = match args.get(0) {
            Some(key) if !key.is_nil() => property(run, &item, key)?,
            _ => item.clone(),
        };
        let shown = format!("{key:?}");
        run.reserve(shown.len())?;
        if seen.insert(shown) {
            out.push(item);
        }
    }
    Ok(list(out))
}

fn sorted<'a>(
    run: &mut Run<'a, '_>,
    value: &Val<'a>,
    args: &Args<'a>,
    compare: impl Fn(&Val<'a>, &Val<'a>) -> Result<Ordering, Fault>,
) -> Out<'a> {
    args.most(1)?;
    let all = items(run, value)?;
    let mut keyed = Vec::with_capacity(all.len());
    for item in all {
        let key = match args.get(0) {
            Some(key) if !key.is_nil() => property(run, &item, key)?,
            _ => item.clone(),
        };
        keyed.push((key, item));
    }
    run.step(keyed.len() as u64 * 4)?;
    let mut fault = None;
    keyed.sort_by(|(a, _), (b, _)| match (a.is_nil(), b.is_nil()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        _ => compare(a, b).unwrap_or_else(|f| {
            fault = Some(f);
            Ordering::Equal
        }),
    });
    match fault {
        Some(_) => Fault::value("cannot sort values of incompatible types"),
        None => Ok(list(keyed.into_iter().map(|(_, v)| v).collect())),
    }
}

pub(super) fn sort<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    sorted(run, &value, args, |a, b| a.order(b))
}

pub(super) fn sort_natural<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    sorted(run, &value, args, |a, b| Ok(a.to_text().to_lowercase().cmp(&b.to_text().to_lowercase())))
}

fn matching<'a>(
    run: &mut Run<'a, '_>,
    value: &Val<'a>,
    args: &Args<'a>,
) -> Result<Vec<(usize, Val<'a>, bool)>, Fault> {
    args.most(2)?;
    let key = args.need(0)?;
    let wanted = args.get(1).filter(|v| !v.is_nil());
    let mut out = Vec::new();
    for (i, item) in items(run, value)?.into_iter().enumerate() {
        let found = match &item {
            Val::Str(s) if wanted.is_none() => Val::Bool(s.contains(&*key.to_text())),
            Val::Nil => Val::Nil,
            _ => property(run, &item, key)?,
        };
        let holds = match wanted {
            Some(wanted) => found.equals(wanted),
            None => found.truthy(),
        };
        out.push((i, item, holds));
    }
    Ok(out)
}

pub(super) fn where_<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    Ok(list(matching(run, &value, args)?.into_iter().filter(|m| m.2).map(|m| m.1).collect()))
}

pub(super) fn reject<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    Ok(list(matching(run, &value, args)?.into_iter().filter(|m| !m.2).map(|m| m.1).collect()))
}

pub(super) fn find<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    Ok(matching(run, &value, args)?.into_iter().find(|m| m.2).map_or(Val::Nil, |m| m.1))
}

pub(super) fn find_index<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    Ok(matching(run, &value, args)?.into_iter().find(|m| m.2).map_or(Val::Nil, |m| Val::Int(m.0 as i64)))
}

pub(super) fn has<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    Ok(Val::Bool(matching(run, &value, args)?.into_iter().any(|m| m.2)))
}

/// `items | group_by: "category"` → a list of `{name, items, size}` in order of first appearance.
pub(super) fn group_by<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(1)?;
    let key = args.need(0)?;
    let mut places = std::collections::HashMap::new();
    let mut groups: Vec<(Val<'a>, Vec<Val<'a>>)> = Vec::new();
    for item in items(run, &value)? {
        let name = property(run, &item, key)?;
        let place = *places.entry(name.to_text().into_owned()).or_insert_with(|| {
            groups.push((name.clone(), Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(item);
    }
    let record = |(name, items): (Val<'a>, Vec<Val<'a>>)| {
        let size = Val::Int(items.len() as i64);
        Val::Record(Rc::from(vec![
            (Cow::Borrowed("name"), name),
            (Cow::Borrowed("items"), list(items)),
            (Cow::Borrowed("size"), size),
        ]))
    };
    Ok(list(groups.into_iter().map(record).collect()))
}
