"""Guards of operators: signing in, roles, two people; and of devices that enrol."""

from __future__ import annotations

from typing import Final

from tests.guards.guard import Guard
from tests.support.planting import Change

TABLE: Final = "session_service/access.py"
GUARDING: Final = "session_service/operators/guarding.py"
OPERATORS: Final = "session_service/operators/service.py"
OPERATOR_SQL: Final = "session_service/operators/repository.py"
OPERATOR_ENDPOINTS: Final = "session_service/operators/endpoints.py"
PASSWORDS: Final = "session_service/operators/passwords.py"
SIGN_INS: Final = "session_service/operators/sign_ins.py"
COMMAND_ENDPOINTS: Final = "session_service/commands/endpoints.py"
BY_OPERATORS: Final = "session_service/commands/by_operators.py"
APPROVALS: Final = "session_service/approvals/service.py"
PKI: Final = "session_service/pki/service.py"
AUTHORITY: Final = "session_service/pki/authority.py"
MIGRATION: Final = "session_service/migrations/versions/20261122_initial.py"
MATRIX_TESTS: Final = "session_service/test_access.py::"
MATRIX: Final = MATRIX_TESTS + "test_only_what_the_table_allows_gets_through"
OPERATOR_TESTS: Final = "session_service/operators/test_service.py::"
SIGN_IN_TESTS: Final = "session_service/operators/test_sign_ins.py::"
PASSWORD_TESTS: Final = "session_service/operators/test_passwords.py::"
PERSON_TESTS: Final = "session_service/commands/test_second_person.py::"
ENROLMENT_TESTS: Final = "session_service/pki/test_enrolment.py::"
AUTHORITY_TESTS: Final = "session_service/pki/test_authority.py::"

