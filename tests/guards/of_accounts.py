"""Guards of accounts: passkeys, the end of an account, and money that goes back to where it came from."""

from __future__ import annotations

from typing import Final

from tests.guards.guard import Guard
from tests.support.planting import Change

CHALLENGES: Final = "session_service/passkeys/challenges.py"
CEREMONY: Final = "session_service/passkeys/ceremony.py"
PASSKEYS: Final = "session_service/passkeys/service.py"
PASSKEY_ENDPOINTS: Final = "session_service/passkeys/endpoints.py"
ACCOUNTS: Final = "session_service/accounts/service.py"
REFUND_RULES: Final = "session_service/ledger/refund_rules.py"
REFUNDS: Final = "session_service/ledger/refunds.py"
REFUND_SQL: Final = "session_service/ledger/refunds_repository.py"
PASSKEY_TESTS: Final = "session_service/passkeys/test_endpoints.py::"
REFUSAL_TESTS: Final = "session_service/accounts/test_refusals.py::"
REFUND_TESTS: Final = "session_service/ledger/test_refunds.py::"

SAID_ORIGIN: Final = 'parse_client_data_json(base64url_to_bytes(credential["response"]["clientDataJSON"])).origin'
ONCE_BY_ITS_TRANSFER: Final = Change(
    REFUNDS,
    "    if first_legs(connection, transfer) is not None:\n        return\n    credited",
    "    transfer.key = clock.new_id()\n    credited",
)

