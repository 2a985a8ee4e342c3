//! What style sheets say, said at each element: many programs that show mail read no style sheet.

use super::css::{Declaration, Rule, Selector, Specificity, names, rules, without_comments};
use super::html::{Attribute, Document, Element, Style, Tag};
use super::tags::Tags;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// Steps that one letter may take: some ten times what a long newsletter needs.
const STEPS: usize = 5_000_000;

/// Elements that show nothing.
const UNSEEN: [&str; 8] = ["head", "meta", "title", "link", "style", "script", "base", "noscript"];

/// Why styles cannot be said at the elements.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There are too many rules for so many elements.
    TooManyRules,
    /// The letter would become too long.
    TooLong,
}

/// A place in the text, and what is put there.
type Edit = (Range<usize>, String);

/// Says the rules of all style sheets at the elements that they are for. What cannot be said there stays.
pub(super) fn inline(html: &str, tags: &Tags<'_>, longest: usize) -> Result<String, Refusal> {
    let document = Document::of(html);
    let blocks = tags.blocks(html);
    let styles = document.styles.iter().filter(|style| is_for_everybody(style, &blocks) && !tags.steer(style.css));
    let styles: Vec<&Style<'_>> = styles.collect();
    let sheets: Vec<String> = styles.iter().map(|style| without_comments(style.css)).collect();
    let rules: Vec<Vec<Rule<'_>>> = sheets.iter().map(|css| rules(css)).collect();
    let all: Vec<&Rule<'_>> = rules.iter().flatten().collect();
    let found = Found::of(&document, &all)?;

    let mut edits: Vec<Edit> = Vec::new();
    if !document.elements.iter().any(|element| depends(&element.tag, tags)) {
        let mut staying = found.staying.iter();
        for (style, rules) in styles.iter().zip(&rules) {
            edits.extend(shorter(style, rules, staying.by_ref().take(rules.len())));
        }
    }
    let mut length = html.len();
    for (element, hits) in document.elements.iter().zip(found.elements).filter(|(_, hits)| !hits.is_empty()) {
        let edit = styled(html, &element.tag, &said(hits, &all), tags);
        length += edit.1.len();
        if length > longest {
            return Err(Refusal::TooLong);
        }
        edits.push(edit);
    }
    Ok(edited(html, edits))
}

/// Whether every program and every person gets it: it stands in none of the template's blocks.
fn is_for_everybody(style: &Style<'_>, blocks: &[Range<usize>]) -> bool {
    let before = blocks.partition_point(|block| block.start < style.place.start);
    matches!(style.tag.value("media"), "" | "all")
        && matches!(style.tag.value("type"), "" | "text/css")
        && before.checked_sub(1).is_none_or(|last| blocks[last].end < style.place.start)
}

/// Whether it is known only for each person what the element is called: then its rules must stay, to be found there.
fn depends(tag: &Tag<'_>, tags: &Tags<'_>) -> bool {
    tags.are_in(tag.name)
        || tag.attributes.iter().any(|one| tags.are_in(one.name))
        || [tag.value("class"), tag.value("id")].iter().any(|called| tags.are_in(called) || called.contains('&'))
}

/// Which rules are for which elements.
struct Found<'a> {
    /// Of each element, the rules for it by their numbers.
    elements: Vec<Vec<(Specificity, usize)>>,
    /// Of each rule, the selectors that stay in the sheet.
    staying: Vec<Vec<&'a str>>,
}

impl<'a> Found<'a> {
    fn of(document: &Document<'_>, rules: &[&Rule<'a>]) -> Result<Self, Refusal> {
        let mut left = STEPS.checked_sub(steps(document, rules)).ok_or(Refusal::TooManyRules)?;
        let mut found = Self { elements: vec![vec![]; document.elements.len()], staying: vec![] };
        for (number, rule) in rules.iter().enumerate() {
            let mut staying = vec![];
            for (text, selector) in &rule.selectors {
                let hits = selector.as_ref().map(|one| matching(one, &document.elements)).unwrap_or_default();
                let cost = hits.len() * rule.declarations.len();
                left = left.checked_sub(cost).ok_or(Refusal::TooManyRules)?;
                if hits.is_empty() || stays(rule, selector.as_ref(), &document.hidden) {
                    staying.push(*text);
                }
                let specificity = selector.as_ref().map(Selector::specificity).unwrap_or_default();
                hits.into_iter().for_each(|element| found.elements[element].push((specificity, number)));
            }
            found.staying.push(staying);
        }
        Ok(found)
    }
}