GUARDS: Final = (
    Guard(
        "role: an entry of the table, lowered",
        TABLE,
        '    "POST /v1/ops/label-keys/{key_id}/retire": Role.ADMIN,',
        '    "POST /v1/ops/label-keys/{key_id}/retire": Role.TECHNICIAN,',
        ("docs/test_access_page.py::test_the_page_is_as_new_as_the_table",),
    ),
    Guard(
        "role: opening from afar, lowered",
        TABLE,
        "    OPEN_FROM_AFAR: Role.OPERATOR,",
        "    OPEN_FROM_AFAR: Role.TECHNICIAN,",
        (MATRIX_TESTS + "test_who_may_not_is_told_what_is_needed",),
    ),
    Guard(
        "role: the check",
        TABLE,
        "    if not role.covers(needed):\n",
        "    if False:\n",
        (MATRIX_TESTS + "test_who_may_not_is_told_what_is_needed",),
    ),
    Guard(
        "role: the check of each request",
        OPERATOR_ENDPOINTS,
        "    who.require(access.operation(request.scope))\n",
        "",
        (MATRIX + "[sqlite-GET /v1/ops/audit]",),
    ),
    Guard(
        "role: the check of what the body asks for",
        COMMAND_ENDPOINTS,
        "        operator.require(OPEN_FROM_AFAR)\n",
        "        pass\n",
        (MATRIX + "[sqlite-POST /v1/ops/devices/{device_id}/commands with action unlock]",),
    ),
    Guard(
        "role: an operation without an entry",
        TABLE,
        "    if missing:\n",
        "    if False:\n",
        (MATRIX_TESTS + "test_a_service_with_an_operation_that_is_not_in_the_table_does_not_start",),
    ),
    Guard(
        "role: an operation that asks for nobody",
        GUARDING,
        "    if bare:\n",
        "    if False:\n",
        (MATRIX_TESTS + "test_a_service_with_an_operation_for_operators_that_asks_for_none_does_not_start",),
    ),
    Guard(
        "operator: cell of the token",
        OPERATORS,
        "    if of_cell != cell or operator is None",
        "    if operator is None",
        (OPERATOR_TESTS + "test_a_token_of_another_cell_names_nobody_even_in_a_copy_of_its_database",),
    ),
    Guard(
        "operator: revoked",
        OPERATORS,
        " or operator.revoked_at_ms is not None:",
        ":",
        (OPERATOR_TESTS + "test_a_revoked_token_names_nobody",),
    ),
    Guard(
        "operator: sign-ins end",
        OPERATORS,
        "    return found if found is not None and now_ms < ends_at_ms(found) else None\n",
        "    return found\n",
        (OPERATOR_TESTS + "test_a_sign_in_that_is_not_used_ends",),
    ),
    Guard(
        "operator: sign-ins end though they are used",
        OPERATORS,
        "    return min(sign_in.used_at_ms + IDLE_END_MS, sign_in.created_at_ms + LONGEST_MS)\n",
        "    return sign_in.used_at_ms + IDLE_END_MS\n",
        (OPERATOR_TESTS + "test_a_sign_in_that_is_used_all_the_time_ends_too",),
    ),
    Guard(
        "operator: argon2 comparison",
        PASSWORDS,
        "        return _HASHER.verify(stored or _nobodys(), _normal(password)) and stored is not None\n",
        "        return stored is not None\n",
        (PASSWORD_TESTS + "test_a_password_is_right_and_any_other_is_not",),
    ),
    Guard(
        "operator: without a password nobody gets in",
        PASSWORDS,
        " and stored is not None\n",
        "\n",
        (PASSWORD_TESTS + "test_where_there_is_no_password_nothing_is_right",),
    ),
    Guard(
        "operator: one-time code",
        SIGN_INS,
        "    if not _code_is_right(connection, now, tried, box):\n",
        "    if False:\n",
        (SIGN_IN_TESTS + "test_with_codes_a_password_alone_does_not_open",),
    ),
    Guard(
        "operator: a one-time code is good once",
        OPERATOR_SQL,
        "where(_OPERATOR.c.id == operator_id, unused).values(totp_last_step=step)",
        "where(_OPERATOR.c.id == operator_id).values(totp_last_step=step)",
        (SIGN_IN_TESTS + "test_a_code_works_once_and_so_does_none_before_it",),
    ),
    Guard(
        "operator: lock-out",
        SIGN_INS,
        "    if until_ms > tried.now_ms:\n",
        "    if False:\n",
        (SIGN_IN_TESTS + "test_who_guesses_waits_and_a_try_that_comes_too_early_is_not_looked_at",),
    ),
    Guard(
        "operator: lock-out of who guesses codes",
        OPERATOR_ENDPOINTS,
        "        except SignInFailedError:\n            await context.database.write(",
        "        except SignInFailedError:\n            (",
        (SIGN_IN_TESTS + "test_who_guesses_codes_waits_too",),
    ),
    Guard(
        "operator: revoked while the password is looked at",
        SIGN_INS,
        "    if now is None or now.revoked_at_ms is not None or now.password_hash != operator.password_hash:\n",
        "    if now is None:\n",
        (SIGN_IN_TESTS + "test_what_changes_while_the_password_is_looked_at_counts",),
    ),
    Guard(
        "second person: where somebody may be",
        BY_OPERATORS,
        "    if wish.action is Action.UNLOCK and may_be_occupied(seen):\n",
        "    if False:\n",
        (PERSON_TESTS + "test_to_open_a_pod_in_which_somebody_may_be_waits",),
    ),
    Guard(
        "second person: another one",
        APPROVALS,
        "    if approval.asked_by == by.actor:\n",
        "    if False:\n",
        (PERSON_TESTS + "test_whoever_asked_cannot_confirm",),
    ),
    Guard(
        "second person: another one, and by the database",
        APPROVALS,
        "    if approval.asked_by == by.actor:\n",
        "    if False:\n",
        (PERSON_TESTS + "test_whoever_asked_cannot_confirm",),
        (
            Change(
                MIGRATION,
                "state <> 'confirmed' OR decided_by <> asked_by",
                "state <> 'confirmed' OR decided_by <> ''",
            ),
        ),
    ),
    Guard(
        "second person: a person",
        APPROVALS,
        "    if not by.is_person:\n",
        "    if False:\n",
        (PERSON_TESTS + "test_a_program_can_neither_ask_nor_confirm",),
    ),
    Guard(
        "second person: about the same session",
        APPROVALS,
        "    if approval.session_id != session_id:\n",
        "    if False:\n",
        (PERSON_TESTS + "test_once_the_session_has_ended_it_must_be_asked_for_again",),
    ),
    Guard(
        "enrolment: claim code",
        PKI,
        "    if not is_code(secret, asked.device_id, claim.id, asked.claim):\n",
        "    if False:\n",
        (ENROLMENT_TESTS + "test_a_wrong_claim_gets_nothing", ENROLMENT_TESTS + "test_a_claim_is_for_its_own_device"),
    ),
    Guard(
        "enrolment: claim tries",
        PKI,
        "    if is_open and claim.tries >= MAX_TRIES:\n",
        "    if False:\n",
        (ENROLMENT_TESTS + "test_the_sixth_try_is_refused_even_with_the_right_code",),
    ),
    Guard(
        "enrolment: claim expiry",
        PKI,
        "    if now_ms >= claim.expires_at_ms:\n",
        "    if False:\n",
        (ENROLMENT_TESTS + "test_a_claim_is_good_for_a_day",),
    ),
    Guard(
        "enrolment: claim single use",
        PKI,
        "    if claim is None or not repository.use_claim(connection, claim.id, now_ms):\n",
        "    if claim is None:\n",
        (ENROLMENT_TESTS + "test_a_claim_lets_in_once",),
    ),
    Guard(
        "enrolment: CSR signature",
        AUTHORITY,
        "    if not is_proven:\n",
        "    if False:\n",
        (AUTHORITY_TESTS + "test_a_request_for_somebody_elses_key_is_refused",),
    ),
    Guard(
        "enrolment: the name is the service's",
        AUTHORITY,
        "        return self._issue(device_id, public,",
        '        return self._issue("service", public,',
        (AUTHORITY_TESTS + "test_a_device_gets_the_name_that_the_service_gives_it",),
    ),
    Guard(
        "enrolment: what the device had before ends",
        PKI,
        '    repository.revoke_certificates(connection, device_id, "enrolled anew", now_ms)\n',
        "",
        (ENROLMENT_TESTS + "test_a_device_that_enrols_anew_is_known_by_its_new_keys_alone",),
    ),
    Guard(
        "enrolment: a key that was replaced",
        PKI,
        "    elif known.ended_at_ms is not None:\n",
        "    elif False:\n",
        (ENROLMENT_TESTS + "test_a_key_that_was_replaced_does_not_come_back",),
    ),
    Guard(
        "enrolment: a revoked device",
        PKI,
        "    if repository.lock_device(connection, device_id) is not False:\n",
        "    if repository.lock_device(connection, device_id) is None:\n",
        (ENROLMENT_TESTS + "test_a_claim_lets_no_revoked_device_in",),
    ),
    Guard(
        "enrolment: the open claim of a revoked device",
        PKI,
        "    repository.void_claims(connection, device_id, now_ms)\n    repository.end_key(",
        "    repository.end_key(",
        (ENROLMENT_TESTS + "test_a_revocation_ends_the_claim_that_is_open",),
    ),
    Guard(
        "enrolment: no claim for a revoked device",
        "session_service/devices/service.py",
        "    if device.revoked_at_ms is not None:\n",
        "    if False:\n",
        (ENROLMENT_TESTS + "test_revoked_is_for_good",),
    ),
    Guard(
        "renewal: signature",
        PKI,
        '        asked = open_sealed(renewal.encode(errors="surrogatepass"), Renewal, lambda _: public)\n',
        "        from broker.contract import jws\n"
        "        content = jws.take_apart(renewal.encode()).payload\n"
        "        asked = __import__('msgspec').json.decode(content, type=Renewal)\n",
        (ENROLMENT_TESTS + "test_only_the_devices_own_report_key_renews",),
    ),
    Guard(
        "renewal: often",
        PKI,
        "    if repository.issued_since(connection, device_id, now_ms - DAY_MS) >= MAX_CERTIFICATES_A_DAY:\n",
        "    if False:\n",
        (ENROLMENT_TESTS + "test_who_asks_too_often_waits",),
    ),
)
