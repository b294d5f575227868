#!/bin/sh
# Makes a Debian base image without a registry, for `BASE=wirekit-debian python -m benchmarks`.
# Needs root, debootstrap and a Docker engine.
#   usage: containers/base.sh [image name] [Debian release]
set -eu

image=${1:-wirekit-debian}
release=${2:-bookworm}

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

debootstrap --variant=minbase "$release" "$root"
rm -rf "$root"/var/cache/apt/archives/*.deb
tar --create --directory "$root" . | docker import - "$image"
