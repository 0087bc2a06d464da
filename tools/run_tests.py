#!/usr/bin/env python3
"""Run the groups of tests, and add their totals up.

    tools/run_tests.py [GROUP ...]

Each group is a folder below tests/, or part of one, with a stestr repository
of its own in .test-results/. Unit tests run on all cores. Those on real
daemons run as root where sudo lets them, three at a time: they wait more than
they compute. Who gets which is a matter of how long they take (durations.py).
The totals are what the runners recorded in their subunit streams, with one
failure more for a runner that could not load its tests; they are printed,
and kept in .test-results/totals. Every failure is told once more before
them: the end of a long output is what is read first, and kept longest.
"""

import dataclasses
import functools
import io
import os
import pathlib
import shutil
import subprocess
import sys
import time

import durations
import subunit
import testtools

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS = ROOT / '.test-results'
DURATIONS = ROOT / 'tests' / 'durations.json'

_TWO = ['--concurrency', '2']
_THREE = ['--concurrency', '3']
# Some of them wait: for a port, a thread or a program.
_ONE_MORE = ['--concurrency', str((os.cpu_count() or 1) + 1)]
# Of tests/openstack, what each run has time for. It fetches Nova once.
NOVA = (
    'test_it_is_relieved_and_every_rule_held',
    'test_an_answer_that_does_not_come_is_not_waited_for_for_long',
    'test_a_relieved_compute_gets_nothing_new_until_news_is_old',
    'test_what_does_not_converge_is_brought_over_by_force',
)
# Name, and how stestr runs it.
GROUPS = {
    'style': ['--serial'],
    'unit': _ONE_MORE,
    'contract': ['--serial'],
    'functional': _THREE,
    'lab': _THREE,
    # A laboratory each.
    'faults': _THREE,
    'nova': [*_TWO, *NOVA],
}
# Those that are run only where they are named: they take as long as the rest.
ON_DEMAND = {'openstack': _TWO}
# Where the tests of a group are, if not in a folder of its name.
FOLDERS = {'nova': 'openstack'}
# What of a test's name says which others it has to share a process with, if
# that is more than its class. There is a laboratory that most share, beside
# those that bring up others (test_lab, test_libvirt).
TOGETHER = dict.fromkeys(FOLDERS | ON_DEMAND, r'tests\.openstack\.(test_l)?')
CLASS = r'([^\.]+\.)+'
# They make namespaces, and start hypervisors in them.
NEED_ROOT = ('contract', 'functional', 'lab', 'faults', 'nova', 'openstack')
AS_ROOT = ROOT / 'tools' / 'as-root'
# How much of what a failed test said is told again at the end.
STORY_LINES = 25


