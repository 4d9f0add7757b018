"""The daemon: what it is put together from (`composition`), and how it is started (`start`). Only this room knows
everybody."""
