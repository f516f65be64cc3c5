//! What the contract says of a template is true of its renders: no missing value is printed where it reports none, and what
//! it reports can be seen. Random templates, every subset of the values that may be missing.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test harness")]

use std::collections::BTreeSet;

use model::Value;
use serde_json::json;
use template::contract::{Contract, Known, PathKind, Schema, contract};
use template::{Body, Dressing, Options, Source, Template};

/// A generator of its own, so that a case is named by its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % sides
    }
    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.roll(of.len())]
    }
}

/// What may be missing: a pointer into the data, and what stands there otherwise.
const MAY_MISS: &[&str] = &[
    "/customer/first_name",
    "/customer/city",
    "/customer/tags",
    "/event/name",
    "/event/items",
    "/event/items/0/name",
    "/event/items/1/name",
    "/event/items/*",
    "/customer/tags/*",
];

/// Values that conditions of the generator ask for, in place of the usual ones.
const MAY_DIFFER: &[&str] =
    &["/customer/first_name", "/customer/city", "/event/name", "/event/items/0/name", "/event/items/0/sku"];

/// Subsets looked at for each template.
const LOOKS: usize = 200;

fn full() -> Value {
    json!({
        "customer": {"id": 7, "first_name": "Eve", "city": "Oslo", "tags": ["a", "b"]},
        "event": {"name": "Lamp", "items": [{"name": "Lamp", "sku": "L"}, {"name": "Rug", "sku": "R"}]},
    })
}

/// The data without those of the subset.
fn data(subset: usize) -> Value {
    let mut data = full();
    for (n, pointer) in MAY_DIFFER.iter().enumerate() {
        if subset & (1 << (MAY_MISS.len() + n)) != 0 {
            *data.pointer_mut(pointer).unwrap() = json!("Ada");
        }
    }
    for (n, pointer) in MAY_MISS.iter().enumerate() {
        if subset & (1 << n) == 0 {
            continue;
        }
        if let Some(list) = pointer.strip_suffix("/*") {
            if let Some(list) = data.pointer_mut(list) {
                *list = json!([]);
            }
            continue;
        }
        let (whole, key) = pointer.rsplit_once('/').unwrap();
        if let Some(Value::Object(whole)) = data.pointer_mut(whole) {
            whole.remove(key);
        }
    }
    data
}

fn schema() -> Schema {
    let mut schema = Schema::default();
    let mut put = |path: &str, kind, value_type, always| {
        let known = Known { kind, value_type: Some(value_type), declared: true, always, seen: None };
        schema.paths.insert(path.to_owned(), known);
    };
    put("customer", PathKind::Attribute, "object", true);
    put("customer.id", PathKind::Attribute, "number", true);
    put("customer.first_name", PathKind::Attribute, "text", false);
    put("customer.city", PathKind::Attribute, "text", false);
    put("customer.tags", PathKind::Attribute, "list", false);
    put("event", PathKind::Event, "object", true);
    put("event.name", PathKind::Event, "text", false);
    put("event.items", PathKind::Event, "list", false);
    put("event.items[]", PathKind::Event, "object", false);
    put("event.items[].name", PathKind::Event, "text", false);
    put("event.items[].sku", PathKind::Event, "text", true);
    schema
}

/// Writes a template; each print is numbered.
struct Author {
    dice: Dice,
    prints: usize,
    out: String,
    loops: usize,
    /// No way depends on another: no variables in branches, conditions that ask for presence alone, nothing nested.
    plain: bool,
}

