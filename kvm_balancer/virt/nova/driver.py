"""The Nova driver: migrations of servers, wherever they are.

It stands beside the control plane and not on a host: it samples none, and
what it moves it finds by asking Nova.
"""

import dataclasses
import enum
from typing import Self

from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.migration import request
from kvm_balancer.model import owners
from kvm_balancer.virt import driver
from kvm_balancer.virt import steady
from kvm_balancer.virt.nova import api
from kvm_balancer.virt.nova import carrier
from kvm_balancer.virt.nova import session
from kvm_balancer.virt.nova import vigil


class ForceComplete(enum.StrEnum):
    """What Nova's ``force_complete`` does in this cloud, and may do here."""

    #: it is not used
    NEVER = 'never'
    #: the guest runs on at its destination
    POST_COPY = 'post-copy'
    #: the guest stands still until it is across
    PAUSE = 'pause'


@dataclasses.dataclass(frozen=True, slots=True)
class Params:
    """How Nova is used.

    :ivar poll_seconds: between two looks at a migration under way
    """

    force_complete: ForceComplete = ForceComplete.NEVER
    poll_seconds: float = 2.0
    limits: vigil.Limits = dataclasses.field(default_factory=vigil.Limits)


class NovaDriver(driver.Carriers):
    """Migrates servers by Nova's API."""

    def __init__(self, params: Params, nova: api.Api) -> None:
        self._params = params
        self.api = nova

    @classmethod
    def from_conf(cls, conf: cfg.ConfigOpts) -> Self:
        """Make the driver that the configuration describes.

        :raises ConfigurationError: when its options do not fit
        """
        group = conf.nova
        return cls(
            Params(
                ForceComplete(group.force_complete),
                group.poll_interval_seconds,
                vigil.Limits(
                    appear_seconds=group.appear_seconds,
                    quiet_seconds=group.stuck_seconds,
                ),
            ),
            api.Api(session.Cloud(conf)),
        )

    def connect(self) -> None:
        """Make sure that Nova answers, and is new enough.

        :raises CloudUnreachable: when it does not answer
        :raises CloudError: when it is too old
        """
        self.api.check()

    def owner(self, instance: str) -> owners.Owner:
        """Say whether *instance* (a uuid) is one of Nova's.

        :raises CloudUnreachable: when Nova does not answer
        """
        found = self.api.server(instance)
        return owners.Owner.NONE if found is None else owners.Owner.NOVA

    def carrier(
        self,
        wanted: request.Request,
        sink: driver.Sink,
        clock: steady.Clock | None = None,
    ) -> carrier.NovaCarrier:
        if wanted.source == wanted.destination:
            raise errors.MigrationError(
                f'{wanted.instance} is on {wanted.destination} already'
            )
        return carrier.NovaCarrier(
            wanted,
            sink,
            self.api,
            self._params.limits,
            self._params.poll_seconds,
            clock or steady.SteadyClock(),
            may_force=self._params.force_complete is not ForceComplete.NEVER,
        )

    def close(self) -> None:
        self.api.close()
