//! People come from files that others wrote.

use crate::engine::{Engine, on_both_engines};
use crate::world::World;

on_both_engines! {
    bad_rows_come_back_with_line_and_reason_and_good_rows_go_in,
    a_file_taken_twice_is_taken_once,
    nobody_is_brought_back_who_bounced_for_good,
}

async fn bad_rows_come_back_with_line_and_reason_and_good_rows_go_in(engine: Engine) {
    let world = World::start(engine).await;
    let csv = "E-mail;First name\nada@sandbox.test;Ada\nnot an address;Bo\n;Cleo\nada@sandbox.test;Ada\nDora@sandbox.test;Dora\n";
    let file = world.write("people.csv", csv);

    let answer = world.rebound(&["import", file.to_str().unwrap(), "--list", "Newsletter"]).await;

    assert!(
        answer.contains("2 new") && answer.contains("1 row merged") && answer.contains("2 rows to correct"),
        "{answer}"
    );
    let bad = std::fs::read_to_string(world.folder().join("people.csv.bad.csv")).unwrap();
    let lines: Vec<&str> = bad.lines().collect();
    assert_eq!(lines.len(), 3, "{bad}");
    assert!(lines[1].starts_with("3,") && lines[1].contains("not an address"), "{bad}");
    assert!(lines[2].starts_with("4,"), "{bad}");
    world.send("Spring").await;
    assert_eq!(world.ledger("Spring").await.len(), 2);
}

async fn a_file_taken_twice_is_taken_once(engine: Engine) {
    let world = World::start(engine).await;
    assert!(world.import("email,city\nada@sandbox.test,Oslo\nbo@sandbox.test,Rome\n").await.contains("2 new"));

    let again = world.import("email,city\nADA@sandbox.test,Oslo\nbo@sandbox.test,Paris\n").await;

    assert!(again.contains("0 new, 1 changed, 1 as they were"), "{again}");
    world.send("Spring").await;
    assert_eq!(world.ledger("Spring").await.len(), 2);
}

async fn nobody_is_brought_back_who_bounced_for_good(engine: Engine) {
    let world = World::start(engine).await;
    world.import("email\ngone@sandbox.test\n").await;
    world.send("Spring").await;

    let again = world.import("email\ngone@sandbox.test\nada@sandbox.test\n").await;
    world.send("Summer").await;

    assert!(again.contains("1 person left or suppressed before: not brought back"), "{again}");
    assert!(world.ledger("Summer").await.get("gone@sandbox.test").is_none_or(|line| line.attempts == 0));
    assert_eq!(world.subjects("ada@sandbox.test"), ["Summer"]);
}
