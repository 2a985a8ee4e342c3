//! A style sheet, as far as one must know it to say its rules at elements.
//!
//! What is understood wholly is certain. Of the rest (`@media`, `a:hover`, `[lang]`, `p + p`) it is known what it might
//! say, and of which elements: nothing may be said at an element that would win against it.

use std::ops::ControlFlow;

/// A rule of a style sheet.
pub(super) struct Rule {
    pub(super) selectors: Vec<Selector>,
    pub(super) declarations: Vec<Declaration>,
    /// Whether every program that reads style sheets keeps to it, at any time.
    pub(super) is_certain: bool,
}

/// `name: value`
pub(super) struct Declaration {
    /// In lower case.
    pub(super) name: String,
    /// Without `!important`, on one line.
    pub(super) value: String,
    /// Whether it says by itself the same at an element.
    pub(super) is_plain: bool,
    pub(super) is_important: bool,
}

/// `td.name > a`, the last compound last.
pub(super) struct Selector {
    /// None where it may be of any element.
    pub(super) compounds: Vec<Compound>,
    pub(super) is_certain: bool,
    pub(super) specificity: Specificity,
}

/// `td.name#id`
#[derive(Default)]
pub(super) struct Compound {
    /// In lower case.
    pub(super) name: Option<String>,
    pub(super) ids: Vec<String>,
    pub(super) classes: Vec<String>,
    /// Whether what is before it is its parent, and not just around it.
    pub(super) is_child: bool,
}

/// Which of several selectors wins: ids, classes, names (Selectors Level 3 §9).
pub(super) type Specificity = (usize, usize, usize);

impl Selector {
    /// What it costs to compare it with an element.
    pub(super) fn weight(&self) -> usize {
        1 + self.compounds.iter().map(|one| 1 + one.ids.len() + one.classes.len()).sum::<usize>()
    }
}

impl Compound {
    /// Whether it names more than a kind of element.
    pub(super) fn is_special(&self) -> bool {
        !self.ids.is_empty() || !self.classes.is_empty()
    }
}

impl Declaration {
    /// What is the same for all that may replace one another, such as `margin` and `margin-left`.
    pub(super) fn family(&self) -> &str {
        let name = self.name.strip_prefix('-').and_then(|vendor| Some(vendor.split_once('-')?.1)).unwrap_or(&self.name);
        match name.split('-').next().unwrap_or(name) {
            "line" => "font",
            "white" => "text",
            "word" => "overflow",
            "page" => "break",
            "grid" | "gap" | "row" | "column" | "columns" => "grid",
            "top" | "right" | "bottom" | "left" => "inset",
            "align" | "justify" => "place",
            "width" | "height" | "min" | "max" | "inline" | "block" => "size",
            family => family,
        }
    }
}

/// Whether strings, parentheses and brackets end that begin in it.
fn is_closed(value: &str) -> bool {
    let (mut open, mut string) = (Vec::new(), None);
    for b in value.bytes() {
        match (string, b) {
            (Some(quote), b) if b == quote => string = None,
            (None, b'"' | b'\'') => string = Some(b),
            (None, b'(' | b'[') => open.push(b),
            (None, b')') if open.pop() != Some(b'(') => return false,
            (None, b']') if open.pop() != Some(b'[') => return false,
            _ => {}
        }
    }
    open.is_empty() && string.is_none()
}

/// What separates words (CSS Syntax §4.2). Others, such as the no-break space, are letters.
const BLANKS: [char; 5] = [' ', '\t', '\n', '\r', '\x0c'];

/// Compounds that one selector may have: one bit each, while elements are looked through.
const COMPOUNDS: usize = 64;

/// How far `@media` may lie in `@supports` and so on.
const DEEPEST: usize = 8;

/// Pseudo-classes that every program knows, and that say nothing for sure.
const PASSING: [&str; 7] = ["link", "visited", "hover", "active", "focus", "first-child", "last-child"];

/// Pseudo-elements that every program knows: what they say is of something beside the element.
const BESIDE: [&str; 4] = ["before", "after", "first-line", "first-letter"];

