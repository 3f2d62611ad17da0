"""What each server takes: memory, CPU time, time to start, disk.

``processes.py`` finds a server's processes, ``meter.py`` what they spend on predictions;
``cold.py`` starts servers of its own, ``installed.py``, ``artifacts.py`` and ``images.py`` look at
the disk; ``servers.py`` puts it together. Nothing here raises where a figure cannot be had: its
value is None, and its remark says why.
"""
