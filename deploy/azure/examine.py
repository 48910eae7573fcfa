"""Examines the Bicep of this directory, its parameters, and that it says the same as the documents.

The compiler is none of this: it is in no package that this repository may depend on. Instead each file is parsed by a grammar of
Bicep; every name must be declared, and everything declared be used; what a module is given must be what it takes; and each resource
is compared with Microsoft's own models of that type in that api-version, from the Azure SDK for Python.

    examine.py            every finding on a line; exit 1 if there is one
    examine.py planted    plants faults in copies and fails for each that is not found
"""

import importlib
import json
import pathlib
import re
import shutil
import sys
import tempfile

import tree_sitter
import tree_sitter_bicep

PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_bicep.language()))

# Functions of Bicep that are used here; another one is looked up in Bicep's reference, then added.
FUNCTIONS = {
    "description", "empty", "environment", "guid", "loadJsonContent", "minLength", "resourceGroup", "subscription", "subscriptionResourceId",
}

# Where Microsoft's models of a type are: the module of that api-version, and the class. None: only referred to, never made.
TYPES = {
    "Microsoft.Authorization/roleDefinitions@2022-04-01": ("azure.mgmt.authorization.v2022_04_01.models", "RoleDefinition"),
    "Microsoft.Authorization/roleAssignments@2022-04-01": (
        "azure.mgmt.authorization.v2022_04_01.models", "RoleAssignmentCreateParameters",
    ),
    "Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31": ("azure.mgmt.msi.v2023_01_31.models", "Identity"),
    "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials@2023-01-31": (
        "azure.mgmt.msi.v2023_01_31.models", "FederatedIdentityCredential",
    ),
    "Microsoft.EventGrid/systemTopics@2022-06-15": ("azure.mgmt.eventgrid.models", "SystemTopic"),
    "Microsoft.EventGrid/systemTopics/eventSubscriptions@2022-06-15": ("azure.mgmt.eventgrid.models", "EventSubscription"),
    "Microsoft.KeyVault/vaults@2022-07-01": None,
}

# What a resource has in Bicep beside its body.
AROUND = {"name", "parent", "scope"}


# Reading Bicep


class Expression(str):
    """What is known only when it is deployed."""


def walk(node):
    yield node
    for child in node.children:
        yield from walk(child)


def text(node):
    return node.text.decode()


def value(node):
    """A literal as Python has it; anything else as its text."""
    named = node.named_children
    if node.type == "object":
        return {
            key(one.named_children[0]): value(one.named_children[1]) for one in named if one.type == "object_property"
        }
    if node.type == "array":
        return [value(one) for one in named if one.type != "comment"]
    if node.type == "string" and not any(one.type == "interpolation" for one in named):
        return "".join(text(one) for one in named)
    if node.type in ("boolean", "number"):
        return json.loads(text(node))
    return Expression(text(node))


def key(node):
    return value(node) if node.type == "string" else text(node)


class File:
    """One file: what it declares, and where it names something."""

    def __init__(self, path):
        self.path = path
        self.tree = PARSER.parse(path.read_bytes()).root_node
        self.parameters, self.resources, self.modules = {}, {}, {}
        self.variables, self.outputs, self.bodies = set(), set(), {}
        self.loops, self.used, self.called = set(), set(), set()
        for node in self.tree.children:
            self.declare(node)
        for node in walk(self.tree):
            self.note(node)

    def declare(self, node):
        named = node.named_children
        match node.type:
            case "parameter_declaration":
                # Its name, its type, and its default where there is one.
                self.parameters[text(named[0])] = (text(named[1]), len(named) > 2)
            case "variable_declaration":
                self.variables.add(text(named[0]))
            case "output_declaration":
                self.outputs.add(text(named[0]))
            case "resource_declaration":
                self.resources[text(named[0])] = (value(named[1]), " existing = " in text(node).splitlines()[0], body(node))
            case "module_declaration":
                self.modules[text(named[0])] = (value(named[1]), body(node))

    def note(self, node):
        if node.type in ("loop_variable", "loop_enumerator"):
            self.loops.add(text(node))
        if node.type != "identifier":
            return
        parent = node.parent
        first = parent.named_children[0] == node
        if parent.type.endswith("_declaration") and first or parent.type == "object_property" and first:
            return
        if parent.type == "call_expression" and first:
            self.called.add(text(node))
        else:
            self.used.add(text(node))

    def declared(self):
        return set(self.parameters) | self.variables | set(self.resources) | set(self.modules) | self.loops


