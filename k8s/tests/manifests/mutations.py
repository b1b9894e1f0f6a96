"""Breaks a good overlay in one place at a time; the rule that is there for it must say so."""

from . import limits, network, pods, repository
from .market import Market

BASE = "local-postgres"


def container(market: Market, workload: str, n: int = 0) -> dict:
    return market.workload(workload).containers[n]


def spec(market: Market, kind: str, name: str) -> dict:
    return market.get(kind, name)["spec"]


def drop(market: Market, kind: str, name: str):
    market.docs.remove(market.get(kind, name))


def set_env(market: Market, workload: str, name: str, value: str):
    next(e for e in container(market, workload)["env"] if e["name"] == name)["value"] = value


def drop_env(market: Market, workload: str, name: str):
    env = container(market, workload)["env"]
    env.remove(next(e for e in env if e["name"] == name))


def last_env_first(market: Market):
    container(market, "usuarios")["env"].reverse()


def secret_in_the_open(market: Market):
    e = next(e for e in container(market, "tokens")["env"] if e["name"] == "INTERNAL_TOKEN")
    del e["valueFrom"]
    e["value"] = "0123456789abcdef"


def other_words(market: Market):
    gateway_text(market, "problems.conf.template", "El cuerpo es demasiado grande", "Demasiado")


def gateway_text(market: Market, file: str, old: str, new: str):
    data = network.gateway_files(market)
    assert old in data[file], (file, old)
    data[file] = data[file].replace(old, new)


def role(market: Market, rules: list, name: str = "laboratorio"):
    market.docs.append({"kind": "Role", "metadata": {"name": name, "namespace": "mercado"}, "rules": rules})


def everybody_may(market: Market):
    subjects, ref = [{"kind": "Group", "name": "system:authenticated"}], {"kind": "Role", "name": "laboratorio"}
    market.docs.append({"kind": "RoleBinding", "metadata": {"name": "laboratorio"}, "roleRef": ref, "subjects": subjects})


def dns_everywhere(market: Market):
    spec(market, "NetworkPolicy", "dns")["egress"][0].pop("to")


def dns_in_any_namespace(market: Market):
    spec(market, "NetworkPolicy", "dns")["egress"][0]["to"][0]["namespaceSelector"] = {}


def anybody_scrapes(market: Market):
    spec(market, "NetworkPolicy", "metrics")["ingress"][0]["from"][0]["namespaceSelector"] = {}


def network_volume(market: Market):
    claim = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    market.docs.append({"kind": "PersistentVolumeClaim", "metadata": {"name": "x"}, "spec": claim})


def in_the_cloud(market: Market):
    market.overlay = "gke"


def open_policy(market: Market):
    spec(market, "NetworkPolicy", "tokens")["ingress"][1].pop("from")


