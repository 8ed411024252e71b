//! Slots that are used again, named so that an old name never means the new tenant.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The name of one stay in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Slot {
    index: u32,
    generation: u32,
}

/// Values by [`Slot`]: no hashing. Low places are taken first and what is vacant at the end is given back, so that a flood leaves
/// nothing behind.
pub(super) struct Arena<T> {
    places: Vec<Place<T>>,
    /// Vacant places, lowest first; some may be taken or gone meanwhile.
    vacant: BinaryHeap<Reverse<u32>>,
    length: usize,
    /// Of the next stay.
    generation: u32,
}

struct Place<T> {
    generation: u32,
    tenant: Option<T>,
}

impl<T> Arena<T> {
    /// Empty.
    pub fn new() -> Self {
        Self { places: Vec::new(), vacant: BinaryHeap::new(), length: 0, generation: 0 }
    }

    /// How many values are in.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Moves a value in.
    pub fn insert(&mut self, value: T) -> Slot {
        let generation = self.generation;
        self.generation = self.generation.wrapping_add(1);
        self.length += 1;
        let new = Place { generation, tenant: Some(value) };
        while let Some(Reverse(index)) = self.vacant.pop() {
            if let Some(place) = self.places.get_mut(index as usize)
                && place.tenant.is_none()
            {
                *place = new;
                return Slot { index, generation };
            }
        }
        let index =
            u32::try_from(self.places.len()).expect("memory ends before four thousand million transactions");
        self.places.push(new);
        Slot { index, generation }
    }

    /// The value of that stay, if it still goes on.
    pub fn get(&self, slot: Slot) -> Option<&T> {
        let place = self.places.get(slot.index as usize)?;
        place.tenant.as_ref().filter(|_| place.generation == slot.generation)
    }

    /// As [`Arena::get`], to change it.
    pub fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        let place = self.places.get_mut(slot.index as usize)?;
        place.tenant.as_mut().filter(|_| place.generation == slot.generation)
    }

    /// Moves the value out; its name is void from now on.
    pub fn remove(&mut self, slot: Slot) -> Option<T> {
        self.get(slot)?;
        let value = self.places.get_mut(slot.index as usize)?.tenant.take();
        self.length -= 1;
        self.vacant.push(Reverse(slot.index));
        self.give_back();
        value
    }

    /// All values, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Slot, &T)> {
        self.places.iter().zip(0_u32..).filter_map(|(place, index)| {
            let tenant = place.tenant.as_ref()?;
            Some((Slot { index, generation: place.generation }, tenant))
        })
    }

    fn give_back(&mut self) {
        while self.places.pop_if(|place| place.tenant.is_none()).is_some() {}
        let most = self.places.len().saturating_mul(2).saturating_add(SPARE);
        if self.places.capacity() > most.saturating_mul(2) {
            self.places.shrink_to(most);
        }
        if self.vacant.len() > most {
            let end = self.places.len();
            self.vacant.retain(|Reverse(index)| (*index as usize) < end);
            self.vacant.shrink_to(most);
        }
    }
}

/// Places that are kept however few are taken.
const SPARE: usize = 64;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_place_is_used_again_under_a_new_name() {
        let mut arena = Arena::new();
        let first = arena.insert('a');
        let second = arena.insert('b');
        assert_eq!(arena.remove(first), Some('a'));
        assert_eq!((arena.remove(first), arena.get(first)), (None, None));
        let third = arena.insert('c');
        assert_eq!(third.index, first.index);
        assert_ne!(third, first);
        assert_eq!(arena.get(first), None);
        *arena.get_mut(third).unwrap() = 'd';
        assert_eq!(
            arena.iter().map(|(slot, value)| (slot, *value)).collect::<Vec<_>>(),
            [(third, 'd'), (second, 'b')]
        );
        assert_eq!(arena.len(), 2);
    }

    #[test]
    fn a_flood_leaves_no_places_behind_and_no_old_name_means_a_new_tenant() {
        let mut arena = Arena::new();
        let old: Vec<Slot> = (0..10_000).map(|n| arena.insert(n)).collect();
        let kept = arena.insert(0);
        for slot in &old {
            arena.remove(*slot);
        }
        let moved = arena.insert(1);
        assert_eq!(moved.index, 0, "the lowest place first");
        arena.remove(kept);
        assert_eq!(arena.places.len(), 1);
        assert!(arena.places.capacity() <= 4 * SPARE + 4, "{}", arena.places.capacity());
        assert!(arena.vacant.len() <= 2 * SPARE, "{}", arena.vacant.len());
        let new: Vec<Slot> = (0..10_000).map(|n| arena.insert(n)).collect();
        assert!(old.iter().all(|slot| arena.get(*slot).is_none()));
        assert!(new.iter().all(|slot| arena.get(*slot).is_some()));
    }
}
