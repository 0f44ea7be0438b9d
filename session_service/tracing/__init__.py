"""Traces: a request, its units of work, its command and the device's report in one picture (OpenTelemetry).

They are off unless ``UNLATCH_OTLP_ENDPOINT`` names a collector. Then ``app`` puts the parts of ``parts.py`` in the
place of the plain ones; without it none of them exists, nothing that makes them is loaded, and a rider waits for none
of this. docs/monitoring.md says what a trace shows, docs/decisions/0024 why it is made so.
"""
