"""A lock on an open file. The operating system releases it when the process ends, however it ends."""

import os
import sys


def try_lock(file: int) -> bool:
    """Lock an open file descriptor for this process; return False if another process or descriptor holds the lock."""
    if sys.platform == "win32":  # pragma: no cover - the tests run elsewhere
        import msvcrt

        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(file).st_nlink > 0  # 0: the former holder removed the file
