"""Records by the beginning of their id, as people type it."""

from typing import TypeVar

import sqlalchemy
from sqlalchemy import orm

from kvm_balancer import errors
from kvm_balancer.store import tables

RowT = TypeVar('RowT', tables.Plan, tables.Migration)


def find(
    session: orm.Session, table: type[RowT], wanted: str, noun: str
) -> RowT:
    """Return the one row whose id is, or begins with, *wanted*.

    :param noun: what a row is, for the error
    :raises NotFound: when there is none, or more than one
    """
    if not wanted:
        raise errors.NotFound(f'there is no {noun} without an id; give one')
    exact = session.get(table, wanted)
    if exact is not None:
        return exact
    query = (
        sqlalchemy.select(table)
        .where(table.id.startswith(wanted, autoescape=True))
        .limit(2)
    )
    found = session.scalars(query).all()
    if len(found) > 1:
        raise errors.NotFound(
            f'more than one {noun} begins with {wanted}; give more of its id'
        )
    if not found:
        raise errors.NotFound(f'there is no {noun} {wanted}')
    return found[0]
