"""Settings of ``.venv/bin/gunicorn 'app.web:create_app()'``, run from this folder; the command line overrides them."""

import logging
import os
import socket
import struct
import sys
from pathlib import Path

# One thread per worker for linear algebra, so that workers do not compete for the cores. NumPy reads these when it
# is loaded.
for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

from app.settings import Settings, SettingsError  # noqa: E402

try:
    settings = Settings.from_env()
except SettingsError as error:
    sys.exit(str(error))

# The application logs in gunicorn's format.
logging.basicConfig(format="[%(asctime)s] [%(process)d] [%(levelname)s] %(message)s", datefmt="%Y-%m-%d %H:%M:%S %z")

bind = "127.0.0.1:8000"
workers = settings.workers
worker_class = "sync"
# Heartbeat files in memory, independent of a read-only or slow disk.
memory = Path("/dev/shm")  # noqa: S108
worker_tmp_dir = str(memory) if memory.is_dir() else None
control_socket_disable = True

# Timeout for the next part of a request, s.
PATIENCE = 5


def when_ready(server):  # type: ignore[no-untyped-def]  # gunicorn's own hook
    """Keep silent clients from occupying the workers: every connection inherits these options.

    The kernel hands a connection over once its first bytes have arrived, and ends each wait for more after `PATIENCE`.
    """
    for listener in server.LISTENERS:
        if listener.sock.family in {socket.AF_INET, socket.AF_INET6} and hasattr(socket, "TCP_DEFER_ACCEPT"):
            listener.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, PATIENCE)
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", PATIENCE, 0))
