//! Which element lies in which, as a browser sees it.

use html5ever::tendril::StrTendril;
use html5ever::tree_builder::{ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::{Attribute, QualName, local_name, ns};
use std::borrow::Cow;
use std::cell::{Cell, Ref, RefCell};

/// A node of the tree. Words are kept of style sheets alone.
pub(super) struct Node {
    pub(super) parent: Option<usize>,
    pub(super) kind: Kind,
    children: Vec<usize>,
}

pub(super) enum Kind {
    Element(Element),
    Comment(String),
    Other,
}

pub(super) struct Element {
    name: QualName,
    attributes: Vec<(String, String)>,
    /// The words of a style sheet.
    pub(super) css: String,
}

impl Node {
    pub(super) fn element(&self) -> Option<&Element> {
        if let Kind::Element(element) = &self.kind { Some(element) } else { None }
    }
}

impl Element {
    /// In lower case.
    pub(super) fn name(&self) -> &str {
        &self.name.local
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes().find(|(one, _)| *one == name).map(|(_, value)| value)
    }

    /// Names, in lower case, and values.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attributes.iter().map(|(name, value)| (&**name, &**value))
    }
}

/// The nodes of a document, in the order in which they were made; `None` where a browser mends it by more than a missing
/// element, or where not all is HTML.
pub(super) fn nodes(html: &str) -> Option<Vec<Node>> {
    let parser = html5ever::parse_document(Sink::default(), html5ever::ParseOpts::default());
    html5ever::tendril::TendrilSink::one(parser, StrTendril::from(html))
}

/// Whether more than `most` elements lie inside one another somewhere. It stops soon after it has found that: all of it would
/// take time by the square of its depth.
pub(super) fn is_deeper(html: &str, most: usize) -> bool {
    /// Octets that are read at once.
    const PART: usize = 4 * 1024;
    let sink = Sink { most: Some(most), ..Sink::default() };
    let mut parser = html5ever::parse_document(sink, html5ever::ParseOpts::default());
    let (mut part, mut rest) = html.split_at(html.floor_char_boundary(PART));
    while !part.is_empty() {
        html5ever::tendril::TendrilSink::process(&mut parser, StrTendril::from(part));
        if parser.tokenizer.sink.sink.is_deeper.get() {
            return true;
        }
        (part, rest) = rest.split_at(rest.floor_char_boundary(PART));
    }
    false
}

static NO_NAME: QualName = QualName { prefix: None, ns: ns!(), local: local_name!("") };

struct Sink {
    nodes: RefCell<Vec<Node>>,
    is_odd: Cell<bool>,
    /// How deep elements may lie.
    most: Option<usize>,
    is_deeper: Cell<bool>,
}

impl Default for Sink {
    fn default() -> Self {
        let root = Node { parent: None, kind: Kind::Other, children: vec![] };
        Self { nodes: RefCell::new(vec![root]), is_odd: Cell::new(false), most: None, is_deeper: Cell::new(false) }
    }
}

impl Sink {
    fn make(&self, kind: Kind) -> usize {
        let mut nodes = self.nodes.borrow_mut();
        nodes.push(Node { parent: None, kind, children: vec![] });
        nodes.len() - 1
    }

    fn put(&self, parent: usize, child: usize) {
        let mut nodes = self.nodes.borrow_mut();
        nodes[child].parent = Some(parent);
        nodes[parent].children.push(child);
        if let Some(most) = self.most {
            let around = std::iter::successors(Some(child), |node| nodes[*node].parent);
            // The document is around all of them.
            let deep = around.take(most + 2).count() - 1;
            self.is_deeper.set(self.is_deeper.get() || deep > most);
        }
    }
}

fn pairs(attributes: Vec<Attribute>) -> impl Iterator<Item = (String, String)> {
    attributes.into_iter().map(|one| (one.name.local.to_string(), one.value.to_string()))
}

impl TreeSink for Sink {
    type Handle = usize;
    type Output = Option<Vec<Node>>;
    type ElemName<'a> = Ref<'a, QualName>;

    fn finish(self) -> Self::Output {
        (!self.is_odd.get()).then(|| self.nodes.into_inner())
    }

