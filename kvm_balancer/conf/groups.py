"""Groups of options that each configuration has for itself."""

import copy

from oslo_config import cfg


def register(conf: cfg.ConfigOpts, group: cfg.OptGroup) -> None:
    """Register *group* on *conf*.

    oslo.config copies a group flatly. What is registered in the copies of
    one group later, and what overrides it, all configurations of a process
    would share: credentials, too.
    """
    conf.register_group(copy.deepcopy(group))