/// Whether a rule must be found in the sheet as well: it is to win against what stays there, or is also for an element that only
/// some programs see, in a comment where nothing can be said.
fn stays(rule: &Rule<'_>, selector: Option<&Selector<'_>>, hidden: &[Tag<'_>]) -> bool {
    let last = selector.and_then(Selector::last);
    rule.declarations.iter().any(|one| one.important)
        || last.is_some_and(|last| hidden.iter().any(|tag| last.matches(tag)))
}

/// What it costs to look for all elements of all rules.
fn steps(document: &Document<'_>, rules: &[&Rule<'_>]) -> usize {
    let tags = document.elements.iter().map(|element| &element.tag).chain(&document.hidden);
    let selectors = rules.iter().flat_map(|rule| &rule.selectors).filter_map(|(_, known)| known.as_ref());
    tags.map(weight).sum::<usize>().saturating_mul(selectors.map(Selector::weight).sum())
}

/// What it costs to look at an element once.
fn weight(tag: &Tag<'_>) -> usize {
    1 + tag.attributes.len() / 4 + tag.value("class").len() / 64
}

/// The elements that a selector is for, in one pass over all. Of each element two sets of bits are kept: which beginnings of the
/// selector end at it, and which at one around it.
fn matching(selector: &Selector<'_>, elements: &[Element<'_>]) -> Vec<usize> {
    let mut at = vec![0_u64; elements.len()];
    let mut around = vec![0_u64; elements.len()];
    for (number, element) in elements.iter().enumerate() {
        let parent = element.parent.map_or(0, |parent| at[parent]);
        around[number] = parent | element.parent.map_or(0, |parent| around[parent]);
        for (bit, compound) in selector.compounds.iter().enumerate() {
            let before = if compound.is_child { parent } else { around[number] };
            if (bit == 0 || before >> (bit - 1) & 1 == 1) && compound.matches(&element.tag) {
                at[number] |= 1 << bit;
            }
        }
    }
    let last = selector.compounds.len() - 1;
    let is_seen = |number: &usize| !UNSEEN.iter().any(|name| name.eq_ignore_ascii_case(elements[*number].tag.name));
    (0..elements.len()).filter(|number| at[*number] >> last & 1 == 1).filter(is_seen).collect()
}

/// The style sheet without what is said elsewhere; nothing where all of it is.
fn shorter<'a>(style: &Style<'_>, rules: &[Rule<'_>], staying: impl Iterator<Item = &'a Vec<&'a str>>) -> Option<Edit> {
    let (mut css, mut after) = (String::new(), 0);
    for (rule, staying) in rules.iter().zip(staying).filter(|(rule, staying)| staying.len() < rule.selectors.len()) {
        css.push_str(&style.css[after..rule.place.start]);
        if !staying.is_empty() {
            css.push_str(&format!("{}{{{}}}\n", staying.join(","), rule.block.trim()));
        }
        let rest = &style.css[rule.place.end..];
        after = style.css.len() - rest.trim_start().len();
    }
    if after == 0 {
        return None;
    }
    css.push_str(&style.css[after..]);
    if without_comments(&css).trim().is_empty() {
        return Some((style.place.clone(), String::new()));
    }
    let start = style.tag.place.end;
    Some((start..start + style.css.len(), css))
}

/// The element's `style`, with what the rules say: before its own, which is stronger, or behind it where they are important.
fn styled(html: &str, tag: &Tag<'_>, said: &[(usize, &Declaration<'_>)], tags: &Tags<'_>) -> Edit {
    let own = tag.attribute("style");
    let own_words = own.map(|own| own.value.trim().trim_end_matches(';')).unwrap_or_default();
    // What it says only to some people replaces nothing.
    let own_names = if tags.steer(own_words) { HashSet::new() } else { names(own_words) };
    let quote = if own.is_some_and(|own| html[own.place.clone()].ends_with('\'')) { '\'' } else { '"' };
    let [normal, important] = winning(said, &own_names).map(|declarations| {
        let words = declarations.iter().map(|one| quoted(&format!("{}:{}", one.name, one.value), quote));
        words.collect::<Vec<_>>().join(";")
    });
    let own_words = if quote == '"' { own_words.replace('"', "&quot;") } else { own_words.to_owned() };
    let parts: Vec<String> = [normal, own_words, important].into_iter().filter(|part| !part.is_empty()).collect();
    put(tag, own, &format!("style={quote}{}{quote}", parts.join(";")))
}