def body(node):
    """The object of a declaration, also where it is made by a loop or on a condition."""
    for one in walk(node):
        if one.type == "object" and one.parent.type in ("resource_declaration", "module_declaration", "for_statement", "if_statement"):
            return value(one)
    return {}


# What is wrong in a file by itself


def syntax(file):
    for node in walk(file.tree):
        if node.type == "ERROR" or node.is_missing:
            yield f"line {node.start_point[0] + 1}: no Bicep: {text(node)[:60]!r}"


def names(file):
    for one in sorted(file.used - file.declared() - FUNCTIONS):
        yield f"`{one}` is not declared"
    for one in sorted(file.called - FUNCTIONS):
        yield f"`{one}` is no function that is known here"
    for one in sorted((set(file.parameters) | file.variables) - file.used):
        yield f"`{one}` is declared and not used"
    for one in sorted(file.declared() & FUNCTIONS):
        yield f"`{one}` hides the function of that name"


def modules(file, files):
    for name, (path, content) in file.modules.items():
        other = files.get(file.path.parent / path)
        if other is None:
            yield f"module {name}: there is no {path}"
            continue
        given = content.get("params", {})
        for one in sorted(given.keys() - other.parameters.keys()):
            yield f"module {name}: {path} takes no `{one}`"
        for one, (_, optional) in other.parameters.items():
            if one not in given and not optional:
                yield f"module {name}: `{one}` is missing"
        for one in re.findall(rf"\b{name}\.outputs\.(\w+)", text(file.tree)):
            if one not in other.outputs:
                yield f"module {name}: {path} gives no `{one}`"


# Resources against Microsoft's models


def resources(file):
    for name, (kind, existing, content) in file.resources.items():
        place = f"resource {name}"
        if kind not in TYPES:
            yield f"{place}: no model is known of {kind}"
        elif TYPES[kind] is None or existing:
            if content.keys() - AROUND or not existing:
                yield f"{place}: is only referred to"
        else:
            module = importlib.import_module(TYPES[kind][0])
            model = getattr(module, TYPES[kind][1])
            inner = {one: what for one, what in content.items() if one not in AROUND}
            if "name" not in content:
                yield f"{place}: has no name"
            if kind.count("/") > 1 and content.get("parent") not in file.resources:
                yield f"{place}: has no parent"
            yield from conforms(inner, model, module, place)


def fields(model):
    """The members of a model by their path, each with its type, whether it is required, and whether it is only read."""
    for attribute, about in model._attribute_map.items():
        rules = model._validation.get(attribute, {})
        yield tuple(re.split(r"(?<!\\)\.", about["key"])), about["type"], rules.get("required", False), rules.get("readonly", False)


def conforms(content, model, module, place):
    if isinstance(content, Expression):
        return
    # A subtype inherits the map, and is none itself.
    subtypes = vars(model).get("_subtype_map", {})
    for member, kinds in subtypes.items():
        word = content.get(re.sub(r".*\.", "", model._attribute_map[member]["key"]))
        if word not in kinds:
            yield f"{place}: expected one of {sorted(kinds)}, found {word}"
            return
        yield from conforms(content, getattr(module, kinds[word]), module, place)
        return
    members = list(fields(model))
    for path, _, required, readonly in members:
        if required and not readonly and at(content, path) is None:
            yield f"{place}: `{'.'.join(path)}` is missing"
    yield from known(content, (), members, module, place)


def at(content, path):
    for step in path:
        if isinstance(content, Expression):
            return content
        if not isinstance(content, dict) or step not in content:
            return None
        content = content[step]
    return content


def known(content, path, members, module, place):
    for name, inner in content.items():
        here = path + (name,)
        whole = [one for one in members if one[0] == here]
        if whole:
            _, kind, _, readonly = whole[0]
            if readonly:
                yield f"{place}: `{'.'.join(here)}` is only read"
            else:
                yield from typed(inner, kind, module, f"{place}: {'.'.join(here)}")
        elif any(one[0][: len(here)] == here for one in members) and isinstance(inner, dict):
            yield from known(inner, here, members, module, place)
        else:
            yield f"{place}: `{'.'.join(here)}` is no member"


