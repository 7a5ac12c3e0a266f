"""A nested parameter space taken apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray.tune.search.sample import Domain
from ray.tune.utils import flatten_dict


def varies(value: Any) -> bool:
    """Whether a value is searched: a domain or a grid."""
    return isinstance(value, Domain) or (isinstance(value, Mapping) and "grid_search" in value)


def _split(space: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A nested space as its domains and its constants."""
    domains, constants = {}, {}
    for key, value in space.items():
        if varies(value):
            domains[key] = value
        elif isinstance(value, Mapping):
            inner_domains, inner_constants = _split(value)
            if inner_domains:
                domains[key] = inner_domains
            if inner_constants or not inner_domains:
                constants[key] = inner_constants
        else:
            constants[key] = value
    return domains, constants


def domains_of(space: Mapping[str, Any]) -> dict[str, Any]:
    """What is searched, nested as in the space."""
    return _split(space)[0]


def constants_of(space: Mapping[str, Any]) -> dict[str, Any]:
    """What is not searched."""
    return _split(space)[1]


def searched_keys(space: Mapping[str, Any]) -> set[str]:
    """Keys of what is searched, flattened with ``/``."""
    return {key.split("/grid_search")[0] for key in flatten_dict(domains_of(space))}


def has_domains(space: Mapping[str, Any]) -> bool:
    """Whether something of the space is drawn, and not listed."""
    return any(isinstance(value, Domain) for value in flatten_dict(dict(space)).values())
