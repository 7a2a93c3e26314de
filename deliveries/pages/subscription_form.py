"""The form of a subscription, for members: it shapes what is typed, and shows what is refused.

Nothing is judged here: `subscription_settings` does, and its errors go to their fields.
"""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.core.validators import MaxLengthValidator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from subscriptions.field_errors import FieldsRefused
from subscriptions.line_fields import Delays, HeaderLines, Lines, MetadataLines
from subscriptions.models import Subscription
from subscriptions.pages.changing_form import ChangingForm
from subscriptions.pages.refusal_words import in_page_language
from subscriptions.rest.preconditions import etag_of
from subscriptions.subscription_settings import Settings
from subscriptions.wire_formats import SIGNATURE_SCHEMES, WIRE_FORMATS, default_schemes

_FORMAT_WORDS: Final = {
    "standard": _("Standard Webhooks: type, timestamp and data. The usual choice."),
    "repsona": _("As Repsona sends: type and event."),
    "phrase": _("As Phrase sends: one flat object with event and message."),
    "stripe": _("The body of Standard Webhooks, signed as Stripe signs."),
    "github": _("The event’s data alone, with headers and signature as GitHub has them."),
    "raw": _("The event’s data alone, signed as Standard Webhooks."),
}

_MORE: Final = ("signature_schemes", "uses_default_secret", "secret", "custom_headers", "metadata")
"""What most subscriptions do not need, shown when it is asked for."""

_LINE_CHARACTERS: Final = 4096
_TEXT_CHARACTERS: Final = 16 * 1024
_METADATA_CHARACTERS: Final = 64 * 1024
"""Somewhat more than the longest that can be stored, and not much work to read."""

_ONLY_NEW: Final = ("secret", "is_active")
"""Afterwards the secret is rotated and the subscription switched, on its page."""


NO_DEFAULT_SECRET: Final = _("The project’s default secret cannot be chosen here.")


def _at_most(characters: int) -> MaxLengthValidator:
    """Refuse more before anything reads it; pasting is not cut, as an attribute would."""
    return MaxLengthValidator(characters, _("At most %(limit_value)d characters can be given."))


