"""The plan cache, which knows no framework, under the names that this integration uses."""

from hcp.plan_cache import (
    _CACHES,
    CacheOption,
    CacheWarning,
    PlanCache,
    cache_for,
    default_folder,
    folder_of,
    key_of,
    warn_of_cache,
)

__all__ = [
    "_CACHES",
    "CacheOption",
    "CacheWarning",
    "PlanCache",
    "cache_for",
    "default_folder",
    "folder_of",
    "key_of",
    "warn_of_cache",
]