/// The rules of a sheet; `None` for one of which it cannot be told what it says.
pub(super) fn rules(css: &str, is_certain: bool) -> Option<Vec<Rule>> {
    // What hides a sheet from programs of 1996.
    let css = css.trim_matches(BLANKS).trim_start_matches("<!--").trim_end_matches("-->");
    if has_odd_address(css) || css.contains("<!--") || css.contains("-->") {
        return None;
    }
    let css = without_comments(css);
    // What is said at an element must not make a rule be for it.
    let is_on_style = |rest: &str| {
        let name = rest.split(']').next().unwrap_or(rest).trim_matches(BLANKS);
        let is_style = name.get(..5).is_some_and(|word| word.eq_ignore_ascii_case("style"));
        is_style || name.starts_with(['|', '*']) || name.contains('\\')
    };
    if css.split('[').skip(1).any(is_on_style) {
        return None;
    }
    let mut rules = Vec::new();
    read(&css, is_certain, DEEPEST, &mut rules)?;
    Some(rules)
}

/// Whether it holds an address without quotes that would be read as a string or a comment here.
fn has_odd_address(css: &str) -> bool {
    let css = css.to_ascii_lowercase();
    css.split("url(").skip(1).any(|rest| {
        let address = rest.split(')').next().unwrap_or(rest).trim_matches(BLANKS);
        let inner = address.get(1..).unwrap_or_default();
        !address.starts_with(['"', '\'']) && (address.contains("/*") || inner.contains(['"', '\'', '(']))
    })
}

fn read(css: &str, is_certain: bool, deeper: usize, rules: &mut Vec<Rule>) -> Option<()> {
    let mut rest = css.trim_start_matches(BLANKS);
    while !rest.is_empty() {
        let stop = find(rest, if rest.starts_with('@') { b";{" } else { b"{" });
        let Some(stop) = stop else {
            // A sheet may end in a half: that is read by nobody.
            return (rest.starts_with('@') && may_be_passed_over(rest)).then_some(());
        };
        let prelude = rest[..stop].trim_matches(BLANKS);
        if rest.as_bytes()[stop] == b';' {
            may_be_passed_over(prelude).then_some(())?;
            rest = rest[stop + 1..].trim_start_matches(BLANKS);
            continue;
        }
        let length = length_of_block(&rest[stop + 1..])?;
        let block = &rest[stop + 1..stop + 1 + length];
        rest = rest[stop + 1 + length + 1..].trim_start_matches(BLANKS);
        match prelude.strip_prefix('@') {
            None => rules.extend(rule(prelude, block, is_certain)?),
            Some(at) if holds_rules(at) => read(block, false, deeper.checked_sub(1)?, rules)?,
            Some(at) => holds_no_rules(at).then_some(())?,
        }
    }
    Some(())
}

fn keyword(at: &str) -> &str {
    at.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next().unwrap_or_default()
}

fn holds_rules(at: &str) -> bool {
    ["media", "supports", "container"].iter().any(|one| one.eq_ignore_ascii_case(keyword(at)))
}

fn holds_no_rules(at: &str) -> bool {
    let word = keyword(at).to_ascii_lowercase();
    let word = word.strip_prefix('-').and_then(|vendor| Some(vendor.split_once('-')?.1)).unwrap_or(&word);
    ["font-face", "keyframes", "page", "viewport", "property", "counter-style"].contains(&word)
}

/// `@import` of a sheet that only brings fonts, `@charset` and the like.
fn may_be_passed_over(statement: &str) -> bool {
    let word = keyword(statement.trim_start_matches('@')).to_ascii_lowercase();
    match word.as_str() {
        "charset" => true,
        "import" => brings_fonts(statement),
        _ => false,
    }
}

/// Whether an address on the web is that of a host which only has fonts.
pub(super) fn brings_fonts(address: &str) -> bool {
    address.split_once("//").is_some_and(|(_, host)| host.starts_with("fonts."))
}

