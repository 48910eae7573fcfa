"""Examines what the chart renders: against the schemas of Kubernetes and of the Prometheus operator, against the restricted
profile of Pod Security, and as a whole, since most mistakes are names that do not meet.

    examine.py manifests FILE VERSION     every finding on a line; exit 1 if there is one
    examine.py planted FILE VERSION       plants faults in FILE and fails for each that is not found
    examine.py configuration FILE DIR     writes what certroll would find in the pod below DIR, and its environment to DIR/env
    examine.py values CHART               whether values.yaml and values.schema.json name the same keys, each with a comment
"""

import copy
import json
import pathlib
import re
import subprocess
import sys
import tomllib

import yaml

OPERATOR = {"monitoring.coreos.com/v1", "azmonitoring.coreos.com/v1"}


def load(path):
    return [one for one in yaml.safe_load_all(pathlib.Path(path).read_text()) if one]


# Schemas


def schema(one, version):
    if one["apiVersion"] in OPERATOR:
        yield from operator_schema(one)
        return
    import kubernetes_validate

    try:
        kubernetes_validate.validate(one, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        yield f"{'.'.join(map(str, error.path))}: {error.message}"
    except kubernetes_validate.SchemaNotFoundError as error:
        yield error.message


def operator_schema(one):
    """The models ignore what they do not know, so what they took is compared with what was given."""
    from cloudcoil.models.prometheus_operator import v1
    from pydantic import ValidationError

    # Azure's resources have the fields of the operator's, in a group of their own.
    given = one | {"apiVersion": "monitoring.coreos.com/v1"}
    try:
        taken = getattr(v1, one["kind"]).model_validate(given)
    except ValidationError as error:
        yield from (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        return
    yield from lost(given, json.loads(taken.model_dump_json(by_alias=True, exclude_unset=True)), "")


def lost(given, taken, place):
    if isinstance(given, dict):
        for key, value in given.items():
            if not isinstance(taken, dict) or key not in taken:
                yield f"{place}.{key}: is no field"
            else:
                yield from lost(value, taken[key], f"{place}.{key}")
    elif isinstance(given, list):
        for index, value in enumerate(given):
            yield from lost(value, taken[index], f"{place}[{index}]")


# Pod Security

ALLOWED_VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
}


def restricted(pod):
    """The profile `restricted` of Pod Security, and a read-only root besides."""
    whole = pod.get("securityContext", {})
    for word in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(word):
            yield f"{word} is set"
    for volume in pod.get("volumes", []):
        for kind in volume.keys() - {"name"} - ALLOWED_VOLUMES:
            yield f"volume {volume['name']}: {kind} is not allowed"
    for container in pod.get("initContainers", []) + pod["containers"]:
        own = container.get("securityContext", {})
        name = container["name"]
        if own.get("runAsNonRoot", whole.get("runAsNonRoot")) is not True:
            yield f"{name}: runAsNonRoot is not true"
        if own.get("runAsUser", whole.get("runAsUser")) == 0:
            yield f"{name}: runs as root"
        if own.get("allowPrivilegeEscalation") is not False:
            yield f"{name}: allowPrivilegeEscalation is not false"
        if own.get("privileged"):
            yield f"{name}: is privileged"
        if own.get("capabilities") != {"drop": ["ALL"]}:
            yield f"{name}: keeps or adds capabilities"
        profile = own.get("seccompProfile", whole.get("seccompProfile", {})).get("type")
        if profile not in ("RuntimeDefault", "Localhost"):
            yield f"{name}: seccompProfile is {profile}"
        if own.get("readOnlyRootFilesystem") is not True:
            yield f"{name}: its root can be written"
        for port in container.get("ports", []):
            if port.get("hostPort"):
                yield f"{name}: has a hostPort"


# The whole


def of_kind(manifests, kind):
    return [one for one in manifests if one["kind"] == kind]


def selects(selector, labels):
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def configuration_of(manifests):
    """The texts, by their place in the pod."""
    pod = of_kind(manifests, "Deployment")[0]["spec"]["template"]["spec"]
    maps = {one["metadata"]["name"]: one["data"] for one in of_kind(manifests, "ConfigMap")}
    volume = next(one for one in pod["volumes"] if one["name"] == "config")["configMap"]
    return {item["path"]: maps[volume["name"]][item["key"]] for item in volume["items"]}


def strings(value, key=""):
    if isinstance(value, dict):
        for inner, one in value.items():
            yield from strings(one, inner)
    elif isinstance(value, list):
        for one in value:
            yield from strings(one, key)
    elif isinstance(value, str):
        yield key, value


def whole(manifests):
    deployment, = of_kind(manifests, "Deployment")
    spec, template = deployment["spec"], deployment["spec"]["template"]
    pod, labels = template["spec"], template["metadata"]["labels"]
    container, = pod["containers"]
    if spec["replicas"] != 1 or spec["strategy"] != {"type": "Recreate"}:
        yield "more than one pod may write the journal at a time"
    if pod.get("automountServiceAccountToken") is not False:
        yield "the pod has a token for the cluster"
    if "memory" not in container.get("resources", {}).get("limits", {}):
        yield "memory is not limited"
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        if container.get(probe, {}).get("httpGet", {}).get("port") != "monitoring":
            yield f"{probe} does not ask the monitoring port"

    # Names that must meet.
    if not selects(spec["selector"]["matchLabels"], labels):
        yield "the deployment does not select its pod"
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    for service in of_kind(manifests, "Service"):
        name = service["metadata"]["name"]
        if not selects(service["spec"]["selector"], labels):
            yield f"service {name} does not select the pod"
        for port in service["spec"]["ports"]:
            if port["targetPort"] not in ports:
                yield f"service {name}: no port {port['targetPort']} in the pod"
        if service["spec"]["type"] != "ClusterIP" and any(p["targetPort"] == "monitoring" for p in service["spec"]["ports"]):
            yield f"service {name}: monitoring is open to the world"
    services = {
        one["metadata"]["name"]: (one["metadata"]["labels"], {p["name"] for p in one["spec"]["ports"]})
        for one in of_kind(manifests, "Service")
    }
    for ingress in of_kind(manifests, "Ingress"):
        hosts = {host for tls in ingress["spec"].get("tls", []) for host in tls["hosts"]}
        for rule in ingress["spec"]["rules"]:
            if rule["host"] not in hosts:
                yield f"ingress: {rule['host']} is served without TLS"
            for path in rule["http"]["paths"]:
                if (path["path"], path["pathType"]) != ("/events", "Exact"):
                    yield f"ingress: passes {path['path']} on"
                backend = path["backend"]["service"]
                if backend["port"]["name"] not in services.get(backend["name"], ({}, ()))[1]:
                    yield f"ingress: no port {backend['port']['name']} at a service {backend['name']}"
    for monitor in of_kind(manifests, "ServiceMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"]
        found = [have for labels_of, have in services.values() if selects(wanted, labels_of)]
        if found != [{"monitoring"}] or any(one["port"] != "monitoring" for one in monitor["spec"]["endpoints"]):
            yield "the ServiceMonitor does not find the monitoring service, and that alone"
    for policy in of_kind(manifests, "NetworkPolicy"):
        if not selects(policy["spec"]["podSelector"]["matchLabels"], labels):
            yield "the network policy is not for the pod"
        let_in = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
        if let_in != set(ports.values()):
            yield f"the network policy lets in {sorted(let_in, key=str)}, the pod listens at {sorted(ports.values(), key=str)}"
        let_out = {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
        if not {53, 443} <= let_out:
            yield f"the network policy lets out {sorted(let_out, key=str)}, without names or Azure"
    accounts = {one["metadata"]["name"] for one in of_kind(manifests, "ServiceAccount")}
    if accounts and pod["serviceAccountName"] not in accounts:
        yield "the pod has another service account than the one that is made"
    volumes = {one["name"] for one in pod["volumes"]}
    mounts = {one["name"] for one in container["volumeMounts"]}
    if volumes != mounts:
        yield f"volumes and mounts differ: {sorted(volumes ^ mounts)}"
    claims = {one["metadata"]["name"] for one in of_kind(manifests, "PersistentVolumeClaim")}
    claim = next(one for one in pod["volumes"] if one["name"] == "journal")["persistentVolumeClaim"]["claimName"]
    if claims and claims != {claim}:
        yield "the journal is on another claim than the one that is made"

    # What the configuration names must be there.
    paths = [one["mountPath"] for one in container["volumeMounts"]]
    merged = {}
    for place, text in configuration_of(manifests).items():
        document = tomllib.loads(text)
        merged |= {(key, inner): value for key, table in document.items() if isinstance(table, dict) for inner, value in table.items()}
        for key, value in strings(document):
            if (key.endswith("_file") or key in ("directory", "socket")) and value.startswith("/"):
                if not any(value.startswith(path + "/") for path in paths):
                    yield f"{place}: {key} is {value}, where nothing is mounted"
        if place.endswith("chart.toml"):
            audience = {
                "public": "api://AzureADTokenExchange",
                "china": "api://AzureADTokenExchangeChina",
                "usgov": "api://AzureADTokenExchangeUSGov",
            }[document["cloud"]]
    for table, port in (("monitoring", "monitoring"), ("events", "events")):
        listens = merged.get((table, "listen"))
        if (listens is None) != (port not in ports) or listens not in (None, f"0.0.0.0:{ports.get(port)}"):
            yield f"certroll listens at {listens} for {table}, the pod's port is {ports.get(port)}"
    for volume in pod["volumes"]:
        for source in volume.get("projected", {}).get("sources", []):
            if source["serviceAccountToken"]["audience"] != audience:
                yield f"the token is made out for {source['serviceAccountToken']['audience']}"


def examine(manifests, version):
    for one in manifests:
        place = f"{one['kind']}/{one['metadata']['name']}"
        for found in schema(one, version):
            yield f"{place}: {found}"
        if one["kind"] == "Deployment":
            for found in restricted(one["spec"]["template"]["spec"]):
                yield f"{place}: {found}"
    yield from whole(manifests)


# Planted faults: each is a place, and what stands there instead. `None` takes it away.

POD = "Deployment.spec.template.spec"
BOX = f"{POD}.containers.0"
FAULTS = [
    (f"{BOX}.livenesProbe", {}), (f"{BOX}.ports.0.containerPort", "9460"), ("Deployment.spec.replicas", 2),
    ("Deployment.spec.strategy", {"type": "RollingUpdate"}), ("Deployment.apiVersion", "apps/v1beta1"),
    (f"{POD}.securityContext.runAsNonRoot", None), (f"{BOX}.securityContext.runAsUser", 0),
    (f"{POD}.securityContext.seccompProfile", None), (f"{BOX}.securityContext.allowPrivilegeEscalation", None),
    (f"{BOX}.securityContext.capabilities.add", ["NET_RAW"]), (f"{BOX}.securityContext.capabilities", None),
    (f"{BOX}.securityContext.readOnlyRootFilesystem", False), (f"{BOX}.securityContext.privileged", True),
    (f"{POD}.hostNetwork", True), (f"{POD}.volumes.1", {"name": "journal", "hostPath": {"path": "/"}, "persistentVolumeClaim": {"claimName": "x"}}),
    (f"{BOX}.ports.0.hostPort", 9460), (f"{POD}.automountServiceAccountToken", True), (f"{BOX}.resources.limits", None),
    (f"{BOX}.readinessProbe", None), (f"{BOX}.livenessProbe.httpGet.port", "events"),
    ("Deployment.spec.selector.matchLabels.app.kubernetes.io/instance", "other"),
    ("Service.spec.selector.app.kubernetes.io/instance", "other"), ("Service.spec.ports.0.targetPort", "metrics"),
    ("Service.spec.type", "LoadBalancer"), ("Service.spec.ports.0.prot", "TCP"),
    ("Ingress.spec.rules.0.http.paths.0.path", "/"), ("Ingress.spec.rules.0.http.paths.0.pathType", "Prefix"),
    ("Ingress.spec.tls", []), ("Ingress.spec.rules.0.http.paths.0.backend.service.name", "certroll"),
    ("Ingress.spec.rules.0.http.paths.0.pathTyp", "Exact"),
    ("ServiceMonitor.spec.endpoints.0.port", "events"), ("ServiceMonitor.spec.endpoints.0.intervall", "1m"),
    ("ServiceMonitor.spec.endpoints.0.interval", "often"),
    ("ServiceMonitor.spec.selector.matchLabels.app.kubernetes.io/component", None),
    ("PrometheusRule.spec.groups.0.rules.0.expr", None), ("PrometheusRule.spec.groups.0.rules.0.expression", "1"),
    ("NetworkPolicy.spec.podSelector.matchLabels.app.kubernetes.io/name", "other"),
    ("NetworkPolicy.spec.ingress.0.ports.0.port", 80), ("NetworkPolicy.spec.egress.1", None),
    ("NetworkPolicy.spec.egress.0.ports.0.port", 80), ("NetworkPolicy.spec.policyType", "Egress"),
    ("ServiceAccount.metadata.name", "other"), (f"{BOX}.volumeMounts.2", None),
    (f"{POD}.volumes.3.projected.sources.0.serviceAccountToken.audience", "api://AzureADTokenExchange"),
    ("ConfigMap.data.chart.toml", ("/var/lib/certroll", "/srv")), ("ConfigMap.data.chart.toml", ("0.0.0.0:9461", "0.0.0.0:9460")),
    ("ConfigMap.data.certroll.toml", ("/etc/certroll-secrets", "/etc/secrets")),
]


def plant(manifests, place, value):
    """A copy with the fault, or nothing where the copy has no such place."""
    planted = copy.deepcopy(manifests)
    kind, _, path = place.partition(".")
    node = of_kind(planted, kind)[0]
    # A key of a label or of a file holds dots itself.
    steps = re.findall(r"(?:certroll|chart)\.toml|app\.kubernetes\.io/\w+|[^.]+", path)
    for step in steps[:-1]:
        node = node[int(step) if isinstance(node, list) else step]
    last = int(steps[-1]) if isinstance(node, list) else steps[-1]
    if value is None:
        del node[last]
    elif isinstance(value, tuple):
        assert value[0] in node[last], f"{place} does not hold {value[0]}"
        node[last] = node[last].replace(*value)
    else:
        node[last] = value
    return planted


def planted(manifests, version):
    for place, value in FAULTS:
        if next(examine(plant(manifests, place, value), version), None) is None:
            yield f"not found: {place} = {value}"


# The configuration as the pod has it


def pod_files(manifests, directory):
    root = pathlib.Path(directory)
    certificate = root / "certificate.pem"
    key = root / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=certroll.example", "-addext", "subjectAltName=DNS:certroll.example",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )
    container = of_kind(manifests, "Deployment")[0]["spec"]["template"]["spec"]["containers"][0]
    files = {}
    for place, text in configuration_of(manifests).items():
        for name, value in strings(tomllib.loads(text)):
            if name in ("certificate_file", "ca_file"):
                files[value] = certificate.read_text()
            elif name == "key_file":
                files[value] = key.read_text()
            elif name == "url_file":
                files[value] = "https://hooks.example/abc"
            elif name.endswith("_file"):
                files[value] = "0123456789abcdef0123456789abcdef"
        files[f"/etc/certroll/{place}"] = re.sub(r'"/(etc|var|run)/', rf'"{root}/\1/', text)
    for mount in container["volumeMounts"]:
        if mount.get("readOnly"):
            inside = {file[len(mount["mountPath"]) + 1 :]: what for file, what in files.items() if file.startswith(mount["mountPath"] + "/")}
            as_the_kubelet(root / mount["mountPath"][1:], inside)
        else:
            (root / mount["mountPath"][1:]).mkdir(parents=True)
    environment = [
        f"{one['name']}={one.get('value', 'http://user:password@proxy.example:3128')}" for one in container.get("env", [])
    ]
    (root / "env").write_text("".join(line + "\n" for line in environment))
    return ()


def as_the_kubelet(mount, files):
    """Writes a volume as the kubelet does: a directory for this state of it, and links to what is in there."""
    data = mount / "..2026_11_24_02_11_22.1"
    for name, content in files.items():
        file = data / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        # As `defaultMode` of the deployment has it: certroll warns of a secret that everybody may read.
        file.chmod(0o440)
    data.mkdir(parents=True, exist_ok=True)
    (mount / "..data").symlink_to(data.name)
    for entry in data.iterdir():
        (mount / entry.name).symlink_to(f"..data/{entry.name}")


# Values


def values(chart):
    text = (pathlib.Path(chart) / "values.yaml").read_text()
    document = json.loads((pathlib.Path(chart) / "values.schema.json").read_text())
    yield from same_keys(yaml.safe_load(text), document, "")
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if re.match(r" *[a-zA-Z]+:", line) and not lines[number - 1].lstrip().startswith("#"):
            # What only turns something on is told at its parent; what is inside of one told thing is part of it.
            if line.split("#")[0].strip() not in ("enabled: false", "enabled: true", "service:", "serviceMonitor:", "requests:", "limits:") and not re.match(r" {4}(cpu|memory):", line):
                yield f"values.yaml:{number + 1}: has no comment: {line.strip()}"


def same_keys(value, document, place):
    if not isinstance(value, dict) or "properties" not in document:
        return
    known, there = set(document["properties"]) - {"global"}, set(value)
    # Free amounts: what is not asked for has no default.
    if place.startswith((".resources", ".affinity")):
        known &= there
    for key in sorted(known ^ there):
        yield f"{place}.{key}: is only in {'the schema' if key in known else 'values.yaml'}"
    for key in known & there:
        yield from same_keys(value[key], document["properties"][key], f"{place}.{key}")


def main(arguments):
    match arguments:
        case ["manifests", path, version]:
            found = list(examine(load(path), version))
        case ["planted", path, version]:
            found = list(planted(load(path), version))
            print(f"{len(FAULTS) - len(found)} of {len(FAULTS)} planted faults found")
        case ["configuration", path, directory]:
            found = list(pod_files(load(path), directory))
        case ["values", chart]:
            found = list(values(chart))
        case _:
            sys.exit(__doc__)
    for one in found:
        print(f"  {one}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
