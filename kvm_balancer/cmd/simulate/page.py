"""The report of a simulation: one page that needs nothing else, and JSON."""

import collections.abc
import html
import pathlib

import msgspec

from kvm_balancer import errors
from kvm_balancer.cmd.simulate import plots
from kvm_balancer.cmd.simulate import run as runs
from kvm_balancer.cmd.simulate import wording

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #243040;
       max-width: 1060px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; }
h2 { font-size: 1.15rem; margin-top: 2.2rem; }
p.faint { color: #667; margin-top: .2rem; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { padding: .28rem .6rem; border-bottom: 1px solid #e6e9ee;
         text-align: right; font-variant-numeric: tabular-nums; }
th:first-child, td:first-child { text-align: left; }
thead th { border-bottom: 2px solid #8a94a3; }
tbody td:first-child { min-width: 9rem; }
svg { max-width: 100%; height: auto; }
.wide { overflow-x: auto; }
.wide svg { min-width: 640px; }
.pair { display: flex; flex-wrap: wrap; gap: 1rem; }
.pair svg { flex: 1 1 300px; min-width: 0; }
"""
#: Plans that are listed of each run, and lines that its agent told.
_PLANS = 40
_NOTICES = 200


def write(found: runs.Comparison, folder: pathlib.Path) -> list[pathlib.Path]:
    """Write the report of a comparison; return its files.

    :raises ConfigurationError: when that is not possible
    """
    contents = {
        folder / 'report.html': page(found).encode(),
        folder / 'report.json': msgspec.json.encode(
            runs.document(found, series=True)
        ),
    }
    try:
        for path, content in contents.items():
            path.write_bytes(content)
    except OSError as error:
        raise errors.ConfigurationError(
            f'the report cannot be left in {folder}: {error.strerror}'
        ) from None
    return list(contents)


def page(found: runs.Comparison) -> str:
    """Return the report as one page of HTML."""
    parts = [
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">',
        f'<title>{_text(found.title)}</title><style>{_STYLE}</style></head>',
        f'<body><h1>Simulation</h1><p class="faint">{_text(found.title)}</p>',
        '<h2>Figures</h2>',
        _figures(found),
        '<h2>Over time</h2>',
        '<div class="wide">',
        *plots.over_time(found),
        '</div>',
        '<h2>Promised and seen</h2>',
        '<p class="faint">On the line, what was seen is what was promised. '
        'A gain is what a plan takes off the burden its policy acts on, '
        'with the loads as they were when it was looked at.</p>',
        '<div class="pair">',
        *plots.promises(found),
        '</div>',
        '<h2>Plans</h2>',
        *(_plans(one) for one in found.runs),
        '<h2>What the agent told</h2>',
        *(_notices(one) for one in found.runs),
        '</body></html>',
    ]
    return '\n'.join(parts)


def _figures(found: runs.Comparison) -> str:
    """Show the figures, and what every option that was tried changes."""
    rows = [
        [row.title, *row.cells]
        for row in wording.rows([one.figures for one in found.runs])
    ]
    return _table(['', *(one.name for one in found.runs)], rows)


def _plans(one: runs.Run) -> str:
    made = one.record.plans
    if not made:
        return f'<p>{_text(one.name)}: none</p>'
    rows = [
        [f'{plan.at / 3600.0:.2f}', str(plan.moves), plan.summary]
        for plan in made[:_PLANS]
    ]
    more = len(made) - len(rows)
    told = f' (the first {len(rows)}; {more:,} more)' if more else ''
    return (
        f'<details><summary>{_text(one.name)}: {len(made):,} plans{told}'
        f'</summary>{_table(["hour", "moves", "why"], rows)}</details>'
    )


def _notices(one: runs.Run) -> str:
    told = one.record.notices
    if not told:
        return f'<p>{_text(one.name)}: nothing</p>'
    lines = ''.join(f'<li>{_text(line)}</li>' for line in told[:_NOTICES])
    return (
        f'<details><summary>{_text(one.name)}: {len(told):,} lines'
        f'</summary><ul>{lines}</ul></details>'
    )


def _table(
    heads: collections.abc.Iterable[str],
    rows: collections.abc.Iterable[collections.abc.Iterable[str]],
) -> str:
    head = ''.join(f'<th>{_text(one)}</th>' for one in heads)
    body = ''.join(
        f'<tr>{"".join(f"<td>{_text(cell)}</td>" for cell in row)}</tr>'
        for row in rows
    )
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f'<tbody>{body}</tbody></table></div>'
    )


def _text(text: str) -> str:
    return html.escape(text)
