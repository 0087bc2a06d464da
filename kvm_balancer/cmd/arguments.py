"""Arguments that several commands take, and the form they must have."""

import argparse
import collections.abc
import datetime
import math

#: How many of what there may be any number of are listed.
LISTED = 20


def whole_number(
    least: int, most: int
) -> collections.abc.Callable[[str], int]:
    """Make a type of argument: a whole number within bounds."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(
                f'{text!r} is not a whole number from {least} to {most}'
            )
        return value

    return parse


def share(text: str) -> float:
    """Parse a share of 1, above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a number above 0 and up to 1'
        )
    return value


def amount(text: str) -> float:
    """Parse a finite number, 0 or more."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a finite number of 0 or more'
        )
    return value


def size(text: str) -> float:
    """Parse a finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a finite number above 0'
        )
    return value


def span(least: float, most: float) -> collections.abc.Callable[[str], float]:
    """Make a type of argument: a number within bounds."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(
                f'{text!r} is not a number from {least:g} to {most:g}'
            )
        return value

    return parse


def moment(text: str) -> float:
    """Parse a time, of UTC unless it says otherwise.

    :returns: seconds since the epoch
    """
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a time such as 2026-12-05 or "2026-12-05 22:30"'
        ) from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=datetime.UTC)
    return found.timestamp()


def factor(most: float) -> collections.abc.Callable[[str], float]:
    """Make a type of argument: a number from 1 up to *most*."""
    return span(1.0, most)


def add_limit(
    parser: argparse.ArgumentParser, what: str, otherwise: str = ''
) -> None:
    """Add ``--limit``.

    :param otherwise: where the default is another one, in words: its value is
        None then; empty for nowhere
    """
    told = f'{LISTED}; {otherwise}' if otherwise else f'{LISTED}'
    parser.add_argument(
        '--limit',
        type=whole_number(1, 100000),
        default=None if otherwise else LISTED,
        metavar='N',
        help=f'List at most so many {what} (default: {told}).',
    )
