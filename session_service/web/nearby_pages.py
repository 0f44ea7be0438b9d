"""``/nearby``: what is free, as a list and on a map. Without a position it is the whole city by areas.

The list is the page; ``map.js`` draws what the list says, and asks for the page again where the phone is.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import atan2, ceil, cos, degrees, radians
from typing import Any, Final
from urllib.parse import urlsplit

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from session_service.devices.model import Kind
from session_service.finding.endpoints import InFinding, Latitude, Longitude, near
from session_service.finding.repository import Area
from session_service.finding.service import RADIUS_M
from session_service.presence.distance import Place, distance_m
from session_service.settings import Settings
from session_service.web.forms import PageRoute
from session_service.web.pages import InVisit, Visit

router = APIRouter(include_in_schema=False, route_class=PageRoute)

SHOWN: Final = 20  # more than anybody compares on a phone
AREAS_SHOWN: Final = 30
MINUTE_S: Final = 60
AT_CENTRE_M: Final = 600  # within half a square of the grid there is no direction


def _(message: str) -> str:
    """Mark a text for the catalogues; the template translates it."""
    return message


DIRECTIONS: Final = (
    _("to the north"),
    _("to the north-east"),
    _("to the east"),
    _("to the south-east"),
    _("to the south"),
    _("to the south-west"),
    _("to the west"),
    _("to the north-west"),
)


@dataclass(frozen=True, slots=True)
class Around:
    """An area as people find it: how far and in which direction from the city's centre; ``None`` in the centre."""

    area: Area
    distance_m: int
    direction: str | None


@router.get("/nearby")
async def nearby_page(
    visit: InVisit, finding: InFinding, lat: Latitude = None, lon: Longitude = None, kind: Kind | None = None
) -> HTMLResponse:
    """Show what is free near a point, or without one in the city."""
    if lat is None or lon is None:
        city = await finding.city(visit.context.database)
        areas = [around(city.centre, area) for area in city.areas if city.centre and kind in {None, area.kind}]
        areas = sorted(areas[:AREAS_SHOWN], key=lambda one: one.distance_m)
        return _page(visit, here=None, kind=kind, areas=areas, found=[])
    found = await near(visit.context, finding, (lat, lon), kind, SHOWN)
    return _page(visit, here=(lat, lon), kind=kind, areas=[], found=found)


def around(centre: Place | None, area: Area) -> Around:
    """Return where an area lies as seen from the centre."""
    there = (area.lat, area.lon)
    if centre is None or (apart_m := distance_m(centre, there)) < AT_CENTRE_M:
        return Around(area, 0, None)
    east = (there[1] - centre[1]) * cos(radians(centre[0]))
    turn = degrees(atan2(east, there[0] - centre[0])) % 360
    return Around(area, round(apart_m / 100) * 100, DIRECTIONS[round(turn / 45) % 8])


def minutes_s(walking_s: int) -> int:
    """Return a walk in whole minutes, as seconds, at least one."""
    return max(1, ceil(walking_s / MINUTE_S)) * MINUTE_S


def policy(settings: Settings) -> dict[str, str]:
    """Return what this page may beyond the others: Leaflet's style, and pictures of the one origin with map tiles."""
    added = {"style-src": "'self'"}
    if settings.map_tiles:
        parts = urlsplit(settings.map_tiles)
        added["img-src"] = f"data: {parts.scheme}://{parts.netloc}"  # Leaflet empties a tile it drops by a data address
    return added


def _page(visit: Visit, **facts: Any) -> HTMLResponse:  # noqa: ANN401 - what templates show
    settings = visit.context.settings
    shared: dict[str, Any] = {
        "kinds": tuple(Kind),
        "radius_m": RADIUS_M,
        "minutes_s": minutes_s,
        "prices": {one.kind: one.price for one in facts["found"]},
        "tiles": settings.map_tiles,
        "attribution": settings.map_attribution,
    }
    return visit.page("nearby.html", policy=policy(settings), **shared, **facts)
