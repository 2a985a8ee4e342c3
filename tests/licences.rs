//! Every library that is built in has a licence that `deny.toml` allows.

use std::{collections::BTreeSet, process::Command};

use spdx::{Expression, ParseMode};

use crate::{read, root};

#[test]
fn rust_libraries_are_permissive() {
    let allowed = allowed();
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 100, "only {} packages were seen", packages.len());

    let refused: Vec<String> = packages
        .iter()
        .map(|package| (package["name"].as_str().unwrap(), package["license"].as_str().unwrap_or_default()))
        .filter(|(_, licence)| !permits(licence, &allowed))
        .map(|(name, licence)| format!("{name}: {licence:?}"))
        .collect();
    assert!(refused.is_empty(), "deny.toml does not allow the licences of\n{}", refused.join("\n"));
}

#[test]
fn front_end_libraries_are_permissive() {
    let allowed = allowed();
    for (path, package) in front_end() {
        // What only the tests run is not passed on with the program, so that its terms do not reach whoever has it.
        let for_tests = package["dev"] == true && package["license"] == "MPL-2.0";
        let licence = match package["license"].as_str().unwrap_or_default() {
            "BSD-0-Clause" => "0BSD", // htmx spells it so
            licence => licence,
        };
        assert!(for_tests || permits(licence, &allowed), "{path}: deny.toml does not allow {licence:?}");
    }
}

#[test]
fn what_only_the_tests_run_is_not_built_in() {
    let built_in = read("crates/dashboard/build.rs");
    let (for_tests, others): (Vec<_>, Vec<_>) =
        front_end().into_iter().partition(|(_, package)| package["dev"] == true);
    assert!(others.iter().any(|(path, _)| built_in.contains(&format!("\"{path}/"))), "build.rs names none of them");
    for (path, _) in for_tests {
        assert!(!built_in.contains(&format!("\"{path}/")), "build.rs builds in {path}, which is for tests only");
    }
}

/// The front-end libraries, by the folder in which they lie.
fn front_end() -> Vec<(String, serde_json::Value)> {
    let lock: serde_json::Value = serde_json::from_str(&read("web/package-lock.json")).unwrap();
    let packages = lock["packages"].as_object().unwrap();
    packages.iter().map(|(path, package)| (path.clone(), package.clone())).collect()
}

#[test]
fn an_expression_is_read_as_the_law_would() {
    let allowed = ["MIT", "Apache-2.0"].map(str::to_owned).into();
    for (expression, expected) in [
        ("MIT", true),
        ("MIT/Apache-2.0", true), // how it was written before SPDX
        ("GPL-3.0-only OR MIT", true),
        ("GPL-3.0-only AND MIT", false),
        ("(MIT OR GPL-3.0-only) AND Apache-2.0", true),
        ("Apache-2.0 WITH LLVM-exception", false), // another licence, until it is listed
        ("SSPL-1.0", false),
        ("", false),
        ("see LICENSE", false),
    ] {
        assert_eq!(permits(expression, &allowed), expected, "{expression}");
    }
}

/// The licences that `deny.toml` lists.
fn allowed() -> BTreeSet<String> {
    let rules: toml::Table = read("deny.toml").parse().unwrap();
    let list = rules["licenses"]["allow"].as_array().unwrap();
    list.iter().map(|licence| licence.as_str().unwrap().to_owned()).collect()
}

/// Whether the allowed licences are enough to satisfy `expression`.
fn permits(expression: &str, allowed: &BTreeSet<String>) -> bool {
    Expression::parse_mode(expression, ParseMode::LAX)
        .is_ok_and(|expression| expression.evaluate(|wanted| allowed.contains(&wanted.to_string())))
}
