"""Guards of riders: whose token, whose session, which page, which request; and of their money."""

from __future__ import annotations

from typing import Final

from tests.guards.guard import Guard
from tests.support.planting import Change

CREDENTIALS: Final = "session_service/credentials.py"
IDEMPOTENCY: Final = "session_service/idempotency.py"
RIDERS: Final = "session_service/riders/service.py"
RIDER_TOKEN: Final = "session_service/riders/token.py"
RIDER_ENDPOINTS: Final = "session_service/riders/endpoints.py"
SESSIONS: Final = "session_service/sessions/service.py"
ASKING: Final = "session_service/sessions/asking.py"
MONEY: Final = "session_service/ledger/rules.py"
LEDGER: Final = "session_service/ledger/service.py"
LEDGER_ENDPOINTS: Final = "session_service/ledger/endpoints.py"
PAYMENTS: Final = "session_service/ledger/payments.py"
TOP_UPS: Final = "session_service/ledger/top_ups.py"
TRANSFERS: Final = "session_service/ledger/transfers.py"
COOKIE_TESTS: Final = "session_service/riders/test_cookies.py::"
RIDER_TESTS: Final = "session_service/riders/test_endpoints.py::"
MONEY_TESTS: Final = "session_service/ledger/test_rules.py::"
LEDGER_TESTS: Final = "session_service/ledger/test_service.py::"
PAYMENT_TESTS: Final = "session_service/ledger/test_payments.py::"
WEBHOOK_TESTS: Final = "session_service/ledger/test_webhooks.py::"
TOP_UP_TESTS: Final = "session_service/ledger/test_top_ups.py::"
WALLET_TESTS: Final = "session_service/ledger/test_endpoints.py::"
MATRIX: Final = "session_service/test_access.py::test_only_what_the_table_allows_gets_through"

