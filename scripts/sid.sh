#!/usr/bin/env bash
# Unpacks packages of Debian sid, with all that they depend on, into a folder: nothing is installed, and no root is needed.
#
#     scripts/sid.sh FOLDER PACKAGE ... [-PATTERN]    # without dependencies whose names match the extended regular expression
#
# The packages come from the mirror that this machine already uses, and apt checks them with Debian's keys, as always. Their C library is
# among them, since this machine's may be older. The folder appears once it is whole, with a file .complete in it.
set -euo pipefail

die() { echo "sid: $*" >&2; exit 1; }

folder=$1
shift
packages=() without='^$'
for argument in "$@"; do
    case $argument in -*) without=${argument#-} ;; *) packages+=("$argument") ;; esac
done
[[ ! -f $folder/.complete ]] || exit 0
command -v apt-get >/dev/null && [[ $(uname -m) == x86_64 ]] ||
    die "this needs Debian's packages for x86_64, and this machine has no apt-get or another processor."
mirror=$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | grep -m 1 '/debian/\?$') ||
    mirror=$(apt-cache policy base-files | grep -m 1 -oE 'https?://[^ ]+') || die "no Debian mirror is configured here."
key=$(compgen -G '/usr/share/keyrings/debian-archive-keyring.*' | head -n 1) || die "Debian's keys (debian-archive-keyring) are missing."

mkdir -p "${folder%/*}"
work=$(mktemp -d "$folder.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{lists/partial,archives/partial,root}
: >"$work/status"
echo "deb [signed-by=$key] $mirror sid main" >"$work/sources.list"
# Package lists of its own, by which nothing is installed yet.
apt() {
    apt-get -qq -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=- -o Dir::State::Lists="$work/lists" \
        -o Dir::State::Status="$work/status" -o Dir::Cache::Archives="$work/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
        -o Debug::NoLocking=1 -o APT::Sandbox::User= "$@"
}
apt update >&2 || die "this machine's Debian mirror has no sid."
all=$(apt -s --no-install-recommends install "${packages[@]}" | awk '$1 == "Inst" { print $2 }' | grep -vE -- "$without") ||
    die "this machine's Debian mirror lacks one of ${packages[*]}, or what it depends on."
# shellcheck disable=SC2086 # one word a package
(cd "$work/archives" && apt download $all >&2) || die "not every package could be fetched."
for package in "$work"/archives/*.deb; do dpkg-deb -x "$package" "$work/root"; done
touch "$work/root/.complete"
rm -rf "$folder" && mv "$work/root" "$folder"
