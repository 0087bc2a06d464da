"""Samples for tests: a host with as many instances as wanted."""

from kvm_balancer.model import sample


def reading(
    host='host-1',
    ids=('i-1', 'i-2'),
    sequence=1,
    taken_at=1000.0,
    boot='boot-1',
    cpu=1.0,
    state='running',
    owner='balancer',
    interval_seconds=10.0,
    overhead=0.5,
    **facts,
):
    """Make a sample; *cpu* and *state* are those of every instance."""
    rows = len(ids)
    instances = sample.InstanceUsages(
        id=tuple(ids),
        name=tuple(f'vm-{one}' for one in ids),
        owner=(owner,) * rows,
        state=(state,) * rows,
        vcpus=(2.0,) * rows,
        memory_mib=(2048.0,) * rows,
        disk_gib=(10.0,) * rows,
        cpu_usage=(cpu,) * rows,
        cpu_steal=(0.0,) * rows,
        memory_usage_mib=(1024.0,) * rows,
        dirty_rate_mib_s=(5.0,) * rows,
        network_rx_mib_s=(0.0,) * rows,
        network_tx_mib_s=(0.0,) * rows,
        block_read_mib_s=(0.0,) * rows,
        block_write_mib_s=(0.0,) * rows,
        hot_set_mib=(256.0,) * rows,
        cold_rate_mib_s=(1.0,) * rows,
    )
    return sample.Sample(
        host=host,
        boot=boot,
        sequence=sequence,
        taken_at=taken_at,
        interval_seconds=interval_seconds,
        facts=sample.HostFacts(
            **{'cpus': 16.0, 'memory_mib': 65536.0} | facts
        ),
        usage=sample.HostUsage(
            cpu_usage=overhead + cpu * rows,
            cpu_overhead=overhead,
            memory_free_mib=30000.0,
            memory_allocated_mib=2048.0 * rows,
            pressure=sample.Pressure(cpu_some=3.5),
        ),
        instances=instances,
    )
