"""Reads JSON for a schema to judge: numbers exactly, and nothing that is long when it is shown.

Called by `json_schema`, for schemas and for what they judge. The library puts what it refuses into
its sentences, so texts, arrays and objects tell themselves in a few words. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal, InvalidOperation
from typing import Any, Final, NoReturn

_SHOWN_CHARACTERS: Final = 60
_SHOWN_ENTRIES: Final = 12

_INT_DIGITS: Final = 300
"""Longer integers are decimals: these have no limit, and no cost that grows with the square."""

_COMPUTED_DIGITS: Final = 1000
"""Longer numbers are compared, never divided."""


_DIGITS_PER_STEP: Final = 1024

_EXACT: Final = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)

Spend = Callable[[int], None]
"""Takes steps of work, before they are done."""


class NumberTooLong(ValueError):
    """A number is beyond what can be computed with."""


class NotJson(ValueError):
    """A text is not JSON."""


class _Text(str):
    """A text too long to be shown."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(f"{self[:_SHOWN_CHARACTERS]}…")


class _Number(Decimal):
    """A number with its own digits."""

    __slots__ = ()

    def __repr__(self) -> str:
        digits = str(self)
        return digits if len(digits) <= _SHOWN_CHARACTERS else f"{digits[:_SHOWN_CHARACTERS]}…"


class _LongNumber(_Number):
    """A number that takes a while even to be looked at."""

    __slots__ = ("shown", "steps")
    shown: str
    steps: int

    def __new__(cls, text: str) -> _LongNumber:
        number = super().__new__(cls, text)
        number.shown = f"{text[:_SHOWN_CHARACTERS]}…"
        number.steps = len(text) // _DIGITS_PER_STEP
        return number

    def __repr__(self) -> str:
        return self.shown


class _Array(list[Any]):
    """An array that shows its first plain entries."""

    __slots__ = ()

    def __repr__(self) -> str:
        if not _is_plain(self):  # asked first: what is nested is never looked through
            return "the array"
        shown = [repr(entry) for entry in self[:_SHOWN_ENTRIES]]
        more = ["…"] if len(self) > _SHOWN_ENTRIES else []
        return f"[{', '.join([*shown, *more])}]"


class _Object(dict[str, Any]):
    """An object that shows nothing."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "the object"


def read_exactly(text: str) -> Any:
    """Return the value of a JSON text; raises `NotJson` or `NumberTooLong`."""
    try:
        return _wrapped(_DECODER.decode(text))
    except json.JSONDecodeError:
        raise NotJson from None
    except InvalidOperation:  # an exponent of twenty digits
        raise NumberTooLong from None


def steps_to_look_at(value: object) -> int:
    """Return what a keyword spends more for a value that is very long."""
    return value.steps if type(value) is _LongNumber else 0


def is_integral(value: object) -> bool:
    """Tell whether this is a number without a fraction: 1.0 is one (2020-12, validation 6.1.1)."""
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (
        isinstance(value, Decimal) and value == value.to_integral_value()
    )


def is_multiple(number: int | Decimal, divisor: int | Decimal, spend: Spend) -> bool:
    """Tell whether a number is a whole multiple, exactly; raises `NumberTooLong`."""
    digits, exponent = _parts_of(number)
    divisor_digits, divisor_exponent = _parts_of(divisor)
    bits, divisor_bits = digits.bit_length(), divisor_digits.bit_length()
    spend((bits >> 6) + (divisor_bits >> 6) + (divisor_bits * divisor_bits >> 14))
    shift = exponent - divisor_exponent
    if digits == 0:
        return True
    if shift >= 0:  # 10 to the power of a billion is not computed to find a remainder
        return digits * pow(10, shift, divisor_digits) % divisor_digits == 0
    return -shift <= _COMPUTED_DIGITS and digits % (divisor_digits * 10**-shift) == 0


def are_unique(entries: list[Any], spend: Spend) -> bool:
    """Tell whether no two entries are the same JSON value; a step for each value within."""
    return len({_identity(entry, spend) for entry in entries}) == len(entries)


def are_equal(one: Any, other: Any, spend: Spend) -> bool:
    """Tell whether these are the same JSON value; a step for each value within arrays, objects."""
    if isinstance(one, list):
        if not isinstance(other, list) or len(one) != len(other):
            return False
        spend(1 + len(one))
        return all(are_equal(*pair, spend) for pair in zip(one, other, strict=True))
    if isinstance(one, dict):
        if not isinstance(other, dict) or len(one) != len(other):
            return False
        spend(1 + len(one))
        return one.keys() == other.keys() and all(
            are_equal(member, other[name], spend) for name, member in one.items()
        )
    if isinstance(one, bool) or isinstance(other, bool):  # 1 is not true
        return one is other
    return bool(one == other)


def _wrapped(value: Any) -> Any:
    match value:
        case dict():
            return _Object((_wrapped(name), _wrapped(member)) for name, member in value.items())
        case list():
            return _Array(_wrapped(entry) for entry in value)
        case str() if len(value) > _SHOWN_CHARACTERS:
            return _Text(value)
    return value


def _is_plain(entries: list[Any]) -> bool:
    return not any(isinstance(entry, list | dict) for entry in entries[:_SHOWN_ENTRIES])


def _integer(digits: str) -> int | Decimal:
    return int(digits) if len(digits) <= _INT_DIGITS else _number(digits)


def _number(text: str) -> Decimal:
    return _Number(text) if len(text) <= _COMPUTED_DIGITS else _LongNumber(text)


def _no_number(_name: str) -> NoReturn:
    """Refuse NaN and Infinity, which Python would read."""
    raise NotJson


def _parts_of(number: int | Decimal) -> tuple[int, int]:
    """Return coefficient, without its sign, and power of ten."""
    if isinstance(number, int):
        return abs(number), 0
    _, digits, exponent = number.as_tuple()
    if len(digits) > _COMPUTED_DIGITS or not isinstance(exponent, int):
        raise NumberTooLong
    return int("".join(map(str, digits))), exponent


def _identity(value: Any, spend: Spend) -> object:
    """Return something hashable that equal JSON values share.

    Numbers become text: whoever sends many could choose them so that their own hashes collide.
    """
    spend(1 + steps_to_look_at(value))
    match value:
        case bool() | None:
            return value
        case int() | Decimal():
            return ("number", str(_EXACT.normalize(Decimal(value))) if value else "0")
        case list():
            return ("array", *(_identity(entry, spend) for entry in value))
        case dict():
            return frozenset((name, _identity(member, spend)) for name, member in value.items())
    return value


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_number, parse_constant=_no_number)
