"""What stands in the configuration files, held against the options.

oslo.config takes no notice of a key that nobody registered, and converts a
value only when it is asked for. An operator wants to hear of both when the
program starts, with the file that it stands in. Knows nothing of what the
options are for.
"""

import collections.abc
import dataclasses
import difflib
import math
import pathlib
import re

from oslo_config import cfg

from kvm_balancer import errors

_DEFAULT = 'DEFAULT'
#: What oslo.config says before the reason that the value is refused.
_PREAMBLE = re.compile(r'^Value for option .*? is not valid: ')
#: Reasons that it takes from Python, and what an operator reads instead.
_REASONS = (
    (
        re.compile(r'^could not convert string to float: (.*)$'),
        r'\1 is not a number',
    ),
    (
        re.compile(r'^invalid literal for int\(\) with base 10: (.*)$'),
        r'\1 is not a whole number',
    ),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One key of one file."""

    file: str
    group: str
    key: str

    @property
    def option(self) -> str:
        """The name that the option has in the program."""
        return self.key.replace('-', '_')


def entries(conf: cfg.ConfigOpts) -> list[Entry]:
    """Return what the files of *conf* hold, in the order they were read."""
    files = [str(one) for one in conf.config_file]
    for folder in conf.config_dirs:
        files += sorted(map(str, pathlib.Path(folder).glob('*.conf')))
    return [entry for name in files for entry in _entries(name)]


def _entries(name: str) -> collections.abc.Iterator[Entry]:
    sections: dict[str, dict[str, list[str]]] = {}
    cfg.ConfigParser(name, sections).parse()
    for group, keys in sections.items():
        for key in keys:
            yield Entry(name, group, key)


def check_values(conf: cfg.ConfigOpts) -> None:
    """Convert every value that was written.

    What is not a number is under no least value and over no highest, so that
    limits of options do not keep it out.

    :raises ConfigurationError: naming file, group and option of the first
        one that does not fit
    """
    for one in reversed(entries(conf)):
        if not _knows(conf, one):
            continue
        try:
            value = (
                conf[one.option]
                if one.group == _DEFAULT
                else conf[one.group][one.option]
            )
        except cfg.Error as error:
            raise _unfit(one, reason(error)) from None
        if isinstance(value, float) and math.isnan(value):
            raise _unfit(one, f"'{value}' is not a number")


def _unfit(one: Entry, why: str) -> errors.ConfigurationError:
    return errors.ConfigurationError(
        f'{one.file}: [{one.group}] {one.key}: {why}'
    )


def check_keys(
    conf: cfg.ConfigOpts, groups: collections.abc.Collection[str], wider: str
) -> None:
    """Refuse keys that nothing reads, where to pass them over is dangerous.

    :param groups: of which every option is registered
    :param wider: the group that they say otherwise of; it may have options
        that they have not
    :raises ConfigurationError: naming file, group and the nearest option
    """
    for one in entries(conf):
        if one.group not in groups or _knows(conf, one):
            continue
        if one.option in _options(conf, wider):
            hint = f'it holds everywhere or nowhere: set it in [{wider}]'
        else:
            near = difflib.get_close_matches(
                one.option, _options(conf, one.group), 1, cutoff=0.0
            )
            hint = f'did you mean {near[0]}?'
        raise errors.ConfigurationError(
            f'{one.file}: [{one.group}] {one.key} is no option; {hint}'
        )


def unknown(
    conf: cfg.ConfigOpts, ours: collections.abc.Collection[str]
) -> list[str]:
    """Return a line for every key that nothing reads.

    Of groups that are not *ours*, and of ``DEFAULT``, only what looks like a
    slip: libraries and plugins register their options when they need them.

    :param ours: groups of which every option is registered
    """
    lines = []
    for one in dict.fromkeys(entries(conf)):
        if one.group == _DEFAULT or one.group in ours:
            line = _unknown_key(conf, one, one.group in ours)
        else:
            line = _unknown_group(conf, one, ours)
        if line and line not in lines:
            lines.append(line)
    return lines


def _knows(conf: cfg.ConfigOpts, one: Entry) -> bool:
    return one.option in _options(conf, one.group)


def _options(conf: cfg.ConfigOpts, group: str) -> list[str]:
    if group != _DEFAULT:
        return list(conf[group]) if group in conf else []
    return [name for name in conf if not _is_group(conf, name)]


def _is_group(conf: cfg.ConfigOpts, name: str) -> bool:
    try:
        return isinstance(conf[name], cfg.ConfigOpts.GroupAttr)
    except cfg.Error:
        # An option, and its value does not fit.
        return False


def _unknown_key(conf: cfg.ConfigOpts, one: Entry, certain: bool) -> str:
    known = _options(conf, one.group)
    if one.option in known:
        return ''
    near = difflib.get_close_matches(one.option, known, 1)
    if not near and not certain:
        return ''
    hint = f'; did you mean {near[0]}?' if near else ''
    return (
        f'{one.file}: [{one.group}] {one.key} is no option and is ignored'
        f'{hint}'
    )


def _unknown_group(
    conf: cfg.ConfigOpts, one: Entry, ours: collections.abc.Collection[str]
) -> str:
    if one.group in conf:
        return ''
    near = difflib.get_close_matches(one.group, list(ours), 1)
    if not near:
        return ''
    return (
        f'{one.file}: [{one.group}] is no group of options and is ignored; '
        f'did you mean [{near[0]}]?'
    )


def reason(error: cfg.Error | ValueError) -> str:
    """Return why a value was refused, in one line and in our words."""
    text = _PREAMBLE.sub('', ' '.join(str(error).split()))
    for theirs, ours in _REASONS:
        text = theirs.sub(ours, text)
    return text
