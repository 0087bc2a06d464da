"""What all pictures look like, in the words of matplotlib's settings."""

from typing import Any

INK = '#243040'
FAINT = '#8a94a3'
GRID = '#e6e9ee'

_SETTINGS = {
    'font.size': 10.0,
    'axes.edgecolor': FAINT,
    'axes.labelcolor': INK,
    'axes.titlelocation': 'left',
    'axes.titleweight': 'bold',
    'axes.titlesize': 11.0,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.grid': True,
    'grid.color': GRID,
    'text.color': INK,
    'xtick.color': INK,
    'ytick.color': INK,
}


def settings(salt: str, more: dict[str, Any]) -> dict[Any, Any]:
    """Return settings for one picture.

    :param salt: the names inside an SVG are made from it, so that the same
        picture is the same file
    :param more: what this picture has besides
    """
    return {**_SETTINGS, **more, 'svg.hashsalt': salt}
