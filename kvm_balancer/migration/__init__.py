"""The life of one migration: what may follow what, and what to do next.

Pure. Facts come in as events (:mod:`.events`), wishes go out as instructions
(:mod:`.instructions`); the machine (:mod:`.machine`) is all that lies
between. A driver carries instructions out and reports what it sees; it
decides nothing.
"""
