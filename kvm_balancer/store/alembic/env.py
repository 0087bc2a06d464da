"""How alembic runs our migrations: on the connection it is handed."""

from alembic import context

from kvm_balancer.store import tables

context.configure(
    connection=context.config.attributes['connection'],
    target_metadata=tables.Base.metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
