"""Every fault strikes once, in a phase that a seed has drawn.

The faults are dealt to laboratories, so that several can be struck at a time.
On one of them, which takes turns, libvirt's lock manager runs.
The seed is another one every day; ``FAULTS_SEED`` chooses one.
"""

import datetime
import os
import random

from kvm_balancer.lab.faults import catalogue
from kvm_balancer.lab.faults import contract
from tests.faults import laboratory
from tests.faults import run as runs

_SEED = int(
    os.environ.get('FAULTS_SEED')
    or datetime.datetime.now(datetime.UTC).date().toordinal()
)


class _Laboratory(laboratory.LaboratoryTestCase):
    def strike(self, fault):
        chance = random.Random(f'{_SEED}/{fault}')
        fates = catalogue.FAULTS[fault].fates
        phase = chance.choice([one for one in contract.Phase if one in fates])
        result = runs.run(self.ground, fault, phase, _SEED)
        told = [
            result.verdict(),
            f'struck when the ends were {result.struck_in}',
            *result.problems,
            *(f'told: {kind}, {reason}' for kind, reason in result.outcomes),
            *result.story,
        ]
        self.assertTrue(result.passed, '\n'.join(told))


class FirstLaboratoryTest(_Laboratory):
    letter = 'f'
    guarded = _SEED % 3 == 0


class SecondLaboratoryTest(_Laboratory):
    letter = 's'
    guarded = _SEED % 3 == 1


class ThirdLaboratoryTest(_Laboratory):
    letter = 't'
    guarded = _SEED % 3 == 2


_LABORATORIES = (
    FirstLaboratoryTest,
    SecondLaboratoryTest,
    ThirdLaboratoryTest,
)


def _deal(fault, to):
    def test(self):
        self.strike(fault)

    name = f'test_{fault.replace("-", "_")}'
    test.__name__ = name
    test.__doc__ = catalogue.FAULTS[fault].title
    setattr(to, name, test)


for _number, _fault in enumerate(catalogue.FAULTS):
    _deal(_fault, _LABORATORIES[_number % len(_LABORATORIES)])
