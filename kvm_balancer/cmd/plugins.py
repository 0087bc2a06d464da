"""``kvm-balancer plugins``: what is installed, and whether it loads."""

import argparse
import importlib.metadata

from kvm_balancer.cmd import listing

#: The plugin points of the project.
KINDS = (
    'policies',
    'filters',
    'weighers',
    'convergence',
    'drivers',
)


#: What kind, name and state take of a line.
_MARGIN = 48


def _wrapped(value: str) -> str:
    return listing.one_per_line([value], _MARGIN)


class List(listing.Listing):
    """List the plugins that are installed, and whether they load."""

    columns = (
        listing.Column('kind', 'Kind'),
        listing.Column('name', 'Name'),
        listing.Column('loads', 'Loads', listing.yes),
        listing.Column('text', 'What it does, or why it does not', _wrapped),
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            '--kind', choices=KINDS, help='Only plugins of this kind.'
        )

    def rows(self, parsed_args: argparse.Namespace) -> list[listing.Row]:
        kinds = [parsed_args.kind] if parsed_args.kind else KINDS
        return [
            _row(kind, found)
            for kind in kinds
            for found in sorted(
                importlib.metadata.entry_points(group=f'kvm_balancer.{kind}'),
                key=lambda one: one.name,
            )
        ]


def _row(kind: str, found: importlib.metadata.EntryPoint) -> listing.Row:
    loads = True
    try:
        plugin = found.load()
        text = (plugin.__doc__ or '').partition('\n')[0]
    except Exception as error:
        # Whatever a foreign plugin raises is what the operator has to know.
        loads = False
        text = ' '.join(f'{type(error).__name__}: {error}'.split())
    return {
        'kind': kind,
        'name': found.name,
        'package': found.dist.name if found.dist else None,
        'loads': loads,
        'text': text,
    }
