"""What Nova's computes tell of themselves, in ``metrics.update``.

Computes send it where Nova's ``compute_monitors`` names ``cpu.virt_driver``.
It is the CPU of whole hosts and nothing else: instances are not in it.
"""

import threading
from typing import Self

from oslo_config import cfg

from kvm_balancer.messages import nova_notifications
from kvm_balancer.metrics import base


class NovaMetrics(base.MetricSource):
    """Keeps the last metrics of every host.

    :param max_age_seconds: older ones are as good as none
    """

    name = 'nova'

    def __init__(self, max_age_seconds: float = 180.0) -> None:
        self._max_age_seconds = max_age_seconds
        self._lock = threading.Lock()
        self._told: dict[str, nova_notifications.HostMetrics] = {}

    @classmethod
    def from_conf(cls, conf: cfg.ConfigOpts) -> Self:
        return cls(conf.metrics.max_age_seconds)

    def take(self, news: nova_notifications.News) -> None:
        if not isinstance(news, nova_notifications.HostMetrics):
            return
        with self._lock:
            before = self._told.get(news.host)
            # Both formats tell the same, and neither comes in order.
            if before is None or news.at >= before.at:
                self._told[news.host] = news

    def read(self, now: float) -> base.Figures:
        with self._lock:
            told = list(self._told.values())
        return base.Figures(
            hosts={
                one.host: base.HostFigures(cpu_share=one.cpu_share)
                for one in told
                if now - one.at <= self._max_age_seconds
            }
        )
