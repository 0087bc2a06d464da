"""When to act: a level above a threshold, for long enough.

Three states. *Content*: the level is at or under the start threshold.
*Alarmed*: it has been above it since some moment, and not yet for the hold
time. *Acting*: it has, and it has not come down to the stop threshold since.
A level that dips under the start threshold while alarmed starts over, so a
burst moves nothing; one that is between the two thresholds while acting
goes on acting, so a policy does not stop half-way and start again.
"""

import dataclasses
import enum

from kvm_balancer.policies import base


class Mood(enum.StrEnum):
    """What a policy thinks of the fleet."""

    CONTENT = 'content'
    ALARMED = 'alarmed'
    ACTING = 'acting'


@dataclasses.dataclass(frozen=True, slots=True)
class Hysteresis:
    """Where a policy stands.

    :ivar since: when the mood began, in seconds since the epoch
    """

    mood: Mood = Mood.CONTENT
    since: float = 0.0

    @property
    def acting(self) -> bool:
        """True when plans are to be made."""
        return self.mood is Mood.ACTING


def step(
    before: Hysteresis,
    trigger: base.Trigger,
    now: float,
    hold_seconds: float,
) -> Hysteresis:
    """Return where a policy stands after a look at *trigger*.

    :param now: seconds since the epoch; a clock that was set back starts
        the hold time over
    :param hold_seconds: how long the level must be above the start
        threshold
    """
    if before.acting:
        if trigger.level <= trigger.stop:
            return Hysteresis(Mood.CONTENT, now)
        return before
    if trigger.level <= trigger.start:
        if before.mood is Mood.CONTENT:
            return before
        return Hysteresis(Mood.CONTENT, now)
    alarmed = before.mood is Mood.ALARMED and before.since <= now
    since = before.since if alarmed else now
    if now - since >= hold_seconds:
        return Hysteresis(Mood.ACTING, now)
    return Hysteresis(Mood.ALARMED, since)
