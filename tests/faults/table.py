"""The table of faults in the documentation, from what a campaign has shown.

    python -m tests.faults.table [RESULTS...]

writes the summary of the results beside the table, and the table from it;
without results, the table anew.
"""

import argparse
import pathlib
import sys
import textwrap

from kvm_balancer.lab.faults import catalogue
from tests.faults import results as outcomes
from tests.faults import summary as summaries

_USER = pathlib.Path(__file__).parents[2] / 'doc' / 'source' / 'user'
SUMMARY = _USER / 'faults.json'
TABLE = _USER / 'faults-table.inc'

_HEAD = """\
.. The table is written by ``tests/faults/table.py``.

{runs}

.. list-table::
   :header-rows: 1
   :widths: 20 10 20 40 10

   * - fault
     - phase
     - the instance
     - what the operator sees
     - settled after
"""
_RUNS = """\
{runs} runs of {code}, in which both ends were looked at {looks} times; the
longest that a QEMU gave no answer was {gap} s. {copied} of the runs copied a
disk, and in {guarded} a lock manager ran on both hosts.
"""
_WIDTH = 79


def rst(summary):
    """Return the table."""
    runs = _RUNS.format(
        runs=summary.runs,
        code=_code(summary.commits),
        looks=f'{summary.looks:,}',
        gap=f'{summary.longest_gap:.1f}',
        copied=summary.copied,
        guarded=summary.guarded,
    )
    lines = [_HEAD.format(runs=textwrap.fill(runs, _WIDTH))]
    before = ''
    for case in summary.cases:
        title = catalogue.FAULTS[case.fault].title
        cells = [
            title if case.fault != before else '',
            case.phase,
            _instance(case),
            _seen(case),
            f'{case.settled_seconds:.0f} s',
        ]
        before = case.fault
        lines += [
            _cell(text, '   * -' if index == 0 else '     -')
            for index, text in enumerate(cells)
        ]
    return ''.join(lines)


def _code(commits):
    if len(commits) == 1:
        return f'commit ``{next(iter(commits))}``'
    return ', '.join(
        f'commit ``{commit}`` ({runs})' for commit, runs in commits.items()
    )


def _cell(text, bullet):
    wrapped = textwrap.fill(
        f'{bullet} {text}',
        _WIDTH,
        subsequent_indent=' ' * 7,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return f'{wrapped}\n' if text else f'{bullet}\n'


def _instance(case):
    """Say what happened to it, with how often where that differed."""
    counted = {}
    for end in case.ends:
        counted[end.instance] = counted.get(end.instance, 0) + end.runs
    if len(counted) == 1:
        return f'{next(iter(counted))} ({case.runs})'
    return ', '.join(f'{what} ({runs})' for what, runs in counted.items())


def _seen(case):
    """Say what was told, the most frequent first."""
    return '; or '.join(
        f'**{", then ".join(end.outcomes)}**: {_escaped(end.reason)}'
        for end in case.ends
    )


def _escaped(text):
    for character in '\\*`_|':
        text = text.replace(character, f'\\{character}')
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('results', nargs='*', type=pathlib.Path)
    chosen = parser.parse_args()
    try:
        if chosen.results:
            found = [
                one for path in chosen.results for one in outcomes.read(path)
            ]
            SUMMARY.write_text(summaries.dump(summaries.summarise(found)))
        TABLE.write_text(rst(summaries.load(SUMMARY.read_text())))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f'{TABLE} is written')
    return 0


if __name__ == '__main__':
    sys.exit(main())
