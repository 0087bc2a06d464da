"""The fleet as its hosts report it."""

import dataclasses
import json
import random as seeded
import unittest

import hypothesis
from hypothesis import strategies
import numpy as np

from kvm_balancer import errors
from kvm_balancer.messages import sample as messages
from kvm_balancer.model import interned
from kvm_balancer.model import observed
from kvm_balancer.model import refusal
from kvm_balancer.model import sample
from tests.unit.messages import readings

Cause = refusal.Cause
NOW = 1000.0
#: columns that are NaN where nobody has told
MEASURED = (
    'memory_used_mib',
    'cpu_pressure',
    'memory_pressure',
    'io_pressure',
    'cpu_last',
)


def assert_sane(case, seen, now):
    """Check what holds for every fleet, whatever came in."""
    fleet = seen.snapshot(now)
    hosts, instances = fleet.hosts, fleet.instances
    case.assertEqual(len(hosts), len(set(hosts.name)))
    case.assertEqual(len(instances), len(set(instances.id)))
    for table in (hosts, instances):
        for field in dataclasses.fields(table):
            column = getattr(table, field.name)
            case.assertEqual(len(table), len(column), field.name)
            if getattr(column, 'dtype', None) == np.float64:
                if field.name in MEASURED:
                    column = column[~np.isnan(column)]
                case.assertTrue(np.isfinite(column).all(), field.name)
                case.assertTrue((column >= 0).all(), field.name)
    case.assertTrue((instances.host >= 0).all())
    case.assertTrue((instances.host < len(hosts)).all())
    case.assertFalse(hosts.silent[instances.host[instances.movable]].any())
    for uid in instances.id:
        case.assertTrue(seen.instance(uid).host)
    transits = fleet.transits
    case.assertEqual(
        len(transits), len(set(transits.instance.tolist())), 'two ends at most'
    )
    case.assertTrue((instances.host[transits.instance] != transits.host).all())
    case.assertFalse(hosts.silent[transits.host].any())
    return fleet


