"""Guards of what the service hears from devices, of the evidence check, and of the service's own door."""

from __future__ import annotations

from typing import Final

from tests.guards.guard import Guard

GATEWAY: Final = "session_service/fleet/gateway.py"
REPORTS: Final = "session_service/fleet/reports.py"
REPORT_SQL: Final = "session_service/fleet/repository.py"
RETURNS: Final = "session_service/fleet/returns.py"
COMMAND_SQL: Final = "session_service/commands/repository.py"
PROOFS: Final = "session_service/fleet/proofs.py"
CLAIMS: Final = "session_service/fleet/claims.py"
TLS: Final = "session_service/fleet/tls.py"
COMMANDS: Final = "session_service/commands/service.py"
COUNTING: Final = "session_service/limits/counting.py"
MIDDLEWARE: Final = "session_service/limits/middleware.py"
HTTP: Final = "session_service/bounded_http.py"
APP: Final = "session_service/app.py"
AUDIT: Final = "session_service/audit/verify.py"
CHAIN: Final = "session_service/audit/chain.py"
REVOCATION_TESTS: Final = "session_service/fleet/test_revocation.py::"
GATEWAY_TESTS: Final = "session_service/fleet/test_gateway.py::"
RETURN_TESTS: Final = "session_service/fleet/test_returns.py::"
RULES_TESTS: Final = "session_service/sessions/test_evidence.py::"
LIMIT_TESTS: Final = "session_service/limits/test_middleware.py::"
HTTP_TESTS: Final = "session_service/test_bounded_http.py::"
AUDIT_TESTS: Final = "session_service/audit/test_verify.py::"

UNVERIFIED: Final = "__import__('msgspec').json.decode(jws.take_apart({}).payload, type=Report)"

