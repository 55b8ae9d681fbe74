#!/bin/sh
# Puts FerretDB, a MongoDB-compatible server that needs no container, into .tools/bin for the tests of libs/store.
#
# Does nothing when a `ferretdb` is already on the PATH or in .tools/bin.
# Without Go it says so and succeeds: the tests that need a server are then skipped with their reason.
set -eu

version=v1.24.2
module=github.com/FerretDB/FerretDB
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
target=$root/.tools/bin/ferretdb

if found=$(command -v ferretdb); then
  echo "ferretdb: using $found"
  exit 0
fi
if [ -x "$target" ]; then
  echo "ferretdb: using $target"
  exit 0
fi
if ! command -v go >/dev/null; then
  echo "ferretdb: not installed, because Go is absent"
  exit 0
fi

work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT

echo "ferretdb: building $version with $(go version | cut -d' ' -f3); this takes some minutes"
cd "$work"
source=$(go mod download -json "$module@$version" | sed -n 's/^[[:space:]]*"Dir": "\(.*\)",*$/\1/p')
cp -R "$source" source
chmod -R u+w source
# A plain `go install` gives a binary that panics at its start: the module is published without this generated file.
echo "$version" >source/build/version/version.txt
cd source
mkdir -p "$(dirname "$target")"
GOFLAGS='-mod=mod -buildvcs=false' nice -n 19 go build -trimpath -o "$target.part" ./cmd/ferretdb
mv "$target.part" "$target"
echo "ferretdb: installed $target"