class TestApply(unittest.TestCase):
    """Samples become a fleet."""

    def setUp(self):
        super().setUp()
        self.seen = observed.ObservedFleet()

    def test_what_instances_ask_of_migrations_is_kept_once(self):
        """Few distinct wishes, whoever has them; the last word counts."""
        calm = (('max_downtime_ms', '50'),)
        for sequence, asks, found in (
            (1, (calm, ()), {'i-1': calm, 'i-2': ()}),
            (2, (calm, calm), {'i-1': calm, 'i-2': calm}),
            (3, (), {'i-1': (), 'i-2': ()}),
        ):
            one = readings.reading(sequence=sequence, taken_at=NOW + sequence)
            one = dataclasses.replace(
                one, instances=dataclasses.replace(one.instances, asks=asks)
            )
            self.seen.apply([one], NOW + sequence)
            fleet = assert_sane(self, self.seen, NOW + sequence)
            self.assertEqual((), fleet.wishes[0])
            self.assertEqual(len(set(fleet.wishes)), len(fleet.wishes))
            self.assertEqual(
                found,
                {
                    uid: fleet.wishes[number]
                    for uid, number in zip(
                        fleet.instances.id, fleet.instances.wish, strict=True
                    )
                },
            )

    def test_wishes_that_nobody_has_any_more_are_forgotten(self):
        """A table does not grow with what was asked for in the past."""
        kept = interned.InternedWishes()
        kept.grow(2)
        slots, both = np.array([0, 1]), np.ones(2, np.bool_)
        for number in range(500):
            asks = ((('bandwidth_mib_s', str(number)),), ())
            kept.set(slots, [asks], [2], both)
        kept.clear(np.zeros(0, np.intp))
        self.assertLessEqual(len(kept._numbers), 2)
        numbers, table = kept.columns(slots)
        self.assertEqual(asks, tuple(table[one] for one in numbers))

    def test_a_sample_becomes_a_host_with_its_instances(self):
        """Facts and usages are found again in the columns."""
        self.seen.apply(
            [readings.reading(zone='az1', aggregates=('ssd',), cpu=1.5)], NOW
        )
        fleet = assert_sane(self, self.seen, NOW)
        self.assertEqual(('host-1',), fleet.hosts.name)
        self.assertEqual(('az1',), fleet.zones)
        self.assertEqual(('ssd',), fleet.aggregates)
        self.assertEqual([0.5], fleet.hosts.cpu_overhead.tolist())
        self.assertEqual({'i-1', 'i-2'}, set(fleet.instances.id))
        self.assertEqual([1.5, 1.5], fleet.instances.cpu_usage.tolist())
        self.assertEqual([True, True], fleet.instances.movable.tolist())
        self.assertAlmostEqual(3.5 / 16, fleet.cpu_load[0])

    def test_what_was_measured_of_hosts_and_instances_is_in_the_fleet(self):
        """What nobody measured is missing, and not zero."""
        told = readings.reading()
        usage = dataclasses.replace(
            told.usage,
            memory_used_mib=4096.0,
            pressure=sample.Pressure(cpu_some=12.5, io_some=3.0),
        )
        instances = dataclasses.replace(
            told.instances,
            cpu_steal=(0.25, 0.0),
            block_read_mib_s=(1.0, 0.0),
            block_write_mib_s=(2.0, 0.0),
        )
        self.seen.apply(
            [dataclasses.replace(told, usage=usage, instances=instances)], NOW
        )
        fleet = assert_sane(self, self.seen, NOW)
        self.assertEqual([4096.0], fleet.hosts.memory_used_mib.tolist())
        self.assertEqual([0.125], fleet.hosts.cpu_pressure.tolist())
        self.assertEqual([0.03], fleet.hosts.io_pressure.tolist())
        self.assertTrue(np.isnan(fleet.hosts.memory_pressure).all())
        self.assertEqual([0.25, 0.0], fleet.instances.cpu_steal.tolist())
        self.assertEqual([3.0, 0.0], fleet.instances.io_mib_s.tolist())

    def test_a_step_counts_as_a_whole_once_it_has_lasted(self):
        """After 80 s of it; of a host, what all of its samples show."""
        for number in range(20):
            now = NOW + 10.0 * number
            cpu = 0.5 if number < 12 else 2.0
            body = readings.reading(taken_at=now, sequence=number, cpu=cpu)
            self.assertEqual([], self.seen.apply([body], now))
            fleet = assert_sane(self, self.seen, now)
            lasting = fleet.hosts.cpu_lasting[0]
            with self.subTest(number=number):
                if number < 7:
                    self.assertEqual(0.0, lasting)
                elif number < 19:
                    self.assertEqual((0.5 + 2 * 0.5) / 16, lasting)
                    self.assertTrue((fleet.instances.cpu_usage < 1.9).all())
        self.assertEqual((0.5 + 2 * 2.0) / 16, lasting)
        self.assertEqual([2.0, 2.0], fleet.instances.cpu_usage.tolist())
        self.assertEqual(80.0, fleet.lasting_seconds)

    def test_what_was_read_last_of_a_host_is_missing_until_it_is(self):
        """The first sample of an executor has no rates; averages lag."""
        seen = self.seen
        table = ((0.5, 0.0, np.nan), (0.5, 10.0, 1.5), (2.0, 10.0, 4.5))
        for number, (cpu, seconds, last) in enumerate(table):
            now = NOW + 10.0 * number
            body = readings.reading(
                taken_at=now,
                sequence=number,
                cpu=cpu,
                interval_seconds=seconds,
            )
            self.assertEqual([], seen.apply([body], now))
            fleet = assert_sane(self, seen, now)
            with self.subTest(number=number):
                np.testing.assert_allclose(fleet.hosts.cpu_last, [last / 16.0])
        self.assertLess(fleet.cpu_load[0], fleet.hosts.cpu_last[0])

    def test_only_our_running_instances_are_movable(self):
        """Others count as load."""
        table = (
            ({'owner': 'nova'}, False),
            ({'owner': 'none'}, False),
            ({'state': 'paused'}, False),
            ({'state': 'other'}, False),
            ({'state': 'outgoing'}, False),
            ({'interval_seconds': 0.0}, False),
            ({}, True),
        )
        for other, movable in table:
            with self.subTest(other):
                seen = observed.ObservedFleet()
                seen.apply([readings.reading(ids=('a',), **other)], NOW)
                fleet = assert_sane(self, seen, NOW)
                self.assertEqual([movable], fleet.instances.movable.tolist())

    def test_a_refused_sample_harms_only_itself(self):
        """Each cause is counted, and the rest of the batch is taken."""
        last = readings.reading(sequence=5)
        other = readings.reading(host='host-2', ids=('b',))
        table = (
            (Cause.FUTURE, {'sequence': 6, 'taken_at': NOW + 30}),
            (Cause.STALE, {'sequence': 6, 'taken_at': NOW - 100}),
            (Cause.REPLAYED, {'sequence': 5, 'taken_at': NOW + 1}),
            (Cause.REPLAYED, {'sequence': 4, 'taken_at': NOW + 1}),
            (Cause.OLDER, {'sequence': 6, 'taken_at': NOW - 1}),
            (Cause.OLDER, {'boot': 'two', 'taken_at': NOW - 1}),
        )
        for cause, changes in table:
            with self.subTest(cause, **changes):
                seen = observed.ObservedFleet()
                wrong = readings.reading(ids=('x',), **changes)
                refused = seen.apply([last, wrong, other], NOW)
                self.assertEqual([cause], [one.cause for one in refused])
                self.assertEqual({cause: 1}, dict(seen.refused))
                self.assertEqual(2, seen.accepted)
                self.assertIn('host-1', str(refused[0]))
                fleet = assert_sane(self, seen, NOW)
                self.assertNotIn('x', fleet.instances.id)

    def test_a_clock_a_little_ahead_is_tolerated(self):
        """Its sample counts as one of now."""
        self.seen.apply([readings.reading(taken_at=NOW + 3)], NOW)
        self.assertEqual(1, self.seen.accepted)
        fleet = assert_sane(self, self.seen, NOW)
        self.assertEqual(0.0, fleet.hosts.sample_age_seconds[0])

    def test_a_restarted_executor_counts_from_one_again(self):
        """A new run is known by its name."""
        self.seen.apply([readings.reading(sequence=90)], NOW)
        again = readings.reading(boot='two', sequence=1, taken_at=NOW + 5)
        self.assertEqual([], self.seen.apply([again], NOW + 5))
        self.assertEqual('two', self.seen.host('host-1', NOW + 5).boot)

    def test_a_clock_set_back_costs_one_silence(self):
        """Once its host is silent, an older sample is taken."""
        self.seen.apply([readings.reading(taken_at=NOW + 4)], NOW)
        back = readings.reading(sequence=2, taken_at=NOW + 3)
        self.assertEqual(1, len(self.seen.apply([back], NOW + 10)))
        back = readings.reading(sequence=3, taken_at=NOW + 46)
        self.assertEqual([], self.seen.apply([back], NOW + 90))

    def test_several_samples_of_a_host_in_a_batch_are_taken_in_order(self):
        """A backlog fills the windows one after the other."""
        params = observed.Params(estimate=observed.Estimate.HIGHEST)
        seen = observed.ObservedFleet(params)
        batch = [
            readings.reading(sequence=n, taken_at=NOW + n, cpu=0.5 * n)
            for n in range(1, 5)
        ]
        self.assertEqual([], seen.apply(batch, NOW + 5))
        self.assertEqual(2.0, seen.instance('i-1').cpu_last)
        fleet = assert_sane(self, seen, NOW + 5)
        self.assertEqual([2.0, 2.0], fleet.instances.cpu_usage.tolist())

    def test_a_host_without_samples_is_silent_and_then_forgotten(self):
        """Its instances stay with it until it is forgotten."""
        self.seen.apply([readings.reading()], NOW)
        fleet = assert_sane(self, self.seen, NOW + 60)
        self.assertEqual([True], fleet.hosts.silent.tolist())
        self.assertEqual([False, False], fleet.instances.movable.tolist())
        later = NOW + 90_000
        other = readings.reading(host='host-2', ids=('b',), taken_at=later)
        self.seen.apply([other], later)
        fleet = assert_sane(self, self.seen, later)
        self.assertEqual(('host-2',), fleet.hosts.name)
        self.assertEqual(('b',), fleet.instances.id)
        with self.assertRaises(errors.NotFound):
            self.seen.host('host-1', later)