    fn parse_error(&self, _: Cow<'static, str>) {}

    fn get_document(&self) -> usize {
        0
    }

    fn elem_name<'a>(&'a self, target: &'a usize) -> Ref<'a, QualName> {
        Ref::map(self.nodes.borrow(), |nodes| match &nodes[*target].kind {
            Kind::Element(element) => &element.name,
            // The builder asks it of elements alone.
            Kind::Comment(_) | Kind::Other => &NO_NAME,
        })
    }

    fn create_element(&self, name: QualName, attributes: Vec<Attribute>, _: ElementFlags) -> usize {
        let is_odd = name.ns != ns!(html) || matches!(&*name.local, "template" | "noscript" | "plaintext");
        self.is_odd.set(self.is_odd.get() || is_odd);
        let attributes = pairs(attributes).collect();
        self.make(Kind::Element(Element { name, attributes, css: String::new() }))
    }

    fn create_comment(&self, text: StrTendril) -> usize {
        self.make(Kind::Comment(text.to_string()))
    }

    fn create_pi(&self, _: StrTendril, _: StrTendril) -> usize {
        self.make(Kind::Other)
    }

    fn append(&self, parent: &usize, child: NodeOrText<usize>) {
        match child {
            NodeOrText::AppendNode(child) => self.put(*parent, child),
            NodeOrText::AppendText(text) => {
                if let Kind::Element(element) = &mut self.nodes.borrow_mut()[*parent].kind
                    && element.name() == "style"
                {
                    element.css.push_str(&text);
                }
            }
        }
    }

    fn append_based_on_parent_node(&self, element: &usize, before: &usize, child: NodeOrText<usize>) {
        let has_parent = self.nodes.borrow()[*element].parent.is_some();
        if has_parent {
            self.append_before_sibling(element, child);
        } else {
            self.append(before, child);
        }
    }

    fn append_doctype_to_document(&self, _: StrTendril, _: StrTendril, _: StrTendril) {}

    fn get_template_contents(&self, target: &usize) -> usize {
        *target
    }

    fn same_node(&self, one: &usize, other: &usize) -> bool {
        one == other
    }

    fn set_quirks_mode(&self, _: QuirksMode) {}

    fn append_before_sibling(&self, sibling: &usize, child: NodeOrText<usize>) {
        let parent = self.nodes.borrow()[*sibling].parent;
        if let (Some(parent), NodeOrText::AppendNode(child)) = (parent, child) {
            // It lies before what was made earlier, such as the table that it was written in.
            self.is_odd.set(true);
            self.put(parent, child);
        }
    }

    /// To `html` and `body`, where they come a second time. An attribute of ours is always missing.
    fn add_attrs_if_missing(&self, _: &usize, _: Vec<Attribute>) {
        self.is_odd.set(true);
    }

    fn remove_from_parent(&self, target: &usize) {
        self.nodes.borrow_mut()[*target].parent = None;
    }

    fn reparent_children(&self, node: &usize, new_parent: &usize) {
        let mut nodes = self.nodes.borrow_mut();
        for child in std::mem::take(&mut nodes[*node].children) {
            if nodes[child].parent == Some(*node) {
                nodes[child].parent = Some(*new_parent);
                nodes[*new_parent].children.push(child);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_deep_elements_lie_is_told_as_a_browser_builds_them_and_soon() {
        for (html, is_expected) in [
            ("<p>a<p>".repeat(40_000), false),
            ("<table><tr><td>a</table>".repeat(9_000), false),
            ("<div>".repeat(90), false),
            ("<div>".repeat(99), true),
            // What hides elements from who reads only tags.
            (format!("<!-- --!>{}", "<div>".repeat(400_000)), true),
            (format!("<svg><style>{}", "<div>".repeat(400_000)), true),
            ("<b><li></b><b><dd></b>".repeat(90_000), true),
            (format!("<title>{}</title>ä", "<div>".repeat(2_000)), false),
        ] {
            assert_eq!(is_deeper(&html, 100), is_expected, "{}", &html[..20]);
        }
    }

    #[test]
    fn a_tree_in_which_a_node_lies_before_an_earlier_one_is_none() {
        assert!(nodes("<table><style>p{top:1}</style><div><style>p{top:2}</style></div><tr><td>x").is_none());
        assert!(nodes("<table><tr><td>x</table>").is_some());
    }
}