def typed(content, kind, module, place):
    if isinstance(content, Expression):
        return
    if kind.startswith("["):
        if not isinstance(content, list):
            yield f"{place}: expected a list, found {content}"
            return
        for one in content:
            yield from typed(one, kind[1:-1], module, place)
    elif kind == "str":
        if not isinstance(content, str):
            yield f"{place}: expected text, found {content}"
    elif kind in ("bool", "int"):
        if type(content).__name__ != kind:
            yield f"{place}: expected {kind}, found {content}"
    elif hasattr(module, kind) and hasattr(getattr(module, kind), "_attribute_map"):
        if isinstance(content, dict):
            yield from conforms(content, getattr(module, kind), module, place)
        else:
            yield f"{place}: expected an object, found {content}"
    else:
        yield f"{place}: a {kind} is not known here"


def words(file):
    """Values that the models take as any text, of which Microsoft names the ones that there are."""
    from azure.mgmt.authorization.v2022_04_01.models import PrincipalType
    from azure.mgmt.eventgrid.models import EventDeliverySchema

    known_words = {
        "principalType": {one.value for one in PrincipalType},
        "eventDeliverySchema": {one.value for one in EventDeliverySchema},
        "topicType": {"Microsoft.KeyVault.vaults"},
    }
    for name, (_, _, content) in file.resources.items():
        for member, word in content.get("properties", {}).items():
            if member in known_words and word not in known_words[member]:
                yield f"resource {name}: {member} expected one of {sorted(known_words[member])}, found {word}"


# Parameters


def parameters(directory, main):
    given = {path.name: json.loads(path.read_text()) for path in sorted((directory / "parameters").glob("*.json"))}
    if set(given) != {"public.json", "china.json", "usgov.json"}:
        yield f"parameters: expected one file for each of three clouds, found {sorted(given)}"
    for file, document in given.items():
        if "deploymentParameters.json" not in document.get("$schema", "") or document.get("contentVersion") != "1.0.0.0":
            yield f"parameters/{file}: is no file of parameters"
        taken = document["parameters"]
        for name in sorted(taken.keys() - main.parameters.keys()):
            yield f"parameters/{file}: main.bicep takes no `{name}`"
        for name, (kind, optional) in main.parameters.items():
            if name not in taken:
                if not optional:
                    yield f"parameters/{file}: `{name}` is missing"
            elif not isinstance(taken[name]["value"], {"string": str, "array": list}[kind]):
                yield f"parameters/{file}: `{name}` expected {kind}, found {taken[name]['value']}"
        wanted = {
            text(node.named_children[1]) for node in walk(main.tree)
            if node.type == "member_expression" and text(node.named_children[0]) == "vault"
        }
        for vault in taken.get("vaults", {}).get("value", []):
            if set(vault) != wanted:
                yield f"parameters/{file}: a vault expected {sorted(wanted)}, found {sorted(vault)}"


# One truth with the documents and the chart