class TestMigration(unittest.TestCase):
    """An instance that two hosts report is counted once."""

    def report(self, state, host, second, ids=('a',)):
        """Let *host* report its instances in *state*."""
        self.assertEqual(
            [],
            self.seen.apply(
                [
                    readings.reading(
                        host=host,
                        ids=ids,
                        state=state,
                        sequence=second,
                        taken_at=NOW + second,
                        cpu=float(second),
                    )
                ],
                NOW + second,
            ),
        )
        fleet = assert_sane(self, self.seen, NOW + second)
        return {
            uid: fleet.hosts.name[row]
            for uid, row in zip(
                fleet.instances.id, fleet.instances.host, strict=True
            )
        }

    def setUp(self):
        super().setUp()
        self.seen = observed.ObservedFleet()

    def test_it_is_on_the_source_until_it_runs_on_the_destination(self):
        """The whole life of a plain migration."""
        story = (
            ('running', 'source', ('a',), 'source'),
            ('outgoing', 'source', ('a',), 'source'),
            ('incoming', 'destination', ('a',), 'source'),
            ('outgoing', 'source', ('a',), 'source'),
            ('running', 'destination', ('a',), 'destination'),
            ('other', 'source', ('a',), 'destination'),
            ('other', 'source', (), 'destination'),
            ('running', 'destination', ('a',), 'destination'),
        )
        for second, (state, host, ids, holder) in enumerate(story, 1):
            with self.subTest(second=second):
                found = self.report(state, host, second, ids)
                self.assertEqual({'a': holder}, found)
        fleet = self.seen.snapshot(NOW + 9)
        self.assertEqual([True], fleet.instances.movable.tolist())

    def test_it_is_not_movable_while_two_hosts_report_it(self):
        """Nor when both say that it runs."""
        for state in ('incoming', 'running'):
            self.seen = observed.ObservedFleet()
            self.report('running', 'source', 1)
            self.report(state, 'destination', 2)
            fleet = self.seen.snapshot(NOW + 2)
            self.assertEqual([False], fleet.instances.movable.tolist())

    def test_a_second_host_that_has_it_is_told_of(self):
        """From its coming until the source lets go of it, unless silent."""
        story = (
            ('outgoing', 'source', ('a',), None),
            ('incoming', 'destination', ('a',), ('destination', True)),
            ('outgoing', 'source', ('a',), ('destination', True)),
            ('running', 'destination', ('a',), ('source', False)),
            ('other', 'source', ('a',), ('source', False)),
            ('running', 'source', (), None),
            ('incoming', 'third', ('a',), ('third', True)),
            ('incoming', 'third', (), None),
        )
        for second, (state, host, ids, other) in enumerate(story, 1):
            with self.subTest(second=second):
                self.report(state, host, second, ids)
                fleet = self.seen.snapshot(NOW + second)
                transits = fleet.transits
                found = [
                    (fleet.hosts.name[row], bool(arriving))
                    for row, arriving in zip(
                        transits.host, transits.arriving, strict=True
                    )
                ]
                self.assertEqual([other] if other else [], found)
                self.assertEqual([0] * len(found), transits.instance.tolist())
        self.report('incoming', 'third', 9)
        self.report('running', 'destination', 60)
        self.assertEqual(0, len(self.seen.snapshot(NOW + 60).transits))

    def test_it_does_not_vanish_between_two_lists(self):
        """Off the source's list, it is on the one that also had it."""
        self.report('outgoing', 'source', 1)
        self.report('incoming', 'destination', 2)
        found = self.report('running', 'source', 3, ())
        self.assertEqual({'a': 'destination'}, found)

    def test_its_history_goes_with_it(self):
        """What it used on the source counts on the destination."""
        self.report('running', 'source', 1)
        self.report('running', 'source', 2, ())
        self.report('running', 'destination', 3)
        known = self.seen.instance('a')
        self.assertEqual('destination', known.host)
        self.assertLess(known.cpu_average, 3.0)
        self.assertGreater(known.cpu_average, 1.0)

    def test_a_silent_source_holds_nothing(self):
        """Its last word is not believed for ever."""
        self.report('running', 'source', 1)
        found = self.report('paused', 'destination', 2)
        self.assertEqual({'a': 'source'}, found)
        found = self.report('paused', 'destination', 60)
        self.assertEqual({'a': 'destination'}, found)

    def test_reports_of_both_ends_in_one_batch_settle_alike(self):
        """In whichever order they come."""
        ends = [
            readings.reading(host='source', ids=('a',), state='outgoing'),
            readings.reading(host='destination', ids=('a',), state='running'),
        ]
        for batch in (ends, ends[::-1]):
            seen = observed.ObservedFleet()
            seen.apply(batch, NOW)
            assert_sane(self, seen, NOW)
            self.assertEqual('destination', seen.instance('a').host)

    def test_what_no_host_lists_is_forgotten_after_a_while(self):
        """And its slot is used again without its history."""
        self.report('running', 'source', 1)
        self.report('running', 'source', 2, ())
        self.report('running', 'source', 20, ())
        self.assertEqual('', self.seen.instance('a').host)
        self.report('running', 'source', 400, ())
        with self.assertRaises(errors.NotFound):
            self.seen.instance('a')
        self.assertEqual([None], self.seen.custodies(['a']))
        self.report('running', 'source', 401, ('b',))
        self.assertEqual(401.0, self.seen.instance('b').cpu_last)


