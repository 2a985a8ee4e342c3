//! A style sheet as far as it can be said at each element: rules of plain selectors.
//!
//! What is not understood here (`@media`, `a:hover`, `[lang]`, `p + p`) is left where it is, for programs that do.

use super::html::Tag;
use std::collections::HashSet;
use std::ops::Range;

/// A rule of a style sheet.
pub(super) struct Rule<'a> {
    /// Where it stands in the sheet.
    pub(super) place: Range<usize>,
    pub(super) selectors: Vec<(&'a str, Option<Selector<'a>>)>,
    /// What is between its braces.
    pub(super) block: &'a str,
    pub(super) declarations: Vec<Declaration<'a>>,
}

/// `name: value`, as it was written.
pub(super) struct Declaration<'a> {
    pub(super) name: &'a str,
    /// Without `!important`.
    pub(super) value: &'a str,
    pub(super) important: bool,
}

/// `td.name > a`, the last compound last.
pub(super) struct Selector<'a> {
    pub(super) compounds: Vec<Compound<'a>>,
}

/// `td.name#id`
#[derive(Default)]
pub(super) struct Compound<'a> {
    name: Option<&'a str>,
    ids: Vec<&'a str>,
    classes: Vec<&'a str>,
    /// Whether what is before it is its parent, and not just around it.
    pub(super) is_child: bool,
}

/// Which of several selectors wins: ids, classes, names (Selectors Level 3 §9).
pub(super) type Specificity = (usize, usize, usize);

/// Compounds that one selector may have: one bit each, while elements are looked through.
const COMPOUNDS: usize = 64;

/// The sheet with blanks for its comments, every place where it was.
pub(super) fn without_comments(css: &str) -> String {
    let mut clean = String::with_capacity(css.len());
    let mut rest = css;
    while let Some(begin) = rest.find("/*") {
        let end = rest[begin + 2..].find("*/").map_or(rest.len(), |end| begin + 2 + end + 2);
        clean.push_str(&rest[..begin]);
        clean.extend(std::iter::repeat_n(' ', end - begin));
        rest = &rest[end..];
    }
    clean + rest
}

/// Those rules of a sheet without comments that may be said at each element.
pub(super) fn rules(css: &str) -> Vec<Rule<'_>> {
    let mut rules = Vec::new();
    let mut at = 0;
    while let Some(start) = css[at..].find(|c: char| !c.is_ascii_whitespace() && c != ';').map(|start| at + start) {
        let Some(stop) = find(css, start, if css[start..].starts_with('@') { b";{" } else { b"{" }) else { break };
        at = stop + 1;
        if css.as_bytes()[stop] == b'{' {
            let Some(end) = end_of_block(css, stop) else { break };
            at = end;
            rules.extend(rule(css, start..stop, stop + 1..end - 1));
        }
    }
    rules
}

fn rule(css: &str, prelude: Range<usize>, block: Range<usize>) -> Option<Rule<'_>> {
    let place = prelude.start..block.end + 1;
    let (prelude, block) = (&css[prelude], &css[block]);
    if prelude.starts_with('@') {
        return None;
    }
    let declarations = split(block, b';').filter(|one| !one.is_empty()).map(declaration);
    let declarations = declarations.collect::<Option<Vec<_>>>().filter(|all| !all.is_empty())?;
    let selectors = split(prelude, b',').map(|one| (one, selector(one))).collect();
    Some(Rule { place, selectors, block, declarations })
}

fn declaration(text: &str) -> Option<Declaration<'_>> {
    let (name, value) = text.split_once(':')?;
    let (name, value) = (name.trim(), value.trim());
    let is_plain = |text: &str| !text.is_empty() && text.bytes().all(is_ident);
    let marked = value.rsplit_once('!').filter(|(_, mark)| mark.trim().eq_ignore_ascii_case("important"));
    let declaration =
        Declaration { name, value: marked.map_or(value, |(value, _)| value.trim_end()), important: marked.is_some() };
    (is_plain(name) && !declaration.value.is_empty() && !value.contains('{')).then_some(declaration)
}

/// `None` for what only programs that show mail can tell, such as `a:hover`.
fn selector(text: &str) -> Option<Selector<'_>> {
    let mut compounds: Vec<Compound<'_>> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let child = rest.trim_start().strip_prefix('>');
        let is_child = child.is_some() && !compounds.is_empty();
        if child.is_some() != is_child {
            return None;
        }
        let (compound, after) = compound(child.unwrap_or(rest).trim_start())?;
        compounds.push(Compound { is_child, ..compound });
        rest = after;
    }
    (1..=COMPOUNDS).contains(&compounds.len()).then_some(Selector { compounds })
}

fn compound(text: &str) -> Option<(Compound<'_>, &str)> {
    let mut compound = Compound::default();
    let (name, mut rest) = ident(text);
    if !name.is_empty() {
        compound.name = Some(name);
    } else if let Some(after) = text.strip_prefix('*') {
        rest = after;
    }
    while let Some(kind @ ('.' | '#')) = rest.chars().next() {
        let (word, after) = ident(&rest[1..]);
        if word.is_empty() {
            return None;
        }
        if kind == '.' {
            compound.classes.push(word);
        } else {
            compound.ids.push(word);
        }
        rest = after;
    }
    let ends = rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_whitespace() || c == '>');
    (ends && rest.len() < text.len()).then_some((compound, rest))
}