/// Nothing for one that says nothing of any element.
fn rule(prelude: &str, block: &str, is_certain: bool) -> Option<Option<Rule>> {
    // Rules inside rules.
    if block.contains(['{', '}']) {
        return None;
    }
    let declarations: Vec<Declaration> = split(block, b';').filter_map(declaration).collect();
    let selectors: Vec<Selector> =
        split(prelude, b',').filter_map(|text| selector(text).map_break(|_| ()).continue_value()).collect();
    // A list with a selector that a program does not know is nothing to it.
    let is_certain = is_certain && selectors.iter().all(|one| !one.compounds.is_empty());
    Some((!declarations.is_empty() && !selectors.is_empty()).then_some(Rule { selectors, declarations, is_certain }))
}

/// `None` for what no program keeps to.
fn declaration(text: &str) -> Option<Declaration> {
    let (name, value) = text.split_once(':')?;
    let (name, value) = (name.trim_end_matches(BLANKS), value.trim_matches(BLANKS));
    let marked = value.rsplit_once('!').filter(|(_, mark)| mark.trim_matches(BLANKS).eq_ignore_ascii_case("important"));
    let written = marked.map_or(value, |(value, _)| value.trim_end_matches(BLANKS));
    let value = written.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    if name.is_empty() || !name.bytes().all(is_ident) || value.is_empty() {
        return None;
    }
    let is_folded = value != written && value.contains(['"', '\'', '(']);
    let is_plain =
        !name.starts_with("--") && !is_folded && !value.contains('\\') && !value.to_ascii_lowercase().contains("var(");
    let is_plain = is_plain && is_closed(&value);
    Some(Declaration { name: name.to_ascii_lowercase(), is_plain, value, is_important: marked.is_some() })
}

/// A selector of something beside the element.
struct Beside;

fn selector(text: &str) -> ControlFlow<Beside, Selector> {
    let any = Selector { compounds: vec![], is_certain: false, specificity: (usize::MAX, 0, 0) };
    let mut selector = Selector { compounds: vec![], is_certain: true, specificity: (0, 0, 0) };
    let mut rest = text.trim_matches(BLANKS);
    while !rest.is_empty() {
        let is_child = match rest.as_bytes()[0] {
            b'>' => true,
            b'+' | b'~' => {
                // What is beside it is not looked at, so that it may be any.
                selector.compounds.clear();
                selector.is_certain = false;
                false
            }
            _ => false,
        };
        let begin = rest.trim_start_matches(['>', '+', '~']);
        if rest.len() - begin.len() > 1 || (begin.len() < rest.len() && selector.specificity == (0, 0, 0)) {
            return ControlFlow::Continue(any);
        }
        let Some((compound, after, kind)) = compound(begin.trim_start_matches(BLANKS), &mut selector.specificity)
        else {
            return ControlFlow::Continue(any);
        };
        if kind == Kind::Beside {
            return ControlFlow::Break(Beside);
        }
        selector.is_certain &= kind == Kind::Plain;
        selector.compounds.push(Compound { is_child: is_child && !selector.compounds.is_empty(), ..compound });
        rest = after.trim_start_matches(BLANKS);
    }
    let is_known = (1..=COMPOUNDS).contains(&selector.compounds.len());
    ControlFlow::Continue(if is_known { selector } else { any })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    /// It holds at times, or for what is not looked at.
    Passing,
    Beside,
}

fn compound<'t>(text: &'t str, specificity: &mut Specificity) -> Option<(Compound, &'t str, Kind)> {
    let (mut compound, mut kind) = (Compound::default(), Kind::Plain);
    let (name, mut rest) = ident(text);
    if !name.is_empty() && !is_name(name) {
        return None;
    }
    if !name.is_empty() {
        compound.name = Some(name.to_ascii_lowercase());
        specificity.2 += 1;
    } else if let Some(after) = text.strip_prefix('*') {
        rest = after;
    }
    while let Some(sign) = rest.chars().next().filter(|sign| matches!(sign, '.' | '#' | ':' | '[')) {
        let (word, after) =
            if sign == '[' { attribute(&rest[1..])? } else { ident(rest[1..].strip_prefix(':').unwrap_or(&rest[1..])) };
        if !is_name(word) {
            return None;
        }
        match sign {
            '.' => compound.classes.push(word.to_owned()),
            '#' => compound.ids.push(word.to_owned()),
            '[' => kind = Kind::Passing,
            _ if BESIDE.iter().any(|one| one.eq_ignore_ascii_case(word)) => {
                return after.is_empty().then_some((compound, "", Kind::Beside));
            }
            _ if rest.starts_with("::") || !PASSING.iter().any(|one| one.eq_ignore_ascii_case(word)) => return None,
            _ => kind = Kind::Passing,
        }
        if sign == '#' {
            specificity.0 += 1;
        } else {
            specificity.1 += 1;
        }
        rest = after;
    }
    let ends = rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_whitespace() || matches!(c, '>' | '+' | '~'));
    (ends && rest.len() < text.len()).then_some((compound, rest, kind))
}

