//! What other crates and readers of our JSON may rely on, as committed text: whoever changes it sees what they change.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on stops, and says where")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use quote::ToTokens;
use rebound_classify::{Answer, ReplyAnswer, reply, report};
use rebound_domain::{BounceCause, EvidenceField, Permanence, ReportKind, SmtpCommand};
use syn::{Fields, ImplItem, Item, UseTree, Visibility};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");

#[test]
fn the_public_face_is_as_it_was() {
    let mut files = Vec::new();
    read(Path::new(SOURCE), &mut files);
    let names = offered(&syn::parse_file(&std::fs::read_to_string(format!("{SOURCE}/lib.rs")).unwrap()).unwrap());
    let mut lines = BTreeSet::new();
    for item in files.iter().flat_map(|file| &file.items) {
        tell(item, &names, &mut lines);
    }
    for name in &names {
        assert!(lines.iter().any(|line| line.split(['(', '<', ' ']).any(|word| word == name)), "{name} was not found");
    }
    insta::assert_snapshot!(lines.into_iter().collect::<Vec<_>>().join("\n"));
}

/// Verdicts are kept in databases and given to other programs: a field that is gone, or has another name, breaks them.
#[test]
fn verdicts_and_reports_are_written_as_they_were() {
    let mut bounce = report(include_bytes!("../../fixtures/postfix-mailbox-unknown.eml"));
    let mut complaint = report(include_bytes!("../../fixtures/arf-abuse.eml"));
    let text = "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred; try again in 5 minutes, see https://a.example/x";
    let mut verdict = reply(text.as_bytes());
    let all = bounce.recipients.iter_mut().chain(&mut complaint.recipients).map(|failed| &mut failed.verdict);
    for verdict in all.chain(verdict.as_mut()) {
        verdict.rules = "2026.11-00000000".into(); // every change of a rule would change it
    }
    let shapes = serde_json::json!({
        "report": bounce,
        "complaint": complaint,
        "verdict": verdict,
        "answer": Answer::new("a.eml", &bounce),
        "reply_answer": ReplyAnswer::new(text, verdict.as_ref()),
    });
    insta::assert_snapshot!(pretty(&shapes));
    let read: rebound_classify::Report = serde_json::from_value(shapes["report"].clone()).unwrap();
    assert_eq!(read, bounce, "what is written can be read again");
}

/// With names in order, whatever else in the build makes serde_json keep another one.
fn pretty(value: &serde_json::Value) -> String {
    fn sorted(value: &serde_json::Value) -> serde_json::Value {
        match value {
            serde_json::Value::Object(fields) => {
                let fields: BTreeMap<&String, &serde_json::Value> = fields.iter().collect();
                fields.into_iter().map(|(name, value)| (name.clone(), sorted(value))).collect()
            }
            serde_json::Value::Array(values) => values.iter().map(sorted).collect(),
            value => value.clone(),
        }
    }
    serde_json::to_string_pretty(&sorted(value)).unwrap()
}

#[test]
fn the_names_in_verdicts_are_as_they_were() {
    let names = serde_json::json!({
        "cause": BounceCause::ALL,
        "permanence": [Permanence::Hard, Permanence::Soft],
        "kind": [ReportKind::Bounce, ReportKind::Delay, ReportKind::Feedback, ReportKind::AutoReply, ReportKind::NotBounce],
        "command": [
            SmtpCommand::Connect, SmtpCommand::Helo, SmtpCommand::StartTls, SmtpCommand::Auth, SmtpCommand::MailFrom,
            SmtpCommand::RcptTo, SmtpCommand::Data,
        ],
        "field": [
            EvidenceField::Reply, EvidenceField::DiagnosticCode, EvidenceField::Status, EvidenceField::Text,
            EvidenceField::Subject,
        ],
    });
    insta::assert_snapshot!(pretty(&names));
}

fn read(folder: &Path, files: &mut Vec<syn::File>) {
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            read(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(syn::parse_file(&std::fs::read_to_string(&path).unwrap()).unwrap());
        }
    }
}