GUARDS: Final = (
    Guard(
        "report: signature",
        GATEWAY,
        "message = open_sealed(arrived.payload, Report, lambda _: key)",
        "from broker.contract import jws\n            message = " + UNVERIFIED.format("arrived.payload"),
        (REVOCATION_TESTS + "test_a_key_that_was_replaced_is_forgotten_and_the_new_one_known",),
    ),
    Guard(
        "report: a device speaks for itself",
        GATEWAY,
        "        if message.device != arrived.device:\n",
        "        if False:\n",
        (GATEWAY_TESTS + "test_a_device_speaks_for_itself_alone",),
    ),
    Guard(
        "report: retained",
        GATEWAY,
        "            if message.retain:  # said at some time, to nobody in particular\n",
        "            if False:\n",
        (GATEWAY_TESTS + "test_a_retained_message_is_dropped_and_counted",),
    ),
    Guard(
        "report: journal of another device",
        REPORTS,
        "    if known.journal_id != report.journal_id and repository.is_of_another(",
        "    if False and repository.is_of_another(",
        (RULES_TESTS + "test_a_device_does_not_speak_in_the_journal_of_another",),
    ),
    Guard(
        "report: stored once",
        REPORTS,
        "    if report.seq != stored + 1:\n",
        "    if report.seq > stored + 1:\n",
        (RULES_TESTS + "test_reports_repeated_or_out_of_order_have_no_effect",),
    ),
    Guard(
        "report: in order",
        REPORTS,
        "    if report.seq != stored + 1:\n",
        "    if report.seq <= stored:\n",
        (RULES_TESTS + "test_reports_repeated_or_out_of_order_have_no_effect",),
    ),
    Guard(
        "report: revoked device, its key",
        GATEWAY,
        "        self._keys.pop(device, None)\n",
        "",
        (REVOCATION_TESTS + "test_the_instance_that_was_asked_ignores_it_at_once",),
    ),
    Guard(
        "report: revoked device, in the transaction",
        REPORT_SQL,
        ", _DEVICE.c.revoked_at_ms.is_(None))\n    .with_for_update(of=_STATE)",
        ")\n    .with_for_update(of=_STATE)",
        (REVOCATION_TESTS + "test_an_instance_that_has_not_heard_of_it_stores_nothing_either",),
    ),
    Guard(
        "report: of a command that was another device's",
        COMMANDS,
        "    if row is None or row.device_id != device_id:\n",
        "    if row is None:\n",
        (RULES_TESTS + "test_a_device_says_nothing_about_the_command_of_another",),
    ),
    Guard(
        "birth: open commands alone are sent again",
        COMMAND_SQL,
        '        _IS_OPEN,\n        _COMMAND.c.deadline_at_ms > bindparam("after_"),\n',
        '        _COMMAND.c.deadline_at_ms > bindparam("after_"),\n',
        (RETURN_TESTS + "test_what_is_open_and_in_time_is_sent_again_and_nothing_else",),
    ),
    Guard(
        "birth: commands in time alone are sent again",
        COMMAND_SQL,
        '        _IS_OPEN,\n        _COMMAND.c.deadline_at_ms > bindparam("after_"),\n',
        "        _IS_OPEN,\n",
        (RETURN_TESTS + "test_what_is_open_and_in_time_is_sent_again_and_nothing_else",),
    ),
    Guard(
        "birth: a device's own commands alone are sent again",
        COMMAND_SQL,
        '        _COMMAND.c.device_id.in_(bindparam("devices_", expanding=True)),\n        _IS_OPEN,\n',
        "        _IS_OPEN,\n",
        (RETURN_TESTS + "test_nobody_else_gets_anything_and_who_goes_gets_nothing",),
    ),
    Guard(
        "birth: counts once in a while",
        RETURNS,
        "max(now_ms, self._served_ms.get(device, 0) + GAP_MS)",
        "now_ms",
        (RETURN_TESTS + "test_births_count_once_a_second_and_none_is_lost",),
    ),
    Guard(
        "birth: devices that wait",
        RETURNS,
        "        if device not in self._due_ms and len(self._due_ms) < WAITING_MAX:\n",
        "        if device not in self._due_ms:\n",
        (RETURN_TESTS + "test_a_flood_of_births_is_one_statement_and_a_bounded_memory",),
    ),
    Guard(
        "birth: bytes",
        RETURNS,
        "        if len(payload) > MAX_BIRTH_BYTES:\n",
        "        if False:\n",
        (RETURN_TESTS + "test_what_is_no_birth_is_refused",),
    ),
    Guard(
        "evidence: signature",
        PROOFS,
        "            report = open_sealed(row.token.encode(), Report, lambda _: key)\n",
        "            report = " + UNVERIFIED.format("row.token.encode()") + "\n",
        ("session_service/fleet/test_proofs.py::test_a_forged_report_needs_the_devices_key",),
    ),
    Guard(
        "evidence: of the session's own command",
        CLAIMS,
        "    if command is None or (command.action, command.device_id) != (action, report.device):\n",
        "    if False:\n",
        ("session_service/fleet/test_proofs.py::test_a_change_behind_the_services_back_is_found",),
    ),
    Guard(
        "service: the broker's name",
        TLS,
        "    context.minimum_version = ssl.TLSVersion.TLSv1_3\n",
        "    context.minimum_version = ssl.TLSVersion.TLSv1_3\n    context.check_hostname = False\n",
        ("session_service/fleet/test_tls.py::test_a_broker_of_another_name_is_refused",),
    ),
    Guard(
        "service: TLS 1.3",
        TLS,
        "    context.minimum_version = ssl.TLSVersion.TLSv1_3\n",
        "",
        ("session_service/fleet/test_tls.py::test_a_broker_with_nothing_newer_than_tls_1_2_is_refused",),
    ),
    Guard(
        "rate limit",
        COUNTING,
        "        if not limiter.hit(item, key):\n",
        "        if limiter.hit(item, key) is None:\n",
        (LIMIT_TESTS + "test_each_route_ends_at_its_narrowest_limit",),
    ),
    Guard(
        "rate limit: failures cost more",
        MIDDLEWARE,
        "                    self._limits.charge_failure(limit, keys[limit.by])\n",
        "                    pass\n",
        (LIMIT_TESTS + "test_what_fails_costs_more",),
    ),
    Guard(
        "rate limit: proxies that are not ours",
        MIDDLEWARE,
        '    client = scope.get("client")\n',
        '    forwarded = dict(scope["headers"]).get(b"x-forwarded-for", b"")\n'
        '    client = (forwarded.decode(),) if forwarded else scope.get("client")\n',
        (LIMIT_TESTS + "test_only_trusted_proxies_are_believed",),
    ),
    Guard(
        "body: bytes",
        APP,
        "        max_body_size=BODY_MAX_BYTES,\n",
        "",
        ("session_service/test_bad_requests.py::test_a_body_over_the_limit_is_a_problem",),
    ),
    Guard(
        "body: pace",
        HTTP,
        "self._body_since_s + self.body_s + self._body_bytes / BODY_MIN_BYTES_S",
        "self._body_since_s + self.body_s + self._body_bytes",
        (HTTP_TESTS + "test_a_body_that_comes_slowly_ends_with_408",),
    ),
    Guard(
        "head: bytes",
        HTTP,
        "        if length > HEAD_MAX_BYTES:\n",
        "        if False:\n",
        (HTTP_TESTS + "test_a_head_that_is_too_long_gets_431_though_it_comes_at_once",),
    ),
    Guard(
        "head: bytes while it comes",
        HTTP,
        "        elif self._raw_bytes > HEAD_MAX_BYTES + (1 + FRAMING_MAX) * self._body_bytes:\n",
        "        elif False:\n",
        (HTTP_TESTS + "test_a_head_that_is_too_long_gets_431",),
    ),
    Guard(
        "audit: content of a row",
        AUDIT,
        "    if row.hash != hash_of(content, row.previous):\n",
        "    if False:\n",
        (AUDIT_TESTS + "test_an_altered_text_is_found",),
    ),
    Guard(
        "audit: the row before",
        AUDIT,
        "    elif row.previous != previous:\n",
        "    elif False:\n",
        (AUDIT_TESTS + "test_an_altered_row_with_a_new_hash_of_its_own_is_found_by_the_next",),
    ),
    Guard(
        "audit: a missing row",
        AUDIT,
        "    if missing:\n",
        "    if False:\n",
        (AUDIT_TESTS + "test_a_removed_row_is_found",),
    ),
    Guard(
        "audit: a head that was kept",
        AUDIT,
        "    if not verdict.head_seen:\n",
        "    if False:\n",
        (AUDIT_TESTS + "test_removed_newest_rows_are_found_with_a_head_kept_elsewhere_only",),
    ),
    Guard(
        "audit: the hash covers the row before",
        CHAIN,
        "for field in (*content, previous))",
        "for field in content)",
        ("session_service/audit/test_chain.py::test_the_row_before_counts",),
    ),
)
