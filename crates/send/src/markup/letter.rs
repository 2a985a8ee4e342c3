//! A letter as its style sheets see it: which elements lie in which, what they are called, and what is only there at times.

use super::css::{self, Compound, Rule};
use super::html::{Attribute, Piece, Tag, depths_in_turn, pieces};
use super::tags::Tags;
use super::tree::{Element, Kind, Node, nodes};
use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::ops::Range;

/// Elements that may lie inside one another.
const DEEPEST: usize = 500;

/// Elements that show nothing.
const UNSEEN: [&str; 8] = ["html", "head", "meta", "title", "link", "style", "script", "base"];

/// A letter whose elements have the same ones around them for everybody who gets them.
pub(super) struct Letter<'a> {
    nodes: Vec<Node>,
    /// The start tags of the text, by their numbers.
    tags: Vec<Tag<'a>>,
    /// Those that not everybody gets, or not every program.
    sometimes: HashSet<usize>,
    /// The number of the tag of a node.
    numbers: HashMap<usize, usize>,
    /// Where blocks begin and end, of the template and of what only some programs see, in their order.
    edges: Vec<Edge>,
    /// Conditional comments: what a program that reads them has around anything.
    conditional: Vec<&'a str>,
    /// An attribute that says the number of a tag, in the copy that is read; also how a comment begins that says the number
    /// of an edge.
    mark: String,
}

/// An edge of a block.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edge {
    Begin,
    Between,
    End,
}

/// Attributes that one tag may have.
const ATTRIBUTES: usize = 100;

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

    fn of_tag(tag: &Tag<'a>, tags: &Tags<'_>) -> Self {
        let [class, id] = ["class", "id"].map(|name| tag.attribute(name).map(|one| one.value).unwrap_or_default());
        let is_known = !tags.are_in(class) && !tags.are_in(id) && !class.contains('&');
        Self { name: tag.name, id, classes: class.split_ascii_whitespace().collect(), is_known }
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
        is_called && compound.name.as_ref().is_none_or(|name| name.eq_ignore_ascii_case(self.name))
    }
}

impl<'a> Letter<'a> {
    /// `None` where it cannot be told what lies in what.
    pub(super) fn of(tags: &'a Tags<'_>) -> Option<Self> {
        let text = &tags.text;
        if depths_in_turn(text)?.into_iter().max()? > DEEPEST || !tags.are_plain() || text.contains("<![if") {
            return None;
        }
        let mut letter = Self {
            nodes: vec![],
            tags: vec![],
            sometimes: HashSet::new(),
            numbers: HashMap::new(),
            edges: vec![],
            conditional: vec![],
            mark: tags.unused("place"),
        };
        let copy = letter.copy(tags)?;
        letter.nodes = nodes(&copy)?;
        letter.numbers = letter.numbered()?;
        letter.has_whole_blocks().then_some(letter)
    }

