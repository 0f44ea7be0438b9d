from __future__ import annotations

from docs.access_page import PAGE, page
from session_service.access import TABLE


def test_the_page_is_as_new_as_the_table() -> None:
    assert PAGE.read_text() == page(), "docs/access.md is old: run `make docs`"


def test_each_row_of_the_table_is_a_line_of_the_page() -> None:
    for operation, who in TABLE.items():
        assert f"| `{operation}` | {who} |\n" in page()
