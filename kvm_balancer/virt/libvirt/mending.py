"""What is done to copies that a migration has left behind.

Each under the one lock of the instance, with both ends read anew right
before, and only to a copy that carries the mark of the migration and is ours
to move. What does not hold is refused, and nothing is done then.
"""

import collections.abc

import libvirt

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration import request
from kvm_balancer.migration.lifecycle import verdicts
from kvm_balancer.model import owners
from kvm_balancer.virt import ownership
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import documents
from kvm_balancer.virt.libvirt import ends
from kvm_balancer.virt.libvirt import lines
from kvm_balancer.virt.libvirt import locks
from kvm_balancer.virt.libvirt import marking

_Action = verdicts.Action
_State = events.EndState

#: A definition goes alone; what the firmware of the instance keeps is the
#: destination's where both share it.
_UNDEFINE = libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM

_IN_POST_COPY = (_State.POST_COPY, _State.POST_COPY_FAILED)


class Mender:
    """Mends what one migration has left."""

    def __init__(
        self,
        links: lines.Lines,
        wanted: request.Request,
        manage: ownership.Manage,
    ) -> None:
        self._source = links.source
        self._destination = links.destination
        self._wanted = wanted
        self._manage = manage

    def mend(self, wish: instructions.Mend) -> str:
        """Do what *wish* says, and return it in words.

        :raises HypervisorError: when it must not be done
        :raises HypervisorUnreachable: when an end does not answer
        """
        with locks.holding(self._wanted.instance):
            self._refuse_changed(wish)
            match wish.action:
                case _Action.DESTROY_SOURCE:
                    self._define_there()
                    self._touch(self._source, wish.source, _remove)
                    return 'what was left on the source was removed'
                case _Action.DESTROY_DESTINATION:
                    self._touch(self._destination, wish.destination, _remove)
                    return 'the unstarted copy on the destination was removed'
                case _Action.RESUME_SOURCE:
                    self._touch(self._source, wish.source, _resume)
                    return 'it was resumed on the source'
                case _Action.RESUME_DESTINATION:
                    self._touch(self._destination, wish.destination, _resume)
                    return 'it was started on the destination'
                case _Action.SUSPEND_BOTH:
                    return self._suspend_both()
                case _:
                    raise errors.HypervisorError(
                        f'{wish.action.value} is nothing that can be done'
                    )

    def refuse_foreign(self) -> None:
        """Make sure that what the source does is done for the migration.

        :raises KVMBalancerError: when it is not, or cannot be known
        """
        self._source.call(lambda handle: self._owned(handle))

    def before_recovery(self) -> _State:
        """Make sure that post-copy broke, and is that of the migration.

        :returns: what the source says: it may not have noticed yet
        :raises HypervisorError: when there is nothing to recover
        """
        source, destination = self._look()
        for end, link in (
            (source, self._source),
            (destination, self._destination),
        ):
            if end.state not in _IN_POST_COPY:
                raise errors.HypervisorError(
                    'there is no post-copy to recover: source '
                    f'{source.state.value}, destination '
                    f'{destination.state.value}'
                )
            link.call(lambda handle: self._owned(handle))
        return source.state

    def unmark(self) -> None:
        """Take the mark of the migration off both ends.

        :raises KVMBalancerError: when one of them was not to be reached;
            the other one was tried all the same
        """
        trouble: errors.KVMBalancerError | None = None
        for link in (self._source, self._destination):
            try:
                with locks.holding(self._wanted.instance):
                    link.call(self._erase)
            except errors.NotFound:
                continue
            except errors.KVMBalancerError as error:
                trouble = error
        if trouble is not None:
            raise errors.HypervisorError(str(trouble))

    def _erase(self, handle: connection.Handle) -> None:
        marking.erase(
            handle.lookupByUUIDString(self._wanted.instance),
            self._wanted.migration_id,
        )

    def _look(self) -> tuple[events.End, events.End]:
        uuid = self._wanted.instance
        return ends.look(self._source, uuid), ends.look(
            self._destination, uuid
        )

    def _refuse_changed(self, wish: instructions.Mend) -> None:
        source, destination = self._look()
        # Once more: a guest that was switched over in between was seen to
        # run on both.
        again = ends.look(self._source, self._wanted.instance)
        seen = (source.state, destination.state, again.state)
        if seen != (wish.source, wish.destination, wish.source):
            raise errors.HypervisorError(
                'the ends changed meanwhile: source '
                f'{again.state.value}, destination {destination.state.value}'
            )
        begun = wish.job_since(again, destination)
        if begun:
            raise errors.HypervisorError(
                f'a job has begun meanwhile on the {begun}'
            )

    def _touch(
        self,
        link: connection.Connection,
        state: _State,
        work: collections.abc.Callable[[connection.Handle], None],
    ) -> None:
        """Do something to a copy that is ours, and is still in *state*."""

        def do(handle: connection.Handle) -> None:
            domain = self._owned(handle)
            found = ends.end_state(*domain.state())
            if found is not state:
                raise errors.HypervisorError(
                    f'the copy there is {found.value} by now'
                )
            work(domain)

        link.call(do)

    def _owned(self, handle: connection.Handle) -> connection.Handle:
        """Return the domain, if it is ours.

        :raises HypervisorError: when it is not
        """
        domain = handle.lookupByUUIDString(self._wanted.instance)
        mark = marking.read(domain)
        if mark is None or mark.migration_id != self._wanted.migration_id:
            raise errors.HypervisorError(
                'the copy there does not carry the mark of this migration'
            )
        facts = documents.read_domain(domain.XMLDesc(0))
        owner, reason = ownership.owner_of(facts.marks, self._manage)
        if owner != owners.Owner.BALANCER:
            raise errors.HypervisorError(f'the copy there: {reason}')
        return domain

    def _define_there(self) -> None:
        """See that the definition stays, where the instance has one.

        The destination defines it before it lets it run; libvirt goes on
        without where that failed.
        """

        def definition(handle: connection.Handle) -> str:
            domain = self._owned(handle)
            if not domain.isPersistent():
                return ''
            return str(
                domain.XMLDesc(
                    libvirt.VIR_DOMAIN_XML_INACTIVE
                    | libvirt.VIR_DOMAIN_XML_SECURE
                )
            )

        def define(handle: connection.Handle) -> None:
            if not self._owned(handle).isPersistent():
                handle.defineXML(xml)

        xml = self._source.call(definition)
        if xml:
            self._destination.call(define)

    def _suspend_both(self) -> str:
        trouble = []
        for name, link in (
            ('source', self._source),
            ('destination', self._destination),
        ):
            try:
                self._touch(link, _State.RUNNING, _suspend)
            except errors.KVMBalancerError as error:
                trouble.append(f'{name}: {error}')
        if trouble:
            raise errors.HypervisorError('; '.join(trouble))
        return 'both copies were suspended'


def _remove(domain: connection.Handle) -> None:
    """Take a copy away that does not run, with its definition."""
    marked = bool(domain.isPersistent()) and (
        marking.read(domain, defined=True) is not None
    )
    if domain.isActive():
        domain.destroy()
    if marked:
        domain.undefineFlags(_UNDEFINE)


def _resume(domain: connection.Handle) -> None:
    domain.resume()


def _suspend(domain: connection.Handle) -> None:
    domain.suspend()