def truths(directory, root, files):
    permissions = (root / "docs/permissions.md").read_text()
    setup = (root / "docs/azure-setup.md").read_text()
    events = (root / "docs/events.md").read_text()
    chart = (root / "deploy/helm/certroll/templates/_names.tpl").read_text()
    main = files[directory / "main.bicep"]

    role = json.loads((directory / "certroll-role.json").read_text())
    shown = re.search(r"certroll-role\.json <<'JSON'\n(.*?)\nJSON", permissions, re.S)
    if shown is None or json.loads(shown[1]) != role:
        yield "docs/permissions.md shows another role than certroll-role.json"
    if "loadJsonContent('certroll-role.json')" not in text(main.tree):
        yield "main.bicep does not read certroll-role.json"
    definition = main.resources["definition"][2]["properties"]
    if definition["permissions"] != [{"actions": "role.Actions", "notActions": [], "dataActions": [], "notDataActions": []}]:
        yield "main.bicep gives the role something else than the actions of certroll-role.json"
    # The table above the role names what is needed; each of its actions must be within the role.
    table = permissions.split("## Pointing az")[0]
    for action in re.findall(r"`(Microsoft\.(?:Compute|KeyVault)/[\w/]+)`", table):
        if not any(re.fullmatch(re.escape(one).replace(r"\*", ".*"), action) for one in role["Actions"]):
            yield f"docs/permissions.md wants {action}, which the role lacks"
    for one in re.findall(r"`(?:Microsoft\.\w+/[\w/*]*)`", setup):
        if one.strip("`") not in role["Actions"] and "/" in one and one.endswith(("read`", "write`", "action`", "*`")):
            yield f"docs/azure-setup.md names {one}, which the role lacks"

    built_in = re.search(r"`Key Vault Certificate User` \(`([0-9a-f-]+)`\)", permissions)
    vault = text(files[directory / "modules/vault.bicep"].tree)
    if built_in is None or f"'{built_in[1]}'" not in vault:
        yield "modules/vault.bicep assigns another role than Key Vault Certificate User of docs/permissions.md"

    cloud_names = {"public": "AzureCloud", "china": "AzureChinaCloud", "usgov": "AzureUSGovernment"}
    row = re.search(r"\| audience of a federated credential \|(.*)\|", permissions)[1]
    documented = dict(zip(cloud_names, re.findall(r"`([^`]+)`", row)))
    in_bicep = dict(re.findall(r"(Azure\w+): '(api://\w+)'", text(files[directory / "modules/identity.bicep"].tree)))
    in_chart = dict(re.findall(r'"(\w+)" "(api://\w+)"', chart))
    if in_bicep != {cloud_names[cloud]: audience for cloud, audience in documented.items()}:
        yield f"modules/identity.bicep has the audiences {in_bicep}, docs/permissions.md {documented}"
    if in_chart != documented:
        yield f"the chart has the audiences {in_chart}, docs/permissions.md {documented}"

    types = set(re.search(r'TYPES="(.*?)"', events, re.S)[1].split())
    filtered = set(files[directory / "modules/events.bicep"].resources["delivery"][2]["properties"]["filter"]["includedEventTypes"])
    if types != filtered:
        yield f"modules/events.bicep takes the events {sorted(filtered)}, docs/events.md {sorted(types)}"
    for word in ("deploy/azure/certroll-role.json", "deploy/azure/main.bicep", *(f"parameters/{cloud}.json" for cloud in cloud_names), *documented.values()):
        if word not in setup:
            yield f"docs/azure-setup.md does not name {word}"


def examine(directory, root):
    paths = [directory / "main.bicep", *sorted((directory / "modules").glob("*.bicep"))]
    files = {path: File(path) for path in paths}
    for path, file in files.items():
        found = list(syntax(file))
        if not found:
            found = [*names(file), *modules(file, files), *resources(file), *words(file)]
        for one in found:
            yield f"{path.relative_to(directory)}: {one}"
    called = {file.path.parent / path for file in files.values() for path, _ in file.modules.values()}
    for path in sorted(set(paths[1:]) - called):
        yield f"{path.relative_to(directory)}: nothing uses it"
    yield from parameters(directory, files[paths[0]])
    yield from truths(directory, root, files)


# Planted faults: a file, what stands there, and what stands there instead.

