"""The transitions as a table and as a diagram, for the documentation.

Drawn from :data:`.transitions.TABLE`, so that they cannot say anything else
than what the machine does.
"""

from kvm_balancer.migration import events
from kvm_balancer.migration.lifecycle import states
from kvm_balancer.migration.lifecycle import transitions

_HEAD = """\
.. The page is written by ``doc/draw_states.py``.

=====================
States of a migration
=====================

A row for each event that may come in a state, what is done, and where it
leads. What is not in the table is impossible: it is told with the story of
the migration, which is unknown from there on (``Stumbled``). Events that
hypervisors send late or twice are in the table as rows that stay where they
are. The same as a diagram, for graphviz:
:download:`migration-states.dot`.

"""


def dot() -> str:
    """Return the diagram in the language of graphviz.

    Rows that stay where they are have no arrow.
    """
    between = r'\n'
    causes: dict[tuple[states.State, states.State], list[str]] = {}
    for (state, kind), rule in transitions.TABLE.items():
        for target in rule.to:
            if target is not state:
                causes.setdefault((state, target), []).append(kind.__name__)
    lines = ['digraph migration {', '    node [shape=box];']
    lines += [
        f'    "{end.value}" [peripheries=2];'
        for end in states.State
        if end.ended
    ]
    lines += [
        f'    "{state.value}" -> "{target.value}"'
        f' [label="{between.join(names)}"];'
        for (state, target), names in causes.items()
    ]
    return '\n'.join([*lines, '}', ''])


def rst() -> str:
    """Return the page of the documentation, one table for each state."""
    parts = [_HEAD]
    for state in states.State:
        rows = [
            (kind, rule)
            for (found, kind), rule in transitions.TABLE.items()
            if found is state
        ]
        if rows and not state.ended:
            parts.append(_section(state, rows))
    return ''.join(parts)


def _section(
    state: states.State,
    rows: list[tuple[type[events.Event], transitions.Rule]],
) -> str:
    title = state.value.capitalize()
    lines = [
        title,
        '=' * len(title),
        '',
        '.. list-table::',
        '   :header-rows: 1',
        '',
        '   * - event',
        '     - what is done',
        '     - leads to',
    ]
    for kind, rule in rows:
        targets = ', '.join(
            'stays' if target is state else target.value for target in rule.to
        )
        lines += [
            f'   * - ``{kind.__name__}``',
            f'     - {_what(rule)}',
            f'     - {targets}',
        ]
    return '\n'.join([*lines, '', ''])


def _what(rule: transitions.Rule) -> str:
    return (rule.handler.__doc__ or '').split('\n', 1)[0].rstrip('.')