impl Author {
    fn new(seed: u64, plain: bool) -> Author {
        let dice = Dice(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let mut author = Author { dice, prints: 0, out: String::new(), loops: 0, plain };
        for _ in 0..8 {
            author.dice.roll(2);
        }
        author
    }

    /// The line of a print.
    fn line(&self, number: usize) -> usize {
        let mark = format!("«{number}:");
        1 + self.out.lines().position(|line| line.contains(&mark)).unwrap()
    }

    fn path(&mut self) -> String {
        let all = [
            "customer.first_name",
            "customer.city",
            "event.name",
            "customer.id",
            "event.items.first.name",
            "event.items[0].sku",
            "v",
            "w",
        ];
        let in_loop = ["p.name", "p.sku", "customer.first_name", "v", "forloop.index"];
        if self.loops > 0 && self.dice.roll(2) == 0 { self.dice.one(&in_loop) } else { self.dice.one(&all) }
            .to_owned()
    }

    fn expression(&mut self) -> String {
        let path = self.path();
        match self.dice.roll(9) {
            0 => format!("{path} | default: \"you\""),
            1 => format!("{path} | upcase"),
            2 => format!("{path} | upcase | default: \"you\""),
            3 if !self.plain => format!("{path} | default: {}", self.path()),
            4 => "customer.tags | join: \", \"".to_owned(),
            5 => "event.items | map: \"sku\" | first".to_owned(),
            6 => "\"sure\"".to_owned(),
            _ => path,
        }
    }

    fn term(&mut self) -> String {
        let all = [
            "customer.first_name",
            "customer.city",
            "event.name",
            "event.items.first.name",
            "event.items[0].sku",
            "v",
            "w",
        ];
        let path = if self.loops > 0 && self.dice.roll(3) == 0 { "p.name" } else { self.dice.one(&all) };
        if self.plain {
            let path = self.dice.one(&["customer.first_name", "customer.city", "event.name"]);
            return self.dice.one(&["", " != blank", " != nil"]).replacen("", path, 1);
        }
        match self.dice.roll(10) {
            0 => format!("{path} != blank"),
            1 => format!("{path} == nil"),
            2 => format!("{path} == \"Ada\""),
            3 => "event.items.size > 0".to_owned(),
            4 => "customer.tags contains \"a\"".to_owned(),
            5 => format!("{path} == blank"),
            6 => "event.items".to_owned(),
            7 => format!("{path} != \"Ada\""),
            _ => path.to_owned(),
        }
    }

    fn condition(&mut self) -> String {
        let mut out = self.term();
        for _ in 0..if self.plain { 0 } else { self.dice.roll(3) } {
            let join = self.dice.one(&["and", "or"]);
            out = format!("{out} {join} {}", self.term());
        }
        out
    }

    fn body(&mut self, depth: usize) {
        for _ in 0..=self.dice.roll(3) {
            self.node(depth);
        }
    }

    fn node(&mut self, depth: usize) {
        let most = match (depth, self.plain) {
            (0, true) => 2,
            (0, false) => 3,
            (_, true) => 5,
            _ => 9,
        };
        match self.dice.roll(most) {
            0 | 1 => {
                let expression = self.expression();
                self.out.push_str(&format!("«{}:{{{{ {expression} }}}}»\n", self.prints));
                self.prints += 1;
            }
            2 => {
                let (name, expression) = (self.dice.one(&["v", "w"]), self.expression());
                self.out.push_str(&format!("{{% assign {name} = {expression} %}}\n"));
            }
            3 | 4 => {
                let condition = self.condition();
                self.out.push_str(&format!("{{% if {condition} %}}\n"));
                self.body(depth - 1);
                if !self.plain && self.dice.roll(3) == 0 {
                    let condition = self.condition();
                    self.out.push_str(&format!("{{% elsif {condition} %}}\n"));
                    self.body(depth - 1);
                }
                if self.dice.roll(2) == 0 {
                    self.out.push_str("{% else %}\n");
                    self.body(depth - 1);
                }
                self.out.push_str("{% endif %}\n");
            }
            5 => {
                let condition = self.condition();
                let leave =
                    if self.loops > 0 { self.dice.one(&["continue", "break"]) } else { "abort \"no\"" };
                self.out.push_str(&format!("{{% unless {condition} %}}{{% {leave} %}}{{% endunless %}}\n"));
            }
            6 => {
                let path = self.path();
                self.out.push_str(&format!("{{% case {path} %}}{{% when \"Ada\", \"Lamp\" %}}\n"));
                self.body(depth - 1);
                if self.dice.roll(2) == 0 {
                    self.out.push_str("{% when nil %}\n");
                    self.body(depth - 1);
                }
                if self.dice.roll(2) == 0 {
                    self.out.push_str("{% else %}\n");
                    self.body(depth - 1);
                }
                self.out.push_str("{% endcase %}\n");
            }
            7 => {
                self.out.push_str("{% for p in event.items %}\n");
                self.loops += 1;
                self.body(depth - 1);
                self.loops -= 1;
                if self.dice.roll(2) == 0 {
                    self.out.push_str("{% else %}\n");
                    self.body(depth - 1);
                }
                self.out.push_str("{% endfor %}\n");
            }
            _ => {
                let path = self.path();
                self.out.push_str(&format!(
                    "{{% capture w %}}x{{{{ {path} | default: \"y\" }}}}{{% endcapture %}}\n"
                ));
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "tests are told how long to look")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn template(text: &str) -> Template {
    let source = Source {
        engine: template::Engine::Liquid,
        subject: "S".to_owned(),
        preheader: String::new(),
        body: Body::Html("<p>B</p>".to_owned()),
        text: Some(text.to_owned()),
    };
    Template::compile(&source).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The prints that showed nothing for some data.
fn shown(template: &Template) -> BTreeSet<usize> {
    let mut out = BTreeSet::new();
    let mut dice = Dice(0x1234_5678_9abc_def1);
    let mut all: Vec<usize> = (0..MAY_MISS.len() + MAY_DIFFER.len()).map(|n| 1 << n).collect();
    all.extend([0, (1 << MAY_MISS.len()) - 1]);
    all.extend((0..LOOKS).map(|_| {
        // Few missing at once, mostly: many ways need much to be there.
        let subset = dice.roll(1 << (MAY_MISS.len() + MAY_DIFFER.len()));
        if dice.roll(2) == 0 { subset } else { subset & dice.roll(1 << (MAY_MISS.len() + MAY_DIFFER.len())) }
    }));
    for subset in all {
        let data = data(subset);
        let rendered =
            template.render(&data, &Options::default(), &Dressing::default(), &mut |link| link.url.clone());
        // An abort is an answer: nobody gets a mail.
        let Ok(rendered) = rendered else { continue };
        for piece in rendered.text.split('«').skip(1) {
            let (number, rest) = piece.split_once(':').unwrap();
            if rest.split('»').next().unwrap().trim().is_empty() {
                out.insert(number.parse().unwrap());
            }
        }
    }
    out
}

fn missing(contract: &Contract) -> BTreeSet<(usize, usize)> {
    let found = contract.findings.iter().filter(|each| each.finding.code == "missing_fallback");
    found.map(|each| (each.finding.line, each.finding.column)).collect()
}

#[test]
fn what_the_contract_does_not_report_is_never_printed_empty_and_most_of_what_it_reports_can_be_seen() {
    let cases = environment("RAPPORT_CONTRACT_CASES").and_then(|n| n.parse().ok()).unwrap_or(250);
    let (mut reported, mut seen, mut clean) = (0, 0, 0);
    for seed in 1..=cases {
        let mut author = Author::new(seed, false);
        author.body(3);
        let template = template(&author.out);
        let contract = contract(&template, &schema(), &[]);
        let lines: BTreeSet<usize> = missing(&contract).into_iter().map(|(line, _)| line).collect();
        let shown: BTreeSet<usize> = shown(&template).into_iter().map(|number| author.line(number)).collect();
        let hidden: Vec<_> = shown.difference(&lines).collect();
        assert!(
            hidden.is_empty(),
            "seed {seed}: lines {hidden:?} print nothing, unreported:\n{}",
            author.out
        );
        reported += lines.len();
        seen += lines.intersection(&shown).count();
        clean += usize::from(lines.is_empty());
    }
    println!("{cases} templates: {clean} clean, {reported} places reported, {seen} of them seen");
    assert!(clean * 20 > cases as usize, "too few templates are clean for the test to say anything: {clean}");
}

#[test]
fn where_ways_do_not_depend_on_each_other_everything_that_is_reported_can_be_seen() {
    let mut reported = 0;
    for seed in 1..=200 {
        let mut author = Author::new(seed, true);
        author.body(1);
        author.body(1);
        let template = template(&author.out);
        let contract = contract(&template, &schema(), &[]);
        let lines: BTreeSet<usize> = missing(&contract).into_iter().map(|(line, _)| line).collect();
        let shown: BTreeSet<usize> = shown(&template).into_iter().map(|number| author.line(number)).collect();
        assert_eq!(lines, shown, "seed {seed}:\n{}", author.out);
        reported += lines.len();
    }
    assert!(reported > 100, "too little is reported for the test to say anything: {reported}");
}
