//! Whatever a server says, at whatever stage, is read without a fault, and nothing is taken for an acceptance that is none.

use std::time::Duration;

use mail::{Delivery, Envelope, Smtp, Timeouts};
use proptest::prelude::*;
use testkit::smtp::{Act, Script, Server, Stage};

/// Nearly answers: codes, continuations, enhanced codes and characters that belong nowhere.
fn answer() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        prop::sample::select(vec![
            "250",
            "250-",
            "250 ",
            "354 go",
            "421 ",
            "451-4.7.1",
            "550 5.1.1 user unknown",
            "334 ",
            "235 ",
            "220 ",
            "\0",
            "250 SIZE 99999999999999999999",
            "-",
            " ",
            "999 ",
            "25",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,12}",
        "[0-9 -]{0,8}",
    ];
    prop::collection::vec(part, 0..6).prop_map(|parts| parts.concat())
}

fn stage() -> impl Strategy<Value = Stage> {
    prop::sample::select(vec![
        Stage::Connect,
        Stage::Hello,
        Stage::Mail,
        Stage::Rcpt,
        Stage::Data,
        Stage::Dot,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn only_a_2xx_after_the_final_dot_is_an_acceptance(stage in stage(), said in answer()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (delivery, taken) = runtime.block_on(async {
            let server = Server::start(Script::new().at(stage, Act::Say(said.clone()))).await.unwrap();
            let soon = Duration::from_millis(100);
            let timeouts = Timeouts { connect: soon, greeting: soon, command: soon, data: soon, block: soon, dot: soon };
            let smtp = Smtp::from_url(&server.url()).unwrap().with_timeouts(timeouts);
            let envelope = Envelope { from: "a@shop.example".to_owned(), to: "b@inbox.example".to_owned() };
            let delivery = smtp.send(&envelope, b"Subject: Hello\r\n\r\nHello\r\n").await;
            (delivery, !server.log().mails.is_empty())
        });
        if matches!(delivery, Delivery::Accepted { .. }) {
            prop_assert!(taken, "accepted without a final dot: {said:?}");
        }
        if matches!(stage, Stage::Dot) && matches!(delivery, Delivery::Accepted { .. }) {
            prop_assert!(said.starts_with('2'), "{said:?}");
        }
        if matches!(stage, Stage::Connect | Stage::Hello | Stage::Mail | Stage::Rcpt) {
            prop_assert!(taken || !matches!(delivery, Delivery::InDoubt { .. }), "in doubt before a mail: {said:?}");
        }
    }

    #[test]
    fn no_address_of_a_server_makes_its_reader_panic(url in "(smtps?://)?[a-z0-9:@/?&=%.\\[\\]é-]{0,40}") {
        let _ = Smtp::from_url(&url);
    }
}
