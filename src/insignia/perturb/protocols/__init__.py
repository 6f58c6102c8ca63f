"""Protocols of published screens: one call on a download gives tables, averages and a page."""

from insignia.perturb.protocols import data_sets
from insignia.perturb.protocols.contract import Protocol, protocols
from insignia.perturb.protocols.run import run_protocol

__all__ = ["Protocol", "data_sets", "protocols", "run_protocol"]
