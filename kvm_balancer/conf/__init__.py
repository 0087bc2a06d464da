"""Options only: one module a group, each with register_opts(conf).

The configuration is made in ``cmd`` and passed in; there is no global.
"""
