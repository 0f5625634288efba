#!/usr/bin/env python3
"""Checks what the program, the Python package, the page and the fuzz targets are made of, offline, from their Cargo.lock and what cargo
knows: that every crate comes from crates.io with a checksum, and that its licence is one of deny.toml's. With --sbom it also writes a
software bill of materials of the program (CycloneDX 1.5, JSON).

    scripts/supply-chain.py [--sbom FILE]

`cargo deny` does the same, and also knows of vulnerabilities; scripts/deny.sh runs it where it is installed.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys

try:
    import tomllib
except ImportError:
    print("supply-chain: this needs Python 3.11 or newer, so licences and checksums are not checked.", file=sys.stderr)
    sys.exit(0)

ROOT = pathlib.Path(__file__).resolve().parent.parent
CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"
# Folders with a Cargo.lock; the first is the program's.
FOLDERS = (".", "python", "web", "fuzz")


def metadata(folder):
    """What cargo knows of all packages that any target or feature needs."""
    manifest = str(ROOT / folder / "Cargo.toml")
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--all-features", "--manifest-path", manifest]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)


def allows(expression, allowed):
    """Whether a licence expression (SPDX; some old crates write / for OR) is met by `allowed`."""
    words = re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))

    def licence():
        name = words.pop(0)
        if name == "(":
            met = either()
            if not words or words.pop(0) != ")":
                raise ValueError(expression)
            return met
        if words[:1] == ["WITH"]:
            name = " ".join([name, words.pop(0), words.pop(0)])
        return name in allowed

    def both():
        met = licence()
        while words[:1] == ["AND"]:
            words.pop(0)
            met = licence() and met
        return met

    def either():
        met = both()
        while words[:1] == ["OR"]:
            words.pop(0)
            met = both() or met
        return met

    met = either()
    if words:
        raise ValueError(expression)
    return met


def problems(packages, checksums, licences):
    exceptions = {exception["crate"]: exception["allow"] for exception in licences.get("exceptions", [])}
    for package in packages:
        name = f"{package['name']} {package['version']}"
        if package["source"] is None:
            continue
        if package["source"] != CRATES_IO:
            yield f"{name} comes from {package['source']}"
        if not checksums.get((package["name"], package["version"])):
            yield f"{name} has no checksum in Cargo.lock"
        allowed = {*licences["allow"], *exceptions.get(package["name"], [])}
        try:
            if not allows(package["license"] or "", allowed):
                yield f"{name} has the licence {package['license']}, which deny.toml does not allow"
        except (ValueError, IndexError):
            yield f"{name} has the licence {package['license']!r}, which can't be read"


def bill(packages, checksums, root):
    """A CycloneDX document. Nothing in it depends on when or where it is made."""

    def component(package):
        key = (package["name"], package["version"])
        found = {
            "type": "library",
            "bom-ref": f"pkg:cargo/{key[0]}@{key[1]}",
            "name": key[0],
            "version": key[1],
            "purl": f"pkg:cargo/{key[0]}@{key[1]}",
            "licenses": [{"expression": (package["license"] or "").replace("/", " OR ")}],
        }
        if checksums.get(key):
            found["hashes"] = [{"alg": "SHA-256", "content": checksums[key]}]
        return found

    components = sorted((component(p) for p in packages if p["id"] != root["id"]), key=lambda c: c["bom-ref"])
    main = {**component(root), "type": "application"}
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "metadata": {"component": main}, "components": components}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sbom", type=pathlib.Path, metavar="FILE", help="write a bill of materials")
    arguments = parser.parse_args()
    licences = tomllib.loads((ROOT / "deny.toml").read_text())["licenses"]
    found, crates = [], set()
    for folder in reversed(FOLDERS):
        known = metadata(folder)
        packages = known["packages"]
        lock = tomllib.loads((ROOT / folder / "Cargo.lock").read_text())
        checksums = {(p["name"], p["version"]): p.get("checksum") for p in lock["package"]}
        found += problems(packages, checksums, licences)
        crates.update((p["name"], p["version"]) for p in packages if p["source"])
    for problem in sorted(set(found)):
        print(f"error: {problem}", file=sys.stderr)
    root = next(p for p in packages if p["id"] == known["resolve"]["root"])
    if arguments.sbom:
        arguments.sbom.write_text(json.dumps(bill(packages, checksums, root), indent=1) + "\n")
    if found:
        sys.exit(1)
    print(f"{len(crates)} crates, all from crates.io with checksums, all under licences of deny.toml")


if __name__ == "__main__":
    main()
