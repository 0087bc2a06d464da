"""One migration: what is asked, what may follow what, what it will take.

Pure. Facts come in as events (:mod:`.events`), wishes go out as instructions
(:mod:`.instructions`); the machine (:mod:`.lifecycle.machine`) is all that
lies between. A driver carries instructions out and reports what it sees; it
decides nothing. Which way a copy goes on is decided in :mod:`.convergence`,
what it will take is known in :mod:`.foresight`, and which options hold for
an instance in :mod:`.options`.
"""
