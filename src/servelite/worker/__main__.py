"""A worker process: `python -m servelite.worker FOLDER SOCKET_FD THREADS GATEWAY_PID`, started by the gateway."""

import sys
from pathlib import Path

from servelite.worker.process import main

if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
