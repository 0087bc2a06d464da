"""What Prometheus knows of hosts and instances, asked by PromQL.

Each figure has a query of its own that answers with one value for each host
or instance, and a label that names it. The defaults fit node_exporter and the
common libvirt exporters; whoever has others says so.
"""

import collections.abc
import dataclasses
import math
from typing import Any
from typing import Self

from oslo_config import cfg
import requests

from kvm_balancer import errors
from kvm_balancer.metrics import base

_MIB = 1024.0 * 1024.0


@dataclasses.dataclass(frozen=True, slots=True)
class Params:
    """Where Prometheus is, and what it is asked.

    :ivar host_label: label that names the host; a port after it is cut off
    :ivar instance_label: label with the uuid of the instance
    """

    url: str
    timeout_seconds: float = 10.0
    host_label: str = 'instance'
    instance_label: str = 'uuid'
    host_cpu_query: str = ''
    host_memory_query: str = ''
    instance_cpu_query: str = ''
    instance_memory_query: str = ''
    certificate: str | bool = True
    token: str = ''


class Prometheus(base.MetricSource):
    """Asks one Prometheus."""

    name = 'prometheus'

    def __init__(self, params: Params) -> None:
        self._params = params
        self._session = requests.Session()
        self._session.verify = params.certificate
        if params.token:
            self._session.headers['Authorization'] = f'Bearer {params.token}'

    @classmethod
    def from_conf(cls, conf: cfg.ConfigOpts) -> Self:
        group = conf.prometheus
        if not group.url.startswith(('http://', 'https://')):
            raise errors.ConfigurationError(
                f'[prometheus] url is {group.url!r}: it has to be that of a '
                'Prometheus, such as https://prometheus.example.com:9090'
            )
        return cls(
            Params(
                url=group.url.rstrip('/'),
                timeout_seconds=group.timeout_seconds,
                host_label=group.host_label,
                instance_label=group.instance_label,
                host_cpu_query=group.host_cpu_query,
                host_memory_query=group.host_memory_query,
                instance_cpu_query=group.instance_cpu_query,
                instance_memory_query=group.instance_memory_query,
                certificate=group.cafile or True,
                token=group.token,
            )
        )

    def read(self, now: float) -> base.Figures:
        params = self._params
        shares = _by_host(
            self._ask(params.host_cpu_query, params.host_label, now)
        )
        free = _by_host(
            self._ask(params.host_memory_query, params.host_label, now)
        )
        cores = self._ask(
            params.instance_cpu_query, params.instance_label, now
        )
        used = self._ask(
            params.instance_memory_query, params.instance_label, now
        )
        return base.Figures(
            hosts={
                host: base.HostFigures(
                    _within(shares.get(host), 1.0), _mib(free.get(host))
                )
                for host in {*shares, *free}
            },
            instances={
                uid: base.InstanceFigures(cores.get(uid), _mib(used.get(uid)))
                for uid in {*cores, *used}
            },
        )

    def close(self) -> None:
        self._session.close()

    def _ask(self, query: str, label: str, now: float) -> dict[str, float]:
        """Return the values of a query by a label; none for no query."""
        if not query:
            return {}
        url = f'{self._params.url}/api/v1/query'
        try:
            answer = self._session.post(
                url,
                data={'query': query, 'time': f'{now:.3f}'},
                timeout=self._params.timeout_seconds,
            )
            document = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise errors.UnreachableError(
                f'Prometheus at {self._params.url} does not answer: '
                f'{" ".join(str(error).split())}'
            ) from error
        if not isinstance(document, dict) or (
            document.get('status') != 'success'
        ):
            said = document.get('error') if isinstance(document, dict) else ''
            raise errors.UnreachableError(
                f'Prometheus at {self._params.url} does not answer the query '
                f'{query!r}: {said or answer.status_code}'
            )
        return _values(document.get('data') or {}, label)


def _values(
    data: collections.abc.Mapping[str, Any], label: str
) -> dict[str, float]:
    """Read a vector; what is no number, or has no such label, is missing."""
    found: dict[str, float] = {}
    for row in data.get('result') or ():
        name = (row.get('metric') or {}).get(label)
        try:
            value = float(row['value'][1])
        except (KeyError, IndexError, TypeError, ValueError):
            continue
        if name and math.isfinite(value) and value >= 0.0:
            found[name] = value
    return found


def _host(name: str) -> str:
    """Cut the port of an exporter off, and leave a bare IPv6 address."""
    host, _, port = name.rpartition(':')
    return host.strip('[]') if host and port.isdecimal() else name


def _by_host(values: dict[str, float]) -> dict[str, float]:
    return {_host(name): value for name, value in values.items()}


def _mib(size: float | None) -> float | None:
    return None if size is None else size / _MIB


def _within(value: float | None, most: float) -> float | None:
    """Return a share; one that is none is missing."""
    return value if value is not None and value <= most else None
