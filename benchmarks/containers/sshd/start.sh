#!/bin/sh
# Serves SSH at the address and port that are given, and behind it Redis, Postgres and stream.py, each at a
# free port of the loopback interface. Where they are stands in the identification. Whoever has a key is
# let in, and may do nothing but connect to these three.
set -eu

here=$(dirname "$0")
free_port() {
    python3 -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])'
}

redis=$(free_port)
redis-server --bind 127.0.0.1 --port "$redis" --save "" --appendonly no > redis.log &

programs=$(echo /usr/lib/postgresql/*/bin)
postgres=$(free_port)
"$programs/initdb" --pgdata data --username postgres --auth trust --encoding UTF8 --no-sync > initdb.log
"$programs/postgres" -D data -c listen_addresses=127.0.0.1 -c port="$postgres" \
    -c unix_socket_directories=/tmp -c dynamic_shared_memory_type=mmap \
    -c fsync=off -c full_page_writes=off -c synchronous_commit=off &

# Its input never ends, since this process can write to it as well.
mkfifo never
python3 "$here/stream.py" 127.0.0.1 <> never > stream.port &

until "$programs/pg_isready" --quiet --host 127.0.0.1 --port "$postgres" && [ -s stream.port ]; do
    sleep 0.1
done
stream=$(cat stream.port)

ssh-keygen -q -t ed25519 -N "" -f host_key
cat > sshd_config <<END
ListenAddress $1
Port $2
HostKey $PWD/host_key
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
AuthorizedKeysFile none
AuthorizedKeysCommand /usr/bin/echo %t %k
AuthorizedKeysCommandUser $(id --user --name)
ForceCommand /usr/bin/false
PermitTTY no
PermitUserRC no
AllowAgentForwarding no
AllowStreamLocalForwarding no
AllowTcpForwarding local
PermitOpen 127.0.0.1:$redis 127.0.0.1:$postgres 127.0.0.1:$stream
Ciphers aes128-gcm@openssh.com
MaxStartups 1000
MaxSessions 1000
VersionAddendum user=$(id --user --name) redis=$redis postgres=$postgres stream=$stream
END
exec /usr/sbin/sshd -D -e -f sshd_config