/// What rules say of an element, the weakest first, each with the number of its rule in that order.
fn said<'r>(mut hits: Vec<(Specificity, usize)>, rules: &[&'r Rule<'r>]) -> Vec<(usize, &'r Declaration<'r>)> {
    hits.sort_unstable();
    let rules = hits.into_iter().map(|(_, number)| rules[number]).enumerate();
    rules.flat_map(|(order, rule)| rule.declarations.iter().map(move |one| (order, one))).collect()
}

/// Those that nothing stronger replaces: the usual ones, and the important ones.
fn winning<'r>(said: &[(usize, &'r Declaration<'r>)], own: &HashSet<String>) -> [Vec<&'r Declaration<'r>>; 2] {
    let key = |one: &Declaration<'_>| (one.important, one.name.to_ascii_lowercase());
    let last: HashMap<(bool, String), usize> = said.iter().map(|(order, one)| (key(one), *order)).collect();
    [false, true].map(|important| {
        let wins = |(order, one): &&(usize, &Declaration<'_>)| {
            let (_, name) = key(one);
            let beaten = !important && (own.contains(&name) || last.contains_key(&(true, name.clone())));
            one.important == important && !beaten && last.get(&(important, name)) == Some(order)
        };
        said.iter().filter(wins).map(|(_, one)| *one).collect()
    })
}

fn put(tag: &Tag<'_>, own: Option<&Attribute<'_>>, attribute: &str) -> Edit {
    let after_name = tag.place.start + 1 + tag.name.len();
    match own {
        Some(own) => (own.place.clone(), attribute.to_owned()),
        None => (after_name..after_name, format!(" {attribute}")),
    }
}

/// As it may stand between such quotes.
fn quoted(words: &str, quote: char) -> String {
    let words = words.replace('&', "&amp;");
    match quote {
        '"' if words.contains('\'') => words.replace('"', "&quot;"),
        '"' => words.replace('"', "'"),
        _ => words.replace('\'', "&#39;"),
    }
}