class SubscriptionForm(ChangingForm):
    """Everything that a customer may set; of one that exists, only what was changed is given on."""

    url = forms.CharField(
        validators=[_at_most(_LINE_CHARACTERS)],
        label=_("URL"),
        widget=forms.TextInput(
            attrs={"inputmode": "url", "autocomplete": "off", "spellcheck": "false",
                   "placeholder": "https://example.com/webhooks"}
        ),
        help_text=_("Where events are sent: a public address that takes POST requests."),
    )  # fmt: skip
    description = forms.CharField(
        validators=[_at_most(_LINE_CHARACTERS)],
        label=_("Description"),
        required=False,
        help_text=_("For people. May be left empty."),
    )
    event_types = Lines(
        validators=[_at_most(_TEXT_CHARACTERS)],
        label=_("Event types"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
        help_text=_("One in a line: a full name, a prefix such as Task.*, or * for everything."),
    )
    wire_format = forms.ChoiceField(
        label=_("Wire format"),
        initial="standard",
        choices=[(name, _FORMAT_WORDS.get(name, name)) for name in WIRE_FORMATS],
        widget=forms.RadioSelect,
    )
    repsona_fields = forms.BooleanField(
        label=_("Add model, modelId and action to the body"), required=False
    )
    signature_schemes = forms.MultipleChoiceField(
        label=_("Signature schemes"),
        required=False,
        choices=[(row.name, row.signature_header) for row in SIGNATURE_SCHEMES.values()],
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None chosen: the wire format’s own. Each adds its header."),
    )
    uses_default_secret = forms.BooleanField(
        label=_("Sign with the project’s default secret"),
        required=False,
        help_text=_("Otherwise the subscription has a signing secret of its own."),
    )
    secret = forms.CharField(
        validators=[_at_most(_LINE_CHARACTERS)],
        label=_("Own signing secret"),
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text=_("Leave it empty, and one is generated."),
    )
    custom_headers = HeaderLines(
        validators=[_at_most(_TEXT_CHARACTERS)],
        label=_("Custom headers"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text=_(
            "One in a line, such as X-Team: billing. Stored values are shown as … and their end; "
            "a line left like that keeps its value."
        ),
    )
    retry_schedule = Delays(
        validators=[_at_most(_LINE_CHARACTERS)],
        label=_("Retry schedule"),
        required=False,
        help_text=_(
            "Seconds before each retry, such as 5, 300, 1800. The word standard stands for 5 s, "
            "5 min, 30 min, 2 h, 5 h, 10 h, 10 h. Empty: a failure is final."
        ),
    )
    metadata = MetadataLines(
        validators=[_at_most(_METADATA_CHARACTERS)],
        label=_("Metadata"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text=_("Names and texts of your own, such as customer=4711, one in a line."),
    )
    is_active = forms.BooleanField(
        label=_("Send events from now on"),
        required=False,
        initial=True,
        help_text=_("Otherwise it begins paused. Tests can be sent all the same."),
    )

    def __init__(
        self,
        *args: Any,
        subscription: Subscription | None = None,
        may_use_default_secret: bool,
        **options: Any,
    ) -> None:
        self.subscription = subscription
        self.may_use_default_secret = may_use_default_secret
        if subscription is not None:
            options["initial"] = _initial_of(subscription)
        super().__init__(*args, **options | {"label_suffix": ""})
        is_used = subscription is not None and subscription.uses_default_secret
        if not (may_use_default_secret or is_used):
            del self.fields["uses_default_secret"]
        if subscription is not None:
            for name in _ONLY_NEW:
                del self.fields[name]
            self.begin(tag_of(subscription))

    @property
    def has_more(self) -> bool:
        """Say whether there is something among the settings that are seldom needed."""
        return any(self[name].value() or self[name].errors for name in _MORE if name in self.fields)

    @property
    def is_default_secret_refused(self) -> bool:
        """Say whether the project's default secret is asked for by who may not have it."""
        return "uses_default_secret" in self.data and "uses_default_secret" not in self.fields

    def clean(self) -> dict[str, Any]:
        """Refuse what would let a portal's visitor have something signed as the provider's."""
        if self.is_default_secret_refused:
            self.add_error(None, NO_DEFAULT_SECRET)
        stays = self.cleaned_data.get("uses_default_secret")
        if stays and not self.may_use_default_secret and "url" in self.changed_data:
            self.add_error(
                "url",
                _("The project’s default secret signs these requests: the URL stays as it is."),
            )
        return super().clean()

    def settings(self) -> Settings:
        """Return what was set, for the use cases; after `is_valid`."""
        names = self.fields if self.subscription is None else self.changed_data
        chosen = {name: self.cleaned_data[name] for name in names}
        for name in ("signature_schemes", "secret"):
            if name in chosen:
                chosen[name] = chosen[name] or None
        if self.cleaned_data["wire_format"] != "repsona":
            chosen.pop("repsona_fields", None)  # it is not shown then
        settings: Settings = chosen  # type: ignore[assignment]  # the fields have these names
        return settings

    def show(self, refusal: FieldsRefused) -> None:
        """Put what the use case refused to the fields."""
        for error in refusal.errors:
            name, _dot, entry = error.field.partition(".")
            is_named = bool(entry) and not entry.isdigit()  # a sentence shows an entry of a list
            sentence = in_page_language(error.message)
            if is_named:
                sentence = _of_entry(entry, sentence)
            self.add_error(name if name in self.fields else None, sentence)


def tag_of(subscription: Subscription) -> str:
    """Return what tells that the subscription is still the one that was shown."""
    return etag_of(subscription.updated_at)


def _of_entry(entry: str, sentence: str) -> str:
    return gettext("“%(name)s”: %(sentence)s") % {"name": entry, "sentence": sentence}


def _initial_of(subscription: Subscription) -> dict[str, Any]:
    schemes = subscription.signature_schemes
    are_usual = schemes == list(default_schemes(subscription.wire_format))
    return {
        "url": subscription.url,
        "description": subscription.description,
        "event_types": subscription.event_types,
        "wire_format": subscription.wire_format,
        "repsona_fields": subscription.repsona_fields,
        "signature_schemes": [] if are_usual else schemes,
        "uses_default_secret": subscription.uses_default_secret,
        "custom_headers": subscription.custom_headers,
        "retry_schedule": subscription.retry_schedule,
        "metadata": subscription.metadata,
    }
