//! A letter as its style sheets see it: which elements lie in which, what they are called, and what is only there at times.

use super::css::{self, Compound, Rule};
use super::html::{Piece, Tag, depths, pieces};
use super::tags::Tags;
use super::tree::{Element, Kind, Node, nodes};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write;
use std::ops::Range;

/// Elements that may lie inside one another.
const DEEPEST: usize = 500;

/// Elements that show nothing.
const UNSEEN: [&str; 10] = ["html", "head", "meta", "title", "link", "style", "script", "base", "noscript", "template"];

/// A letter whose elements have the same ones around them for everybody who gets them.
pub(super) struct Letter<'a> {
    nodes: Vec<Node>,
    /// The start tags of the text, by their numbers.
    tags: Vec<Tag<'a>>,
    /// Those that not everybody gets, or not every program.
    sometimes: HashSet<usize>,
    /// The number of the tag of a node.
    numbers: HashMap<usize, usize>,
    /// An attribute that says the number in the copy that is read; also how comments begin in place of the template's blocks.
    mark: String,
}

/// What an element is called, in the words of a style sheet.
pub(super) struct Called<'a> {
    name: &'a str,
    id: &'a str,
    classes: Vec<&'a str>,
    /// Whether that is so for everybody.
    is_known: bool,
}

impl<'a> Called<'a> {
    fn of(element: &'a Element, tags: &Tags<'_>) -> Self {
        let [class, id] = ["class", "id"].map(|name| element.attribute(name).unwrap_or_default());
        let is_merged =
            element.attributes().any(|(name, _)| tags.are_in(name)) || tags.are_in(class) || tags.are_in(id);
        Self { name: element.name(), id, classes: class.split_ascii_whitespace().collect(), is_known: !is_merged }
    }

    /// What it costs to compare it with a selector.
    pub(super) fn weight(&self) -> usize {
        1 + self.classes.len()
    }

    /// Whether it is called so: surely, or maybe.
    pub(super) fn is(&self, compound: &Compound, surely: bool) -> bool {
        // Where a letter names no version of HTML, programs make no difference between `a` and `A`.
        let same = |one: &str, other: &str| if surely { one == other } else { one.eq_ignore_ascii_case(other) };
        let is_plain = compound.ids.is_empty() && compound.classes.is_empty();
        let has = |class: &String| self.classes.iter().any(|one| same(one, class));
        let is_called = match self.is_known {
            true => compound.ids.iter().all(|id| same(self.id, id)) && compound.classes.iter().all(has),
            false => is_plain || !surely,
        };
        is_called && compound.name.as_ref().is_none_or(|name| name == self.name)
    }
}

impl<'a> Letter<'a> {
    /// `None` where it cannot be told what lies in what.
    pub(super) fn of(tags: &'a Tags<'_>) -> Option<Self> {
        let text = &tags.text;
        if depths(text).into_iter().max()? > DEEPEST || !tags.are_plain() || text.contains("<![if") {
            return None;
        }
        let mut letter = Self {
            nodes: vec![],
            tags: vec![],
            sometimes: HashSet::new(),
            numbers: HashMap::new(),
            mark: tags.unused("place"),
        };
        let copy = letter.copy(tags)?;
        letter.nodes = nodes(&copy);
        letter.numbers = letter.numbered()?;
        letter.has_whole_blocks(tags).then_some(letter)
    }

    /// The text with a number at each start tag, and with comments for the template's blocks.
    fn copy(&mut self, tags: &'a Tags<'_>) -> Option<String> {
        let text = &tags.text;
        let (mut copy, mut after, mut depth, mut is_revealed) = (String::with_capacity(text.len() * 2), 0, 0, false);
        for piece in pieces(text) {
            let place = piece.place();
            depth = self.words(&mut copy, tags, after..place.start, depth)?;
            after = place.end;
            let own = &text[place.clone()];
            match piece {
                Piece::Open(tag) => {
                    if tags.are_in(tag.name) || !tags.are_whole(own) {
                        return None;
                    }
                    if depth > 0 || is_revealed {
                        self.sometimes.insert(self.tags.len());
                    }
                    let name = place.start + 1 + tag.name.len();
                    // Writing to a String cannot fail.
                    let _ = write!(copy, "{} {}=\"{}\"", &text[place.start..name], self.mark, self.tags.len());
                    copy.push_str(&text[name..place.end]);
                    self.tags.push(tag);
                }
                Piece::Close(..) if tags.are_in(own) => return None,
                Piece::Close(..) => copy.push_str(own),
                Piece::Comment(_) => {
                    // From `<!--[if !mso]><!-->` to `<!--<![endif]-->` is for some programs.
                    is_revealed = (is_revealed || own.starts_with("<!--[if")) && !own.contains("<![endif]");
                    copy.push_str(own);
                }
            }
        }
        self.words(&mut copy, tags, after..text.len(), depth)?;
        Some(copy)
    }

    /// Copies the words between two tags; how many blocks of the template are open then.
    fn words(&self, copy: &mut String, tags: &Tags<'_>, place: Range<usize>, depth: usize) -> Option<usize> {
        let (text, mut after, mut depth) = (&tags.text[place], 0, depth);
        for (number, word) in tags.statements(text) {
            depth = match tags.keyword(number) {
                "if" | "for" => depth + 1,
                "endif" | "endfor" => depth.checked_sub(1)?,
                _ => depth,
            };
            copy.push_str(&text[after..word.start]);
            let _ = write!(copy, "<!--{}{number}-->", self.mark);
            after = word.end;
        }
        copy.push_str(&text[after..]);
        Some(depth)
    }

