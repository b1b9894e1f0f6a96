"""Rules of the network: Services lead to pods, and only what a purchase needs (docs/PURCHASE.md) may talk."""

import re
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from .market import K8S, ROOT, SERVICES, Market, Workload, matches, object_name

TEMPLATES = K8S / "base/gateway"
ANYWHERE = "anywhere"
DEFAULT_PORTS = {"http": 80, "postgres": 5432, "redis": 6379}


def services(market: Market):
    for s in market.of("Service"):
        spec, name = s["spec"], object_name(s)
        found = market.selected(spec["selector"])
        if len(found) != 1:
            yield f"{name}: selects {[str(w) for w in found]}"
            continue
        for port in spec["ports"]:
            target = port.get("targetPort", port["port"])
            if target not in found[0].ports and target not in found[0].ports.values():
                yield f"{name}: leads to port {target}, which {found[0]} has not"
    for w in filter(lambda w: w.serves, market.workloads):
        if not matches(w.spec["selector"], w.labels):
            yield f"{w}: does not select its own pods"
        for other in market.workloads:
            if str(other) != str(w) and matches(w.spec["selector"], other.labels):
                yield f"{w}: selects the pods of {other}"
    for route in market.of("Ingress", "HTTPRoute"):
        for name, port in backends(route):
            service = market.get("Service", name)
            ports = [p for s in [service] if s for p in s["spec"]["ports"]]
            if not any(port in (p["port"], p["name"]) for p in ports):
                yield f"{object_name(route)}: leads to {name}:{port}, which is none"
            if name != "gateway":
                yield f"{object_name(route)}: leads past the gateway to {name}"
        for parent in route["spec"].get("parentRefs", []):
            if not market.get("Gateway", parent["name"]):
                yield f"{object_name(route)}: there is no Gateway {parent['name']}"
    for s in market.of("Service"):
        if s["spec"].get("type", "ClusterIP") != "ClusterIP" and s["metadata"]["name"] != "gateway":
            yield f"{object_name(s)}: is open to the outside"


def backends(route: dict):
    for rule in route["spec"].get("rules", []):
        for ref in rule.get("backendRefs", []):
            yield ref["name"], ref["port"]
        for path in rule.get("http", {}).get("paths", []):
            backend = path["backend"]["service"]
            yield backend["name"], backend["port"].get("name") or backend["port"]["number"]


@dataclass(frozen=True)
class Foreign:
    """A pod of another namespace; what these pods may do is not ours to say."""

    namespace: dict
    labels: dict


# what the policies know of the world outside: the cluster's DNS, its neighbours, whoever may scrape, an address
DNS = Foreign({"kubernetes.io/metadata.name": "kube-system"}, {"k8s-app": "kube-dns"})
NEIGHBOUR = Foreign({"kubernetes.io/metadata.name": "kube-system"}, {"k8s-app": "metrics-server"})
IMPOSTOR = Foreign({"kubernetes.io/metadata.name": "default"}, {"k8s-app": "kube-dns"})
SCRAPER = Foreign({"kubernetes.io/metadata.name": "monitoring", "mercado-metrics": "true"}, {"app": "prometheus"})
ADDRESS = "192.0.2.1"
LINK_LOCAL = "169.254.20.10"
MINE = {"kubernetes.io/metadata.name": "mercado"}

Peer = Workload | Foreign | str | None


def is_peer(rule: dict, other: Peer) -> bool:
    """Whether one entry of `to` or `from` is about a pod or an address. None is anybody, and so in no entry."""
    if "ipBlock" in rule:
        return isinstance(other, str) and ip_address(other) in ip_network(rule["ipBlock"]["cidr"])
    if not isinstance(other, Workload | Foreign):
        return False
    namespace = other.namespace if isinstance(other, Foreign) else MINE
    wanted = rule.get("namespaceSelector")
    same = namespace == MINE if wanted is None else matches(wanted, namespace)
    return same and matches(rule.get("podSelector", {}), other.labels)


def allowed(market: Market, source: Peer, target: Peer, port: int, protocol: str = "TCP") -> bool:
    """Whether policies let `source` (None: the outside) talk to `target` on a port."""
    policies = [p["spec"] for p in market.of("NetworkPolicy")]

    def lets(whose: Peer, other: Peer, direction: str, peers: str) -> bool:
        if not isinstance(whose, Workload):
            return True
        mine = [p for p in policies if matches(p["podSelector"], whose.labels)]
        mine = [p for p in mine if direction in p.get("policyTypes", ["Ingress"])]
        if not mine:
            return True
        return any(
            any((q.get("port"), q.get("protocol", "TCP")) == (port, protocol) for q in rule["ports"]) if "ports" in rule else True
            for p in mine
            for rule in p.get(direction.lower(), [])
            if peers not in rule or any(is_peer(x, other) for x in rule[peers])
        )

    return lets(source, target, "Egress", "to") and lets(target, source, "Ingress", "from")


