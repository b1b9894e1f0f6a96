"""A rendered overlay, and how its objects belong together."""

import copy
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[3]
K8S = ROOT / "k8s"
SERVICES = ("usuarios", "tokens", "transacciones")
NAME = "app.kubernetes.io/name"
CLUSTER_WIDE = {"Namespace", "PersistentVolume"}
VERSION = re.search(r'^version = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.M).group(1)


@dataclass
class Workload:
    """What makes pods."""

    kind: str
    name: str
    spec: dict
    template: dict

    @property
    def pod(self) -> dict:
        return self.template["spec"]

    @property
    def labels(self) -> dict:
        return self.template["metadata"].get("labels", {})

    @property
    def containers(self) -> list:
        return self.pod["containers"]

    @property
    def all_containers(self) -> list:
        return self.pod.get("initContainers", []) + self.containers

    @property
    def serves(self) -> bool:
        return self.kind in ("Deployment", "StatefulSet")

    @cached_property
    def ports(self) -> dict:
        return {p["name"]: p["containerPort"] for c in self.containers for p in c.get("ports", [])}

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass
class Market:
    """`overlay` is its name, `docs` its objects."""

    overlay: str
    docs: list = field(default_factory=list)

    @classmethod
    def parse(cls, overlay: str, text: str) -> "Market":
        return cls(overlay, [d for d in yaml.load_all(text, yaml.CSafeLoader) if d])

    def copy(self) -> "Market":
        return Market(self.overlay, copy.deepcopy(self.docs))

    @property
    def local(self) -> bool:
        return self.overlay.startswith("local")

    def of(self, *kinds: str) -> list:
        return [d for d in self.docs if d["kind"] in kinds]

    def get(self, kind: str, name: str) -> dict | None:
        return next((d for d in self.of(kind) if d["metadata"]["name"] == name), None)

    @property
    def workloads(self) -> list[Workload]:
        found = []
        for d in self.of("Deployment", "StatefulSet", "Job", "CronJob"):
            spec = d["spec"]
            template = (spec["jobTemplate"]["spec"] if d["kind"] == "CronJob" else spec)["template"]
            found.append(Workload(d["kind"], d["metadata"]["name"], spec, template))
        return found

    def workload(self, name: str) -> Workload | None:
        return next((w for w in self.workloads if w.name == name), None)

    def selected(self, labels: dict) -> list[Workload]:
        return [w for w in self.workloads if labels.items() <= w.labels.items()]

    def replicas(self, workload: Workload) -> int:
        """The fewest that it may have."""
        for hpa in self.of("HorizontalPodAutoscaler"):
            ref = hpa["spec"]["scaleTargetRef"]
            if (ref["kind"], ref["name"]) == (workload.kind, workload.name):
                return hpa["spec"].get("minReplicas", 1)
        return workload.spec.get("replicas", 1)


def matches(selector: dict, labels: dict) -> bool:
    """A label selector; an empty one takes all."""
    if not selector.get("matchLabels", {}).items() <= labels.items():
        return False
    for e in selector.get("matchExpressions", []):
        value = labels.get(e["key"])
        held = {
            "In": lambda: value in e["values"],
            "NotIn": lambda: value not in e["values"],
            "Exists": lambda: e["key"] in labels,
            "DoesNotExist": lambda: e["key"] not in labels,
        }[e["operator"]]()
        if not held:
            return False
    return True


def object_name(doc: dict) -> str:
    return f"{doc['kind']} {doc['metadata']['name']}"


def references(value: str) -> list[str]:
    """`$(NAME)` in the value of an environment variable; `$$(NAME)` is none."""
    return re.findall(r"(?<!\$)\$\(([A-Za-z_]\w*)\)", value)
