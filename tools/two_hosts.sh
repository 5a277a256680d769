#!/usr/bin/env bash
# Simulates two machines on one: two network namespaces, host-a and host-b, connected by a virtual cable.
#
#   tools/two_hosts.sh mpirun OPTIONS... PROGRAM...     mpirun on host-a, with a slot on each host
#   tools/two_hosts.sh cut                              in the meantime: cuts the cable
#
# Needs Linux, root, iproute2 and Open MPI. Removes the namespaces when it ends.
set -euo pipefail

if [ "${1:-}" = cut ]; then
    exec ip -n simsiam-a link set cable down
fi
[ "${1:-}" = mpirun ] || { sed -n 2,8p "$0"; exit 2; }
shift

# Runs a command on a host, in place of ssh.
on_host='#!/bin/sh
host=$1; shift
exec ip netns exec "simsiam-${host#host-}" unshare --uts sh -c "hostname \"\$0\"; $*" "$host"'

agent=$(mktemp)
tear_down() {
    rm -f "$agent"
    for host in a b; do
        ip netns pids "simsiam-$host" 2>/dev/null | xargs --no-run-if-empty kill -KILL
        ip netns delete "simsiam-$host" 2>/dev/null || true
    done
}
trap tear_down EXIT
echo "$on_host" > "$agent"
chmod +x "$agent"

for host in a b; do ip netns add "simsiam-$host"; done
ip link add cable netns simsiam-a type veth peer name cable netns simsiam-b
ip -n simsiam-a address add 10.77.0.1/24 dev cable
ip -n simsiam-b address add 10.77.0.2/24 dev cable
for host in a b; do
    ip -n "simsiam-$host" link set lo up
    ip -n "simsiam-$host" link set cable up
done

export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
network=10.77.0.0/24
ip netns exec simsiam-a unshare --uts sh -c 'hostname host-a; exec "$@"' sh \
    mpirun --mca plm_rsh_agent "$agent" --mca btl_tcp_if_include $network --mca oob_tcp_if_include $network \
    --host host-a:1,host-b:1 -n 2 --bind-to none "$@"
