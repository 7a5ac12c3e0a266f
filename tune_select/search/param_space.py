"""A nested parameter space taken apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ray import tune
from ray.tune.search.sample import Domain, Function
from ray.tune.search.variant_generator import generate_variants
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


def draw(space: Mapping[str, Any], random_state: Any) -> Iterator[dict[str, Any]]:
    """One sample of each cell of a grid, as Tune's own sampling draws it.

    Of a space by itself, for which ``sample_from`` takes functions of the configuration
    (``config["optimizer"]``) as Tune's guide writes them, and of the specification
    (``spec.config.optimizer``) as older scripts do. Inside ``{"config": space}``, which is what
    Tuners draw from, the first kind fails.

    Args:
        space: The space with its constants, which a function may look at.
        random_state: What Tune draws with, a NumPy generator or its own wrapping of one.
    """
    for _, point in generate_variants(dict(space), random_state=random_state):
        yield dict(point)


def for_tuner(space: Mapping[str, Any]) -> dict[str, Any]:
    """A space whose functions of the configuration can be drawn by a Tuner too; see ``draw``."""
    found: dict[str, Any] = {}
    for key, value in space.items():
        if isinstance(value, Function) and value.pass_config:
            found[key] = tune.sample_from(_OfEither(value.func))
        else:
            found[key] = for_tuner(value) if isinstance(value, Mapping) else value
    return found


@dataclass(frozen=True)
class _OfEither:
    """A function of the configuration or of the specification, called with the latter."""

    function: Any

    def __call__(self, spec: Any) -> Any:
        try:
            return self.function(spec)
        except (AttributeError, KeyError):
            return self.function(spec["config"])
