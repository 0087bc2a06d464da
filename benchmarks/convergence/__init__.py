"""Decisions of the convergence policies, on guests whose all is known.

Thousands of migrations in virtual time, drawn from seeds, through the real
machine and a simulated hypervisor with QEMU's rules. An oracle copies each
guest once with all patience and once with none, and says whether a policy
was wrong. Run ``python -m benchmarks.convergence``.
"""
