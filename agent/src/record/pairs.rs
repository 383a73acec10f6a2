//! Which responses of a batch stand in the rows of their requests.

use std::collections::HashMap;

use foldhash::quality::RandomState;

use super::SessionId;
use super::command::Command;
use super::request::ResponseRecord;

/// What is in one batch with its request, found before the batch is written.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    /// Requests without a response yet, by session and number: where they stand in the batch.
    waiting: HashMap<(SessionId, u64), usize, RandomState>,
    /// For each command of the batch the other of its pair.
    others: Vec<Option<usize>>,
}

impl Pairs {
    /// Looks through another batch.
    pub(super) fn find(&mut self, batch: &[Command]) {
        self.waiting.clear();
        self.others.clear();
        self.others.resize(batch.len(), None);
        for (at, command) in batch.iter().enumerate() {
            if let Command::Request { request, .. } = command {
                self.waiting.insert((request.session, request.n), at);
            } else if let Command::Response(response) = command
                && let Some(request) = self.waiting.remove(&(response.session, response.n))
            {
                for (of, other) in [(at, request), (request, at)] {
                    if let Some(place) = self.others.get_mut(of) {
                        *place = Some(other);
                    }
                }
            }
        }
    }

    /// Where the other of a pair stands.
    pub(super) fn other(&self, at: usize) -> Option<usize> {
        self.others.get(at).copied().flatten()
    }

    /// What came back for the request that stands here, if that is in the batch.
    pub(super) fn response<'b>(&self, batch: &'b [Command], at: usize) -> Option<&'b ResponseRecord> {
        if let Command::Response(response) = batch.get(self.other(at)?)? { Some(response) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::segments::{request, response};
    use super::*;

    #[test]
    fn a_response_is_with_the_request_before_it_of_its_number_and_session() {
        let [a, b] = [SessionId::now(), SessionId::now()];
        let ask = |session, n| Command::Request { request: Box::new(request(session, n)), reply: None };
        let tell = |session, n| Command::Response(Box::new(response(session, n)));
        let batch =
            [ask(a, 1), ask(b, 1), ask(a, 2), tell(a, 2), tell(a, 0), tell(b, 1), tell(b, 1), tell(b, 2), ask(b, 2)];
        let mut pairs = Pairs::default();
        // Nothing of what was before remains.
        for _ in 0..2 {
            pairs.find(&batch);
            let others: Vec<Option<usize>> = (0..batch.len()).map(|at| pairs.other(at)).collect();
            assert_eq!(others, [None, Some(5), Some(3), Some(2), None, Some(1), None, None, None]);
            assert_eq!(pairs.response(&batch, 1).map(|response| (response.session, response.n)), Some((b, 1)));
            assert!(pairs.response(&batch, 0).is_none() && pairs.response(&batch, 3).is_none());
        }
        pairs.find(&batch[..1]);
        assert_eq!(pairs.other(0), None);
    }
}
