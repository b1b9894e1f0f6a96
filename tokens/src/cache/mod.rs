//! Finished pages of the list. Everybody who looks at the shop asks for the same few pages: each is read from the store,
//! written as JSON, hashed and compressed once, and then sent until the store changes.
//!
//! A page is good for one state of the store only, and a reader says which one he has just read: a page older than that
//! is never given out. Readers take no lock.
//!
//! In front of a database, and with a Redis, there is a second cache behind this one, which pods share: `redis`.

mod redis;

use crate::store::{Store, Version};
use arc_swap::ArcSwap;
use http_kit::paging::Written;
use http_kit::reply::Representation;
use pg::redis::Redis;
use redis::Paginas;
use std::collections::HashMap;
use std::sync::Arc;

/// The most pages; a crawler that walks all of them must not fill the memory.
const MAX_PAGES: usize = 64;
/// The most bytes, as [`cost`] counts them.
const MAX_BYTES: usize = 4 << 20;
/// The longest query that is remembered.
const MAX_QUERY: usize = 512;

/// Pages by query string.
#[derive(Default)]
pub struct Cache {
    pages: ArcSwap<Pages>,
    shared: Option<Paginas>,
}

#[derive(Clone, Default)]
struct Pages {
    version: Version,
    bytes: usize,
    by_query: HashMap<Arc<str>, Arc<Representation>>,
}

/// A page's memory: its body as it is, and compressed in two ways, either of which is smaller.
fn cost(query: &str, page: &Representation) -> usize {
    query.len() + 3 * page.body().len()
}

impl Cache {
    /// Of a store's pages, with one behind it that pods share where that saves a question to a database.
    pub fn of(store: &Store, redis: Option<Redis>) -> Self {
        let shared = redis.filter(|_| matches!(store, Store::Postgres(_))).map(Paginas::new);
        Self { shared, ..Self::default() }
    }

    /// The page of a query in the state `version` that another pod has written, where it is there.
    pub async fn fetch(&self, version: Version, query: &str) -> Option<Written> {
        self.shared.as_ref().filter(|_| query.len() <= MAX_QUERY)?.get(version, query).await
    }

    /// Gives a page of the state `version` to the other pods.
    pub async fn offer(&self, version: Version, query: &str, page: &Written) {
        if let Some(shared) = &self.shared
            && query.len() <= MAX_QUERY
        {
            shared.put(version, query, page).await;
        }
    }

    /// Looks at the page of a query in the state `version`, where it is there.
    pub fn get<R>(
        &self,
        version: Version,
        query: &str,
        look: impl FnOnce(&Representation) -> R,
    ) -> Option<R> {
        let pages = self.pages.load();
        let page = pages.by_query.get(query).filter(|_| pages.version == version)?;
        Some(look(page))
    }

    /// Keeps a page of the state `version`. One that is too large is not kept; when there is no room all others go, and those
    /// that are asked for come back by themselves.
    pub fn put(&self, version: Version, query: &str, page: &Arc<Representation>) {
        let cost = cost(query, page);
        if query.len() > MAX_QUERY || cost > MAX_BYTES {
            return;
        }
        let key: Arc<str> = query.into();
        self.pages.rcu(|pages| {
            if pages.version > version {
                return Arc::clone(pages);
            }
            let room = pages.by_query.len() < MAX_PAGES && pages.bytes + cost <= MAX_BYTES;
            let mut next =
                if pages.version == version && room { Pages::clone(pages) } else { Pages::default() };
            next.version = version;
            if next.by_query.insert(Arc::clone(&key), Arc::clone(page)).is_none() {
                next.bytes += cost;
            }
            Arc::new(next)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn page(bytes: usize) -> Arc<Representation> {
        Arc::new(Representation::new(vec![b' '; bytes], HeaderValue::from_static("application/json")))
    }

    fn has(cache: &Cache, version: u128, query: &str) -> bool {
        cache.get(Version(version), query, |_| ()).is_some()
    }

    #[test]
    fn a_page_is_good_for_its_own_state_only() {
        let cache = Cache::default();
        assert!(!has(&cache, 0, ""));
        cache.put(Version(1), "", &page(1));
        assert!(has(&cache, 1, "") && !has(&cache, 0, "") && !has(&cache, 2, ""));
        cache.put(Version(2), "a=b", &page(1));
        assert!(has(&cache, 2, "a=b") && !has(&cache, 2, "") && !has(&cache, 1, ""));
        cache.put(Version(1), "late", &page(1));
        assert!(
            !has(&cache, 1, "late") && has(&cache, 2, "a=b"),
            "an older page must not push newer ones out"
        );
    }

    #[test]
    fn memory_is_bounded_in_pages_and_in_bytes() {
        let cache = Cache::default();
        for n in 0..10 * MAX_PAGES {
            let query = format!("despues={n}");
            cache.put(Version(1), &query, &page(1));
            assert!(has(&cache, 1, &query));
            assert!(cache.pages.load().by_query.len() <= MAX_PAGES);
        }
        for n in 0..20 {
            cache.put(Version(1), &format!("big={n}"), &page(MAX_BYTES / 10));
            assert!(cache.pages.load().bytes <= MAX_BYTES);
        }
        cache.put(Version(1), "huge", &page(MAX_BYTES));
        cache.put(Version(1), &"long".repeat(MAX_QUERY), &page(1));
        let kept = cache.pages.load();
        assert!(kept.by_query.keys().all(|q| q.starts_with("big=")));
        let sum: usize = kept.by_query.iter().map(|(q, p)| cost(q, p)).sum();
        assert_eq!(sum, kept.bytes);
    }
}
