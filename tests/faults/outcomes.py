"""What is told on the bus of how migrations ended."""

import collections
import threading

from kvm_balancer.messages import migration as messages


class Outcomes:
    """What was told on the bus, by migration, in its order."""

    def __init__(self):
        self._told = collections.defaultdict(list)
        self._news = threading.Condition()

    def take(self, payload):
        ended = messages.decode_outcome(payload)
        with self._news:
            self._told[ended.migration_id].append(ended)
            self._news.notify_all()

    def of(self, migration_id):
        with self._news:
            return list(self._told[migration_id])
