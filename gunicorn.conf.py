"""How the service runs: ``.venv/bin/gunicorn 'app.web:create_app()'`` from here; the command line wins."""

import logging
import os
import socket
import struct
import sys
from pathlib import Path

# One thread a worker for linear algebra: the threads of several workers would fight over the cores. NumPy reads these
# when it is loaded, so they are set first.
for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

from app.settings import Settings, SettingsError  # noqa: E402

try:
    settings = Settings.from_env()
except SettingsError as error:
    sys.exit(str(error))

# The application's own lines, in the form of gunicorn's.
logging.basicConfig(format="[%(asctime)s] [%(process)d] [%(levelname)s] %(message)s", datefmt="%Y-%m-%d %H:%M:%S %z")

bind = "127.0.0.1:8000"
workers = settings.workers
worker_class = "sync"
# Where a worker shows that it lives: in memory, so that a read-only or slow disk does not matter.
memory = Path("/dev/shm")  # noqa: S108
worker_tmp_dir = str(memory) if memory.is_dir() else None
control_socket_disable = True

# Seconds that a client may keep a worker waiting for the next piece of its request.
PATIENCE = 5


def when_ready(server):  # type: ignore[no-untyped-def]  # gunicorn's own hook
    """Keep silent clients from occupying the workers; what is set here is inherited by every connection.

    The kernel hands over a connection when its first bytes have come, and ends a wait for more of them in time.
    """
    for listener in server.LISTENERS:
        if listener.sock.family in {socket.AF_INET, socket.AF_INET6} and hasattr(socket, "TCP_DEFER_ACCEPT"):
            listener.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, PATIENCE)
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", PATIENCE, 0))
