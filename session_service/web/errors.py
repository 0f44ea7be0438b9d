"""What can be wrong with a page's form."""

from __future__ import annotations

from session_service.errors import Problem


class StaleFormError(Problem):
    """The form was not shown to this browser, or the browser keeps no cookies."""

    status = 403
    type = "stale-form"
    title = "This page has to be loaded again"
