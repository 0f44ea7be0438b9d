"""Simulated devices, riders, networks and providers, to try the whole system on one machine."""
