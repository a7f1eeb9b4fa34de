"""Files of jobs on this host's disk: attempt folders, inputs fetched for a trainer, copies of checkpoints.

Called by ``worker.run`` around a trainer and by ``worker.maintenance``, which removes what is left over. Must not import either:
nothing here refers to leases, trainers' processes or threads.
"""
