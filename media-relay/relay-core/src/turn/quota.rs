//! How many allocations there may be, for each user and in all.

use std::collections::HashMap;

/// Counts allocations. Workers that share users share one count.
pub trait Quota: Send {
    /// One more for this user; `false` if that is too many: 486.
    fn take(&mut self, user: &[u8]) -> bool;
    /// One less.
    fn give_back(&mut self, user: &[u8]);
}

/// The count.
#[derive(Debug)]
pub struct Quotas {
    per_user: u32,
    total: u32,
    held: u32,
    users: HashMap<Box<[u8]>, u32>,
}

impl Quotas {
    /// With the most for each user and the most in all.
    pub fn new(per_user: u32, total: u32) -> Self {
        Self { per_user, total, held: 0, users: HashMap::new() }
    }

    /// Allocations now.
    pub fn held(&self) -> u32 {
        self.held
    }

    /// Are there as many as there may be in all?
    pub fn is_full(&self) -> bool {
        self.held >= self.total
    }
}

impl Quota for Quotas {
    fn take(&mut self, user: &[u8]) -> bool {
        let of_user = self.users.get(user).copied().unwrap_or(0);
        if of_user >= self.per_user || self.is_full() {
            return false;
        }
        self.users.insert(user.into(), of_user + 1);
        self.held += 1;
        true
    }

    fn give_back(&mut self, user: &[u8]) {
        let Some(of_user) = self.users.get_mut(user) else { return };
        *of_user -= 1;
        self.held -= 1;
        if *of_user == 0 {
            self.users.remove(user);
        }
    }
}
