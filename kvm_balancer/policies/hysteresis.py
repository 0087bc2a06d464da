"""When to act: a level above a threshold, for long enough.

Three states. *Content*: the level is at or under the start threshold.
*Alarmed*: it has been above it since some moment, and not yet for the hold
time. *Acting*: it has, and it has not come down to the stop threshold since.
A level that dips under the start threshold while alarmed starts over, so a
burst moves nothing; one that is between the two thresholds while acting
goes on acting, so a policy does not stop half-way and start again.

Where hosts are judged one by one, each waits for itself, from when it came
near the threshold: one that has been loaded all along is over it with good
reason, while a burst comes from further below. So the wait is over sooner for
those, and no host that waits makes another one's burst count.

A level is an average, which rises late and remembers a burst for a while
after it. Where every single reading of so long was over the threshold,
there has been no burst: such a host waits for a part of the time only.
"""

import collections.abc
import dataclasses
import enum

from kvm_balancer.policies import base

#: Part of the hold time that a host waits which all readings show over the
#: threshold. What the rest of it is for: for the average to forget a burst.
_LASTING_SHARE = 2.0 / 3.0


class Mood(enum.StrEnum):
    """What a policy thinks of the fleet."""

    CONTENT = 'content'
    ALARMED = 'alarmed'
    ACTING = 'acting'


@dataclasses.dataclass(frozen=True, slots=True)
class Hysteresis:
    """Where a policy stands.

    :ivar since: when the mood began, in seconds since the epoch
    :ivar waits: since when each host has been near the threshold, by name
    :ivar lasts: since when all its readings have been over it, by name
    """

    mood: Mood = Mood.CONTENT
    since: float = 0.0
    waits: collections.abc.Mapping[str, float] = dataclasses.field(
        default_factory=dict
    )
    lasts: collections.abc.Mapping[str, float] = dataclasses.field(
        default_factory=dict
    )

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
    waits = _since(before.waits, trigger.near or (), now)
    lasts = _since(before.lasts, trigger.lasting, now)
    mood, since = before.mood, before.since
    if before.acting and trigger.level > trigger.stop:
        return Hysteresis(mood, since, waits, lasts)
    if trigger.level <= trigger.start:
        if mood is not Mood.CONTENT:
            mood, since = Mood.CONTENT, now
        return Hysteresis(mood, since, waits, lasts)
    alarmed = mood is Mood.ALARMED and since <= now
    since = since if alarmed else now
    waited = now - since
    if trigger.near is not None:
        waited = max(
            now - waits[host]
            for host, level in trigger.near.items()
            if level > trigger.start
        )
    lasted = max(
        (now - lasts[host] + old for host, old in trigger.lasting.items()),
        default=0.0,
    )
    if waited >= hold_seconds or lasted >= _LASTING_SHARE * hold_seconds:
        return Hysteresis(Mood.ACTING, now, waits, lasts)
    return Hysteresis(Mood.ALARMED, since, waits, lasts)


def answered(before: Hysteresis, now: float) -> Hysteresis:
    """Return where a policy stands when a whole plan is carried out for it.

    What is above the threshold then has to last anew.
    """
    return dataclasses.replace(before, mood=Mood.CONTENT, since=now)


def _since(
    before: collections.abc.Mapping[str, float],
    hosts: collections.abc.Iterable[str],
    now: float,
) -> dict[str, float]:
    """Return since when *hosts* have been what they are."""
    return {host: min(now, before.get(host, now)) for host in hosts}
