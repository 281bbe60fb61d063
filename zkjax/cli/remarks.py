"""Remarks of a circuit for people: rounded numbers, one line where leaves differ by what was rounded alone.

What was said exactly stands in the circuit: `--json` and `zkjax inspect --circuit` give it word for word. The text
comes from whoever made the statement, and may be anything: what does not look like a remark of zkjax stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import takewhile

DIGITS = 4
LONG_FRACTION = 11
LONG_LIST = 6
OF_THE_STEP = ("in the training step ", "exactly ", "the constant ")
ABOUT_ONE_LEAF = ("data ", "counter ", "public ")
_FRACTION = re.compile(r"(?<![\w./^-])(-?\d{1,400})/(2\^\d{1,4}|\d{1,400})(?![\w/^])", re.ASCII)
_LIST = re.compile(r"\[(-?\d{1,30}(?:, -?\d{1,30})*)\](.{0,60}?), in units of 2\^-(\d{1,4})(?!\d)", re.ASCII)
_NUMBER = re.compile(
    r"\[[^\[\]]*\]"  # a list is no number
    r"|(?<![\w./^-])(-?\d{1,30}(?:/(?:2\^\d{1,4}|\d{1,30})|(?:\.\d{1,30})?(?:e[+-]?\d{1,3})?))(?![\w/^.])",
    re.ASCII,
)
_TAKEN = re.compile(r"(takes over \S{1,100} of )(\S{1,1000})( from before the block)")


@dataclass
class _Group:
    """Remarks that differ in `numbers` alone: `between` are the words around them, `names` their leaves."""

    between: list[str]
    numbers: list[list[str]] = field(default_factory=list)
    names: dict[str, None] = field(default_factory=dict)


def condensed(remarks: Iterable[str]) -> list[str]:
    """Fewer and shorter lines that say the same to `DIGITS` digits, in the order of the first of each."""
    groups: dict[tuple[str, ...], _Group] = {}
    for remark in remarks:
        head, colon, tail = remark.rpartition(": ")
        if not colon or remark.startswith(ABOUT_ONE_LEAF):
            groups.setdefault((remark,), _Group([_rounded(remark)]))
            continue
        names = tail.split(", ")
        between, numbers = _parted(_rounded(_relative(head, names)))
        group = groups.setdefault(tuple(between), _Group(between))
        group.numbers.append(numbers)
        group.names |= dict.fromkeys(names)
    return [_line(group) for group in groups.values()]


def _line(group: _Group) -> str:
    if not group.names:
        return group.between[0]
    columns = [_range(column) for column in zip(*group.numbers, strict=True)]
    text = "".join(word + number for word, number in zip(group.between, [*columns, ""], strict=True))
    return f"{text}: {_together(list(group.names))}"


def _rounded(text: str) -> str:
    """Long fractions in decimals; filters in decimals, not in units."""
    return _FRACTION.sub(_shorter, _LIST.sub(_in_ones, text))


def _shorter(found: re.Match[str]) -> str:
    if len(found[0]) < LONG_FRACTION or (value := _value(found[0])) is None:
        return found[0]
    return _decimal(value) or found[0]


def _in_ones(found: re.Match[str]) -> str:
    values = [_decimal(Fraction(int(integer), 1 << int(found[3]))) for integer in found[1].split(", ")]
    shown = values if len(values) <= LONG_LIST else [*values[: LONG_LIST - 2], "...", values[-1]]
    return f"[{', '.join(shown)}]{found[2]}"


def _decimal(value: Fraction) -> str:
    try:
        return f"{float(value):.{DIGITS}g}"
    except OverflowError:
        return ""


def _value(text: str) -> Fraction | None:
    """The number that `text` says; None of a division by zero."""
    above, slash, below = text.partition("/")
    power = below.removeprefix("2^")
    divisor = 1 if not slash else int(power) if power == below else 1 << int(power)
    return Fraction(above) / divisor if divisor else None


def _relative(head: str, names: Sequence[str]) -> str:
    """'takes over ... of opt/trace/*' for a leaf that ends as the one it is taken up by does."""
    found = _TAKEN.search(head)
    if found is None or len(names) != 1:
        return head
    theirs, own = found[2].split("/"), names[0].split("/")
    alike = 0
    while alike < min(len(theirs), len(own)) - 1 and theirs[-1 - alike] == own[-1 - alike]:
        alike += 1
    if not alike:
        return head
    return f"{head[: found.end(1)]}{'/'.join(theirs[:-alike])}/*{head[found.end(2) :]}"


def _parted(text: str) -> tuple[list[str], list[str]]:
    """(the words around the numbers, the numbers); what the training step has, by which leaves differ, is words."""
    words, numbers, end = [""], [], 0
    for found in _NUMBER.finditer(text):
        words[-1] += text[end : found.start()]
        end = found.end()
        if found[1] is None or _value(found[1]) is None or words[-1].endswith(OF_THE_STEP):
            words[-1] += found[0]
        else:
            numbers.append(found[1])
            words.append("")
    words[-1] += text[end:]
    return words, numbers


def _range(column: Sequence[str]) -> str:
    """The one number, or the least and the largest."""
    ordered = sorted(set(column), key=lambda text: _value(text) or Fraction(0))
    return ordered[0] if len(ordered) == 1 else f"{ordered[0]} to {ordered[-1]}"


def _together(names: Sequence[str]) -> str:
    """params/{a/bias, a/kernel}"""
    parts = [name.split("/") for name in names]
    heads = takewhile(lambda column: len(set(column)) == 1, zip(*(part[:-1] for part in parts), strict=False))
    common = sum(1 for _ in heads)
    if len(names) == 1 or not common:
        return ", ".join(names)
    inner = ", ".join("/".join(part[common:]) for part in parts)
    return f"{'/'.join(parts[0][:common])}/{{{inner}}}"
