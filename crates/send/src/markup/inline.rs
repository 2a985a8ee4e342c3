//! What style sheets say, said at each element as well: many programs that show mail read no style sheet.
//!
//! ```text
//! HTML ─▶ places of its tags ─▶ a copy with a number at each ─▶ tree ─┐
//!                                              style sheets ─▶ rules ─┴▶ style="…" at their elements
//! ```
//!
//! Whoever reads style sheets sees the same letter as before. The sheets stay, and nothing is said at an element that
//! would win against what a sheet may say of it at times: on narrow screens, under the mouse, or to some recipients.

use super::css::{Compound, Declaration, Rule, Selector, Specificity};
use super::html::Tag;
use super::letter::{Called, Letter};
use super::tags::Tags;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Steps that one letter may take: some ten times what a long newsletter needs.
const STEPS: usize = 5_000_000;

/// Gmail cuts off what is longer than 102 KB: no letter becomes so by this.
const LONGEST: usize = 100_000;

/// A place in the text, and what is put there.
type Edit = (usize, String);

/// Which of two that say the same of an element wins: the closer one, then the later one.
type Rank = (Specificity, usize);

/// A rule that is, or may be, for an element.
struct Found {
    rank: Rank,
    is_certain: bool,
}

/// The text with what its style sheets say at each element; `None` where it stays as it is.
pub(super) fn inlined(tags: &Tags<'_>) -> Option<String> {
    if tags.text.len() > LONGEST {
        return None;
    }
    let letter = Letter::of(tags)?;
    let rules = letter.rules(tags)?;
    let (mut edits, mut length) = (Vec::<Edit>::new(), tags.text.len());
    for (node, found) in all_found(&letter, &rules, tags)? {
        let Some(tag) = letter.tag(node, tags) else { continue };
        let said = said(&found, &rules);
        if let Some(edit) = edit(&tags.text, tag, &said) {
            length += edit.1.len();
            edits.push(edit);
        }
        if length > LONGEST {
            return None;
        }
    }
    (!edits.is_empty()).then(|| edited(&tags.text, edits))
}

/// What is said of each element; `None` where it would take too long to find out.
fn all_found(letter: &Letter<'_>, rules: &[Rule], tags: &Tags<'_>) -> Option<BTreeMap<usize, Vec<Found>>> {
    let called = letter.called(tags);
    let weight: usize = rules.iter().flat_map(|rule| &rule.selectors).map(Selector::weight).sum();
    let hidden = letter.hidden(tags);
    let classes = called.iter().flatten().chain(&hidden).map(Called::weight).sum::<usize>() + called.len();
    let mut left = STEPS.checked_sub(weight.checked_mul(classes)?)?;
    let mut found: BTreeMap<usize, Vec<Found>> = BTreeMap::new();
    for (order, rule) in rules.iter().enumerate() {
        for selector in &rule.selectors {
            let rank = (selector.specificity, order);
            for (node, is_certain) in matching(selector, letter, (&called, &hidden)) {
                left = left.checked_sub(rule.declarations.len())?;
                let is_certain = is_certain && rule.is_certain && selector.is_certain;
                found.entry(node).or_default().push(Found { rank, is_certain });
            }
        }
    }
    Some(found)
}

/// The elements that a selector is for, or may be, and whether it certainly is. Of each two sets of bits are kept: which
/// beginnings of the selector end at it, and which at one around it.
///
/// Around any may be what only some programs see (`hidden`), and what a program puts around a letter: some know it by a
/// class of its own, such as `.ExternalClass`.
fn matching(
    selector: &Selector,
    letter: &Letter<'_>,
    (called, hidden): (&[Option<Called<'_>>], &[Called<'_>]),
) -> Vec<(usize, bool)> {
    let is_element = |node: &usize| called[*node].is_some();
    let Some(last) = selector.compounds.len().checked_sub(1) else {
        return (0..called.len()).filter(is_element).map(|node| (node, false)).collect();
    };
    let is_around_any = |compound: &Compound| {
        let is_nowhere = || !called.iter().flatten().any(|called| called.is(compound, false));
        hidden.iter().any(|called| called.is(compound, false)) || (compound.is_special() && is_nowhere())
    };
    let around_any: Vec<bool> = selector.compounds.iter().map(is_around_any).collect();
    let ends = |surely: bool| {
        let (mut at, mut around) = (vec![0_u64; called.len()], vec![0_u64; called.len()]);
        for (node, called) in called.iter().enumerate() {
            let (parent, above) = letter.parent(node).map_or((0, 0), |parent| (at[parent], around[parent]));
            around[node] = parent | above;
            for (bit, compound) in selector.compounds.iter().enumerate() {
                let before = if compound.is_child { parent } else { around[node] };
                let begins = bit == 0 || before >> (bit - 1) & 1 == 1 || (!surely && around_any[bit - 1]);
                if begins && called.as_ref().is_some_and(|called| called.is(compound, surely)) {
                    at[node] |= 1 << bit;
                }
            }
        }
        at
    };
    let (surely, maybe) = (ends(true), ends(false));
    let does_end = |bits: u64| bits >> last & 1 == 1;
    (0..called.len()).filter(|node| does_end(maybe[*node])).map(|node| (node, does_end(surely[node]))).collect()
}

