"""Serve a service of OpenStack: wsgi.py MODULE HOST:PORT THREADS

Run by the interpreter of the services.
"""

import importlib
import sys

import waitress

module, listen, threads = sys.argv[1:4]
# The services read the command line as theirs.
sys.argv = [module]
waitress.serve(
    importlib.import_module(module).application,
    listen=listen,
    threads=int(threads),
    ident=module,
    channel_timeout=300,
)
