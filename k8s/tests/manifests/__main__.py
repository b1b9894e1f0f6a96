"""Renders every overlay, and every component on top of one that can take it; validates them against two versions of the
Kubernetes API; runs the rules; and breaks one overlay on purpose to see that the rules bite."""

import json
import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import kubernetes_validate

from . import mutations, network, pods, repository
from .market import K8S, ROOT, VERSION, Market, object_name

# the newest that the package knows, and three minor versions before: what clouds still run
VERSIONS = ("1.37", "1.34")
# custom resources; their schemas come with their controllers
NOT_IN_SCHEMA = {"Gateway", "HTTPRoute"}
# components that no overlay has, each on top of one that can take it
MORE = {
    "local-ingress": ("local", ["ingress"]),
    "local-gateway-api": ("local", ["gateway-api"]),
    "local-persistent-volume": ("local", ["persistent-volume"]),
    "local-hpa-redis": ("local", ["hpa", "redis"]),
    "local-everything": ("local-postgres", ["ingress", "gateway-api", "loadbalancer", "three-nodes"]),
}
LABELS = {"part-of": "mercado", "managed-by": "kustomize", "version": VERSION}
RULES = pods.RULES + network.RULES + repository.RULES


def kustomize(directory: Path) -> str:
    run = subprocess.run(["kubectl", "kustomize", directory], capture_output=True, text=True, check=False)
    if run.returncode:
        raise SystemExit(f"k8s/check: {directory.relative_to(ROOT)} does not render: {run.stderr.strip()}")
    if run.stderr:
        raise SystemExit(f"k8s/check: {directory.relative_to(ROOT)}: {run.stderr.strip()}")
    return run.stdout


def compose(name: str) -> Path:
    """A kustomization that adds components to an overlay."""
    overlay, components = MORE[name]
    directory = ROOT / "target/k8s-check" / name
    directory.mkdir(parents=True, exist_ok=True)
    here = os.path.relpath(K8S, directory)
    lines = ["resources:", f"  - {here}/overlays/{overlay}", "components:"]
    # `namespace` again, and last, for what these add
    lines += [f"  - {here}/components/{c}" for c in components]
    lines += ["namespace: mercado", "labels:", "  - pairs:"]
    lines += [f"      app.kubernetes.io/{k}: {v}" for k, v in LABELS.items()]
    (directory / "kustomization.yaml").write_text("\n".join(lines) + "\n")
    return directory


def schema(market: Market):
    for doc in market.docs:
        if doc["kind"] not in NOT_IN_SCHEMA:
            yield from invalid(json.dumps(doc))


@cache
def invalid(text: str) -> list:
    """Most objects are the same in all renderings, and looking one up in a schema takes its time."""
    doc, found = json.loads(text), []
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(doc, version, strict=True)
        except kubernetes_validate.ValidationError as e:
            found.append(f"{object_name(doc)}: Kubernetes {version}: {'.'.join(map(str, e.path))}: {e.message}")
        except kubernetes_validate.SchemaNotFoundError:
            found.append(f"{object_name(doc)}: Kubernetes {version} knows no {doc['apiVersion']}")
    return found


def main() -> int:
    warnings.simplefilter("ignore")
    overlays = sorted(p.parent.name for p in (K8S / "overlays").glob("*/kustomization.yaml"))
    directories = {name: K8S / "overlays" / name for name in overlays} | {name: compose(name) for name in MORE}
    with ThreadPoolExecutor(2) as pool:
        rendered = dict(zip(directories, pool.map(kustomize, directories.values())))
    markets = {name: Market.parse(name, text) for name, text in rendered.items()}
    tried = {c for _, more in MORE.values() for c in more}
    tried |= {c.name for c in (K8S / "components").iterdir() for o in overlays if f"components/{c.name}\n" in (K8S / "overlays" / o / "kustomization.yaml").read_text()}
    failures = [f"components/{c.name}: nothing here renders it" for c in (K8S / "components").iterdir() if c.name not in tried]
    for name, market in markets.items():
        failures += [f"{name}: {what}" for rule in (schema, *RULES) for what in rule(market)]
    good = markets[mutations.BASE]
    failures += mutations.unnoticed(good)
    failures += [f"mutation: none for {r.__name__}" for r in RULES if r not in {m[0] for m in mutations.MUTATIONS} | NO_MUTATION]
    for failure in failures:
        print(f"k8s/check: {failure}", file=sys.stderr)
    objects = sum(len(m.docs) for m in markets.values())
    print(f"{len(markets)} renderings, {objects} objects, Kubernetes {' and '.join(VERSIONS)}, {len(RULES)} rules, {len(mutations.MUTATIONS)} mutations")
    return 1 if failures else 0


# what it holds is made by kustomize itself, or has no other form in the overlay that is broken
NO_MUTATION = {repository.volumes}

if __name__ == "__main__":
    sys.exit(main())
