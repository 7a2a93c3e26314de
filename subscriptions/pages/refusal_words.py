"""Says in a page's language what a rule said in English: `in_page_language`, a table.

The rules' sentences are part of the API, and stay as they are. What the table does not have is
shown as the rule said it. Used by forms, messages and templates; it must not know models.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

_URLS: Final = (
    _("The URL must begin with https://."),
    _("The URL must begin with https:// or http://."),
    _("The URL is longer than %(bytes)s bytes."),
    _("The URL contains a backslash; write %5C if it is meant."),
    _("The URL contains a space, a line break or a hidden character."),
    _("The URL contains a % that is no percent-encoding; write %25."),
    _("After the scheme, two slashes and a host name must follow."),
    _("Write a slash after the host name of the URL."),
    _("The URL must not contain a user name or a password."),
    _("The URL's port is not one that webhooks may be sent to."),
    _("The URL's host is not a valid host name."),
    _("The URL's host looks like a number but is not an address such as 192.0.2.1."),
    _("The URL's host is not a public host name."),
    _("The URL's address may not be contacted."),
)

_SUBSCRIPTIONS: Final = (
    _("The description is a text."),
    _("The description has at most %(count)s characters."),
    _("Only the 'repsona' wire format has these fields."),
    _("The project has %(count)s subscriptions, which is all that it may have."),
    _("The project's default secret signs: leave this out."),
    _("The project has no default secret yet."),
    _("The secret that signs does not suit: %(sentence)s"),
    _("List at least one event type, or '*' for all of them."),
    _("At most %(count)s event types can be listed; use a prefix."),
    _(
        "%(name)s is neither an event type, nor '*', nor a prefix that ends in a separator and "
        "'*', such as 'Task.*' or 'jobs:*'."
    ),
    _(
        "The signature schemes %(one)s and %(other)s use the same header, %(header)s: list one of "
        "them, once."
    ),
    _("At most %(count)s custom headers can be set."),
    _("Each custom header can be set only once, whatever its case."),
    _("Custom headers have at most %(count)s characters together."),
    _("The name of a custom header has letters, digits and any of !#$%&'*+-.^_`|~ only."),
    _("The name of a custom header has at most %(count)s characters."),
    _("The header %(name)s cannot be set: its name is reserved."),
    _(
        "The value of the header %(name)s is a mask, and not that of what is stored: give the "
        "value."
    ),
    _(
        "The value of the header %(name)s has visible ASCII characters, with spaces and tabs "
        "between them, and no line breaks."
    ),
    _("The value of the header %(name)s has at most %(count)s characters."),
    _("The metadata are an object of names and texts."),
    _("The metadata have at most %(count)s names."),
    _("A name has printable characters, at least one."),
    _("A name has at most %(count)s characters."),
    _("A value is a text."),
    _("A value has at most %(count)s characters."),
    _("A secret is printable text, without spaces around it."),
    _("A secret has 8 to 256 characters."),
    _(
        "With the 'standard' signature scheme a secret is 'whsec_' followed by the base64 of 24 to "
        "64 random bytes."
    ),
    _("A retry schedule has at most %(count)s delays."),
    _("%(name)s is not a retry schedule; try 'standard'."),
    _("Each delay of a retry schedule is %(least)s to %(most)s seconds (7 days)."),
)

_EVENT_TYPES: Final = (
    _("An event type is a text of 1 to 128 characters."),
    _(
        "%(name)s is not an event type: at most %(count)s letters, digits and underscores, in "
        "parts joined by single '.', ':', '/' or '-'."
    ),
    _("A project has at most %(count)s event types: there is no room for %(more)s."),
    _("'%(name)s' cannot be in the catalogue: the API uses the word itself."),
    _("The example is not JSON."),
    _("The schema takes too long to check the example."),
    _("The example does not fit it: %(sentence)s"),
    _("The example does not fit it at %(place)s: %(sentence)s"),
    _("The schema has a number that is too long."),
    _("The schema is not JSON."),
    _("The schema is too large to be checked."),
    _("A schema is a JSON object."),
    _("The schema is nested deeper than %(count)s levels."),
    _("The schema is not one of draft 2020-12, at %(place)s: %(sentence)s"),
    _("The keyword '%(name)s' is not supported here."),
    _("A schema has at most %(count)s patterns."),
    _("The schema refers to itself without end."),
)

_EVENTS: Final = (
    _("The payload has %(bytes)s bytes as compact JSON; at most %(most)s are allowed."),
    _("The payload is not valid UTF-8."),
    _("The payload is not valid JSON: %(error)s (%(place)s)."),
    _("The payload contains a NUL character (\\u0000)."),
    _("The key %(name)s occurs twice in one object."),
    _("The payload contains NaN or an infinity."),
    _("The payload contains half of a surrogate pair."),
    _("The payload is nested deeper than %(count)s levels."),
    _("Its example: %(sentence)s"),
    _("The schema of '%(name)s' takes too long to check this data."),
    _("The data does not fit the schema of '%(name)s'."),
    _("The project's catalogue has no event type '%(name)s'."),
    _("The event type '%(name)s' is archived: it is no longer published."),
    _(
        "The data must be a JSON object: a subscription to '%(name)s' uses the '%(wire_format)s' "
        "wire format."
    ),
)

_KEYS: Final = (
    _("The project has %(count)s live keys, which is all that it may have."),
    _("A key's name is up to %(count)s printable characters."),
    _("A key needs a scope."),
    _("This time is past; a key is ended by revoking it."),
)

_WORK: Final = (
    _("The subscription is inactive: reactivate it first."),
    _("The event is no longer kept: there is nothing to send."),
    _("The delivery is on its way: wait until it has ended."),
    _(
        "%(count)s recoveries of the project are under way: wait until one has ended, or cancel "
        "one."
    ),
    _("Too many requests that take long: try again in %(seconds)s s."),
    _("Finding these took too long: narrow it, by `since` and `until` where the list has them."),
    _("This is not a cursor of this list."),
    _("It met an error of ours; tell the operator."),
    _("The subscription was deleted."),
    _(
        "The subscription was switched off: reactivate it, and ask for another recovery. What was "
        "sent again stays."
    ),
)

_ATTEMPTS: Final = (
    _("The receiver answered with status %(code)s."),
    _("The connection could not be established."),
    _("The receiver closed the connection without an answer."),
    _("The receiver closed a kept-alive connection instead of answering."),
    _("The connection broke off before the answer was complete."),
    _("The connection was closed in the middle of the answer's headers."),
    _("The answer could not be understood as HTTP/1.1 or HTTP/2."),
    _("The answer's headers are longer than 16 KiB."),
    _("The TLS certificate could not be verified."),
    _("The TLS certificate is for another host name."),
    _("The TLS certificate is not valid yet."),
    _("The TLS certificate has expired."),
    _("The TLS certificate is self-signed, not issued by a public authority."),
    _("The TLS certificate's authority is not a public one."),
    _("The TLS certificate's authority is unknown, or an intermediate certificate is missing."),
    _("The TLS certificate was revoked."),
    _("The connection was refused: nothing listens on the URL's port."),
    _("The receiver reset the connection before it was established."),
    _("The receiver's machine is unreachable."),
    _("There is no route to the receiver's network."),
    _("The host name does not exist."),
    _("The host name has no IPv4 or IPv6 address."),
    _("The host name has too many addresses."),
    _("The name servers of the host name answered with an error."),
    _("The host name could not be resolved in time."),
    _("The sending machine could not resolve any host name; this is not your fault."),
)

SENTENCES: Final = (
    *_URLS, *_SUBSCRIPTIONS, *_EVENT_TYPES, *_EVENTS, *_KEYS, *_WORK, *_ATTEMPTS,
)  # fmt: skip
"""As the rules say them, with names where they put a value."""

PLACE: Final = re.compile(r"%\((\w+)\)s")
"""Where a value stands; no other percent sign means anything here."""


def in_page_language(sentence: str) -> str:
    """Translate a rule's sentence; what is not known stays as it is."""
    for known, pattern in _patterns():
        if match := pattern.fullmatch(sentence):
            values = match.groupdict()
            if "sentence" in values:
                values["sentence"] = in_page_language(values["sentence"])
            return PLACE.sub(lambda place: values[place[1]], gettext(known))  # noqa: B023  # used at once
    return sentence


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((known, re.compile("".join(_parts(known)), re.DOTALL)) for known in SENTENCES)


def _parts(known: str) -> Iterator[str]:
    """Yield a regular expression: PLACE.split gives text and names in turn."""
    for position, part in enumerate(PLACE.split(known)):
        yield f"(?P<{part}>.+?)" if position % 2 else re.escape(part)
