"""Says what to do after each status code that is no success. Used by `words`; a table."""

from __future__ import annotations

from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

_MOVED: Final = _(
    "Redirects are not followed. Set the subscription’s URL to the one in the response’s Location "
    "header."
)
_LED_AWAY: Final = _(
    "Redirects are not followed. Often this leads to a sign-in page: let the URL accept requests "
    "without signing in, or set the subscription’s URL to the final one."
)
_SIGNATURE: Final = _(
    "This is usually a failed signature check. Compare what your server computes with the "
    "signature debugger, and check that it has this subscription’s signing secret."
)
_BAD_CONTENT: Final = _(
    "Your server did not accept the content. Check that it expects this subscription’s wire "
    "format; its response may say more."
)
_GATEWAY: Final = _(
    "The proxy or load balancer in front of your server got no usable answer from it. Check that "
    "the application runs and answers in time."
)

_ADVICE_ON_STATUS: Final[dict[int, Promise]] = {
    301: _MOVED,
    308: _MOVED,
    302: _LED_AWAY,
    303: _LED_AWAY,
    307: _LED_AWAY,
    304: _("A POST cannot be answered so. Check for a cache in front of your server."),
    400: _BAD_CONTENT,
    401: _SIGNATURE,
    403: _(
        "This is usually a failed signature check, a firewall, or protection against forged forms "
        "(CSRF), which has to be off for this URL. Compare with the signature debugger."
    ),
    404: _(
        "Nothing answers at this path. Check the subscription’s URL for a typing error, and that "
        "your server’s route is deployed."
    ),
    405: _("The path exists, but does not take POST requests. Check the method of its route."),
    406: _("Your server does not answer in the way that was asked for. It may ignore Accept."),
    408: _(
        "Your server or a proxy in front of it did not wait for the request. Check its timeouts "
        "and its load."
    ),
    409: _(
        "Your server says that this conflicts with what it has. If it has seen the event before, "
        "it should answer with 200."
    ),
    410: _(
        "410 says that nobody wants these requests any more, so the subscription is deactivated "
        "at once. If that was not meant, answer differently, and reactivate it."
    ),
    411: _(
        "A proxy did not understand the request’s length. Check what is in front of the server."
    ),
    413: _("The event is larger than your server accepts. Raise its limit for request bodies."),
    415: _(
        "Your server does not accept this type of content. Let it read application/json, or check "
        "the subscription’s wire format."
    ),
    422: _BAD_CONTENT,
    425: _("Your server did not want the request this early. Add a retry schedule."),
    429: _(
        "Your server asks for fewer requests. Give the subscription a retry schedule, which "
        "respects Retry-After, or raise the limit for these requests."
    ),
    500: _("Your application raised an error. Look into its log at the time of this attempt."),
    501: _("Your server does not take such requests at this URL. Check its route and method."),
    502: _GATEWAY,
    503: _(
        "Your server was overloaded or down for maintenance. A retry schedule carries deliveries "
        "over such times."
    ),
    504: _GATEWAY,
    **dict.fromkeys(range(520, 528), _GATEWAY),  # what a well-known network of proxies answers
}

_ADVICE_ON_CLASS: Final[dict[int, Promise]] = {
    3: _LED_AWAY,
    4: _(
        "Your server did not accept the request. Its response, and its log at the time of this "
        "attempt, may say why."
    ),
    5: _("Your server failed. Look into its log at the time of this attempt."),
}


def advice_on_status(status_code: int) -> Promise:
    """Return the next step after an answer that was no success."""
    unknown = _("Only a status from 200 to 299 counts as success. Answer with 200 or 204.")
    of_class = _ADVICE_ON_CLASS.get(status_code // 100, unknown)
    return _ADVICE_ON_STATUS.get(status_code, of_class)