#: Damage to the plain form of a sample; each takes a seeded generator.
DAMAGE = (
    lambda plain, random: plain.pop(random.choice(sorted(plain))),
    lambda plain, random: plain['facts'].pop(
        random.choice(sorted(plain['facts']))
    ),
    lambda plain, random: plain['instances'].pop(
        random.choice(sorted(plain['instances']))
    ),
    lambda plain, random: plain['instances'][
        random.choice(sorted(plain['instances']))
    ].append(random.choice((1, 'x', None, float('nan')))),
    lambda plain, random: plain.update(
        {
            random.choice(sorted(plain)): random.choice(
                (None, float('nan'), float('inf'), -1, 1e300, 'x', [], {}, 1)
            )
        }
    ),
    lambda plain, random: plain['instances'].update(
        cpu_usage=[
            random.choice((1.0, -1.0, float('nan'), 1e200, 'x', None))
            for _ in plain['instances']['id']
        ]
    ),
    lambda plain, random: plain.update(
        taken_at=plain['taken_at'] + random.choice((-1e6, -60, 60, 1e6))
    ),
    lambda plain, random: plain.update(sequence=random.randint(-2, 9)),
    lambda plain, random: plain['instances']['id'].append(
        random.choice(('i-1', 'i-9'))
    ),
)


