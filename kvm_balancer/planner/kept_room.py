"""Room that is kept on hosts for what others run, should they fail.

One host fails at a time: what is kept on a host is as much as the one of the
others needs there that needs most.
"""

import collections
import collections.abc

import numpy as np

from kvm_balancer.model import fleet as columns

#: sums of floats are compared with this slack, in MiB, vCPUs and GiB
_SLACK = 1e-6
_NOTHING = np.zeros(3)


class KeptRoom:
    """What each host would send to which other one.

    :ivar most: what is kept on each host, shape ``(3, hosts)``
    """

    def __init__(self, hosts: int) -> None:
        self.most: columns.Floats = np.zeros((3, hosts))
        #: by the host that it would come to, and the one that it is from
        self._at: list[dict[int, columns.Floats]] = [{} for _ in range(hosts)]
        #: the hosts that each would send something to
        self._sends: list[set[int]] = [set() for _ in range(hosts)]

    def send_all(
        self, homes: columns.Ints, there: columns.Ints, need: columns.Floats
    ) -> None:
        """Keep room for many instances.

        :param homes: the host of each
        :param there: the host that it would go to
        :param need: what it needs there, shape ``(3, instances)``
        """
        sent: dict[tuple[int, int], list[int]] = collections.defaultdict(list)
        pairs = zip(homes.tolist(), there.tolist(), strict=True)
        for place, pair in enumerate(pairs):
            sent[pair].append(place)
        for (home, other), places in sent.items():
            self.send(home, other, need[:, places].sum(axis=1))

    def send(self, home: int, there: int, need: columns.Floats) -> None:
        """Keep so much more on a host for what *home* would send."""
        at = self._at[there]
        at[home] = at.get(home, 0.0) + need
        self._sends[home].add(there)
        self.most[:, there] = np.maximum(self.most[:, there], at[home])

    def release(self, home: int, there: int, need: columns.Floats) -> None:
        """Keep so much less on a host for what *home* would send."""
        at = self._at[there]
        before = at.pop(home)
        left = before - need
        if (left > _SLACK).any():
            at[home] = left
        else:
            self._sends[home].discard(there)
        if (before >= self.most[:, there]).any():
            most = np.max([*at.values()], axis=0) if at else 0.0
            self.most[:, there] = most

    def of(self, home: int, there: int) -> columns.Floats:
        """Return what *home* would send to another host, shape ``(3,)``."""
        return self._at[there].get(home, _NOTHING)

    def without(
        self, home: int, there: int, need: columns.Floats
    ) -> columns.Floats:
        """Return what would be kept on a host if *home* sent so much less."""
        kept = dict(self._at[there])
        kept[home] = kept[home] - need
        most: columns.Floats = np.max([*kept.values()], axis=0)
        return most

    def over(self, there: int, room: columns.Floats) -> list[int]:
        """Return the hosts that would send more to another than *room*."""
        return [
            home
            for home, sent in self._at[there].items()
            if (sent > room).any()
        ]

    def sent(
        self, home: int
    ) -> collections.abc.Iterator[tuple[int, columns.Floats]]:
        """Go through the hosts that *home* would send to, and how much."""
        for there in self._sends[home]:
            yield there, self._at[there][home]