def has_accounts(market: Market) -> bool:
    usuarios = market.workload("usuarios")
    return any((e["name"], e.get("value")) == ("CUENTAS", "si") for e in usuarios.containers[0]["env"])


def expected(market: Market) -> set:
    """DESIGN section 4, and the doors that components add."""
    flows = {(ANYWHERE, "gateway", 8080)}
    flows |= {("gateway", s, 8000) for s in SERVICES}
    flows |= {("transacciones", s, 9000) for s in ("usuarios", "tokens")}
    if has_accounts(market):
        # the keys that verify sessions
        flows.add(("tokens", "usuarios", 9000))
    if market.workload("postgres"):
        flows |= {(s, "postgres", 5432) for s in SERVICES}
    if market.workload("redis"):
        flows.add(("tokens", "redis", 6379))
    if any(w.labels.get("app.kubernetes.io/name") == "carga" for w in market.workloads):
        flows.add(("carga", "gateway", 8080))
    return flows


def policies(market: Market):
    deny = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    if not any(p["spec"] == deny for p in market.of("NetworkPolicy")):
        yield "NetworkPolicy: none refuses everything for a pod that comes without one"
    # pods of one name count as one
    pods = {w.labels["app.kubernetes.io/name"]: w for w in market.workloads}
    found = set()
    for target_name, target in pods.items():
        for port in target.ports.values():
            if allowed(market, None, target, port):
                found.add((ANYWHERE, target_name, port))
            found |= {(n, target_name, port) for n, w in pods.items() if w is not target and allowed(market, w, target, port)}
    wanted = expected(market)
    for flow in sorted(wanted - found):
        yield f"NetworkPolicy: {flow[0]} cannot reach {flow[1]}:{flow[2]}"
    for flow in sorted(found - wanted):
        yield f"NetworkPolicy: {flow[0]} can reach {flow[1]}:{flow[2]}"
    for w in pods.values():
        yield from (f"NetworkPolicy: {w} {what}" for what in outside(market, w))
    for p in market.of("NetworkPolicy"):
        if p["spec"]["podSelector"] and not any(matches(p["spec"]["podSelector"], w.labels) for w in market.workloads):
            yield f"{object_name(p)}: is about no pod"


def outside(market: Market, w: Workload):
    """What a pod may have to do with others than the market: it asks DNS, and a service tells how it is."""
    for protocol in ("UDP", "TCP"):
        if not allowed(market, w, DNS, 53, protocol):
            yield f"cannot ask DNS over {protocol}"
        for other in (ADDRESS, NEIGHBOUR, IMPOSTOR):
            for port in (53, 80, 443, 5432):
                if allowed(market, w, other, port, protocol):
                    yield f"can reach {other} at {protocol} {port}"
        if allowed(market, w, DNS, 443, protocol) or allowed(market, w, LINK_LOCAL, 80, protocol):
            yield f"can ask DNS for more than names over {protocol}"
    for port in w.ports.values():
        if allowed(market, NEIGHBOUR, w, port) != (w.name == "gateway"):
            yield f"has a port {port} that other namespaces {'cannot' if w.name == 'gateway' else 'can'} reach"
        scraped = w.name == "gateway" or (w.name in SERVICES and port == 8000)
        if allowed(market, SCRAPER, w, port) != scraped:
            yield f"has a port {port} that a labelled namespace {'cannot' if scraped else 'can'} scrape"


def families(market: Market):
    """Clusters have IPv4, IPv6, or both."""
    for s in market.of("Service"):
        if s["spec"].get("ipFamilyPolicy") != "PreferDualStack":
            yield f"{object_name(s)}: has the first family of the cluster only"
    for w in market.workloads:
        for e in (e for c in w.all_containers for e in c.get("env", [])):
            if (w.name in SERVICES and e["name"] == "HOST" and e["value"] != "::") or "0.0.0.0" in e.get("value", ""):
                yield f"{w}: {e['name']} is {e['value']}, which no client of IPv6 reaches"
        if w.name in SERVICES and not any(e["name"] == "HOST" for e in w.containers[0]["env"]):
            yield f"{w}: listens where the image says, on IPv4"
    upstreams = gateway_files(market).get("upstreams.conf.template", "")
    if "ipv6=off" in upstreams or "ipv4=off" in upstreams:
        yield "nginx: asks DNS for one family only"
    if "${GATEWAY_LISTEN_IPV6}" not in gateway_files(market).get("nginx.conf.template", ""):
        yield "nginx: listens on IPv4 only"


