//! The law of [`usuarios::store::Store`], held against each kind of store.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it goes wrong")]

mod accounts;
mod batches;
mod conexiones;
mod crashes;
mod law;
mod participant;

testkit::suite! { law:
    the_seed_is_taken_once_by_processes_that_start_together
    users_are_made_renamed_and_listed
    an_abono_is_made_once
    a_cargo_is_made_once_and_ends_once
    what_is_refused_leaves_no_trace
    a_refund_waits_for_room
    tries_are_listed_page_by_page
    the_digest_is_that_of_what_was_confirmed
    many_at_once_take_what_is_there_and_no_more
    one_key_from_many_at_once_is_done_once
    a_confirmation_and_a_refund_exclude_each_other
    whatever_is_done_at_once_the_ledgers_sum_to_the_balances
    two_accounts_have_two_names_and_two_usuarios
    changes_of_an_account_at_once_are_all_made
    processes_that_start_together_sign_with_one_key
}