/// The name in `lang="en"]`, and what is behind the bracket.
fn attribute(text: &str) -> Option<(&str, &str)> {
    let (inner, after) = text.split_once(']')?;
    let (name, rest) = ident(inner.trim_matches(BLANKS));
    let rest = rest.trim_start_matches(BLANKS).trim_start_matches(['~', '|', '^', '$', '*']);
    let value = rest.strip_prefix('=').map(|rest| rest.trim_matches(BLANKS));
    let is_word = |value: &str| {
        let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        quoted.is_some_and(|words| !words.contains(['"', '\\', '\n'])) || is_name(value) && value.bytes().all(is_ident)
    };
    (rest.is_empty() || value.is_some_and(is_word)).then_some((name, after))
}

/// Whether it begins as names do (CSS Syntax §4.3.9).
fn is_name(word: &str) -> bool {
    let begin = word.strip_prefix('-').unwrap_or(word);
    begin.bytes().next().is_some_and(|b| is_ident(b) && !b.is_ascii_digit())
}

fn ident(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().position(|b| !is_ident(b)).unwrap_or(text.len()))
}

fn is_ident(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'-' || b == b'_' || !b.is_ascii()
}

/// The sheet with a blank for each comment.
fn without_comments(css: &str) -> String {
    let (mut clean, mut after, mut at) = (String::with_capacity(css.len()), 0, 0);
    let bytes = css.as_bytes();
    while at < bytes.len() {
        match bytes[at] {
            quote @ (b'"' | b'\'') => at = end_of_string(bytes, at, quote),
            b'\\' => at += 1,
            b'/' if bytes[at..].starts_with(b"/*") => {
                clean.push_str(&css[after..at]);
                clean.push(' ');
                after = css[at + 2..].find("*/").map_or(css.len(), |end| at + 2 + end + 2);
                at = after;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    clean + &css[after.min(css.len())..]
}

/// The first of `stops` that is in no string and no parentheses.
fn find(css: &str, stops: &[u8]) -> Option<usize> {
    let bytes = css.as_bytes();
    let (mut at, mut open) = (0, Vec::new());
    loop {
        match *bytes.get(at)? {
            b if open.is_empty() && stops.contains(&b) => return Some(at),
            quote @ (b'"' | b'\'') => at = end_of_string(bytes, at, quote),
            b'\\' => at += 1,
            b @ (b'(' | b'[') => open.push(b),
            // Any other closes nothing (CSS Syntax §5.4.8).
            b')' => drop(open.pop_if(|one| *one == b'(')),
            b']' => drop(open.pop_if(|one| *one == b'[')),
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

/// How long the block is whose opening brace was before `css`.
fn length_of_block(css: &str) -> Option<usize> {
    let (mut at, mut depth) = (0, 1);
    loop {
        let stop = at + find(&css[at..], b"{}")?;
        depth = if css.as_bytes()[stop] == b'{' { depth + 1 } else { depth - 1 };
        if depth == 0 {
            return Some(stop);
        }
        at = stop + 1;
    }
}

fn split(text: &str, by: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = find(text, &[by]);
        rest = end.map(|end| &text[end + 1..]);
        Some(text[..end.unwrap_or(text.len())].trim_matches(BLANKS))
    })
}
