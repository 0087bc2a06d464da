"""What a migration will take, before and while it runs, and what was learnt.

Pure models of how guests write and of how QEMU copies.
"""
