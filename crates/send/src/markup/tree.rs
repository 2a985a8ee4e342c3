//! Which element lies in which, as a browser sees it.

use html5ever::tendril::StrTendril;
use html5ever::tree_builder::{ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::{Attribute, QualName, local_name, ns};
use std::borrow::Cow;
use std::cell::{Ref, RefCell};

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
    /// In lower case; empty for what is not of HTML, such as a drawing.
    pub(super) fn name(&self) -> &str {
        if self.name.ns == ns!(html) { &self.name.local } else { "" }
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes().find(|(one, _)| *one == name).map(|(_, value)| value)
    }

    /// Names, in lower case, and values.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attributes.iter().map(|(name, value)| (&**name, &**value))
    }
}

/// The nodes of a document, in the order in which they were made.
pub(super) fn nodes(html: &str) -> Vec<Node> {
    let parser = html5ever::parse_document(Sink::default(), html5ever::ParseOpts::default());
    html5ever::tendril::TendrilSink::one(parser, StrTendril::from(html))
}

static NO_NAME: QualName = QualName { prefix: None, ns: ns!(), local: local_name!("") };

struct Sink(RefCell<Vec<Node>>);

impl Default for Sink {
    fn default() -> Self {
        Self(RefCell::new(vec![Node { parent: None, kind: Kind::Other, children: vec![] }]))
    }
}

impl Sink {
    fn make(&self, kind: Kind) -> usize {
        let mut nodes = self.0.borrow_mut();
        nodes.push(Node { parent: None, kind, children: vec![] });
        nodes.len() - 1
    }

    fn put(&self, parent: usize, child: usize) {
        let mut nodes = self.0.borrow_mut();
        nodes[child].parent = Some(parent);
        nodes[parent].children.push(child);
    }
}

fn pairs(attributes: Vec<Attribute>) -> impl Iterator<Item = (String, String)> {
    attributes.into_iter().map(|one| (one.name.local.to_string(), one.value.to_string()))
}

impl TreeSink for Sink {
    type Handle = usize;
    type Output = Vec<Node>;
    type ElemName<'a> = Ref<'a, QualName>;

    fn finish(self) -> Vec<Node> {
        self.0.into_inner()
    }

    fn parse_error(&self, _: Cow<'static, str>) {}

    fn get_document(&self) -> usize {
        0
    }

    fn elem_name<'a>(&'a self, target: &'a usize) -> Ref<'a, QualName> {
        Ref::map(self.0.borrow(), |nodes| match &nodes[*target].kind {
            Kind::Element(element) => &element.name,
            // The builder asks it of elements alone.
            Kind::Comment(_) | Kind::Other => &NO_NAME,
        })
    }

    fn create_element(&self, name: QualName, attributes: Vec<Attribute>, _: ElementFlags) -> usize {
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
                if let Kind::Element(element) = &mut self.0.borrow_mut()[*parent].kind
                    && element.name() == "style"
                {
                    element.css.push_str(&text);
                }
            }
        }
    }

    fn append_based_on_parent_node(&self, element: &usize, before: &usize, child: NodeOrText<usize>) {
        let has_parent = self.0.borrow()[*element].parent.is_some();
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
        let parent = self.0.borrow()[*sibling].parent;
        if let (Some(parent), NodeOrText::AppendNode(child)) = (parent, child) {
            self.put(parent, child);
        }
    }

    fn add_attrs_if_missing(&self, target: &usize, attributes: Vec<Attribute>) {
        if let Kind::Element(element) = &mut self.0.borrow_mut()[*target].kind {
            for (name, value) in pairs(attributes) {
                if element.attribute(&name).is_none() {
                    element.attributes.push((name, value));
                }
            }
        }
    }

    fn remove_from_parent(&self, target: &usize) {
        self.0.borrow_mut()[*target].parent = None;
    }

    fn reparent_children(&self, node: &usize, new_parent: &usize) {
        let mut nodes = self.0.borrow_mut();
        for child in std::mem::take(&mut nodes[*node].children) {
            if nodes[child].parent == Some(*node) {
                nodes[child].parent = Some(*new_parent);
                nodes[*new_parent].children.push(child);
            }
        }
    }
}