/// What can be said at an element of which these rules were found, the weakest first.
fn said<'r>(found: &[Found], rules: &'r [Rule]) -> Vec<&'r Declaration> {
    let mut all: Vec<(Rank, bool, &Declaration)> = Vec::new();
    for one in found {
        let declarations = rules[one.rank.1].declarations.iter();
        all.extend(declarations.map(|said| (one.rank, one.is_certain && said.is_plain, said)));
    }
    all.sort_by_key(|(rank, ..)| *rank);
    let mut weakest: HashMap<(bool, &str), Rank> = HashMap::new();
    let mut beaten: HashSet<(bool, &str)> = HashSet::new();
    let mut last: HashMap<(bool, &str), Rank> = HashMap::new();
    let mut names: HashMap<(bool, &str), HashSet<&str>> = HashMap::new();
    let resets_all = all.iter().any(|(_, _, one)| one.name == "all");
    for (rank, is_certain, one) in &all {
        let family = (one.is_important, one.family());
        if *is_certain {
            weakest.entry(family).or_insert(*rank);
            last.insert((one.is_important, &one.name), *rank);
            names.entry(family).or_default().insert(&one.name);
        } else if weakest.contains_key(&family) {
            beaten.insert(family);
        }
    }
    // Where a rule says the same twice, the second is for programs that know it. Where others of its family are said, one
    // that is not known may fall back on an earlier one of its name, which then stands between them.
    let is_alone = |one: &Declaration| names.get(&(one.is_important, one.family())).is_some_and(|all| all.len() == 1);
    let is_last =
        |rank: &Rank, one: &Declaration| !is_alone(one) || last.get(&(one.is_important, &*one.name)) == Some(rank);
    let stays = |(rank, is_certain, one): &&(Rank, bool, &'r Declaration)| {
        *is_certain && is_last(rank, one) && !beaten.contains(&(one.is_important, one.family()))
    };
    if resets_all { vec![] } else { all.iter().filter(stays).map(|(_, _, one)| *one).collect() }
}

/// Before the element's own style, which wins; nothing where there is no room for it.
fn edit(text: &str, tag: &Tag<'_>, said: &[&Declaration]) -> Option<Edit> {
    if said.is_empty() {
        return None;
    }
    let Some(own) = tag.attribute("style") else {
        let behind_name = tag.place.start + 1 + tag.name.len();
        return Some((behind_name, format!(" style=\"{}\"", words(said, '"'))));
    };
    let quote = text[..own.value_at].chars().next_back().filter(|quote| matches!(quote, '"' | '\''))?;
    let stop = if own.value.trim().is_empty() { "" } else { ";" };
    Some((own.value_at, words(said, quote) + stop))
}

/// As they may stand between such quotes.
fn words(said: &[&Declaration], quote: char) -> String {
    let one = |one: &&Declaration| {
        let mark = if one.is_important { "!important" } else { "" };
        format!("{}:{}{mark}", one.name, quoted(&one.value, quote))
    };
    said.iter().map(one).collect::<Vec<_>>().join(";")
}

fn quoted(value: &str, quote: char) -> String {
    let value = value.replace('&', "&amp;");
    match quote {
        '"' if value.contains('\'') => value.replace('"', "&quot;"),
        '"' => value.replace('"', "'"),
        _ => value.replace('\'', "&#39;"),
    }
}

