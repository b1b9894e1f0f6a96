"""Rules that hold an overlay against the rest of the repository, and its objects against each other."""

import re

from .market import CLUSTER_WIDE, NAME, ROOT, SERVICES, VERSION, Market, matches, object_name

SECRET = re.compile(r"(PASSWORD|TOKEN|SECRET|SEED|ACCOUNT|CLAVE_API)$")


def seeds(market: Market):
    for s in SERVICES:
        data = (market.get("ConfigMap", s) or {}).get("data", {})
        if data != {f"{s}.json": (ROOT / s / f"{s}.json").read_text()}:
            yield f"ConfigMap {s}: is not {s}/{s}.json"


def errors(market: Market):
    """The gateway's own errors are rows of the tables of codes, in their words; one that no service gives is in docs/ERRORS.md only."""
    table = "".join((ROOT / file).read_text() for file in ("common/http/src/problem.rs", "common/market/src/codes.rs"))
    paragraphs = (ROOT / "docs/ERRORS.md").read_text().split("\n\n")
    titles = re.findall(r'"(es|en) ([a-z-]+)" "(.+)";', gateway_file(market, "problems.conf.template").split("$title")[1].split("$detail")[0])
    codes = set(re.findall(r"^ +(?:\d+|default) ([a-z]+-[a-z-]+);", gateway_file(market, "problems.conf.template"), re.M))
    for codigo in codes:
        row = re.search(rf'= "{codigo}", \w+, "(.+)", "(.+)";', table)
        mine = tuple(text for lang in ("es", "en") for which, name, text in titles if (which, name) == (lang, codigo))
        if not row and any(all(part in p for part in (f"`{codigo}`", *mine)) for p in paragraphs):
            continue
        if not row or row.groups() != mine:
            yield f"gateway: calls {codigo} {mine}, the table {row and row.groups()}"


def gateway_file(market: Market, name: str) -> str:
    return next((d["data"][name] for d in market.of("ConfigMap") if name in d.get("data", {})), "$title$detail")


def page(market: Market):
    files = {f.name: f.read_text() for f in (ROOT / "web").iterdir() if f.is_file() and f.name != "kustomization.yaml"}
    if not any(d.get("data") == files for d in market.of("ConfigMap")):
        yield "ConfigMap web: is not the files of web/; web/kustomization.yaml lists them"


def secrets(market: Market):
    there = {d["metadata"]["name"]: set(d.get("stringData", {})) | set(d.get("data", {})) for d in market.of("Secret")}
    if there and not market.local:
        yield f"Secret {sorted(there)}: in the repository, where everybody reads it"
    # what the command in docs/KUBERNETES.md creates
    guide = (ROOT / "docs/KUBERNETES.md").read_text()
    commands = re.findall(r"create secret generic (\w+)((?:.*\\\n)*.*)", guide)
    created = {name: set(re.findall(r"--from-literal=([a-z-]+)=", literals)) for name, literals in commands}
    for w in market.workloads:
        for e in (e for c in w.all_containers for e in c.get("env", [])):
            ref = e.get("valueFrom", {}).get("secretKeyRef")
            if SECRET.search(e["name"]) and not ref:
                yield f"{w}: {e['name']} is in the open"
            if not ref:
                continue
            if ref.get("optional"):
                yield f"{w}: starts without {e['name']}, and its events would not say so"
            keys = there.get(ref["name"]) if ref["name"] in there else created.get(ref["name"])
            if keys is None or ref["key"] not in keys:
                yield f"{w}: there is no key {ref['key']} in the Secret {ref['name']}"


def accounts(market: Market):
    """A market that the Internet can reach has accounts; and where people log in, no demo account is (they are made on a loopback
    address only, which is the process's to see)."""
    wanted = "si" if not market.local or "cuentas" in market.overlay else "no"
    for s in SERVICES:
        env = {e["name"]: e.get("value") for e in market.workload(s).containers[0]["env"]}
        if env.get("CUENTAS") != wanted:
            yield f"{s}: CUENTAS is {env.get('CUENTAS')}, in an overlay that must say {wanted}"
        if env.get("HOST", "").startswith("127.") or env.get("HOST") in ("::1", "localhost"):
            yield f"{s}: on a loopback address the sample's accounts count, whose passwords everybody knows"
        if env.get("BEHIND_GATEWAY") != "si":
            yield f"{s}: takes the gateway for the one client of all attempts to log in"