FAULTS = [
    ("azure/main.bicep", "targetScope =", "targetScope"),
    ("azure/main.bicep", "param location string", "param location strin g"),
    ("azure/main.bicep", "location: location\n", "location: place\n"),
    ("azure/main.bicep", "    serviceAccount: serviceAccount\n", ""),
    ("azure/main.bicep", "    issuerUrl: issuerUrl", "    issuer: issuerUrl"),
    ("azure/main.bicep", "identity.outputs.clientId", "identity.outputs.client"),
    ("azure/main.bicep", "modules/vault.bicep", "modules/vaults.bicep"),
    ("azure/main.bicep", "    roleName: roleName", "    name: roleName"),
    ("azure/main.bicep", "type: 'CustomRole'", "type: []"),
    ("azure/main.bicep", "    principalType: 'ServicePrincipal'", "    principalType: 'Application'"),
    ("azure/main.bicep", "    roleDefinitionId: definition.id\n  }\n}\n\nmodule services", "  }\n}\n\nmodule services"),
    ("azure/main.bicep", "roleDefinitions@2022-04-01", "roleDefinitions@2099-01-01"),
    ("azure/main.bicep", "dataActions: []\n        notData", "dataActions: ['*']\n        notData"),
    ("azure/main.bicep", "actions: role.Actions", "actions: ['*']"),
    ("azure/main.bicep", "guid(here, roleName)", "newGuid()"),
    ("azure/main.bicep", "param roleName string", "param unused string = ''\nparam roleName string"),
    ("azure/modules/identity.bicep", "    issuer: issuerUrl\n", ""),
    ("azure/modules/identity.bicep", "audiences: [", "audience: ["),
    ("azure/modules/identity.bicep", "api://AzureADTokenExchangeChina", "api://AzureADTokenExchange"),
    ("azure/modules/identity.bicep", "  parent: identity\n", ""),
    ("azure/modules/identity.bicep", "  location: location\n", ""),
    ("azure/modules/identity.bicep", "  location: location\n", "  location: location\n  type: 'x'\n"),
    ("azure/modules/vault.bicep", "db79e9a7", "db79e9a8"),
    ("azure/modules/vault.bicep", "@2022-07-01' existing =", "@2022-07-01' ="),
    ("azure/modules/services.bicep", "}\n", "\n"),
    ("azure/modules/events.bicep", "endpointType: 'WebHook'", "endpointType: 'Webhook'"),
    ("azure/modules/events.bicep", "endpointUrl:", "endpointURL:"),
    ("azure/modules/events.bicep", "'EventGridSchema'", "'EventGrid'"),
    ("azure/modules/events.bicep", "Microsoft.KeyVault.SecretNewVersionCreated", "Microsoft.KeyVault.SecretNewVersion"),
    ("azure/modules/events.bicep", "includedEventTypes: [", "includedTypes: ["),
    ("azure/modules/events.bicep", "    topicType: 'Microsoft.KeyVault.vaults'", "    topicType: 'Microsoft.KeyVault'"),
    ("azure/parameters/china.json", '"location": {', '"region": {'),
    ("azure/parameters/usgov.json", '"webhookEndpoint": {\n      "value": ""', '"webhookEndpoint": {\n      "value": []'),
    ("azure/parameters/public.json", '"name": "shop-kv"', '"vault": "shop-kv"'),
    ("azure/modules/identity.bicep", "      audience\n", "      1\n"),
    ("azure/certroll-role.json", '    "Microsoft.Compute/cloudServices/write",\n', ""),
    ("docs/permissions.md", '    "Microsoft.KeyVault/vaults/deploy/action"\n', '    "Microsoft.KeyVault/vaults/*"\n'),
    ("docs/permissions.md", "`api://AzureADTokenExchangeUSGov`", "`api://AzureADTokenExchangeUS`"),
    ("docs/events.md", "Microsoft.KeyVault.VaultAccessPolicyChanged", "Microsoft.KeyVault.SecretNearExpiry"),
    ("docs/azure-setup.md", "parameters/usgov.json", "parameters/gov.json"),
]


def planted(root):
    for file, old, new in FAULTS:
        with tempfile.TemporaryDirectory() as temporary:
            copy = pathlib.Path(temporary)
            shutil.copytree(root / "deploy/azure", copy / "deploy/azure")
            shutil.copytree(root / "deploy/helm/certroll", copy / "deploy/helm/certroll")
            shutil.copytree(root / "docs", copy / "docs")
            path = copy / (file if file.startswith("docs/") else f"deploy/{file}")
            before = path.read_text()
            if old not in before:
                yield f"{file} does not hold {old!r}, so that nothing could be planted"
                continue
            path.write_text(before.replace(old, new, 1))
            if next(examine(copy / "deploy/azure", copy), None) is None:
                yield f"not found: {file}: {old!r} -> {new!r}"


def main(arguments):
    directory = pathlib.Path(__file__).resolve().parent
    root = directory.parent.parent
    match arguments:
        case []:
            found = list(examine(directory, root))
        case ["planted"]:
            found = list(planted(root))
            print(f"{len(FAULTS) - len(found)} of {len(FAULTS)} planted faults found")
        case _:
            sys.exit(__doc__)
    for one in found:
        print(f"  {one}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
