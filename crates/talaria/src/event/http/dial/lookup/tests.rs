//! Answers of the resolver: shared, kept and given up.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use tokio::task::JoinSet;

use super::*;

const AGE: Duration = Duration::from_secs(30);

/// A resolver whose answer number n is the address 192.0.2.n, or an error.
struct Scripted {
    resolver: Arc<Resolver>,
    asked: Arc<AtomicUsize>,
}

fn scripted(answer: impl Fn(usize) -> io::Result<()> + Send + Sync + 'static) -> Scripted {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let resolver = Resolver::with(AGE, move |_| {
        let number = count.fetch_add(1, Relaxed) + 1;
        answer(number)?;
        Ok(vec![format!("192.0.2.{}", number % 256).parse().unwrap()])
    });
    Scripted { resolver, asked }
}

impl Scripted {
    async fn resolve(&self, host: &str) -> Result<String, io::ErrorKind> {
        let resolved = self.resolver.resolve(host, &Lookup::new()).await;
        resolved.map(|resolved| resolved.addresses[0].to_string()).map_err(|error| error.kind())
    }
}

fn for_now() -> io::Error {
    io::Error::other("failed to lookup address information: Temporary failure in name resolution")
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_used_until_it_is_too_old() {
    let scripted = scripted(|_| Ok(()));
    for (pause, address) in [(0, "192.0.2.1"), (29, "192.0.2.1"), (1, "192.0.2.2")] {
        tokio::time::sleep(Duration::from_secs(pause)).await;
        assert_eq!(scripted.resolve("h").await.as_deref(), Ok(address));
    }
}

#[tokio::test(start_paused = true)]
async fn callers_that_ask_at_the_same_time_share_a_resolution() {
    let scripted = Arc::new(scripted(|_| Ok(())));
    let mut callers = JoinSet::new();
    for _ in 0..50 {
        let scripted = Arc::clone(&scripted);
        callers.spawn(async move { scripted.resolve("h").await });
    }
    assert_eq!(callers.join_all().await, vec![Ok("192.0.2.1".to_owned()); 50]);
    assert_eq!(scripted.asked.load(Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_given_up_is_asked_for_again_unless_it_is_replaced_already() {
    let scripted = scripted(|_| Ok(()));
    let first = scripted.resolver.resolve("h", &Lookup::new()).await.unwrap();
    for _ in 0..2 {
        scripted.resolver.forget("h", &first.addresses);
        assert_eq!(scripted.resolve("h").await.as_deref(), Ok("192.0.2.2"));
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_resolver_fails_for_now_the_last_answer_stays_in_use() {
    let scripted = scripted(|number| if number == 1 { Ok(()) } else { Err(for_now()) });
    for _ in 0..3 {
        assert_eq!(scripted.resolve("h").await.as_deref(), Ok("192.0.2.1"));
        tokio::time::sleep(AGE).await;
    }
    assert_eq!(scripted.asked.load(Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn errors_are_not_kept_and_a_host_that_is_gone_has_no_last_answer() {
    let scripted = scripted(|number| if number == 1 { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) });
    assert_eq!(scripted.resolve("h").await.as_deref(), Ok("192.0.2.1"));
    tokio::time::sleep(AGE).await;
    for asked in [2, 3] {
        assert_eq!(scripted.resolve("h").await, Err(io::ErrorKind::NotFound));
        assert_eq!(scripted.asked.load(Relaxed), asked);
    }
    assert!(scripted.resolver.hosts.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn any_number_of_hosts_takes_bounded_memory() {
    let scripted = scripted(|_| Ok(()));
    for number in 0..MAX_HOSTS + 10 {
        scripted.resolve(&format!("h{number}")).await.unwrap();
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    assert_eq!(scripted.resolver.hosts.lock().len(), MAX_HOSTS);
    let asked = scripted.asked.load(Relaxed);
    scripted.resolve("h1000").await.unwrap();
    assert_eq!(scripted.asked.load(Relaxed), asked);
}

#[tokio::test(start_paused = true)]
async fn an_address_is_its_own_answer() {
    let scripted = scripted(|_| Ok(()));
    assert_eq!(scripted.resolve("::1").await.as_deref(), Ok("::1"));
    assert_eq!(scripted.asked.load(Relaxed), 0);
}