GUARDS: Final = (
    Guard(
        "passkey: a challenge is good once",
        PASSKEYS,
        "        if challenge is None or not repository.use_challenge(connection, challenge, now_ms):\n",
        "        if challenge is None:\n",
        (PASSKEY_TESTS + "test_a_challenge_is_good_once",),
    ),
    Guard(
        "passkey: a challenge is ours",
        CHALLENGES,
        "    if not hmac.compare_digest(mac, _mac(secret, purpose, rider_id, content)) or now_ms >= expires_at_ms:\n",
        "    if now_ms >= expires_at_ms:\n",
        (PASSKEY_TESTS + "test_a_challenge_of_somebody_elses_making_is_refused",),
    ),
    Guard(
        "passkey: a challenge is for one rider and one purpose",
        CHALLENGES,
        '_PURPOSE + f"{purpose}\\n{rider_id}\\n".encode() + content',
        "_PURPOSE + content",
        (PASSKEY_TESTS + "test_a_challenge_is_for_one_rider_and_one_purpose",),
    ),
    Guard(
        "passkey: a challenge ends",
        CHALLENGES,
        " or now_ms >= expires_at_ms:\n",
        ":\n",
        (PASSKEY_TESTS + "test_a_challenge_ends",),
    ),
    Guard(
        "passkey: origin, when one is made",
        CEREMONY,
        "            expected_origin=site.origin,\n        )\n",
        f"            expected_origin={SAID_ORIGIN},\n        )\n",
        (PASSKEY_TESTS + "test_another_origin_is_refused",),
    ),
    Guard(
        "passkey: origin, when one is shown",
        CEREMONY,
        "            expected_origin=site.origin,\n            credential_public_key",
        f"            expected_origin={SAID_ORIGIN},\n            credential_public_key",
        (PASSKEY_TESTS + "test_another_origin_is_refused",),
    ),
    Guard(
        "passkey: in no frame of another site",
        CEREMONY,
        "    if said.cross_origin:\n",
        "    if False:\n",
        (PASSKEY_TESTS + "test_a_frame_in_another_site_is_refused",),
    ),
    Guard(
        "passkey: user handle",
        PASSKEYS,
        '        if credential["response"].get("userHandle") != passkey.user_handle:\n',
        "        if False:\n",
        (PASSKEY_TESTS + "test_a_passkey_that_names_another_rider_is_refused",),
    ),
    Guard(
        "passkey: counter",
        PASSKEYS,
        "        _ensure_counts_up(passkey, shown.sign_count)\n",
        "",
        (PASSKEY_TESTS + "test_a_counter_that_does_not_go_up_is_a_clone",),
    ),
    Guard(
        "passkey: kept once",
        PASSKEYS,
        "        if not repository.add(connection, passkey):\n",
        "        if repository.add(connection, passkey) is None:\n",
        (PASSKEY_TESTS + "test_the_same_passkey_is_not_kept_twice",),
    ),
    Guard(
        "passkey: how many",
        PASSKEYS,
        "        if len(known) >= PASSKEYS_MAX:\n",
        "        if False:\n",
        (PASSKEY_TESTS + "test_there_are_as_many_as_one_may_have",),
    ),
    Guard(
        "passkey: no guest is left behind unsaid",
        PASSKEYS,
        "    if wallet.balance_minor or wallet.held_minor or wallet.debt_minor:\n",
        "    if False:\n",
        (PASSKEY_TESTS + "test_a_guest_with_money_is_left_only_if_that_is_said",),
    ),
    Guard(
        "passkey: nobody is signed in by another site",
        PASSKEY_ENDPOINTS,
        "    if wish.cookie:\n        ensure_own_page(request)\n",
        "",
        (PASSKEY_TESTS + "test_another_site_signs_nobody_in",),
    ),
    Guard(
        "passkey: revoked token, for a stored answer",
        PASSKEY_ENDPOINTS,
        "named, now_ms, work, _is_in_force)",
        "named, now_ms, work)",
        (PASSKEY_TESTS + "test_a_stored_answer_is_not_for_a_token_that_was_revoked_since",),
    ),
    Guard(
        "erasure: by a token in force",
        ACCOUNTS,
        "    wallet = ledger.lock_wallet(connection, rider.id, rider.nonce)",
        "    wallet = ledger.lock_wallet(connection, rider.id)",
        (REFUSAL_TESTS + "test_not_with_a_token_that_has_ended",),
        (
            Change(
                ACCOUNTS, "riders.end_tokens(connection, rider)", "riders.repository.token_nonce(connection, rider.id)"
            ),
        ),
    ),
    Guard(
        "erasure: a session that is not over",
        ACCOUNTS,
        "    if under_way or held_minor:\n",
        "    if held_minor:\n",
        (
            "session_service/web/test_account_pages.py::test_a_ride_that_is_not_over_hinders_it_and_the_form_is_not_there",
        ),
    ),
    Guard(
        "erasure: money set aside",
        ACCOUNTS,
        "    if under_way or held_minor:\n",
        "    if under_way:\n",
        (REFUSAL_TESTS + "test_not_while_something_is_set_aside",),
    ),
    Guard(
        "erasure: debt",
        ACCOUNTS,
        "    if debt_minor:\n",
        "    if False:\n",
        (REFUSAL_TESTS + "test_not_with_a_debt",),
    ),
    Guard(
        "erasure: a payment that may still arrive",
        ACCOUNTS,
        "    if ledger_repository.pending_top_ups(connection, rider_id, now_ms - PENDING_MS):\n",
        "    if False:\n",
        (REFUSAL_TESTS + "test_not_while_a_payment_may_still_arrive",),
    ),
    Guard(
        "erasure: money on its way back",
        ACCOUNTS,
        "    if repository.has_money_on_its_way(connection, rider_id):\n",
        "    if False:\n",
        (REFUSAL_TESTS + "test_not_while_money_is_on_its_way_back",),
    ),
    Guard(
        "erasure: money, to the last cent",
        ACCOUNTS,
        "    if balance != (give_up_minor or 0):\n",
        "    if False:\n",
        (REFUSAL_TESTS + "test_not_with_money_that_is_not_given_up_to_the_last_cent",),
    ),
    Guard(
        "refund: what is free in the wallet",
        REFUND_RULES,
        "    return min(wallet.available_minor, sum(paid.left_minor for paid in payments))\n",
        "    return sum(paid.left_minor for paid in payments)\n",
        (REFUND_TESTS + "test_what_is_free_and_was_paid_in_can_leave",),
    ),
    Guard(
        "refund: what was paid in",
        REFUND_RULES,
        "    return min(wallet.available_minor, sum(paid.left_minor for paid in payments))\n",
        "    return wallet.available_minor\n",
        (REFUND_TESTS + "test_what_is_free_and_was_paid_in_can_leave",),
    ),
    Guard(
        "refund: what is left of each payment",
        REFUND_RULES,
        "        return max(0, self.amount_minor - self.returned_minor)\n",
        "        return self.amount_minor\n",
        (REFUND_TESTS + "test_the_newest_payment_comes_first_and_none_gets_more_than_came_from_it",),
    ),
    Guard(
        "refund: no more than that",
        REFUND_RULES,
        "    if not 0 < wanted_minor <= most_minor:\n",
        "    if wanted_minor < 1:\n",
        (REFUND_TESTS + "test_a_payment_is_given_back_no_more_than_once",),
    ),
    Guard(
        "refund: nothing beside a debt",
        REFUND_RULES,
        "    if wallet.debt_minor:\n        return 0\n",
        "",
        (REFUND_TESTS + "test_what_is_free_and_was_paid_in_can_leave",),
    ),
    Guard(
        "refund: own refunds only",
        REFUNDS,
        "    if refund is None or refund.rider_id != rider.id:\n",
        "    if refund is None:\n",
        (REFUND_TESTS + "test_nobody_sees_or_takes_what_is_another_riders",),
    ),
    Guard(
        "refund: what the provider says agrees",
        REFUNDS,
        "    if refund is None or part is None or not _agree(refund, part, provider, event):\n",
        "    if refund is None or part is None:\n",
        (REFUND_TESTS + "test_a_word_that_does_not_agree_changes_nothing",),
    ),
    Guard(
        "refund: no success after a failure",
        REFUND_SQL,
        ".where(*_is(part), *may)",
        ".where(*_is(part))",
        (REFUND_TESTS + "test_what_a_bank_sends_back_after_the_provider_confirmed_it_is_in_the_wallet_again",),
    ),
    Guard(
        "refund: a failure comes back once, and the key that the database keeps apart",
        REFUND_SQL,
        ".where(*_is(part), *may)",
        ".where(*_is(part))",
        (REFUND_TESTS + "test_a_failure_comes_back_once_and_a_success_stays",),
        (ONCE_BY_ITS_TRANSFER,),
    ),
)
