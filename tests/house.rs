//! The rules of the house, checked against the manifests and the files: what `docs/architecture.md` says is so.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on stops, and says where")]

mod docs;
mod licences;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Crates that speak SQL, and those that nobody else may therefore use.
const SQL_SPEAKERS: [&str; 2] = ["db", "migrations"];
const SQL_LIBRARIES: [&str; 6] = ["rusqlite", "sea-orm", "sea-orm-migration", "sea-query", "sqlx", "tokio-postgres"];

#[test]
fn arrows_point_down() {
    let allowed = arrows(&read("docs/architecture.md"));
    let crates = crates();
    let (told, found): (BTreeSet<_>, BTreeSet<_>) = (allowed.keys().collect(), crates.keys().collect());
    assert_eq!(told, found, "the table \"Who may use whom\" names every crate");

    let wrong: Vec<String> = crates.iter().flat_map(|(name, manifest)| unlawful(name, manifest, &allowed)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_arrow_that_points_up_is_noticed() {
    let allowed = arrows(
        "| `db` | domain (words only), migrations | – |\n| `domain` | – | everyone |\n| `rebound` | all of them | – |",
    );
    let manifest = |text: &str| text.parse::<toml::Table>().unwrap();

    let up = manifest("[dependencies]\nrebound-db.workspace = true");
    assert_eq!(unlawful("domain", &up, &allowed), ["domain may not use db"]);
    assert!(unlawful("rebound", &up, &allowed).is_empty());

    let sideways = manifest("[target.'cfg(unix)'.dependencies]\nrebound-send.workspace = true");
    assert_eq!(unlawful("db", &sideways, &allowed), ["db may not use send"]);

    let tests_only = manifest("[dev-dependencies]\nrebound-sandbox.workspace = true\nrebound-db.workspace = true");
    assert_eq!(unlawful("domain", &tests_only, &allowed), ["the tests of domain may not use db"]);
}

#[test]
fn sql_lives_in_the_database_crate() {
    for (name, manifest) in crates() {
        if SQL_SPEAKERS.contains(&name.as_str()) {
            continue;
        }
        let named: Vec<String> = uses(&manifest).into_iter().map(|used| used.package).collect();
        let found: Vec<&String> = named.iter().filter(|package| SQL_LIBRARIES.contains(&package.as_str())).collect();
        assert!(found.is_empty(), "{name} speaks SQL by {found:?}; that belongs into crates/db");
    }
}

#[test]
fn versions_and_lints_are_named_once() {
    for (name, manifest) in crates() {
        let inherits = |table: &str| {
            let workspace = manifest.get(table).and_then(|lints| lints.get("workspace"));
            workspace.and_then(toml::Value::as_bool) == Some(true)
        };
        assert!(inherits("lints"), "{name} does not take over the lints of the workspace");
        for used in uses(&manifest) {
            assert!(used.inherited, "{name} names a version of {}; it belongs into the root manifest", used.package);
        }
    }
}

#[test]
fn packages_come_from_the_standard_place_by_checksum() {
    let lock: toml::Table = read("Cargo.lock").parse().unwrap();
    let mut sources = std::collections::BTreeSet::new();
    for package in lock["package"].as_array().unwrap() {
        let Some(source) = package.get("source").and_then(toml::Value::as_str) else { continue };
        assert!(source.starts_with("registry+"), "{} comes from {source}", package["name"]);
        sources.insert(source);
        assert!(package.get("checksum").is_some(), "{} has no checksum", package["name"]);
    }
    assert_eq!(sources.len(), 1, "packages come from several registries: {sources:?}");
    let lock: serde_json::Value = serde_json::from_str(&read("web/package-lock.json")).unwrap();
    for (path, package) in lock["packages"].as_object().unwrap().iter().filter(|(path, _)| !path.is_empty()) {
        assert!(package.get("resolved").is_none(), "{path} names where it was fetched from");
        assert!(package.get("integrity").is_some(), "{path} has no checksum");
    }
}

#[test]
fn no_file_knows_the_machine_it_was_written_on() {
    // Put together here, so that this file does not find itself.
    let traces = [
        // With the folders there: Rebound has pages below an address of that name.
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("registry.npm", "js.org"),
        concat!("index.cra", "tes.io"),
        concat!("static.cra", "tes.io"),
    ];
    for (path, text) in texts() {
        for trace in traces {
            let line = text.lines().position(|line| line.contains(trace)).map(|before| before + 1);
            assert!(line.is_none(), "{}:{} holds {trace}", path.display(), line.unwrap_or_default());
        }
    }
}

#[test]
fn pages_escape_what_people_wrote_and_hold_no_code() {
    for path in files(&root().join("web/templates")) {
        let text = fs::read_to_string(&path).unwrap();
        let bare: String = text.split_whitespace().collect();
        for (unsafe_part, why) in [
            ("|safe", "everything in a page is escaped"),
            ("style=\"", "the content security policy refuses inline styles; use a class or an SVG attribute"),
            ("onclick=", "the content security policy refuses inline scripts; app.js listens"),
            ("hx-on:", "the content security policy refuses inline scripts; app.js listens"),
            ("<script>", "the content security policy refuses inline scripts; app.js holds them"),
        ] {
            // A plain-text mail has no markup to protect.
            let is_page = path.extension().is_some_and(|extension| extension == "html");
            assert!(!is_page || !bare.contains(unsafe_part), "{}: {unsafe_part}: {why}", path.display());
        }
    }
}

/// What each crate may use, from the table "Who may use whom"; `None` where it may use all of them.
fn arrows(page: &str) -> BTreeMap<String, Option<BTreeSet<String>>> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| {
        let (name, rest) = row.split_once("` |")?;
        let (cell, _) = rest.split_once('|')?;
        let cell =
            cell.split(" (").next().unwrap_or(cell).to_owned() + cell.rsplit_once(')').map_or("", |(_, after)| after);
        let uses = match cell.trim() {
            "all of them" => None,
            "–" => Some(BTreeSet::new()),
            some => Some(some.split(',').map(|used| used.trim().to_owned()).collect()),
        };
        Some((name.to_owned(), uses))
    })
    .collect()
}

