"""A nova-compute whose guests are records: compute.py --config-file FILE ...

Its driver is Nova's own fake one, with what a balancer needs besides: load
that shows in the metrics of the host, migrations that take their time, can be
aborted, completed by force and made to fail, and guests that outlive the
process. Run by the interpreter of the services.

``LAB_LOAD`` names a file with the cores that servers use, by their uuid;
``LAB_MIGRATION_MIB_S`` is the speed of migrations. The metadata
``lab_migrate`` of a server: ``fail`` has its migration fail at its end,
``hang`` has it never end by itself.
"""

from nova import monkey_patch

monkey_patch.patch(backend='threading')

# ruff: noqa: E402 - Nova has to be patched before anything else is imported
import json
import os
import pathlib
import sys
import threading
import time
import types

from nova.cmd import compute
from nova.compute import power_state
import nova.conf
from nova.virt import fake

_NANOSECONDS = 1e9


def _setting(name, default):
    return float(os.environ.get(name, default))


class LabDriver(fake.FakeDriverWithoutFakeNodes):
    """Guests are records in a file; hosts are as large as they are told."""

    vcpus = int(_setting('LAB_VCPUS', 8))
    memory_mb = int(_setting('LAB_MEMORY_MIB', 16384))
    local_gb = int(_setting('LAB_DISK_GIB', 500))

    def __init__(self, virtapi, read_only=False):
        super().__init__(virtapi, read_only)
        self._writing = threading.Lock()
        self._sizes = {}
        #: what is asked of migrations under way: abort, or complete
        self._asked = {}
        self._spent = {'user': 0, 'kernel': 0, 'iowait': 0, 'idle': 0}
        self._looked_at = time.monotonic()
        self._file = pathlib.Path(nova.conf.CONF.state_path) / 'guests.json'
        if self._file.exists():
            self._restore(json.loads(self._file.read_text()))

    def _restore(self, kept):
        for uuid, (name, state, size) in kept.items():
            self.instances[uuid] = fake.FakeInstance(name, state, uuid)
            self._sizes[uuid] = size
            self.resources.claim(*size)

    def _keep(self):
        new = self._file.with_suffix('.new')
        with self._writing:
            new.write_text(
                json.dumps(
                    {
                        uuid: (
                            one.name,
                            one.state,
                            self._sizes.get(uuid, (0, 0, 0)),
                        )
                        for uuid, one in list(self.instances.items())
                    }
                )
            )
            new.replace(self._file)

    def spawn(self, context, instance, *arguments, **options):
        super().spawn(context, instance, *arguments, **options)
        flavor = instance.flavor
        self._sizes[instance.uuid] = (
            flavor.vcpus,
            flavor.memory_mb,
            flavor.root_gb,
        )
        self._keep()

    def destroy(self, context, instance, *arguments, **options):
        super().destroy(context, instance, *arguments, **options)
        self._sizes.pop(instance.uuid, None)
        self._keep()

    def power_off(self, instance, *arguments, **options):
        super().power_off(instance, *arguments, **options)
        self._keep()

    def power_on(self, context, instance, *arguments, **options):
        super().power_on(context, instance, *arguments, **options)
        self._keep()

    def get_host_uptime(self):
        # Nova parses it; the fake driver has none.
        return ' 00:00:00 up 1 day,  0:00,  0 users,  load average: 0, 0, 0'

    def get_host_cpu_stats(self):
        """Return the nanoseconds spent since the process began."""
        now = time.monotonic()
        seconds, self._looked_at = max(now - self._looked_at, 1e-3), now
        busy = min(self._load(), self.vcpus)
        for name, cores in (
            ('user', busy * 0.8),
            ('kernel', busy * 0.2),
            ('idle', self.vcpus - busy),
        ):
            self._spent[name] += int(cores * seconds * _NANOSECONDS)
        return {**self._spent, 'frequency': 2400}

    def _load(self):
        try:
            text = pathlib.Path(os.environ['LAB_LOAD']).read_text()
            cores = json.loads(text)
        except (OSError, ValueError):
            cores = {}
        return sum(
            float(cores.get(uuid, 0.0))
            for uuid, one in list(self.instances.items())
            if one.state == power_state.RUNNING
        )

    def live_migration(
        self,
        context,
        instance,
        dest,
        post_method,
        recover_method,
        block_migration=False,
        migrate_data=None,
    ):
        asked = self._asked[instance.uuid] = {'abort': False, 'force': False}
        behaviour = instance.metadata.get('lab_migrate')
        speed = _setting('LAB_MIGRATION_MIB_S', 2048)
        until = time.monotonic() + instance.flavor.memory_mb / speed
        while not any(asked.values()):
            if behaviour != 'hang' and time.monotonic() >= until:
                break
            time.sleep(0.05)
        del self._asked[instance.uuid]
        if asked['abort']:
            recover_method(
                context,
                instance,
                dest,
                migrate_data,
                migration_status='cancelled',
            )
        elif behaviour == 'fail':
            recover_method(context, instance, dest, migrate_data)
        else:
            post_method(context, instance, dest, block_migration, migrate_data)

    def live_migration_abort(self, instance):
        self._asked.get(instance.uuid, {})['abort'] = True

    def live_migration_force_complete(self, instance):
        self._asked.get(instance.uuid, {})['force'] = True

    def post_live_migration(
        self, context, instance, block_device_info, migrate_data=None
    ):
        self.destroy(context, instance, None, block_device_info)


# Nova loads its drivers from its own package only.
module = types.ModuleType('nova.virt.lab')
module.LabDriver = LabDriver
sys.modules[module.__name__] = module

if __name__ == '__main__':
    compute.main()
