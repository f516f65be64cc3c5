//! Funnels in one pass over the rows in the order of time: for each profile and step the latest instant at which the
//! steps so far were complete. The nearest beginning serves best, so one instant is all that has to be known.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use expr::Window;
use model::column::Bits;

use super::over::{Over, Part, Reach};

/// Rows of one step, read from the front.
struct Cursor<'a> {
    step: usize,
    part: Part<'a>,
    row: usize,
    /// The profile of the row.
    number: usize,
}

impl Over<'_> {
    /// Those among some with an event of each step in turn, each strictly later than the one before and by less than
    /// its span.
    pub(crate) fn chain(&self, steps: &[u32], spans: &[i64], window: &Option<Window>, among: &Bits) -> Bits {
        let reach = self.reach(window);
        let mut cursors: Vec<Cursor<'_>> = Vec::new();
        for (step, feature) in steps.iter().enumerate() {
            for part in self.parts(self.feature(*feature), reach.outer()) {
                let row = part.range.start;
                let mut cursor = Cursor { step, part, row, number: 0 };
                if self.find(&mut cursor, &reach, among) {
                    cursors.push(cursor);
                }
            }
        }
        let last = spans.len();
        let mut reached: Vec<Vec<i64>> = vec![vec![i64::MIN; self.size()]; last];
        let mut out = Bits::empty(self.size());
        // At one instant later steps come first: an event follows only what lies strictly before it.
        let key = |cursor: &Cursor<'_>| (cursor.part.rows.times[cursor.row], Reverse(cursor.step));
        cursors.sort_by_key(|cursor| Reverse(key(cursor)));
        let mut open: BinaryHeap<Reverse<((i64, Reverse<usize>), usize)>> = BinaryHeap::new();
        let mut active: Vec<Cursor<'_>> = Vec::new();
        loop {
            // What begins later than everything at hand waits.
            while let Some(next) = cursors.last().map(key) {
                if open.peek().is_some_and(|Reverse((first, _))| *first < next) {
                    break;
                }
                let Some(cursor) = cursors.pop() else { break };
                open.push(Reverse((next, active.len())));
                active.push(cursor);
            }
            let Some(Reverse((_, at))) = open.pop() else { return out };
            let next = open.peek().map(|Reverse((first, _))| *first);
            let limit = next.into_iter().chain(cursors.last().map(key)).min();
            let cursor = &mut active[at];
            loop {
                let now = key(cursor);
                if limit.is_some_and(|limit| now > limit) {
                    open.push(Reverse((now, at)));
                    break;
                }
                let (time, step, number) = (now.0, cursor.step, cursor.number);
                let follows = step == 0 || {
                    let before = reached[step - 1][number];
                    before != i64::MIN && time < before.saturating_add(spans[step - 1])
                };
                if follows && step == last {
                    out.add(number);
                } else if follows {
                    reached[step][number] = time;
                }
                cursor.row += 1;
                if !self.find(cursor, &reach, among) {
                    break;
                }
            }
        }
    }

    /// Moves a cursor to the first row, from where it stands, that counts for somebody among some.
    fn find(&self, cursor: &mut Cursor<'_>, reach: &Reach, among: &Bits) -> bool {
        let Part { rows, range, mask, .. } = &cursor.part;
        while cursor.row < range.end {
            let row = cursor.row;
            if mask.has(row - range.start) {
                let mut number = rows.profiles[row] as usize;
                if let Some(owners) = self.owners {
                    number = owners.get(number).map_or(usize::MAX, |owner| *owner as usize);
                }
                let counts = among.has(number)
                    && match reach {
                        Reach::Same(_) => true,
                        Reach::Zoned(all) => {
                            let (from, until) = all[self.zones.place(self.people, number)];
                            rows.times[row] >= from && rows.times[row] < until
                        }
                    };
                if counts {
                    cursor.number = number;
                    return true;
                }
            }
            cursor.row += 1;
        }
        false
    }
}
