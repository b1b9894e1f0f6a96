"""Rules of pods: the restricted Pod Security Standard (https://kubernetes.io/docs/concepts/security/pod-security-standards/),
probes, resources, leaving, places."""

import re

from .market import K8S, SERVICES, Market, Workload, references

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
}
SELINUX = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
SECCOMP = {"RuntimeDefault", "Localhost"}


def restricted(market: Market):
    for w in market.workloads:
        yield from (f"{w}: {what}" for what in restricted_pod(w.pod))


def restricted_pod(pod: dict):
    security = pod.get("securityContext", {})
    for host in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(host):
            yield f"{host} is set"
    for volume in pod.get("volumes", []):
        if kinds := set(volume) - {"name"} - VOLUMES:
            yield f"volume {volume['name']} is a {kinds}"
    for sysctl in security.get("sysctls", []):
        if sysctl["name"] not in SYSCTLS:
            yield f"sysctl {sysctl['name']}"
    yield from shared_context(security, "the pod")
    containers = pod["containers"] + pod.get("initContainers", []) + pod.get("ephemeralContainers", [])
    for c in containers:
        own, name = c.get("securityContext", {}), c["name"]
        yield from shared_context(own, name)
        if any(p.get("hostPort") for p in c.get("ports", [])):
            yield f"{name} has a host port"
        if own.get("privileged"):
            yield f"{name} is privileged"
        if own.get("allowPrivilegeEscalation") is not False:
            yield f"{name} may gain privileges"
        if own.get("runAsNonRoot", security.get("runAsNonRoot")) is not True:
            yield f"{name} may run as root"
        if own.get("seccompProfile", security.get("seccompProfile", {})).get("type") not in SECCOMP:
            yield f"{name} has no seccomp profile"
        capabilities = own.get("capabilities", {})
        if "ALL" not in capabilities.get("drop", []):
            yield f"{name} keeps capabilities"
        if set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
            yield f"{name} adds capabilities"
        if own.get("procMount", "Default") not in ("", "Default"):
            yield f"{name} sees more of /proc"
        handlers = [c.get(p, {}) for p in ("startupProbe", "livenessProbe", "readinessProbe")]
        handlers += c.get("lifecycle", {}).values()
        if any(h.get(k, {}).get("host") for h in handlers for k in ("httpGet", "tcpSocket")):
            yield f"{name} is probed on another host"


def shared_context(context: dict, whose: str):
    """What a pod and its containers are both asked."""
    if context.get("windowsOptions", {}).get("hostProcess"):
        yield f"{whose} is a host process"
    if context.get("runAsUser") == 0:
        yield f"{whose} runs as user 0"
    if context.get("seccompProfile", {}).get("type", "RuntimeDefault") not in SECCOMP:
        yield f"{whose} has no seccomp profile"
    if context.get("appArmorProfile", {}).get("type", "RuntimeDefault") not in SECCOMP:
        yield f"{whose} has no AppArmor profile"
    selinux = context.get("seLinuxOptions", {})
    if selinux.get("type", "") not in SELINUX or selinux.get("user") or selinux.get("role"):
        yield f"{whose} has SELinux options"


def hardened(market: Market):
    """What the standard does not ask for and we do."""
    for w in market.workloads:
        if w.pod.get("automountServiceAccountToken") is not False:
            yield f"{w}: mounts a token for the API server"
        if w.pod.get("enableServiceLinks") is not False:
            yield f"{w}: takes variables from Services (enableServiceLinks)"
        if not market.get("ServiceAccount", w.pod.get("serviceAccountName", "")):
            yield f"{w}: has no ServiceAccount of its own"
        if not w.pod.get("securityContext", {}).get("runAsUser"):
            yield f"{w}: leaves its user to the image, whose name for it may be no number"
        for c in w.all_containers:
            if c.get("securityContext", {}).get("readOnlyRootFilesystem") is not True:
                yield f"{w}: {c['name']} can write to its image"
            for what in ("requests", "limits"):
                if missing := {"cpu", "memory"} - set(c.get("resources", {}).get(what, {})):
                    yield f"{w}: {c['name']} has no {what} of {missing}"


# images of others whose digest no two sources agree on: docs/KUBERNETES.md says how to find it
BY_TAG_ONLY = {"nginxinc/nginx-unprivileged"}


def images(market: Market):
    for w in market.workloads:
        for c in w.all_containers:
            named, _, digest = c["image"].partition("@")
            repository, _, tag = named.rpartition(":")
            tag = tag if "/" not in tag else ""
            ours = repository.rpartition("/")[2] in SERVICES
            if not ours and repository not in BY_TAG_ONLY and not re.fullmatch("sha256:[0-9a-f]{64}", digest):
                yield f"{w}: image {c['image']} may be another one tomorrow: it has no digest"
            if not tag or tag == "latest" or not (re.search(r"\d", tag) or tag == "dev"):
                yield f"{w}: image {c['image']} has no version"
            if c.get("imagePullPolicy") != "IfNotPresent":
                yield f"{w}: {c['name']} is pulled {c.get('imagePullPolicy')}: an image that was loaded would not be found"


def probes(market: Market):
    for w in filter(lambda w: w.serves, market.workloads):
        for c in w.containers:
            for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
                probe = c.get(kind)
                if probe is None:
                    yield f"{w}: {c['name']} has no {kind}"
                    continue
                yield from (f"{w}: {c['name']}: {kind} {what}" for what in one_probe(w, kind, probe))