fn edited(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|(place, _)| place.start);
    let (mut result, mut after) = (String::with_capacity(text.len()), 0);
    for (place, words) in edits {
        result.push_str(&text[after..place.start]);
        result.push_str(&words);
        after = place.end;
    }
    result + &text[after..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inlined(html: &str) -> String {
        let tags = Tags::out_of(html);
        tags.put_back(&inline(&tags.text, &tags, 2_000_000).unwrap()).text
    }

    #[test]
    fn rules_are_said_at_their_elements() {
        for (html, expected) in [
            ("<style>p{color:red}</style><p>a<P class=x>b", "<p style=\"color:red\">a<P style=\"color:red\" class=x>b"),
            // The closer rule wins, then the later one; of one rule, both of what it says twice.
            (
                "<style>.a{color:red;x:1}p{color:blue}p{y:1;y:2}</style><p class='b a'>",
                "<p style=\"y:1;y:2;color:red;x:1\" class='b a'>",
            ),
            ("<style>p{a:b;c:d}</style><p style='c:e;'>", "<p style='a:b;c:e'>"),
            ("<style>p{a:\"x\";b:url('y'\"&\")}</style><p>", "<p style=\"a:'x';b:url('y'&quot;&amp;&quot;)\">"),
            (
                "<style>td > a{a:b} table a{c:d}</style><table><tr><td><a><b><a>",
                "<table><tr><td><a style=\"a:b;c:d\"><b><a style=\"c:d\">",
            ),
            // What shows nothing needs no style.
            (
                "<style>*{a:b}</style><head><title>x</title></head><body>",
                "<head><title>x</title></head><body style=\"a:b\">",
            ),
        ] {
            assert_eq!(inlined(html), expected, "{html}");
        }
    }

    #[test]
    fn what_cannot_be_said_at_elements_stays() {
        for (html, expected) in [
            ("<style>@media print{p{a:b}}</style><p>", "<style>@media print{p{a:b}}</style><p>"),
            ("<style>a,a:hover{a:b} i{}</style><a>", "<style>a:hover{a:b}\ni{}</style><a style=\"a:b\">"),
            // For what a program that shows mail puts around it.
            ("<style>#outlook a{a:b}</style><a>", "<style>#outlook a{a:b}</style><a>"),
            // Stronger than the element's own, yet not than what @media says; so it stays as well.
            (
                "<style>p{a:b!important}</style><p style=\"a:c\">",
                "<style>p{a:b!important}</style><p style=\"a:c;a:b\">",
            ),
            ("<style media=print>p{a:b}</style><p>", "<style media=print>p{a:b}</style><p>"),
            (
                "<style>td{a:b}</style><td><!--[if mso]><td><![endif]-->",
                "<style>td{a:b}</style><td style=\"a:b\"><!--[if mso]><td><![endif]-->",
            ),
            (
                "<link href=\"https://a.test/a.css\" rel=stylesheet><p>",
                "<link href=\"https://a.test/a.css\" rel=stylesheet><p>",
            ),
        ] {
            assert_eq!(inlined(html), expected, "{html}");
        }
    }

    #[test]
    fn template_tags_stay_where_they_are() {
        for (html, expected) in [
            (
                "<style>tr{a:{{ b }}}</style><table>{% for x in y if a < b %}<tr>{% endfor %}</table>{{ \"<p>\" }}",
                "<table>{% for x in y if a < b %}<tr style=\"a:{{ b }}\">{% endfor %}</table>{{ \"<p>\" }}",
            ),
            ("<style>p{% if a %}{a:b}{% endif %}</style><p>", "<style>p{% if a %}{a:b}{% endif %}</style><p>"),
            (
                "<style>p{a:b}</style><p style=\"{% if x %}c:d{% endif %}\">",
                "<p style=\"a:b;{% if x %}c:d{% endif %}\">",
            ),
            (
                "<style>p{c:d}</style><p style=\"{% if x %}a:b;c:e{% endif %}\">",
                "<p style=\"c:d;{% if x %}a:b;c:e{% endif %}\">",
            ),
            // Nobody knows yet whether it is an `x`.
            (
                "<style>.x{a:b}p{c:d}</style><p class=\"{{ c }}\">",
                "<style>.x{a:b}p{c:d}</style><p style=\"c:d\" class=\"{{ c }}\">",
            ),
            (
                "<style>p{c:d}</style><p {% if a %}class=x{% endif %}>",
                "<style>p{c:d}</style><p style=\"c:d\" {% if a %}class=x{% endif %}>",
            ),
        ] {
            assert_eq!(inlined(html), expected, "{html}");
        }
    }

    #[test]
    fn nothing_takes_for_ever() {
        let many =
            |rule: &str, element: &str| format!("<style>{}</style>{}", rule.repeat(20_000), element.repeat(20_000));
        for (html, expected) in [
            (many("p{a:b}", "<p>"), Some(Refusal::TooManyRules)),
            (many("p p p p p p p p p{a:b}", "<i>"), Some(Refusal::TooManyRules)),
            (format!("<style>p{{a:{}}}</style>{}", "x".repeat(10_000), "<p>".repeat(1_000)), Some(Refusal::TooLong)),
            (format!("<style>div div > div{{a:b}}</style>{}", "<div>".repeat(100_000)), None),
            (format!("<style>i{{a:b}}</style>{}{}", "<div>".repeat(100_000), "</b>".repeat(100_000)), None),
            (format!("<style>p{}</style>", "{".repeat(500_000)), None),
            (format!("<style>p{}{{a:b}}</style><p>", " i".repeat(100_000)), None),
            (format!("{}<style>p{{a:b}}</style>", "<style>".repeat(100_000)), None),
        ] {
            let tags = Tags::out_of(&html);
            assert_eq!(inline(&html, &tags, 2_000_000).err(), expected, "{}", &html[..30]);
        }
    }
}
