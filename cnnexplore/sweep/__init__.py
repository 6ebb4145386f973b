"""Long sweeps in pieces, computed by threads, processes or a dask cluster."""

from .executors import Client, executor, workers_of
from .pieces import in_pieces
from .worker import Work

__all__ = ["Client", "Work", "executor", "in_pieces", "workers_of"]
