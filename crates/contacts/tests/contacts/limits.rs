//! Rows that cannot be taken, and those around them, which can.

use crate::place::Place;
use std::io::Read;

#[tokio::test]
async fn bad_rows_are_named_by_line_and_the_good_ones_go_in() {
    let place = Place::new().await;
    let long = "x".repeat(10_001);
    let file = format!(
        "email,name\n\
         ada@orchard.example,Ada\n\
         nobody,No\n\
         \n\
         ,Empty\n\
         too,many,cells\n\
         \"multi@orchard.example\",\"two\nlines\"\n\
         few@orchard.example\n\
         nul@orchard.example,N\0l\n\
         long@orchard.example,{long}\n\
         bob@orchard.example,Bob\n\
         a b@orchard.example,Blank\n\
         eve@orchard.example,\"Eve, \"\"the\"\" third\"\n"
    );
    let imported = place.import(file).await;
    assert_eq!(place.audience().await, ["ada@orchard.example", "bob@orchard.example", "eve@orchard.example"]);
    assert_eq!(place.field("eve@orchard.example", "name").await, "Eve, \"the\" third");
    assert_eq!(
        place.reasons(imported).await,
        [
            "3: an address needs an @",
            "5: there is no address",
            "6: 3 cells where the first line has 2",
            "7: a line break or a NUL, in “name”",
            "9: 1 cells where the first line has 2",
            "10: a line break or a NUL, in “name”",
            "11: longer than 10000 bytes, in “name”",
            "13: the part before the @ is not valid",
        ]
    );
    let mut csv = Vec::new();
    rebound_contacts::bad_rows(&place.db, imported.id, &mut csv).await.unwrap();
    let csv = String::from_utf8(csv).unwrap();
    assert!(csv.starts_with("line,reason,row\n3,an address needs an @,\"nobody,No\"\n"), "{csv}");
}

#[tokio::test]
async fn a_refused_row_is_no_formula() {
    let place = Place::new().await;
    let imported = place.import("email\n=cmd|'/c calc'!A1\n").await;
    let mut csv = Vec::new();
    rebound_contacts::bad_rows(&place.db, imported.id, &mut csv).await.unwrap();
    assert!(String::from_utf8(csv).unwrap().contains(",'=cmd|"));
}

#[tokio::test]
async fn a_stray_quote_costs_its_own_line_only() {
    let place = Place::new().await;
    let rows: String =
        (0..20_000).map(|n| format!("p{n}@orchard.example,Person number {n} of the orchard, who\n")).collect();
    let file = format!(
        "email,name,x\nada@orchard.example,\"Ada,x\n{rows}bob@orchard.example,Bob,x\n\"eve@orchard.example,Eve,x\n"
    );
    assert!(file.len() > 1024 * 1024);
    let imported = place.import(file).await;
    assert_eq!(imported.counts.added, 20_001);
    assert_eq!(
        place.reasons(imported).await,
        ["2: a quote is opened and never closed", "20004: a quote is opened and never closed"]
    );

    let place = Place::new().await;
    let file = "email,name\nada@orchard.example,\"Ada\nbob@orchard.example,Bob\neve@orchard.example,\"Eve\"\n";
    let imported = place.import(file).await;
    assert_eq!(place.audience().await, ["bob@orchard.example", "eve@orchard.example"]);
    assert_eq!(place.reasons(imported).await.len(), 1);
}

#[tokio::test]
async fn a_line_of_a_megabyte_is_cut_and_named() {
    let place = Place::new().await;
    for length in [1_048_577, 1_200_000, 5_000_000] {
        let long = "x".repeat(length);
        let file =
            format!("email,name\n{long}\nada@orchard.example,Ada\n\"{long}\",y\r\nbob@orchard.example,Bob\n{long}");
        let imported = place.import(file).await;
        assert_eq!(place.audience().await, ["ada@orchard.example", "bob@orchard.example"]);
        let bad = place.bad(imported).await;
        assert_eq!(bad.iter().map(|row| row.line).collect::<Vec<_>>(), [2, 4, 6], "{length}");
        assert!(bad.iter().all(|row| row.content.len() == 2000), "{length}");
        assert!(bad[0].reason.contains("1 MB"), "{}", bad[0].reason);
    }
}

#[tokio::test]
async fn a_source_that_fails_is_told_and_what_it_gave_can_be_repeated() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the disk is gone"))
        }
    }
    let place = Place::new().await;
    let settings = rebound_contacts::Import::new(place.list.id, "people.csv", place.now);
    let source = std::io::Cursor::new("email\nada@orchard.example\n").chain(Broken);
    let error = rebound_contacts::import(&place.db, source, &settings, |_| ()).await.unwrap_err();
    assert!(matches!(error, rebound_contacts::Error::File(_)), "{error}");
    assert_eq!(place.import("email\nada@orchard.example\n").await.counts.added, 1);
}
