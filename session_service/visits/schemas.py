"""What the API says of visits."""

from __future__ import annotations

from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field

from session_service.alerts.schemas import AlertOut, AssignIn, ClearIn
from session_service.clock import rfc3339
from session_service.visits.route import length_m
from session_service.visits.scoring import waited_points
from session_service.visits.service import Stop

NOTES_A_STOP: Final = 5
ALERTS_AT_ONCE: Final = 50  # there are fewer kinds
AlertIds = Annotated[
    list[Annotated[str, Field(pattern=r"^[0-9A-HJKMNP-TV-Z]{26}$")]], Field(min_length=1, max_length=ALERTS_AT_ONCE)
]

__all__ = ["AssignIn", "DoneIn", "RouteOut", "TextIn", "VisitOut", "VisitsOut"]


class TextIn(BaseModel):
    """A note for the next one who goes there."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")


class DoneIn(ClearIn):
    """Which alerts have been seen to, and whether the device may be let again."""

    alert_ids: AlertIds
    free: bool = Field(default=False, strict=True)


class PartOut(BaseModel):
    """What one alert, or waiting, adds to a score, and why."""

    kind: str
    points: int
    why: str


class NoteOut(BaseModel):
    """What somebody wrote down."""

    at: str | None
    author: str
    text: str


class VisitOut(BaseModel):
    """A place to go to: one device, or, with ``device_id`` ``null``, a site that has failed as one.

    ``score`` is the sum of ``because``: what it costs riders that nobody has been there.
    """

    id: str
    version: str
    device_id: str | None
    number: int | None
    site: str
    devices: int
    score: int
    because: list[PartOut]
    since: str | None
    assignee: str | None
    service: str | None
    service_reason: str
    lat: float | None
    lon: float | None
    alerts: list[AlertOut]
    notes: list[NoteOut]

    @classmethod
    def of(cls, stop: Stop, now_ms: int) -> Self:
        """Return a stop as the API shows it."""
        first = stop.alerts[0]
        because = [PartOut(kind=part.kind, points=part.points, why=part.why) for part in stop.parts]
        if waited := waited_points(stop.since_ms, now_ms):
            because.append(PartOut(kind="waiting", points=waited, why="a point for each hour, up to a day"))
        return cls(
            id=stop.id,
            version=stop.version,
            device_id=first.alert.device_id,
            number=first.number,
            site=stop.site,
            devices=stop.devices,
            score=stop.score,
            because=because,
            since=rfc3339(stop.since_ms),
            assignee=stop.assignee,
            service=first.service,
            service_reason=stop.spot.service_reason,
            lat=stop.spot.lat,
            lon=stop.spot.lon,
            alerts=[AlertOut.of(one, now_ms) for one in stop.alerts],
            notes=[NoteOut(at=rfc3339(n.at_ms), author=n.author, text=n.text) for n in stop.notes[:NOTES_A_STOP]],
        )


class VisitsOut(BaseModel):
    """The queue, the costliest first; ``total`` counts those that ``limit`` leaves out, too."""

    total: int
    visits: list[VisitOut]


class RouteOut(BaseModel):
    """Visits in the order of a drive, ``length_m`` metres as the crow flies; ``nowhere`` are without a position."""

    length_m: float
    visits: list[VisitOut]
    nowhere: list[VisitOut]

    @classmethod
    def of(cls, start: tuple[float, float], way: list[Stop], nowhere: list[Stop], now_ms: int) -> Self:
        """Return a route as the API shows it."""
        places = [(stop.spot.lat or 0.0, stop.spot.lon or 0.0) for stop in way]
        return cls(
            length_m=round(length_m(start, places), 1),
            visits=[VisitOut.of(stop, now_ms) for stop in way],
            nowhere=[VisitOut.of(stop, now_ms) for stop in nowhere],
        )
