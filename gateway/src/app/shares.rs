//! Who may hold how much of what everybody shares: bytes, or things of bounded size, in total, for each edge, for each user and trunk.
//!
//! What is held is a [`Share`]; dropping it gives its bytes back. New work stops at seven eighths of every bound: the last eighth
//! is for what steers or ends a call, so that calls end although no new ones are taken. An edge holds at most five eighths, so that
//! neither trunks nor browsers take what the others need.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What is shared.
#[derive(Clone)]
pub(super) struct Pool(Arc<Inner>);

struct Inner {
    bounds: Bounds,
    held: Mutex<Held>,
}

/// How many bytes may be held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub total: usize,
    /// By each user.
    pub user: usize,
    /// By each trunk; its edge bounds it too.
    pub trunk: usize,
}

/// For whom something is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Holder {
    User(Arc<str>),
    Trunk(Arc<str>),
    /// Requests of our own: a call has few, and calls are bounded by those who make them.
    Ourselves,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    New,
    /// Steers or ends what there is.
    Follows,
}

/// What a call holds.
pub(super) struct Shares {
    #[expect(dead_code, reason = "held, and given back by being dropped")]
    pub memory: Share,
    /// Of the user who is called.
    #[expect(dead_code, reason = "held, and given back by being dropped")]
    pub called: Option<Share>,
}

/// Bytes that somebody holds.
pub(super) struct Share {
    pool: Pool,
    holder: Holder,
    bytes: usize,
}

#[derive(Default)]
struct Held {
    total: usize,
    by_edge: [usize; EDGES],
    by_holder: HashMap<Holder, usize>,
}

impl Pool {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self(Arc::new(Inner { bounds, held: Mutex::default() }))
    }

    /// A share of so many bytes, unless that is more than this holder may have, or than there is.
    pub(super) fn take(&self, holder: &Holder, bytes: usize, urgency: Urgency) -> Option<Share> {
        let bounds = &self.0.bounds;
        self.with(|held| {
            let own = held.by_holder.get(holder).copied().unwrap_or_default();
            let sums = [
                (held.total, bounds.total),
                (held.by_edge[holder.edge()], bounds.total / 8 * 5),
                (own, bounds.of(holder)),
            ];
            let fits = sums.iter().all(|(sum, bound)| {
                let bound = match urgency {
                    Urgency::New => bound / 8 * 7,
                    Urgency::Follows => *bound,
                };
                sum.saturating_add(bytes) <= bound
            });
            if !fits {
                return None;
            }
            held.total += bytes;
            held.by_edge[holder.edge()] += bytes;
            held.by_holder.insert(holder.clone(), own + bytes);
            Some(Share { pool: self.clone(), holder: holder.clone(), bytes })
        })
    }

    /// All that is held.
    pub(super) fn held(&self) -> usize {
        self.with(|held| held.total)
    }

    fn give_back(&self, holder: &Holder, bytes: usize) {
        self.with(|held| {
            held.total -= bytes;
            held.by_edge[holder.edge()] -= bytes;
            if let Some(own) = held.by_holder.get_mut(holder) {
                *own -= bytes;
                if *own == 0 {
                    held.by_holder.remove(holder);
                }
            }
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut Held) -> T) -> T {
        act(&mut self.0.held.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Bounds {
    fn of(&self, holder: &Holder) -> usize {
        match holder {
            Holder::User(_) => self.user,
            Holder::Trunk(_) => self.trunk,
            Holder::Ourselves => self.total,
        }
    }
}

impl Holder {
    fn edge(&self) -> usize {
        match self {
            Self::User(_) => 0,
            Self::Trunk(_) => 1,
            Self::Ourselves => 2,
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.pool.give_back(&self.holder, self.bytes);
    }
}

/// Users, trunks, ourselves.
const EDGES: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> Pool {
        Pool::new(Bounds { total: 800, user: 160, trunk: 480 })
    }

    fn user(name: &str) -> Holder {
        Holder::User(name.into())
    }

    fn trunk(name: &str) -> Holder {
        Holder::Trunk(name.into())
    }

    /// Takes tens until there are no more.
    fn takes_all(pool: &Pool, holder: &Holder, urgency: Urgency) -> Vec<Share> {
        std::iter::from_fn(|| pool.take(holder, 10, urgency)).collect()
    }

    #[test]
    fn one_user_takes_his_share_and_no_more_and_the_last_eighth_is_for_what_he_began() {
        let pool = pool();
        let new = takes_all(&pool, &user("alice"), Urgency::New);
        assert_eq!(new.len(), 14, "seven eighths of 160");
        let follows = takes_all(&pool, &user("alice"), Urgency::Follows);
        assert_eq!(follows.len(), 2);
        assert_eq!(takes_all(&pool, &user("bob"), Urgency::New).len(), 14);
        drop((new, follows));
        assert_eq!(pool.held(), 0);
        assert!(pool.with(|held| held.by_holder.is_empty()));
    }

    #[test]
    fn a_trunk_that_floods_takes_nothing_from_another_or_from_the_users() {
        let pool = pool();
        let flood = takes_all(&pool, &trunk("a"), Urgency::New);
        assert_eq!(flood.len(), 42, "seven eighths of 480");
        let others = takes_all(&pool, &trunk("b"), Urgency::New);
        assert_eq!(others.len(), 1, "seven eighths of five eighths of 800 for all trunks");
        assert_eq!(takes_all(&pool, &user("alice"), Urgency::New).len(), 14);
        assert_eq!(takes_all(&pool, &trunk("a"), Urgency::Follows).len(), 6);
    }

    #[test]
    fn the_total_holds_and_what_ends_calls_goes_on_longest() {
        let pool = pool();
        let mut all = takes_all(&pool, &Holder::Ourselves, Urgency::Follows);
        assert_eq!(all.len(), 50);
        all.extend(takes_all(&pool, &trunk("a"), Urgency::New));
        assert_eq!(pool.held(), 700, "seven eighths");
        assert!(pool.take(&user("alice"), 10, Urgency::New).is_none());
        all.extend(takes_all(&pool, &user("alice"), Urgency::Follows));
        assert_eq!(pool.held(), 800);
    }
}