fn ident(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().position(|b| !is_ident(b)).unwrap_or(text.len()))
}

fn is_ident(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'-' || b == b'_' || !b.is_ascii()
}

/// What an element's own `style` says something of, in lower case.
pub(super) fn names(style: &str) -> HashSet<String> {
    split(style, b';').filter_map(|one| Some(one.split_once(':')?.0.trim().to_ascii_lowercase())).collect()
}

impl<'a> Selector<'a> {
    /// What it costs to compare it with an element.
    pub(super) fn weight(&self) -> usize {
        self.compounds.iter().map(|one| 1 + one.ids.len() + one.classes.len()).sum()
    }

    /// What it says of the element itself.
    pub(super) fn last(&self) -> Option<&Compound<'a>> {
        self.compounds.last()
    }

    pub(super) fn specificity(&self) -> Specificity {
        self.compounds.iter().fold((0, 0, 0), |(ids, classes, names), one| {
            (ids + one.ids.len(), classes + one.classes.len(), names + usize::from(one.name.is_some()))
        })
    }
}

impl Compound<'_> {
    /// Whether it says this of an element, wherever that lies.
    pub(super) fn matches(&self, tag: &Tag<'_>) -> bool {
        let has_class = |class: &&str| tag.value("class").split_ascii_whitespace().any(|one| one == *class);
        self.name.is_none_or(|name| name.eq_ignore_ascii_case(tag.name))
            && self.ids.iter().all(|id| tag.value("id") == *id)
            && self.classes.iter().all(has_class)
    }
}

/// The first of `stops` that is in no string and no parentheses.
fn find(css: &str, start: usize, stops: &[u8]) -> Option<usize> {
    let bytes = css.as_bytes();
    let (mut at, mut open) = (start, 0_usize);
    loop {
        match *bytes.get(at)? {
            b if open == 0 && stops.contains(&b) => return Some(at),
            quote @ (b'"' | b'\'') => at = end_of_string(bytes, at, quote),
            b'\\' => at += 1,
            b'(' => open += 1,
            b')' => open = open.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
}

/// Where a string ends: at its other quote, or with the line (CSS Syntax §4.3.5).
fn end_of_string(bytes: &[u8], start: usize, quote: u8) -> usize {
    let mut at = start + 1;
    while bytes.get(at).is_some_and(|b| *b != quote && *b != b'\n') {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at
}

/// The place behind the brace that closes the one at `open`.
fn end_of_block(css: &str, open: usize) -> Option<usize> {
    let (mut at, mut depth) = (open + 1, 1);
    while depth > 0 {
        let stop = find(css, at, b"{}")?;
        if css.as_bytes()[stop] == b'{' {
            depth += 1;
        } else {
            depth -= 1;
        }
        at = stop + 1;
    }
    Some(at)
}

fn split(text: &str, by: u8) -> impl Iterator<Item = &str> {
    let mut at = Some(0);
    std::iter::from_fn(move || {
        let start = at?;
        let end = find(text, start, &[by]);
        at = end.map(|end| end + 1);
        Some(text[start..end.unwrap_or(text.len())].trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each rule: its selectors, those that are left in parentheses, and its declarations.
    fn read(css: &str) -> Vec<String> {
        let css = without_comments(css);
        let selectors = |rule: &Rule<'_>| {
            let one = |(text, known): &(&str, Option<Selector<'_>>)| {
                if known.is_some() { (*text).to_owned() } else { format!("({text})") }
            };
            rule.selectors.iter().map(one).collect::<Vec<_>>().join(",")
        };
        let declarations = |rule: &Rule<'_>| {
            let one =
                |one: &Declaration<'_>| format!("{}={}{}", one.name, one.value, if one.important { "!" } else { "" });
            rule.declarations.iter().map(one).collect::<Vec<_>>().join(";")
        };
        rules(&css).iter().map(|rule| format!("{} {}", selectors(rule), declarations(rule))).collect()
    }

    #[test]
    fn a_sheet_is_read_as_far_as_it_can_be_said_at_elements() {
        for (css, expected) in [
            ("p{color:red}", vec!["p color=red"]),
            ("td.a > b , #c *{ a : b!important; c:d ; }", vec!["td.a > b,#c * a=b!;c=d"]),
            ("a:hover, a[x], a+b, .x, >p {a:b}", vec!["(a:hover),(a[x]),(a+b),.x,(>p) a=b"]),
            ("@import url(x;y); @media print { p { a:b } } i{a:b}", vec!["i a=b"]),
            ("/* p{a:b} */ p{/* ; */a:b}", vec!["p a=b"]),
            ("p{a:url(data:x;y);b:\"};\"}i{c:d}", vec!["p a=url(data:x;y);b=\"};\"", "i c=d"]),
            ("p{*zoom:1} i{a b} b{a:b}", vec!["b a=b"]), // what is written for one program is left to it
            ("p{a{b:c}} i{a:b", vec![]),
            ("} p{a:b}", vec!["(} p) a=b"]),
            ("<!-- p{a:b} -->", vec!["(<!-- p) a=b"]),
        ] {
            assert_eq!(read(css), expected, "{css}");
        }
    }

    #[test]
    fn the_closer_one_wins() {
        let of = |text| selector(text).unwrap().specificity();
        assert!(of("#a") > of(".a.b td") && of(".a") > of("table td p") && of("p a") > of("a"));
    }
}
