"""Every page's router, in the order in which they are tried: what riders wait for comes first."""

from __future__ import annotations

from typing import Final

from session_service.web import (
    account_pages,
    app_files,
    dashboard_pages,
    home_pages,
    label_page,
    nearby_pages,
    receipt_pages,
    scan_pages,
    session_pages,
    static_files,
    wallet_pages,
)

ROUTERS: Final = (
    label_page.router,
    receipt_pages.router,  # before the next: a receipt's file is no button of a ride
    session_pages.router,
    scan_pages.router,
    nearby_pages.router,
    wallet_pages.router,
    account_pages.router,
    home_pages.router,
    static_files.router,
    app_files.router,
    dashboard_pages.router,
)
