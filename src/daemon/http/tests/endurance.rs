//! Silent, slow and oversized clients, more of them than there are places, and the end.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::{Message, ended, read};
use super::entra::{Mood, bearer, first_form};
use super::world::{HEADER, SECRET, Wanted, delivery, world};
use crate::http::events::Outcome;
use crate::http::listener::{ListenError, Listener, ListenerLimits, ListenerSettings};

/// So short that a test may wait for it.
const SOON: Duration = Duration::from_millis(30);

fn limited(change: impl FnOnce(&mut ListenerLimits)) -> Wanted {
    let mut wanted = Wanted::default();
    change(&mut wanted.limits);
    wanted
}

#[tokio::test]
async fn a_thousand_silent_and_slow_connections_stop_nobody() {
    let mut world = world(limited(|limits| limits.connections = 50)).await;
    let message = delivery("shop-kv");
    let mut held = VecDeque::new();
    for number in 0..1000 {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        // Nothing at all, a piece of a head, a head without its body.
        let head = message.head();
        let said: &[u8] = [&[][..], &head[..20], &head[..]][number % 3];
        // An earlier one may have given way by now.
        let _ = stream.write_all(said).await;
        held.push_back(stream);
        // More than there are places: those before them have given way already.
        if held.len() > 100 {
            ended(&mut held.pop_front().unwrap()).await;
        }
        if number % 100 == 99 {
            assert_eq!(world.send(&message).await.status, 200, "after {number}");
            assert_eq!(world.activated(), ["shop-kv"]);
        }
    }
}

#[tokio::test]
async fn who_waits_for_us_does_not_give_way() {
    let mut wanted = limited(|limits| limits.connections = 4);
    wanted.entra = true;
    let world = world(wanted).await;
    world.authority.is(Mood::Slow);
    let message = delivery("shop-kv").with("Authorization", &bearer(&first_form()));
    let mut waiting = TcpStream::connect(world.address).await.unwrap();
    waiting.write_all(&message.bytes()).await.unwrap();
    world.authority.asked().await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(world.address).await.unwrap());
    }
    // The first of them have given way, so that all of them were taken.
    for stream in silent.iter_mut().take(16) {
        ended(stream).await;
    }
    world.authority.release();
    assert_eq!(read(&mut waiting).await.unwrap().status, 200);
}

