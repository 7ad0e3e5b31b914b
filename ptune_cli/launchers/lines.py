"""What other processes print, in whole lines, each behind the number of its process."""

import os
import sys
from typing import IO


class Lines:
    """What one process prints, passed on in whole lines."""

    def __init__(self, pipe: IO[bytes], number: int):
        self._pipe, self._number, self._begun = pipe, number, b""

    def read(self) -> bool:
        """Pass on what there is. False at the end, when the pipe is closed."""
        data = os.read(self._pipe.fileno(), 1 << 16)
        *lines, self._begun = (self._begun + data).split(b"\n")
        if not data and self._begun:
            lines.append(self._begun)
        for line in lines:
            sys.stderr.write(f"{self._number}| {line.decode('utf-8', 'replace')}\n")
        sys.stderr.flush()
        return bool(data)
