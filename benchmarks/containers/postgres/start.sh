#!/bin/sh
# Makes a cluster in /tmp/data, whose superuser needs no password from this host and its networks, and
# serves it with the settings that are given.
set -eu

programs=$(echo /usr/lib/postgresql/*/bin)
"$programs/initdb" --pgdata /tmp/data --username postgres --auth trust --encoding UTF8 --no-sync
echo "host all postgres samenet trust" >> /tmp/data/pg_hba.conf
exec "$programs/postgres" -D /tmp/data \
    -c unix_socket_directories=/tmp -c dynamic_shared_memory_type=mmap \
    -c fsync=off -c full_page_writes=off -c synchronous_commit=off "$@"
