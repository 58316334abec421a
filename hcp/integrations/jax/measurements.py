"""What XLA's compiler said that programs take. Compiling is most of what it takes to keep a budget."""

import os

import jax

from hcp.integrations.measurements import Measurements
from hcp.plans.cache import CacheOption, folder_of
from hcp.version import __version__


def measurements_of(subject: str, cache: CacheOption) -> Measurements:
    """What is known of a subject, such as one program, on the devices at hand, in bytes."""
    device, flags = jax.devices()[0].device_kind, os.environ.get("XLA_FLAGS", "")
    depends = (__version__, jax.__version__, subject, jax.default_backend(), device, flags)
    return Measurements.of("jax", depends, folder_of(cache))
