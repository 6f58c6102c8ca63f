"""How the explorer is served, and what it refuses."""

from dataclasses import dataclass
from ipaddress import ip_address

from insignia.core.errors import InputError
from insignia.core.settings import num_threads

__all__ = ["ServeOptions"]


@dataclass(frozen=True)
class ServeOptions:
    """Where the explorer listens, and its limits.

    Parameters
    ----------
    host
        Interface to bind to. Another one than this machine's own needs a token.
    port
        Port to bind to; 0 takes a free one.
    token
        What callers must show. `None` asks for none.
    max_genes
        Genes of a signature.
    max_upload_bytes
        Size of an uploaded file, and of any other body.
    max_sets
        Gene sets of an uploaded file.
    workers
        Queries that run at the same time; 0 takes the number of threads.
    max_waiting
        Queries that may wait for a worker; more are refused, to be tried again.
    timeout_s
        Seconds after which a query is given up, the time that it waited for a worker left aside.
    cache_bytes
        Memory for the answers of earlier queries.
    max_points
        Samples that are sent to be drawn; downloads hold all.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    token: str | None = None
    max_genes: int = 1000
    max_upload_bytes: int = 1_000_000
    max_sets: int = 500
    workers: int = 0
    max_waiting: int = 64
    timeout_s: float = 30.0
    cache_bytes: int = 256_000_000
    max_points: int = 5000

    def __post_init__(self) -> None:
        positive = ("max_genes", "max_upload_bytes", "max_sets", "max_waiting", "timeout_s", "max_points")
        for name in positive:
            if getattr(self, name) <= 0:
                raise InputError(f"{name} must be above 0; found {getattr(self, name)}.")
        if not 0 <= self.port < 65_536:
            raise InputError(f"A port is a number from 0 to 65535; found {self.port}.")
        if self.token is not None and len(self.token) < 16:
            raise InputError("A token needs at least 16 letters, so that it cannot be guessed.")
        if not self.is_local and self.token is None:
            raise InputError(
                f"host={self.host!r} can be reached from other machines, so a token is needed. Give one, or let "
                "`insignia serve --host` make one."
            )

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def n_workers(self) -> int:
        """Queries that run at the same time."""
        return self.workers or max(2, num_threads())
