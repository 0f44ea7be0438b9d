"""What riders read when something is not as they wish: a headline and what to do, for each type of problem.

The API's own words are for programs and in English; these are for people, in their language. A type that is not in the
list gets the last words of its kind, by its status, and never an English sentence on a Chinese page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from session_service.errors import Problem
from session_service.web.language import Language


@dataclass(frozen=True, slots=True)
class Words:
    """A headline, what to do, and whether another thing nearby would do as well."""

    title: str
    remedy: str
    offers_others: bool = False


def _(message: str) -> str:
    """Mark a text for the catalogues; it is translated when it is told."""
    return message


OTHERS: Final = _("Choose another one nearby.")

PROBLEMS: Final[dict[str, Words]] = {
    "malformed-label": Words(
        _("This is not one of our labels"), _("Scan the label on the bike or pod itself."), offers_others=True
    ),
    "foreign-label": Words(
        _("This is not one of our labels"), _("Scan the label on the bike or pod itself."), offers_others=True
    ),
    "forged-label": Words(
        _("This label is not genuine"),
        _("Do not use it, and pay nobody for it. Look for another label on the bike or pod, or choose another one."),
        offers_others=True,
    ),
    "unknown-label": Words(_("This label is not in use"), _("Look for another label on it."), offers_others=True),
    "revoked-label": Words(_("This label was replaced"), _("Look for the newer label on it."), offers_others=True),
    "suspended-label": Words(_("This label is being checked"), OTHERS, offers_others=True),
    "device-taken": Words(_("Somebody else has it"), OTHERS, offers_others=True),
    "device-unavailable": Words(_("It is out of service"), OTHERS, offers_others=True),
    "in-maintenance": Words(_("It is out of service"), OTHERS, offers_others=True),
    "device-revoked": Words(_("It is out of service"), OTHERS, offers_others=True),
    "device-offline": Words(
        _("It does not answer at the moment"), _("Try again in a minute, or choose another one."), offers_others=True
    ),
    "insufficient-funds": Words(_("There is not enough money in your wallet"), _("Pay in, then start.")),
    "debt-unpaid": Words(_("An earlier rental is not paid"), _("Pay in to settle the rest of it, then start.")),
    "confirm-number": Words(
        _("Which number is printed on it?"), _("Type the number that is printed on the bike or pod itself.")
    ),
    "display-code-needed": Words(_("Which code does it show?"), _("Type the six digits on its display.")),
    "position-needed": Words(
        _("We need to know where you are"), _("Allow this page to see your position, and press Start again.")
    ),
    "too-far-away": Words(
        _("You are too far away from it"), _("Go to it and scan its label. If you stand beside it, use another one.")
    ),
    "session-not-running": Words(_("This is not possible now"), _("Look at your rental's page.")),
    "session-not-over": Words(_("There is no receipt yet"), _("It is there when your rental has ended.")),
    "pause-not-offered": Words(_("This cannot be paused"), _("Leave it as it is, or press Finish.")),
    "no-label-in-photo": Words(
        _("No label was found in the picture"),
        _("Go nearer, hold the phone still, and get the whole square into the picture."),
    ),
    "number-not-here": Words(
        _("Nothing near you has this number"),
        _("Check the number, stand beside it and try again, or send a photo of the label."),
        offers_others=True,
    ),
    "photo-too-large": Words(
        _("The picture is too large"), _("Take it with the phone's ordinary camera and send that.")
    ),
    "photo-unreadable": Words(_("The picture cannot be read"), _("Take another one, and send it as it is.")),
    "photo-format": Words(_("This is not a picture"), _("Send a photo as JPEG, PNG or WebP.")),
    "photo-reader-busy": Words(_("Too many pictures at once"), _("Try again in a few seconds.")),
    "payment-provider-unavailable": Words(
        _("The payment service does not answer"), _("Nothing was paid. Try again in a minute.")
    ),
    "too-many-top-ups": Words(_("Other payments are still open"), _("Pay one of them, or wait for an hour.")),
    "refund-too-large": Words(_("That is more than can be given back"), _("Look at your wallet, and ask for less.")),
    "idempotency-key-reused": Words(_("This was sent before"), _("Reload the page to see what came of it.")),
    "stale-form": Words(
        _("This page has to be loaded again"),
        _("Reload it and press the button again. If that does not help, let this site keep cookies."),
    ),
    "cross-site-request": Words(_("This did not come from our page"), _("Open our page yourself, and try again.")),
    "not-signed-in": Words(_("This phone has no account yet"), _("Scan a label, or sign in with your passkey.")),
    "not-found": Words(_("There is nothing here"), _("Check the address, or go to the first page.")),
    "http-404": Words(_("There is nothing here"), _("Check the address, or go to the first page.")),
    "http-405": Words(_("There is nothing to send to here"), _("Go to the first page, and begin from there.")),
    "body-too-large": Words(_("That is too much at once"), _("Go back, and send less.")),
    "passkeys-not-offered": Words(
        _("There are no passkeys here yet"), _("Your account stays on the phone where it began.")
    ),
    "passkey-refused": Words(_("The passkey was not accepted"), _("Press the button again, and be quicker this time.")),
    "passkey-unknown": Words(
        _("Nobody here has this passkey"), _("Choose another one, and delete this one from your phone.")
    ),
    "passkey-cloned": Words(
        _("This passkey may have been copied"), _("Sign in with another one, and remove this one from your account.")
    ),
    "too-many-passkeys": Words(_("You have enough passkeys"), _("Remove one of them first.")),
    "guest-left-behind": Words(_("This phone has an account in use"), _("Settle it first, or sign in all the same.")),
    "cancelled": Words(_("Nothing was changed"), _("Press the button again whenever you like.")),
    "known": Words(_("This phone has a passkey for your account already"), _("Nothing more is needed.")),
    "account-in-use": Words(
        _("A rental is not over yet"), _("End it first. If we are checking it, wait until that is done.")
    ),
    "payment-pending": Words(_("A payment may still arrive"), _("Pay it, or wait for an hour.")),
    "refund-pending": Words(
        _("Money is on its way back to you"), _("Wait until it has arrived; your wallet says how far it is.")
    ),
    "wallet-not-empty": Words(_("Your wallet has changed"), _("Look at what is in it now, and decide again.")),
    "too-many-requests": Words(_("That was too often"), _("Wait for a minute, then try again.")),
}
OUR_FAULT: Final = Words(
    _("Something went wrong on our side"),
    _("Nothing was charged for it. Try again in a minute; what was sent before happens only once."),
)
YOUR_TURN: Final = Words(_("This did not work"), _("Go back, reload the page, and try again."))


def told(language: Language, problem: Problem) -> Words:
    """Return what a rider reads about a problem."""
    return words_for(language, problem.type, problem.status)


def words_for(language: Language, kind: str, status: int) -> Words:
    """Return what a rider reads about a problem of a type, or, if its type has no words of its own, of its status."""
    return in_words(language.text, PROBLEMS.get(kind) or (OUR_FAULT if status >= 500 else YOUR_TURN))


def in_words(text: Callable[[str], str], words: Words) -> Words:
    """Return words in a language."""
    return Words(text(words.title), text(words.remedy), words.offers_others)
