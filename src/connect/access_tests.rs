//! Tests of `access`.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts, and answers what it is told to.
struct Service {
    asked: AtomicUsize,
    answer: Result<Granted, AccessError>,
    used: Mutex<Vec<String>>,
}

impl Service {
    fn new(answer: Result<Granted, AccessError>) -> Arc<Service> {
        Arc::new(Service { asked: AtomicUsize::new(0), answer, used: Mutex::default() })
    }
}

impl Renew for Service {
    fn renew<'a>(
        &'a self,
        refresh: &'a Secret,
    ) -> Pin<Box<dyn Future<Output = Result<Granted, AccessError>> + Send + 'a>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.used.lock().unwrap().push(refresh.expose().to_owned());
        Box::pin(async {
            // All the others come to wait before there is an answer.
            for _ in 0..200 {
                tokio::task::yield_now().await;
            }
            self.answer.clone()
        })
    }
}

fn granted(name: &str, seconds: u64) -> Granted {
    Granted {
        access: Secret::new(format!("access-{name}")),
        refresh: Some(Secret::new(format!("refresh-{name}"))),
        session: None,
        lifetime: Duration::from_secs(seconds),
    }
}

fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap().block_on(future)
}

fn due(access: &Access) {
    access.with(|state| state.renew = SystemTime::now());
}

async fn fifty(access: &Arc<Access>) -> Vec<Result<Secret, AccessError>> {
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let access = Arc::clone(access);
            tokio::spawn(async move { access.token().await })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

#[test]
fn fifty_at_once_cause_one_renewal() {
    block(async {
        let service = Service::new(Ok(granted("new", 900)));
        let access = Arc::new(Access::new(granted("old", 900), service.clone()));
        due(&access);
        for answer in fifty(&access).await {
            assert_eq!(answer.unwrap().expose(), "access-new");
        }
        assert_eq!(service.asked.load(Ordering::SeqCst), 1);
        assert_eq!(*service.used.lock().unwrap(), ["refresh-old"]);
        assert_eq!(access.sign_out().await.expose(), "refresh-new");
        assert!(access.token().await.is_err());
    });
}

#[test]
fn a_token_that_still_is_good_is_used_while_the_service_is_away() {
    block(async {
        let service = Service::new(Err(AccessError::Failed("away".into())));
        let access = Arc::new(Access::new(granted("old", 900), service.clone()));
        due(&access);
        for answer in fifty(&access).await {
            assert_eq!(answer.unwrap().expose(), "access-old");
        }
        assert_eq!(service.asked.load(Ordering::SeqCst), 1);
        access.with(|state| state.end = SystemTime::now());
        assert_eq!(access.token().await.unwrap_err(), AccessError::Failed("away".into()));
    });
}

#[test]
fn a_session_that_ended_is_not_asked_for_again_and_all_are_told() {
    block(async {
        let service = Service::new(Err(AccessError::Ended("revoked".into())));
        let access = Arc::new(Access::new(granted("old", 900), service.clone()));
        due(&access);
        for answer in fifty(&access).await {
            assert_eq!(answer.unwrap_err(), AccessError::Ended("revoked".into()));
        }
        assert_eq!(service.asked.load(Ordering::SeqCst), 1);
        assert_eq!(access.keep(|_| ()).await, AccessError::Ended("revoked".into()));
    });
}

#[test]
fn a_refused_token_is_renewed_once_however_many_were_refused() {
    block(async {
        let service = Service::new(Ok(granted("new", 900)));
        let access = Arc::new(Access::new(granted("old", 900), service.clone()));
        let old = access.token().await.unwrap();
        for _ in 0..3 {
            access.refused(&old);
            assert_eq!(access.token().await.unwrap().expose(), "access-new");
        }
        assert_eq!(service.asked.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_client_that_goes_away_does_not_lose_the_new_tokens() {
    block(async {
        let service = Service::new(Ok(granted("new", 900)));
        let access = Arc::new(Access::new(granted("old", 900), service.clone()));
        due(&access);
        let asking = Arc::clone(&access);
        let client = tokio::spawn(async move { asking.token().await });
        while service.asked.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        client.abort();
        assert_eq!(access.token().await.unwrap().expose(), "access-new");
        assert_eq!(*service.used.lock().unwrap(), ["refresh-old"]);
    });
}

#[test]
fn a_token_that_was_refused_is_not_given_out_again_whatever_the_clock_said() {
    block(async {
        let service = Service::new(Ok(granted("new", 900)));
        let access = Arc::new(Access::new(granted("old", 900), service.clone()));
        let old = access.token().await.unwrap();
        // One client has looked at the clock, then another is refused.
        let before = SystemTime::now() - Duration::from_secs(60);
        access.refused(&old);
        assert_eq!(access.current(before), None);
        assert_eq!(access.token().await.unwrap().expose(), "access-new");
    });
}

#[test]
fn a_refused_token_does_not_serve_while_the_service_is_away() {
    block(async {
        let service = Service::new(Err(AccessError::Failed("away".into())));
        let access = Arc::new(Access::new(granted("old", 900), service.clone()));
        access.refused(&access.token().await.unwrap());
        assert_eq!(access.token().await.unwrap_err(), AccessError::Failed("away".into()));
    });
}

#[test]
fn an_answer_that_cannot_be_used_is_refused_without_showing_it() {
    for text in [
        "hunter2",
        r#"{"access_token":"hunter2"}"#,
        r#"{"access_token":"hunter2","expires_in":0}"#,
        r#"{"access_token":"hunter2\r\nX: y","expires_in":60}"#,
        r#"{"access_token":7,"expires_in":60}"#,
    ] {
        let error = Granted::parse(text.as_bytes()).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    let good = Granted::parse(br#"{"access_token":"a","refresh_token":"r","session":"s","expires_in":60}"#).unwrap();
    assert_eq!((good.access.expose(), good.lifetime.as_secs()), ("a", 60));
}
