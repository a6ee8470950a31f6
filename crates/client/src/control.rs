//! Pausing and stopping something long.

use std::{
    cell::{Cell, RefCell},
    pin::pin,
    rc::Rc,
    task::{Poll, Waker},
};

use futures::future::{Either, poll_fn, select};

use crate::ClientError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Going,
    Paused,
    Cancelled,
}

/// A handle on something long. Clones are the same handle.
#[derive(Clone, Debug)]
pub struct Control(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Cell<State>,
    waiting: RefCell<Vec<Waker>>,
}

impl Default for Control {
    fn default() -> Self {
        Self(Rc::new(Inner { state: Cell::new(State::Going), waiting: RefCell::new(Vec::new()) }))
    }
}

impl Control {
    /// Begins nothing new until [`resume`](Control::resume); what is on its way arrives.
    pub fn pause(&self) {
        self.set(State::Paused);
    }

    /// Goes on.
    pub fn resume(&self) {
        self.set(State::Going);
    }

    /// Stops at once, and for good. What is stored stays stored.
    pub fn cancel(&self) {
        self.0.state.set(State::Cancelled);
        self.wake();
    }

    /// Whether it waits for [`resume`](Control::resume).
    pub fn is_paused(&self) -> bool {
        self.0.state.get() == State::Paused
    }

    fn set(&self, state: State) {
        if self.0.state.get() != State::Cancelled {
            self.0.state.set(state);
            self.wake();
        }
    }

    fn wake(&self) {
        for waker in self.0.waiting.take() {
            waker.wake();
        }
    }

    /// Waits until the state is one of those.
    async fn until(&self, wanted: impl Fn(State) -> bool) {
        poll_fn(|cx| {
            if wanted(self.0.state.get()) {
                return Poll::Ready(());
            }
            let mut waiting = self.0.waiting.borrow_mut();
            if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                waiting.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    /// Waits while it is paused.
    pub(crate) async fn going(&self) {
        self.until(|state| state != State::Paused).await;
    }

    /// Waits until somebody cancels.
    pub async fn cancelled(&self) {
        self.until(|state| state == State::Cancelled).await;
    }

    /// Does `work`, unless somebody cancels first.
    pub(crate) async fn guard<T>(
        &self,
        work: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        let cancelled = pin!(self.cancelled());
        match select(cancelled, pin!(work)).await {
            Either::Left(((), _)) => Err(ClientError::Cancelled),
            Either::Right((answer, _)) => answer,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use futures::{FutureExt, executor::block_on, future::pending, pin_mut};

    use super::*;

    #[test]
    fn a_cancelled_work_ends_although_it_never_would() {
        let control = Control::default();
        let work = control.guard(pending::<Result<(), ClientError>>());
        pin_mut!(work);
        assert!(work.as_mut().now_or_never().is_none());
        control.cancel();
        assert_eq!(block_on(work), Err(ClientError::Cancelled));
        control.resume();
        assert_eq!(
            block_on(control.guard(pending::<Result<(), ClientError>>())),
            Err(ClientError::Cancelled)
        );
    }

    #[test]
    fn a_paused_work_waits_for_its_resumption() {
        let control = Control::default();
        control.pause();
        assert!(control.going().now_or_never().is_none());
        control.resume();
        assert!(control.going().now_or_never().is_some());
    }
}
