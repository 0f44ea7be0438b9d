"""How often who may ask: one table, counted in this process's memory.

Each instance of the service counts for itself: with N of them behind one address, a caller may ask up to N times as
often as the table says. That is meant: the table keeps one caller from using up an instance, and what must hold
exactly (money, one session a device) is kept by the database.
"""
