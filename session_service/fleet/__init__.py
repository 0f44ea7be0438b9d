"""The fleet's side of MQTT: the gateway, reports, heartbeats."""
