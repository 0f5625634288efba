#!/usr/bin/env bash
# Prints the path of a Chromium: the installed one, or one from Debian's packages, unpacked into the user's cache on first use.
#
#     $(scripts/browser.sh) --version
#
# Nothing is installed and no root is needed: the packages that are missing here, the browser's and its libraries', come from the mirror
# that this machine already uses. Exit status 3: there is none, and a sentence has said why.
set -euo pipefail

cache=${GPU_RESNET_TOOLS:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/gpu-resnet/tools}
folder=$cache/chromium
say() { echo "browser: $*" >&2; }
skip() { say "$*"; exit 3; }

if [[ -n ${GPU_RESNET_BROWSER:-} ]]; then echo "$GPU_RESNET_BROWSER"; exit 0; fi
for name in chromium chromium-browser google-chrome; do
    if command -v "$name"; then exit 0; fi
done
if [[ -x $folder/run ]]; then echo "$folder/run"; exit 0; fi

command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || skip "no Chromium is installed, and there are no Debian packages to take it from."
packages=$(apt-get -qq -s -o Debug::NoLocking=1 --no-install-recommends install chromium 2>/dev/null | awk '$1 == "Inst" { print $2 }') || true
[[ -n $packages ]] || skip "no Chromium is installed, and this machine's package lists have none."
say "fetching Chromium (120 MB) into $folder"
mkdir -p "$cache"
work=$(mktemp -d "$cache/.chromium.XXXXXX")
trap 'rm -rf "$work"' EXIT
# shellcheck disable=SC2086 # one word a package
(cd "$work" && apt-get -qq -o APT::Sandbox::User= download $packages >"$work/log" 2>&1) || skip "Chromium could not be fetched: $(tail -n 1 "$work/log")."
mkdir "$work/root"
for package in "$work"/*.deb; do dpkg-deb -x "$package" "$work/root"; done
[[ -x $work/root/usr/lib/chromium/chromium ]] || skip "this chromium package has another layout."
cat >"$work/root/run" <<END
#!/bin/sh
libraries=$folder/usr/lib/\$(uname -m)-linux-gnu
export LD_LIBRARY_PATH="\$libraries:\$libraries/pulseaudio\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
exec $folder/usr/lib/chromium/chromium "\$@"
END
chmod +x "$work/root/run"
rm -rf "$folder" && mv "$work/root" "$folder"
missing=$(LD_LIBRARY_PATH=$folder/usr/lib/$(uname -m)-linux-gnu:$folder/usr/lib/$(uname -m)-linux-gnu/pulseaudio ldd "$folder/usr/lib/chromium/chromium" | sed -n 's/ => not found//p' | paste -sd' ')
[[ -z $missing ]] || skip "the fetched Chromium lacks $missing here."
echo "$folder/run"