GUARDS: Final = (
    Guard(
        "rider: mac of the token",
        RIDER_TOKEN,
        "return identity if hmac.compare_digest(_bytes(mac), _bytes(_mac(secret, identity))) else None",
        "return identity if mac else None",
        ("session_service/riders/test_token.py::test_no_character_can_be_changed",),
    ),
    Guard(
        "rider: revoked token, where it reads",
        RIDERS,
        "    return repository.token_nonce(connection, rider.id) == rider.nonce\n",
        "    return repository.token_nonce(connection, rider.id) is not None\n",
        (COOKIE_TESTS + "test_a_browser_whose_cookie_was_revoked_gets_a_new_rider",),
    ),
    Guard(
        "rider: revoked token, where it pays",
        LEDGER,
        "    if wallet is None or token_nonce not in {None, wallet.token_nonce}:\n",
        "    if wallet is None:\n",
        (LEDGER_TESTS + "test_a_hold_needs_a_rider_whose_token_is_not_revoked",),
    ),
    Guard(
        "rider: revoked token, for a stored answer",
        ASKING,
        "riders.require(connection, self.rider)  # a new Start compares",
        "pass  # a new Start compares",
        ("session_service/test_idempotency.py::test_a_revoked_token_gets_no_stored_answer_for_a_start",),
    ),
    Guard(
        "rider: own session only",
        SESSIONS,
        "        if session is None or session.rider_id != rider.id:\n",
        "        if session is None:\n",
        (MATRIX + "[sqlite-GET /v1/sessions/{session_id}]",),
    ),
    Guard(
        "rider: own top-up only",
        TOP_UPS,
        "    if top_up is None or top_up.rider_id != rider.id:\n",
        "    if top_up is None:\n",
        (TOP_UP_TESTS + "test_a_rider_sees_only_their_own",),
    ),
    Guard(
        "rider: with a cookie, a page of ours",
        RIDER_ENDPOINTS,
        "    if is_cookie:\n        ensure_own_page(request)\n",
        "",
        (COOKIE_TESTS + "test_a_cross_site_form_post_is_refused",),
    ),
    Guard(
        "rider: with a cookie, origin",
        CREDENTIALS,
        '    if (origin is None and site is None) or origin not in {None, own} or site not in {None, "same-origin"}:\n',
        "    if False:\n",
        (COOKIE_TESTS + "test_without_proof_that_it_is_our_page_nothing_changes",),
    ),
    Guard(
        "rider: with a cookie, type of the content",
        CREDENTIALS,
        '    if kind != "application/json" and PAGE_HEADER not in request.headers:\n',
        "    if False:\n",
        (COOKIE_TESTS + "test_what_a_form_can_send_is_refused_whatever_its_origin",),
    ),
    Guard(
        "rider: nobody is made one by another site",
        RIDER_ENDPOINTS,
        "    if by_cookie:\n        ensure_own_page(request)\n",
        "",
        (COOKIE_TESTS + "test_another_site_cannot_make_somebody_a_rider",),
    ),
    Guard(
        "request: fingerprint of its key",
        IDEMPOTENCY,
        "    if stored.fingerprint != named.fingerprint:\n",
        "    if False:\n",
        (RIDER_TESTS + "test_the_key_of_another_request_is_refused",),
    ),
    Guard(
        "request: whose key it is",
        IDEMPOTENCY,
        "    scope = _scope(_caller(request) if caller is None else caller)\n",
        '    scope = _scope("")\n',
        (WALLET_TESTS + "test_two_riders_may_use_the_same_key",),
    ),
    Guard(
        "request: a key that guards a token is long",
        IDEMPOTENCY,
        "    if named.key is not None and len(named.key) < MIN_SECRET_KEY_CHARS:\n",
        "    if False:\n",
        (RIDER_TESTS + "test_a_key_that_could_be_guessed_is_refused",),
    ),
    Guard(
        "money: hold limit",
        MONEY,
        '    if wallet.available_minor < amount_minor:\n        msg = f"Top up',
        '    if False:\n        msg = f"Top up',
        (MONEY_TESTS + "test_a_hold_that_exceeds_what_is_free_by_a_cent_is_refused_and_says_by_how_much",),
    ),
    Guard(
        "money: debt",
        MONEY,
        "    if wallet.debt_minor:\n",
        "    if False:\n",
        (MONEY_TESTS + "test_a_cent_of_debt_refuses_every_hold",),
    ),
    Guard(
        "money: a fare leaves what others have set aside",
        MONEY,
        "    paid = min(amount_minor, wallet.available_minor)\n",
        "    paid = min(amount_minor, wallet.balance_minor)\n",
        (MONEY_TESTS + "test_a_fare_never_takes_what_another_session_has_set_aside",),
    ),
    Guard(
        "money: refunds up to what was charged",
        MONEY,
        "    if amount_minor > limit:\n",
        "    if False:\n",
        (MONEY_TESTS + "test_no_more_is_refunded_than_was_charged",),
    ),
    Guard(
        "money: transfer key",
        TRANSFERS,
        "    if stored.fingerprint != transfer.fingerprint:\n",
        "    if False:\n",
        (LEDGER_TESTS + "test_another_fare_for_the_same_session_is_a_conflict",),
    ),
    Guard(
        "money: one session a device",
        SESSIONS,
        '        if state == "taken":\n',
        "        if False:\n",
        (
            "session_service/sessions/test_money_table.py::test_a_device_that_cannot_be_had_costs_nothing",
            "session_service/sessions/test_money_table.py::test_a_second_start_is_refused_and_sets_nothing_aside",
        ),
    ),
    Guard(
        "webhook: signature",
        PAYMENTS,
        "        if not hmac.compare_digest(mac.encode(), expected.encode()):\n",
        "        if not expected:\n",
        (PAYMENT_TESTS + "test_any_other_signature_is_refused",),
    ),
    Guard(
        "webhook: window",
        PAYMENTS,
        " or abs(now_s - int(signed_at)) > SIGNATURE_WINDOW_S:",
        ":",
        (WEBHOOK_TESTS + "test_a_message_of_another_time_is_refused",),
    ),
    Guard(
        "webhook: once",
        TOP_UPS,
        "    if first_legs(connection, transfer) is not None:\n        return\n",
        "",
        (TOP_UP_TESTS + "test_a_success_is_credited_once_however_often_it_is_heard",),
    ),
    Guard(
        "webhook: once, and the key that the database keeps apart",
        TOP_UPS,
        "    if first_legs(connection, transfer) is not None:\n        return\n",
        "",
        (TOP_UP_TESTS + "test_a_success_is_credited_once_however_often_it_is_heard",),
        (Change(TOP_UPS, 'f"top-up:{top_up_id}", None', 'f"top-up:{clock.new_id()}", None'),),
    ),
    Guard(
        "webhook: amount and currency",
        TOP_UPS,
        "        and (top_up.amount_minor, top_up.currency) == (event.amount_minor, event.currency)\n",
        "",
        (TOP_UP_TESTS + "test_a_word_that_does_not_agree_with_the_top_up_credits_nothing",),
    ),
    Guard(
        "webhook: a payment is for one top-up",
        TOP_UPS,
        "known not in {None, top_up.id} or ",
        "",
        (
            WEBHOOK_TESTS + "test_a_payment_is_for_one_top_up_only",
            WEBHOOK_TESTS + "test_nor_for_one_whose_payment_is_not_known_yet",
        ),
    ),
    Guard(
        "webhook: bytes",
        LEDGER_ENDPOINTS,
        "        if len(body) > MAX_WEBHOOK_BYTES:\n",
        "        if False:\n",
        (WALLET_TESTS + "test_a_huge_webhook_is_refused_before_it_is_read",),
    ),
    Guard(
        "top-ups that wait",
        TOP_UPS,
        "    if repository.pending_top_ups(connection, rider.id, at_ms - PENDING_MS) >= PENDING_MAX:\n",
        "    if False:\n",
        (WEBHOOK_TESTS + "test_only_a_few_payments_may_wait_at_once",),
    ),
)
