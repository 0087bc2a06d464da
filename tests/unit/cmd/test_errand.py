"""One migration by hand, with a hypervisor of paper."""

import json
from unittest import mock

from kvm_balancer import errors
from kvm_balancer.cmd import errand
from kvm_balancer.migration import events
from kvm_balancer.migration import headroom
from kvm_balancer.migration.foresight import hot_set
from kvm_balancer.migration.foresight import prediction
from kvm_balancer.model import sample
from kvm_balancer.service import measuring
from kvm_balancer.service import migrations
from kvm_balancer.virt import driver
from tests.unit.cmd import base

_VIEW = driver.InstanceView(
    id='9f1c6b52-4d0e-4b7a-8a3f-2f6e8d1c7b90',
    name='web-1',
    owner='balancer',
    owner_reason='',
    end=events.End(events.EndState.RUNNING),
    vcpus=1.0,
    memory_mib=1024.0,
)


class _Clock:
    """Stands still but for what is measured."""

    def __init__(self):
        self.now = 1000.0

    def time(self):
        return self.now

    def measure(self, _hypervisor, _instance, _memory_mib, seconds):
        self.now += seconds
        return hot_set.HotSet(10.0, 100.0, 0.0)


class CheckTest(base.CommandCase):
    def test_what_it_goes_without_is_not_predicted(self):
        clock = _Clock()
        hypervisor = mock.create_autospec(driver.Driver, instance=True)
        hypervisor.view.return_value = _VIEW
        hypervisor.read.return_value.instances = sample.InstanceUsages()
        hypervisor.interface_mib_s.return_value = 8.0
        hypervisor.traffic.return_value = headroom.Traffic(trouble='none')

        def check(verdict):
            found = (events.Check('post-copy', verdict, 'as told'),)

            def carrier(_, tell):
                tell(events.Checked(at=0.0, cause='', checks=found))
                return mock.create_autospec(driver.Carrier, instance=True)

            hypervisor.carrier.side_effect = carrier
            ran = self.run_cli(
                *('migrate', 'web-1', '--check-only', '--measure', '6'),
                *('--post-copy', '--no-auto-converge', '-f', 'json'),
                *('--source', 'qemu:///a', '--destination', 'qemu:///b'),
            )
            return next(
                one['reason']
                for one in json.loads(ran.out)
                if one['check'] == 'prediction'
            )

        with (
            mock.patch.object(errand, 'time', clock),
            mock.patch.object(errand, 'open_driver', lambda _: hypervisor),
            mock.patch.object(measuring, 'measure', clock.measure),
        ):
            self.assertIn('by post-copy', check(events.Verdict.UNKNOWN))
            self.assertNotIn('by post-copy', check(events.Verdict.FORGONE))


class MeasureTest(base.CommandCase):
    def begin(self, *arguments, speed_mib_s=None):
        """Begin to migrate, and return what was asked for."""
        clock, asked = _Clock(), []
        hypervisor = mock.create_autospec(driver.Driver, instance=True)
        hypervisor.view.return_value = _VIEW
        hypervisor.read.return_value.instances = sample.InstanceUsages()
        hypervisor.interface_mib_s.return_value = speed_mib_s

        def run(_hypervisor, life, *_):
            asked.append(life.request)
            raise errors.MigrationError('far enough')

        with (
            mock.patch.object(errand, 'time', clock),
            mock.patch.object(errand, 'open_driver', lambda _: hypervisor),
            mock.patch.object(measuring, 'measure', clock.measure),
            mock.patch.object(migrations, 'MigrationRunner', run),
        ):
            ran = self.run_cli(
                *('migrate', 'web-1', *arguments),
                *('--source', 'qemu:///a', '--destination', 'qemu:///b'),
            )
        self.assertIn('far enough', ran.err)
        (wanted,) = asked
        return wanted

    def test_a_migration_begins_after_what_was_measured_for_it(self):
        wanted = self.begin('--measure', '6')
        self.assertEqual(1006.0, wanted.accepted_at)

    def test_no_more_is_expected_than_the_interface_carries(self):
        fixed = prediction.FIXED_SECONDS
        for speed_mib_s, carries in ((None, 1120.0), (112.0, 112.0)):
            wanted = self.begin(speed_mib_s=speed_mib_s)
            self.assertAlmostEqual(
                fixed + _VIEW.memory_mib / carries,
                wanted.predicted.seconds,
                places=1,
            )
