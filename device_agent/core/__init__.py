"""What the agent decides, without any I/O: an event and the uptime go in, effects come out (DESIGN 2, STYLE 2).

Start reading at ``agent.py``. Nothing here has a clock, socket, thread, file or chance of its own, so the same
code runs on a device, in a fleet of a thousand and under Hypothesis.
"""