fn edited(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|(place, _)| *place);
    let (mut result, mut after) = (String::with_capacity(text.len() * 2), 0);
    for (place, words) in edits {
        result.push_str(&text[after..place]);
        result.push_str(&words);
        after = place;
    }
    result + &text[after..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inlined(html: &str) -> Option<String> {
        let tags = Tags::out_of(html);
        super::inlined(&tags).map(|text| tags.put_back(&text).text)
    }

    #[test]
    fn rules_are_said_at_their_elements() {
        for (css, body, expected) in [
            ("p{color:red}", "<p>a<P class=x>b", "<p style=\"color:red\">a<P style=\"color:red\" class=x>b"),
            // The closer rule wins, then the later one; of one rule, both of what it says twice.
            (
                ".a{color:red;top:1}p{color:blue}p{left:1;left:2}",
                "<p class='b a'>",
                "<p style=\"left:1;left:2;color:red;top:1\" class='b a'>",
            ),
            ("p{top:b;left:d}", "<p style='left:e;'>", "<p style='top:b;left:d;left:e;'>"),
            ("p{top:1}", "<p style=\"\">", "<p style=\"top:1\">"),
            (
                "p{font:\"x\";background:url('y'\"&\")}",
                "<p><p style=''>",
                "<p style=\"font:'x';background:url('y'&quot;&amp;&quot;)\"><p style='font:\"x\";background:url(&#39;y&#39;\"&amp;\")'>",
            ),
            (
                "td > a{top:b} table a{left:d}",
                "<table><tr><td><a></a><b><a></a></b></table>",
                "<table><tr><td><a style=\"top:b;left:d\"></a><b><a style=\"left:d\"></a></b></table>",
            ),
            // As a browser reads it: there is a `tbody`, and a `body`.
            (
                "table > tr{top:1} tbody > tr{left:1} body > table{width:1px}",
                "<table><tr><td></table>",
                "<table style=\"width:1px\"><tr style=\"left:1\"><td></table>",
            ),
            ("*{top:1}", "<title>x</title><i></i>", "<title>x</title><i style=\"top:1\"></i>"),
            (
                "p{top:1!important;top:2;left:1}",
                "<p style=\"top:3\">",
                "<p style=\"top:1!important;top:2;left:1;top:3\">",
            ),
        ] {
            let sheet = format!("<style>{css}</style>");
            assert_eq!(inlined(&format!("{sheet}{body}")), Some(format!("{sheet}{expected}")), "{css} {body}");
        }
    }

    #[test]
    fn nothing_is_said_that_would_win_against_a_sheet() {
        for (css, body, expected) in [
            // What is said on narrow screens, under the mouse, for a first child, in one program.
            ("p{color:red;top:1}@media print{p{color:blue}}", "<p>", "<p style=\"top:1\">"),
            ("a{color:red;top:1}a:hover{color:blue}", "<a></a>", "<a style=\"top:1\"></a>"),
            ("a:hover{color:blue}a{color:red}", "<a>", "<a>"),
            ("p{color:red;top:1}p+p{color:blue}", "<i></i><p><p>", "<i></i><p style=\"top:1\"><p style=\"top:1\">"),
            (
                "p{color:red;top:1}[lang] .x{color:blue}",
                "<p class=x><p>",
                "<p style=\"top:1\" class=x><p style=\"color:red;top:1\">",
            ),
            ("p{color:red;top:1}:is(p, i){color:blue}", "<p>", "<p style=\"top:1\">"),
            // One that is important wins in any case.
            ("p{color:red}@media print{p{color:blue!important}}", "<p>", "<p style=\"color:red\">"),
            ("p{color:red!important}@media print{p{color:blue!important}}", "<p>", "<p>"),
            // What is weaker loses in any case.
            (".a{color:red}@media print{p{color:blue}}", "<p class=a>", "<p style=\"color:red\" class=a>"),
            // Parts of the same.
            ("p{margin:1px}@media print{p{margin-left:0}}", "<p>", "<p>"),
            ("p{line-height:1}@media print{p{font:x}}", "<p>", "<p>"),
            ("p{color:red}@media print{p{all:unset}}", "<p>", "<p>"),
            // What only some programs know.
            ("p{color:red}p,p:blank{color:blue}", "<p>", "<p>"),
            ("p{color:red}p,p::before > i{color:blue}", "<p>", "<p>"),
            ("p{color:red}p,[a b]{color:blue}p,.1x{top:1}", "<p>", "<p>"),
            ("p{color:red;color:var(--x);top:1}", "<p>", "<p style=\"top:1\">"),
            ("p{color:red;--x:1;background:url(\\);top:1", "<p>", "<p>"),
            ("p::first-line{color:red} p{color:blue}", "<p>", "<p style=\"color:blue\">"),
            (".A{color:red}", "<p class=a>", "<p class=a>"),
            ("p{color:red}.A{color:blue}", "<p class=a>", "<p class=a>"),
            // A value that may be unknown leaves what came before it, and not what stands between.
            (
                "p{top:1;inset:2}.a{top:3}.b{top:oops}",
                "<p class='a b'>",
                "<p style=\"top:1;inset:2;top:3;top:oops\" class='a b'>",
            ),
            // What browsers read otherwise than it looks: a no-break space is a letter.
            ("p{color:red}p\u{a0}{color:blue}", "<p>", "<p style=\"color:red\">"),
            ("p{color:\u{a0}red;\u{a0}top:1}", "<p>", "<p style=\"color:\u{a0}red;\u{a0}top:1\">"),
            ("p{color:red}-->i{color:blue}", "<p><i>", "<p><i>"),
            ("i,p:::before{color:red}", "<i>", "<i>"),
            ("@namespace url(http://x);i{color:red}", "<i>", "<i>"),
            ("i{color:[)} p{color:red}", "<p>", "<p>"),
            ("i{color:red}[|style]{color:blue}", "<i>", "<i>"),
            ("i{color:VAR(--x)}", "<i>", "<i>"),
        ] {
            let sheet = format!("<style>{css}</style>");
            let text = format!("{sheet}{body}");
            assert_eq!(inlined(&text).unwrap_or(text), format!("{sheet}{expected}"), "{css} {body}");
        }
    }

    #[test]
    fn what_only_some_are_sent_is_said_to_nobody_else() {
        let sheet = "<style>p{color:red;top:1}.x{color:blue}.x p{width:1px}</style>";
        for (body, expected) in [
            // Whether it is an `x` is known for each recipient.
            ("<p class=\"{{ c }}\">", "<p style=\"top:1\" class=\"{{ c }}\">"),
            ("<p class=\"{% if a %}x{% endif %} y\">", "<p style=\"top:1\" class=\"{% if a %}x{% endif %} y\">"),
            ("<p {% if a %}class='x'{% endif %}>", "<p {% if a %}class='x'{% endif %}>"),
            ("<div class=\"{{ c }}\"><p></div>", "<div class=\"{{ c }}\"><p style=\"color:red;top:1\"></div>"),
            ("<p style=\"{% if x %}top:2{% endif %}\">", "<p style=\"color:red;top:1;{% if x %}top:2{% endif %}\">"),
            (
                "<table>{% for x in y if a < b %}<tr><td class=x><p>{{ x }}</p></td></tr>{% endfor %}</table>{{ \"<p>\" }}",
                "<table>{% for x in y if a < b %}<tr><td style=\"color:blue\" class=x><p style=\"color:red;top:1;width:1px\">{{ x }}</p>\
                 </td></tr>{% endfor %}</table>{{ \"<p>\" }}",
            ),
            (
                "{% if a %}<p class=x>{% if b %}<p>{% endif %}</p>{% else %}<p>c</p>{% endif %}",
                "{% if a %}<p class=x>{% if b %}<p>{% endif %}</p>{% else %}<p>c</p>{% endif %}",
            ),
            // A wrapper for some: whether the paragraph lies in an `x` is known for each recipient.
            (
                "{% if a %}<div class=x>{% endif %}<p>b</p>{% if a %}</div>{% endif %}",
                "{% if a %}<div class=x>{% endif %}<p>b</p>{% if a %}</div>{% endif %}",
            ),
            ("{{ a|safe }}<p>", "{{ a|safe }}<p>"),
            (
                "{% for x in y recursive %}<p>{{ loop(x) }}{% endfor %}",
                "{% for x in y recursive %}<p>{{ loop(x) }}{% endfor %}",
            ),
            ("{% raw %}<div class=x>{% endraw %}<p>", "{% raw %}<div class=x>{% endraw %}<p>"),
            ("<{{ a }}><p>", "<{{ a }}><p>"),
            ("<p class='x'>{% if a %}b{% endif %}", "<p style=\"top:1;color:blue\" class='x'>{% if a %}b{% endif %}"),
        ] {
            let text = format!("{sheet}{body}");
            assert_eq!(inlined(&text).unwrap_or(text), format!("{sheet}{expected}"), "{body}");
        }
        for (html, expected) in [
            ("{% if a %}<style>p{color:red}</style>{% endif %}<p>", None),
            ("<style>p{color:red}</style>{% if a %}<style>p{color:blue}</style>{% endif %}<p>", None),
            ("<style>p{% if a %}{color:red}{% endif %}</style><p>", None),
            ("<style>.{{ a }}{color:red}</style><p>", None),
            ("<style>p{color:red}.v{ {{ css }} }</style><p class=\"v\">", None),
            ("<style>p{color:red; {{ css }}}</style><p>", None),
            // Statements that a comment, a title or an attribute holds a half of.
            ("<!-- {% if a %} --><style>p{color:red}</style><!-- {% endif %} --><p>", None),
            ("<style>.x p{color:red}</style><!-- {% if a %} --><div class=x><!-- {% endif %} --><p></div>", None),
            (
                "<style>.x p{color:red}</style><title>{% if a %}</title><div class=x><title>{% endif %}</title><p></div>",
                None,
            ),
            ("<style>.z{color:red}</style><p title=y{% if a %} class=\"z\" lang=q{% endif %}>", None),
            ("<style>.z{color:red}</style><p title=\"x{% if a %}\" class=\"z\" lang=\"{% endif %}y\">", None),
            ("<style>p{color:red}</style><p {% if a %}class=x{% endif %}>", None),
            ("<style>p{color:red}</style>{% set w = '<i>'|safe %}{{ w }}<p>", None),
            ("<style>p{color:red}</style>{% for w in ['<i>'|safe] %}{{ w }}{% endfor %}<p>", None),
            (
                "<style>p{color:{{ a }};top:1}</style><p>",
                Some("<style>p{color:{{ a }};top:1}</style><p style=\"top:1\">"),
            ),
        ] {
            assert_eq!(inlined(html).as_deref(), expected, "{html}");
        }
    }

    #[test]
    fn what_only_some_programs_read_is_said_to_no_other() {
        for (html, expected) in [
            ("<style media=print>p{color:red}</style><p>", None),
            ("<!--[if !mso]><!--><style>p{color:red}</style><!--<![endif]--><p>", None),
            (
                "<style>p{color:red;top:1}</style><!--[if mso]><style>p{color:blue}</style><p><![endif]--><p>",
                Some(
                    "<style>p{color:red;top:1}</style><!--[if mso]><style>p{color:blue}</style><p><![endif]--><p style=\"top:1\">",
                ),
            ),
            ("<link href=\"https://a.test/a.css\" rel=stylesheet><style>p{color:red}</style><p>", None),
            ("<style>@import url(a.css);p{color:red}</style><p>", None),
            (
                "<style>@import url(https://fonts.a.test/a.css);@font-face{src:x}p{color:red}</style><p>",
                Some(
                    "<style>@import url(https://fonts.a.test/a.css);@font-face{src:x}p{color:red}</style><p style=\"color:red\">",
                ),
            ),
            ("<style>p{color:red}p[style]{color:blue}</style><p>", None),
            ("<style>p{a{color:red}}</style><p>", None),
            ("<style>p{color:red</style><p>", None),
            ("<style>p{color:red}</style><![if !mso]><p><![endif]>", None),
            // A browser mends these.
            ("<style>p{color:red}</style><b><p></b>x</p>", None),
            ("<style>p{color:red}</style><p><b>x</p>", None),
            ("<style>.x p{color:red}</style><body><p></p><body class=x>", None),
            ("<style>p{color:red}</style><svg><style>p{color:blue}</style></svg><p>", None),
            ("<style>p{color:red}</style><noscript><style>p{color:blue}</style></noscript><p>", None),
            ("<template><style>p{color:red}</style></template><p>", None),
            ("<style title=a>p{color:red}</style><p>", None),
            // In Outlook it lies in a cell, or in no box.
            ("<style>p{color:red}td p{color:blue}</style><!--[if mso]><td><![endif]--><p>", None),
            (
                "<style>.x p{color:red}</style><!--[if !mso]><!--><div class=\"x\"><!--<![endif]--><p></p><!--[if !mso]><!--></div><!--<![endif]-->",
                None,
            ),
            (
                "<style>p{color:red}</style><!--[if !mso]><!--><div class=\"x\"><p></div><!--<![endif]-->",
                Some(
                    "<style>p{color:red}</style><!--[if !mso]><!--><div class=\"x\"><p style=\"color:red\"></div><!--<![endif]-->",
                ),
            ),
            ("<!--[if mso]><link rel=stylesheet href=a.css><![endif]--><style>p{color:red}</style><p>", None),
            ("<style>@import url(https://a.test/?//fonts.);p{color:red}</style><p>", None),
            ("<style>p{color:red}.ExternalClass p{color:blue}</style><p>", None),
            ("<style>@layer a{p{color:blue!important}}p{color:red!important}</style><p>", None),
            // What is no value, or is another when it is written otherwise.
            ("<style>p{color:[;top:1}</style><p style=\"color:green\">", None),
            ("<style>i{color:[} p{color:red}</style><p>", None),
            ("<style>p{font-family:\"A\nB\"}</style><p>", None),
            ("<style>p{background:url(\"a  b\")}</style><p>", None),
            ("<style>i{background:url(/*)}p{color:red}i{background:url(*/)}</style><p>", None),
            ("<style>i{background:url(it's)}p{color:red}i{background:url(it's)}</style><p>", None),
            (
                "<style><!-- p{color:red} --></style><p>",
                Some("<style><!-- p{color:red} --></style><p style=\"color:red\">"),
            ),
        ] {
            assert_eq!(inlined(html).as_deref(), expected, "{html}");
        }
    }

    #[test]
    fn nothing_takes_for_ever_or_becomes_too_long() {
        let many =
            |rule: &str, element: &str| format!("<style>{}</style>{}", rule.repeat(20_000), element.repeat(20_000));
        for html in [
            many("p{color:red}", "<p>"),
            many("p p p p p p p p p{color:red}", "<i>"),
            format!("<style>p{{color:{}}}</style>{}", "x".repeat(10_000), "<p>".repeat(1_000)),
            format!("<style>div div > div{{color:red}}</style>{}", "<div>".repeat(100_000)),
            format!("<style>i{{color:red}}</style>{}{}", "<div>".repeat(100_000), "</b>".repeat(100_000)),
            format!("<style>p{}</style>", "{".repeat(500_000)),
            format!("<style>{}</style>", "@media print{".repeat(100_000)),
            format!("<style>p{}{{color:red}}</style><p>", " i".repeat(100_000)),
            format!("{}<style>p{{color:red}}</style>", "<style>".repeat(100_000)),
            format!("<style>p{{{}}}</style><p>", "/*".repeat(200_000)),
            format!("<style>{}</style><p>", "[".repeat(500_000)),
            format!("<style>p{{color:red}}</style>{}", "<p><b>x</p>".repeat(100_000)),
            format!("<style>p{{color:red}}</style>{}", "<span><div></span>".repeat(100_000)),
            format!("<style>{}i{{color:red}}</style>{}<i></i>", "i,".repeat(50_000), "<!>".repeat(50_000)),
            format!("<style>p{{color:red}}</style><p {}>", (0..100_000).map(|n| format!("a{n} ")).collect::<String>()),
            format!("<style>p{{color:{})}}</style>{}", "a".repeat(1_000_000), "<p>".repeat(200_000)),
            format!("<style>p{{color:red}}</style>{}", "<table>".repeat(100_000)),
            format!("<style>p{{color:red}}</style>{}", "<p>{% if a %}</p>".repeat(50_000)),
        ] {
            let start = std::time::Instant::now();
            assert_eq!(inlined(&html), None, "{}", &html[..30]);
            assert!(start.elapsed().as_secs() < 10, "{} took {:?}", &html[..30], start.elapsed());
        }
    }
}
