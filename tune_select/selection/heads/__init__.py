"""Last-layer gradients of any model: which layer is last, what it saw, and what that makes.

The layer is found from the autograd graph (``find``), checked by one identity of the gradients
(``verify``), watched by hooks (``capture``) and turned into what selectors match (``gradients``).
"""