/// The names in the `pub use` lines of the front door.
fn offered(lib: &syn::File) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for item in &lib.items {
        match item {
            Item::Use(item) if is_public(&item.vis) => leaves(&item.tree, &mut names),
            Item::Mod(item) => assert!(!is_public(&item.vis), "modules are private: {}", item.ident),
            other => panic!("the front door only shows what is within: {}", written(other)),
        }
    }
    names
}

fn leaves(tree: &UseTree, names: &mut BTreeSet<String>) {
    match tree {
        UseTree::Path(path) => leaves(&path.tree, names),
        UseTree::Group(group) => group.items.iter().for_each(|tree| leaves(tree, names)),
        UseTree::Name(name) => drop(names.insert(name.ident.to_string())),
        UseTree::Rename(_) | UseTree::Glob(_) => panic!("names are offered one by one, as they are"),
    }
}

/// A line for whatever of an item can be named from outside.
fn tell(item: &Item, names: &BTreeSet<String>, lines: &mut BTreeSet<String>) {
    let offered = |ident: &syn::Ident| names.contains(&ident.to_string());
    match item {
        Item::Fn(item) if is_public(&item.vis) && offered(&item.sig.ident) => drop(lines.insert(written(&item.sig))),
        Item::Struct(item) if is_public(&item.vis) && offered(&item.ident) => {
            let name = &item.ident;
            lines.insert(format!("struct {name}{}", written(&item.generics)));
            lines.extend(derived(&name.to_string(), &item.attrs));
            let public = item.fields.iter().filter(|field| is_public(&field.vis));
            lines.extend(public.map(|field| {
                let field_name = field.ident.as_ref().map_or_else(|| "0".to_owned(), ToString::to_string);
                format!("struct {name}: {field_name}: {}", written(&field.ty))
            }));
            if item.fields.iter().any(|field| !is_public(&field.vis)) {
                lines.insert(format!("struct {name}: …"));
            }
        }
        Item::Enum(item) if is_public(&item.vis) && offered(&item.ident) => {
            let name = &item.ident;
            lines.insert(format!("enum {name}{}", written(&item.generics)));
            lines.extend(derived(&name.to_string(), &item.attrs));
            lines.extend(item.variants.iter().map(|variant| {
                let fields =
                    if matches!(variant.fields, Fields::Unit) { String::new() } else { written(&variant.fields) };
                format!("enum {name}: {}{fields}", variant.ident)
            }));
        }
        Item::Impl(item) => {
            let of = written(&item.self_ty);
            if !names.contains(of.split('<').next().unwrap_or_default()) {
                return;
            }
            if let Some((_, path, _)) = &item.trait_ {
                lines.insert(format!("impl {} for {of}", written(path)));
                return;
            }
            let methods = item.items.iter().filter_map(|item| match item {
                ImplItem::Fn(method) if is_public(&method.vis) => Some(format!("impl {of}: {}", written(&method.sig))),
                ImplItem::Const(constant) if is_public(&constant.vis) => {
                    Some(format!("impl {of}: const {}: {}", constant.ident, written(&constant.ty)))
                }
                _ => None,
            });
            lines.extend(methods);
        }
        _ => {}
    }
}

fn derived(name: &str, attributes: &[syn::Attribute]) -> Vec<String> {
    let mut lines = Vec::new();
    for attribute in attributes {
        if attribute.path().is_ident("derive") {
            let traits =
                attribute.parse_args_with(syn::punctuated::Punctuated::<syn::Path, syn::Token![,]>::parse_terminated);
            lines.extend(traits.unwrap().iter().map(|one| format!("impl {} for {name}", written(one))));
        } else if attribute.path().is_ident("non_exhaustive") {
            lines.push(format!("{name} may grow"));
        }
    }
    lines
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// Tokens with the spaces that a person would set.
fn written(tokens: &impl ToTokens) -> String {
    let mut text = tokens.to_token_stream().to_string();
    for (from, to) in [
        (" < ", "<"),
        ("< ", "<"),
        (" >", ">"),
        ("& ", "&"),
        (" :: ", "::"),
        (":: ", "::"),
        (" ,", ","),
        (" (", "("),
        ("( ", "("),
        (" )", ")"),
        (" :", ":"),
        ("[ ", "["),
        (" ]", "]"),
    ] {
        text = text.replace(from, to);
    }
    text
}
