"""How Nova writes when something was, in its API and in what it notifies."""

import datetime


def read(text: object) -> float:
    """Return seconds since the epoch; 0 where there is no time, or no sense.

    :param text: as in ISO 8601; UTC where it names no zone
    """
    if not isinstance(text, str):
        return 0.0
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return moment.timestamp()
