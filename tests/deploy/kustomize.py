"""Rendering of kustomizations as far as ours go: resources, a namespace, strategic-merge patches; for machines without kubectl."""

from pathlib import Path
from typing import Any

import yaml

_FIELDS = {"apiVersion", "kind", "namespace", "resources", "patches"}
_CLUSTER_WIDE = {"Namespace"}
Manifest = dict[str, Any]


def render(folder: Path) -> list[Manifest]:
    """The manifests of a kustomization. Raises ValueError for a field that is not known here, or a patch without a target."""
    described = yaml.safe_load((folder / "kustomization.yaml").read_text())
    if unknown := set(described) - _FIELDS:
        raise ValueError(f"{folder.name}: {', '.join(sorted(unknown))}")
    manifests: list[Manifest] = []
    for resource in described["resources"]:
        path = folder / resource
        manifests += render(path) if path.is_dir() else _documents(path.read_text())
    for entry in described.get("patches", []):
        for patch in _documents(entry["patch"] if "patch" in entry else (folder / entry["path"]).read_text()):
            manifests = _patched(manifests, patch)
    for manifest in manifests:
        if "namespace" in described and manifest["kind"] not in _CLUSTER_WIDE:
            manifest["metadata"]["namespace"] = described["namespace"]
    return manifests


def _documents(text: str) -> list[Manifest]:
    return [document for document in yaml.safe_load_all(text) if document]


def _patched(manifests: list[Manifest], patch: Manifest) -> list[Manifest]:
    def is_target(manifest: Manifest) -> bool:
        return (manifest["kind"], manifest["metadata"]["name"]) == (patch["kind"], patch["metadata"]["name"])

    if sum(map(is_target, manifests)) != 1:
        raise ValueError(f"there is not one {patch['kind']} {patch['metadata']['name']}")
    if patch.get("$patch") == "delete":
        return [manifest for manifest in manifests if not is_target(manifest)]
    return [_merge(manifest, patch) if is_target(manifest) else manifest for manifest in manifests]


def _merge(base: Any, patch: Any) -> Any:
    """Objects by key, where null deletes; lists of named things by name, other lists replaced."""
    if isinstance(base, dict) and isinstance(patch, dict):
        merged = {key: value for key, value in base.items() if patch.get(key, value) is not None}
        return merged | {key: _merge(base.get(key), value) for key, value in patch.items() if value is not None}
    if isinstance(base, list) and isinstance(patch, list) and all("name" in item for item in [*base, *patch]):
        named = {item["name"]: item for item in patch}
        kept = [_merge(item, named.pop(item["name"], item)) for item in base]
        return [*named.values(), *kept]
    return patch
