"""Running on a Ray cluster: packages that travel to its nodes, storage that they share.

See README.md in this folder for ``ray job submit`` and for KubeRay.
"""

from .packages import import_strings, is_remote, runtime_env_for, travelling_modules
from .storage import check_shared_storage, nodes_without

__all__ = [
    "check_shared_storage",
    "import_strings",
    "is_remote",
    "nodes_without",
    "runtime_env_for",
    "travelling_modules",
]