/// Each arrow of `manifest` that the table does not allow, as a sentence.
fn unlawful(name: &str, manifest: &toml::Table, allowed: &BTreeMap<String, Option<BTreeSet<String>>>) -> Vec<String> {
    let Some(Some(allowed)) = allowed.get(name) else { return Vec::new() };
    let ours = uses(manifest)
        .into_iter()
        .filter_map(|used| Some((used.package.strip_prefix("rebound-")?.to_owned(), used.kind)));
    ours.filter_map(|(used, kind)| match kind {
        _ if allowed.contains(&used) || used == name => None,
        Kind::Tests if used == "sandbox" => None,
        Kind::Tests => Some(format!("the tests of {name} may not use {used}")),
        Kind::Program => Some(format!("{name} may not use {used}")),
    })
    .collect()
}

/// What a dependency is needed for.
#[derive(Clone, Copy)]
enum Kind {
    Program,
    Tests,
}

/// One entry of a manifest's dependency tables.
struct Use {
    package: String,
    kind: Kind,
    /// Its version is that of the workspace.
    inherited: bool,
}

/// Everything that `manifest` names, for any platform.
fn uses(manifest: &toml::Table) -> Vec<Use> {
    let targets = manifest.get("target").and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::values);
    let tables = std::iter::once(manifest).chain(targets.filter_map(toml::Value::as_table));
    let kinds =
        [("dependencies", Kind::Program), ("build-dependencies", Kind::Program), ("dev-dependencies", Kind::Tests)];
    let mut found = Vec::new();
    for table in tables {
        for (key, kind) in kinds {
            for (name, entry) in table.get(key).and_then(toml::Value::as_table).into_iter().flatten() {
                let renamed = entry.get("package").and_then(toml::Value::as_str);
                let inherited = entry.get("workspace").and_then(toml::Value::as_bool) == Some(true);
                found.push(Use { package: renamed.unwrap_or(name).to_owned(), kind, inherited });
            }
        }
    }
    found
}

/// The manifests of all crates, under the short names that the architecture page uses.
fn crates() -> BTreeMap<String, toml::Table> {
    let folders = fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().path());
    let all = folders.chain([root().join("migrations"), root().join("tests")]);
    let manifests = all.map(|folder| folder.join("Cargo.toml")).filter(|manifest| manifest.exists());
    manifests
        .map(|path| {
            let manifest: toml::Table = fs::read_to_string(&path).unwrap().parse().unwrap();
            let name = manifest["package"]["name"].as_str().unwrap();
            (name.strip_prefix("rebound-").unwrap_or(name).to_owned(), manifest)
        })
        .collect()
}

/// Every text file that is ours, with its content. The lock of cargo names its registry; it is checked by itself.
fn texts() -> impl Iterator<Item = (PathBuf, String)> {
    let ours = files(&root()).into_iter().filter(|path| path.file_name().is_some_and(|name| name != "Cargo.lock"));
    ours.filter_map(|path| Some((path.clone(), fs::read_to_string(path).ok()?)))
}

/// The files below `folder`, without what is built, fetched or hidden by git.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let entry = entry.unwrap();
            let skipped = ["target", "node_modules", ".git"].iter().any(|name| entry.file_name() == *name);
            match entry.file_type().unwrap() {
                _ if skipped => {}
                kind if kind.is_dir() => folders.push(entry.path()),
                kind if kind.is_file() => found.push(entry.path()),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

/// The top of the source tree.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A file of ours, by its path from the top.
fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
