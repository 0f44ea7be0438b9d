"""Guards of riders' pages: forms, cookies, what browsers are told, files, and the number that is typed in."""

from __future__ import annotations

from typing import Final

from tests.guards.guard import Guard

CREDENTIALS: Final = "session_service/credentials.py"
FORMS: Final = "session_service/web/forms.py"
FORM_TOKEN: Final = "session_service/web/form_token.py"
THEN: Final = "session_service/web/then.py"
PAGES: Final = "session_service/web/pages.py"
SCAN_PAGES: Final = "session_service/web/scan_pages.py"
STATIC_FILES: Final = "session_service/web/static_files.py"
APP_FILES: Final = "session_service/web/app_files.py"
ACCOUNT_PAGES: Final = "session_service/web/account_pages.py"
SCANNER: Final = "session_service/web/static/scan.js"
WORKER: Final = "session_service/web/static/sw.js"
HEADERS: Final = "session_service/headers.py"
FINDING: Final = "session_service/finding/service.py"
LIMITS: Final = "session_service/limits/table.py"
FORM_TESTS: Final = "session_service/web/test_forms.py::"
TOKEN_TESTS: Final = "session_service/web/test_form_token.py::"
PAGE_TESTS: Final = "session_service/web/test_pages.py::"
SCAN_TESTS: Final = "session_service/web/test_scan_pages.py::"
STATIC_TESTS: Final = "session_service/web/test_static_files.py::"
APP_TESTS: Final = "session_service/web/test_app_files.py::"
NUMBER_TESTS: Final = "session_service/finding/test_numbers.py::"
LIMIT_TESTS: Final = "session_service/limits/test_middleware.py::"

