"""Answers of the agent to "why?", of plans that it made or would make now."""

import collections.abc

from kvm_balancer import errors
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import observation
from kvm_balancer.model import owners
from kvm_balancer.model import plan as plans
from kvm_balancer.model.cloud import rules
from kvm_balancer.planner import context as contexts
from kvm_balancer.planner.explanation import answers
from kvm_balancer.planner.explanation import judgement
from kvm_balancer.planner.explanation import records
from kvm_balancer.planner.explanation import subjects
from kvm_balancer.service import watch
from kvm_balancer.store import plans as plan_store

#: Makes a plan of a fleet now.
MakePlan = collections.abc.Callable[[], plans.Plan]


def explain(
    subject: str,
    plan_id: str | None,
    fleet: columns.Fleet,
    context: contexts.Context,
    kept: plan_store.PlanStore,
    make: MakePlan,
    known: judgement.Known,
    asked: collections.abc.Collection[str] = (),
) -> records.Explanation:
    """Explain *subject*: a host, an instance, or else a plan that is kept.

    A plan that is kept is held against the fleet as it is now.

    :param plan_id: of the plan that has to do with it; None for one that is
        made now
    :param asked: what a plan that is made now is asked for
    :raises NotFound: when it is none of them, or there is no such plan
    :raises ConfigurationError: when a plan that is kept is asked for more
    """
    try:
        found = subjects.find(fleet, subject)
    except errors.NotFound as unknown:
        if plan_id is not None:
            raise
        try:
            record = kept.get(subject)
        except errors.NotFound:
            raise errors.NotFound(
                f'there is no plan {subject}, and {unknown}'
            ) from None
        _refuse(asked, subject)
        answering = answers.Answers(fleet, context, record.plan, known)
        return answering.plan(record.summary.id)
    if plan_id is not None:
        _refuse(asked, plan_id)
    made = make() if plan_id is None else kept.get(plan_id).plan
    return answers.Answers(fleet, context, made, known).of(found)


def _refuse(asked: collections.abc.Collection[str], plan_id: str) -> None:
    """Refuse what only a plan that is made now could be asked for."""
    if asked:
        raise errors.ConfigurationError(
            f'plan {plan_id} is explained as it was made: leave '
            f'{", ".join(sorted(asked))} out'
        )


class Custody:
    """Says why instances may not be moved, by what their hosts report."""

    def __init__(self, fleet: watch.FleetWatch) -> None:
        self._fleet = fleet

    def __call__(self, uid: str) -> str:
        """Return it in one line; empty where nothing is known."""
        (held,) = self._fleet.custodies((uid,))
        return self.of(uid, held)

    def of(self, uid: str, held: observation.Custody | None) -> str:
        """Return the same of an instance of which it is known whose it is."""
        if held is None:
            return ''
        known = self._fleet.rules()
        if known is not None:
            terms = known.terms(uid)
            if terms is not None:
                return (
                    terms.hindrance
                    or self._misplaced(uid, known)
                    or self._not_now(uid, held)
                )
        if held.owner == owners.Owner.NOVA:
            return _of_nova(known)
        if held.owner != 'balancer':
            return _withheld(held.withheld, self._fleet.place(uid))
        return self._not_now(uid, held)

    def _not_now(self, uid: str, held: observation.Custody) -> str:
        """Say why an instance that is somebody's is not moved now."""
        host = self._fleet.place(uid)
        if host and self._fleet.host(host).silent:
            return f'{host} has gone silent: nobody knows what it runs now'
        if held.state != 'running':
            return f'it does not run: it is {held.state}'
        if held.elsewhere:
            return 'two hosts report it: their next samples tell who has it'
        if not held.measured:
            return 'its use of CPU is not known yet: two samples of it tell'
        return ''

    def _misplaced(self, uid: str, known: rules.Rules) -> str:
        """Say where Nova has a server other than who reports it."""
        host, there = self._fleet.place(uid), known.cloud.servers[uid].host
        if host in ('', there):
            return ''
        if host in known.cloud.computes:
            return f'{host} reports it, and Nova has it on {there}'
        return (
            f'{host} reports it, and Nova has it on {there}, and no compute '
            f'{host}: set [host] name of that executor to what Nova calls it'
        )


def _withheld(why: owners.Withheld, host: str) -> str:
    """Say what makes an instance nobody's."""
    there = f' of {host}' if host else ' of its host'
    match why:
        case owners.Withheld.HOST:
            return (
                f'it is not ours to move: [executor] manage{there} is none, '
                'or not set'
            )
        case owners.Withheld.METADATA:
            return (
                'it is not ours to move: the metadata of its domain says that '
                'it is not to be managed'
            )
        case owners.Withheld.UNMARKED:
            return (
                'it is not ours to move: the metadata of its domain does not '
                f'say so, which [executor] manage{there} asks for'
            )
        case owners.Withheld.NAME:
            return (
                'it is not ours to move: its name is none of [executor] '
                f'manage_names{there}'
            )
        case _:
            return (
                'it is not ours to move: its host or its metadata says so; '
                'see [executor] manage there'
            )


def _of_nova(known: rules.Rules | None) -> str:
    if known is None:
        return (
            'it is Nova that moves it, and Nova is not asked to: see [nova] '
            'auth_type'
        )
    if not known.cloud.taken_at:
        return (
            "it is Nova's, and what is known of Nova is too old to go by: "
            'see kvm-balancer status'
        )
    return "it is said to be Nova's, and Nova does not know it"
