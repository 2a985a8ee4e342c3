//! Letters whose style sheets were said at their elements look as they were written, in a program that reads style sheets.

use crate::chromium::{Chromium, DESK, PHONE};
use crate::engine::Engine;
use crate::world::World;
use serde_json::json;
use std::fmt::Write;

/// A generator whose numbers are the same everywhere: SplitMix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) >> 33).unwrap() % end
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }
}

const COMPOUNDS: [&str; 22] = [
    "p", "div", "td", "span", "a", "ul", "li", "tr", "table", "*", ".a", ".b", ".c", ".d", "#x", "#y", "p.a", "td.b",
    "tbody", "body", ".A", "div#x",
];
const PASSING: [&str; 9] = [
    "a:link",
    "p:first-child",
    ".b:hover",
    "td[align]",
    "[class~=c]",
    "li:nth-child(2)",
    ":is(.a,#y)",
    "p::first-line",
    ".c:not(.d)",
];
const JOINS: [&str; 6] = [" ", " ", " > ", " ", " + ", " ~ "];
const SAID: [&str; 26] = [
    "color:red",
    "color:blue",
    "color:#0a0!important",
    "background:#eee",
    "background-color:#fed",
    "margin:3px",
    "margin-left:9px",
    "margin:1px 2px!important",
    "padding:4px",
    "padding-top:7px",
    "font:italic 13px Arial",
    "font-size:17px",
    "line-height:1.7",
    "font-family:'Courier New', monospace",
    "border:1px solid red",
    "border-left:3px dotted #00f",
    "text-decoration:underline",
    "text-align:center",
    "width:60%",
    "max-width:33em",
    "display:block",
    "letter-spacing:var(--no, 2px)",
    "--no:1px",
    "color:no-such-colour",
    "word-spacing:3px",
    "text-transform:uppercase!important",
];

fn sheet(chance: &mut Chance) -> String {
    let mut css = String::new();
    for _ in 0..70 {
        let selectors: Vec<String> = (0..=chance.below(2))
            .map(|_| {
                let mut selector = chance.of(&COMPOUNDS).to_owned();
                for _ in 0..chance.below(3) {
                    let next = if chance.below(6) == 0 { chance.of(&PASSING) } else { chance.of(&COMPOUNDS) };
                    let _ = write!(selector, "{}{next}", chance.of(&JOINS));
                }
                selector
            })
            .collect();
        let said: Vec<&str> = (0..=chance.below(4)).map(|_| chance.of(&SAID)).collect();
        let rule = format!("{} {{ {} }}\n", selectors.join(", "), said.join("; "));
        match chance.below(7) {
            0 => writeln!(css, "@media (max-width: 600px) {{ {rule} }}").unwrap(),
            1 => writeln!(css, "/* {rule} */ @supports (display: grid) {{ {rule} }}").unwrap(),
            _ => css.push_str(&rule),
        }
    }
    css
}

fn attributes(chance: &mut Chance) -> String {
    let mut words = String::new();
    if chance.below(2) == 0 {
        let _ = match chance.below(5) {
            0 => write!(words, " class=\"{{{{ tier }}}} {}\"", chance.of(&["a", "b", "c d"])),
            1 => write!(words, " class='{{% if tier == \"a\" %}}b{{% endif %}} {}'", chance.of(&["a", "c"])),
            2 => write!(words, " {{% if tier == \"a\" %}}class='b'{{% endif %}}"),
            _ => write!(words, " class=\"{}\"", chance.of(&["a", "b", "c", "d a", "b c"])),
        };
    }
    if chance.below(9) == 0 {
        let _ = write!(words, " id={}", chance.of(&["x", "y"]));
    }
    if chance.below(4) == 0 {
        let quote = chance.of(&["\"", "'"]);
        let _ = write!(
            words,
            " style={quote}{}{quote}",
            chance.of(&["color:green", "margin:5px;", "font-size:11px ", "padding-top:1px"])
        );
    }
    words
}

/// Elements in one another, some of them only for some.
fn body(chance: &mut Chance, depth: usize) -> String {
    let mut html = String::new();
    for _ in 0..=chance.below(3) {
        let own = attributes(chance);
        let inner = if depth == 0 {
            chance.of(&["a word", "more words", "{{ first_name }}"]).to_owned()
        } else {
            body(chance, depth - 1)
        };
        let element = match chance.below(6) {
            0 => format!("<div{own}>{inner}</div>"),
            1 => format!(
                "<table{own}><tr{}><td align=left{}>{inner}</td><td>x</table>",
                attributes(chance),
                attributes(chance)
            ),
            2 => format!("<ul{own}><li{}>{inner}<li>x</ul>", attributes(chance)),
            3 => format!(
                "<div{own}><p{}>a <span{}>b</span> <a href=\"https://fernhill.test/\">c</a></p>{inner}</div>",
                attributes(chance),
                attributes(chance)
            ),
            _ => format!("<div><span{own}>s</span>{inner}</div>"),
        };
        match chance.below(8) {
            0 => write!(html, "{{% if tier == \"a\" %}}{element}{{% else %}}<p{own}>other</p>{{% endif %}}").unwrap(),
            1 => write!(html, "{{% for n in [1, 2] %}}{element}{{% endfor %}}").unwrap(),
            _ => html.push_str(&element),
        }
    }
    html
}

