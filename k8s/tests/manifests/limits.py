"""Rules of what things may cost: the gateway's memory, the namespace's quota, the headers that keep a browser in bounds."""

import re

from .market import ROOT, Market, Workload, object_name
from .network import gateway_files

UNITS = {"": 1, "m": 0.001, "k": 10**3, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}
# DESIGN section 8
BODY = 8 << 10


def quantity(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(m|k|Ki|Mi|Gi)?", str(text)).groups()
    return float(number) * UNITS[unit or ""]


def size(text: str) -> int:
    """As nginx writes it."""
    return int(text.rstrip("km")) << {"k": 10, "m": 20}.get(text[-1], 0)


def directive(conf: str, name: str) -> list[str]:
    found = re.search(rf"^\s*{name} (.+);$", conf, re.M)
    return found.group(1).split() if found else ["0", "0"]


def gateway_memory(market: Market):
    """At worst, all requests that may be under way have full buffers, and all other connections a full head. 6 KiB is what nginx
    has for a connection besides (1,900 of them were measured), 8 MiB what it has without any."""
    files = gateway_files(market)
    conf, limits = files.get("nginx.conf.template", ""), files.get("limits.conf.template", "")
    connections = int(directive(conf, "worker_processes")[0]) * int(directive(conf, "worker_connections")[0])
    requests = int(directive(limits, "limit_conn requests")[0])
    number, each = directive(limits, "large_client_header_buffers")
    head = int(number) * size(each) + (6 << 10)
    number, each = directive(limits, "proxy_buffers")
    answer = int(number) * size(each) + size(directive(limits, "proxy_buffer_size")[0])
    body = size(directive(limits, "client_body_buffer_size")[0])
    if not requests:
        yield "nginx: any number of requests may be under way"
    # each has a connection to its client and one to a pod
    worst = requests * (head + answer + body) + (connections - 2 * requests) * head + (8 << 20)
    has = quantity(market.workload("gateway").containers[0]["resources"]["limits"]["memory"])
    if worst > has:
        yield f"nginx: may need {worst >> 20} MiB, and its pod has {int(has) >> 20}"


def bodies(market: Market):
    """A body that the gateway lets pass is one that a service takes, and stays in memory."""
    limits = gateway_files(market).get("limits.conf.template", "")
    most = size(directive(limits, "client_max_body_size")[0])
    if most != BODY:
        yield f"nginx: takes bodies of {most} bytes"
    if size(directive(limits, "client_body_buffer_size")[0]) < most:
        yield "nginx: writes bodies to its disk"
    constant = re.compile(r"const MAX_BODY: usize = (\d+)(?: \* (\d+))?;")
    found = [m for f in (ROOT / "common").rglob("*.rs") for m in constant.finditer(f.read_text())]
    if not found or int(found[0].group(1)) * int(found[0].group(2) or 1) < most:
        yield "nginx: takes bodies that the services refuse (MAX_BODY)"
    if directive(limits, "proxy_request_buffering") != ["off"]:
        yield "nginx: holds a body that never ends, instead of a pod that ends it"


def rates(market: Market):
    """The limits are applied, and each of the gateway's options is one of the container's."""
    files = gateway_files(market)
    text = "".join(files.values())
    zones = set(re.findall(r"limit_(?:conn|req)_zone .*zone=(\w+):", text))
    used = set(re.findall(r"^\s*limit_conn (\w+) ", text, re.M)) | set(re.findall(r"^\s*limit_req zone=(\w+) ", text, re.M))
    for zone in zones ^ used:
        yield f"nginx: the zone {zone} is {'counted and limits nothing' if zone in zones else 'limited and not counted'}"
    for wanted in ("writes_of_client", "requests_of_client", "bodies_of_client", "streams_of_client"):
        if wanted not in used:
            yield f"nginx: does not limit {wanted}"
    if not re.search(r"^error_page .*\b429\b.* @problema;$", files.get("errors.conf.template", ""), re.M):
        yield "nginx: refuses without a problem document"


def headers(market: Market):
    """What the gateway answers by itself has the page's policy, as `mercado` gives it."""
    files = gateway_files(market)
    own = files.get("headers.conf.template", "")
    policy = re.search(r'Content-Security-Policy "(.+)" always;', own)
    sources = [f.read_text() for crate in ("common", "mercado") for f in (ROOT / crate).rglob("*.rs")]
    if not policy or not any(f'"{policy.group(1)}"' in source for source in sources):
        yield "nginx: has another Content-Security-Policy than mercado"
    for name in ("X-Content-Type-Options", "Referrer-Policy"):
        if f"add_header {name} " not in own:
            yield f"nginx: does not say {name}"
    for block in re.findall(r"location [^{]+\{([^}]*)\}", files.get("nginx.conf.template", "")):
        mine = "proxy_pass" not in block and re.search(r"^\s*(root|alias|return (200|30\d))\b", block, re.M)
        if mine and "include headers.conf;" not in block:
            yield f"nginx: answers without headers.conf: {' '.join(block.split())[:60]}"


def cost(market: Market, w: Workload, what: str, resource: str) -> float:
    """Of all pods that a workload can have at once: at its autoscaler's most, and one more while it rolls."""
    scalers = [h["spec"] for h in market.of("HorizontalPodAutoscaler")]
    scaled = [s["maxReplicas"] for s in scalers if s["scaleTargetRef"]["name"] == w.name]
    pods = max([market.replicas(w), *scaled]) + (w.kind == "Deployment")
    first = [quantity(c["resources"][what][resource]) for c in w.pod.get("initContainers", [])]
    return pods * max(sum(quantity(c["resources"][what][resource]) for c in w.containers), *first, 0)


def quotas(market: Market):
    quota = (market.get("ResourceQuota", "mercado") or {}).get("spec", {}).get("hard", {})
    for name in ("requests.cpu", "requests.memory", "limits.cpu", "limits.memory"):
        what, resource = name.split(".")
        needed = sum(cost(market, w, what, resource) for w in market.workloads)
        # one more of each Job, and somebody who looks
        if not 1.2 * needed <= quantity(quota.get(name, "0")) <= 12 * needed:
            yield f"ResourceQuota: {name} is {quota.get(name)}, and the overlay may need {needed:g}"
    claims = market.of("PersistentVolumeClaim") + [c for w in market.workloads for c in w.spec.get("volumeClaimTemplates", [])]
    if len(claims) > quantity(quota.get("persistentvolumeclaims", "0")):
        yield "ResourceQuota: too few volumes"
    if sum(quantity(c["spec"]["resources"]["requests"]["storage"]) for c in claims) > quantity(quota.get("requests.storage", "0")):
        yield "ResourceQuota: too little storage"
    ranges = [x for r in market.of("LimitRange") for x in r["spec"]["limits"] if x["type"] == "Container"]
    if not ranges or not all("default" in x and "defaultRequest" in x for x in ranges):
        yield "LimitRange: a container that says nothing could not start under the quota"
    for w in market.workloads:
        for c in w.all_containers:
            for x in ranges:
                for resource, most in x["max"].items():
                    if quantity(c["resources"]["limits"][resource]) > quantity(most):
                        yield f"{w}: {c['name']} may have more {resource} than {object_name(market.of('LimitRange')[0])} lets it"


RULES = [gateway_memory, bodies, rates, headers, quotas]