def one_probe(w: Workload, kind: str, probe: dict):
    http = probe.get("httpGet")
    if port := (http or probe.get("tcpSocket", {})).get("port"):
        if port not in w.ports:
            yield f"asks port {port}, which no container names"
    if http:
        wanted = "/readyz" if kind == "readinessProbe" else "/livez"
        if http["path"] != wanted:
            yield f"asks {http['path']}: only {wanted} is right, as /readyz looks at the store"
    command = probe.get("exec", {}).get("command", [])
    for option, value in zip(command, command[1:]):
        if option in ("-h", "--host") and not value.startswith("/"):
            yield f"asks another host, {value}"
    patience = probe.get("periodSeconds", 10) * probe.get("failureThreshold", 3)
    if kind == "startupProbe" and patience < 60:
        yield f"gives it {patience} s to start"
    if kind == "livenessProbe" and patience < 60:
        yield f"kills it after {patience} s, which a busy node can take"
    if kind == "readinessProbe" and patience > 20:
        yield f"takes {patience} s to notice"


def env(c: dict, name: str, default: str) -> str:
    return next((e.get("value", default) for e in c.get("env", []) if e["name"] == name), default)


def leaving(market: Market):
    """The grace period holds all that happens in it."""
    nginx = (K8S / "base/gateway/nginx.conf.template").read_text()
    streams = int(re.search(r"^worker_shutdown_timeout (\d+)s;", nginx, re.M).group(1))
    for w in filter(lambda w: w.serves, market.workloads):
        c = w.containers[0]
        grace = w.pod.get("terminationGracePeriodSeconds", 30)
        wait = c.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        if w.name in SERVICES:
            drain, finish = int(env(c, "DRAIN_SECONDS", "5")), int(env(c, "GRACE_SECONDS", "10"))
            needed = wait + drain + 2 * finish + 15
            # DNS caches for 5 s in places, the gateway asks once a second, and an endpoint takes a moment to go
            if wait + drain < 7:
                yield f"{w}: stops taking connections after {wait + drain} s, before the gateway knows"
        elif w.name == "gateway":
            needed = wait + streams + 5
            if wait < 5:
                yield f"{w}: nginx closes its port before load balancers know"
        else:
            continue
        if grace < needed:
            yield f"{w}: terminationGracePeriodSeconds is {grace}, and leaving may take {needed}"


def updates(market: Market):
    """A new pod comes before an old one goes; where there are three or more, one may be missing."""
    for w in market.workloads:
        if w.kind != "Deployment" or w.name == "redis":
            continue
        rolling = w.spec.get("strategy", {}).get("rollingUpdate", {})
        if rolling.get("maxSurge") != 1:
            yield f"{w}: rolls with maxSurge {rolling.get('maxSurge')}"
        for replicas, few in ((1, 0), (2, 0), (3, 1)):
            if (missing := unavailable(rolling.get("maxUnavailable", "25%"), replicas)) > few:
                yield f"{w}: rolls with {missing} of {replicas} pods missing"


def unavailable(limit: int | str, replicas: int) -> int:
    """As the Deployment controller rounds it."""
    return int(limit.rstrip("%")) * replicas // 100 if isinstance(limit, str) else limit


def places(market: Market):
    """Where pods may be scheduled."""
    for w in filter(lambda w: w.serves, market.workloads):
        affinity = w.pod.get("affinity", {}).get("podAffinity", {})
        required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution", [])
        together = [t for t in required if t["topologyKey"] == "kubernetes.io/hostname"]
        claims = [v for v in w.pod.get("volumes", []) if "persistentVolumeClaim" in v]
        if w.kind == "Deployment" and claims and not together:
            yield f"{w}: shares a volume and not a node"
        if together and not claims:
            yield f"{w}: must share a node for no volume"
        spread = w.pod.get("topologySpreadConstraints", [])
        if w.name in (*SERVICES, "gateway") and not spread:
            yield f"{w}: is not spread"
        for s in spread:
            if not s["labelSelector"]["matchLabels"].items() <= w.labels.items():
                yield f"{w}: is spread among pods of others"
            strict = s["whenUnsatisfiable"] == "DoNotSchedule" and s["topologyKey"] == "kubernetes.io/hostname"
            if strict and together:
                yield f"{w}: must share a node and must not"
        for t in together:
            if not t["labelSelector"]["matchLabels"].items() <= w.labels.items():
                yield f"{w}: wants to be with others, and so could never start"


def parts(market: Market):
    """Whatever a pod mounts or reads is there, in order."""
    for w in market.workloads:
        volumes = {v["name"]: v for v in w.pod.get("volumes", [])}
        volumes |= {v["metadata"]["name"]: {} for v in w.spec.get("volumeClaimTemplates", [])}
        mounted = {m["name"] for c in w.all_containers for m in c.get("volumeMounts", [])}
        if mounted != set(volumes):
            yield f"{w}: mounts {sorted(mounted)} of {sorted(volumes)}"
        for v in volumes.values():
            if "configMap" in v and not market.get("ConfigMap", v["configMap"]["name"]):
                yield f"{w}: there is no ConfigMap {v['configMap']['name']}"
            claim = v.get("persistentVolumeClaim", {}).get("claimName")
            if claim and not market.get("PersistentVolumeClaim", claim):
                yield f"{w}: there is no claim {claim}"
        for c in w.all_containers:
            before = set()
            for e in c.get("env", []):
                for name in references(e.get("value", "")):
                    if name not in before:
                        yield f"{w}: {e['name']} uses $({name}), which does not stand before it"
                before.add(e["name"])


RULES = [restricted, hardened, images, probes, leaving, updates, places, parts]
