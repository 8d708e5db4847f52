#!/usr/bin/env python3
"""Extract from the Engine API's descriptions what a request may hold, and since when.

    extract.py DIRECTORY > ../data/engine-api.toml
    extract.py --check 1.41 SWAGGER ../data/engine-api.toml

DIRECTORY holds the descriptions as they are published, `v1.41.yaml` to the
newest (`api/docs` and `api/swagger.yaml` of the moby project). Of one version
there may be several, which are joined: `v1.41-debian.yaml` is that of Debian's
package golang-github-docker-docker-dev, from before later corrections. Only
names and the versions that have them are kept: of each operation its method and
path, the members of its query, its headers, and its JSON body with all that
lies below. A body's member is written as a path: `Mounts[].Type` is a member of
the objects in a list, `PortBindings.*[].HostPort` of those in a map.

--check fails for what one description has and the data lack.
"""

import pathlib
import sys
import tomllib

import yaml

# A schema that refers to itself ends here.
DEPTH = 12


def resolve(document, schema):
    while "$ref" in schema:
        target = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = target
    return schema


def members(document, schema, path, depth=0):
    """Every member below a schema, as its path."""
    schema = resolve(document, schema)
    if depth > DEPTH:
        return
    for part in schema.get("allOf", []):
        yield from members(document, part, path, depth + 1)
    for name, inner in schema.get("properties", {}).items():
        at = f"{path}.{name}" if path else name
        yield at
        yield from members(document, inner, at, depth + 1)
    if isinstance(schema.get("additionalProperties"), dict):
        yield from members(document, schema["additionalProperties"], f"{path}.*", depth + 1)
    if "items" in schema:
        yield from members(document, schema["items"], f"{path}[]", depth + 1)


def operations(document):
    """id → (method and path, {place: set of members})."""
    found = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method == "parameters":
                continue
            places = {"query": set(), "header": set(), "body": set()}
            for parameter in operation.get("parameters", []) + item.get("parameters", []):
                parameter = resolve(document, parameter)
                if parameter["in"] in ("query", "header"):
                    places[parameter["in"]].add(parameter["name"])
                elif parameter["in"] == "body":
                    places["body"].update(members(document, parameter["schema"], ""))
            found[operation["operationId"]] = (f"{method.upper()} {path}", places)
    return found


def span(seen, newest):
    """`1.41-` for what is there to the newest, `1.41-1.43` for what is gone."""
    first, last = min(seen), max(seen)
    assert seen == set(range(first, last + 1)), seen
    return f"1.{first}-" + ("" if last == newest else f"1.{last}")


def extract(directory):
    versions = {}
    for path in sorted(pathlib.Path(directory).glob("v1.*.yaml")):
        described = operations(yaml.safe_load(path.read_text(encoding="utf-8")))
        merged = versions.setdefault(int(path.stem.removeprefix("v1.").split("-")[0]), {})
        for name, (request, places) in described.items():
            for place, names in merged.setdefault(name, (request, places))[1].items():
                names |= places[place]
    newest = max(versions)
    order = {}
    for version in sorted(versions):
        for name, (request, places) in versions[version].items():
            entry = order.setdefault(name, {"request": request, "seen": set(), "query": {}, "header": {}, "body": {}})
            assert entry["request"] == request, name
            entry["seen"].add(version)
            for place, names in places.items():
                for member in names:
                    entry[place].setdefault(member, set()).add(version)
    print("# Made by tests/engine_api/extract.py from the Engine API's descriptions; do not edit.")
    print("# A member is followed by the versions that have it.")
    print(f'oldest = "1.{min(versions)}"\nnewest = "1.{newest}"')
    for name, entry in order.items():
        print(f'\n[operation.{name}]\nrequest = "{entry["request"]}"\nversions = "{span(entry["seen"], newest)}"')
        for place in ("query", "header", "body"):
            if entry[place]:
                print(f"[operation.{name}.{place}]")
                for member in sorted(entry[place]):
                    print(f'"{member}" = "{span(entry[place][member], newest)}"')


def within(versions, version):
    first, last = versions.split("-")
    minor = lambda text: int(text.removeprefix("1."))
    return minor(first) <= version and (not last or version <= minor(last))


def check(version, swagger, data):
    version = int(version.removeprefix("1."))
    described = operations(yaml.safe_load(pathlib.Path(swagger).read_text(encoding="utf-8")))
    recorded = tomllib.loads(pathlib.Path(data).read_text(encoding="utf-8"))["operation"]
    wrong = []
    for name, entry in recorded.items():
        if within(entry["versions"], version) != (name in described):
            wrong.append(name)
            continue
        for place in ("query", "header", "body"):
            here = {member for member, versions in entry.get(place, {}).items() if within(versions, version)}
            there = described[name][1][place] if name in described else set()
            # What was described later of an older version may be missing there.
            wrong += [f"{name} {place} {member}" for member in sorted(there - here)]
    wrong += sorted(set(described) - set(recorded))
    sys.exit("\n".join(wrong) or 0)


if __name__ == "__main__":
    if sys.argv[1] == "--check":
        check(*sys.argv[2:])
    else:
        extract(sys.argv[1])