#[tokio::test]
async fn the_one_that_kept_us_waiting_longest_gives_way() {
    let world = world(limited(|limits| limits.connections = 3)).await;
    let mut streams = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        assert_eq!(delivery("shop-kv").exchange(&mut stream).await.unwrap().status, 200);
        streams.push(stream);
    }
    assert!(delivery("shop-kv").exchange(&mut streams[0]).await.is_none(), "the first has given way");
    for stream in &mut streams[1..] {
        assert_eq!(delivery("shop-kv").exchange(stream).await.unwrap().status, 200);
    }
    // It was the second that was quiet longest, until it asked again.
    assert_eq!(delivery("shop-kv").exchange(&mut streams[1]).await.unwrap().status, 200);
    world.send(&delivery("shop-kv")).await;
    assert!(delivery("shop-kv").exchange(&mut streams[2]).await.is_none());
    assert_eq!(delivery("shop-kv").exchange(&mut streams[1]).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_body_that_trickles_has_no_more_time_than_one_that_stops() {
    let world = world(limited(|limits| (limits.receiving, limits.idle) = (SOON, SOON))).await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let message = Message::post(vec![b' '; 100_000]);
    stream.write_all(&message.head()).await.unwrap();
    for byte in &message.body {
        if stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    // Had it come to its end, there would be an answer.
    ended(&mut stream).await;
}

#[tokio::test]
async fn slow_clients_are_cut_off() {
    let head = delivery("shop-kv").head();
    for (name, wanted, said) in [
        ("silent", limited(|limits| limits.opening = SOON), &[][..]),
        ("slow head", limited(|limits| limits.opening = SOON), &head[..30]),
        ("slow body", limited(|limits| limits.receiving = SOON), &head[..]),
    ] {
        let world = world(wanted).await;
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream.write_all(said).await.unwrap();
        ended(&mut stream).await;
        assert_eq!(world.send(&delivery("shop-kv")).await.status, 200, "{name}");
    }
}

#[tokio::test]
async fn a_connection_serves_many_requests_and_not_for_ever() {
    let world = world(limited(|limits| limits.idle = SOON)).await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    for _ in 0..3 {
        assert_eq!(delivery("shop-kv").exchange(&mut stream).await.unwrap().status, 200);
    }
    ended(&mut stream).await;
}

#[tokio::test]
async fn heads_are_limited_but_take_what_event_grid_sends() {
    let world = world(Wanted { secret: true, ..Wanted::default() }).await;
    let mut message = delivery("shop-kv").with(HEADER, SECRET);
    for number in 0..9 {
        message = message.with(&format!("X-Chosen-{number}"), &"v".repeat(4096));
    }
    assert_eq!(world.send(&message).await.status, 200);
    for number in 0..10 {
        message = message.with(&format!("X-More-{number}"), &"v".repeat(4096));
    }
    assert_eq!(world.send(&message).await.status, 431);
}

#[tokio::test]
async fn bodies_are_limited_whether_or_not_their_length_is_told() {
    let world = world(Wanted { body_limit: 1000, ..Wanted::default() }).await;
    let mut body = serde_json::json!([super::world::event_grid("shop-kv")]).to_string();
    body.push_str(&" ".repeat(1000 - body.len()));
    assert_eq!(world.send(&Message::post(body.clone())).await.status, 200, "exactly the limit");
    body.push(' ');
    assert_eq!(world.send(&Message::post(body.clone())).await.status, 413);
    // In pieces, with another request after it: what was refused is read to its end, so that the answer arrives.
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let mut bytes = b"POST /events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..500 {
        bytes.extend(format!("{:x}\r\n{body}\r\n", body.len()).bytes());
    }
    bytes.extend(b"0\r\n\r\n");
    stream.write_all(&bytes).await.unwrap();
    assert_eq!(read(&mut stream).await.unwrap().status, 413);
    assert_eq!(world.outcome(), Outcome::TooLarge);
    assert_eq!(delivery("shop-kv").exchange(&mut stream).await.unwrap().status, 200);
}

#[tokio::test]
async fn who_asks_first_is_told_before_the_body() {
    let world = world(Wanted { secret: true, ..Wanted::default() }).await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let message = delivery("shop-kv").with("Expect", "100-continue");
    stream.write_all(&message.head()).await.unwrap();
    assert_eq!(read(&mut stream).await.unwrap().status, 401);
    // One that would be too large need not be sent either.
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let large = Message::post(vec![b' '; 2_000_000]).with("Expect", "100-continue").with(HEADER, SECRET);
    stream.write_all(&large.head()).await.unwrap();
    assert_eq!(read(&mut stream).await.unwrap().status, 413);
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let message = message.with(HEADER, SECRET);
    stream.write_all(&message.head()).await.unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(&message.body).await.unwrap();
    assert_eq!(read(&mut stream).await.unwrap().status, 200);
}

#[tokio::test]
async fn the_end_waits_for_answers_and_for_nothing_else() {
    let world = world(Wanted { entra: true, ..Wanted::default() }).await;
    world.authority.is(Mood::Slow);
    let mut silent = TcpStream::connect(world.address).await.unwrap();
    let mut waiting = TcpStream::connect(world.address).await.unwrap();
    let message = delivery("shop-kv").with("Authorization", &bearer(&first_form()));
    waiting.write_all(&message.bytes()).await.unwrap();
    world.authority.asked().await;
    world.begin_stop();
    ended(&mut silent).await;
    assert!(TcpStream::connect(world.address).await.is_err(), "nobody is let in any more");
    world.authority.release();
    let reply = read(&mut waiting).await.unwrap();
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
    let address = world.address;
    world.stopped().await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn the_end_comes_even_if_an_answer_does_not() {
    let mut wanted = limited(|limits| limits.stopping = SOON);
    wanted.entra = true;
    let world = world(wanted).await;
    world.authority.is(Mood::Slow);
    let mut waiting = TcpStream::connect(world.address).await.unwrap();
    let message = delivery("shop-kv").with("Authorization", &bearer(&first_form()));
    waiting.write_all(&message.bytes()).await.unwrap();
    world.authority.asked().await;
    world.begin_stop();
    world.stopped().await;
    ended(&mut waiting).await;
}

#[tokio::test]
async fn an_address_that_cannot_be_had_is_named_with_its_reason() {
    let world = world(Wanted::default()).await;
    let bind = |address: std::net::SocketAddr| async move {
        let settings = ListenerSettings { address, tls: None, limits: ListenerLimits::default() };
        match Listener::bind(&settings).await {
            Err(error @ ListenError::Address { .. }) => error.to_string(),
            other => panic!("{other:?}"),
        }
    };
    let said = bind(world.address).await;
    assert_eq!(said, format!("cannot listen on `{}`: another process listens there", world.address));
    // A network for documents: no machine has an address of it.
    let said = bind("192.0.2.1:8443".parse().unwrap()).await;
    assert!(said.contains("no interface of this machine"), "{said}");
}
