import unittest

from kvm_balancer import errors
from kvm_balancer.model import owners
from kvm_balancer.virt import ownership

_Marks = ownership.Marks
_Rule = ownership.Rule
_Owner = owners.Owner


class OwnerTest(unittest.TestCase):
    def test_owner_of_an_instance_by_rule_and_marks(self):
        names = ownership.Manage(_Rule.NAMES, ('web-*', 'cache-?'))
        cases = (
            (_Rule.NONE, _Marks('a'), _Owner.NONE),
            (_Rule.NONE, _Marks('a', consent=True), _Owner.NONE),
            (_Rule.ALL, _Marks('a'), _Owner.BALANCER),
            (_Rule.ALL, _Marks('a', consent=False), _Owner.NONE),
            (_Rule.METADATA, _Marks('a'), _Owner.NONE),
            (_Rule.METADATA, _Marks('a', consent=True), _Owner.BALANCER),
            (_Rule.METADATA, _Marks('a', consent=False), _Owner.NONE),
            (names, _Marks('web-1'), _Owner.BALANCER),
            (names, _Marks('cache-12'), _Owner.NONE),
            (names, _Marks('web-1', consent=False), _Owner.NONE),
            (_Rule.BY_HAND, _Marks('a', consent=False), _Owner.BALANCER),
        )
        for rule, marks, expected in cases:
            manage = (
                rule
                if isinstance(rule, ownership.Manage)
                else ownership.Manage(rule)
            )
            with self.subTest(rule=manage, marks=marks):
                owner, reason = ownership.owner_of(marks, manage)
                self.assertEqual(expected, owner)
                self.assertEqual(expected != _Owner.BALANCER, bool(reason))

    def test_what_a_sample_tells_of_those_that_are_nobodys(self):
        names = ownership.Manage(_Rule.NAMES, ('web-*',))
        kept = owners.Withheld
        for manage, marks, expected in (
            (ownership.Manage(), _Marks('a'), kept.HOST),
            (ownership.Manage(_Rule.METADATA), _Marks('a'), kept.UNMARKED),
            (names, _Marks('a'), kept.NAME),
            (names, _Marks('web-1', consent=False), kept.METADATA),
        ):
            with self.subTest(manage, marks=marks):
                self.assertEqual(
                    (_Owner.NONE, expected), ownership.told(marks, manage)
                )
        for manage, marks, owner in (
            (names, _Marks('web-1'), _Owner.BALANCER),
            (ownership.Manage(), _Marks('a', nova=True), _Owner.NOVA),
        ):
            self.assertEqual((owner, kept.NOT), ownership.told(marks, manage))

    def test_what_is_novas_is_novas_under_every_rule(self):
        for rule in _Rule:
            for marks in (
                _Marks('a', nova=True, consent=True),
                _Marks('a', product='OpenStack Nova', consent=True),
            ):
                with self.subTest(rule=rule, marks=marks):
                    owner, reason = ownership.owner_of(
                        marks, ownership.Manage(rule, ('*',))
                    )
                    self.assertEqual(_Owner.NOVA, owner)
                    self.assertIn('Nova', reason)

    def test_one_dangerous_option_overrules_what_nova_claims(self):
        """The rule of the host then holds, and the instance's own word."""
        for manage, consent, expected in (
            (_Rule.ALL, None, _Owner.BALANCER),
            (_Rule.NONE, None, _Owner.NONE),
            (_Rule.ALL, False, _Owner.NONE),
        ):
            with self.subTest(manage=manage, consent=consent):
                owner, _ = ownership.owner_of(
                    _Marks('a', nova=True, consent=consent),
                    ownership.Manage(manage, behind_nova=True),
                )
                self.assertEqual(expected, owner)


class ManageTest(unittest.TestCase):
    def test_words_of_the_operator_make_a_rule(self):
        self.assertEqual(
            ownership.Manage(_Rule.NAMES, ('a*', 'b')),
            ownership.Manage.from_words('names', ['a*', ' b ', '']),
        )

    def test_words_that_make_none_are_told_in_one_line(self):
        for rule, names in (
            ('everything', ()),
            ('by hand', ()),
            ('names', ()),
            ('names', (' ',)),
        ):
            with (
                self.subTest(rule=rule),
                self.assertRaises(errors.ConfigurationError) as raised,
            ):
                ownership.Manage.from_words(rule, names)
            self.assertNotIn('\n', str(raised.exception))