@dataclasses.dataclass(frozen=True)
class Totals:
    """How many tests ended in which way."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    # The tests that failed, each with the end of what it said.
    stories: tuple[str, ...] = ()

    def __add__(self, other: 'Totals') -> 'Totals':
        return Totals(
            self.passed + other.passed,
            self.failed + other.failed,
            self.skipped + other.skipped,
            self.stories + other.stories,
        )

    def __str__(self) -> str:
        return (
            f'{self.passed} passed, {self.failed} failed, '
            f'{self.skipped} skipped'
        )


@functools.cache
def becomes_root() -> bool:
    """Tell whether sudo is needed, and works."""
    if os.geteuid() == 0 or not AS_ROOT.exists():
        return False
    return subprocess.run([AS_ROOT, '--can'], check=False).returncode == 0


def stestr(group, *arguments, **options):
    """Start stestr on the repository and the tests of a group."""
    prefix = []
    if group in NEED_ROOT and becomes_root():
        # Root must leave no files of its own in somebody's tree.
        prefix = [AS_ROOT, 'env', 'PYTHONDONTWRITEBYTECODE=1']
    return subprocess.run(
        [
            *prefix,
            sys.executable,
            '-m',
            'stestr',
            '--repo-url',
            RESULTS / group,
            '--test-path',
            f'tests/{FOLDERS.get(group, group)}',
            '--group_regex',
            TOGETHER.get(group, CLASS),
            *arguments,
        ],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        check=False,
        **options,
    )


def tell(stories: list[str], test: dict) -> None:
    """Add the story of a test that failed to the stories, if it did."""
    if test['status'] not in ('fail', 'uxsuccess', 'inprogress'):
        return
    details = test['details']
    said = details.get('traceback') or details.get('reason')
    lines = said.as_text().rstrip().splitlines() if said else []
    shown = '\n'.join(f'    {line}' for line in lines[-STORY_LINES:])
    stories.append(f'FAILED {test["id"]} ({test["status"]})\n{shown}')


def recorded(stream: bytes) -> Totals:
    """Return the totals of a run, from its stream."""
    summary = testtools.StreamSummary()
    ended = {'success': 0, 'uxsuccess': 0, 'xfail': 0, 'skip': 0, 'fail': 0}

    class Counter(testtools.StreamResult):
        def status(self, test_id=None, test_status=None, **_ignored):
            if test_id is not None and test_status in ended:
                ended[test_status] += 1

    stories = []
    result = testtools.CopyStreamResult(
        [
            summary,
            Counter(),
            testtools.StreamToDict(functools.partial(tell, stories)),
        ]
    )
    result.startTestRun()
    subunit.ByteStreamToStreamResult(
        io.BytesIO(stream), non_subunit_name='stdout'
    ).run(result)
    # Ending the run turns tests that began and never ended into errors.
    result.stopTestRun()
    return Totals(
        passed=ended['success'] + ended['xfail'],
        failed=max(
            len(summary.errors) + ended['uxsuccess'],
            ended['fail'] + ended['uxsuccess'],
        ),
        skipped=ended['skip'],
        stories=tuple(stories),
    )


def give_back(*places: pathlib.Path) -> None:
    """Make what root wrote belong to who runs the tests again."""
    owner = f'{os.getuid()}:{os.getgid()}'
    there = [place for place in places if place.exists()]
    subprocess.run([AS_ROOT, 'chown', '-R', owner, *there], check=False)


def of(group: str, seconds: dict[str, int]) -> dict[str, int]:
    """Return those of the tests of a group."""
    return {
        test: took
        for test, took in seconds.items()
        if test.startswith(f'tests.{FOLDERS.get(group, group)}.')
    }


def renew(group: str, seconds: dict[str, int]) -> None:
    """Keep what the tests of a group took, beside what others did."""
    kept = RESULTS / 'durations.json'
    known = durations.read(kept if kept.exists() else DURATIONS)
    others = known.keys() - of(group, known).keys()
    durations.write(kept, {test: known[test] for test in others} | seconds)


def run(group: str) -> Totals:
    """Run one group, and return its totals."""
    print(f'--- {group}', flush=True)
    shutil.rmtree(RESULTS / group, ignore_errors=True)
    (RESULTS / group).mkdir(parents=True)
    started = time.monotonic()
    options = (GROUPS | ON_DEMAND)[group]
    durations.teach(RESULTS / group, of(group, durations.read(DURATIONS)))
    code = stestr(group, 'run', *options).returncode
    stream = stestr(group, 'last', '--subunit', stdout=subprocess.PIPE).stdout
    totals = recorded(stream)
    if group in NEED_ROOT and becomes_root():
        give_back(RESULTS / group, ROOT / '.hypothesis', ROOT / '.tox')
    renew(group, durations.learned(stream))
    if code and not totals.failed:
        totals += Totals(failed=1)
    seconds = time.monotonic() - started
    print(f'--- {group}: {totals} in {seconds:.0f} s', flush=True)
    return totals


def main() -> int:
    """Run the groups named on the command line, or all but those on demand."""
    chosen = sys.argv[1:] or list(GROUPS)
    there = GROUPS | ON_DEMAND
    unknown = [name for name in chosen if name not in there]
    if unknown:
        print(f'no such group: {unknown[0]}; there are {", ".join(there)}')
        return 2
    kept = RESULTS / 'totals'
    kept.unlink(missing_ok=True)
    totals = sum((run(group) for group in chosen), Totals())
    RESULTS.mkdir(exist_ok=True)
    kept.write_text(f'{totals}\n')
    for story in totals.stories:
        print(story, flush=True)
    print(totals, flush=True)
    return 1 if totals.failed or not totals.passed else 0


if __name__ == '__main__':
    sys.exit(main())
