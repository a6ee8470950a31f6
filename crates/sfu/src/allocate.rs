//! Who gets which layer, when there is not enough for everybody's best.
//!
//! Sound and tracks of one layer (shares) come first and whole: what a viewer came for is never thinned out here. What is
//! left goes to cameras: first the smallest layer of each, then one step more, by what the viewer would rather see.
//! A layer is left a little later than it is entered, or a rate near the edge would mean a key frame every second.

/// A track that a viewer receives.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    /// Bits a second of each layer that is being sent, lowest first; 0 for one that is not.
    pub(crate) rates: Vec<u64>,
    /// Larger is dearer to the viewer.
    pub(crate) priority: u8,
    /// The highest layer that the viewer has a use for.
    pub(crate) highest: usize,
    /// What it gets now.
    pub(crate) current: Option<usize>,
}

/// Going up costs this share of a layer's rate more than staying, in percent.
const RELUCTANCE: u64 = 15;

/// Chooses a layer for each; `None` where nothing can be sent. Without a budget everybody gets what they wish.
pub(crate) fn allocate(budget: Option<u64>, wishes: &[Wish]) -> Vec<Option<usize>> {
    let Some(budget) = budget else {
        return wishes.iter().map(|wish| wish.layers().last()).collect();
    };
    let mut chosen: Vec<Option<usize>> = vec![None; wishes.len()];
    let mut left = budget;
    for (choice, wish) in chosen.iter_mut().zip(wishes).filter(|(_, wish)| wish.rates.len() == 1) {
        *choice = Some(0);
        left = left.saturating_sub(wish.rates[0]);
    }
    let mut order: Vec<_> = (0..wishes.len()).filter(|&at| wishes[at].rates.len() > 1).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(wishes[at].priority));
    // In rounds: nobody's second step comes before everybody's first.
    loop {
        let mut stepped = false;
        for &at in &order {
            let wish = &wishes[at];
            let Some(next) = wish.layers().find(|&layer| chosen[at].is_none_or(|now| layer > now)) else {
                continue;
            };
            let more = wish.rates[next] - chosen[at].map_or(0, |now| wish.rates[now]).min(wish.rates[next]);
            let up = wish.current.is_none_or(|current| next > current);
            let asked = if up { more + wish.rates[next] * RELUCTANCE / 100 } else { more };
            if asked <= left {
                left -= more;
                chosen[at] = Some(next);
                stepped = true;
            }
        }
        if !stepped {
            return chosen;
        }
    }
}

impl Wish {
    /// Bits a second of the best layer that may be chosen.
    pub(crate) fn best(&self) -> u64 {
        self.layers().last().map_or(0, |layer| self.rates[layer])
    }

    /// The layers that may be chosen, lowest first.
    fn layers(&self) -> impl DoubleEndedIterator<Item = usize> + '_ {
        let single = self.rates.len() == 1;
        (0..self.rates.len())
            .filter(move |&at| single || (self.rates[at] > 0 && at <= self.highest.max(self.lowest())))
    }

    /// Whoever has a use for a layer below what is being sent gets the smallest that is.
    fn lowest(&self) -> usize {
        self.rates.iter().position(|&rate| rate > 0).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn camera(priority: u8, current: Option<usize>) -> Wish {
        Wish { rates: vec![100, 300, 900], priority, highest: 2, current }
    }

    fn single(rate: u64) -> Wish {
        Wish { rates: vec![rate], priority: 0, highest: 0, current: None }
    }

    #[test]
    fn a_share_is_never_thinned_out() {
        let wishes = [camera(9, None), single(2_000), single(40)];
        assert_eq!(allocate(Some(2_200), &wishes), [Some(0), Some(0), Some(0)]);
        assert_eq!(allocate(Some(500), &wishes), [None, Some(0), Some(0)]);
    }

    #[test]
    fn everybody_is_seen_before_anybody_is_seen_well() {
        let wishes = [camera(1, None), camera(5, None), camera(1, None)];
        assert_eq!(allocate(Some(350), &wishes), [Some(0), Some(0), Some(0)]);
        assert_eq!(allocate(Some(600), &wishes), [Some(0), Some(1), Some(0)]);
        assert_eq!(allocate(Some(10_000), &wishes), [Some(2); 3]);
        assert_eq!(allocate(None, &wishes), [Some(2); 3]);
    }

    #[test]
    fn a_layer_is_left_later_than_it_is_entered() {
        assert_eq!(allocate(Some(310), &[camera(1, Some(0))]), [Some(0)]);
        assert_eq!(allocate(Some(310), &[camera(1, Some(1))]), [Some(1)]);
        assert_eq!(allocate(Some(299), &[camera(1, Some(1))]), [Some(0)]);
    }

    #[test]
    fn a_layer_that_is_not_sent_is_not_chosen() {
        let wish = Wish { rates: vec![0, 300, 0], ..camera(1, None) };
        assert_eq!(allocate(Some(1_000), std::slice::from_ref(&wish)), [Some(1)]);
        let small = Wish { highest: 0, ..wish };
        assert_eq!(allocate(None, &[small]), [Some(1)]);
        assert_eq!(allocate(None, &[Wish { rates: vec![0, 0], ..camera(1, None) }]), [None]);
    }

    proptest! {
        #[test]
        fn cameras_never_cost_more_than_there_is(
            budget in 0..5_000u64,
            rates in proptest::collection::vec((proptest::collection::vec(0..1_500u64, 2..4), 0..4u8, 0..4usize), 0..8),
        ) {
            let wishes: Vec<_> = rates
                .into_iter()
                .map(|(rates, priority, highest)| Wish { rates, priority, highest, current: None })
                .collect();
            let spent: u64 = allocate(Some(budget), &wishes)
                .iter()
                .zip(&wishes)
                .map(|(choice, wish)| choice.map_or(0, |layer| wish.rates[layer]))
                .sum();
            // A higher layer that costs less than the one below it is charged as that one.
            prop_assert!(spent <= budget);
        }
    }
}
