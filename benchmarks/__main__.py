"""Run what ``tox -e bench`` runs."""

from benchmarks import ingest

if __name__ == '__main__':
    ingest.main()