def client_addresses(market: Market):
    """The gateway counts by address, so a client must arrive with its own."""
    service = market.get("Service", "gateway")["spec"]
    if service.get("type", "ClusterIP") == "ClusterIP":
        return
    if service.get("externalTrafficPolicy") != "Local":
        yield "Service gateway: clients arrive with the address of a node"
    if service["type"] == "LoadBalancer":
        hook = market.workload("gateway").containers[0].get("lifecycle", {}).get("preStop", {})
        if hook.get("sleep", {}).get("seconds", 0) < 25:
            yield "gateway: closes its port before a load balancer that asks nodes has noticed"


def urls(market: Market):
    """What a pod is told to talk to is a Service, has that port, and may be reached."""
    for w in market.workloads:
        for e in (e for c in w.all_containers for e in c.get("env", [])):
            value = e.get("value", "")
            if "://" not in value:
                continue
            # of `user:$(PASSWORD)@` only the end matters, and `(` is no URL
            parts = urlsplit(re.sub(r"\$\(\w+\)", "x", value))
            service = market.get("Service", parts.hostname or "")
            port = parts.port or DEFAULT_PORTS.get(parts.scheme)
            ports = [p for s in [service] if s for p in s["spec"]["ports"] if p["port"] == port]
            if not ports:
                yield f"{w}: {e['name']} is {value}, where no Service listens"
                continue
            for target in market.selected(service["spec"]["selector"]):
                at = ports[0].get("targetPort", port)
                if not allowed(market, w, target, target.ports.get(at, at)):
                    yield f"{w}: {e['name']} is {value}, which no NetworkPolicy allows"


def gateway_files(market: Market) -> dict:
    return next((d["data"] for d in market.of("ConfigMap") if "nginx.conf.template" in d.get("data", {})), {})


def nginx(market: Market):
    gateway = market.workload("gateway")
    c = gateway.containers[0]
    text = "".join(t.read_text() for t in TEMPLATES.glob("*.template"))
    if gateway_files(market) != {t.name: t.read_text() for t in TEMPLATES.iterdir()}:
        yield "ConfigMap gateway: is not the files of base/gateway"
    variables = {e["name"]: e.get("value", "") for e in c["env"]}
    pattern = re.compile(variables.get("NGINX_ENVSUBST_FILTER", ""))
    given = {n for n in variables if pattern.search(n)} | {"NGINX_LOCAL_RESOLVERS"}
    # what the entry point sources must be executable, and stand between the image's own files
    script = next((m for m in c["volumeMounts"] if m.get("subPath") == "addresses.envsh"), {})
    volume = next((v for v in gateway.pod["volumes"] if v["name"] == script.get("name")), {})
    if script.get("mountPath") == "/docker-entrypoint.d/17-addresses.envsh" and volume["configMap"]["items"][0]["mode"] & 0o111:
        given |= set(re.findall(r"^export (.+)$", (TEMPLATES / "addresses.envsh").read_text(), re.M)[0].split())
    named = set(re.findall(r"\$\{(\w+)\}", text))
    yield from (f"{gateway}: nothing fills in ${{{name}}}" for name in named - given)
    # docker/compose.yaml has the same files
    composed = (ROOT / "docker/compose.yaml").read_text()
    for name in named & set(variables):
        if f" {name}: " not in composed:
            yield f"docker/compose.yaml: does not set {name}"
    if int(variables.get("GATEWAY_LISTEN", "0")) not in gateway.ports.values():
        yield f"{gateway}: nginx listens on another port than the container says"
    directory = variables.get("NGINX_ENVSUBST_OUTPUT_DIR")
    if ["-p", directory, "-c", f"{directory}/nginx.conf"] != c["args"][1:5]:
        yield f"{gateway}: nginx does not start in {directory}"
    # one name alone would make either retries or new pods late
    for name, port in re.findall(r"^\s*server ([\w-]+)\$\{GATEWAY_DOMAIN\}:(\d+) resolve", text, re.M):
        service = market.get("Service", name)
        if not service or int(port) not in [p["port"] for p in service["spec"]["ports"]]:
            yield f"nginx: {name}:{port} is no Service"
        elif (service["spec"].get("clusterIP") == "None") != name.endswith("-pods"):
            yield f"nginx: {name} must {'' if name.endswith('-pods') else 'not '}be headless"
    for service in SERVICES:
        for name in (service, f"{service}-pods"):
            if f"server {name}${{GATEWAY_DOMAIN}}:8000 resolve" not in text:
                yield f"nginx: does not know {name}"


RULES = [services, policies, families, client_addresses, urls, nginx]