def roles(market: Market):
    """Nobody may do anything at the API server but the laboratory, which may do what it asks for (rights.rs) and no more."""
    for d in market.of("ClusterRole", "ClusterRoleBinding"):
        yield f"{object_name(d)}: holds in every namespace"
    source = (ROOT / "laboratorio/src/cluster/rights.rs").read_text().split("const fn rules")[1].split("fn said")[0]
    asked = set(re.findall(r'\("([a-z]+)", "([a-z]*)", "([a-z/]+)"\)', source))
    for d in market.of("Role"):
        given = {(v, g, r) for rule in d["rules"] for v in rule["verbs"] for g in rule["apiGroups"] for r in rule["resources"]}
        for rule in sorted(given - asked if d["metadata"]["name"] == "laboratorio" else given):
            yield f"{object_name(d)}: gives {rule}, which nobody asks for"
        for rule in sorted(asked - given):
            yield f"{object_name(d)}: lacks {rule}"
    for d in market.of("RoleBinding"):
        if not market.get(d["roleRef"]["kind"], d["roleRef"]["name"]):
            yield f"{object_name(d)}: there is no {d['roleRef']['kind']} {d['roleRef']['name']}"
        for s in d["subjects"]:
            mine = market.get("ServiceAccount", s["name"]) if s["kind"] == "ServiceAccount" else None
            if not mine or s.get("namespace") != mine["metadata"]["namespace"]:
                yield f"{object_name(d)}: is for {s['kind']} {s['name']}, who is not of this market"


def labels(market: Market):
    for d in market.docs:
        mine = d["metadata"].get("labels", {})
        if mine.get("app.kubernetes.io/part-of") != "mercado" or not mine.get("app.kubernetes.io/managed-by"):
            yield f"{object_name(d)}: has not the labels of components/namespace, which must come last"
        if mine.get("app.kubernetes.io/version") != VERSION:
            yield f"{object_name(d)}: is of version {mine.get('app.kubernetes.io/version')}, Cargo.toml of {VERSION}"
        if d["kind"] in ("Deployment", "StatefulSet", "CronJob") and not (NAME in mine and "app.kubernetes.io/component" in mine):
            yield f"{object_name(d)}: has no name or component label"
        if (d["metadata"].get("namespace") != "mercado") != (d["kind"] in CLUSTER_WIDE):
            yield f"{object_name(d)}: is in namespace {d['metadata'].get('namespace')}"
        # a claim template cannot be changed: the next version could not be applied
        for claim in d["spec"].get("volumeClaimTemplates", []) if d["kind"] == "StatefulSet" else []:
            if "app.kubernetes.io/version" in claim["metadata"].get("labels", {}):
                yield f"{object_name(d)}: has a version in a claim"
    enforce = (market.get("Namespace", "mercado") or {}).get("metadata", {}).get("labels", {})
    if enforce.get("pod-security.kubernetes.io/enforce") != "restricted":
        yield "Namespace mercado: does not enforce the restricted profile"


def disruptions(market: Market):
    covered = set()
    for p in market.of("PodDisruptionBudget"):
        spec, name = p["spec"], object_name(p)
        found = [w for w in market.workloads if matches(spec["selector"], w.labels)]
        if len(found) != 1:
            yield f"{name}: is about {[str(w) for w in found]}"
            continue
        replicas = market.replicas(found[0])
        gone = spec["maxUnavailable"] if "maxUnavailable" in spec else replicas - spec["minAvailable"]
        if gone < 1:
            yield f"{name}: no node could ever be drained with {replicas} replicas"
        if replicas - gone < 1:
            yield f"{name}: protects nothing with {replicas} replicas"
        covered.add(found[0].name)
    for w in market.workloads:
        if w.serves and market.replicas(w) > 1 and w.name not in covered:
            yield f"{w}: has no PodDisruptionBudget"


def autoscaling(market: Market):
    for h in market.of("HorizontalPodAutoscaler"):
        spec, name = h["spec"], object_name(h)
        target = market.get(spec["scaleTargetRef"]["kind"], spec["scaleTargetRef"]["name"])
        if target is None:
            yield f"{name}: scales nothing"
            continue
        if "replicas" in target["spec"]:
            yield f"{name}: {object_name(target)} sets replicas, and each apply would undo the autoscaler's work"
        if not spec.get("minReplicas", 1) < spec["maxReplicas"]:
            yield f"{name}: has nowhere to go"
        behavior = spec.get("behavior", {})
        up = behavior.get("scaleUp", {}).get("stabilizationWindowSeconds", 0)
        if up >= behavior.get("scaleDown", {}).get("stabilizationWindowSeconds", 300):
            yield f"{name}: goes down as quickly as up"


def volumes(market: Market):
    claims = {d["metadata"]["name"] for d in market.of("PersistentVolumeClaim")}
    used = {v.get("persistentVolumeClaim", {}).get("claimName") for w in market.workloads for v in w.pod.get("volumes", [])}
    for claim in claims - used:
        yield f"PersistentVolumeClaim {claim}: nobody uses it"
    for d in market.of("PersistentVolumeClaim"):
        if d["spec"]["accessModes"] != ["ReadWriteOnce"]:
            yield f"{object_name(d)}: {d['spec']['accessModes']}: the store refuses a network file system"
    for pv in market.of("PersistentVolume"):
        ref = pv["spec"]["claimRef"]["name"]
        claim = market.get("PersistentVolumeClaim", ref)
        if claim is None:
            yield f"{object_name(pv)}: is for the claim {ref}, which is not there"
        elif claim["spec"].get("storageClassName") != pv["spec"].get("storageClassName", ""):
            yield f"{object_name(pv)}: and its claim are of different classes, and never meet"


RULES = [seeds, errors, page, secrets, accounts, roles, labels, disruptions, autoscaling, volumes]
