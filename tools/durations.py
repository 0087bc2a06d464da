"""How long tests take, so that no worker ends long after the others.

stestr deals classes out to its workers by how long their tests took the last
time, the longest first, and where it does not know one after the other. A
fresh clone knows nothing: it is told what is kept here, in whole seconds by
test. Nothing else depends on these; what is not among them is dealt out after
what is.

Each run leaves a new file in .test-results/durations.json: to renew them,
copy it to tests/durations.json.
"""

import datetime
import io
import json
import pathlib

from stestr.repository import file as repositories
import subunit
import testtools

#: What takes less evens out by itself.
_LEAST_SECONDS = 2


def read(path: pathlib.Path) -> dict[str, int]:
    """Return the seconds that are kept, by test; none without a file."""
    return json.loads(path.read_text()) if path.exists() else {}


def write(path: pathlib.Path, seconds: dict[str, int]) -> None:
    """Keep them, in the order of their names."""
    path.write_text(json.dumps(seconds, indent=1, sort_keys=True) + '\n')


def teach(folder: pathlib.Path, seconds: dict[str, int]) -> None:
    """Make a repository that knows how long tests took, and of no run."""
    kept = repositories.RepositoryFactory().initialise(str(folder))
    began = datetime.datetime.fromtimestamp(0, datetime.UTC)
    run = kept.get_inserter()
    run.startTestRun()
    for test, took in seconds.items():
        ended = began + datetime.timedelta(seconds=took)
        run.status(test, 'inprogress', timestamp=began)
        run.status(test, 'success', timestamp=ended)
    run.stopTestRun()
    # It must not be taken for one of these tests.
    kept.remove_run_id(str(run.get_id()))


def learned(stream: bytes) -> dict[str, int]:
    """Return the seconds of the tests of a run that take long."""
    found = {}

    def look(test: dict) -> None:
        began, ended = test['timestamps']
        if began and ended:
            took = round((ended - began).total_seconds())
            if took >= _LEAST_SECONDS:
                found[test['id']] = took

    result = testtools.StreamToDict(look)
    result.startTestRun()
    subunit.ByteStreamToStreamResult(
        io.BytesIO(stream), non_subunit_name='stdout'
    ).run(result)
    result.stopTestRun()
    return found