/// An unknown sheet: with it a letter goes as it was written.
const UNKNOWN: &str = "<link rel=\"stylesheet\" href=\"https://fernhill.test/none.css\">";

fn letter(seed: u64, more: &str) -> String {
    let mut chance = Chance(seed);
    let (css, body) = (sheet(&mut chance), body(&mut chance, 4));
    let doctype = if seed.is_multiple_of(2) { "<!doctype html>" } else { "" };
    format!(
        "{doctype}<html><head>{more}<style>{css}</style></head><body>{body}<p class=a>{{{{ postal_address }}}} \
         <a href=\"{{{{ unsubscribe_url }}}}\">Unsubscribe</a></p></body></html>"
    )
}

/// The HTML part of the letter of that subject that a recipient got.
fn html_of(world: &World, recipient: &str, subject: &str) -> String {
    let letters = world.sandbox.received(recipient);
    let mut messages = letters.iter().filter_map(|letter| mail_parser::MessageParser::default().parse(&letter.raw));
    let message = messages.find(|message| message.subject() == Some(subject)).unwrap();
    message.body_html(0).unwrap().replace(UNKNOWN, "")
}

/// What differs between two letters, element by element.
const DIFFERENCES: &str = r#"
    const [width, one, other, done] = arguments;
    const frames = [one, other].map(html => {
        const frame = document.createElement("iframe");
        frame.style.cssText = `width:${width}px;height:600px;border:0`;
        frame.srcdoc = html;
        frame.loaded = new Promise(loaded => frame.onload = loaded);
        document.body.append(frame);
        return frame;
    });
    Promise.all(frames.map(frame => frame.loaded)).then(() => {
        const all = frames.map(frame => [...frame.contentDocument.querySelectorAll("body, body *")]);
        const found = all[0].length === all[1].length ? [] : [`${all[0].length} elements and ${all[1].length}`];
        for (let i = 0; i < all[0].length && found.length < 9; i++) {
            const [a, b] = all.map((elements, side) => frames[side].contentWindow.getComputedStyle(elements[i]));
            for (const name of a) {
                const x = a.getPropertyValue(name), y = b.getPropertyValue(name);
                if (x !== y) found.push(`${all[1][i].outerHTML.slice(0, 120)}: ${name} is ${x}, was ${y}`);
            }
        }
        const said = all[0].filter((element, i) => (element.getAttribute("style") ?? "") !== (all[1][i].getAttribute("style") ?? "")).length;
        frames.forEach(frame => frame.remove());
        done({ found, said, elements: all[0].length });
    });
"#;

#[tokio::test]
async fn a_letter_looks_as_it_was_written() {
    let world = World::start(Engine::Sqlite).await;
    let browser = Chromium::start(&world).await;
    let (mut said, mut elements) = (0, 0);
    for seed in 0..8 {
        let list = format!("List {seed}");
        let csv = format!("email,first_name,tier\nada{seed}@sandbox.test,Ada,{}\n", ["a", "b", "c"][seed as usize % 3]);
        world.import_to(&list, &csv).await;
        let mut letters = Vec::new();
        for (name, more) in [("Said", ""), ("Written", UNKNOWN)] {
            let (file, name) = (world.write("letter.html", letter(seed, more)), format!("{name} {seed}"));
            let text = format!(
                "name = '{name}'\nlist = '{list}'\nfrom_name = 'Fernhill'\nfrom = 'news@fernhill.test'\nsubject = '{name}'\n\
                 html_file = '{}'\npostal_address = '1 Garden Row'\n[defaults]\nfirst_name = 'you'\ntier = 'b'\n",
                file.display()
            );
            let file = world.write("campaign.toml", text);
            world.rebound(&["campaign", "create", file.to_str().unwrap()]).await;
            world.rebound(&["campaign", "launch", &name]).await;
            world.reaches(&name, "sent").await;
            letters.push(html_of(&world, &format!("ada{seed}@sandbox.test"), &name));
        }
        browser.open("about:blank").await;
        for width in [DESK, PHONE] {
            let seen = browser.run_on(DIFFERENCES, vec![json!(width), json!(letters[0]), json!(letters[1])]).await;
            assert_eq!(seen["found"], json!([]), "letter {seed}, {width} px wide");
            said += seen["said"].as_u64().unwrap();
            elements += seen["elements"].as_u64().unwrap();
        }
    }
    assert!(said * 5 >= elements, "{said} of {elements} elements say what a sheet says");
}
