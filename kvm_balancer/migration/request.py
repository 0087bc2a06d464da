"""What is asked of one migration, and within which limits."""

import dataclasses
import urllib.parse

from kvm_balancer.model import owners
from kvm_balancer.model import plan

Profile = plan.Profile


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """Limits and means of one migration.

    :ivar auto_converge: slow the guest down when it dirties too fast
    :ivar auto_converge_initial_percent: first throttle; 0 the hypervisor's
    :ivar auto_converge_increment_percent: its step; 0 the hypervisor's
    :ivar max_throttle_percent: the throttle that the guest may be put under
    :ivar post_copy: post-copy may be used when pre-copy does not converge
    :ivar post_copy_by_instance: an instance's own metadata may allow it
    :ivar post_copy_patience: pre-copy may take so many times as long as one
        full pass and post-copy after it; at least 1
    :ivar max_downtime_ms: the longest stop the guest is allowed
    :ivar bandwidth_mib_s: limit of the memory stream; 0 for none
    :ivar time_limit_seconds: give up (or switch) after it; 0 for none
    :ivar parallel_connections: streams; 0 or 1 for a single one
    :ivar compression: name of a method, empty for none
    :ivar tls: encrypt the stream
    :ivar copy_storage: disks that only the source has may be copied along
    :ivar storage_time_limit_seconds: give up when they take longer; 0 for
        none
    :ivar keep_source_disks: what was copied stays on the source as well
    :ivar trust_disk_paths: a disk of the same path on both hosts is taken for
        the same one, where that cannot be told
    """

    auto_converge: bool = True
    auto_converge_initial_percent: int = 0
    auto_converge_increment_percent: int = 0
    max_throttle_percent: int = 99
    post_copy: bool = False
    max_downtime_ms: int = 500
    bandwidth_mib_s: int = 0
    time_limit_seconds: float = 0.0
    parallel_connections: int = 0
    compression: str = ''
    tls: bool = False
    profile: Profile = Profile.BALANCE
    post_copy_by_instance: bool = False
    post_copy_patience: float = 1.05
    copy_storage: bool = False
    storage_time_limit_seconds: float = 0.0
    keep_source_disks: bool = True
    trust_disk_paths: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """One migration, as it was accepted.

    :ivar migration_id: names it everywhere; asking twice with the same id
        is asking once
    :ivar instance: uuid of the instance
    :ivar source: name of the host it is on
    :ivar destination: name of the host it is to go to
    :ivar destination_uri: how the source's hypervisor reaches that host's
    :ivar migration_address: where the stream goes; empty for the host of
        the URI
    :ivar accepted_at: seconds since the epoch; set by who accepts it
    :ivar expires_at: not to be begun after it, seconds since the epoch; a
        command that was held up is asked for anew. 0 for never
    :ivar notes: what its story begins with: what was settled before
    :ivar owner: who carries it out, in the words of a sample: ``balancer``
        for the executor of its source, ``nova`` for Nova
    """

    migration_id: str
    instance: str
    source: str
    destination: str
    destination_uri: str
    accepted_at: float
    migration_address: str = ''
    options: Options = Options()
    predicted: plan.Prediction | None = None
    plan_id: str = ''
    expires_at: float = 0.0
    notes: tuple[str, ...] = ()
    owner: str = owners.Owner.BALANCER

    @property
    def stream_address(self) -> str:
        """Name or address that the stream is sent to; empty for unknown."""
        if self.migration_address:
            return self.migration_address
        try:
            return urllib.parse.urlsplit(self.destination_uri).hostname or ''
        except ValueError:
            return ''
