#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# rpcgen.sh -h|-c INPUT.x OUTPUT. rpcgen names the header after its input's path and never
# overwrites a file, so it works in a folder of its own.
set -e
dir=$(mktemp -d "$3.XXXXXX")
trap 'rm -rf "$dir"' EXIT
cp "$2" "$dir/protocol.x"
(cd "$dir" && rpcgen "$1" -o output protocol.x)
mv "$dir/output" "$3"
