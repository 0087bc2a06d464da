import unittest
from unittest import mock

import libvirt

from kvm_balancer.virt.libvirt import dirtied
from kvm_balancer.virt.libvirt import sampling
from kvm_balancer.virt.libvirt import statistics


def handle_of(job):
    domain = mock.Mock()
    domain.info.return_value = [statistics.RUNNING, 1 << 20, 1 << 20, 1, 0]
    domain.jobInfo.return_value = [job] + [0] * 11
    return mock.Mock(**{'lookupByUUIDString.return_value': domain}), domain


class BeginTest(unittest.TestCase):
    def test_a_window_begins_where_there_is_no_job(self):
        handle, domain = handle_of(libvirt.VIR_DOMAIN_JOB_NONE)
        self.assertTrue(dirtied.begin(handle, 'i', 4))
        domain.startDirtyRateCalc.assert_called_once_with(4, 0)

    def test_the_job_of_someone_else_is_not_waited_for(self):
        handle, domain = handle_of(libvirt.VIR_DOMAIN_JOB_UNBOUNDED)
        self.assertFalse(dirtied.begin(handle, 'i', 4))
        domain.startDirtyRateCalc.assert_not_called()


class SampleTest(unittest.TestCase):
    def test_the_rate_of_a_single_window_is_not_told(self):
        """It would overwrite what the agent knows from several of them."""
        domain = mock.Mock()
        domain.UUIDString.return_value = 'i'
        domain.ID.return_value = 1
        sampler = sampling.Sampler(*(mock.Mock() for _ in range(4)))
        sampler._meters.begin(1.0)
        sampler._book.leaving.return_value = ()
        sampler._book.look_up.return_value = {}
        seen = sampler._instances(
            [
                (
                    domain,
                    {
                        'state.state': statistics.RUNNING,
                        'dirtyrate.calc_status': 2,
                        'dirtyrate.megabytes_per_second': 300,
                    },
                )
            ]
        )
        self.assertEqual((0.0,), seen.dirty_rate_mib_s)