class TestDamage(unittest.TestCase):
    """A thousand damaged samples leave the fleet sane."""

    @hypothesis.settings(max_examples=20)
    @hypothesis.given(strategies.integers(0, 2**32))
    def test_a_thousand_damaged_samples_are_counted_and_do_no_harm(self, seed):
        """Bytes, keys, types, numbers, replays: each counted once."""
        random = seeded.Random(seed)
        seen = observed.ObservedFleet()
        sent = 0
        now = NOW
        bodies = [b'{}']
        for _ in range(20):
            now += 5.0
            batch = []
            for _ in range(50):
                body = self.body(random, now, bodies)
                bodies = [*bodies[-20:], body]
                sent += 1
                try:
                    batch.append(messages.decode_sample(body))
                except errors.SampleRefused as refused:
                    seen.refuse(refused)
            seen.apply(batch, now)
            assert_sane(self, seen, now)
        self.assertEqual(1000, sent)
        self.assertEqual(sent, seen.accepted + seen.refused.total())
        self.assertLessEqual(set(seen.refused), set(Cause))
        self.assertGreater(seen.accepted, 0)
        good = readings.reading(
            host='late', ids=('fine',), taken_at=now, sequence=1
        )
        self.assertEqual([], seen.apply([good], now))
        self.assertIn('fine', seen.snapshot(now).instances.id)

    def body(self, random, now, earlier):
        """Make a sample, and damage most."""
        reading = readings.reading(
            host=f'host-{random.randint(1, 5)}',
            ids=tuple(
                f'i-{n}'
                for n in random.sample(range(12), random.randint(0, 6))
            ),
            sequence=random.randint(1, 1000),
            taken_at=now + random.uniform(-5, 5),
            cpu=random.uniform(0, 8),
            state=random.choice(('running', 'paused', 'incoming', 'outgoing')),
            boot=random.choice(('one', 'two')),
        )
        body = messages.encode_sample(reading)
        kind = random.random()
        if kind < 0.3:
            return body
        if kind < 0.4:
            return random.choice(earlier)
        if kind < 0.5:
            noisy = bytearray(body)
            for _ in range(random.randint(1, 5)):
                noisy[random.randrange(len(noisy))] = random.randrange(256)
            return bytes(noisy)
        if kind < 0.55:
            return body[: random.randrange(len(body))]
        plain = json.loads(body)
        random.choice(DAMAGE)(plain, random)
        return json.dumps(plain).encode()
