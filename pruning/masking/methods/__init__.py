"""Pruning methods: which weights are kept in each step, and how scores are pulled.

``base`` is the interface, ``registry`` maps the names in a spec to the classes. A method depends on the masked layers and not
on training: :mod:`pruning.training` calls it once a step. Never imports kernels of one kind of device, training or models.
"""