    /// The text with a number at each start tag, and with comments for the edges of blocks.
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
                    is_readable(&tag, text, tags).then_some(())?;
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
                Piece::Comment(_) if tags.statements(own).next().is_some() || own.contains("--!>") => return None,
                // From `<!--[if !mso]><!-->` to `<!--<![endif]-->` is for some programs.
                Piece::Comment(_) if is_revealed && own.contains("<![endif]") => {
                    self.edge(&mut copy, Edge::End);
                    is_revealed = false;
                }
                Piece::Comment(_) if own.starts_with("<!--[if") && !own.contains("<![endif]") => {
                    (!is_revealed).then_some(())?;
                    self.edge(&mut copy, Edge::Begin);
                    is_revealed = true;
                }
                Piece::Comment(_) => {
                    self.conditional.extend(
                        own.strip_prefix("<!--[if").and_then(|rest| rest.split_once("]>")).map(|(_, inner)| inner),
                    );
                    copy.push_str(own);
                }
            }
        }
        self.words(&mut copy, tags, after..text.len(), depth)?;
        Some(copy)
    }

    /// Copies the words between two tags; how many blocks of the template are open then.
    fn words(&mut self, copy: &mut String, tags: &Tags<'_>, place: Range<usize>, depth: usize) -> Option<usize> {
        let (text, mut after, mut depth) = (&tags.text[place], 0, depth);
        for (number, word) in tags.statements(text) {
            let edge = match tags.keyword(number) {
                "if" | "for" => Edge::Begin,
                "elif" | "else" => Edge::Between,
                "endif" | "endfor" => Edge::End,
                _ => return None,
            };
            depth = match edge {
                Edge::Begin => depth + 1,
                Edge::End => depth.checked_sub(1)?,
                Edge::Between => depth,
            };
            copy.push_str(&text[after..word.start]);
            self.edge(copy, edge);
            after = word.end;
        }
        copy.push_str(&text[after..]);
        Some(depth)
    }

    fn edge(&mut self, copy: &mut String, edge: Edge) {
        let _ = write!(copy, "<!--{}{}-->", self.mark, self.edges.len());
        self.edges.push(edge);
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

    /// Whether each block closes what it opens, and nothing else; `false` where one begins or ends in what is no markup.
    fn has_whole_blocks(&self) -> bool {
        let mut parents: Vec<Option<Option<usize>>> = vec![None; self.edges.len()];
        for node in &self.nodes {
            if let Kind::Comment(words) = &node.kind
                && let Some(number) = words.strip_prefix(&self.mark).and_then(|number| number.parse::<usize>().ok())
                && let Some(parent) = parents.get_mut(number)
            {
                *parent = Some(self.written(node.parent));
            }
        }
        let mut open: Vec<Option<usize>> = Vec::new();
        let mut is_whole = |(edge, parent): (&Edge, Option<Option<usize>>)| match (edge, parent) {
            (_, None) => false,
            (Edge::Begin, Some(parent)) => {
                open.push(parent);
                true
            }
            (Edge::Between, Some(parent)) => open.last() == Some(&parent),
            (Edge::End, Some(parent)) => open.pop() == Some(parent),
        };
        self.edges.iter().zip(parents).all(&mut is_whole) && open.is_empty()
    }

    /// That node, or the next one around it that somebody has written: a browser adds a `tbody` and the like.
    fn written(&self, mut node: Option<usize>) -> Option<usize> {
        while let Some(added) = node.filter(|node| !self.numbers.contains_key(node)) {
            node = self.nodes[added].parent;
        }
        node
    }

    /// The rules of all style sheets, in their order; `None` where it cannot be told what they say. Those of conditional
    /// comments come last, as if they won against all that are as close: they may.
    pub(super) fn rules(&self, tags: &Tags<'_>) -> Option<Vec<Rule>> {
        let mut rules = Vec::new();
        for (place, node) in self.nodes.iter().enumerate() {
            match &node.kind {
                Kind::Element(element) if element.name() == "style" => {
                    rules.extend(self.of_sheet(&element.css, self.is_for_all(place, element), tags)?);
                }
                Kind::Element(element) if element.name() == "link" && is_unknown_sheet(element) => return None,
                _ => {}
            }
        }
        if self.hidden(tags).iter().any(|one| one.name.eq_ignore_ascii_case("link")) {
            return None;
        }
        for css in self.conditional.iter().flat_map(|comment| sheets(comment)) {
            rules.extend(self.of_sheet(css, false, tags)?);
        }
        Some(rules)
    }

    /// Whether everybody gets the sheet, in every program.
    fn is_for_all(&self, place: usize, style: &Element) -> bool {
        let is = |name, usual: &[&str]| style.attribute(name).is_none_or(|value| usual.contains(&value));
        is("title", &[""])
            && is("media", &["", "all"])
            && is("type", &["", "text/css"])
            && self.numbers.get(&place).is_some_and(|number| !self.sometimes.contains(number))
    }

    fn of_sheet(&self, css: &str, is_certain: bool, tags: &Tags<'_>) -> Option<Vec<Rule>> {
        if css.contains(&self.mark) {
            return None;
        }
        let mut rules = css::rules(css, is_certain)?;
        let mut merged = 0;
        for one in rules.iter_mut().flat_map(|rule| &mut rule.declarations) {
            let count = tags.count_in(&one.value);
            one.is_plain &= count == 0;
            merged += count;
        }
        // A value that is merged may be anything; whatever else is merged, the rules may be others.
        (merged == tags.count_in(css)).then_some(rules)
    }

    /// What there is in conditional comments.
    pub(super) fn hidden(&self, tags: &Tags<'_>) -> Vec<Called<'a>> {
        let open = |piece| if let Piece::Open(tag) = piece { Some(tag) } else { None };
        let all = self.conditional.iter().flat_map(|comment| pieces(comment)).filter_map(open);
        all.map(|tag| Called::of_tag(&tag, tags)).collect()
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

/// Whether it is the same tag for everybody, but for what is between its quotes, and not too much of one.
fn is_readable(tag: &Tag<'_>, text: &str, tags: &Tags<'_>) -> bool {
    let is_quoted = |one: &Attribute<'_>| text[..one.value_at].ends_with(['"', '\'']);
    let is_whole = |one: &Attribute<'_>| !tags.are_in(one.value) || (is_quoted(one) && tags.are_whole(one.value));
    tag.attributes.len() <= ATTRIBUTES
        && !tags.are_in(tag.name)
        && tag.attributes.iter().all(is_whole)
        && tags.are_whole(&text[tag.place.clone()])
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
