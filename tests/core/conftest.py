"""Property tests have no deadline: a busy machine is not a bug."""

from hypothesis import HealthCheck, settings

settings.register_profile("servelite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("servelite")
