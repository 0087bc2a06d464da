"""Limits of zones and aggregates, as files have them."""

import unittest

from kvm_balancer import errors
from kvm_balancer.conf import relieve_scopes
from kvm_balancer.service import plugins
from tests.fixtures import files

#: what the file holds, and what the one line says
_BAD = (
    ('[relieve:rack:7]', '[relieve:rack:7] is of neither a zone nor an'),
    ('[relieve:zone:]\nlimit = 0.5', 'write [relieve:zone:NAME] or'),
    ('[relieve:zone:a]\nlimit = 0', '[relieve:zone:a] limit: Should be'),
    ('[relieve:zone:a]\nlimit = much', "limit: 'much' is not a number"),
    ('[relieve:zone:a]\n[relieve:zone:A]', 'are the same group'),
    ('[relieve:zone:a]\nlimits = 0.5', 'limits is no option; did you mean'),
    (
        '[relieve:aggregate:a]\nhold_seconds = 5',
        'it holds everywhere or nowhere: set it in [relieve]',
    ),
)
_GOOD = (
    '[relieve]\nlimit = 0.7\n'
    '[relieve:zone:az 1]\nlimit = 0.9\nsteal_limit = 0\n'
    '[relieve:aggregate:a:b]\nmargin = 0.1\n'
)


class RelieveScopesTest(unittest.TestCase):
    def load(self, text):
        return files.configured(self, text)

    def test_a_group_says_what_differs(self):
        found = relieve_scopes.read(self.load(_GOOD))
        self.assertEqual(
            {'az 1': {'limit': 0.9, 'steal_limit': 0.0}}, found.zones
        )
        self.assertEqual({'a:b': {'margin': 0.1}}, found.aggregates)

    def test_the_policy_is_told(self):
        (policy,) = plugins.load_policies(self.load(_GOOD), ['relieve'])
        self.assertEqual(0.7, policy.params.limit)
        self.assertEqual(0.9, policy.params.places.zones['az 1']['limit'])

    def test_a_limit_that_is_asked_for_holds_everywhere(self):
        (policy,) = plugins.load_policies(
            self.load(_GOOD), ['relieve'], limit=0.5
        )
        self.assertEqual(0.5, policy.params.limit)
        self.assertEqual(
            {'az 1': {'steal_limit': 0.0}}, policy.params.places.zones
        )
        self.assertEqual({'a:b': {}}, policy.params.places.aggregates)

    def test_a_margin_that_is_no_less_than_its_limit_is_refused(self):
        for text, said in (
            ('[relieve]\nlimit = 0.05', '[relieve] margin is 0.05: it has to'),
            (
                '[relieve:zone:a]\nlimit = 0.04',
                '[relieve] margin of zone a is 0.05: it has to be under the '
                'limit, 0.04',
            ),
            (
                '[relieve:zone:a]\nlimit = 0.4\n'
                '[relieve:aggregate:b]\nmargin = 0.5\n[relieve]\nlimit=0.3',
                'margin of aggregate b is 0.5: it has to be under the limit, '
                '0.3',
            ),
        ):
            with (
                self.subTest(text),
                self.assertRaises(errors.ConfigurationError) as raised,
            ):
                plugins.load_policies(self.load(text), ['relieve'])
            self.assertIn(said, str(raised.exception))
            self.assertNotIn('\n', str(raised.exception))

    def test_what_is_wrong_is_told_in_one_line(self):
        for text, said in _BAD:
            with (
                self.subTest(text),
                self.assertRaises(errors.ConfigurationError) as raised,
            ):
                relieve_scopes.read(self.load(text))
            self.assertIn(said, str(raised.exception))
            self.assertNotIn('\n', str(raised.exception))


if __name__ == '__main__':
    unittest.main()