# (rule, what is broken, how)
MUTATIONS = [
    (pods.restricted, "root", lambda m: m.workload("tokens").pod["securityContext"].update(runAsNonRoot=False)),
    (pods.restricted, "user 0", lambda m: container(m, "postgres")["securityContext"].update(runAsUser=0)),
    (pods.restricted, "host path", lambda m: m.workload("usuarios").pod["volumes"].append({"name": "x", "hostPath": {"path": "/"}})),
    (pods.restricted, "capabilities", lambda m: container(m, "gateway")["securityContext"].pop("capabilities")),
    (pods.restricted, "a new capability", lambda m: container(m, "redis")["securityContext"]["capabilities"].update(add=["NET_RAW"])),
    (pods.restricted, "seccomp", lambda m: m.workload("lecturas").pod["securityContext"].pop("seccompProfile")),
    (pods.restricted, "an init container", lambda m: m.workload("postgres").pod["initContainers"][0].pop("securityContext")),
    (pods.restricted, "a host port", lambda m: container(m, "gateway")["ports"][0].update(hostPort=80)),
    (pods.hardened, "a writable root", lambda m: container(m, "tokens")["securityContext"].update(readOnlyRootFilesystem=False)),
    (pods.hardened, "service links", lambda m: m.workload("tokens").pod.pop("enableServiceLinks")),
    (pods.hardened, "an account's token", lambda m: m.workload("usuarios").pod.pop("automountServiceAccountToken")),
    (pods.hardened, "no memory limit", lambda m: container(m, "compras")["resources"]["limits"].pop("memory")),
    (pods.images, "latest", lambda m: container(m, "redis").update(image="redis:latest")),
    (pods.images, "no tag", lambda m: container(m, "postgres").update(image="localhost:5000/postgres")),
    (pods.images, "no digest", lambda m: container(m, "postgres").update(image="postgres:17.10-alpine")),
    (pods.images, "half a digest", lambda m: container(m, "lecturas").update(image=container(m, "lecturas")["image"][:-1])),
    (pods.images, "always pulled", lambda m: container(m, "tokens").update(imagePullPolicy="Always")),
    (pods.probes, "no liveness", lambda m: container(m, "transacciones").pop("livenessProbe")),
    (pods.probes, "liveness on the store", lambda m: container(m, "tokens")["livenessProbe"]["httpGet"].update(path="/readyz")),
    (pods.probes, "liveness on a dependency", lambda m: container(m, "postgres")["livenessProbe"]["exec"]["command"].extend(["--host", "redis"])),
    (pods.probes, "a port of no name", lambda m: container(m, "usuarios")["readinessProbe"]["httpGet"].update(port="http")),
    (pods.leaving, "a short grace", lambda m: m.workload("usuarios").pod.update(terminationGracePeriodSeconds=30)),
    (pods.leaving, "no drain", lambda m: set_env(m, "tokens", "DRAIN_SECONDS", "1")),
    (pods.leaving, "no preStop of nginx", lambda m: container(m, "gateway").pop("lifecycle")),
    (pods.updates, "both at once", lambda m: m.workload("usuarios").spec["strategy"]["rollingUpdate"].update(maxUnavailable=1)),
    (pods.updates, "the only pod first", lambda m: m.workload("tokens").spec["strategy"]["rollingUpdate"].update(maxUnavailable=1)),
    (pods.places, "spread among others", lambda m: m.workload("gateway").pod["topologySpreadConstraints"][0]["labelSelector"].update(matchLabels={"a": "b"})),
    (pods.parts, "a variable before its time", last_env_first),
    (pods.parts, "a ConfigMap that is gone", lambda m: drop(m, "ConfigMap", "tokens")),
    (network.services, "another selector", lambda m: spec(m, "Service", "tokens")["selector"].update({"app.kubernetes.io/name": "token"})),
    (network.services, "a port that nobody has", lambda m: spec(m, "Service", "usuarios")["ports"][1].update(targetPort="internal")),
    (network.services, "an open service", lambda m: spec(m, "Service", "transacciones").update(type="NodePort")),
    (network.policies, "all may pass", lambda m: drop(m, "NetworkPolicy", "deny-all")),
    (network.policies, "no DNS", lambda m: drop(m, "NetworkPolicy", "dns")),
    (network.policies, "any server at port 53", dns_everywhere),
    (network.policies, "whoever calls itself DNS", dns_in_any_namespace),
    (network.policies, "DNS without TCP", lambda m: spec(m, "NetworkPolicy", "dns")["egress"][0]["ports"].pop()),
    (network.policies, "nobody scrapes", lambda m: drop(m, "NetworkPolicy", "metrics")),
    (network.policies, "everybody scrapes", anybody_scrapes),
    (network.policies, "a scraper at the internal port", lambda m: spec(m, "NetworkPolicy", "metrics")["ingress"][0]["ports"][0].update(port=9000)),
    (network.policies, "anybody may reserve", open_policy),
    (network.policies, "no way to the database", lambda m: drop(m, "NetworkPolicy", "services-postgres")),
    (network.families, "a Service of one family", lambda m: spec(m, "Service", "tokens-pods").pop("ipFamilyPolicy")),
    (repository.accounts, "a market that says nothing", lambda m: drop_env(m, "tokens", "CUENTAS")),
    (repository.accounts, "one service with accounts", lambda m: set_env(m, "tokens", "CUENTAS", "si")),
    (repository.accounts, "a loopback address", lambda m: set_env(m, "usuarios", "HOST", "127.0.0.1")),
    (repository.accounts, "no word of a gateway", lambda m: drop_env(m, "usuarios", "BEHIND_GATEWAY")),
    (network.families, "a service on IPv4", lambda m: set_env(m, "usuarios", "HOST", "0.0.0.0")),
    (network.families, "names of IPv4", lambda m: gateway_text(m, "upstreams.conf.template", "valid=1s;", "valid=1s ipv6=off;")),
    (network.families, "a gateway on IPv4", lambda m: gateway_text(m, "nginx.conf.template", "${GATEWAY_LISTEN_IPV6}", "")),
    (network.client_addresses, "the node's address", lambda m: spec(m, "Service", "gateway").pop("externalTrafficPolicy")),
    (network.client_addresses, "a slow load balancer", lambda m: spec(m, "Service", "gateway").update(type="LoadBalancer")),
    (network.urls, "another port", lambda m: set_env(m, "transacciones", "TOKENS_URL", "http://tokens:9001")),
    (network.urls, "the public port", lambda m: set_env(m, "transacciones", "TOKENS_URL", "http://tokens:8000")),
    (network.urls, "a host that is none", lambda m: set_env(m, "tokens", "REDIS_URL", "redis://cache:6379")),
    (network.nginx, "a balanced Service of pods", lambda m: spec(m, "Service", "tokens-pods").pop("clusterIP")),
    (network.nginx, "an unknown Service", lambda m: drop(m, "Service", "usuarios-pods")),
    (network.nginx, "another port of nginx", lambda m: set_env(m, "gateway", "GATEWAY_LISTEN", "80")),
    (network.nginx, "a script that is not sourced", lambda m: next(v for v in m.workload("gateway").pod["volumes"] if v["name"] == "entrypoint")["configMap"]["items"][0].update(mode=0o444)),
    (network.nginx, "an option that nobody sets", lambda m: container(m, "gateway")["env"].remove({"name": "GATEWAY_CLIENT_WRITES", "value": "50"})),
    (limits.gateway_memory, "less memory", lambda m: container(m, "gateway")["resources"]["limits"].update(memory="128Mi")),
    (limits.gateway_memory, "more connections", lambda m: gateway_text(m, "nginx.conf.template", "worker_connections 3072;", "worker_connections 8192;")),
    (limits.gateway_memory, "larger answers", lambda m: gateway_text(m, "limits.conf.template", "proxy_buffers 12 8k;", "proxy_buffers 16 16k;")),
    (limits.gateway_memory, "any number at once", lambda m: gateway_text(m, "limits.conf.template", "limit_conn requests 400;", "")),
    (limits.bodies, "larger bodies", lambda m: gateway_text(m, "limits.conf.template", "client_max_body_size 8k;", "client_max_body_size 64k;")),
    (limits.bodies, "bodies on the disk", lambda m: gateway_text(m, "limits.conf.template", "client_body_buffer_size 8k;", "client_body_buffer_size 4k;")),
    (limits.bodies, "bodies without an end", lambda m: gateway_text(m, "limits.conf.template", "proxy_request_buffering off;", "")),
    (limits.rates, "no limit of writes", lambda m: gateway_text(m, "limits.conf.template", "limit_req zone=writes_of_client", "# ")),
    (limits.rates, "refusals without a word", lambda m: gateway_text(m, "errors.conf.template", " 429", "")),
    (limits.headers, "a page in a frame", lambda m: gateway_text(m, "headers.conf.template", "frame-ancestors 'none'; ", "")),
    (limits.headers, "an answer of any type", lambda m: gateway_text(m, "headers.conf.template", "X-Content-Type-Options", "X-Other")),
    (limits.headers, "files without headers", lambda m: gateway_text(m, "nginx.conf.template", "include headers.conf;", "")),
    (limits.quotas, "no quota", lambda m: drop(m, "ResourceQuota", "mercado")),
    (limits.quotas, "a quota that stops the autoscaler", lambda m: spec(m, "ResourceQuota", "mercado")["hard"].update({"limits.memory": "6Gi"})),
    (limits.quotas, "a quota that is none", lambda m: spec(m, "ResourceQuota", "mercado")["hard"].update({"limits.cpu": "1000"})),
    (limits.quotas, "no range", lambda m: drop(m, "LimitRange", "mercado")),
    (limits.quotas, "a container out of range", lambda m: container(m, "compras")["resources"]["limits"].update(memory="2Gi")),
    (repository.seeds, "another seed", lambda m: m.get("ConfigMap", "usuarios")["data"].update({"usuarios.json": "[]\n"})),
    (repository.errors, "other words", other_words),
    (repository.page, "half a page", lambda m: next(d for d in m.of("ConfigMap") if "index.html" in d.get("data", {}))["data"].pop("index.html")),
    (repository.secrets, "a secret in the cloud", in_the_cloud),
    (repository.secrets, "a secret in the open", secret_in_the_open),
    (repository.secrets, "no Secret", lambda m: [m.docs.remove(s) for s in m.of("Secret")]),
    (repository.roles, "a Role that may do all", lambda m: role(m, [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}])),
    (repository.roles, "a Role that sees no pods", lambda m: role(m, [{"apiGroups": [""], "resources": ["pods"], "verbs": ["delete"]}])),
    (repository.roles, "a Role of somebody else", lambda m: role(m, [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}], "otro")),
    (repository.roles, "a Role for everybody", everybody_may),
    (repository.labels, "no profile", lambda m: m.get("Namespace", "mercado")["metadata"]["labels"].pop("pod-security.kubernetes.io/enforce")),
    (repository.labels, "no namespace", lambda m: m.get("Service", "postgres")["metadata"].pop("namespace")),
    (repository.disruptions, "no drain, ever", lambda m: spec(m, "PodDisruptionBudget", "usuarios").update(maxUnavailable=0)),
    (repository.disruptions, "one replica", lambda m: spec(m, "Deployment", "transacciones").update(replicas=1)),
    (repository.volumes, "a network volume that nobody uses", network_volume),
    (repository.autoscaling, "two masters", lambda m: spec(m, "Deployment", "tokens").update(replicas=3)),
    (repository.autoscaling, "nothing to scale", lambda m: spec(m, "HorizontalPodAutoscaler", "tokens")["scaleTargetRef"].update(name="token")),
]


def unnoticed(good: Market):
    """The mutations that their rules let pass."""
    for rule, what, mutate in MUTATIONS:
        broken = good.copy()
        mutate(broken)
        if not list(rule(broken)):
            yield f"mutation: {rule.__name__} lets {what} pass"
