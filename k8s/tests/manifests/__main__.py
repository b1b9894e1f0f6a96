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

from . import limits, mutations, network, pods, repository
from .market import K8S, ROOT, Market, object_name

# the newest that the package knows, and three minor versions before: what clouds still run
VERSIONS = ("1.37", "1.34")
# custom resources; their schemas come with their controllers
NOT_IN_SCHEMA = {"Gateway", "HTTPRoute"}
# components that no overlay has, each on top of one that can take it
MORE = {
    "local-ingress": ("local", ["ingress"]),
    "local-gateway-api": ("local", ["gateway-api"]),
    "local-persistent-volume": ("local", ["persistent-volume"]),
    "local-cuentas": ("local", ["cuentas"]),
    "local-laboratorio": ("local", ["laboratorio"]),
    "local-hpa-redis": ("local", ["hpa", "redis"]),
    "local-everything": ("local-postgres", ["ingress", "gateway-api", "loadbalancer", "three-nodes"]),
}
RULES = pods.RULES + network.RULES + limits.RULES + repository.RULES


def kustomize(directory: Path) -> str:
    run = subprocess.run(["kubectl", "kustomize", directory], capture_output=True, text=True, check=False)
    if run.returncode:
        raise SystemExit(f"k8s/check: {directory.relative_to(ROOT)} does not render: {run.stderr.strip()}")
    if run.stderr:
        raise SystemExit(f"k8s/check: {directory.relative_to(ROOT)}: {run.stderr.strip()}")
    return run.stdout


def compose(name: str) -> Path:
    """An overlay with more components, where docs/KUBERNETES.md says that they go."""
    overlay, components = MORE[name]
    directory = ROOT / "target/k8s-check" / name
    directory.mkdir(parents=True, exist_ok=True)
    here = os.path.relpath(K8S, directory)
    text = (K8S / "overlays" / overlay / "kustomization.yaml").read_text().replace("../../", f"{here}/")
    last = f"  - {here}/components/namespace\n"
    more = "".join(f"  - {here}/components/{c}\n" for c in components)
    (directory / "kustomization.yaml").write_text(text.replace(last, more + last))
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


def untried(directories: list[Path]):
    """Components that nothing here renders."""
    texts = "".join((d / "kustomization.yaml").read_text() for d in directories)
    for component in sorted((K8S / "components").iterdir()):
        if f"/components/{component.name}\n" not in texts:
            yield f"components/{component.name}: nothing here renders it"


def main() -> int:
    warnings.simplefilter("ignore")
    directories = {d.name: d for d in sorted((K8S / "overlays").iterdir())} | {name: compose(name) for name in MORE}
    with ThreadPoolExecutor(2) as pool:
        texts = pool.map(kustomize, directories.values())
        markets = {name: Market.parse(name, text) for name, text in zip(directories, texts)}
    failures = list(untried(list(directories.values())))
    for name, market in markets.items():
        failures += [f"{name}: {what}" for rule in (schema, *RULES) for what in rule(market)]
    failures += mutations.unnoticed(markets[mutations.BASE])
    broken = {rule for rule, _, _ in mutations.MUTATIONS}
    failures += [f"mutations: none for {rule.__name__}" for rule in RULES if rule not in broken]
    for failure in failures:
        print(f"k8s/check: {failure}", file=sys.stderr)
    objects = sum(len(m.docs) for m in markets.values())
    print(
        f"{len(markets)} renderings, {objects} objects, Kubernetes {' and '.join(VERSIONS)}, {len(RULES)} rules, "
        f"{len(mutations.MUTATIONS)} mutations"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
