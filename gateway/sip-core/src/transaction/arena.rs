//! Slots that are used again, named so that an old name never means the new tenant.

/// The name of one stay in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Slot {
    index: u32,
    generation: u32,
}

/// Values by [`Slot`]: no hashing, and memory is kept for the next.
pub(super) struct Arena<T> {
    places: Vec<Place<T>>,
    /// Head of the list of vacant places.
    vacant: Option<u32>,
    length: usize,
}

struct Place<T> {
    generation: u32,
    tenant: Tenant<T>,
}

enum Tenant<T> {
    None { next: Option<u32> },
    One(T),
}

impl<T> Arena<T> {
    /// Empty.
    pub fn new() -> Self {
        Self { places: Vec::new(), vacant: None, length: 0 }
    }

    /// How many values are in.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Moves a value in.
    pub fn insert(&mut self, value: T) -> Slot {
        self.length += 1;
        if let Some(index) = self.vacant
            && let Some(place) = self.places.get_mut(index as usize)
            && let Tenant::None { next } = place.tenant
        {
            self.vacant = next;
            place.tenant = Tenant::One(value);
            return Slot { index, generation: place.generation };
        }
        let index =
            u32::try_from(self.places.len()).expect("the table's limit is below four thousand million");
        self.places.push(Place { generation: 0, tenant: Tenant::One(value) });
        Slot { index, generation: 0 }
    }

    /// The value of that stay, if it still goes on.
    pub fn get(&self, slot: Slot) -> Option<&T> {
        match self.places.get(slot.index as usize) {
            Some(Place { generation, tenant: Tenant::One(value) }) if *generation == slot.generation => {
                Some(value)
            }
            _ => None,
        }
    }

    /// As [`Arena::get`], to change it.
    pub fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        match self.places.get_mut(slot.index as usize) {
            Some(Place { generation, tenant: Tenant::One(value) }) if *generation == slot.generation => {
                Some(value)
            }
            _ => None,
        }
    }

    /// Moves the value out; its name is void from now on.
    pub fn remove(&mut self, slot: Slot) -> Option<T> {
        self.get(slot)?;
        let place = self.places.get_mut(slot.index as usize)?;
        let tenant = std::mem::replace(&mut place.tenant, Tenant::None { next: self.vacant });
        place.generation = place.generation.wrapping_add(1);
        self.vacant = Some(slot.index);
        self.length -= 1;
        match tenant {
            Tenant::One(value) => Some(value),
            Tenant::None { .. } => None,
        }
    }

    /// All values, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Slot, &T)> {
        self.places.iter().zip(0_u32..).filter_map(|(place, index)| match &place.tenant {
            Tenant::One(value) => Some((Slot { index, generation: place.generation }, value)),
            Tenant::None { .. } => None,
        })
    }
}

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
}