    /// Which node has which tag; `None` where one has several, or lies in one that came later: then tags are closed out of
    /// turn, and a browser mends it.
    fn numbered(&self) -> Option<HashMap<usize, usize>> {
        let (mut numbers, mut seen) = (HashMap::new(), HashSet::new());
        for (place, node) in self.nodes.iter().enumerate() {
            node.parent.is_none_or(|parent| parent < place).then_some(())?;
            let Some(element) = node.element() else { continue };
            let Some(number) = element.attribute(&self.mark).and_then(|number| number.parse().ok()) else { continue };
            seen.insert(number).then_some(())?;
            numbers.insert(place, number);
        }
        Some(numbers)
    }

    /// Whether each block of the template closes what it opens, and nothing else.
    fn has_whole_blocks(&self, tags: &Tags<'_>) -> bool {
        let mut parents = BTreeMap::new();
        for node in &self.nodes {
            if let Kind::Comment(words) = &node.kind
                && let Some(number) = words.strip_prefix(&self.mark).and_then(|number| number.parse::<usize>().ok())
            {
                parents.insert(number, self.written(node.parent));
            }
        }
        let mut open: Vec<Option<usize>> = Vec::new();
        let is_whole = |(number, parent): (usize, Option<usize>)| match tags.keyword(number) {
            "if" | "for" => {
                open.push(parent);
                true
            }
            "elif" | "else" => open.last() == Some(&parent),
            "endif" | "endfor" => open.pop() == Some(parent),
            _ => true,
        };
        parents.into_iter().all(is_whole)
    }

    /// That node, or the next one around it that somebody has written: a browser adds a `tbody` and the like.
    fn written(&self, mut node: Option<usize>) -> Option<usize> {
        while let Some(added) = node.filter(|node| !self.numbers.contains_key(node)) {
            node = self.nodes[added].parent;
        }
        node
    }

    /// The rules of all style sheets, in their order; `None` where it cannot be told what they say.
    pub(super) fn rules(&self, tags: &Tags<'_>) -> Option<Vec<Rule>> {
        let mut rules = Vec::new();
        for (place, node) in self.nodes.iter().enumerate() {
            match &node.kind {
                Kind::Element(element) if element.name() == "style" => {
                    rules.extend(self.of_sheet(&element.css, self.is_for_all(place, element), tags)?);
                }
                Kind::Element(element) if element.name() == "link" && is_unknown_sheet(element) => return None,
                Kind::Comment(words) if words.starts_with("[if") => {
                    for css in sheets(words) {
                        rules.extend(self.of_sheet(css, false, tags)?);
                    }
                }
                _ => {}
            }
        }
        Some(rules)
    }

    /// Whether everybody gets the sheet, in every program.
    fn is_for_all(&self, place: usize, style: &Element) -> bool {
        let is = |name, usual: &[&str]| style.attribute(name).is_none_or(|value| usual.contains(&value));
        is("media", &["", "all"])
            && is("type", &["", "text/css"])
            && self.numbers.get(&place).is_some_and(|number| !self.sometimes.contains(number))
    }

    fn of_sheet(&self, css: &str, is_certain: bool, tags: &Tags<'_>) -> Option<Vec<Rule>> {
        if css.contains(&self.mark) {
            return None;
        }
        let rules = css::rules(css, is_certain)?;
        let is_merged = |rule: &Rule| {
            rule.names().any(|name| tags.are_in(name)) || rule.declarations.iter().any(|one| tags.are_in(&one.name))
        };
        (!rules.iter().any(is_merged)).then_some(rules)
    }

    /// What each node is called that is an element.
    pub(super) fn called(&self, tags: &Tags<'_>) -> Vec<Option<Called<'_>>> {
        self.nodes.iter().map(|node| node.element().map(|element| Called::of(element, tags))).collect()
    }

    /// In which other node one lies.
    pub(super) fn parent(&self, node: usize) -> Option<usize> {
        self.nodes[node].parent
    }

    /// The tag of an element that something can be said at.
    pub(super) fn tag(&self, node: usize, tags: &Tags<'_>) -> Option<&Tag<'a>> {
        let element = self.nodes[node].element()?;
        let tag = &self.tags[*self.numbers.get(&node)?];
        let is_itself = tag.name.eq_ignore_ascii_case(element.name()) && !UNSEEN.contains(&element.name());
        (is_itself && !tag.attributes.iter().any(|one| tags.are_in(one.name))).then_some(tag)
    }
}

/// Whether it is a style sheet on the web that may say anything.
fn is_unknown_sheet(link: &Element) -> bool {
    let is_sheet = link.attribute("rel").is_some_and(|rel| rel.to_ascii_lowercase().contains("stylesheet"));
    is_sheet && !link.attribute("href").is_some_and(css::brings_fonts)
}

/// The style sheets in a comment such as `[if mso]> … <![endif]`.
fn sheets(comment: &str) -> Vec<&str> {
    let (mut sheets, mut open) = (vec![], None);
    for piece in pieces(comment) {
        match piece {
            Piece::Open(tag) if tag.name.eq_ignore_ascii_case("style") => open = Some(tag.place.end),
            Piece::Close(name, place) if name.eq_ignore_ascii_case("style") => {
                sheets.extend(open.take().map(|start| &comment[start..place.start]));
            }
            _ => {}
        }
    }
    sheets
}
