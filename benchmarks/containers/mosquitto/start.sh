#!/bin/sh
# Serves everybody at the port and address that are given, keeps nothing, holds back and drops nothing.
set -eu

cat > /tmp/mosquitto.conf <<END
listener $1 $2
allow_anonymous true
persistence false
max_inflight_messages 0
max_queued_messages 0
set_tcp_nodelay true
END
exec /usr/sbin/mosquitto -c /tmp/mosquitto.conf
