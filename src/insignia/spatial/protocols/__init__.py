"""Protocols of public data sets: one call on a download gives tables, averages and a page."""

from insignia.spatial.protocols import data_sets
from insignia.spatial.protocols.contract import Protocol, protocols
from insignia.spatial.protocols.run import run_protocol, run_stacks

__all__ = ["Protocol", "data_sets", "protocols", "run_protocol", "run_stacks"]