GUARDS: Final = (
    Guard(
        "form: token",
        FORMS,
        "    if visit.is_new or not form_token.is_right(secret, visit.visitor, token):\n",
        "    if visit.is_new:\n",
        (FORM_TESTS + "test_the_form_that_another_browser_was_shown_is_refused",),
    ),
    Guard(
        "form: mac of the token",
        FORM_TOKEN,
        'hmac.compare_digest(make(secret, visitor).encode(), token.encode(errors="surrogatepass"))',
        "len(token) == len(make(secret, visitor))",
        (TOKEN_TESTS + "test_it_is_nothing_to_another_visitor",),
    ),
    Guard(
        "form: nobody's token",
        FORM_TOKEN,
        "bool(visitor) and ",
        "",
        (TOKEN_TESTS + "test_nobody_has_no_token",),
    ),
    Guard(
        "form: origin",
        FORMS,
        "    ensure_own_origin(request)\n",
        "",
        (FORM_TESTS + "test_what_the_browser_does_not_call_ours_is_refused",),
    ),
    Guard(
        "form: key",
        FORMS,
        "    if _KEY.fullmatch(key) is None:\n",
        "    if False:\n",
        (FORM_TESTS + "test_a_key_that_is_not_as_our_pages_make_them_is_refused",),
    ),
    Guard(
        "form: number of fields",
        FORMS,
        ", max_fields=MAX_FIELDS)",
        ")",
        (FORM_TESTS + "test_more_fields_and_longer_ones_than_any_form_has_are_refused",),
    ),
    Guard(
        "form: length of fields",
        FORMS,
        "    if any(len(value) > MAX_FIELD_CHARS for value in fields.values()):\n",
        "    if False:\n",
        (FORM_TESTS + "test_more_fields_and_longer_ones_than_any_form_has_are_refused",),
    ),
    Guard(
        "form: no files",
        FORMS,
        "max_files=0, ",
        "",
        (FORM_TESTS + "test_a_file_is_no_field",),
    ),
    Guard(
        "form: an account's end is said twice",
        ACCOUNT_PAGES,
        '    if form.fields.get("sure") != SURE:\n',
        "    if False:\n",
        ("session_service/web/test_account_pages.py::test_the_second_step_needs_a_tick",),
    ),
    Guard(
        "photograph: token of its form",
        SCAN_PAGES,
        " or not form_token.is_right(visit.context.secrets.token_secret, visit.visitor, str(token))",
        "",
        (SCAN_TESTS + "test_a_photograph_from_another_page_is_refused",),
    ),
    Guard(
        "photograph: origin of its form",
        SCAN_PAGES,
        "    ensure_own_origin(request)\n",
        "",
        (SCAN_TESTS + "test_a_photograph_that_another_site_sends_is_refused",),
    ),
    Guard(
        "label to go back to: a label's path",
        THEN,
        "    found = _VALUE.fullmatch(own_cookie(request, COOKIE))\n",
        '    found = re.fullmatch(r"(.*?)[.]?(.*)", own_cookie(request, COOKIE))\n',
        ("session_service/web/test_then.py::test_a_cookie_that_holds_something_else_leads_nowhere",),
    ),
    Guard(
        "scanner: labels of our own",
        SCANNER,
        "  return ours && LABEL.test(url.pathname) ? url.pathname : null;\n",
        "  return url.href;\n",
        ("browser/test_scanner.py::test_the_label_of_another_host_is_not_followed",),
    ),
    Guard(
        "pages: nothing from elsewhere",
        PAGES,
        '    "default-src": "\'none\'",\n',
        '    "default-src": "*",\n',
        (PAGE_TESTS + "test_a_page_may_load_its_own_alone_and_be_in_no_frame",),
    ),
    Guard(
        "pages: no script within a page",
        PAGES,
        '    "script-src": "\'self\'",\n',
        "    \"script-src\": \"'self' 'unsafe-inline'\",\n",
        (PAGE_TESTS + "test_a_page_may_load_its_own_alone_and_be_in_no_frame",),
    ),
    Guard(
        "pages: in no frame",
        PAGES,
        '    "frame-ancestors": "\'none\'",\n',
        "",
        (PAGE_TESTS + "test_a_page_may_load_its_own_alone_and_be_in_no_frame",),
    ),
    Guard(
        "pages: Referrer-Policy",
        PAGES,
        'response.headers["Referrer-Policy"] = "same-origin"',
        'response.headers["Referrer-Policy"] = "unsafe-url"',
        (PAGE_TESTS + "test_no_other_site_learns_a_pages_address",),
    ),
    Guard(
        "pages: Cache-Control",
        HEADERS,
        '    "Cache-Control": "no-store",',
        '    "Cache-Control": "private, max-age=60",',
        (PAGE_TESTS + "test_nothing_keeps_a_page_with_money",),
    ),
    Guard(
        "cookies: HttpOnly",
        CREDENTIALS,
        'max_age_s,\n        path="/",\n        secure=not _is_plain_loopback(url),\n        httponly=True,\n',
        'max_age_s,\n        path="/",\n        secure=not _is_plain_loopback(url),\n',
        (PAGE_TESTS + "test_a_pages_cookies_are_for_this_host_alone_and_not_for_scripts",),
    ),
    Guard(
        "cookies: Secure",
        CREDENTIALS,
        '        max_age=max_age_s,\n        path="/",\n        secure=not _is_plain_loopback(url),\n',
        '        max_age=max_age_s,\n        path="/",\n',
        (PAGE_TESTS + "test_a_pages_cookies_are_for_this_host_alone_and_not_for_scripts",),
    ),
    Guard(
        "cookies: SameSite",
        CREDENTIALS,
        "        samesite=same_site,\n",
        '        samesite="none",\n',
        (PAGE_TESTS + "test_a_pages_cookies_are_for_this_host_alone_and_not_for_scripts",),
    ),
    Guard(
        "cookies: for this host alone",
        CREDENTIALS,
        '    return f"__Host-{name}" if urlsplit(public_url).scheme == "https" else name\n',
        "    return name\n",
        (PAGE_TESTS + "test_a_pages_cookies_are_for_this_host_alone_and_not_for_scripts",),
    ),
    Guard(
        "files: an address holds the content's digest",
        STATIC_FILES,
        "    if found is None or found.address != _address(digest, name):\n",
        "    if found is None:\n",
        (STATIC_TESTS + "test_what_is_not_in_the_table_is_not_found",),
    ),
    Guard(
        "files: bytes",
        STATIC_FILES,
        "    if path.stat().st_size > FILE_MAX_BYTES:\n",
        "    if False:\n",
        (STATIC_TESTS + "test_what_is_too_large_is_not_kept",),
    ),
    Guard(
        "files: how many",
        STATIC_FILES,
        " > FILES_MAX:\n",
        " > 10**9:\n",
        (STATIC_TESTS + "test_too_many_files_are_a_mistake",),
    ),
    Guard(
        "service worker: its own policy",
        APP_FILES,
        '{"Cache-Control": "no-cache", "Content-Security-Policy": WORKER_POLICY}',
        '{"Cache-Control": "no-cache"}',
        (APP_TESTS + "test_the_worker_keeps_the_offline_page_and_nothing_that_can_be_wrong",),
    ),
    Guard(
        "service worker: keeps no page of money or locks",
        WORKER,
        "    return (await event.preloadResponse) ?? (await fetch(event.request));\n",
        "    const answer = await fetch(event.request);\n"
        "    await (await caches.open(CACHE)).put(event.request, answer.clone());\n"
        "    return answer;\n",
        ("browser/test_offline.py::test_nothing_of_money_or_locks_is_kept",),
    ),
    Guard(
        "number: beside the thing",
        FINDING,
        "        return known and apart_m <= self._settings.near_tolerance_m\n",
        "        return known\n",
        (NUMBER_TESTS + "test_elsewhere_and_not_at_all_are_the_same_answer",),
    ),
    Guard(
        "number: a good position",
        FINDING,
        "        if position is None or position.accuracy_m > accuracy_max_m:\n",
        "        if position is None:\n",
        (NUMBER_TESTS + "test_without_a_good_position_nothing_is_looked_up",),
    ),
    Guard(
        "number: a place that is old is none",
        FINDING,
        "            known = thing.position_at_ms >= self._fresh().fixed_from_ms\n",
        "            known = True\n",
        (NUMBER_TESTS + "test_a_place_that_is_old_is_not_near_however_far_the_thing_may_have_come",),
    ),
    Guard(
        "number: the same answer for another kind",
        FINDING,
        " and kind in {None, found.kind}",
        "",
        (NUMBER_TESTS + "test_elsewhere_and_not_at_all_are_the_same_answer",),
    ),
    Guard(
        "number: the same answer for a retired key",
        FINDING,
        "        if label is None or label.label.key_id not in keys.secrets:\n",
        "        if label is None:\n",
        (NUMBER_TESTS + "test_a_label_under_a_retired_key_says_nothing_of_its_device",),
    ),
    Guard(
        "number: limits of the operation",
        LIMITS,
        '    ("POST", "/v1/scans/number"): (NUMBERS_FROM, NUMBERS),\n',
        "",
        ("session_service/finding/test_endpoints.py::test_a_few_wrong_numbers_are_all_that_anybody_has",),
    ),
    Guard(
        "number: limits of the page's form",
        LIMITS,
        '    ("POST", "/scan/number"): (NUMBERS_FROM, NUMBERS),\n',
        '    ("POST", "/scan/number"): (),\n',
        (LIMIT_TESTS + "test_a_pages_form_is_limited_as_what_it_does",),
    ),
)
