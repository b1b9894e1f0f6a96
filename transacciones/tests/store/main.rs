//! The law of [`transacciones::store::Store`], held against each kind of store.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it goes wrong")]

mod batches;
mod crashes;
mod events;
mod law;

testkit::suite! { law:
    a_clave_buys_once
    what_is_aborted_is_never_committed
    an_abort_keeps_what_was_known_of_the_token
    commits_and_aborts_exclude_each_other
    one_attempt_from_many_at_once_is_committed_once
    an_abort_is_forgotten_after_its_eras_and_its_clave_is_used_anew
    lists_have_the_order_of_commits
    the_seed_is_taken_once_and_goes_on
    the_digests_are_those_of_the_list
    who_follows_skips_nothing_that_commits_late
    a_follower_is_woken_by_other_processes
}

mod readers {
    use super::events;

    testkit::suite! { events:
        each_reader_is_given_each_purchase_once_from_its_place
        a_reader_of_another_store_begins_anew
    }
}
