"""A weigher and a filter that Nova's scheduler loads.

They run in Nova's processes, by Nova's configuration, and know nothing of the
balancer but what its agent last sent.
"""
