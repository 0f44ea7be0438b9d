"""The audit: one row for every change that a person or a rule made, chained by hashes so that none can be lost.

Moves of sessions are not here but in their events. ``chain.py`` says how a row is hashed, ``service.py`` how rows are
added one after the other, ``verify.py`` how a break is found and what it means.
"""

from session_service.audit.model import AuditRow
from session_service.audit.service import record

__all__ = ["AuditRow", "record"]
