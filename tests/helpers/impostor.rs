//! The daemon's side, against programs that hang, die, or talk nonsense.

use std::io::{BufRead, BufReader, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use banishd::ask::{Answered, Asker};
use banishd::engine::effect::{Answer, AskId, Question};
use banishd::helper::protocol::{Envelope, Reply, Request};
use tokio::net::UnixListener;
use tokio::sync::mpsc::Receiver;

use crate::helpers::{Helpers, answer, question, unknown};

/// A program that does this with each connection, in the place of both.
fn impostor<F: Future<Output = ()> + Send + 'static>(
    helpers: &Helpers,
    serve: impl Fn(tokio::net::UnixStream) -> F + Clone + Send + 'static,
) -> (Asker, Receiver<Answered>) {
    for place in [&helpers.places.resolve, &helpers.places.action] {
        let listener = UnixListener::bind(place).unwrap();
        let serve = serve.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection));
            }
        });
    }
    Asker::new(helpers.places.clone())
}

/// Reads a request from `connection`.
async fn hear(connection: &tokio::net::UnixStream) -> Envelope<Request> {
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        connection.readable().await.unwrap();
        let mut chunk = [0; 4096];
        if let Ok(length) = connection.try_read(&mut chunk) {
            line.extend(&chunk[..length]);
        }
    }
    Envelope::parse(&line).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_command_that_hangs_holds_up_no_other_jail_and_not_its_own_for_ever() {
    let helpers = Helpers::with("true");
    let (asker, mut answers) = impostor(&helpers, async |connection| {
        let said = hear(&connection).await;
        match said.content {
            Request::Ignore { jail, .. } if jail == "door" => {
                let ran = Reply::Ran {
                    status: Some(1),
                    signal: None,
                    timed_out: false,
                    duration_usec: 0,
                    output: String::new(),
                };
                let reply = Envelope::new(said.id, ran).line();
                connection.try_write(&reply).unwrap();
            }
            _ => std::future::pending().await,
        }
    });

    let began = tokio::time::Instant::now();
    for id in 0..100 {
        asker.ask(AskId(id), question("slow", &[]));
    }
    asker.ask(AskId(100), question("door", &[]));
    let first = answers.recv().await.unwrap();
    assert_eq!(
        (first.id, first.answer),
        (Some(AskId(100)), Answer::Ignore(false))
    );
    assert!(began.elapsed() < Duration::from_secs(1));
    let mut busy = 0;
    for _ in 0..100 {
        let answered = answers.recv().await.unwrap();
        let text = unknown(&answered.answer);
        assert!(text.contains("takes too long"), "{text}");
        assert!(answered.about.unwrap().1.is_some());
        busy += usize::from(text.contains("busy"));
    }

    assert_eq!(busy, 96, "the other four were asked");
    assert!(began.elapsed() < Duration::from_secs(70));
}

#[tokio::test(start_paused = true)]
async fn a_program_that_does_not_answer_is_not_waited_for() {
    let helpers = Helpers::with("true");
    let (asker, mut answers) = impostor(&helpers, async |connection| {
        let _connection = connection;
        std::future::pending().await
    });

    let answered = answer(&asker, &mut answers, Question::Resolve("a.example".into())).await;

    let text = unknown(&answered.answer);
    assert!(text.contains("takes too long"), "{text}");
}

#[tokio::test]
async fn a_program_that_talks_nonsense_is_not_believed() {
    for (said, why) in [
        (String::new(), "broke off"),
        ("hello\n".to_owned(), "talks nonsense"),
        ("{\"version\":1,\"id\":".to_owned(), "broke off"),
        (
            "{\"version\":1,\"id\":0,\"reply\":\"refused\",\"why\":\"\"}\n".repeat(2),
            "talks nonsense",
        ),
        (
            "{\"version\":1,\"id\":0,\"reply\":\"addresses\",\"addresses\":[]}\n".to_owned(),
            "something else",
        ),
        ("x".repeat(200 * 1024), "broke off"),
    ] {
        let helpers = Helpers::with("true");
        let (asker, mut answers) = impostor(&helpers, move |connection| {
            let said = said.clone();
            async move {
                let mut connection = connection.into_std().unwrap();
                connection.set_nonblocking(false).unwrap();
                std::thread::spawn(move || {
                    let mut line = String::new();
                    let _ = BufReader::new(&connection).read_line(&mut line);
                    let _ = connection.write_all(said.as_bytes());
                });
            }
        });
        let answered = answer(&asker, &mut answers, Question::Resolve("a.example".into())).await;
        let text = unknown(&answered.answer);
        assert!(text.contains(why), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn few_questions_are_under_way_and_not_endlessly_many_wait() {
    let helpers = Helpers::with("true");
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counters = (now.clone(), most.clone());
    let (asker, mut answers) = impostor(&helpers, move |connection| {
        let (now, most) = counters.clone();
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(5)).await;
            now.fetch_sub(1, Ordering::Relaxed);
            drop(connection);
        }
    });

    for id in 0..5000 {
        asker.ask(AskId(id), Question::Resolve("a.example".into()));
    }
    let mut refused = 0;
    for _ in 0..5000 {
        let answered = answers.recv().await.unwrap();
        refused += usize::from(unknown(&answered.answer).contains("wait already"));
    }

    assert!(most.load(Ordering::Relaxed) <= 16, "{most:?}");
    assert_eq!(refused, 5000 - 4096);
}
