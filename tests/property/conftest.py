"""What all property tests share."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# An example may take as long as a busy machine takes: a limit of time would be a test of the machine.
settings.register_profile("patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
