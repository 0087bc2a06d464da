"""Write the pages that are drawn from the table of transitions."""

import pathlib

from kvm_balancer.migration.lifecycle import diagram

REFERENCE = pathlib.Path(__file__).parent / 'source' / 'reference'

(REFERENCE / 'migration-states.rst').write_text(diagram.rst())
(REFERENCE / 'migration-states.dot').write_text(diagram.dot())
