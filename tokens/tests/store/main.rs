//! The law of [`tokens::store::Store`], held against each kind of store.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it goes wrong")]

mod batches;
mod crashes;
mod law;
mod lists;
mod participant;
mod races;
mod world;

testkit::suite! { law:
    the_seed_is_taken_once_by_processes_that_start_together
    tokens_are_made_changed_and_deleted_and_their_ids_not_given_again
    a_token_is_held_once_and_ends_once
    an_attempt_has_one_token
    what_is_refused_leaves_no_trace
    what_is_held_or_sold_does_not_change
    tries_are_listed_page_by_page
    the_digest_is_that_of_what_was_sold
}

mod listed {
    testkit::suite! { lists:
        every_filter_in_every_order_pages_to_what_a_naive_filter_finds
        a_page_goes_on_behind_a_row_that_is_gone
        a_name_is_found_by_what_is_in_it_and_by_nothing_else
        a_version_stands_for_one_state
    }
    use super::lists;
}

mod raced {
    testkit::suite! { races:
        many_at_once_give_a_token_to_one
        one_attempt_at_many_tokens_gets_one
        a_sale_and_a_release_exclude_each_other
        a_sale_is_of_what_is_held_now
        a_change_and_a_reservation_exclude_each_other
        readers_beside_writers_see_one_state_for_each_version
        whatever_is_done_at_once_the_sums_are_those_of_the_rows
    }
    use super::races;
}
