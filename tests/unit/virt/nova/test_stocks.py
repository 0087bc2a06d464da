"""Placement is asked for what computes have as rarely as it can be."""

from kvm_balancer import errors
from kvm_balancer.virt.nova import inventory
from tests.unit.virt.nova import base


class StocksTest(base.NovaCase):
    def setUp(self):
        super().setUp()
        self.inventory = inventory.Inventory(self.driver.api)

    def computes(self):
        return self.inventory.computes(self.inventory.servers())

    def traits(self):
        return {name: one.traits for name, one in self.computes().items()}

    def ask(self, **specs):
        """Have a server ask for traits."""
        self.nova.add_server(
            'cmp1',
            extra_specs={
                f'trait:{name}': word for name, word in specs.items()
            },
        )

    def asked(self):
        """Return how often Placement was asked, and for what."""
        return {
            what: self.nova.sent('GET', path)
            for what, path in (
                ('inventories', '/inventories'),
                ('traits', '/traits'),
                ('holders', 'required='),
            )
        }

    def test_traits_that_nobody_asks_for_are_not_asked_for(self):
        self.assertEqual({'cmp1': {}, 'cmp2': {}}, self.traits())
        self.assertEqual(
            {'inventories': 2, 'traits': 0, 'holders': 0}, self.asked()
        )

    def test_each_trait_is_one_question_for_all_computes(self):
        """Also one that nobody has, or that Placement does not know."""
        self.nova.traits.add('CUSTOM_IDLE')
        self.nova.providers['cmp2']['traits'].append('CUSTOM_FAST')
        self.ask(CUSTOM_FAST='required', CUSTOM_IDLE='forbidden')
        self.ask(CUSTOM_FAST='forbidden', CUSTOM_NONE='required')
        none = {'CUSTOM_IDLE': False, 'CUSTOM_NONE': False}
        self.assertEqual(
            {
                'cmp1': {'CUSTOM_FAST': False, **none},
                'cmp2': {'CUSTOM_FAST': True, **none},
            },
            self.traits(),
        )
        self.assertEqual(
            {'inventories': 2, 'traits': 1, 'holders': 2}, self.asked()
        )

    def test_they_are_asked_for_again_when_anything_changed(self):
        self.ask(COMPUTE_NODE='required')
        self.traits()
        self.assertTrue(self.traits()['cmp1']['COMPUTE_NODE'])
        self.assertEqual(1, self.asked()['holders'])
        self.nova.providers['cmp1'].update(traits=[], generation=2)
        self.assertFalse(self.traits()['cmp1']['COMPUTE_NODE'])
        self.assertEqual(
            {'inventories': 3, 'traits': 2, 'holders': 2}, self.asked()
        )
        self.ask(CUSTOM_NEW='required')
        self.assertFalse(self.traits()['cmp1']['CUSTOM_NEW'])
        self.assertEqual(3, self.asked()['inventories'])

    def test_what_was_read_before_a_failure_is_not_asked_for_again(self):
        for number in range(3, 23):
            self.nova.add_compute(f'cmp{number}')
        last = self.nova.providers['cmp22']['uuid']
        self.fault('GET', f'{last}/inventories', status=503)
        with self.assertRaises(errors.CloudUnreachable):
            self.computes()
        found = self.computes()
        self.assertTrue(all(one.inventories for one in found.values()))
        self.assertEqual(23, self.asked()['inventories'])

    def test_a_provider_that_goes_between_two_questions_is_not_known(self):
        gone = self.nova.providers['cmp2']['uuid']
        self.fault('GET', f'{gone}/inventories', status=404)
        self.ask(COMPUTE_NODE='required')
        found = self.computes()
        self.assertEqual({}, found['cmp2'].inventories)
        self.assertEqual({'COMPUTE_NODE': True}, found['cmp1'].traits)
