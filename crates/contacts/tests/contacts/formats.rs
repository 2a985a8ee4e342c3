//! Files as people have them.

use crate::place::Place;
use rebound_contacts::{Error, Import, Target, import};
use rebound_db::imports;
use rebound_db::jobs::JobState;

fn utf16(text: &str, little: bool, mark: bool) -> Vec<u8> {
    let mark = if mark { "\u{feff}" } else { "" };
    let units: Vec<u16> = format!("{mark}{text}").encode_utf16().collect();
    units.iter().flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect()
}

#[tokio::test]
async fn every_encoding_gives_the_same_people() {
    let text = "email;Prénom;Ort\r\nzoe@orchard.example;Zoë;Köln\r\nada@orchard.example;Ada;Łódź\r\n";
    let western = text.replace("Łódź", "Orléans");
    let windows = encoding_rs::WINDOWS_1252.encode(&western).0.into_owned();
    for (name, file, town) in [
        ("UTF-8", text.as_bytes().to_vec(), "Łódź"),
        ("UTF-8 with a mark", [b"\xef\xbb\xbf", text.as_bytes()].concat(), "Łódź"),
        ("UTF-16 LE", utf16(text, true, true), "Łódź"),
        ("UTF-16 BE", utf16(text, false, true), "Łódź"),
        ("UTF-16 LE without a mark", utf16(text, true, false), "Łódź"),
        ("UTF-16 BE without a mark", utf16(text, false, false), "Łódź"),
        ("Windows-1252", windows, "Orléans"),
    ] {
        let place = Place::new().await;
        let imported = place.import(file).await;
        assert_eq!((imported.counts.added, imported.counts.bad), (2, 0), "{name}");
        assert_eq!(place.field("zoe@orchard.example", "prénom").await, "Zoë", "{name}");
        assert_eq!(place.field("zoe@orchard.example", "ort").await, "Köln", "{name}");
        assert_eq!(place.field("ada@orchard.example", "ort").await, town, "{name}");
    }
}

#[tokio::test]
async fn letters_survive_wherever_the_reading_is_cut() {
    let place = Place::new().await;
    let rows: String = (0..9000).map(|n| format!("p{n}@orchard.example,Zoë Łódź 😀 {n}\n")).collect();
    let imported = place.import(utf16(&format!("email,name\n{rows}"), true, true)).await;
    assert_eq!((imported.counts.added, imported.counts.bad), (9000, 0));
    for n in [0, 1234, 4567, 8999] {
        assert_eq!(place.field(&format!("p{n}@orchard.example"), "name").await, format!("Zoë Łódź 😀 {n}"));
    }
}

#[tokio::test]
async fn columns_are_found_whatever_separates_and_names_them() {
    for file in [
        "name,email\nAda,ada@orchard.example\n",
        "name;E-Mail\nAda;ada@orchard.example",
        "name\tMail\r\nAda\tada@orchard.example\r\n",
        "name|e-mail address\rAda|ada@orchard.example\r",
        "\n\nName,E-Mail-Adresse\n\nAda,ada@orchard.example\n\n,\n",
        "sep=;\r\nname;Courriel\r\nAda;ada@orchard.example\r\n",
        "\"name\",\"Correo electrónico\"\n\"Ada\",\"ada@orchard.example\"\n",
        "Address,name\nada@orchard.example,Ada\n",
        "Address,name,Email\n1 Orchard Lane,Ada,ada@orchard.example\n",
        "Email\n\"Ada\" <ada@orchard.example>\n",
        "email,phone\n'Ada' <ada@orchard.example>,'+49 1".replace("'Ada'", "Ada").as_str(),
        "E-mail 1 - Value,Name\nmailto:ada@orchard.example,Ada\n",
    ] {
        let place = Place::new().await;
        let imported = place.import(file).await;
        assert_eq!((imported.counts.added, imported.counts.lines), (1, 1), "{file}: {:?}", place.bad(imported).await);
        assert_eq!(place.field("ada@orchard.example", "name").await, "Ada", "{file}");
    }
}

