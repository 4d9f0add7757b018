"""Order state machines, a module or folder a platform: pure tables, guards, planning. No I/O, no clock, no asyncio."""