#[tokio::test]
async fn a_file_without_a_header_is_taken_if_one_column_has_addresses() {
    let place = Place::new().await;
    let imported = place.import("ada@orchard.example\nbob@orchard.example\n").await;
    assert_eq!((imported.counts.added, imported.counts.lines), (2, 2));
    let imported = place.import("Eve,eve@orchard.example\n").await;
    assert_eq!((imported.counts.added, imported.counts.lines), (1, 1));
    assert_eq!(place.field("eve@orchard.example", "column_1").await, "Eve");
}

#[tokio::test]
async fn the_caller_may_say_what_a_column_is() {
    let place = Place::new().await;
    let mut settings = Import::new(place.list.id, "people.csv", place.now);
    settings.columns = vec![
        ("Kontaktweg".to_owned(), Target::Address),
        ("Rufname".to_owned(), Target::Field("First Name".to_owned())),
        ("Notiz".to_owned(), Target::Skip),
    ];
    let file = "Rufname,Kontaktweg,Notiz,Email\nAda,ada@orchard.example,secret,old@orchard.example\n".as_bytes();
    import(&place.db, file, &settings, |_| ()).await.unwrap();
    let ada = place.contact("ada@orchard.example").await.unwrap();
    let fields: Vec<_> = ada.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(fields, ["email=old@orchard.example", "first_name=Ada"]);
}

#[tokio::test]
async fn what_is_no_list_of_people_is_refused_with_its_reason() {
    let binary: Vec<u8> = (0..20_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for (file, message) in [
        (Vec::new(), "the file is empty"),
        (b"\n\n\n".to_vec(), "the file is empty"),
        (b"\xef\xbb\xbf".to_vec(), "the file is empty"),
        (binary, "something that is no text"),
        (b"PK\x03\x04 and so on".to_vec(), "save it as CSV"),
        (b"name,town\nAda,Ghent\n".to_vec(), "the first line has “name”, “town”"),
        ("x,".repeat(300).into_bytes(), "the first line has 301 columns"),
        (b"\"never closed".to_vec(), "never closed"),
    ] {
        let place = Place::new().await;
        let error = place.try_import(file).await.unwrap_err();
        assert!(error.to_string().contains(message), "{error} / {message}");
        let noted = &imports::newest(&place.db, None, 1).await.unwrap()[0];
        assert_eq!((noted.state, noted.error.clone()), (JobState::Failed, Some(error.to_string())));
        assert!(place.audience().await.is_empty());
    }
}

#[tokio::test]
async fn only_a_header_is_a_list_of_nobody() {
    let place = Place::new().await;
    let imported = place.import("email,name\n").await;
    assert_eq!(imported.counts.lines, 0);
    assert_eq!(imports::get(&place.db, imported.id).await.unwrap().unwrap().state, JobState::Done);
}

#[tokio::test]
async fn a_list_goes_out_and_comes_back_as_it_was() {
    let place = Place::new().await;
    place.import("email,name,note\nada@orchard.example,Ada,=1+1\n+bob@orchard.example,\"B, \"\"Bob\"\"\",\n").await;
    let mut file = Vec::new();
    rebound_contacts::export(&place.db, place.list.id, &mut file).await.unwrap();
    let text = String::from_utf8(file).unwrap();
    assert!(text.starts_with("email,name,note,status,consent,since\n"), "{text}");
    assert!(text.contains("ada@orchard.example,Ada,'=1+1,confirmed,import people.csv,"), "{text}");
    assert!(text.contains("'+bob@orchard.example,\"B, \"\"Bob\"\"\",,"), "{text}");

    let mut settings = Import::new(place.list.id, "people.csv", place.now);
    settings.columns = ["status", "consent", "since"].map(|name| (name.to_owned(), Target::Skip)).to_vec();
    let again = import(&place.db, std::io::Cursor::new(text), &settings, |_| ()).await.unwrap();
    assert_eq!((again.counts.unchanged, again.counts.lines), (2, 2));
    assert!(matches!(place.try_import("PK\u{3}\u{4}").await, Err(Error::NotText(_))));
}
